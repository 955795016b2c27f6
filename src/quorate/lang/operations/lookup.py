"""Secret positions: one-hot vectors, reading and writing tables; histograms. Nothing of them is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from quorate.circuits.histogram import below, histogram
from quorate.circuits.lookup import read, read_bits, read_public, read_public_bits, write, write_bits
from quorate.circuits.onehot import one_hot
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.kernels.ghost import contiguous
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
    require_numbers,
    shape_text,
    size_or_number,
    whole,
)
from quorate.lang.plan import Type
from quorate.sharing.dtype import BOOL, INT
from quorate.sharing.share import Arithmetic, Boolean

__all__: list[str] = []

Attributes = Mapping[str, Any]
BIT: Range = (0, 1)
LARGEST_EDGE = 1 << 62


def _exact(step: Accuracy) -> Error:
    """Of what is decided by comparisons, which are exact on the numbers as stored."""
    return Error(0.0)


def _require_index(type_: Type) -> None:
    if type_.dtype.kind != "int":
        raise UserError(f"an index is int, not {type_.dtype}; round it first, or convert a bool with astype(int)")


def _check_index(call: Call, operand: int, count: int) -> None:
    """Raises `UserError` unless the index is proven to lie in 0 ... count - 1."""
    low, high = call.ranges[operand]
    if low >= 0 and high < count:
        return
    if not count and not np.prod(concrete(call.types[operand].shape)):
        return  # no index into nothing
    raise UserError(
        f"the index may be anything from {low} to {high}, but positions are 0 to {count - 1}, and whether it is in "
        f"range must not show; clip it first, for example quorate.clip(index, 0, {count - 1}), or declare its range"
    )


# -- one-hot vectors -------------------------------------------------------------------------------------------------


def _infer_one_hot(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    _require_index(types[0])
    size = size_or_number(attributes["size"], "size")
    if isinstance(size, int) and size < 0:
        raise UserError(f"a one-hot vector of {size} positions")
    return Type(BOOL, (*types[0].shape, size))


def _bound_one_hot(call: Call) -> Range:
    _check_index(call, 0, call.attribute("size"))
    return BIT


def _run_one_hot(call: Call) -> Step[Boolean]:
    index = call.numbers(0, concrete(call.types[0].shape))
    flags = yield from one_hot(call.p, call.at, index, call.attribute("size"))
    return flags.map(lambda part: contiguous(np.moveaxis(part, 0, -1)))


register(Kind("one_hot", _infer_one_hot, _bound_one_hot, _run_one_hot, operands=1, attributes=frozenset({"size"})))


# -- tables ----------------------------------------------------------------------------------------------------------


def _infer_read(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    table, index = types
    _require_index(index)
    if not table.shape:
        raise UserError("a table has rows along its first axis; a single value cannot be read at an index")
    return Type(table.dtype, (*index.shape, *table.shape[1:]))


def _table_rows(call: Call) -> int:
    return concrete(call.types[0].shape)[0]


def _bound_read(call: Call) -> Range:
    _check_index(call, 1, _table_rows(call))
    return call.ranges[0]


def _run_read(call: Call) -> Any:
    table, index = call.values[0], call.numbers(1, concrete(call.types[1].shape))
    if isinstance(table, Boolean):
        return read_bits(call.p, call.at, table, index)
    if isinstance(table, Arithmetic):
        return read(call.p, call.at, table, index)
    if call.types[0].dtype == BOOL:
        return read_public_bits(call.p, call.at, table.astype(np.uint8), index)  # type: ignore[union-attr]
    return read_public(call.p, call.at, table, index)  # type: ignore[arg-type]


def _error_read(step: Accuracy) -> Error:
    return Error(step.errors[0].value)


register(Kind("read", _infer_read, _bound_read, _run_read, error=_error_read))


def _infer_write(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    table, index, values = types
    _require_index(index)
    if not table.shape:
        raise UserError("a table has rows along its first axis; a single value cannot be written at an index")
    wanted = (*index.shape, *table.shape[1:])
    if table.dtype != values.dtype:
        raise UserError(f"cannot write {values.dtype} into a table of {table.dtype}; convert one of them with astype")
    if broadcast_shapes(values.shape, wanted) != wanted:
        raise UserError(f"values of shape {shape_text(values.shape)} for places of shape {shape_text(wanted)}")
    return Type(table.dtype, table.shape)


def _bound_write(call: Call) -> Range:
    _check_index(call, 1, _table_rows(call))
    (a, b), _, (c, d) = call.ranges
    return min(a, c), max(b, d)


def _run_write(call: Call) -> Any:
    shape, places = concrete(call.types[0].shape), concrete(call.types[1].shape)
    index, wanted = call.numbers(1, places), (*places, *shape[1:])
    if call.types[0].dtype == BOOL:
        return write_bits(call.p, call.at, call.bits(0, shape), index, call.bits(2, wanted))
    return write(call.p, call.at, call.numbers(0, shape), index, call.numbers(2, wanted))


def _error_write(step: Accuracy) -> Error:
    return Error(max(step.errors[0].value, step.errors[2].value))


register(Kind("write", _infer_write, _bound_write, _run_write, operands=3, error=_error_write))


# -- public edges ----------------------------------------------------------------------------------------------------


def _edges(attributes: Attributes, least: int) -> list[int]:
    edges = [whole(edge, "an edge") for edge in a_list(attributes["edges"])]
    if len(edges) < least or any(abs(edge) >= LARGEST_EDGE for edge in edges):
        raise UserError(f"{len(edges)} edges; it takes {least} or more, each an integer of at most 62 bits")
    return edges


def _require_close(call: Call) -> None:
    """Raises `UserError` if differences within the operand's range do not fit."""
    low, high = call.ranges[0]
    call.fits(low - high, high - low)


