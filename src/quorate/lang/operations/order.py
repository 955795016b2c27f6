"""Sorting rows, merging sorted runs, the largest few, groups, picking out rows, shuffling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from quorate.circuits.compact import compact
from quorate.circuits.divide import corrections, worst_error
from quorate.circuits.group import WHAT, Aggregate, group, mean_division
from quorate.circuits.lexical import Key
from quorate.circuits.sort import sort
from quorate.circuits.top import first_rows
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.lang.dims import Size
from quorate.lang.operations.arithmetic import TRUNCATION
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    Value,
    a_list,
    concrete,
    register,
    require_numbers,
    shape_text,
    whole,
)
from quorate.lang.plan import Type
from quorate.sharing.dtype import BOOL, INT, fixed
from quorate.sharing.share import Share, concatenate

__all__: list[str] = []

Attributes = Mapping[str, Any]
EXACT = Error(0.0)
RANDOM = "to all parties; they are those of a uniformly random permutation, so they tell nothing about the data"
COMPARISONS = f"after a shuffle, outcomes of comparisons of distinct keys, or places of rows, {RANDOM}, not even ties"
PLACES = f"after a shuffle, where rows go, {RANDOM}, not even how many are chosen"


# -- operands ----------------------------------------------------------------------------------------------------------


def _rows(types: Sequence[Type], what: str) -> Size:
    """The common number of rows. Raises `UserError` if there is none."""
    lengths = {type_.shape[0] if type_.shape else None for type_ in types}
    if len(lengths) != 1 or None in lengths:
        shapes = ", ".join(shape_text(type_.shape) for type_ in types)
        raise UserError(f"{what} of columns of shapes {shapes}; all need equally many rows")
    return types[0].shape[0]


def _keys(types: Sequence[Type], attributes: Attributes) -> int:
    """How many operands are keys. Raises `UserError` if they cannot be."""
    keys = whole(attributes["keys"], "keys")
    if not 1 <= keys <= len(types) or any(len(type_.shape) != 1 for type_ in types[:keys]):
        raise UserError("keys are one or more columns of one dimension")
    return keys


def _directions(attributes: Attributes, keys: int) -> list[bool]:
    wanted = a_list(attributes["descending"])
    if len(wanted) != keys or any(type(each) is not bool for each in wanted):
        raise UserError(f"descending takes true or false for each of the {keys} keys")
    return wanted


def _share(call: Call, index: int) -> Share:
    shape = concrete(call.types[index].shape)
    return call.bits(index, shape) if call.types[index].dtype == BOOL else call.numbers(index, shape)


def _key(call: Call, index: int, descending: bool = False) -> Key:
    """An operand with its range; public ones as they are."""
    value: Any = call.values[index]
    return Key(value, *call.ranges[index], descending)


def _with_zero(range_: Range) -> Range:
    return min(0, range_[0]), max(0, range_[1])


def _secret(type_: Type, rows: Size) -> Type:
    return replace(type_, shape=(rows, *type_.shape[1:]), secret=True)


def _each(step: Accuracy) -> list[Error]:
    return [Error(error.value) for error in step.errors]


# -- sort and merge ----------------------------------------------------------------------------------------------------


def _infer_sort(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    rows, keys = _rows(types, "a sort"), _keys(types, attributes)
    _directions(attributes, keys)
    if type(attributes["order"]) is not bool:
        raise UserError("order is true or false")
    parts = [_secret(type_, rows) for type_ in types]
    return Type.bundle([*parts, Type(INT, (rows,))] if attributes["order"] else parts)


def _bound_sort(call: Call) -> list[Range]:
    positions = [(0, max(0, concrete(call.types[0].shape)[0] - 1))] if call.attribute("order") else []
    return [*call.ranges, *positions]


def _run_sort(call: Call) -> Step[list[Share]]:
    keys = [_key(call, k, descending) for k, descending in enumerate(call.attribute("descending"))]
    columns = [_share(call, k) for k in range(len(call.values))]
    if call.attribute("order"):
        columns.append(call.p.public(np.arange(concrete(call.types[0].shape)[0])))
    return (yield from sort(call.p, call.at, keys, columns))


def _error_sort(step: Accuracy) -> list[Error]:
    return [*_each(step), *([EXACT] if step.call.attribute("order") else [])]


register(
    Kind(
        "sort",
        _infer_sort,
        _bound_sort,
        _run_sort,
        operands=None,
        attributes=frozenset({"keys", "descending", "order"}),
        error=_error_sort,
        opens=COMPARISONS,
    )
)


def _infer_merge(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if len(types) % 2:
        raise UserError("merge takes the columns of one run, then those of the other")
    first, second = types[: len(types) // 2], types[len(types) // 2 :]
    rows = _rows(first, "a run") + _rows(second, "a run")
    _directions(attributes, _keys(first, attributes))
    for one, other in zip(first, second, strict=True):
        if one.dtype != other.dtype or one.shape[1:] != other.shape[1:]:
            raise UserError(f"merge of {one} and {other}; the columns of both runs must be of one type")
    return Type.bundle([_secret(type_, rows) for type_ in first])


def _pairs(call: Call) -> list[tuple[int, int]]:
    half = len(call.types) // 2
    return [(k, half + k) for k in range(half)]


def _bound_merge(call: Call) -> list[Range]:
    ends = [(call.ranges[a], call.ranges[b]) for a, b in _pairs(call)]
    return [(min(one[0], other[0]), max(one[1], other[1])) for one, other in ends]


def _run_merge(call: Call) -> Step[list[Share]]:
    """A sort: as cheap as a merging network, see docs/explanation/sorting.md, and in fewer rounds."""
    columns = [concatenate([_share(call, a), _share(call, b)], 0) for a, b in _pairs(call)]
    directions = zip(columns, _bound_merge(call), call.attribute("descending"), strict=False)
    keys = [Key(column, *range_, descending) for column, range_, descending in directions]  # type: ignore[arg-type]
    return (yield from sort(call.p, call.at, keys, columns))


def _error_merge(step: Accuracy) -> list[Error]:
    return [Error(max(step.errors[a].value, step.errors[b].value)) for a, b in _pairs(step.call)]


register(
    Kind(
        "merge",
        _infer_merge,
        _bound_merge,
        _run_merge,
        operands=None,
        attributes=frozenset({"keys", "descending"}),
        error=_error_merge,
        opens=COMPARISONS,
    )
)


# -- the largest few ---------------------------------------------------------------------------------------------------


def _infer_top_k(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    count, shape = whole(attributes["k"], "k"), types[0].shape
    if len(shape) != 1 or type(attributes["largest"]) is not bool:
        raise UserError("top_k takes values of one dimension, and whether the largest are wanted")
    if count < 0 or (isinstance(shape[0], int) and count > shape[0]):
        raise UserError(f"the first {count} of {shape[0]} values; k lies between 0 and the number of values")
    return Type.bundle([_secret(types[0], count), Type(INT, (count,))])


def _run_top_k(call: Call) -> Step[list[Share]]:
    rows = concrete(call.types[0].shape)[0]
    columns = [_share(call, 0), call.p.public(np.arange(rows))]
    key = Key(columns[0], *call.ranges[0], call.attribute("largest"))  # type: ignore[arg-type]
    return (yield from first_rows(call.p, call.at, [key], columns, call.attribute("k")))


register(
    Kind(
        "top_k",
        _infer_top_k,
        lambda call: [call.ranges[0], (0, max(0, concrete(call.types[0].shape)[0] - 1))],
        _run_top_k,
        operands=1,
        attributes=frozenset({"k", "largest"}),
        error=lambda step: [*_each(step), EXACT],
        opens=COMPARISONS,
    )
)


# -- groups ------------------------------------------------------------------------------------------------------------


def _aggregates(types: Sequence[Type], attributes: Attributes) -> list[Aggregate]:
    """Raises `UserError` for what is no list of aggregates of these operands."""
    return [_aggregate(types, *a_list(entry)) for entry in a_list(attributes["aggregates"])]


def _aggregate(types: Sequence[Type], what: Any, index: Any, options: Any = None) -> Aggregate:
    if what not in WHAT or (what == "count") != (whole(index, "an operand") == -1) or index >= len(types):
        raise UserError(f"the aggregate {what!r} of operand {index}; use {', '.join(WHAT)} of a column, count of -1")
    if what == "count":
        return Aggregate("count")
    if index < 0:
        raise UserError(f"operand {index} of a group does not exist")
    type_ = types[index]
    if what in ("sum", "mean"):
        require_numbers([type_], f"a {what}")
    if what in ("min", "max") and len(type_.shape) != 1:
        raise UserError(f"{what} of groups takes a column of one dimension, not {shape_text(type_.shape)}")
    if what != "mean":
        return Aggregate(what, index)
    return Aggregate("mean", index, whole(options["scale"], "scale") - type_.dtype.scale)


def _infer_group(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    rows, keys, size = _rows(types, "groups"), _keys(types, attributes), attributes.get("size")
    if size is not None and whole(size, "size") < 0:
        raise UserError(f"size {size} of groups; it is a number of rows")
    rows = rows if size is None else size
    results = [_result(types, aggregate, rows) for aggregate in _aggregates(types, attributes)]
    missed = [] if size is None else [Type(INT, ())]
    return Type.bundle([*(_secret(type_, rows) for type_ in types[:keys]), *results, Type(BOOL, (rows,)), *missed])


def _result(types: Sequence[Type], aggregate: Aggregate, rows: Size) -> Type:
    if aggregate.what == "count":
        return Type(INT, (rows,))
    type_ = _secret(types[aggregate.column], rows)
    if aggregate.what != "mean":
        return type_
    return replace(type_, dtype=fixed(type_.dtype.scale + aggregate.scale))


def _bound_group(call: Call) -> list[Range]:
    count = concrete(call.types[0].shape)[0]
    keys = [_with_zero(range_) for range_ in call.ranges[: call.attribute("keys")]]
    results = [_bound_aggregate(call, each, count) for each in _aggregates(call.types, call.operation.attributes)]
    return [*keys, *results, (0, 1), *([] if call.attribute("size") is None else [(0, count)])]


def _bound_aggregate(call: Call, aggregate: Aggregate, count: int) -> Range:
    if aggregate.what == "count":
        return 0, count
    low, high = _with_zero(call.ranges[aggregate.column])
    if aggregate.what in ("min", "max", "first"):
        return low, high
    total = call.fits(low * count, high * count)
    if aggregate.what == "sum":
        return total
    corrections(call.p, **mean_division(aggregate, Key(np.zeros(0, np.int64), low, high), count))
    up = aggregate.scale
    ends = [end << up if up >= 0 else end >> -up for end in (low, high)]
    return call.fits(ends[0] - TRUNCATION, ends[1] + TRUNCATION)


def _run_group(call: Call) -> Step[list[Value]]:
    keys = [_key(call, k) for k in range(call.attribute("keys"))]
    columns = [replace(_key(call, k), values=_share(call, k)) for k in range(len(call.values))]  # type: ignore[arg-type]
    shares = [
        key if call.types[k].dtype != BOOL else replace(key, values=_share(call, k))  # type: ignore[arg-type]
        for k, key in enumerate(keys)
    ]
    aggregates, size = _aggregates(call.types, call.operation.attributes), call.attribute("size")
    found = yield from group(call.p, call.at, shares, columns, aggregates, size)
    return [*found.keys, *found.results, found.valid, *([] if size is None else [found.missed])]


def _error_group(step: Accuracy) -> list[Error]:
    call, count = step.call, concrete(step.call.types[0].shape)[0]
    errors = _each(step)[: call.attribute("keys")]
    for what, index, scale in _aggregates(call.types, call.operation.attributes):
        each = 0.0 if what == "count" else step.errors[index].value
        if what == "sum":
            each *= count
        if what == "mean":
            each += worst_error(call.p) * 2.0 ** -(call.types[index].dtype.scale + scale)
        errors.append(Error(each))
    return errors + [EXACT] * (1 if call.attribute("size") is None else 2)


register(
    Kind(
        "group",
        _infer_group,
        _bound_group,
        _run_group,
        operands=None,
        attributes=frozenset({"keys", "aggregates", "size"}),
        error=_error_group,
        opens=f"{COMPARISONS}, sizes of groups or their number",
    )
)


# -- picking out, shuffling --------------------------------------------------------------------------------------------


def _infer_compact(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    rows = _rows(types, "a choice of rows")
    if types[0].dtype != BOOL or len(types[0].shape) != 1:
        raise UserError("the mask of compact is one bool per row; compare first")
    return Type.bundle([*(_secret(type_, rows) for type_ in types[1:]), Type(INT, ())])


def _run_compact(call: Call) -> Step[list[Share]]:
    columns = [_share(call, k) for k in range(1, len(call.values))]
    mask = call.bits(0, concrete(call.types[0].shape))
    rows, count = yield from compact(call.p, call.at, mask, columns)
    return [*rows, count]


register(
    Kind(
        "compact",
        _infer_compact,
        lambda call: [*map(_with_zero, call.ranges[1:]), (0, concrete(call.types[0].shape)[0])],
        _run_compact,
        operands=None,
        error=lambda step: [*_each(step)[1:], EXACT],
        opens=PLACES,
    )
)


def _infer_shuffle(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    rows = _rows(types, "a shuffle")
    return Type.bundle([_secret(type_, rows) for type_ in types])


register(
    Kind(
        "shuffle",
        _infer_shuffle,
        lambda call: list(call.ranges),
        lambda call: call.p.shuffle(call.at, [_share(call, k) for k in range(len(call.values))]),
        operands=None,
        error=_each,
    )
)
