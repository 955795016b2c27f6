"""NumPy's functions that compute element by element.

Functions whose results are not whole numbers give fixed point, of the scale of the operand if that has one, else
`DEFAULT_SCALE`. Their worst errors stand in the documentation (Precision) and in what `quorate explain` prints.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.numpy_names import first, like_numpy, secrets_only
from quorate.lang.shaping import broadcast_arrays, stack
from quorate.sharing.dtype import BOOL

__all__ = [
    "abs", "absolute", "add", "arctan", "arctan2", "atan", "atan2", "bitwise_and", "bitwise_count", "bitwise_invert",
    "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clip", "copysign",
    "cos", "cosh", "divide", "divmod", "equal", "exp", "exp2", "expm1", "floor", "floor_divide", "greater",
    "greater_equal", "hypot", "invert", "isfinite", "isinf", "isnan", "left_shift", "less", "less_equal", "log",
    "log1p", "log2", "log10", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum",
    "minimum", "mod", "multiply", "negative", "not_equal", "popcount", "positive", "pow", "power", "reciprocal",
    "remainder", "right_shift", "rint", "round", "rsqrt", "sigmoid", "sign", "signbit", "sin", "sinh", "sqrt", "square",
    "subtract", "tan", "tanh", "true_divide", "trunc", "where",
]  # fmt: skip

Unary = Callable[[Any], SecretArray]
Binary = Callable[[Any, Any], SecretArray]
F = TypeVar("F", bound=Callable[..., Any])


def _unary(names: str, apply: Callable[[SecretArray], SecretArray], text: str) -> Unary:
    """A function of one array; the first of the names is NumPy's."""

    def function(x: Any) -> SecretArray:
        return apply(first(x))

    return _named(function, names, text)


def _binary(names: str, method: str, mirrored: str, text: str) -> Binary:
    """An operator by name; `mirrored` is what to ask of the right operand if the left one is public."""

    def function(x1: Any, x2: Any) -> SecretArray:
        result: SecretArray = getattr(x1, method)(x2) if isinstance(x1, SecretArray) else getattr(x2, mirrored)(x1)
        return result

    return _named(function, names, text)


def _named(function: F, names: str, text: str) -> F:
    known = names.split()
    function.__name__ = function.__qualname__ = known[0]
    function.__doc__ = text
    return cast(F, like_numpy(*known)(function))


# -- operators by name -------------------------------------------------------------------------------------------------

add = _binary("add", "__add__", "__radd__", "x1 + x2; of bools: or.")
subtract = _binary("subtract", "__sub__", "__rsub__", "x1 - x2.")
multiply = _binary("multiply", "__mul__", "__rmul__", "x1 * x2; of bools: and.")
divide = true_divide = _binary("divide true_divide", "__truediv__", "__rtruediv__", "x1 / x2; x / 0 = 0.")
floor_divide = _binary("floor_divide", "__floordiv__", "__rfloordiv__", "The quotient rounded down, exactly.")
remainder = mod = _binary("remainder mod", "__mod__", "__rmod__", "The remainder, with the sign of the divisor.")
divmod = _binary("divmod", "__divmod__", "__rdivmod__", "Quotient rounded down, and remainder.")
power = pow = _binary("power pow float_power", "__pow__", "__rpow__", "x1 ** x2; see `SecretArray` for what fits.")
less = _binary("less", "__lt__", "__gt__", "x1 < x2.")
less_equal = _binary("less_equal", "__le__", "__ge__", "x1 <= x2.")
greater = _binary("greater", "__gt__", "__lt__", "x1 > x2.")
greater_equal = _binary("greater_equal", "__ge__", "__le__", "x1 >= x2.")
equal = _binary("equal", "__eq__", "__eq__", "x1 == x2.")
not_equal = _binary("not_equal", "__ne__", "__ne__", "x1 != x2.")
bitwise_and = _binary("bitwise_and", "__and__", "__rand__", "Bits of integers (in two's complement), or bools: and.")
bitwise_or = _binary("bitwise_or", "__or__", "__ror__", "Bits of integers (in two's complement), or bools: or.")
bitwise_xor = _binary("bitwise_xor", "__xor__", "__rxor__", "Bits of integers, or bools: exclusive or.")
left_shift = bitwise_left_shift = _binary(
    "left_shift bitwise_left_shift", "__lshift__", "__rlshift__", "x1 * 2**x2, of integers."
)
right_shift = bitwise_right_shift = _binary(
    "right_shift bitwise_right_shift", "__rshift__", "__rrshift__", "x1 / 2**x2 rounded down, of integers."
)
negative = _unary("negative", lambda x: -x, "-x.")
positive = _unary("positive", lambda x: x, "x.")
abs = absolute = _unary("absolute abs fabs", lambda x: x.__abs__(), "|x|.")
invert = bitwise_invert = bitwise_not = _unary(
    "invert bitwise_invert bitwise_not", lambda x: ~x, "The opposite of bools; -x - 1 of integers."
)

