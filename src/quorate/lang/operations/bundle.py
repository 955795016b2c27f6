"""One of the results of an operation that has several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from quorate.errors import UserError
from quorate.lang.operations.base import Accuracy, Call, Error, Kind, Range, Value, always, register, whole
from quorate.lang.plan import Type

__all__: list[str] = []

Attributes = Mapping[str, Any]


def _infer_item(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    index, parts = whole(attributes["index"], "index"), types[0].parts
    if not 0 <= index < len(parts):
        raise UserError(f"item {index} of {types[0]}, which has {len(parts)} results")
    return parts[index]


def _picked(call: Call, of: Any) -> Any:
    return of[call.attribute("index")]


def _bound_item(call: Call) -> Range:
    return cast(Range, _picked(call, call.ranges[0]))


def _run_item(call: Call) -> Value:
    return cast(Value, _picked(call, call.values[0]))


def _error_item(step: Accuracy) -> Error:
    return cast(Error, _picked(step.call, step.errors))


register(
    Kind(
        "item",
        _infer_item,
        _bound_item,
        _run_item,
        local=always,
        operands=1,
        attributes=frozenset({"index"}),
        error=_error_item,
    )
)
