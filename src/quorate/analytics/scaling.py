"""Products of fixed-point numbers at the finest scales that fit, and numbers of any size brought near to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import bits_of, known
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = [
    "RECIPROCAL_SCALE",
    "WINDOW",
    "Lifted",
    "lifted",
    "plus",
    "sum_of_products",
    "times",
    "triangle",
    "unlifted",
]

WINDOW = 6
"""Lifted numbers lie between 2**-WINDOW and 1."""

LIFTED_SCALE = 28
MOST_SCALE = 48

RECIPROCAL_SCALE = 22
"""Fraction bits of reciprocals under the protocol with the least room."""

FIELD_CAPACITY = 59
"""Its bits."""


def times(a: SecretArray, b: SecretArray, scale: int, terms: int = 1) -> SecretArray:
    """a * b with at most so many fraction bits; operands give up digits for which there is no room.

    Args:
        terms: so many results are going to be summed.
    """
    left, right = _beside(a, b, terms)
    return left.record("mul", right, **_cut(left, right, scale))


def sum_of_products(a: SecretArray, b: SecretArray, scale: int, terms: int) -> SecretArray:
    """The matrix product a @ b of two dimensions, with at most so many fraction bits; `terms` is the length of sums."""
    left, right = _beside(a, b, terms)
    return left.record("matmul", right, **_cut(left, right, scale))


def plus(a: SecretArray, b: SecretArray) -> SecretArray:
    """a + b at the finer scale of both, or the finest for which there is room."""
    whole = max(bits_of(one) - one.dtype.scale for one in (a, b))
    scale = min(max(a.dtype.scale, b.dtype.scale), known(a).capacity - 3 - whole)
    return a.astype(fixed(scale)) + b.astype(fixed(scale))


def _beside(a: SecretArray, b: SecretArray, terms: int) -> tuple[SecretArray, SecretArray]:
    spare = known(a).capacity - 2 - terms.bit_length() - bits_of(a) - bits_of(b)
    if spare >= 0:
        return a, b
    first, second = sorted((a, b), key=lambda array: array.dtype.scale)
    both = first.dtype.scale + second.dtype.scale + spare
    finer = max(both - first.dtype.scale, (both + 1) // 2)
    cut = {id(first): min(first.dtype.scale, both - finer), id(second): finer}
    return _coarser(a, cut[id(a)]), _coarser(b, cut[id(b)])


def _coarser(array: SecretArray, scale: int) -> SecretArray:
    return array if array.dtype.kind == "int" or array.dtype.scale == scale else array.astype(fixed(scale))


def _cut(left: SecretArray, right: SecretArray, scale: int) -> dict[str, int]:
    surplus = left.dtype.scale + right.dtype.scale - scale
    return {"shift": surplus} if surplus > 0 else {}


@dataclass(frozen=True)
class Lifted:
    """Rows of numbers, each divided by a secret power of two so that its first number lies in [2**-WINDOW, 1].

    Attributes:
        values: shape (rows, numbers), fixed(LIFTED_SCALE), within the ratio.
        flags: which power it is, int 0 or 1, shape (rows, powers).
        exponents: the powers' exponents, public, descending.
        ratio: how many times as large as the first numbers others may be.
    """

    values: SecretArray
    flags: SecretArray
    exponents: list[int]
    ratio: float

    def again(self, rows: SecretArray, ratio: float | None = None) -> SecretArray:
        """Other rows, at most `ratio` times as large as the first numbers, divided by the same powers of two."""
        return _divided(rows, self.flags, self.exponents, self.ratio if ratio is None else ratio)

    def inverse(self) -> SecretArray:
        """1 / what is left of the first number, with 22 to 25 fraction bits, at most 2**WINDOW; shape (rows,)."""
        scale = RECIPROCAL_SCALE + min(3, known(self.values).capacity - FIELD_CAPACITY)
        return self.values[:, 0].clip(2.0**-WINDOW, 1.0).record("reciprocal", scale=scale)


def lifted(rows: SecretArray, top: int, bottom: int, ratio: float) -> Lifted:
    """Bring rows of numbers to a common size, by the first number of each row.

    Args:
        rows: shape (rows, numbers), fixed; in every row the first number lies in [2**bottom, 2**top] or is 0, and the
            others are at most `ratio` times as large as the first.

    About 30 rounds; a clipping of each number for every WINDOW of top - bottom.
    """
    first = rows[:, 0]
    exponents = list(range(top, bottom, -WINDOW))
    limits = [top + 1, *exponents[1:]]  # the first one holds for all
    edges = [1 << max(0, limit + first.dtype.scale) for limit in limits]
    below = first.record("thresholds", edges=edges).astype(INT)
    flags = q.concatenate([below[:-1] - below[1:], below[-1:]]).T
    return Lifted(_divided(rows, flags, exponents, ratio), flags, exponents, ratio)


def _divided(rows: SecretArray, flags: SecretArray, exponents: list[int], ratio: float) -> SecretArray:
    windows = q.stack([_window(rows, exponent, ratio) for exponent in exponents], axis=-1)
    return q.vecdot(windows, flags[:, None, :].broadcast_to(windows.shape)).clip(-ratio, ratio)


def _window(rows: SecretArray, exponent: int, ratio: float) -> SecretArray:
    """rows / 2**exponent where that is at most `ratio`."""
    limit = math.ldexp(ratio, exponent)
    near = rows.clip(-limit, limit) if limit < rows.limits[1] else rows
    if rows.dtype.scale + exponent > MOST_SCALE:
        near = near.astype(fixed(MOST_SCALE - exponent))
    return near.astype_raw(fixed(near.dtype.scale + exponent)).astype(fixed(LIFTED_SCALE))


def unlifted(found: Lifted, inverse: SecretArray, scale: int) -> SecretArray:
    """What is inverse to the first numbers of rows, from the inverses of the lifted ones; shape (rows,)."""
    each = []
    for exponent in found.exponents:
        near = inverse.astype(fixed(min(inverse.dtype.scale, MOST_SCALE - exponent)))
        each.append(near.astype_raw(fixed(near.dtype.scale + exponent)).astype(fixed(scale)))
    return q.vecdot(q.stack(each, axis=-1), found.flags)


def triangle(count: int) -> tuple[list[int], list[int], list[int]]:
    """Rows and columns of the upper triangle of a matrix, and where each element of the whole matrix is found there."""
    rows, columns = np.triu_indices(count)
    place = np.zeros((count, count), np.int64)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return rows.tolist(), columns.tolist(), place.reshape(-1).tolist()
