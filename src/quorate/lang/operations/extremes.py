"""Reductions and running values along an axis: extremes and their places, any, all, counts, products, scans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from quorate.circuits.extremes import extreme, extreme_position
from quorate.circuits.radix import prefix_sums
from quorate.circuits.reduce import all_of, any_of, ones, product_of
from quorate.circuits.scan import OPERATIONS, running_extreme, segmented_scan
from quorate.circuits.strips import rows_first
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.kernels.ghost import contiguous
from quorate.lang.operations.arithmetic import product_range, shifted_range, without_axis
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    always,
    concrete,
    register,
    require_numbers,
    shape_text,
)
from quorate.lang.plan import Type
from quorate.sharing.dtype import BOOL, INT
from quorate.sharing.share import Arithmetic, Boolean

__all__: list[str] = []

Attributes = Mapping[str, Any]
AXIS = frozenset({"axis"})
BIT: Range = (0, 1)
T = TypeVar("T")


def _rows(call: Call) -> int:
    """How many elements lie along the axis."""
    axis: int = call.attribute("axis", 0)
    return concrete(call.types[0].shape)[axis]


def _numbers(call: Call) -> Arithmetic:
    """The operand with the axis first."""
    return rows_first(call.numbers(0, concrete(call.types[0].shape)), call.attribute("axis", 0))


def _bits(call: Call) -> Boolean:
    return rows_first(call.bits(0, concrete(call.types[0].shape)), call.attribute("axis"))


def _axis_last_moved(call: Call, x: Arithmetic) -> Arithmetic:
    """The inverse of `rows_first`."""
    return x.map(lambda part: contiguous(np.moveaxis(part, 0, call.attribute("axis"))))


def _difference_bits(call: Call) -> int:
    """Differences of the operand's values are below 2 to this. Raises `UserError` if they do not fit."""
    low, high = call.ranges[0]
    call.fits(low - high, high - low)
    return (high - low).bit_length()


# -- extremes --------------------------------------------------------------------------------------------------------


def _check_not_empty(name: str, types: Sequence[Type], attributes: Attributes) -> None:
    require_numbers(types, name)
    without_axis(types[0].shape, attributes["axis"])
    if types[0].shape[attributes["axis"]] == 0:
        raise UserError(
            f"{name} of no elements is not defined: axis {attributes['axis']} of {shape_text(types[0].shape)} is empty;"
            " ask for at least one row (min_rows), or add a value that stands for nothing"
        )


