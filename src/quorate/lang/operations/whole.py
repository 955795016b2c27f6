"""Exact rounding: of fixed-point numbers to whole ones, and to a coarser scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quorate.circuits import rounding
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.lang.operations.arithmetic import infer_rescale, rescale_shift
from quorate.lang.operations.base import Accuracy, Call, Error, Kind, Range, register, require_numbers
from quorate.lang.plan import Type
from quorate.sharing.dtype import INT
from quorate.sharing.share import Arithmetic

__all__: list[str] = []

Attributes = Mapping[str, Any]
Circuit = Callable[..., Step[Arithmetic]]


def _bits(call: Call) -> int:
    """Bits of the largest magnitude, with room for what rounding adds."""
    bits = max(1, max(abs(end) for end in call.ranges[0]).bit_length())
    if bits + 1 > call.capacity:
        raise UserError(
            f"exact rounding needs one bit of room, and values of {bits} bits leave none in {call.p.name}; declare "
            "narrower ranges, or use a smaller scale"
        )
    return bits


def _nearest(value: int, unit: int) -> int:
    """value / unit, halves to the even number."""
    low, rest = divmod(value, unit)
    return low + (2 * rest > unit or (2 * rest == unit and low % 2 == 1))


def _towards_zero(value: int, unit: int) -> int:
    return value // unit if value >= 0 else -(-value // unit)


WAYS: dict[str, tuple[Circuit, Callable[[int, int], int], float]] = {
    "floor": (rounding.down, lambda value, unit: value // unit, 1.0),
    "ceil": (rounding.up, lambda value, unit: -(-value // unit), 1.0),
    "trunc": (rounding.towards_zero, _towards_zero, 1.0),
    "round": (rounding.half_to_even, _nearest, 0.5),
}
"""Kind -> circuit, the same on public integers (value, unit), and by how much results differ at most from the value."""


def _infer_whole(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "rounding")
    return Type(INT, types[0].shape)


def _scale(call: Call) -> int:
    return call.types[0].dtype.scale


def _bound_whole(call: Call) -> Range:
    low, high = call.ranges[0]
    if _scale(call) <= 0:
        return call.fits(low << -_scale(call), high << -_scale(call))
    _bits(call)
    exact, unit = WAYS[call.operation.kind][1], 1 << _scale(call)
    return exact(low, unit), exact(high, unit)


def _run_whole(call: Call) -> Any:
    if _scale(call) <= 0:
        return call.p.scale(call.numbers(0), 1 << -_scale(call))
    return WAYS[call.operation.kind][0](call.p, call.at, call.numbers(0), _scale(call), _bits(call))


def _error_whole(step: Accuracy) -> Error:
    """What an error before moves across a step of one, and where it does not, nothing: whole numbers stay whole."""
    before, own = step.errors[0].value, WAYS[step.call.operation.kind][2]
    if _scale(step.call) <= 0:
        return Error(before)
    return Error(before + own if before else own)


for _name in WAYS:
    register(
        Kind(
            _name,
            _infer_whole,
            _bound_whole,
            _run_whole,
            local=lambda operation, types: types[0].dtype.scale <= 0,
            elementwise=True,
            operands=1,
            error=_error_whole,
        )
    )


# -- a coarser scale, exactly ----------------------------------------------------------------------------------------


def _bound_rescale(call: Call) -> Range:
    (low, high), drop = call.ranges[0], rescale_shift(call.operation, call.types)
    if drop <= 0:
        return call.fits(low << -drop, high << -drop)
    _bits(call)
    return low >> drop, high >> drop


def _run_rescale(call: Call) -> Any:
    drop = rescale_shift(call.operation, call.types)
    if drop <= 0:
        return call.p.scale(call.numbers(0), 1 << -drop)
    return rounding.down(call.p, call.at, call.numbers(0), drop, _bits(call))


def _error_rescale(step: Accuracy) -> Error:
    finer = rescale_shift(step.call.operation, step.call.types) <= 0
    lost = 0.0 if finer else step.unit - math.ldexp(1.0, -step.call.types[0].dtype.scale)
    return Error(step.errors[0].value + lost)


register(
    Kind(
        "rescale_floor",
        infer_rescale,
        _bound_rescale,
        _run_rescale,
        local=lambda operation, types: rescale_shift(operation, types) <= 0,
        elementwise=True,
        operands=1,
        attributes=frozenset({"scale"}),
        error=_error_rescale,
    )
)
