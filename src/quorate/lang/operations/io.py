"""Where values come from: inputs, constants, row counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError, UserError
from quorate.lang.dims import rows_of
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    a_list,
    always,
    register,
    size_or_number,
    whole,
)
from quorate.lang.plan import Type
from quorate.sharing.dtype import INT, DType

__all__ = ["constant_values"]

Attributes = Mapping[str, Any]


def _infer_input(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if set(attributes) != {"input", "column", "dtype"} or not all(isinstance(v, str) for v in attributes.values()):
        raise UserError("an input needs the attributes input, column and dtype")
    shape = stated.shape if all(isinstance(size, int) for size in stated.shape) else (rows_of(attributes["input"]),)
    if len(shape) != 1:
        raise UserError("an input column has one dimension")
    return Type(DType.parse(attributes["dtype"]), shape)


def _never(call: Call) -> Any:
    raise InternalError(f"{call.operation.kind} is run by the executor itself")


def _error_input(step: Accuracy) -> Error:
    """Half a unit for rounding the owner's numbers to the scale."""
    return Error(step.unit / 2 if step.call.operation.type.dtype.kind == "fixed" else 0.0)


register(
    Kind(
        "input",
        _infer_input,
        _never,
        _never,
        operands=0,
        attributes=frozenset({"input", "column", "dtype"}),
        error=_error_input,
    )
)


def constant_values(attributes: Attributes) -> npt.NDArray[np.int64]:
    """The raw integers of a constant."""
    if "rows" in attributes:
        return np.asarray(attributes["rows"], np.int64)
    return np.asarray(attributes["values"], np.int64).reshape(attributes["shape"])


def _infer_constant(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if set(attributes) == {"rows"}:
        rows = size_or_number(attributes["rows"], "the attribute rows")
        if isinstance(rows, int) and abs(rows) >= 1 << 62:
            raise UserError("a number of rows needs more than 62 bits")
        return Type(INT, (), secret=False)
    dtype, values = DType.parse(attributes["dtype"]), a_list(attributes["values"])
    limit = 2 if dtype.kind == "bool" else 1 << 62
    if any(type(value) is not int or not (0 if limit == 2 else -limit) <= value < limit for value in values):
        raise UserError("a constant holds integers of at most 62 bits, a bool constant 0 or 1")
    sizes = tuple(whole(size, "a size") for size in a_list(attributes["shape"]))
    if any(size < 0 for size in sizes) or math.prod(sizes) != len(values):
        raise UserError(f"{len(values)} values are no constant of shape {list(sizes)}")
    return Type(dtype, sizes, secret=False)


def _constant_range(call: Call) -> Range:
    values = constant_values(call.operation.attributes)
    return call.fits(int(values.min()), int(values.max())) if values.size else (0, 0)


register(
    Kind(
        "constant",
        _infer_constant,
        _constant_range,
        lambda call: constant_values(call.operation.attributes),
        local=always,
        operands=0,
        attributes=frozenset({"rows", "values", "shape", "dtype"}),
    )
)
