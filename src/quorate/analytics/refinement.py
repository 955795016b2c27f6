"""Solutions of normal equations, improved by what they leave over: iterative refinement in fixed point.

A factor of 28 fraction bits is a good enough inverse to improve a solution with, if what the solution leaves over is
known more precisely (Wilkinson; Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, chapter 12). The
matrix is taken apart into a high and a low half, so that products with its 41 to 44 fraction bits fit.
"""

from __future__ import annotations

import math

from quorate.analytics.columns import bits_of, fitting, known
from quorate.analytics.linear_algebra import LARGEST, Factor
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["COEFFICIENT_SCALE", "precise_dot", "precise_product", "refined"]

COEFFICIENT_SCALE = 30
"""Fraction bits of refined solutions."""

REST_SCALE = 40
"""Fraction bits of what a solution leaves over."""

FIRST_SCALE = 18
"""Fraction bits of the solution before it is improved."""

HALF = 22
"""Fraction bits of the high half of a matrix."""

INVERSE_BITS = 16
"""Fraction bits of the inverse that improves."""

STEPS = (8, 16, 22)
"""What is left over is smaller than 2**-step before each improvement; if not, the improvement is cut."""

CORRECTION = 0.25
"""The largest correction in all."""


def refined(wide: SecretArray, factor: Factor) -> tuple[SecretArray, SecretArray]:
    """Solve N[:d, :d] @ z = N[:d, d] for the independent columns of a normalised matrix N, where z[j] = 0 for others.

    Args:
        wide: N with all its digits, shape (d + 1, d + 1), see `Normalised.wide`.
        factor: of the first d columns.

    Returns:
        z, shape (d,), fixed(COEFFICIENT_SCALE), within 2 * LARGEST; and N[d, d] - N[d, :d] @ z, fixed(REST_SCALE): the
        share of the last column's square that is not explained.

    About 75 rounds.
    """
    d = int(str(factor.inverse.shape[0]))
    parts = _halves(wide[:, :d], HALF)
    aim = wide[:, d].astype(fixed(REST_SCALE))
    inverse = _inverse(factor)
    explained = fitting(factor.lower[d].astype(fixed(24)), bits_of(factor.inverse) + d.bit_length())
    first = (factor.inverse.T @ explained).astype(fixed(FIRST_SCALE)).clip(-LARGEST, LARGEST)
    rest = aim - _product(parts, first)
    correction = (first * 0).astype(fixed(COEFFICIENT_SCALE))
    for step in STEPS:
        left = rest - _product(parts, correction)
        change = _change(inverse, left[:d], step)
        correction = (correction + change).clip(-CORRECTION, CORRECTION)
    return first + correction, (rest - _product(parts, correction))[d]


def precise_dot(left: SecretArray, right: SecretArray, scale: int = COEFFICIENT_SCALE) -> SecretArray:
    """The inner product of two vectors that are too fine for one product, through their halves; 12 rounds."""
    (a, b), (c, d) = (_halves(one, one.dtype.scale - bits_of(one) // 2) for one in (left, right))
    parts = [_cut(x, y, scale) for x, y in ((a, c), (a, d), (b, c), (b, d))]
    return parts[0] + parts[1] + parts[2] + parts[3]


def precise_product(u: SecretArray, vector: SecretArray) -> SecretArray:
    """u @ vector, where the vector is too fine for one product, at a scale that fits; 10 rounds."""
    beside = bits_of(u) + int(str(u.shape[1])).bit_length()
    room = known(u).capacity - 2
    cut = min(vector.dtype.scale, room - beside - bits_of(vector) + vector.dtype.scale)
    low, high = vector.limits
    reach = math.ceil(math.log2(max(-low, high, 2.0**-40))) + beside - u.dtype.scale
    scale = min(40, room - reach - 1)
    high_part, low_part = _halves(vector, cut)
    return _cut(u, high_part, scale) + _cut(u, fitting(low_part, beside), scale)


def _halves(array: SecretArray, cut: int) -> tuple[SecretArray, SecretArray]:
    """high + low = the array, with few bits each; the high half has `cut` fraction bits."""
    high = array.astype(fixed(cut))
    reach = 2.0 ** (1 - cut)
    return high, (array - high).clip(-reach, reach)


def _product(parts: tuple[SecretArray, SecretArray], z: SecretArray) -> SecretArray:
    """The matrix times z at REST_SCALE."""
    high, low = parts
    return _cut(high, z, REST_SCALE) + _cut(low, z, REST_SCALE)


def _cut(left: SecretArray, right: SecretArray, wanted: int) -> SecretArray:
    """left @ right at a scale, from exact products: beyond the largest scale they are another reading of the same."""
    product = left.astype_raw(INT) @ right.astype_raw(INT)
    scale = left.dtype.scale + right.dtype.scale
    beyond = max(0, scale - 48)
    return product.astype_raw(fixed(scale - beyond)).astype(fixed(wanted - beyond)).astype_raw(fixed(wanted))


def _inverse(factor: Factor) -> SecretArray:
    """The inverse of the normal equations' matrix on the independent columns, 0 elsewhere; rough."""
    d = int(str(factor.inverse.shape[0]))
    room = (known(factor.inverse).capacity - 3 - d.bit_length()) // 2 - int(LARGEST).bit_length()
    rough = factor.inverse.astype(fixed(min(INVERSE_BITS + 1, room))).clip(-LARGEST, LARGEST)
    limit = 2.0**14
    return (rough.T @ rough).astype(fixed(INVERSE_BITS)).clip(-limit, limit)


def _change(inverse: SecretArray, left: SecretArray, step: int) -> SecretArray:
    """The correction by what is left over, which is taken to be below 2**-step."""
    limit = 2.0**-step
    scale = REST_SCALE - step
    enlarged = left.clip(-limit, limit).astype_raw(fixed(scale)).astype(fixed(min(HALF, scale)))
    change = inverse @ fitting(enlarged, bits_of(inverse) + 7)
    reach = CORRECTION * 2.0**step
    small = change.clip(-reach, reach)
    return small.astype_raw(fixed(small.dtype.scale + step)).astype(fixed(COEFFICIENT_SCALE))
