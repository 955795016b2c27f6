"""The matrix of a regression: columns in units, centred, with a column of ones in front for the intercept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import Unit, bits_of, columns, fitting, in_real_units, known, most_rows, unit, vector
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import BOOL, INT, fixed

__all__ = ["Design", "Rows", "designed", "linear_predictor", "product", "relabelled", "rows_of"]

FINEST = 22
"""Fraction bits of features in units."""

LARGEST_TERM = 16
"""Bits of the largest part that a feature has in a linear predictor."""

WEIGHT_SCALE = 16
"""Fraction bits of sums of rows' weights, and of predicted means."""


LEAST_WEIGHT = -24
"""Declared ranges of weights below 2**LEAST_WEIGHT count as that."""


@dataclass(frozen=True)
class Rows:
    """The rows of a regression and how they count.

    Attributes:
        weight: within [0, 1], or None.
        exponent: a row counts weight * 2**exponent.
        bits: of the largest number of rows.
        capacity: bits of values.
    """

    weight: SecretArray | None
    exponent: int
    bits: int
    capacity: int

    def room(self, *bits: int) -> int:
        """Bits left for a factor when products with others of so many bits are summed over all rows."""
        return self.capacity - 1 - self.bits - sum(bits)

    def weighted(self, values: SecretArray) -> SecretArray:
        """Values of the rows times the rows' weights, at the scale of the values; shape (rows,)."""
        if self.weight is None:
            return values
        return product("mul", values, self.weight, values.dtype.scale)

    def any(self, flags: SecretArray) -> SecretArray:
        """Whether a flag holds in some row that counts."""
        numbers = flags.astype(INT)
        counted = numbers if self.weight is None else numbers * (self.weight > 0).astype(INT)
        return counted.sum() > 0


@dataclass(frozen=True)
class Design:
    """What a regression is fitted to.

    Attributes:
        x: shape (rows, unknowns), centred features in units, within [-2, 2]; the first column is 1 with an intercept.
        rows: how they count.
        unit: the features before they were centred.
        mean: what was taken off the features in units; None without an intercept.
    """

    x: SecretArray
    rows: Rows
    unit: Unit
    mean: SecretArray | None

    @property
    def unknowns(self) -> int:
        """Number of columns of `x`."""
        return int(str(self.x.shape[1]))

    @property
    def features(self) -> int:
        """Number of features."""
        return len(self.unit.exponent)

    @property
    def intercept(self) -> bool:
        """Whether the first unknown is the intercept."""
        return self.mean is not None

    def offsets(self) -> Any:
        """Where the features are 0, in units, counted from their means: minus this; shape (features,)."""
        public = self.unit.centre / self.unit.factor
        return public if self.mean is None else self.mean + public

    def real(self, slopes: SecretArray) -> SecretArray:
        """Slopes per unit as slopes of the features themselves."""
        return in_real_units(slopes, -self.unit.exponent)


def designed(X: Any, y: SecretArray, intercept: bool, weight: Any = None, where: Any = None) -> Design:
    """The design of the features X, with as many rows as y.

    Raises:
        UserError: shapes that do not fit, or weights that are none.
    """
    found = columns(X)
    if found[0].shape[0] != y.shape[0]:
        raise UserError(f"X has {found[0].shape[0]} rows and y has {y.shape[0]}")
    rows = rows_of(y, weight, where)
    made = unit(found, min(FINEST, (rows.capacity - 4 - rows.bits) // 2))
    if not intercept:
        return Design(made.u, rows, made, None)
    mean = _mean(made.u, rows.weight)
    ones = q.ones_like(made.u[:, :1])
    return Design(q.concatenate([ones, made.u - mean], axis=1), rows, made, mean)


def rows_of(y: SecretArray, weight: Any = None, where: Any = None) -> Rows:
    """How the rows of y count: all alike, by secret weights, or those where a secret mask holds.

    Raises:
        UserError: both are given, or what is given is no column of as many rows, or may be negative.
    """
    if weight is not None and where is not None:
        raise UserError("sample_weight and where cannot both be given; multiply the weights by where.astype(int)")
    bits, capacity = max(1, (most_rows(y) - 1).bit_length()), known(y).capacity
    given = weight if where is None else where
    if given is None:
        return Rows(None, 0, bits, capacity)
    name = "sample_weight" if where is None else "where"
    if not isinstance(given, SecretArray) or given.shape != y.shape:
        raise UserError(f"{name} is one secret value per row, shape {y.shape}")
    if where is not None and given.dtype != BOOL:
        raise UserError("where is a secret column of bools, such as x > 0")
    return Rows(*_weights(vector(given, name)), bits, capacity)


def _weights(numbers: SecretArray) -> tuple[SecretArray, int]:
    """Weights within [0, 1], and the power of two that they stand for."""
    low, high = numbers.limits
    if low < 0:
        raise UserError(f"sample_weight may be negative (its declared range starts at {low:g}); declare a range from 0")
    if numbers.dtype.kind == "int" and high <= 1:
        return numbers, 0
    exponent = max(LEAST_WEIGHT, int(np.ceil(np.log2(high)))) if high else 0
    if numbers.dtype.kind == "int":
        return numbers.astype_raw(fixed(exponent)), exponent
    return numbers.astype(fixed(FINEST - exponent)).astype_raw(fixed(FINEST)), exponent


def _mean(u: SecretArray, weight: SecretArray | None) -> SecretArray:
    if weight is None:
        return u.mean(0)
    total = product("matmul", weight[None, :], u, u.dtype.scale)[0]
    found: SecretArray = total / weight.sum().astype(fixed(WEIGHT_SCALE)).clip(0, None)
    return found.astype(u.dtype).clip(-1.0, 1.0)


def relabelled(array: SecretArray, exponent: int, room: int, most: int = 48) -> SecretArray:
    """array / 2**exponent at the finest scale, up to `most`, that leaves so many bits of room."""
    low, high = array.limits
    reach = int(np.ceil(np.log2(max(-low, high, 2.0**-40)))) - exponent
    scale = min(most, known(array).capacity - 1 - room - max(reach, -room))
    own = array.dtype.scale
    if own + exponent > scale:
        array, own = array.astype(fixed(scale - exponent)), scale - exponent
    return array.astype_raw(fixed(own + exponent)).astype(fixed(scale))


def product(kind: str, left: SecretArray, right: SecretArray, scale: int) -> SecretArray:
    """A product (`mul`, `dot`, `matmul`) of two secrets at a scale, cut back once."""
    shift = max(0, left.dtype.scale + right.dtype.scale - scale)
    found = left.record(kind, right, **({"shift": shift} if shift else {}))
    return found.astype(fixed(scale))


def linear_predictor(X: Any, coefficients: SecretArray, intercept: SecretArray, scale: int = FINEST) -> SecretArray:
    """X @ coefficients + intercept for coefficients in real units, shape (rows,).

    No coefficient counts for more than 2**LARGEST_TERM over the declared range of its column.

    Raises:
        UserError: X has another number of columns.
    """
    found = columns(X)
    if len(found) != int(str(coefficients.shape[0])):
        raise UserError(f"X has {len(found)} columns, the model was fitted to {coefficients.shape[0]}")
    made = unit(found, FINEST)
    x = made.u + made.centre / made.factor
    limit = 2.0**LARGEST_TERM
    slopes = in_real_units(coefficients, made.exponent).clip(-limit, limit)
    slopes = fitting(slopes, bits_of(x) + len(found).bit_length())
    total = product("matmul", x, slopes[:, None], scale)[:, 0]
    return total + fitting(intercept, 2).astype(fixed(scale))
