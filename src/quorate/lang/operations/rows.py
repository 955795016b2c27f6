"""Shapes that depend on row counts: row numbers, repeated values, rows that belong together; quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.kernels.ghost import contiguous
from quorate.lang.dims import Dim, Shape, parse_size
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    Value,
    a_list,
    always,
    broadcast_shapes,
    concrete,
    register,
    require_numbers,
    shape_text,
    size_or_number,
    whole,
)
from quorate.lang.plan import Operation, Type
from quorate.sharing.dtype import INT, fixed
from quorate.sharing.share import Arithmetic, Share

__all__ = ["METHODS"]

Attributes = Mapping[str, Any]


def _same_range(call: Call) -> Range:
    return call.ranges[0]


# -- values repeated along axes of size one --------------------------------------------------------------------------


def _infer_broadcast(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    wanted: Shape = tuple(parse_size(size) for size in a_list(attributes["shape"]))
    if any(isinstance(size, Dim) for size in wanted) and all(isinstance(size, int) for size in stated.shape):
        wanted = stated.shape if stated.shape else wanted  # the plan has been bound
    if broadcast_shapes(types[0].shape, wanted) != wanted:
        raise UserError(f"an array of shape {shape_text(types[0].shape)} does not broadcast to {shape_text(wanted)}")
    return replace(types[0], shape=wanted)


def _run_broadcast(call: Call) -> Value:
    value = call.values[0]
    if isinstance(value, Share):
        return value.map(lambda part: contiguous(np.broadcast_to(part, call.shape)))
    return np.broadcast_to(value, call.shape)


register(
    Kind(
        "broadcast",
        _infer_broadcast,
        _same_range,
        _run_broadcast,
        local=always,
        operands=1,
        attributes=frozenset({"shape"}),
    )
)


# -- row numbers -----------------------------------------------------------------------------------------------------


def _infer_iota(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    size = size_or_number(attributes["size"], "size")
    if isinstance(size, int) and not 0 <= size < 1 << 32:
        raise UserError(f"{size} is no number of rows")
    return Type(INT, (size,), secret=False)


register(
    Kind(
        "iota",
        _infer_iota,
        lambda call: (0, max(0, call.shape[0] - 1)),
        lambda call: np.arange(call.shape[0], dtype=np.int64),
        local=always,
        operands=0,
        attributes=frozenset({"size"}),
    )
)


# -- rows of two inputs that belong together -------------------------------------------------------------------------


def _infer_aligned(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    rows, shape = size_or_number(attributes["rows"], "rows"), types[0].shape
    if not shape:
        raise UserError("a value without rows cannot be aligned")
    if isinstance(rows, int) and isinstance(shape[0], int) and rows != shape[0]:
        raise UserError(
            f"these rows should belong together one by one, but here are {shape[0]} and there are {rows}; both owners "
            "must bring the same rows in the same order"
        )
    return replace(types[0], shape=(rows, *shape[1:]))


register(
    Kind(
        "aligned",
        _infer_aligned,
        _same_range,
        lambda call: call.values[0],
        local=always,
        operands=1,
        attributes=frozenset({"rows"}),
    )
)


# -- quantiles of sorted values --------------------------------------------------------------------------------------

METHODS: dict[str, Callable[[Fraction], Fraction]] = {
    "linear": lambda part: part,
    "lower": lambda part: Fraction(0),
    "higher": lambda part: Fraction(math.ceil(part)),
    "midpoint": lambda part: Fraction(1, 2) if part else part,
    "nearest": lambda part: Fraction(round(part)),
}
"""How far to go from the value below towards the one above, for the fraction of the way that the quantile lies at."""

MOST_BITS = 30


def _infer_quantile(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    """Operand: sorted along axis 0. Result: one row per q, each a pair [numerator, denominator]."""
    require_numbers(types, "a quantile")
    pairs = [[whole(end, "q") for end in a_list(pair)] for pair in a_list(attributes["q"])]
    scale, shape = whole(attributes["scale"], "scale"), types[0].shape
    if attributes["method"] not in METHODS:
        raise UserError(f"method {attributes['method']!r} of a quantile; use {', '.join(METHODS)}")
    if any(len(pair) != 2 or not 0 <= pair[0] <= pair[1] or pair[1] < 1 for pair in pairs):
        raise UserError("a quantile lies between 0 and 1")
    if not shape or shape[0] == 0:
        raise UserError("a quantile of no values is not defined; the input needs at least one row (min_rows: 1)")
    if scale < types[0].dtype.scale:
        raise UserError(f"a quantile of scale {scale} of values of scale {types[0].dtype.scale}")
    return Type(fixed(scale), (len(pairs), *shape[1:]), types[0].secret)


def _places(operation: Operation, rows: int) -> tuple[npt.NDArray[np.int64], list[Fraction]]:
    """Of every q the position of the value below it, and how far it lies on the way to the next one."""
    below, way = [], []
    for numerator, denominator in operation.attributes["q"]:
        place = Fraction(numerator, denominator) * (rows - 1)
        below.append(min(math.floor(place), max(rows - 2, 0)))
        way.append(METHODS[operation.attributes["method"]](place - math.floor(place)) + math.floor(place) - below[-1])
    return np.array(below, np.int64), way


def _up(operation: Operation, types: Sequence[Type]) -> int:
    return int(operation.attributes["scale"]) - types[0].dtype.scale


def _exact(operation: Operation, types: Sequence[Type]) -> bool:
    """Whether all weights are whole at the result's scale, so that nothing has to be truncated."""
    rows = types[0].shape[0]
    if not isinstance(rows, int):
        return False
    return all((part * (1 << _up(operation, types))).denominator == 1 for part in _places(operation, rows)[1])


