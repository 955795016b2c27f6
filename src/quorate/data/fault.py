"""What can be wrong with data: rules, and values that break them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Fault", "Rows", "Rule", "shown"]

Rule = Literal[
    "file", "column", "fields", "missing", "all-missing", "most-missing", "type", "infinite", "category", "range",
    "unit", "zone", "duplicate", "rows",
]  # fmt: skip
"""Of which kind a problem is; `docs/reference/schema.md` says what each means."""

Rows = npt.NDArray[np.int64]

_LONGEST = 60


def shown(value: object) -> str:
    """A value of the owner's data as messages quote it."""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


@dataclass(frozen=True, slots=True, repr=False)
class Fault:
    """Values of one batch that break one rule.

    Attributes:
        rows: their positions in the batch, ascending.
        value: the value at a position, as it is quoted.
        what: what is wrong with it, to be read after the value.
        todo: what to do about the value at a position.
    """

    rule: Rule
    rows: Rows
    value: Callable[[int], str]
    what: str
    todo: Callable[[int], str]