def _infer_thresholds(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "a comparison with edges")
    return Type(BOOL, (len(_edges(attributes, 1)), *types[0].shape))


def _bound_thresholds(call: Call) -> Range:
    _require_close(call)
    return BIT


def _run_thresholds(call: Call) -> Step[Boolean]:
    x = call.numbers(0, concrete(call.types[0].shape))
    return below(call.p, call.at, x, call.attribute("edges"), *call.ranges[0])


register(
    Kind(
        "thresholds",
        _infer_thresholds,
        _bound_thresholds,
        _run_thresholds,
        operands=1,
        attributes=frozenset({"edges"}),
    )
)


def _infer_histogram(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "a histogram")
    edges = _edges(attributes, 2)
    if any(low > high for low, high in pairwise(edges)):
        raise UserError("the edges of a histogram must not decrease; sort them")
    if len(types) > 2:
        raise UserError(f"a histogram of {len(types)} operands; it takes values and perhaps weights")
    if len(types) == 2 and types[0].shape != types[1].shape:
        raise UserError(
            f"values of shape {shape_text(types[0].shape)} with weights of shape {shape_text(types[1].shape)}; give "
            "one weight per value"
        )
    return Type(types[1].dtype if len(types) == 2 else INT, (len(edges) - 1,))


def _value_count(call: Call) -> int:
    return int(np.prod(concrete(call.types[0].shape), dtype=object))


def _bound_histogram(call: Call) -> Range:
    _require_close(call)
    low, high = call.ranges[1] if len(call.types) == 2 else (0, 1)
    return call.fits(min(0, low * _value_count(call)), max(0, high * _value_count(call)))


def _run_histogram(call: Call) -> Step[Arithmetic]:
    shape = concrete(call.types[0].shape)
    weights = call.numbers(1, shape) if len(call.types) == 2 else None
    x = call.numbers(0, shape)
    return histogram(call.p, call.at, x, call.attribute("edges"), *call.ranges[0], weights)


def _error_histogram(step: Accuracy) -> Error:
    """Which bin a number lies in is exact on the numbers as stored; weights bring their errors along."""
    return Error(step.errors[1].value * _value_count(step.call) if len(step.errors) == 2 else 0.0)


register(
    Kind(
        "histogram",
        _infer_histogram,
        _bound_histogram,
        _run_histogram,
        operands=None,
        attributes=frozenset({"edges"}),
        error=_error_histogram,
    )
)