def _extra_bits(call: Call) -> int:
    """Bits of the weights beyond the result's scale, as many as fit."""
    if _exact(call.operation, call.types):
        return 0
    largest = max(abs(end) for end in call.ranges[0]).bit_length() + 2 + _up(call.operation, call.types)
    return max(0, min(MOST_BITS, call.capacity - 1 - largest))


def _bound_quantile(call: Call) -> Range:
    low, high = call.ranges[0]
    up, extra = _up(call.operation, call.types), _extra_bits(call)
    reach = (high - low) << up + extra
    call.fits(min(low << up + extra, -reach), max(high << up + extra, reach))
    slack = 4 if extra else 0
    return (low << up) - slack, (high << up) + slack


def _run_quantile(call: Call) -> Any:
    rows = concrete(call.types[0].shape)[0]
    below, way = _places(call.operation, rows)
    extra = _extra_bits(call)
    shift = _up(call.operation, call.types) + extra
    weights = np.array([round(part * (1 << shift)) for part in way], np.int64)
    x, p = call.numbers(0, concrete(call.types[0].shape)), call.p
    low, high = (_picked(x, np.minimum(places, rows - 1)) for places in (below, below + 1))
    step = p.scale(p.sub(high, low), np.broadcast_to(weights.reshape(-1, *[1] * (len(x.shape) - 1)), low.shape))
    result = p.add(p.scale(low, 1 << shift), step)
    return result if _exact(call.operation, call.types) else _shortened(call, result, extra)


def _shortened(call: Call, x: Arithmetic, bits: int) -> Step[Arithmetic]:
    if bits:
        x = yield from call.p.truncate(call.at, x, bits)
    return x


def _picked(x: Arithmetic, places: npt.NDArray[np.int64]) -> Arithmetic:
    return x.map(lambda part: contiguous(part[places]))


def _error_quantile(step: Accuracy) -> Error:
    """Every order statistic moves by no more than the largest error of a value; weights have finitely many bits."""
    call, own = step.call, 0.0
    if not _exact(call.operation, call.types):
        width = math.ldexp(call.ranges[0][1] - call.ranges[0][0], -call.types[0].dtype.scale)
        own = step.truncation + math.ldexp(width, -1 - _extra_bits(call) - _up(call.operation, call.types))
    return Error(step.errors[0].value + own)


register(
    Kind(
        "quantile",
        _infer_quantile,
        _bound_quantile,
        _run_quantile,
        local=_exact,
        operands=1,
        attributes=frozenset({"q", "scale", "method"}),
        error=_error_quantile,
    )
)