def _register_extreme(name: str, *, largest: bool) -> None:
    def infer(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
        _check_not_empty(name, types, attributes)
        return Type(types[0].dtype, without_axis(types[0].shape, attributes["axis"]))

    def infer_place(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
        _check_not_empty(f"arg{name}", types, attributes)
        return Type(INT, without_axis(types[0].shape, attributes["axis"]))

    def bound(call: Call) -> Range:
        _difference_bits(call)
        return call.ranges[0]

    def bound_place(call: Call) -> Range:
        _difference_bits(call)
        return 0, _rows(call) - 1

    def run(call: Call) -> Step[Arithmetic]:
        return extreme(call.p, call.at, _numbers(call), largest=largest, bits=_difference_bits(call))

    def run_place(call: Call) -> Step[Arithmetic]:
        return extreme_position(call.p, call.at, _numbers(call), largest=largest, bits=_difference_bits(call))

    register(Kind(name, infer, bound, run, operands=1, attributes=AXIS))
    register(Kind(f"arg{name}", infer_place, bound_place, run_place, operands=1, attributes=AXIS, error=_exact))


def _exact(step: Accuracy) -> Error:
    """Of what is decided by comparisons, which are exact on the numbers as stored."""
    return Error(0.0)


_register_extreme("min", largest=False)
_register_extreme("max", largest=True)


# -- any, all, counts ------------------------------------------------------------------------------------------------


def _infer_bits(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if types[0].dtype != BOOL:
        raise UserError("any, all and count work on bool values; compare numbers first, for example with != 0")
    return Type(BOOL, without_axis(types[0].shape, attributes["axis"]))


def _infer_count(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    return Type(INT, _infer_bits(types, attributes, stated).shape)


register(
    Kind(
        "any",
        _infer_bits,
        lambda call: BIT,
        lambda call: any_of(call.p, call.at, _bits(call)),
        operands=1,
        attributes=AXIS,
    )
)
register(
    Kind(
        "all",
        _infer_bits,
        lambda call: BIT,
        lambda call: all_of(call.p, call.at, _bits(call)),
        operands=1,
        attributes=AXIS,
    )
)
register(
    Kind(
        "count",
        _infer_count,
        lambda call: (0, _rows(call)),
        lambda call: ones(call.p, call.at, _bits(call)),
        operands=1,
        attributes=AXIS,
        error=_exact,
    )
)


# -- products --------------------------------------------------------------------------------------------------------


def _infer_prod(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "prod")
    return Type(types[0].dtype, without_axis(types[0].shape, attributes["axis"]))


def _in_tree(count: int, leaf: T, join: Callable[[T, T], T]) -> T:
    """What `join` makes of `count` > 0 equal leaves in the tree of `product_of`: all but the last node are alike."""
    node, last = leaf, leaf
    while count > 1:
        last = last if count % 2 else join(node, last)
        node, count = join(node, node) if count > 2 else node, count - count // 2
    return last


def _one(call: Call) -> int:
    """The raw value nearest to 1, the product of nothing; 0 where a unit is more than 1."""
    return 1 << call.types[0].dtype.scale if call.types[0].dtype.scale >= 0 else 0


def _bound_prod(call: Call) -> Range:
    scale = call.types[0].dtype.scale

    def join(left: Range, right: Range) -> Range:
        low, high = call.fits(*product_range(left, right))
        return shifted_range(low, high, scale) if scale >= 0 else call.fits(low << -scale, high << -scale)

    if not _rows(call):
        return _one(call), _one(call)
    try:
        return _in_tree(_rows(call), call.ranges[0], join)
    except UserError as problem:
        raise UserError(f"a product of {_rows(call)} values: {problem}") from None


def _run_prod(call: Call) -> Any:
    if not _rows(call):
        return _at_once(call.p.public(np.full(call.shape, _one(call), np.int64)))
    return product_of(call.p, call.at, _numbers(call), call.types[0].dtype.scale)


def _at_once(share: Arithmetic) -> Step[Arithmetic]:
    yield from ()
    return share


def _error_prod(step: Accuracy) -> Error:
    """Errors grow in every product by the sizes of the factors, and a truncation is added."""
    own = step.truncation if step.call.types[0].dtype.scale > 0 else 0.0

    def join(left: tuple[float, float], right: tuple[float, float]) -> tuple[float, float]:
        (x, a), (y, b) = left, right
        return x * y + own, x * b + y * a + a * b + own

    rows = _rows(step.call)
    if not rows:
        return Error(0.0 if _one(step.call) else 1.0)
    return Error(_in_tree(rows, (step.sizes[0], step.errors[0].value), join)[1])


register(Kind("prod", _infer_prod, _bound_prod, _run_prod, operands=1, attributes=AXIS, error=_error_prod))


# -- running values --------------------------------------------------------------------------------------------------


def _infer_running(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "a running value")
    without_axis(types[0].shape, attributes["axis"])
    return Type(types[0].dtype, types[0].shape)


def _sums_of(call: Call) -> Range:
    """The range of sums of one value to all of them."""
    (low, high), rows = call.ranges[0], _rows(call)
    return call.fits(min(low, low * rows), max(high, high * rows))


def _error_sums(step: Accuracy) -> Error:
    return Error(step.errors[0].value * max(1, _rows(step.call)))


register(
    Kind(
        "cumsum",
        _infer_running,
        _sums_of,
        lambda call: _axis_last_moved(call, prefix_sums(call.p, _numbers(call))),
        local=always,
        operands=1,
        attributes=AXIS,
        error=_error_sums,
    )
)


def _register_running(name: str, *, largest: bool) -> None:
    def bound(call: Call) -> Range:
        _difference_bits(call)
        return call.ranges[0]

    def run(call: Call) -> Step[Arithmetic]:
        bits = _difference_bits(call)
        found = yield from running_extreme(call.p, call.at, _numbers(call), largest=largest, bits=bits)
        return _axis_last_moved(call, found)

    register(Kind(name, _infer_running, bound, run, operands=1, attributes=AXIS))


_register_running("cummin", largest=False)
_register_running("cummax", largest=True)


# -- running values of segments --------------------------------------------------------------------------------------


def _infer_segments(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    values, starts = types
    require_numbers(types[:1], "a segmented scan")
    if attributes["op"] not in OPERATIONS:
        raise UserError(f"a segmented scan knows {', '.join(OPERATIONS)}, not {attributes['op']!r}")
    if starts.dtype != BOOL or not values.shape or starts.shape != values.shape[:1]:
        raise UserError(
            f"a segmented scan takes values with rows along their first axis and one bool per row that marks where a "
            f"segment begins, not {values} and {starts}"
        )
    return Type(values.dtype, values.shape)


def _bound_segments(call: Call) -> Range:
    if call.attribute("op") == "sum":
        return _sums_of(call)
    if call.attribute("op") != "first":
        _difference_bits(call)
    return call.ranges[0]


def _run_segments(call: Call) -> Step[Arithmetic]:
    operation = call.attribute("op")
    starts = call.bits(1, concrete(call.types[1].shape))
    bits = _difference_bits(call) if operation in ("min", "max") else None
    return segmented_scan(call.p, call.at, _numbers(call), starts, operation, bits)


def _error_segments(step: Accuracy) -> Error:
    return _error_sums(step) if step.call.attribute("op") == "sum" else Error(step.errors[0].value)


register(
    Kind(
        "segmented_scan",
        _infer_segments,
        _bound_segments,
        _run_segments,
        attributes=frozenset({"op"}),
        error=_error_segments,
    )
)
