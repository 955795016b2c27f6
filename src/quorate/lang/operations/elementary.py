"""Powers, logarithms, roots, the logistic function, sines and angles of secrets: kinds on the circuits of these names.

Every kind has the attribute `scale`, the fraction bits of its result. Ranges decide how a function is computed, and
whether it can be: an operand that may be where the function is not defined is refused, with a word on what to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from quorate.circuits import divide, exponential, logarithm, root, sigmoid, trigonometry
from quorate.circuits.exponential import LOG2_E
from quorate.circuits.logarithm import LN_2
from quorate.circuits.trigonometry import PI
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    broadcast_shapes,
    register,
    require_numbers,
    whole,
)
from quorate.lang.plan import Type
from quorate.sharing.dtype import fixed
from quorate.sharing.share import Arithmetic

__all__: list[str] = []

Attributes = Mapping[str, Any]
SCALE = frozenset({"scale"})
ONE = Fraction(1)

Circuit = Callable[[Call], Step[Arithmetic]]
Bound = Callable[[Call], Range]
Rule = Callable[[Accuracy], Error]


def _define(name: str, bound: Bound, run: Circuit, error: Rule, operands: int = 1) -> None:
    def infer(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
        require_numbers(types, name)
        scale = whole(attributes["scale"], "scale")
        if scale < 1:
            raise UserError(f"{name} with a scale of {scale}; its result needs fraction bits: use a scale of 1 or more")
        return Type(fixed(scale), broadcast_shapes(*(type_.shape for type_ in types)))

    register(Kind(name, infer, bound, run, elementwise=True, operands=operands, attributes=SCALE, error=error))


def _scale(call: Call) -> int:
    return int(call.attribute("scale"))


def _shift(call: Call, index: int = 0) -> int:
    return call.types[index].dtype.scale


def _real(call: Call, index: int = 0) -> tuple[float, float]:
    """The range of an operand in real units."""
    low, high = call.ranges[index]
    return math.ldexp(low, -_shift(call, index)), math.ldexp(high, -_shift(call, index))


def _largest(call: Call, index: int = 0) -> int:
    return max(abs(end) for end in call.ranges[index])


def _log2(x: float) -> float:
    """log2 as every machine gives it: ranges decide how parties compute, and mathematical libraries differ."""
    with localcontext(prec=40):
        return float(Decimal(x).ln() / Decimal(2).ln())


def _exp2(x: Fraction) -> float:
    """2**x likewise."""
    with localcontext(prec=40):
        return float((Decimal(x.numerator) / Decimal(x.denominator) * Decimal(2).ln()).exp())


def _around(call: Call, low: float, high: float, units: float) -> Range:
    """Real bounds as raw ones, with room for an error in units."""
    more = math.ceil(units) + 1
    ends = [math.ldexp(end, _scale(call)) for end in (low, high)]
    return call.fits(math.floor(ends[0]) - more, math.ceil(ends[1]) + more)


def _positive(call: Call, what: str) -> None:
    if call.ranges[0][0] < 1:
        raise UserError(
            f"the operand of {what} may be 0 or negative; declare a range that starts above 0, or take the maximum "
            "with a small number first"
        )


# -- powers ----------------------------------------------------------------------------------------------------------


def _exponent(call: Call, base: Fraction) -> dict[str, Any]:
    """The bounds for `exponential.power`; `base` is the logarithm of the base to base 2."""
    low, high = call.ranges[0]
    return {"rate": base * Fraction(2) ** -_shift(call), "low": low, "high": high, "scale": _scale(call)}


def _bound_power(call: Call, facts: Mapping[str, Any]) -> Range:
    how = exponential.power_plan(call.p, **facts)
    relative, units = exponential.power_error(call.p, how, facts["rate"], facts["low"], facts["high"])
    return _around(call, 0.0, _exp2(facts["high"] * facts["rate"]) * (1 + relative), units)


def _power_error(step: Accuracy, facts: Mapping[str, Any], before: float) -> Error:
    """Of the circuit, and what an error of the exponent (of base 2) does to the result."""
    how = exponential.power_plan(step.call.p, **facts)
    relative, units = exponential.power_error(step.call.p, how, facts["rate"], facts["low"], facts["high"])
    largest = 2.0 ** min(1000.0, float(facts["high"] * facts["rate"]))
    grown = math.expm1(min(700.0, before * math.log(2)))
    return Error(largest * (grown + relative * (1 + grown)) + units * step.unit)


def _define_exp(name: str, base: Fraction) -> None:
    def run(call: Call) -> Step[Arithmetic]:
        return exponential.power(call.p, call.at, call.numbers(0), **_exponent(call, base))

    def error(step: Accuracy) -> Error:
        return _power_error(step, _exponent(step.call, base), step.errors[0].value * float(base))

    _define(name, lambda call: _bound_power(call, _exponent(call, base)), run, error)


_define_exp("exp", LOG2_E)
_define_exp("exp2", ONE)


# -- logarithms ------------------------------------------------------------------------------------------------------


def _define_log(name: str, base: Fraction) -> None:
    def bound(call: Call) -> Range:
        _positive(call, name)
        low, high = _real(call)
        units = logarithm.logarithm_error(call.p, high=call.ranges[0][1], base=base, scale=_scale(call))
        return _around(call, _log2(low) * float(base), _log2(high) * float(base), units)

    def run(call: Call) -> Step[Arithmetic]:
        low, high = call.ranges[0]
        return logarithm.logarithm(
            call.p, call.at, call.numbers(0), low=low, high=high, shift_in=_shift(call), base=base, scale=_scale(call)
        )

    def error(step: Accuracy) -> Error:
        call, before = step.call, step.errors[0].value
        units = logarithm.logarithm_error(call.p, high=call.ranges[0][1], base=base, scale=_scale(call))
        low = _real(call)[0] - before
        grown = before / low / math.log(2) * float(base) if low > 0 else math.inf if before else 0.0
        return Error(grown + units * step.unit)

    _define(name, bound, run, error)


_define_log("log", LN_2)
_define_log("log2", ONE)


# -- a secret power of a secret --------------------------------------------------------------------------------------


def _log_scale(call: Call) -> int:
    """Fraction bits of the logarithm, so many that its error and the product of both exponents fit."""
    room = call.capacity - 2 - _largest(call, 1).bit_length() - 7
    return max(8, min(26, room))


def _pow(call: Call) -> dict[str, Any]:
    """The bounds for `exponential.power` on exponent times logarithm."""
    _positive(call, "pow")
    digits = _log_scale(call)
    units = math.ceil(_log_units(call)) + 1
    ends = [math.floor(math.ldexp(_log2(end), digits)) for end in _real(call)]
    products = [a * b for a in (ends[0] - units, ends[1] + 1 + units) for b in call.ranges[1]]
    low, high = call.fits(min(products), max(products))
    return {"rate": Fraction(2) ** -(digits + _shift(call, 1)), "low": low, "high": high, "scale": _scale(call)}


def _log_units(call: Call) -> float:
    return logarithm.logarithm_error(call.p, high=call.ranges[0][1], base=ONE, scale=_log_scale(call))


def _run_pow(call: Call) -> Step[Arithmetic]:
    low, high = call.ranges[0]
    exponent = yield from logarithm.logarithm(
        call.p,
        call.at.child("logarithm"),
        call.numbers(0),
        low=low,
        high=high,
        shift_in=_shift(call),
        base=ONE,
        scale=_log_scale(call),
    )
    product = yield from call.p.mul(call.at.child("product"), exponent, call.numbers(1))
    return (yield from exponential.power(call.p, call.at.child("power"), product, **_pow(call)))


def _error_pow(step: Accuracy) -> Error:
    """Errors of the exponent of base 2: that of the logarithm times the exponent, and the other way round."""
    call, (base, exponent) = step.call, (error.value for error in step.errors)
    low = _real(call)[0] - base
    logs = math.ldexp(_log_units(call), -_log_scale(call)) + (base / low / math.log(2) if low > 0 else math.inf)
    size = max(abs(math.log2(end)) for end in _real(call))
    return _power_error(step, _pow(call), logs * (step.sizes[1] + exponent) + size * exponent)


_define("pow", lambda call: _bound_power(call, _pow(call)), _run_pow, _error_pow, operands=2)


# -- reciprocals and inverse roots -----------------------------------------------------------------------------------


def _reciprocal(call: Call) -> dict[str, int]:
    low, high = call.ranges[0]
    if low < 0:
        raise UserError("the operand of reciprocal may be negative; declare a range that starts at 0 or above")
    least = max(low, 1)
    return {
        "divisor_bits": max(1, high.bit_length()),
        "quotient_bits": 0 if least > 1 else 1,
        "scale": _scale(call) + _shift(call),
        "divisor_low": low,
    }


def _bound_reciprocal(call: Call) -> Range:
    divide.corrections(call.p, **_reciprocal(call))
    low, high = (max(1, end) for end in call.ranges[0])
    least = 0.0 if call.ranges[0][0] < 1 else math.ldexp(1 / high, _shift(call))
    return _around(call, least, math.ldexp(1 / low, _shift(call)), 2 * divide.worst_error(call.p))


def _error_reciprocal(step: Accuracy) -> Error:
    before, own = step.errors[0].value, 2 * divide.worst_error(step.call.p) * step.unit
    low = _real(step.call)[0]
    return Error(own + (0.0 if not before else before / (low * (low - before)) if low > before else math.inf))


_define(
    "reciprocal",
    _bound_reciprocal,
    lambda call: divide.divide(call.p, call.at, 1, call.numbers(0), **_reciprocal(call)),
    _error_reciprocal,
)


def _rsqrt(call: Call) -> dict[str, int]:
    _positive(call, "rsqrt")
    low, high = call.ranges[0]
    return {"bits": high.bit_length(), "shift_in": _shift(call), "scale": _scale(call), "low": low}


def _rsqrt_own(call: Call) -> float:
    """Worst error of the circuit in units, at the smallest operand."""
    largest = math.ldexp(1 / math.sqrt(_real(call)[0]), _scale(call))
    return call.p.truncation_error * (root.inverse_root_error(call.p, **_rsqrt(call)) * largest + 1)


def _bound_rsqrt(call: Call) -> Range:
    root.check_inverse_root(call.p, **_rsqrt(call))
    low, high = _real(call)
    return _around(call, 1 / math.sqrt(high), 1 / math.sqrt(low), _rsqrt_own(call))


def _error_rsqrt(step: Accuracy) -> Error:
    before, low = step.errors[0].value, _real(step.call)[0] - step.errors[0].value
    grown = before / (2 * low**1.5) if low > 0 else math.inf
    return Error((grown if before else 0.0) + _rsqrt_own(step.call) * step.unit)


_define(
    "rsqrt",
    _bound_rsqrt,
    lambda call: root.inverse_root(call.p, call.at, call.numbers(0), **_rsqrt(call)),
    _error_rsqrt,
)


# -- logistic function and hyperbolic tangent ------------------------------------------------------------------------


def _level(call: Call, logistic: bool) -> dict[str, int]:
    """The bounds for `sigmoid.tanh`."""
    low, high = call.ranges[0]
    return {"low": low, "high": high, "shift_in": _shift(call) + logistic, "scale": _scale(call) - logistic}


def _define_level(name: str, logistic: bool, steepest: float) -> None:
    def bound(call: Call) -> Range:
        units = sigmoid.tanh_error(call.p, **_level(call, logistic))
        return _around(call, 0.0 if logistic else -1.0, 1.0, units)

    def run(call: Call) -> Step[Arithmetic]:
        circuit = sigmoid.sigmoid if logistic else sigmoid.tanh
        facts = {**_level(call, logistic), "shift_in": _shift(call), "scale": _scale(call)}
        return circuit(call.p, call.at, call.numbers(0), **facts)

    def error(step: Accuracy) -> Error:
        own = sigmoid.tanh_error(step.call.p, **_level(step.call, logistic)) * step.unit
        return Error(own + steepest * step.errors[0].value)

    _define(name, bound, run, error)


_define_level("sigmoid", True, 0.25)
_define_level("tanh", False, 1.0)


# -- sines and angles ------------------------------------------------------------------------------------------------


def _define_wave(name: str, circuit: Callable[..., Step[Arithmetic]]) -> None:
    def units(call: Call) -> float:
        return trigonometry.wave_error(call.p, largest=_largest(call), shift_in=_shift(call), scale=_scale(call))

    def run(call: Call) -> Step[Arithmetic]:
        return circuit(call.p, call.at, call.numbers(0), shift_in=_shift(call), scale=_scale(call))

    def error(step: Accuracy) -> Error:
        return Error(step.errors[0].value + units(step.call) * step.unit)

    _define(name, lambda call: _around(call, -1.0, 1.0, units(call)), run, error)


_define_wave("sin", trigonometry.sine)
_define_wave("cos", trigonometry.cosine)


def _atan(call: Call) -> dict[str, int]:
    bits = _largest(call).bit_length()
    if _shift(call) < 0:
        raise UserError("atan of numbers with a negative scale; use astype with a scale of 0 or more first")
    return {"bits": bits, "shift_in": _shift(call), "scale": _scale(call)}


def _bound_atan(call: Call) -> Range:
    facts = _atan(call)
    reach = 0 if facts["bits"] <= facts["shift_in"] else facts["bits"]
    trigonometry.arctangent_plan(call.p, bits=reach, scale=_scale(call))
    call.fits(-2 * _largest(call), 2 * _largest(call))
    low, high = (float(PI / 2) * (end > 0) - float(PI / 2) * (end < 0) for end in call.ranges[0])
    return _around(call, min(low, 0.0), max(high, 0.0), trigonometry.arctangent_error(call.p, **facts))


_define(
    "atan",
    _bound_atan,
    lambda call: trigonometry.arctangent(call.p, call.at, call.numbers(0), **_atan(call)),
    lambda step: Error(
        step.errors[0].value + trigonometry.arctangent_error(step.call.p, **_atan(step.call)) * step.unit
    ),
)


def _atan2(call: Call) -> dict[str, int]:
    if _shift(call, 0) != _shift(call, 1):
        raise UserError("atan2 of numbers of different scales; use astype to give both one scale")
    return {"bits": max(1, _largest(call, 0).bit_length(), _largest(call, 1).bit_length()), "scale": _scale(call)}


def _bound_atan2(call: Call) -> Range:
    facts = _atan2(call)
    trigonometry.arctangent_plan(call.p, **facts)
    call.fits(-(2 << facts["bits"]), 2 << facts["bits"])
    reach = float(PI)
    return _around(call, -reach, reach, trigonometry.arctangent_error(call.p, shift_in=0, **facts))


def _error_atan2(step: Accuracy) -> Error:
    """An error of the vector turns it without limit where the vector may be short."""
    own = trigonometry.arctangent_error(step.call.p, shift_in=0, **_atan2(step.call)) * step.unit
    before = math.hypot(*(error.value for error in step.errors))
    if not before:
        return Error(own)
    gaps = [max(0.0, low, -high) for low, high in (_real(step.call, 0), _real(step.call, 1))]
    shortest = math.hypot(*gaps)
    return Error(own + math.asin(before / shortest) if shortest > before else math.inf)


_define(
    "atan2",
    _bound_atan2,
    lambda call: trigonometry.vector_angle(call.p, call.at, call.numbers(0), call.numbers(1), **_atan2(call)),
    _error_atan2,
    operands=2,
)