# -- logic and facts ---------------------------------------------------------------------------------------------------


def _truths(x: Any, like: SecretArray) -> SecretArray:
    return like._other(x).astype(BOOL)


def _logical(name: str, method: str, text: str) -> Binary:
    def function(x1: Any, x2: Any) -> SecretArray:
        like = first(x1, x2)
        result: SecretArray = getattr(_truths(x1, like), method)(_truths(x2, like))
        return result

    return _named(function, name, text)


logical_and = _logical("logical_and", "__and__", "Whether both are true (not zero).")
logical_or = _logical("logical_or", "__or__", "Whether one is true (not zero).")
logical_xor = _logical("logical_xor", "__xor__", "Whether one of both is true (not zero), but not the other.")
logical_not = _unary("logical_not", lambda x: ~x.astype(BOOL), "Whether x is false (zero).")
signbit = _unary("signbit", lambda x: x < 0, "Whether x is below zero; there is no negative zero.")


def _constantly(x: SecretArray, flag: bool) -> SecretArray:
    return x.constant(flag, BOOL).broadcast_to(x.shape)


isnan = _unary("isnan", lambda x: _constantly(x, False), "False: secrets are numbers.")
isinf = _unary("isinf", lambda x: _constantly(x, False), "False: secrets are finite.")
isfinite = _unary("isfinite", lambda x: _constantly(x, True), "True: secrets are finite.")

# -- rounding, sign, bits ----------------------------------------------------------------------------------------------

floor = _unary("floor", lambda x: x._rounded("floor"), "Rounded down, exactly.")
ceil = _unary("ceil", lambda x: x._rounded("ceil"), "Rounded up, exactly.")
trunc = _unary("trunc fix", lambda x: x._rounded("trunc"), "Rounded towards zero, exactly.")
rint = _unary("rint", lambda x: x._rounded("round"), "Rounded to the nearest whole number, halves to the even one.")
square = _unary("square", lambda x: x * x, "x * x.")
sign = _unary("sign", lambda x: x._numbers().record("sign"), "-1, 0 or 1.")
bitwise_count = popcount = _unary(
    "bitwise_count",
    lambda x: x._numbers().__abs__().record("popcount"),
    "The number of ones among the bits of |x|, as in NumPy.",
)


@like_numpy("round", "around", "round_")
def round(x: Any, decimals: int = 0) -> SecretArray:
    """To the nearest number with so many decimals, halves to the even neighbour."""
    rounded: SecretArray = first(x).round(decimals)
    return rounded


@like_numpy("copysign")
def copysign(x1: Any, x2: Any) -> SecretArray:
    """|x1| with the sign of x2; zero counts as positive."""
    size, signs = _both(x1, x2)
    size, signs = size._together(signs)
    size = size.__abs__()
    return where(signs < 0, -size, size)


# -- choice ------------------------------------------------------------------------------------------------------------


def _both(x: Any, y: Any) -> tuple[SecretArray, SecretArray]:
    """Two operands, of which one is secret, as arrays of one computation."""
    like = first(x, y)
    return like._other(x), like._other(y)


def _pairwise(names: str, kind: str, text: str) -> Binary:
    def function(x1: Any, x2: Any) -> SecretArray:
        secret, other = (x1, x2) if isinstance(x1, SecretArray) else (x2, x1)
        result: SecretArray = secret._extreme(kind, other)
        return result

    return _named(function, names, text)


