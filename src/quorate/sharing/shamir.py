"""Shamir's (t, n) sharing over the field of 2**61 - 1 elements: party i holds f(i + 1), f of degree t, f(0) the secret.

Any t + 1 parties know the secret, t know nothing. Source: Shamir, "How to Share a Secret", CACM 22 (11), 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import PeerError, UserError
from quorate.kernels import field

__all__ = ["check_threshold", "combine", "lagrange", "replicated_weight", "split"]

Array = npt.NDArray[Any]
P = (1 << 61) - 1
MOST_GROUPS = 1000


def check_threshold(threshold: int, parties: int) -> None:
    """Raises `UserError` that explains a threshold which is too low, too high or impractical for products."""
    where = f"threshold {threshold} with {parties} parties"
    if threshold < 1:
        raise UserError(f"{where}: every single party would know the secret; use a threshold of at least 1")
    if parties < 2 * threshold + 1:
        raise UserError(
            f"{where}: products of Shamir shares need 2t+1 = {2 * threshold + 1} parties; "
            f"lower the threshold to {(parties - 1) // 2} or less, or add parties"
        )
    if len(list(combinations(range(parties), threshold))) > MOST_GROUPS:
        raise UserError(
            f"{where}: more than {MOST_GROUPS} groups of parties would need a common key; use fewer parties"
        )


def split(values: Array, coefficients: Array, parties: int) -> Array:
    """Shares of `values` (field elements, any shape), one row per party.

    `coefficients` holds t uniform arrays of field elements, shape (t, *values.shape).
    """
    rows = np.concatenate([values.reshape(1, -1), coefficients.reshape(coefficients.shape[0], -1)])
    points = np.arange(1, parties + 1, dtype=np.uint64)
    return field.polynomial_shares(rows, points).reshape((parties, *values.shape))


def combine(shares: Sequence[Array], holders: Sequence[int], threshold: int) -> Array:
    """The secret from the shares of the parties `holders` (indices from 0), canonical field elements.

    Raises:
        UserError: fewer than threshold + 1 shares.
        PeerError: more than threshold + 1 shares, and they do not lie on one polynomial.
    """
    if len(shares) <= threshold:
        raise UserError(f"{len(shares)} shares cannot open a secret with threshold {threshold}; {threshold + 1} can")
    base = tuple(holders[: threshold + 1])
    for share, holder in zip(shares[threshold + 1 :], holders[threshold + 1 :], strict=True):
        if not np.array_equal(_at(shares, base, holder + 1), share):
            raise PeerError(f"the share of party {holder} does not fit those of parties {list(base)}")
    return _at(shares, base, 0)


@lru_cache(maxsize=4096)
def lagrange(holders: tuple[int, ...], point: int = 0) -> tuple[int, ...]:
    """Weights w with f(point) = sum of w_j f(holders_j + 1) for every f of degree below len(holders)."""
    xs = [holder + 1 for holder in holders]
    weights = []
    for j, x in enumerate(xs):
        top, bottom = 1, 1
        for k, other in enumerate(xs):
            if k != j:
                top = top * (point - other) % P
                bottom = bottom * (x - other) % P
        weights.append(top * pow(bottom, -1, P) % P)
    return tuple(weights)


@lru_cache(maxsize=4096)
def replicated_weight(group: tuple[int, ...], parties: int, holder: int) -> int:
    """f_A(holder + 1) for the polynomial with f_A(0) = 1 that vanishes at every party outside the group A.

    Source: Cramer, Damgård, Ishai, "Share Conversion, Pseudorandom Secret-Sharing ...", TCC 2005, section 3.
    """
    value = 1
    for outside in range(parties):
        if outside not in group:
            value = value * (outside - holder) * pow(outside + 1, -1, P) % P
    return value


def _at(shares: Sequence[Array], base: tuple[int, ...], point: int) -> Array:
    weights = np.array(lagrange(base, point), dtype=np.uint64)
    return field.linear_combination(weights, list(shares[: len(base)]))
