"""Operators on secret arrays: arithmetic, comparison, logic and bits, conversion between data types."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, Self, cast

import numpy as np

from quorate.errors import UserError
from quorate.lang.categories import check_same, codes_of
from quorate.lang.dims import Dim
from quorate.lang.indexing import Indexing
from quorate.lang.operations.base import broadcast_shapes
from quorate.lang.public import Public, as_public, constant_type, factor, ratio
from quorate.lang.recorded import Recorded
from quorate.sharing.dtype import BOOL, DEFAULT_SCALE, INT, DType, fixed, of_numpy, promote

__all__ = ["Operators"]

MOST_POWER = 64
"""Largest exponent; squaring needs twice its logarithm of products."""


class Operators(Indexing):
    """The part of a secret array that computes element by element, and products of matrices."""

    __slots__ = ()

    # -- operands -----------------------------------------------------------------------------------------------------

    def _other(self, other: Any, dtype: DType | None = None) -> Self:
        """The operand as an array of this computation; constants take a type that fits, or `dtype`."""
        if isinstance(other, Recorded):
            return cast(Self, other)
        if isinstance(other, Dim):
            return cast(Self, self.trace.rows(other))
        return self.constant(other, constant_type(other, self.dtype) if dtype is None else dtype)

    def _numbers(self) -> Self:
        return self.astype(INT) if self.dtype == BOOL else self

    def _integers(self) -> bool:
        return self.dtype.kind in ("int", "bool")

    def _together(self, other: Any, *, numbers: bool = True) -> tuple[Self, Self]:
        """Both operands in the type in which they meet, as numbers unless bools may stay bools."""
        public = not isinstance(other, Recorded | Dim)
        if public and self.dtype.kind == "fixed" and as_public(other).dtype.kind in "iuf":
            return self, self._other(other, self.dtype)
        right = self._other(other)
        if self.dtype == right.dtype and not (numbers and self.dtype == BOOL):
            return self, right
        common = promote(self.dtype, right.dtype)
        if numbers and common == BOOL:
            common = INT
        return self.converted(common), right.converted(common)

    def _binary(self, kind: str, other: Any, swap: bool = False) -> Self:
        left, right = self._together(other)
        return right.record(kind, left) if swap else left.record(kind, right)

    def _scaled(self, kind: str, *others: Recorded) -> Self:
        """A function of numbers whose result is fixed-point, of the scale of the operand if that has one."""
        numbers = self._numbers()
        scale = numbers.dtype.scale if numbers.dtype.kind == "fixed" else DEFAULT_SCALE
        return numbers.record(kind, *others, scale=scale)

    def _real(self) -> Self:
        """The values as fixed-point numbers."""
        return self if self.dtype.kind == "fixed" else self.astype(fixed(DEFAULT_SCALE))

    def _both_bool(self, other: Any) -> bool:
        if self.dtype.kind != "bool" or isinstance(other, Dim):
            return False
        return other.dtype == BOOL if isinstance(other, Recorded) else as_public(other).dtype.kind == "b"

    # -- sums and products --------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Self:
        return self.__or__(other) if self._both_bool(other) else self._binary("add", other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Self:
        if self._both_bool(other):
            raise UserError("the difference of two bools; use ^, or astype(int)")
        return self._binary("sub", other)

    def __rsub__(self, other: Any) -> Self:
        return self._binary("sub", other, swap=True)

    def __neg__(self) -> Self:
        return self.record("neg")

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self if self.dtype == BOOL else self.record("abs")

    def __mul__(self, other: Any) -> Self:
        if self._both_bool(other):
            return self.__and__(other)
        if isinstance(other, Recorded | Dim) or as_public(other).dtype.kind != "f":
            return self._product("mul", self._other(other))
        scale = self.dtype.scale if self.dtype.kind == "fixed" else DEFAULT_SCALE
        return self._product("mul", self.constant(*factor(as_public(other), self.dtype)), scale)

    __rmul__ = __mul__

    def _product(self, kind: str, other: Self, scale: int | None = None) -> Self:
        """A product of numbers with the larger of both scales, or with `scale`."""
        whole = self._integers() and other._integers()
        left, right = self._together(other) if whole else (self._numbers(), other._numbers())
        wanted = max(left.dtype.scale, right.dtype.scale) if scale is None else scale
        shift = left.dtype.scale + right.dtype.scale - wanted
        product = left.record(kind, right, **({"shift": shift} if shift > 0 else {}))
        return product.astype_raw(left.dtype) if whole else product

    def __matmul__(self, other: Any) -> Self:
        right = self._other(other)
        if not self.ndim or not right.ndim:
            raise UserError("a matrix product with a single number; use *")
        if self.dtype == right.dtype == BOOL:
            return (self._numbers() @ right._numbers()).astype(BOOL)
        if self.ndim == right.ndim == 1:
            return self._product("dot", right)
        left = self[None, :] if self.ndim == 1 else self
        product = left._matrices(right[:, None] if right.ndim == 1 else right)
        if self.ndim == 1:
            product = product[..., 0, :]
        return product[..., 0] if right.ndim == 1 else product

    def __rmatmul__(self, other: Any) -> Self:
        return self._other(other) @ self

    def _matrices(self, other: Self) -> Self:
        """Matrix products over the last two axes; the others broadcast."""
        if self.ndim == other.ndim == 2:
            return self._product("matmul", other)
        if self.shape[-1] != other.shape[-2]:
            raise UserError(f"matrix product of shapes {self.shape} and {other.shape}")
        rows, columns = self[..., :, None, :], other.mT[..., None, :, :]
        shape = broadcast_shapes(rows.shape, columns.shape)
        return rows.broadcast_to(shape)._product("dot", columns.broadcast_to(shape))

    def dot(self, other: Any) -> Self:
        """Inner product of vectors, product of matrices; a number multiplies."""
        right = self._other(other)
        return self * right if not self.ndim or not right.ndim else self @ right

    # -- quotients ----------------------------------------------------------------------------------------------------

    def __truediv__(self, other: Any) -> Self:
        known = other.known() if isinstance(other, Recorded) else other
        if not isinstance(other, Recorded) or known is not None:
            return self._over_public(known)
        right = self._other(other)._numbers()
        scale = DEFAULT_SCALE if self._integers() and right._integers() else max(self.dtype.scale, right.dtype.scale)
        return self._numbers().record("div", right, scale=scale)

    def __rtruediv__(self, other: Any) -> Self:
        return self._other(other) / self

    def _over_public(self, other: Any) -> Self:
        numbers = self._numbers()
        scale = self.dtype.scale if self.dtype.kind == "fixed" else DEFAULT_SCALE
        if isinstance(other, Dim):
            return numbers.record("div_public", divisor={"size": str(other)}, scale=scale)
        values = _divisors(other)
        if values.ndim:
            return numbers * (1.0 / values)
        over = ratio(values)
        return (numbers.astype(promote(numbers.dtype, INT)) * over.denominator).record(
            "div_public", divisor=over.numerator, scale=scale
        )

    def __floordiv__(self, other: Any) -> Self:
        return self._whole_quotient("floor_div", other)

    def __mod__(self, other: Any) -> Self:
        return self._whole_quotient("mod", other)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._other(other, None if self._integers() else self.dtype) // self

    def __rmod__(self, other: Any) -> Self:
        return self._other(other, None if self._integers() else self.dtype) % self

    def __divmod__(self, other: Any) -> tuple[Self, Self]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Self, Self]:
        return self.__rfloordiv__(other), self.__rmod__(other)

    def _whole_quotient(self, kind: str, other: Any) -> Self:
        """Quotient rounded down, or remainder; of fixed-point numbers through their raw integers, hence exactly."""
        if isinstance(other, Dim):
            return self._numbers().record(f"{kind}_public", divisor={"size": str(other)})
        left, right = self._together(other)
        dtype = left.dtype
        if dtype.kind == "fixed":
            left, right = left.astype_raw(INT), right.astype_raw(INT)
        divisor = right.known()
        if divisor is not None and _divisors(divisor, "at this scale ").ndim == 0:
            result = left.record(f"{kind}_public", divisor=int(divisor))
        else:
            result = left.record(kind, right)
        if dtype.kind == "fixed":
            return result.astype(dtype) if kind == "floor_div" else result.astype_raw(dtype)
        return result

    # -- powers -------------------------------------------------------------------------------------------------------

    def __pow__(self, exponent: Any) -> Self:
        known = exponent.known() if isinstance(exponent, Recorded) else exponent
        if known is None or as_public(known).ndim:
            right = self._real()._other(exponent)
            scale = max(self._real().dtype.scale, right.dtype.scale)
            return self._real().astype(fixed(scale)).record("pow", right.astype(fixed(scale)), scale=scale)
        number = as_public(known).item()
        if number == 0.5:
            return self.sqrt()
        if not math.isfinite(number) or abs(number) > MOST_POWER:
            raise UserError(
                f"a secret to the power of {number}; use an exponent between -{MOST_POWER} and {MOST_POWER}"
            )
        if number != int(number):
            return self._scaled_power(number)
        if number < 0 and self._integers() and isinstance(number, int):
            raise UserError("integers to negative integer powers are no integers; use x.astype(float) ** exponent")
        return self._whole_power(int(number)) if number >= 0 else (self ** -int(number)).reciprocal()

    def _scaled_power(self, exponent: float) -> Self:
        base = self._real()
        return base.record(
            "pow", base.constant(exponent, fixed(max(base.dtype.scale, DEFAULT_SCALE))), scale=base.dtype.scale
        )

    def _whole_power(self, exponent: int) -> Self:
        """By squaring; the power of zero is one."""
        base = self._numbers()
        if not exponent:
            return base * 0 + 1
        half = base._whole_power(exponent // 2) if exponent > 1 else base
        square = half * half if exponent > 1 else base
        return square * base if exponent > 1 and exponent % 2 else square

    def __rpow__(self, base: Any) -> Self:
        values = as_public(base)
        if values.ndim or not 0 < values.item() < math.inf:
            raise UserError("a secret exponent needs a public base that is one positive number, or a secret base")
        return (self._real() * math.log2(values.item())).exp2()

    # -- comparison ---------------------------------------------------------------------------------------------------

    def _compared(self, kind: str, other: Any, swap: bool = False) -> Self:
        """Integers of any width compare with any number."""
        self._check_codes(other)
        wide = self.astype_raw(INT) if self.dtype.kind == "int" else self
        return wide._binary(kind, other, swap)

    def _check_codes(self, other: Any) -> None:
        """Raises `UserError` if both have categories, and not the same."""
        if isinstance(other, Recorded):
            check_same([self, other])

    def __lt__(self, other: Any) -> Self:
        return (~self).__and__(other) if self._both_bool(other) else self._compared("lt", other)

    def __gt__(self, other: Any) -> Self:
        return ~self._other(other) & self if self._both_bool(other) else self._compared("lt", other, swap=True)

    def __le__(self, other: Any) -> Self:
        return ~self.__gt__(other)

    def __ge__(self, other: Any) -> Self:
        return ~self.__lt__(other)

    def __eq__(self, other: Any) -> Self:  # type: ignore[override]
        other = codes_of(self, other)
        return ~self.__xor__(other) if self._both_bool(other) else self._compared("eq", other)

    def __ne__(self, other: Any) -> Self:  # type: ignore[override]
        return ~self.__eq__(other)

    # -- logic and bits -----------------------------------------------------------------------------------------------

    def _bitwise(self, logic: str, bits: str, other: Any) -> Self:
        left, right = self._together(other, numbers=False)
        return left.record(logic if left.dtype == BOOL else bits, right)

    def __and__(self, other: Any) -> Self:
        return self._bitwise("and", "bit_and", other)

    def __or__(self, other: Any) -> Self:
        return self._bitwise("or", "bit_or", other)

    def __xor__(self, other: Any) -> Self:
        return self._bitwise("xor", "bit_xor", other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Self:
        return self.record("not" if self.dtype == BOOL else "bit_not")

    def __lshift__(self, by: Any) -> Self:
        return self._shifted("shift_left", by)

    def __rshift__(self, by: Any) -> Self:
        return self._shifted("shift_right", by)

    def __rlshift__(self, value: Any) -> Self:
        return self._other(value) << self

    def __rrshift__(self, value: Any) -> Self:
        return self._other(value) >> self

    def _shifted(self, kind: str, by: Any) -> Self:
        known = by.known() if isinstance(by, Recorded) else by
        if known is None or as_public(known).ndim:
            left, right = self._together(by)
            return left.record(f"{kind}_by", right)
        if as_public(known).dtype.kind not in "iu":
            raise UserError(f"a shift by {known!r}; shift by a whole number of bits")
        return self._numbers().record(kind, by=int(known))

    # -- data types ---------------------------------------------------------------------------------------------------

    def astype(self, dtype: Any, rounding: str | None = None) -> Self:
        """Another data type.

        bool to numbers gives 0 and 1; numbers to bool: whether they are not zero; fixed to int cuts the fraction
        off, as NumPy does; to fixed of a smaller scale rounds to one of the two neighbours, or with `rounding="floor"`
        exactly down. Integers of another width cost nothing: that they fit is proven. A column of categories gives
        their codes as plain numbers.
        """
        if rounding not in (None, "floor"):
            raise UserError(f"rounding {rounding!r}; use 'floor', or leave it out for the cheaper rounding either way")
        target = _dtype_of(dtype)
        if target == self.dtype:
            return self if self.categories is None else self.record("view", dtype=str(target))
        if target == BOOL:
            return ~self._compared("eq", 0)
        if self.dtype == BOOL:
            return self.record("to_int").astype(target)
        if target.kind == "fixed":
            return self.record("rescale_floor" if rounding else "rescale", scale=target.scale)
        whole = self if self.dtype.kind == "int" else self._truncated()
        return whole if whole.dtype == target else whole.astype_raw(target)

    def converted(self, dtype: DType) -> Self:
        """As `astype`; what is of this type already keeps its categories."""
        return self if dtype == self.dtype else self.astype(dtype)

    def astype_raw(self, dtype: DType) -> Self:
        """The same raw integers with another meaning: fixed(s) as multiples of 2**-s, integers as fixed, any width."""
        return self if dtype == self.dtype else self.record("view", dtype=str(dtype))

    def _truncated(self) -> Self:
        """Fixed-point numbers as integers, towards zero; what was an integer before comes back as it was."""
        operation = self.trace.operations[self.position]
        if operation.kind == "rescale" and self.trace.operations[operation.operands[0]].type.dtype.kind == "int":
            return type(self)(self.trace, operation.operands[0])
        return self.record("trunc")

    # -- functions of one number --------------------------------------------------------------------------------------

    def sqrt(self) -> Self:
        """Square root of values that are not negative."""
        return self._scaled("sqrt")

    def exp2(self) -> Self:
        """2**x."""
        return self._scaled("exp2")

    def reciprocal(self) -> Self:
        """1 / x as a fixed-point number; 1 / 0 gives 0."""
        return self._scaled("reciprocal")

    def _rounded(self, kind: str) -> Self:
        """Rounded to whole numbers, of the same type as before."""
        if self._integers():
            return self
        return self.record(kind).astype(self.dtype)

    def round(self, decimals: int = 0) -> Self:
        """To the nearest number with so many decimals, halves to the even neighbour."""
        if not decimals or self._integers():
            return self._rounded("round")
        power: int = 10**decimals
        return (self * power)._rounded("round")._over_public(power)

    __round__ = round

    def __floor__(self) -> Self:
        return self if self._integers() else self.record("floor")

    def __ceil__(self) -> Self:
        return self if self._integers() else self.record("ceil")

    def __trunc__(self) -> Self:
        return self.astype(INT) if self.dtype.kind == "fixed" else self

    # -- choice -------------------------------------------------------------------------------------------------------

    def _extreme(self, kind: str, other: Any) -> Self:
        """The smaller or larger of two, elementwise."""
        self._check_codes(other)
        if self._both_bool(other):
            return self.__and__(other) if kind == "minimum" else self.__or__(other)
        return self._binary(kind, other)

    def clip(self, min: Any = None, max: Any = None) -> Self:
        """Values below `min` become `min`, those above `max` become `max`; secret or public limits."""
        numbers = self._numbers()
        low, high = (None if end is None else numbers._limit(end) for end in (min, max))
        if isinstance(low, int) and isinstance(high, int):
            return numbers.record("clip", low=low if low < high else high, high=high)
        raised = numbers if min is None else numbers._extreme("maximum", min)
        return raised if max is None else raised._extreme("minimum", max)

    def _limit(self, end: Any) -> int | None:
        """A limit as a raw integer, if it is one public number of this type."""
        known = end.known() if isinstance(end, Recorded) else end
        if known is None or isinstance(known, Dim) or as_public(known).ndim:
            return None
        if self.dtype.kind == "int" and as_public(known).dtype.kind == "f":
            return None
        return int(self.dtype.encode(as_public(known)))

    def chosen(self, condition: Self, otherwise: Any) -> Self:
        """This array where the secret or public condition holds, else the other one."""
        self._check_codes(otherwise)
        left, right = self._together(otherwise, numbers=False)
        if condition.dtype != BOOL:
            raise UserError("the condition of where must be bool; compare numbers first")
        if left.dtype == BOOL:
            return (condition & left) | (~condition & right)
        return condition.record("select", left, right)


def _divisors(values: Any, at: str = "") -> Public:
    divisors = as_public(values)
    if not np.isfinite(divisors).all() or (divisors == 0).any():
        raise UserError(f"division {at}by zero or by no finite number; public divisors must be other than zero")
    return divisors


_TYPES: dict[Any, DType] = {int: INT, bool: BOOL, float: fixed(DEFAULT_SCALE)}


def _dtype_of(dtype: Any) -> DType:
    """A data type that a user names: one of ours, a type of Python, a type of NumPy except its floats."""
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, Hashable) and dtype in _TYPES:
        return _TYPES[dtype]
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.kind in "bi":
        return of_numpy(found)
    raise UserError(
        f"astype({dtype!r}); use int, bool, float (which is fixed({DEFAULT_SCALE})), quorate.int8 to int64, or "
        "quorate.fixed(SCALE): secrets have no floating point"
    )
