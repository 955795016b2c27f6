"""What depends on constants alone is computed during recording, by the protocol without secrets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.lang.operations import kind_of
from quorate.lang.operations.io import constant_values
from quorate.lang.plan import Operation, Plan, Type
from quorate.lang.precision import plan_errors
from quorate.lang.ranges import call_of, plan_ranges
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make
from quorate.sharing.dtype import INT
from quorate.sharing.share import Boolean, Share

__all__ = ["folded"]

SMALL = 64
"""Results of so few elements become constants even if their operands have fewer."""


def folded(kind: str, operands: Sequence[Operation], attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """The attributes of the constant that an operation on constants gives.

    None where an operand is no constant of known values, a row count is not known yet, the operation has several
    results or is not exact (constants count as exact), or its result is larger than what it is made from: the plan
    stays small, and parties compute it.

    Raises:
        UserError: types, shapes or ranges do not fit.
    """
    if not operands or any("values" not in operation.attributes for operation in operands):
        return None
    if any(isinstance(value, dict) for value in attributes.values()):
        return None  # a row count that is not known yet
    types = [operation.type for operation in operands]
    type_ = kind_of(kind).type_of(types, attributes, Type(INT, ()))
    sizes = [size for size in type_.shape if isinstance(size, int)]
    given = sum(len(operation.attributes["values"]) for operation in operands)
    if type_.parts or len(sizes) != len(type_.shape) or not 0 < math.prod(sizes) <= max(SMALL, given):
        return None
    step = Operation(kind, tuple(range(len(operands))), attributes, type_)
    raw = _computed(Plan("constants", (*operands, step)))
    if raw is None:
        return None
    return {"values": raw.reshape(-1).tolist(), "shape": list(raw.shape), "dtype": str(type_.dtype)}


def _computed(plan: Plan) -> npt.NDArray[np.int64] | None:
    """The raw values of the last operation of a plan on constants, if it is exact."""
    p, at = make("clear", Session(0, 1, ("everybody",)), 0), Scope.root("constants")
    if plan_errors(plan, p, {})[-1]:
        return None
    values = [constant_values(operation.attributes) for operation in plan.operations[:-1]]
    call = call_of(plan, len(values), plan_ranges(plan, p, {}), p, at.child("operation"), values)
    party = simulate([_opened(p, at, kind_of(plan.operations[-1].kind).run(call))])[0]
    return np.asarray(party.result, np.int64)


def _opened(p: Protocol, at: Scope, result: Any) -> Step[Any]:
    """What an operation gives, directly or as a step, as public values."""
    value = result if isinstance(result, Share | np.ndarray) else (yield from result)
    if not isinstance(value, Share):
        return value
    opens = p.reveal_bits if isinstance(value, Boolean) else p.reveal
    return (yield from opens(at.child("open"), value, (0,)))  # type: ignore[arg-type]
