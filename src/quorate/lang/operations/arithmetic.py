"""Sums, products and changes of scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorate.circuits.scaling import divide_public, division_error, division_plan
from quorate.circuits.tiles import tiled_product
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.lang.dims import Shape
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    Value,
    always,
    broadcast_shapes,
    concrete,
    register,
    require_numbers,
    same_scale,
    shape_text,
    size_or_number,
    whole,
)
from quorate.lang.plan import Operation, Type
from quorate.sharing.dtype import INT, DType, fixed
from quorate.sharing.share import Arithmetic, Share

__all__ = ["infer_rescale", "product_range", "rescale_shift", "shifted_range", "without_axis"]

TRUNCATION = 4
"""By how many units ranges are widened at a truncation; more than any protocol's error."""

Attributes = Mapping[str, Any]
SHIFT = frozenset({"shift"})


def product_range(left: Range, right: Range) -> Range:
    """The range of products."""
    corners = [a * b for a in left for b in right]
    return min(corners), max(corners)


def shifted_range(low: int, high: int, shift: int) -> Range:
    """The range after a truncation by `shift` bits."""
    return ((low >> shift) - TRUNCATION, (high >> shift) + TRUNCATION) if shift else (low, high)


def _infer_sum(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    dtype = same_scale(types, "addition")
    return Type(dtype, broadcast_shapes(*(type_.shape for type_ in types)))


def _run_add(call: Call) -> Value:
    return call.p.add(call.numbers(0), call.numbers(1))


def _run_sub(call: Call) -> Value:
    return call.p.sub(call.numbers(0), call.numbers(1))


def _bound_add(call: Call) -> Range:
    (a, b), (c, d) = call.ranges
    return call.fits(a + c, b + d)


def _bound_sub(call: Call) -> Range:
    (a, b), (c, d) = call.ranges
    return call.fits(a - d, b - c)


def _error_added(step: Accuracy) -> Error:
    return Error(sum(error.value for error in step.errors))


register(Kind("add", _infer_sum, _bound_add, _run_add, local=always, error=_error_added))
register(Kind("sub", _infer_sum, _bound_sub, _run_sub, local=always, error=_error_added))
register(
    Kind(
        "neg",
        lambda types, attributes, stated: Type(same_scale(types, "a negation"), types[0].shape),
        lambda call: (-call.ranges[0][1], -call.ranges[0][0]),
        lambda call: call.p.neg(call.numbers(0)),
        local=always,
        operands=1,
    )
)


# -- products --------------------------------------------------------------------------------------------------------


def product_type(types: Sequence[Type], attributes: Attributes) -> DType:
    """Integers of one width give that width; else fixed with the scales added and the shift taken off."""
    require_numbers(types, "multiplication")
    shift = whole(attributes.get("shift", 0), "shift")
    if not 0 <= shift < 60:
        raise UserError(f"shift {shift!r} must lie between 0 and 59 bits")
    scale = sum(type_.dtype.scale for type_ in types) - shift
    integers = all(type_.dtype.kind == "int" for type_ in types) and not shift
    if not integers:
        return fixed(scale)
    widths = {type_.dtype for type_ in types}
    return widths.pop() if len(widths) == 1 else INT


def _infer_mul(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    left, right = types
    return Type(product_type(types, attributes), broadcast_shapes(left.shape, right.shape))


def _bound_mul(call: Call) -> Range:
    low, high = product_range(*call.ranges)
    if call.operation.operands[0] == call.operation.operands[1]:
        low = max(low, 0)
    return shifted_range(*call.fits(low, high), call.attribute("shift", 0))


def _local_mul(operation: Operation, types: Sequence[Type]) -> bool:
    return not all(type_.secret for type_ in types) and not operation.attributes.get("shift", 0)


def _run_mul(call: Call) -> Any:
    shift = call.attribute("shift", 0)
    public = [isinstance(value, np.ndarray) for value in call.values]
    if not any(public):
        return call.p.mul(call.at, call.numbers(0), call.numbers(1), shift)
    secret = 1 if public[0] else 0  # of two public ones the first goes as a share
    factor = np.broadcast_to(call.values[1 - secret], call.shape)
    scaled = call.p.scale(call.numbers(secret), factor)
    return call.p.truncate(call.at, scaled, shift) if shift else scaled


def _terms(step: Accuracy, axis: int) -> int:
    return concrete(step.call.types[0].shape)[axis]


def _error_product(step: Accuracy) -> Error:
    (a, b), (x, y) = (error.value for error in step.errors), step.sizes
    terms = 1 if step.call.operation.kind == "mul" else _terms(step, -1)
    own = step.truncation if step.call.attribute("shift", 0) else 0.0
    return Error(terms * (x * b + y * a + a * b) + own)


def _run_large_mul(call: Call) -> Any:
    if all(isinstance(value, Share) for value in call.values):
        return tiled_product(call.p, call.at, call.numbers(0), call.numbers(1), call.attribute("shift", 0))
    return None


register(
    Kind(
        "mul",
        _infer_mul,
        _bound_mul,
        _run_mul,
        local=_local_mul,
        elementwise=True,
        tiled=_run_large_mul,
        attributes=SHIFT,
        error=_error_product,
    )
)


def _infer_dot(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    left, right = (type_.shape for type_ in types)
    if left != right or not left:
        raise UserError(f"inner products of shapes {shape_text(left)} and {shape_text(right)}")
    return Type(product_type(types, attributes), left[:-1])


def _sum_of_products(call: Call, count: int, squares: bool = True) -> Range:
    low, high = product_range(*call.ranges)
    if squares and call.operation.operands[0] == call.operation.operands[1]:
        low = max(low, 0)
    return shifted_range(*call.fits(min(low * count, 0), max(high * count, 0)), call.attribute("shift", 0))


def _run_dot(call: Call) -> Step[Arithmetic]:
    shape = concrete(call.types[0].shape)
    return call.p.dot(call.at, call.numbers(0, shape), call.numbers(1, shape), call.attribute("shift", 0))


register(
    Kind(
        "dot",
        _infer_dot,
        lambda call: _sum_of_products(call, concrete(call.types[0].shape)[-1]),
        _run_dot,
        attributes=SHIFT,
        error=_error_product,
    )
)


def _infer_matmul(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    left, right = (type_.shape for type_ in types)
    if len(left) != 2 or len(right) != 2 or left[1] != right[0]:
        raise UserError(f"matrix product of shapes {shape_text(left)} and {shape_text(right)}")
    return Type(product_type(types, attributes), (left[0], right[1]))


def _run_matmul(call: Call) -> Step[Arithmetic]:
    shapes = [concrete(type_.shape) for type_ in call.types]
    operands = [call.numbers(index, shape) for index, shape in enumerate(shapes)]
    return call.p.matmul(call.at, operands[0], operands[1], call.attribute("shift", 0))


register(
    Kind(
        "matmul",
        _infer_matmul,
        lambda call: _sum_of_products(call, concrete(call.types[0].shape)[1], squares=False),
        _run_matmul,
        attributes=SHIFT,
        error=_error_product,
    )
)


# -- sums over an axis -----------------------------------------------------------------------------------------------


def without_axis(shape: Shape, axis: int) -> Shape:
    """The shape after a reduction over `axis` (not negative). Raises `UserError` if there is no such axis."""
    whole(axis, "axis")
    if not 0 <= axis < len(shape):
        raise UserError(f"axis {axis} of an array of {len(shape)} dimensions")
    return shape[:axis] + shape[axis + 1 :]


def _infer_total(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "a sum")
    return Type(types[0].dtype, without_axis(types[0].shape, attributes["axis"]))


def _bound_total(call: Call) -> Range:
    count = concrete(call.types[0].shape)[call.attribute("axis")]
    low, high = call.ranges[0]
    return call.fits(min(0, low * count), max(0, high * count))


register(
    Kind(
        "sum",
        _infer_total,
        _bound_total,
        lambda call: call.p.sum(call.numbers(0, concrete(call.types[0].shape)), call.attribute("axis")),
        local=always,
        operands=1,
        attributes=frozenset({"axis"}),
        error=lambda step: Error(step.errors[0].value * _terms(step, step.call.attribute("axis"))),
    )
)


# -- changes of scale ------------------------------------------------------------------------------------------------


def infer_rescale(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    """Fixed point of the scale that the attribute names."""
    require_numbers(types, "a change of scale")
    return Type(fixed(whole(attributes["scale"], "scale")), types[0].shape)


def rescale_shift(operation: Operation, types: Sequence[Type]) -> int:
    """By how many bits a change of scale makes values coarser; negative: finer."""
    return int(types[0].dtype.scale - operation.attributes["scale"])


def _bound_rescale(call: Call) -> Range:
    shift = rescale_shift(call.operation, call.types)
    low, high = call.ranges[0]
    return shifted_range(low, high, shift) if shift > 0 else call.fits(low << -shift, high << -shift)


def _run_rescale(call: Call) -> Any:
    shift = rescale_shift(call.operation, call.types)
    if shift > 0:
        return call.p.truncate(call.at, call.numbers(0), shift)
    return call.p.scale(call.numbers(0), 1 << -shift)


def _error_rescale(step: Accuracy) -> Error:
    finer = step.unit <= 2.0 ** -step.call.types[0].dtype.scale
    return Error(step.errors[0].value + (0.0 if finer else step.truncation))


register(
    Kind(
        "rescale",
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


def _infer_div_public(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "division")
    _check_divisor(attributes["divisor"])
    return Type(fixed(whole(attributes["scale"], "scale")), types[0].shape)


def _check_divisor(value: Any) -> None:
    divisor = size_or_number(value, "divisor")
    if isinstance(divisor, int) and not 0 < abs(divisor) < 1 << 40:
        hint = " (a mean of no rows, or a variance of too few, is not defined)" if divisor == 0 else ""
        raise UserError(f"division by {divisor}; the divisor must lie between 1 and 2**40{hint}")


def _raise(call: Call) -> int:
    return int(call.attribute("scale")) - call.types[0].dtype.scale


def _limit(call: Call) -> int:
    return max(1, *(abs(end) for end in call.ranges[0]))


def _bound_div_public(call: Call) -> Range:
    divisor, up = call.attribute("divisor"), _raise(call)
    division_plan(call.p, abs(divisor), up, _limit(call))
    ends = [end * (1 << max(up, 0)) // (divisor << max(-up, 0)) for end in call.ranges[0]]
    return call.fits(min(ends) - TRUNCATION, max(ends) + TRUNCATION)


def _run_div_public(call: Call) -> Step[Arithmetic]:
    return divide_public(call.p, call.at, call.numbers(0), call.attribute("divisor"), _raise(call), _limit(call))


def _error_div_public(step: Accuracy) -> Error:
    return Error(step.errors[0].value / abs(step.call.attribute("divisor")) + division_error(step.call.p) * step.unit)


register(
    Kind(
        "div_public",
        _infer_div_public,
        _bound_div_public,
        _run_div_public,
        elementwise=True,
        operands=1,
        attributes=frozenset({"divisor", "scale"}),
        error=_error_div_public,
    )
)


# -- mean of squares: the heart of the variance ----------------------------------------------------------------------


def _infer_mean_square(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "a mean of squares")
    _check_divisor(attributes["divisor"])
    return Type(fixed(whole(attributes["scale"], "scale")), without_axis(types[0].shape, attributes["axis"]))


def _square_drop(call: Call) -> int:
    """Fraction bits to drop from the operand so that the sum of squares fits."""
    count = concrete(call.types[0].shape)[call.attribute("axis")]
    largest = max(abs(end) for end in call.ranges[0])
    drop = 0
    while count * ((largest >> drop) + TRUNCATION) ** 2 >= 1 << (call.capacity - 1):
        drop += 1
    return drop


def _square_facts(call: Call) -> tuple[int, int]:
    """By how many bits the sum of squares is to be raised, and the largest that it can be."""
    drop, largest = _square_drop(call), max(abs(end) for end in call.ranges[0])
    count = max(1, concrete(call.types[0].shape)[call.attribute("axis")])
    limit = count * ((largest >> drop) + TRUNCATION) ** 2
    return call.attribute("scale") - 2 * (call.types[0].dtype.scale - drop), limit


def _bound_mean_square(call: Call) -> Range:
    largest = max(abs(end) for end in call.ranges[0])
    shift = 2 * call.types[0].dtype.scale - call.attribute("scale")
    count = concrete(call.types[0].shape)[call.attribute("axis")]
    high = (largest + TRUNCATION) ** 2 * 2 * count // call.attribute("divisor")
    division_plan(call.p, call.attribute("divisor"), *_square_facts(call))
    return call.fits(0, (high >> shift if shift > 0 else high << -shift) + 2 * TRUNCATION)


def _run_mean_square(call: Call) -> Step[Arithmetic]:
    axis, drop = call.attribute("axis"), _square_drop(call)
    x = call.numbers(0, concrete(call.types[0].shape)).map(lambda part: np.moveaxis(part, axis, -1))
    if drop:
        x = yield from call.p.truncate(call.at.child("coarser"), x, drop)
    total = yield from call.p.dot(call.at.child("squares"), x, x)
    mean = yield from divide_public(
        call.p, call.at.child("mean"), total, call.attribute("divisor"), *_square_facts(call)
    )
    # Rounded up by the error of the division, so that the mean of squares is never negative.
    return call.p.add_public(mean, np.full(mean.shape, int(division_error(call.p)), np.int64))


def _error_mean_square(step: Accuracy) -> Error:
    """The root of a mean of squares moves by no more than the largest change of an element."""
    drop, scale = _square_drop(step.call), step.call.types[0].dtype.scale
    each = step.errors[0].value + (step.call.p.truncation_error * 2.0 ** (drop - scale) if drop else 0.0)
    own = 2 * division_error(step.call.p) * step.unit
    ratio = _terms(step, step.call.attribute("axis")) / max(1, step.call.attribute("divisor"))
    return Error(ratio * (2 * step.sizes[0] * each + each**2) + own, math.sqrt(ratio) * each + math.sqrt(own))


register(
    Kind(
        "mean_square",
        _infer_mean_square,
        _bound_mean_square,
        _run_mean_square,
        operands=1,
        attributes=frozenset({"axis", "divisor", "scale"}),
        error=_error_mean_square,
    )
)
