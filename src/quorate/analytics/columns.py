"""Matrices of secret columns, each with a range of its own, brought to one scale by public numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table, listed
from quorate.lang.known import Known
from quorate.sharing.dtype import BOOL, INT, fixed

__all__ = [
    "Unit",
    "bits_of",
    "category_names",
    "columns",
    "fitting",
    "in_real_units",
    "known",
    "matrix",
    "most_rows",
    "named",
    "names_of",
    "times",
    "unit",
    "vector",
]

MOST_SCALE = 48


def known(array: SecretArray) -> Known:
    """The public facts about the inputs of an array's computation. Raises `UserError` where there are none."""
    if array.trace.known is None:
        raise UserError("the ranges of the inputs are not known here; give bounds to Computation.trace")
    return array.trace.known


def most_rows(array: SecretArray) -> int:
    """The most rows that an array may have."""
    return known(array).size(array.shape[0])


def names_of(X: Any) -> list[str] | None:
    """The names of the columns of a table; None for what has none."""
    return list(X) if isinstance(X, Table | Mapping) else None


def category_names(column: Any, codes: Sequence[int] | None = None) -> list[str] | None:
    """The names of categories, of all or of these codes; None for a column that has none, or not these."""
    names = column.categories if isinstance(column, SecretArray) else None
    if names is None or codes is None:
        return None if names is None else list(names)
    return [names[code] for code in codes] if all(0 <= code < len(names) for code in codes) else None


def named(x: Any) -> str:
    """What an argument is, for messages: the type of what is not secret."""
    return repr(x) if isinstance(x, SecretArray) else f"of type {type(x).__name__}"


def vector(x: Any, what: str = "y", *, codes: bool = False) -> SecretArray:
    """A secret column of numbers; where `codes` have a meaning, also one of categories.

    Raises:
        UserError: anything else.
    """
    if isinstance(x, SecretArray) and x.ndim == 2 and x.shape[1] == 1:
        x = x[:, 0]
    if not isinstance(x, SecretArray) or x.ndim != 1:
        raise UserError(
            f"{what} is one secret value per row, not {named(x)}; use net.secret(...) or a column of a table"
        )
    if not codes and x.categories is not None:
        raise UserError(
            f"{what} is a column of categories ({listed(x.categories)}), whose codes measure nothing; leave it out, or "
            'make columns of bools, one left out: {f"ward {w}": ward == w for w in ward.categories[1:]}; or use '
            "ward.astype(int), if the codes are meant as numbers"
        )
    return x.astype(int) if x.dtype == BOOL else x


def columns(X: Any, *, codes: bool = False) -> list[SecretArray]:
    """The columns of a secret matrix, table, dictionary or list of columns, as numbers; each knows its own range.

    A matrix that was put together from columns is taken apart again, since the range of a matrix is that of its widest
    column. Columns of categories are let through where their `codes` have a meaning.

    Raises:
        UserError: no secret matrix, columns of different lengths, or of categories.
    """
    if isinstance(X, Table | Mapping):
        found = [X[name] for name in X]
    elif isinstance(X, SecretArray):
        if X.ndim == 1:
            X = X[:, None]
        if X.ndim != 2:
            raise UserError(f"X has one row per case and one column per feature, not the shape {X.shape}")
        found = _parts(X)
    elif isinstance(X, Sequence) and not isinstance(X, str):
        found = [column for part in X for column in columns(part, codes=codes)]
    else:
        raise UserError(f"X is a secret matrix or table, not a {type(X).__name__}; use net.secret(...)")
    if not found:
        raise UserError("X has no columns")
    names = names_of(X)
    whats = ["a column of X"] * len(found) if names is None else [f"the column {name!r} of X" for name in names]
    numbers = [vector(column, what, codes=codes) for column, what in zip(found, whats, strict=True)]
    if len({column.shape[0] for column in numbers}) > 1:
        raise UserError("the columns of X differ in their number of rows; see quorate.align for two inputs")
    return numbers


def matrix(X: Any) -> SecretArray:
    """The columns of `X` side by side, shape (rows, columns)."""
    made: SecretArray = q.column_stack(columns(X))
    return made


def _parts(X: SecretArray) -> list[SecretArray]:
    """The columns of a matrix, found where it was put together."""
    trace = X.trace
    operation = trace.operations[X.position]
    operands = [SecretArray(trace, o) for o in operation.operands]
    if operation.kind == "concat" and operation.attributes["axis"] == 1:
        return [column for operand in operands for column in _parts(operand)]
    if operation.kind == "concat" and operation.attributes["axis"] == 0:
        blocks = [_parts(operand) for operand in operands]
        return [q.concatenate(list(pieces)) for pieces in zip(*blocks, strict=True)]
    if operation.kind == "index" and operation.attributes["index"] == [["slice", None, None, None], ["new"]]:
        return [operands[0]]
    if operation.kind == "rescale" and operands[0].dtype.kind == "fixed":
        return [part.astype(operation.type.dtype) for part in _parts(operands[0])]
    return [X[:, j] for j in range(int(str(X.shape[1])))]


