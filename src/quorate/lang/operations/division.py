"""Division by a secret, means over a secret choice of elements, square roots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from quorate.circuits.divide import corrections, divide, worst_error
from quorate.circuits.root import RELATIVE_ERROR, check_root, sqrt
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.lang.operations.arithmetic import TRUNCATION, without_axis
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    broadcast_shapes,
    concrete,
    register,
    require_numbers,
    whole,
)
from quorate.lang.plan import Type
from quorate.sharing.dtype import BOOL, fixed
from quorate.sharing.share import Arithmetic

__all__: list[str] = []

Attributes = Mapping[str, Any]


def _infer_div(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "division")
    return Type(fixed(whole(attributes["scale"], "scale")), broadcast_shapes(types[0].shape, types[1].shape))


def _quotient(call: Call) -> int:
    """Bits of the largest quotient of raw values, from the operands' ranges."""
    low = call.ranges[1][0]
    if low < 0:
        raise UserError("the divisor may be negative; declare a range that starts at 0 or above, or divide by its size")
    return (max(abs(end) for end in call.ranges[0]) // max(low, 1)).bit_length()


def _bound_div(call: Call) -> Range:
    facts = _division(call)
    corrections(call.p, **facts)
    high = (1 << (facts["quotient_bits"] + max(facts["scale"], 0))) + TRUNCATION
    return call.fits(-high if call.ranges[0][0] < 0 else -TRUNCATION, high)


def _division(call: Call) -> dict[str, int]:
    """The bounds for `divide`; its scale is that of the quotient of raw operands."""
    return {
        "divisor_bits": max(1, call.ranges[1][1].bit_length()),
        "quotient_bits": _quotient(call),
        "scale": int(call.attribute("scale")) + call.types[1].dtype.scale - call.types[0].dtype.scale,
        "divisor_low": call.ranges[1][0],
    }


def _run_div(call: Call) -> Step[Arithmetic]:
    return divide(call.p, call.at, call.numbers(0), call.numbers(1), **_division(call))


def _error_div(step: Accuracy) -> Error:
    (a, b), own = (error.value for error in step.errors), 2 * worst_error(step.call.p) * step.unit
    if a == b == 0.0:
        return Error(own)
    lowest = math.ldexp(step.call.ranges[1][0], -step.call.types[1].dtype.scale)
    if lowest <= b:
        return Error(math.inf)
    return Error((a + step.sizes[0] / lowest * b) / (lowest - b) + own)


register(
    Kind("div", _infer_div, _bound_div, _run_div, elementwise=True, attributes=frozenset({"scale"}), error=_error_div)
)


def _infer_masked_mean(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if types[1].dtype != BOOL or types[0].shape != types[1].shape:
        raise UserError("mean(where=...) needs a bool array of the same shape")
    require_numbers(types[:1], "a mean")
    return Type(fixed(whole(attributes["scale"], "scale")), without_axis(types[0].shape, attributes["axis"]))


def _count(call: Call) -> int:
    return int(concrete(call.types[0].shape)[call.attribute("axis")])


def _mean_division(call: Call) -> dict[str, int]:
    """The bounds for `divide`: a mean lies in the range of the values."""
    return {
        "divisor_bits": max(1, _count(call).bit_length()),
        "quotient_bits": max(abs(end) for end in call.ranges[0]).bit_length(),
        "scale": call.attribute("scale") - call.types[0].dtype.scale,
    }


def _bound_masked_mean(call: Call) -> Range:
    low, high = call.ranges[0]
    call.fits(min(0, low * _count(call)), max(0, high * _count(call)))
    corrections(call.p, **_mean_division(call))
    up = call.attribute("scale") - call.types[0].dtype.scale
    ends = [end << up if up >= 0 else end >> -up for end in (min(low, 0), max(high, 0))]
    return call.fits(ends[0] - TRUNCATION, ends[1] + TRUNCATION)


def _run_masked_mean(call: Call) -> Step[Arithmetic]:
    """The sum over the chosen elements by their number; both stay secret."""
    axis, shape, p = call.attribute("axis"), concrete(call.types[0].shape), call.p
    chosen = yield from p.to_arithmetic(call.at.child("chosen"), call.bits(1, shape))
    flags, values = (x.map(lambda part: np.moveaxis(part, axis, -1).copy()) for x in (chosen, call.numbers(0, shape)))
    total = yield from p.dot(call.at.child("total"), values, flags)
    count = p.sum(flags, len(shape) - 1)
    return (yield from divide(p, call.at.child("mean"), total, count, **_mean_division(call)))


def _error_masked_mean(step: Accuracy) -> Error:
    return Error(step.errors[0].value + 2 * worst_error(step.call.p) * step.unit)  # twice: nothing was chosen


register(
    Kind(
        "masked_mean",
        _infer_masked_mean,
        _bound_masked_mean,
        _run_masked_mean,
        attributes=frozenset({"axis", "scale"}),
        error=_error_masked_mean,
    )
)


def _infer_sqrt(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "a square root")
    return replace(types[0], dtype=fixed(whole(attributes["scale"], "scale")), secret=True)


def _bound_sqrt(call: Call) -> Range:
    low, high = call.ranges[0]
    if low < 0:
        raise UserError(
            "the operand of sqrt may be negative; declare a range that starts at 0, or add a small number: products "
            "may come out a few units of the last place below 0"
        )
    check_root(call.p, **_root(call))
    root = (high.bit_length() + 1) // 2 + call.attribute("scale") - call.types[0].dtype.scale // 2
    return call.fits(-TRUNCATION, (1 << max(root, 0)) + TRUNCATION)


def _run_sqrt(call: Call) -> Step[Arithmetic]:
    return sqrt(call.p, call.at, call.numbers(0), low=call.ranges[0][0], **_root(call))


def _root(call: Call) -> dict[str, int]:
    """The bounds for `sqrt`."""
    bits, scale = max(1, call.ranges[0][1].bit_length()), call.attribute("scale")
    return {"bits": bits, "shift_in": call.types[0].dtype.scale, "scale": scale}


def _error_sqrt(step: Accuracy) -> Error:
    before, scale = step.errors[0], step.call.types[0].dtype.scale
    lowest = math.ldexp(step.call.ranges[0][0], -scale) - before.value
    slope = before.value / (2 * math.sqrt(lowest)) if lowest > 0 else math.inf
    own = step.call.p.truncation_error * (RELATIVE_ERROR * math.sqrt(step.sizes[0]) + step.unit)
    return Error(min(before.root, slope, math.sqrt(before.value)) + own)


register(
    Kind(
        "sqrt",
        _infer_sqrt,
        _bound_sqrt,
        _run_sqrt,
        elementwise=True,
        operands=1,
        attributes=frozenset({"scale"}),
        error=_error_sqrt,
    )
)
