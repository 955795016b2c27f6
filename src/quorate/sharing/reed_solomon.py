"""Shamir shares as words of a Reed-Solomon code: values from n shares of which some are wrong.

The shares of all parties on polynomials of degree t are a word of a code with distance n - t: up to (n - t - 1) / 2
wrong shares can be corrected. Wrong shares of a whole array come from a few parties, so the words of all elements are
combined with random weights, the one resulting word is decoded, and the parties found wrong are left out everywhere.

Sources: Reed, Solomon, "Polynomial Codes over Certain Finite Fields", J. SIAM 8 (2), 1960; decoding as in Gao, "A New
Algorithm for Decoding Reed-Solomon Codes", 2003 (partial extended Euclid on the interpolated word); that shares are
such words: McEliece, Sarwate, "On Sharing Secrets and Reed-Solomon Codes", CACM 24 (9), 1981.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import PeerError
from quorate.kernels import field
from quorate.sharing.shamir import lagrange

__all__ = ["correct", "decode", "fits"]

Array = npt.NDArray[Any]
Polynomial = list[int]
P = (1 << 61) - 1
TRIES = 8


def fits(shares: Sequence[Array], holders: Sequence[int], threshold: int) -> bool:
    """Whether shares (field elements, an array per holder, parties from 0) lie on polynomials of degree `threshold`."""
    base = tuple(holders[: threshold + 1])
    others = zip(shares[threshold + 1 :], holders[threshold + 1 :], strict=True)
    return all(np.array_equal(_at(shares, base, holder + 1), share) for share, holder in others)


def correct(
    shares: Sequence[Array], holders: Sequence[int], threshold: int, weights: Callable[[int], Array]
) -> tuple[Array, list[int]]:
    """The values, and the holders whose shares were wrong, if those are at most (len(holders) - threshold - 1) / 2.

    Args:
        shares: one array of field elements per holder, all of one shape.
        weights: gives so many uniform field elements, that whoever sent shares could not know.

    Raises:
        PeerError: too many shares are wrong.
    """
    if fits(shares, holders, threshold):
        return _at(shares, tuple(holders[: threshold + 1]), 0), []
    rows = np.stack([share.reshape(-1) for share in shares])
    for _ in range(TRIES):  # wrong shares cancel out in the combination with probability 2**-60
        mix = weights(rows.shape[1])
        word = [int(value) for value in field.dot(rows, np.broadcast_to(mix, rows.shape).copy())]
        found = decode(word, [holder + 1 for holder in holders], threshold)
        if found is None:
            break
        kept = [k for k in range(len(holders)) if k not in found]
        left, right = [holders[k] for k in kept], [shares[k] for k in kept]
        if fits(right, left, threshold):
            return _at(right, tuple(left[: threshold + 1]), 0), [holders[k] for k in found]
    raise PeerError(
        f"more than {(len(holders) - threshold - 1) // 2} of the shares of parties {list(holders)} are wrong: "
        "the value cannot be told"
    )


def decode(word: Sequence[int], points: Sequence[int], degree: int) -> list[int] | None:
    """The places where `word` differs from the values, at `points`, of the polynomial of at most `degree` next to it.

    None if there is none within (len(word) - degree - 1) / 2 places. Points are distinct, and not 0 modulo p.
    """
    size = len(points)
    product: Polynomial = [1]
    for point in points:
        product = _times(product, [-point % P, 1])
    error, divisor = _partial_euclid(product, _interpolated(word, points), (size + degree + 1) // 2)
    quotient, rest = _divided(error, divisor)
    if any(rest) or len(quotient) > degree + 1:
        return None
    wrong = [k for k in range(size) if _value(quotient, points[k]) != word[k] % P]
    return wrong if len(wrong) <= (size - degree - 1) // 2 else None


def _partial_euclid(a: Polynomial, b: Polynomial, bound: int) -> tuple[Polynomial, Polynomial]:
    """The first remainder g of degree below `bound`, and v with g = u a + v b."""
    before: Polynomial = []
    factor: Polynomial = [1]
    while len(b) > bound:
        quotient, rest = _divided(a, b)
        a, b = b, rest
        before, factor = factor, _minus(before, _times(quotient, factor))
    return b, factor


def _interpolated(word: Sequence[int], points: Sequence[int]) -> Polynomial:
    total: Polynomial = []
    for k, point in enumerate(points):
        basis: Polynomial = [1]
        scale = 1
        for other in points:
            if other != point:
                basis = _times(basis, [-other % P, 1])
                scale = scale * (point - other) % P
        factor = word[k] * pow(scale, -1, P) % P
        total = _minus(total, [-factor * c % P for c in basis])
    return total


def _trimmed(a: Polynomial) -> Polynomial:
    while a and a[-1] == 0:
        a.pop()
    return a


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    result = [0] * (len(a) + len(b) - 1) if a and b else []
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            result[i + j] = (result[i + j] + x * y) % P
    return _trimmed(result)


def _minus(a: Polynomial, b: Polynomial) -> Polynomial:
    longest = max(len(a), len(b))
    padded = zip(a + [0] * (longest - len(a)), b + [0] * (longest - len(b)), strict=True)
    return _trimmed([(x - y) % P for x, y in padded])


def _divided(a: Polynomial, b: Polynomial) -> tuple[Polynomial, Polynomial]:
    rest, quotient = list(a), [0] * max(0, len(a) - len(b) + 1)
    inverse = pow(b[-1], -1, P)
    for k in range(len(a) - len(b), -1, -1):
        quotient[k] = rest[k + len(b) - 1] * inverse % P
        for j, c in enumerate(b):
            rest[k + j] = (rest[k + j] - quotient[k] * c) % P
    return _trimmed(quotient), _trimmed(rest)


def _value(a: Polynomial, point: int) -> int:
    value = 0
    for c in reversed(a):
        value = (value * point + c) % P
    return value


def _at(shares: Sequence[Array], base: tuple[int, ...], point: int) -> Array:
    weights = np.array(lagrange(base, point), np.uint64)
    return field.linear_combination(weights, list(shares[: len(base)]))