@dataclass(frozen=True)
class Unit:
    """Columns in units that are powers of two, and public: column j is centre[j] + 2**exponent[j] * u[:, j].

    Attributes:
        u: shape (rows, columns), fixed(bits), all values proven to lie within [-1, 1].
        centre, exponent: shape (columns,).
    """

    u: SecretArray
    centre: npt.NDArray[np.float64]
    exponent: npt.NDArray[np.int64]

    @property
    def factor(self) -> npt.NDArray[np.float64]:
        """2**exponent."""
        return np.ldexp(1.0, self.exponent)


def unit(found: Sequence[SecretArray], bits: int, centred: bool = True) -> Unit:
    """Columns brought into [-1, 1] at scale `bits`: free, but for a truncation of columns that are finer than that.

    Where columns may be shifted (`centred`), those far from 0, such as years, have a centre.
    """
    made = [_in_units(column, bits, centred) for column in found]
    u = q.column_stack([one for one, _, _ in made])
    return Unit(u, np.array([centre for _, centre, _ in made]), np.array([exponent for _, _, exponent in made]))


def common_unit(found: Sequence[SecretArray], bits: int, reach: float = 0.0) -> Unit:
    """Columns brought into [-1, 1] at scale `bits` by one power of two for all, so that distances keep their meaning.

    Args:
        found: columns of numbers.
        bits: fraction bits.
        reach: other numbers that have to fit into the same units are within +-reach.
    """
    made = [_centred(column, True) for column in found]
    exponent = max([_exponent(one) for one, _ in made] + ([math.ceil(math.log2(reach))] if reach > 0 else []))
    u = q.column_stack([_divided(one, exponent, bits) for one, _ in made])
    return Unit(u, np.array([centre for _, centre in made]), np.full(len(made), exponent))


def _in_units(column: SecretArray, bits: int, centred: bool) -> tuple[SecretArray, float, int]:
    column, centre = _centred(column, centred)
    exponent = _exponent(column)
    return _divided(column, exponent, bits), centre, exponent


def _centred(column: SecretArray, centred: bool) -> tuple[SecretArray, float]:
    """A column that is far from 0, less the middle of its range."""
    low, high = column.limits
    if not centred or min(abs(low), abs(high)) <= high - low:
        return column, 0.0
    centre = float(math.ldexp(round(math.ldexp((low + high) / 2, column.dtype.scale)), -column.dtype.scale))
    return column - (int(centre) if column.dtype.kind == "int" else centre), centre


def _exponent(column: SecretArray) -> int:
    reach = max(map(abs, column.limits))
    return math.ceil(math.log2(reach)) if reach else 0


def _divided(column: SecretArray, exponent: int, bits: int) -> SecretArray:
    """column / 2**exponent at scale `bits`."""
    scale = column.dtype.scale + exponent
    if scale > MOST_SCALE or scale > bits:
        column = column.astype(fixed(bits - exponent))
        scale = bits
    return column.astype_raw(fixed(scale)).astype(fixed(bits))


def in_real_units(values: SecretArray, exponents: npt.ArrayLike, bits: int = 60) -> SecretArray:
    """values * 2**exponents at one scale: the finest that is useful and fits `bits` bits and the protocol.

    Free where nothing is cut off.
    """
    powers = np.broadcast_to(np.asarray(exponents, np.int64), tuple(int(str(size)) for size in values.shape))
    low, high = values.limits
    reach = math.ceil(math.log2(max(-low, high, 2.0**-40)))
    wanted = values.dtype.scale - int(powers.min(initial=0)) if powers.size else values.dtype.scale
    most = min(bits, known(values).capacity - 1) - reach - int(powers.max(initial=-60))
    scale = max(-32, min(MOST_SCALE, wanted, most))
    own = max(-32, min(values.dtype.scale, scale + int(powers.min())))
    shifts = scale - own + powers
    raw = values.astype(fixed(own)).astype_raw(INT)
    factors = np.ldexp(1.0, shifts)
    return (raw * factors.astype(np.int64)).astype_raw(fixed(scale))


def bits_of(array: SecretArray) -> int:
    """Bits of the largest raw value that an array may hold."""
    low, high = array.limits
    return max(1, math.ceil(math.log2(max(-low, high, 2.0**-40))) + array.dtype.scale)


def fitting(array: SecretArray, beside: int) -> SecretArray:
    """An array with so few fraction bits that its product with a number of `beside` bits fits the protocol."""
    spare = known(array).capacity - 2 - beside - bits_of(array)
    return array if spare >= 0 else array.astype(fixed(array.dtype.scale + spare))


def times(left: SecretArray, right: SecretArray) -> SecretArray:
    """The product; `left` gives up digits for which there is no room."""
    return fitting(left, bits_of(right)) * right
