"""The largest eigenvalues of a positive semidefinite matrix that nobody sees, and their vectors.

One after the other: repeated squaring turns a matrix into the projection on its largest eigenvectors, of which the
column with the first large diagonal element is taken; then the matrix is projected away from it. At the end all vectors
are turned towards each other a few times, as by Jacobi's rotations, and made orthonormal again, with products of the
matrix with all its digits, so that eigenvalues are Rayleigh quotients of orthonormal vectors. Compared with rotations
alone, the number of rounds depends on the number of vectors wanted and hardly on the size of the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import known
from quorate.analytics.refinement import precise_dot
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["VALUE_SCALE", "Eigen", "eigen", "signed"]

VALUE_SCALE = 32
"""Fraction bits of eigenvalues, as shares of the trace."""

VECTOR_SCALE = 28
"""Fraction bits of eigenvectors."""

SQUARINGS = 10
"""Of the matrix, before a vector is taken: eigenvalues are separated by their power of 2**SQUARINGS."""

TURNS = 3
"""How often vectors are turned towards each other at the end."""

REST_SCALE = 40
"""Fraction bits of what is left of the matrix."""

LARGEST_SHIFT = 17
"""What is left is enlarged by up to 2**LARGEST_SHIFT."""

RATIO_SCALE = 36
"""Fraction bits of what vectors have of each other."""

LEAST_GAP = 2.0**-18
"""Eigenvalues that differ by a smaller share of the trace are not told apart."""

LEAST_VALUE = 2.0**-20
"""An eigenvalue that is a smaller share of the trace is 0, and so is its vector."""

MOST_MIXED = 2.0**-6
"""What two vectors have in common, before they are improved, as a share of the trace."""

LARGEST_TURN = 2.0**-4
"""By how much one vector is turned towards another at once."""

MOST_SHORT = 2.0**-2
"""By how much products of vectors may differ from those of orthonormal ones, before they are made so."""


@dataclass(frozen=True)
class Eigen:
    """Eigenvalues from the largest on, and eigenvectors.

    Attributes:
        values: shape (count,), within [0, 1].
        vectors: shape (count, d), of length 1; 0 where the eigenvalue is.
    """

    values: SecretArray
    vectors: SecretArray


def eigen(A: SecretArray, count: int) -> Eigen:
    """The `count` largest eigenvalues of a positive semidefinite matrix of trace between 1/4 and 1, or 0.

    Vectors have a largest element (the first of equal ones) that is positive. About 400 rounds for each, and 700.

    Args:
        A: shape (d, d), all elements proven to lie within [-1, 1], with as many fraction bits as there are.
        count: at most d.
    """
    scale = _scale(A)
    rest = A.astype(fixed(REST_SCALE)).clip(-1.0, 1.0)
    found: list[SecretArray] = []
    for _ in range(count):
        if found:
            rest = _without(rest, found[-1])
        found.append(_largest(_enlarged(rest, LARGEST_SHIFT).astype(fixed(scale)).clip(-1.0, 1.0)))
    vectors = q.stack(found)
    vectors = _orthonormal(vectors)
    for _ in range(TURNS if count > 1 else 0):
        vectors = _orthonormal(_orthonormal(_turned(A, vectors)))
    values = _products(A, vectors).diagonal().clip(0.0, 1.0).astype(fixed(VALUE_SCALE)).clip(0.0, 1.0)
    there = (values > LEAST_VALUE).astype(INT)
    return Eigen(values * there, signed(vectors) * there[:, None])


def _scale(A: SecretArray) -> int:
    """Fraction bits with which a product of two matrices fits."""
    d = int(str(A.shape[0]))
    return min(VECTOR_SCALE, (known(A).capacity - 3 - d.bit_length()) // 2)


def _clipped(array: SecretArray, scale: int) -> SecretArray:
    return array.astype(fixed(scale)).clip(-1.0, 1.0)


# -- one vector --------------------------------------------------------------------------------------------------------


def _largest(A: SecretArray) -> SecretArray:
    """A vector that belongs to the largest eigenvalue: shape (d,), length 1."""
    d = int(str(A.shape[0]))
    power = A
    for _ in range(SQUARINGS):
        power = _enlarged((power @ power).astype(A.dtype), 2 + d.bit_length())
    large = (power.diagonal() > 0.4 / d).astype(INT)
    first = large * (large.cumsum() == 1).astype(INT)
    column = (power @ first).clip(-1.0, 1.0)
    return _normed(_normed(column, 2.0**-11), 0.5)


def _enlarged(A: SecretArray, shift: int) -> SecretArray:
    """A matrix of trace up to 1, multiplied by a power of two up to 2**shift that brings its trace above 1/2."""
    total = A.diagonal().sum()
    below = [(total < 2.0**-k).astype(INT) for k in range(1, shift + 1)]
    factor = below[0] + 1
    for k, flag in enumerate(below[1:], 1):
        factor = factor + (flag << k)
    return (A * factor).clip(-1.0, 1.0)


def _normed(v: SecretArray, least: float) -> SecretArray:
    """A vector made one of length 1, if the square of its length is at least `least`; shorter ones stay shorter."""
    square = (v @ v).clip(least, 1.0)
    return _clipped(v * square.record("rsqrt", scale=24), v.dtype.scale)


def _without(A: SecretArray, v: SecretArray) -> SecretArray:
    """A projected away from v, from both sides, with all digits: errors of v have a second-order effect."""
    column = v[:, None]
    w = precise_dot(A, column, REST_SCALE).clip(-1.0, 1.0)
    mean = precise_dot(w.T, column, REST_SCALE).clip(0.0, 1.0)
    half = (w - precise_dot(column, mean, REST_SCALE) * 0.5).clip(-1.0, 1.0)
    cross = precise_dot(column, half.T, REST_SCALE)
    return (A - cross - cross.T).clip(-1.0, 1.0)


# -- all of them -------------------------------------------------------------------------------------------------------


def _products(A: SecretArray, vectors: SecretArray) -> SecretArray:
    """vectors @ A @ vectors.T with all digits."""
    return precise_dot(vectors, precise_dot(A, vectors.T, REST_SCALE), REST_SCALE)


def _orthonormal(vectors: SecretArray) -> SecretArray:
    """Vectors near orthonormal ones made so: V + (I - V V.T) V / 2 leaves the square of the error (Schulz, 1933)."""
    unit = np.eye(int(str(vectors.shape[0])))
    short = (-(precise_dot(vectors, vectors.T, REST_SCALE) - unit)).clip(-MOST_SHORT, MOST_SHORT)
    change = precise_dot(short.astype(fixed(RATIO_SCALE)), vectors, vectors.dtype.scale)
    return _clipped(vectors + change * 0.5, vectors.dtype.scale)


def _turned(A: SecretArray, vectors: SecretArray) -> SecretArray:
    """Each of some orthonormal vectors with less of the others in it, the larger eigenvalue in front.

    By the angle that would be right if there were only the two, or LARGEST_TURN.
    """
    count = int(str(vectors.shape[0]))
    upper = np.triu(np.ones((count, count), np.int64), 1)
    values = _products(A, vectors).clip(-1.0, 1.0)
    own = values.diagonal().astype(fixed(VECTOR_SCALE)).clip(0.0, 1.0)
    gap = (own[:, None] - own[None, :]).clip(LEAST_GAP, 1.0)
    mixed = values.astype(fixed(RATIO_SCALE)).clip(-MOST_MIXED, MOST_MIXED)
    above = (mixed / gap).clip(-LARGEST_TURN, LARGEST_TURN) * upper
    change = precise_dot(above - above.T, vectors, vectors.dtype.scale)
    return _clipped(vectors + change, vectors.dtype.scale)


def signed(vectors: SecretArray) -> SecretArray:
    """Rows, each with the sign that makes the element that is largest in size positive."""
    d = int(str(vectors.shape[1]))
    size = abs(vectors)
    place = q.one_hot(size.argmax(1), d).astype(INT)
    negative = ((vectors * place).sum(1) < 0.0).astype(INT)
    return vectors * (1 - 2 * negative)[:, None]
