"""A pytest plugin: test data that fixed-point numbers and proven ranges can hold.

    pytest -p quorate.testing.array_api.domain ...

The public suite of the array API standard draws any float there is, NaN and infinities too, and integers up to the
limits of their type. Secrets are finite, and sums and products of narrow integers must be proven to fit. This plugin
narrows what hypothesis draws for the data types of a namespace, and nothing else: no test is changed.
"""

from __future__ import annotations

from typing import Any

import hypothesis.extra.array_api as drawn
from hypothesis import strategies as st

from quorate.sharing.dtype import DType

__all__ = ["pytest_configure"]

INTEGERS = 8
STEPS = 16
"""Integers lie in -8 ... 8, numbers with fractions are multiples of 1/16 in the same range."""

_any = drawn._from_dtype


def pytest_configure() -> None:
    """Narrow what is drawn, before the suite is imported."""
    drawn._from_dtype = _narrow


def _narrow(xp: Any, api_version: Any, dtype: Any, **limits: Any) -> st.SearchStrategy[Any]:
    """Stands for hypothesis' strategy of the elements of an array."""
    kind = getattr(xp, dtype) if isinstance(dtype, str) else dtype
    if not isinstance(kind, DType) or kind.kind == "bool":
        strategy: st.SearchStrategy[Any] = _any(xp, api_version, dtype, **limits)
        return strategy
    low, high = limits.get("min_value"), limits.get("max_value")
    scale = 1 if kind.kind == "int" else STEPS
    least = max(-INTEGERS if low is None else low, -INTEGERS) * scale
    most = min(INTEGERS if high is None else high, INTEGERS) * scale
    raw = st.integers(int(least), max(int(most), int(least)))
    return raw if kind.kind == "int" else raw.map(lambda steps: steps / STEPS)
