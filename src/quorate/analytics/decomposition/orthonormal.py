"""Orthonormal bases of secret columns."""

from __future__ import annotations

import quorate.lang.functions as q
from quorate.analytics.columns import fitting
from quorate.analytics.linear_algebra import LARGEST, Factor, factorised, gram, normalised
from quorate.analytics.refinement import precise_dot, precise_product
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["BASIS_SCALE", "orthonormal"]

BASIS_SCALE = 28
"""Fraction bits of bases, whose elements are at most 1."""


def orthonormal(columns: SecretArray) -> SecretArray:
    """An orthonormal basis of columns within [-1, 1], shape (n, k), fixed(BASIS_SCALE); 0 for dependent ones.

    By Cholesky's factor of their products, about 40 rounds per column. Yamamoto et al., Roundoff error analysis of the
    CholeskyQR2 algorithm, 2015, have why once is not enough; here the factor is corrected rather than the columns.
    """
    normal = normalised(gram(columns, columns))
    factor = factorised(normal.matrix)
    change = (_corrected(normal.wide, factor) * normal.root[None, :]).T
    half, odd = divmod(normal.exponent, 2)
    product = precise_product(columns, fitting(change, 25) * 0.5**0.5 if odd else change)
    own = product.dtype.scale + half
    if own > BASIS_SCALE:
        product, own = product.astype(fixed(BASIS_SCALE - half)), BASIS_SCALE
    return product.astype_raw(fixed(own)).astype(fixed(BASIS_SCALE)).clip(-1.0, 1.0)


def _corrected(wide: SecretArray, factor: Factor) -> SecretArray:
    """The inverse factor T, with what it lacks of its digits: T - (T N T.T - I) T / 2."""
    inverse = factor.inverse
    error = precise_dot(precise_dot(inverse, wide, 36), inverse.T, 36) - q.diag(factor.independent.astype(INT))
    small = error.clip(-(2.0**-6), 2.0**-6)
    better = inverse.astype(fixed(26)) - precise_dot(small, inverse, 26) * 0.5
    return better.clip(-LARGEST, LARGEST)
