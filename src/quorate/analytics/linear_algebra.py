"""Positive semidefinite matrices that nobody sees: products of columns, Cholesky's factor, inverses, solutions.

Numbers are fixed-point, so every matrix is first brought to a diagonal between 1/4 and 1 by secret powers of two, after
which Cauchy and Schwarz bound whatever follows. Sums of products are exact; each later step rounds once. Columns that
earlier ones explain but for a share of `TOLERANCE` count as dependent on them: they get the coefficient 0, as in the
generalised inverse of the sweep operator (Goodnight, A Tutorial on the SWEEP Operator, 1979).

Limits of what is computed here are enforced by exact clipping, never assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import known
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["TOLERANCE", "Factor", "Normalised", "factorised", "gram", "gram_bits", "normalised"]

SCALE = 28
"""Fraction bits of normalised matrices and their factors."""

INVERSE_SCALE = 20
"""Fraction bits of inverse factors, which may be large."""

ROOT_SCALE = 22
"""Fraction bits of reciprocals of pivots' roots."""

TOLERANCE = 2.0**-14
"""The least share of a column's square that earlier columns leave unexplained, if it is to have a coefficient."""

LARGEST = 2.0**9
"""The largest element of an inverse factor of a normalised matrix."""

MOST_SHIFT = 8
"""A column's root mean square may be smaller than the reach of its declared range by 2**MOST_SHIFT."""


def gram_bits(rows: int, capacity: int, reach: int = 1) -> int:
    """The scale at which products of columns within +-2**reach can be summed exactly over so many rows."""
    return min(24, (capacity - 1 - max(0, rows - 1).bit_length()) // 2 - reach)


def gram(left: SecretArray, right: SecretArray) -> SecretArray:
    """left.T @ right without any rounding; the scale is the sum of theirs, at most 48. One round."""
    scale = left.dtype.scale + right.dtype.scale
    product = left.astype_raw(INT).T @ right.astype_raw(INT)
    return product.astype_raw(fixed(scale))


@dataclass(frozen=True)
class Normalised:
    """A matrix with its diagonal in [1/4, 1), or 0: `matrix` = root[i] * A[i, j] * root[j] / 2**exponent.

    Attributes:
        matrix: shape (d, d), fixed(SCALE), within [-1, 1].
        wide: the same with all the digits that there are, 41 to 44 fraction bits.
        root: secret powers of two from 1 to 2**MOST_SHIFT, int, shape (d,).
        inverse_root: 1 / root, fixed(MOST_SHIFT).
        exponent: public.
    """

    matrix: SecretArray
    wide: SecretArray
    root: SecretArray
    inverse_root: SecretArray
    exponent: int


def normalised(A: SecretArray, shift: int = MOST_SHIFT) -> Normalised:
    """Bring a positive semidefinite matrix to a diagonal between 1/4 and 1 by secret powers of two.

    A diagonal element smaller than 4**-shift of the largest possible one stays below 1/4. Reveals nothing; 5 to 20
    rounds.
    """
    low, high = A.limits
    exponent = math.ceil(math.log2(max(-low, high))) if max(-low, high) > 0 else 0
    wide = min(48, known(A).capacity - 2 - 2 * shift)
    scaled = _relabelled(A, exponent, wide)
    diagonal = scaled.diagonal()
    below = [(diagonal < 4.0**-k).astype(INT) for k in range(1, shift + 1)]
    root, inverse = below[0] + 1, (1 << shift) - (below[0] << (shift - 1))
    for k, flag in enumerate(below[1:], 1):
        root, inverse = root + (flag << k), inverse - (flag << (shift - 1 - k))
    enlarged = (scaled * root[:, None] * root[None, :]).clip(-1.0, 1.0)
    return Normalised(enlarged.astype(fixed(SCALE)), enlarged, root, inverse.astype_raw(fixed(shift)), exponent)


def _relabelled(A: SecretArray, exponent: int, scale: int) -> SecretArray:
    """A / 2**exponent at a scale: another reading of the same numbers, and a truncation if they are finer."""
    own = A.dtype.scale
    if own + exponent > scale:
        A = A.astype(fixed(scale - exponent))
        own = scale - exponent
    return A.astype_raw(fixed(own + exponent)).astype(fixed(scale))


@dataclass(frozen=True)
class Factor:
    """Cholesky's factor of a normalised matrix N, and its inverse.

    Attributes:
        lower: L with L @ L.T = N on the independent columns, rows below the last of them included, shape (rows, d).
        inverse: T with T @ N @ T.T = the identity on the independent columns, 0 elsewhere, shape (d, d).
        independent: which columns earlier ones do not explain, bools, shape (d,).
        pivots: what was left of the diagonal, shape (d,).
    """

    lower: SecretArray
    inverse: SecretArray
    independent: SecretArray
    pivots: SecretArray


def factorised(N: SecretArray, size: int | None = None) -> Factor:
    """Cholesky's factor of the first `size` columns of a normalised matrix, row by row, and its inverse.

    About 40 rounds per column. Golub and Van Loan, Matrix Computations, 4th edition, algorithm 4.2.1, by columns; the
    inverse by forward substitution (3.1.1) beside it.

    Raises:
        UserError: the matrix is not square, or has more than 64 columns.
    """
    rows = int(str(N.shape[0]))
    d = rows if size is None else size
    if N.ndim != 2 or N.shape[0] != N.shape[1]:
        raise UserError(f"a square matrix is needed, not one of shape {N.shape}")
    if d > 64:
        raise UserError(f"{d} columns; 64 is the most that can be solved for at once")
    lower: list[SecretArray] = []
    inverse: list[SecretArray] = []
    flags: list[SecretArray] = []
    pivots: list[SecretArray] = []
    for j in range(d):
        column = N[j:, j]
        if j:
            half = min(SCALE, (known(N).capacity - 2 - j.bit_length()) // 2)
            done = q.stack(lower, axis=1).astype(fixed(half))
            column = column - (done[j:] @ done[j]).astype(fixed(SCALE))
        column = column.clip(-1.0, 1.0)
        pivot = column[0]
        flag = pivot > TOLERANCE * 0.5
        root = q.where(flag, q.maximum(pivot, TOLERANCE * 0.5).record("rsqrt", scale=ROOT_SCALE), 0.0)
        lower.append(_padded((column * root).astype(fixed(SCALE)).clip(-1.0, 1.0), j))
        inverse.append(_inverse_row(root, lower, inverse, j, d))
        flags.append(flag)
        pivots.append(pivot)
    return Factor(q.stack(lower, axis=1), q.stack(inverse), q.stack(flags), q.stack(pivots))


def _padded(column: SecretArray, above: int) -> SecretArray:
    padded: SecretArray = q.concatenate([np.zeros(above), column]) if above else column
    return padded


def _inverse_row(
    root: SecretArray, lower: list[SecretArray], inverse: list[SecretArray], j: int, d: int
) -> SecretArray:
    """Row j of the inverse factor: root * (unit vector j - row j of L before the diagonal, times the rows so far)."""
    own: SecretArray = (root * np.eye(d)[j]).astype(fixed(INVERSE_SCALE))
    if not j:
        return own
    before = q.stack([column[j] for column in lower[:j]])
    room = known(root).capacity - 2 - j.bit_length() - INVERSE_SCALE - int(LARGEST).bit_length()
    coarse = before.astype(fixed(min(SCALE, room)))
    explained = (coarse @ q.stack(inverse)).astype(fixed(INVERSE_SCALE)).clip(-LARGEST, LARGEST)
    return (own - (root * explained).astype(fixed(INVERSE_SCALE))).clip(-LARGEST, LARGEST)
