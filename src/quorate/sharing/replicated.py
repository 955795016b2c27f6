"""Replicated sharing among three parties modulo 2**64: x = x0 + x1 + x2, party i holds (x_i, x_{i+1}).

Any two parties know the secret, one alone knows nothing. Source: Araki, Furukawa, Lindell, Nof, Ohara,
"High-Throughput Semi-Honest Secure Three-Party Computation with an Honest Majority", CCS 2016 (in the variant where
the parts are held unmasked by neighbours).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import PeerError
from quorate.sharing import additive

__all__ = ["combine", "split"]

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]


def split(values: Array, masks: Sequence[Array]) -> list[Pair]:
    """The three parties' pairs for `values` (uint64, any shape); `masks` are two uniform arrays of that shape."""
    x = additive.split(values, masks)
    return [(x[i], x[(i + 1) % 3]) for i in range(3)]


def combine(shares: Sequence[Pair]) -> Array:
    """The secret from all three pairs, uint64.

    Raises:
        PeerError: two parties hold different copies of a part.
    """
    for i in range(3):
        if not np.array_equal(shares[i][1], shares[(i + 1) % 3][0]):
            raise PeerError(f"parties {i} and {(i + 1) % 3} hold different copies of part {(i + 1) % 3}")
    return additive.combine([shares[i][0] for i in range(3)])
