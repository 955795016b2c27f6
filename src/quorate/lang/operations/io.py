"""Where values come from: inputs, constants, row counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError, UserError
from quorate.lang.dims import parse_size, rows_of
from quorate.lang.operations.base import Call, Kind, Range, always, register
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


def _declared(call: Call) -> Range:
    low, high = call.attribute("range", (0, 0))
    return call.fits(low, high)


register(Kind("input", _infer_input, _declared, _never))


def constant_values(attributes: Attributes) -> npt.NDArray[np.int64]:
    """The raw integers of a constant."""
    if "rows" in attributes:
        return np.asarray(attributes["rows"], np.int64)
    return np.asarray(attributes["values"], np.int64).reshape(attributes["shape"])


def _infer_constant(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if "rows" in attributes:
        rows = attributes["rows"]
        if not isinstance(rows, int):
            parse_size(rows["size"])
        return Type(INT, (), secret=False)
    values = constant_values(attributes)
    if any(abs(int(value)) >= 1 << 62 for value in values.reshape(-1)):
        raise UserError("a constant needs more than 62 bits")
    return Type(DType.parse(attributes["dtype"]), values.shape, secret=False)


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
    )
)