minimum = _pairwise("minimum fmin", "minimum", "The smaller of two values.")
maximum = _pairwise("maximum fmax", "maximum", "The larger of two values.")


@like_numpy()
def clip(x: Any, min: Any = None, max: Any = None, *, a_min: Any = None, a_max: Any = None) -> SecretArray:
    """Values below `min` become `min`, those above `max` become `max`; the limits may be secret."""
    low, high = a_min if min is None else min, a_max if max is None else max
    like: SecretArray = first(x, low, high)
    return like._other(x).clip(low, high)


@like_numpy()
def where(condition: Any, x: Any = None, y: Any = None) -> SecretArray:
    """x where the condition holds, else y; all three broadcast, and each may be secret or public."""
    if x is None or y is None:
        raise UserError("where(condition) alone would show where it holds; give all of condition, x and y")
    like: SecretArray = first(condition, x, y)
    flags = like._other(condition)
    if isinstance(x, SecretArray):
        return like._other(x).chosen(flags, y)
    if isinstance(y, SecretArray):
        return like._other(y).chosen(~flags, x)
    return flags._other(x).chosen(flags, y)


# -- real functions ----------------------------------------------------------------------------------------------------


def _real(names: str, text: str, kind: str = "") -> Unary:
    return _unary(names, lambda x: x._scaled(kind or names.split()[0]), text)


sqrt = _real("sqrt", "Square root of values that are not negative.")
exp = _real("exp", "e**x.")
exp2 = _real("exp2", "2**x.")
log = _real("log", "Natural logarithm of positive values.")
log2 = _real("log2", "Logarithm to base 2 of positive values.")
tanh = _real("tanh", "Hyperbolic tangent.")
sin = _real("sin", "Sine of an angle in radians.")
cos = _real("cos", "Cosine of an angle in radians.")
arctan = atan = _real("arctan atan", "Angle whose tangent is x, in radians.", "atan")
reciprocal = _real("reciprocal", "1 / x; 1 / 0 gives 0. Of integers too a fixed-point number, unlike NumPy.")
log10 = _unary("log10", lambda x: log2(x) * math.log10(2), "Logarithm to base 10 of positive values.")
log1p = _unary("log1p", lambda x: log(x + 1), "log(1 + x), without NumPy's extra precision near 0.")
expm1 = _unary("expm1", lambda x: exp(x) - 1, "exp(x) - 1, without NumPy's extra precision near 0.")
sinh = _unary("sinh", lambda x: (exp(x) - exp(-x)) / 2, "Hyperbolic sine.")
cosh = _unary("cosh", lambda x: (exp(x) + exp(-x)) / 2, "Hyperbolic cosine.")


def _tangent(x: SecretArray) -> SecretArray:
    above, below = sin(x), cos(x)
    return where(below < 0, -above, above) / below.__abs__()


tan = _unary("tan", _tangent, "Tangent of an angle in radians; near its poles the error grows.")


@secrets_only
def sigmoid(x: Any) -> SecretArray:
    """1 / (1 + exp(-x))."""
    result: SecretArray = first(x)._scaled("sigmoid")
    return result


@secrets_only
def rsqrt(x: Any) -> SecretArray:
    """1 / sqrt(x) of positive values."""
    result: SecretArray = first(x)._scaled("rsqrt")
    return result


@like_numpy("arctan2", "atan2")
def arctan2(y: Any, x: Any) -> SecretArray:
    """Angle of the point (x, y), in radians between -pi and pi."""
    left, right = (operand._real() for operand in _both(y, x))
    left, right = left._together(right)
    return left._scaled("atan2", right)


atan2 = arctan2


@like_numpy()
def hypot(x: Any, y: Any) -> SecretArray:
    """sqrt(x**2 + y**2)."""
    pair = stack(broadcast_arrays(*_both(x, y)), -1)
    return sqrt(maximum(pair._product("dot", pair), 0))


@like_numpy()
def logaddexp(x: Any, y: Any) -> SecretArray:
    """log(exp(x) + exp(y)), without leaving the range where one of them is large."""
    left, right = _both(x, y)
    return maximum(left, right) + log(exp(-(left - right).__abs__()) + 1)
