"""Comparisons, connectives, choice, and conversion of bools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorate.circuits.compare import equal, less
from quorate.circuits.logic import not_, or_
from quorate.circuits.select import select
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.lang.operations.base import Call, Kind, Range, always, broadcast_shapes, register, same_scale
from quorate.lang.plan import Operation, Type
from quorate.sharing.dtype import BOOL, INT
from quorate.sharing.share import Boolean

__all__: list[str] = []

Attributes = Mapping[str, Any]
BIT: Range = (0, 1)


def _infer_comparison(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    same_scale(types, "a comparison")
    return Type(BOOL, broadcast_shapes(types[0].shape, types[1].shape))


def _bound_comparison(call: Call) -> Range:
    (a, b), (c, d) = call.ranges
    call.fits(a - d, b - c)
    return BIT


def _difference_bits(call: Call) -> int:
    """Bits of the largest difference of the operands: comparisons need not look at more."""
    (a, b), (c, d) = call.ranges
    return max(abs(a - d), abs(b - c)).bit_length()


def _run_lt(call: Call) -> Step[Boolean]:
    return less(call.p, call.at, call.numbers(0), call.numbers(1), _difference_bits(call))


def _run_eq(call: Call) -> Step[Boolean]:
    return equal(call.p, call.at, call.numbers(0), call.numbers(1), _difference_bits(call))


register(Kind("lt", _infer_comparison, _bound_comparison, _run_lt, elementwise=True))
register(Kind("eq", _infer_comparison, _bound_comparison, _run_eq, elementwise=True))


def _infer_logic(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if any(type_.dtype != BOOL for type_ in types):
        raise UserError("& | ^ ~ work on bool values; compare numbers first")
    return Type(BOOL, broadcast_shapes(*(type_.shape for type_ in types)))


def _one_public(operation: Operation, types: Sequence[Type]) -> bool:
    return not all(type_.secret for type_ in types)


def _run_and(call: Call) -> Any:
    for index, value in enumerate(call.values):
        if isinstance(value, np.ndarray):
            mask = np.broadcast_to(value.astype(np.uint8), call.shape)
            return call.bits(1 - index).map(lambda part, mask=mask: part & mask)  # type: ignore[misc]
    return call.p.and_(call.at, call.bits(0), call.bits(1))


def _run_or(call: Call) -> Any:
    for index, value in enumerate(call.values):
        if isinstance(value, np.ndarray):
            mask = np.broadcast_to(value.astype(np.uint8), call.shape)
            kept = call.bits(1 - index).map(lambda part, mask=mask: part & (mask ^ np.uint8(1)))  # type: ignore[misc]
            return call.p.xor_public(kept, mask)
    return or_(call.p, call.at, call.bits(0), call.bits(1))


register(Kind("and", _infer_logic, lambda call: BIT, _run_and, local=_one_public, elementwise=True))
register(Kind("or", _infer_logic, lambda call: BIT, _run_or, local=_one_public, elementwise=True))
register(Kind("xor", _infer_logic, lambda call: BIT, lambda call: call.p.xor(call.bits(0), call.bits(1)), local=always))
register(Kind("not", _infer_logic, lambda call: BIT, lambda call: not_(call.p, call.bits(0)), local=always, operands=1))


def _infer_select(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if types[0].dtype != BOOL:
        raise UserError("the condition of where must be bool; compare numbers first")
    shape = broadcast_shapes(*(type_.shape for type_ in types))
    return Type(same_scale(types[1:], "where"), shape)


def _bound_select(call: Call) -> Range:
    _, (a, b), (c, d) = call.ranges
    call.fits(a - d, b - c)
    return min(a, c), max(b, d)


def _run_select(call: Call) -> Any:
    condition = call.values[0]
    if isinstance(condition, np.ndarray):
        chosen = np.broadcast_to(condition, call.shape)
        return call.p.add(call.p.scale(call.numbers(1), chosen), call.p.scale(call.numbers(2), 1 - chosen))
    return select(call.p, call.at, call.bits(0), call.numbers(1), call.numbers(2))


register(
    Kind(
        "select",
        _infer_select,
        _bound_select,
        _run_select,
        local=lambda operation, types: not types[0].secret,
        elementwise=True,
        operands=3,
    )
)


def _infer_to_int(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if types[0].dtype != BOOL:
        raise UserError("to_int takes a bool")
    return Type(INT, types[0].shape)


register(
    Kind(
        "to_int",
        _infer_to_int,
        lambda call: BIT,
        lambda call: call.p.to_arithmetic(call.at, call.bits(0)),
        elementwise=True,
        operands=1,
    )
)
