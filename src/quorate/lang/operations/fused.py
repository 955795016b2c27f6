"""Kinds that the planner makes: sums of products in one message, and choices by bits that are numbers already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.lang.operations.arithmetic import product_range, product_type, shifted_range
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    a_list,
    broadcast_shapes,
    concrete,
    register,
    same_scale,
    shape_text,
)
from quorate.lang.plan import Type
from quorate.sharing.dtype import INT
from quorate.sharing.share import Arithmetic

__all__: list[str] = []

Attributes = Mapping[str, Any]


def _infer_products(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    """The type of a sum of products of pairs of operands."""
    pairs, signs = list(zip(types[::2], types[1::2], strict=True)), a_list(attributes["signs"])
    if len(signs) != len(pairs) or any(sign not in (1, -1) or type(sign) is not int for sign in signs):
        raise UserError(f"products of {len(pairs)} pairs with signs {signs}; one sign, 1 or -1, belongs to each pair")
    dtypes = {product_type(pair, attributes) for pair in pairs}
    if len(dtypes) != 1:
        raise UserError(f"a sum of products of {' and '.join(sorted(str(dtype) for dtype in dtypes))}")
    return Type(dtypes.pop(), broadcast_shapes(*(type_.shape for type_ in types)))


def _infer_inner(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    """The same, where each pair is multiplied along its last axis, as in `dot`."""
    for first, second in zip(types[::2], types[1::2], strict=True):
        if first.shape != second.shape or not first.shape:
            raise UserError(f"inner products of shapes {shape_text(first.shape)} and {shape_text(second.shape)}")
    shorter = [Type(type_.dtype, type_.shape[:-1], type_.secret) for type_ in types]
    return _infer_products(shorter, attributes, stated)


def _lengths(call: Call) -> list[int]:
    """How many products each pair stands for."""
    firsts = call.types[::2]
    return [concrete(type_.shape)[-1] for type_ in firsts] if _is_inner(call) else [1] * len(firsts)


def _is_inner(call: Call) -> bool:
    return call.operation.kind == "inner_products"


def _bound_products(call: Call) -> Range:
    operands, total_low, total_high = call.operation.operands, 0, 0
    for k, (sign, length) in enumerate(zip(call.attribute("signs"), _lengths(call), strict=True)):
        low, high = product_range(call.ranges[2 * k], call.ranges[2 * k + 1])
        if operands[2 * k] == operands[2 * k + 1]:
            low = max(low, 0)
        low, high = (low, high) if sign > 0 else (-high, -low)
        total_low, total_high = total_low + low * length, total_high + high * length
    return shifted_range(*call.fits(total_low, total_high), call.attribute("shift", 0))


def _run_products(call: Call) -> Step[Arithmetic]:
    """One inner product over all pairs, side by side along a last axis."""
    lefts, rights = [], []
    for k, (sign, length) in enumerate(zip(call.attribute("signs"), _lengths(call), strict=True)):
        shape = (*call.shape, length)
        left, right = (_along_last(call, 2 * k + one, shape) for one in (0, 1))
        lefts.append(left if sign > 0 else call.p.neg(left))
        rights.append(right)
    return call.p.dot(call.at, _side_by_side(lefts), _side_by_side(rights), call.attribute("shift", 0))


def _along_last(call: Call, index: int, shape: tuple[int, ...]) -> Arithmetic:
    if _is_inner(call):
        return call.numbers(index, shape)
    return call.numbers(index).map(lambda part: part.reshape(shape))


def _side_by_side(shares: Sequence[Arithmetic]) -> Arithmetic:
    columns = zip(*(share.parts for share in shares), strict=True)
    return shares[0].with_parts(tuple(np.concatenate(column, axis=-1) for column in columns))


def _error_products(step: Accuracy) -> Error:
    total = step.truncation if step.call.attribute("shift", 0) else 0.0
    for k, length in enumerate(_lengths(step.call)):
        (a, b), (x, y) = step.errors[2 * k : 2 * k + 2], step.sizes[2 * k : 2 * k + 2]
        total += length * (x * b.value + y * a.value + a.value * b.value)
    return Error(total)


for name, infer in (("products", _infer_products), ("inner_products", _infer_inner)):
    register(
        Kind(
            name,
            infer,
            _bound_products,
            _run_products,
            elementwise=name == "products",
            operands=None,
            attributes=frozenset({"signs", "shift"}),
            error=_error_products,
        )
    )


# -- a choice by a number that is 0 or 1 -----------------------------------------------------------------------------


def _infer_blend(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if types[0].dtype != INT:
        raise UserError("blend chooses by an integer that is 0 or 1")
    return Type(same_scale(types[1:], "blend"), broadcast_shapes(*(type_.shape for type_ in types)))


def _bound_blend(call: Call) -> Range:
    flag, (a, b), (c, d) = call.ranges
    if flag[0] < 0 or flag[1] > 1:
        raise UserError(f"blend chooses by a number from {flag[0]} to {flag[1]}; it must be 0 or 1")
    call.fits(a - d, b - c)
    return min(a, c), max(b, d)


def _run_blend(call: Call) -> Step[Arithmetic]:
    """y + flag * (x - y)."""
    x, y = call.numbers(1), call.numbers(2)
    product = yield from call.p.mul(call.at, call.numbers(0), call.p.sub(x, y))
    return call.p.add(y, product)


register(
    Kind(
        "blend",
        _infer_blend,
        _bound_blend,
        _run_blend,
        elementwise=True,
        operands=3,
        error=lambda step: Error(max(error.value for error in step.errors[1:])),
    )
)
