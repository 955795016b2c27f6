"""Operations that move elements without looking at them: all local."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from quorate.errors import UserError
from quorate.kernels.ghost import contiguous
from quorate.lang.dims import Dim, Shape, Size, parse_size
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    Value,
    a_list,
    always,
    register,
    require_numbers,
    shape_text,
    size_or_number,
    whole,
)
from quorate.lang.plan import Type
from quorate.sharing.dtype import DType
from quorate.sharing.share import Share, concatenate

__all__ = ["indexed_shape", "reshaped"]

Attributes = Mapping[str, Any]


def _same_range(call: Call) -> Range:
    return min(low for low, _ in call.ranges), max(high for _, high in call.ranges)


def _moved(value: Value, change: Callable[[Any], Any]) -> Value:
    """Apply a change of shape to a share or a public array."""
    return value.map(lambda part: contiguous(change(part))) if isinstance(value, Share) else change(value)


# -- indexing --------------------------------------------------------------------------------------------------------


def indexed_shape(shape: Shape, index: Sequence[Any]) -> Shape:
    """The shape after indexing with canonical items: integer, ["slice", start, stop, step], ["new"], ["list", [...]].

    Raises:
        UserError: out of range, or not decidable for an array whose length is a row count.
    """
    result: list[Size] = []
    position = 0
    for item in index:
        if item == ["new"]:
            result.append(1)
            continue
        if position >= len(shape):
            raise UserError(f"too many indices for an array of shape {shape_text(shape)}")
        size = shape[position]
        position += 1
        if isinstance(item, int):
            _check_index(item, size)
        elif item[0] == "slice":
            result.append(_sliced(size, *item[1:]))
        elif item[0] == "list":
            for entry in a_list(item[1]):
                _check_index(entry, size)
            result.append(len(item[1]))
        else:
            raise UserError(f"an index item {item!r}")
    return (*result, *shape[position:])


def _check_index(index: int, size: Size) -> None:
    whole(index, "an index")
    if isinstance(size, int) and not -size <= index < size:
        raise UserError(f"index {index} is out of range for a length of {size}")


def _sliced(size: Size, start: int | None, stop: Any, step: int | None) -> Size:
    if isinstance(stop, dict):  # that there are so many rows is seen when they are known
        if (start or 0) or step is not None:
            raise UserError("a slice up to a row count begins with the first row and has no step")
        return size_or_number(stop, "the end of a slice")
    if any(bound is not None and type(bound) is not int for bound in (start, stop, step)) or step == 0:
        raise UserError(f"a slice {start}:{stop}:{step}; its parts are whole numbers, and the step is not 0")
    if isinstance(size, int):
        return len(range(*slice(start, stop, step).indices(size)))
    if step not in (None, 1, -1) or (step == -1 and (start, stop) != (None, None)):
        raise UserError(
            f"a slice with step {step} of {size} rows; only whole arrays can be reversed before it is bound"
        )
    low, high = start or 0, stop
    if low < 0 or (high is not None and high >= 0):
        if (high is None or high < 0) if low < 0 else high is not None:
            return max(0, (high or 0) - low)
        raise UserError(f"the slice [{start}:{stop}] of {size} rows has no definite length; count from the start")
    length = size - low + (high or 0)
    return length


def _numpy_index(index: Sequence[Any]) -> tuple[Any, ...]:
    kinds: dict[str, Callable[..., Any]] = {
        "slice": slice,
        "new": lambda: None,
        "list": lambda entries: np.array(entries, np.int64),
    }
    return tuple(item if isinstance(item, int) else kinds[item[0]](*item[1:]) for item in index)


def _infer_index(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    index = a_list(attributes["index"])
    advanced = [k for k, item in enumerate(index) if isinstance(item, int) or item[0] == "list"]
    lists = sum(not isinstance(index[k], int) for k in advanced)
    if lists > 1 or (lists and advanced[-1] - advanced[0] >= len(advanced)):
        raise UserError(
            "an index takes one list, and integers only right next to it, since NumPy moves axes otherwise; index in "
            "two steps: first with integers and slices, then with the list"
        )
    return replace(types[0], shape=indexed_shape(types[0].shape, index))


def _run_index(call: Call) -> Value:
    index = _numpy_index(call.attribute("index"))
    result = _moved(call.values[0], lambda part: part[(*index, ...)])
    if result.shape != call.shape:
        raise UserError(f"an index gave shape {result.shape} instead of {call.shape}: an input has too few rows")
    return result


register(
    Kind("index", _infer_index, _same_range, _run_index, local=always, operands=1, attributes=frozenset({"index"}))
)


# -- shape -----------------------------------------------------------------------------------------------------------


def reshaped(shape: Shape, wanted: Sequence[Size]) -> Shape:
    """The shape after `reshape`; one entry may be -1. The product of sizes, row counts included, must stay the same.

    Raises:
        UserError: it does not, or what -1 stands for is no size.
    """
    if any(not isinstance(size, Dim) and (type(size) is not int or size < -1) for size in wanted):
        raise UserError(f"reshape takes whole numbers and row counts, one of them -1 at most, not {list(wanted)}")
    count, rows = _product(shape)
    given, left = _product([size for size in wanted if size != -1])
    missing = [size for size in rows if size not in left]
    open_ = list(wanted).count(-1)
    if not open_ and (count, sorted(map(str, rows))) == (given, sorted(map(str, left))):
        return tuple(wanted)
    if open_ == 1 and given and count % given == 0 and len(missing) == len(rows) - len(left) <= 1:
        filled = missing[0] * (count // given) if missing else count // given
        return tuple(filled if size == -1 else size for size in wanted)
    raise UserError(f"an array of shape {shape_text(shape)} cannot be reshaped to {shape_text(tuple(wanted))}")


def _product(sizes: Sequence[Size]) -> tuple[int, list[Dim]]:
    """The product of sizes as a number and row counts without common factors."""
    number, rows = 1, []
    for size in sizes:
        if isinstance(size, int):
            number *= size
        else:
            common = math.gcd(*(factor for _, factor in size.terms), size.constant)
            number *= common
            terms = tuple((name, factor // common) for name, factor in size.terms)
            rows.append(Dim(terms, size.constant // common))
    return number, rows


def _sizes(attributes: Attributes) -> Shape:
    return tuple(parse_size(size) for size in a_list(attributes["shape"]))


def _infer_reshape(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    wanted = _sizes(attributes)
    if any(isinstance(size, Dim) for size in wanted) and all(isinstance(size, int) for size in types[0].shape):
        wanted = stated.shape  # the plan has been bound
    return replace(types[0], shape=reshaped(types[0].shape, wanted))


register(
    Kind(
        "reshape",
        _infer_reshape,
        _same_range,
        lambda call: _moved(call.values[0], lambda part: part.reshape(call.shape)),
        local=always,
        operands=1,
        attributes=frozenset({"shape"}),
    )
)


def _infer_transpose(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    axes = a_list(attributes["axes"])
    shape = types[0].shape
    if any(type(axis) is not int for axis in axes) or sorted(axes) != list(range(len(shape))):
        raise UserError(f"axes {axes} are no order of the {len(shape)} dimensions")
    return replace(types[0], shape=tuple(shape[axis] for axis in axes))


register(
    Kind(
        "transpose",
        _infer_transpose,
        _same_range,
        lambda call: _moved(call.values[0], lambda part: part.transpose(call.attribute("axes"))),
        local=always,
        operands=1,
        attributes=frozenset({"axes"}),
    )
)


def _infer_concat(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    axis, first = whole(attributes["axis"], "axis"), types[0]
    if not 0 <= axis < len(first.shape):
        raise UserError(f"axis {axis} of an array of {len(first.shape)} dimensions")
    total: Size = 0
    for type_ in types:
        rest = type_.shape[:axis] + type_.shape[axis + 1 :]
        if type_.dtype != first.dtype or rest != first.shape[:axis] + first.shape[axis + 1 :]:
            raise UserError(f"cannot concatenate {first} and {type_} along axis {axis}")
        total = type_.shape[axis] + total
    return replace(first, shape=(*first.shape[:axis], total, *first.shape[axis + 1 :]), secret=True)


def _run_concat(call: Call) -> Share:
    boolean = call.types[0].dtype.kind == "bool"
    shapes = [value.shape for value in call.values]
    pick = call.bits if boolean else call.numbers
    return concatenate([pick(index, shape) for index, shape in enumerate(shapes)], call.attribute("axis"))


register(
    Kind(
        "concat",
        _infer_concat,
        _same_range,
        _run_concat,
        local=always,
        operands=None,
        attributes=frozenset({"axis"}),
    )
)


# -- the same raw integers as another type ---------------------------------------------------------------------------


def _infer_view(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    """Integers of another width; or the raw integers of fixed-point values, and back."""
    dtype = DType.parse(attributes["dtype"])
    require_numbers([*types, replace(types[0], dtype=dtype)], "another view of the same raw integers")
    return replace(types[0], dtype=dtype)


def _error_view(step: Accuracy) -> Error:
    """The error is the same as a raw integer."""
    return Error(math.ldexp(step.errors[0].value, step.call.types[0].dtype.scale) * step.unit)


register(
    Kind(
        "view",
        _infer_view,
        _same_range,
        lambda call: call.values[0],
        local=always,
        operands=1,
        attributes=frozenset({"dtype"}),
        error=_error_view,
    )
)
