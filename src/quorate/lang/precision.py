"""How far the results of a bound plan may be from exact arithmetic on the owners' own numbers, in the worst case.

An error here is absolute and in real units. It counts rounding of inputs to their scale, every truncation, and what
earlier errors grow to. Constants are what the plan says (a factor of the source keeps about 24 bits in the plan). Bools
are taken as exact: a comparison is exact on the rounded numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from quorate.circuits.divide import worst_error
from quorate.circuits.root import RELATIVE_ERROR
from quorate.circuits.scaling import division_error
from quorate.engine.names import Scope
from quorate.lang.operations.arithmetic import square_drop
from quorate.lang.operations.base import Call, Range, concrete
from quorate.lang.plan import Plan
from quorate.lang.ranges import plan_ranges
from quorate.protocols.base import Protocol

__all__ = ["plan_errors"]


class _Error(NamedTuple):
    """Worst error of a value, and of its square root where that is known to be better than the value's would give."""

    value: float
    root: float = math.inf


class _Step(NamedTuple):
    """An operation with what a rule looks at: errors and largest absolute values of operands, unit of the result."""

    call: Call
    errors: Sequence[_Error]
    sizes: Sequence[float]
    unit: float

    @property
    def truncation(self) -> float:
        return self.call.p.truncation_error * self.unit


Rule = Callable[[_Step], _Error]


def plan_errors(plan: Plan, p: Protocol, bounds: Mapping[tuple[str, str], Range]) -> list[float]:
    """The worst error of every operation's result; infinite where it depends on how small a divisor gets.

    Args:
        plan: bound to row counts.
        p: the protocol that runs it.
        bounds: (input, column) -> smallest and largest raw value.

    Raises:
        UserError: values may not fit the protocol, see `plan_ranges`.
    """
    ranges, nowhere = plan_ranges(plan, p, bounds), Scope.root("errors")
    errors: list[_Error] = []
    for operation in plan.operations:
        types = [plan.operations[operand].type for operand in operation.operands]
        known = [ranges[operand] for operand in operation.operands]
        call = Call(operation, types, known, p.capacity, p, nowhere, [], concrete(operation.type.shape))
        sizes = [
            math.ldexp(max(abs(low), abs(high)), -type_.dtype.scale)
            for (low, high), type_ in zip(known, types, strict=True)
        ]
        step = _Step(call, [errors[o] for o in operation.operands], sizes, 2.0**-operation.type.dtype.scale)
        exact = operation.type.dtype.kind == "bool"
        errors.append(_Error(0.0) if exact else _RULES.get(operation.kind, _largest)(step))
    return [error.value for error in errors]


def _largest(step: _Step) -> _Error:
    """Of operations that move or choose values."""
    return _Error(max((error.value for error in step.errors), default=0.0))


def _rounded(step: _Step) -> _Error:
    return _Error(step.unit / 2 if step.call.operation.type.dtype.kind == "fixed" else 0.0)


def _added(step: _Step) -> _Error:
    return _Error(sum(error.value for error in step.errors))


def _sum(step: _Step) -> _Error:
    return _Error(step.errors[0].value * _terms(step, step.call.attribute("axis")))


def _terms(step: _Step, axis: int) -> int:
    return concrete(step.call.types[0].shape)[axis]


def _product(step: _Step) -> _Error:
    (a, b), (x, y) = (error.value for error in step.errors), step.sizes
    terms = 1 if step.call.operation.kind == "mul" else _terms(step, -1)
    own = step.truncation if step.call.attribute("shift", 0) else 0.0
    return _Error(terms * (x * b + y * a + a * b) + own)


def _rescale(step: _Step) -> _Error:
    finer = step.unit <= 2.0 ** -step.call.types[0].dtype.scale
    return _Error(step.errors[0].value + (0.0 if finer else step.truncation))


def _div_public(step: _Step) -> _Error:
    return _Error(step.errors[0].value / abs(step.call.attribute("divisor")) + division_error(step.call.p) * step.unit)


def _masked_mean(step: _Step) -> _Error:
    return _Error(step.errors[0].value + 2 * worst_error(step.call.p) * step.unit)  # twice: nothing was chosen


def _mean_square(step: _Step) -> _Error:
    """The root of a mean of squares moves by no more than the largest change of an element."""
    drop, scale = square_drop(step.call), step.call.types[0].dtype.scale
    each = step.errors[0].value + (step.call.p.truncation_error * 2.0 ** (drop - scale) if drop else 0.0)
    own = 2 * division_error(step.call.p) * step.unit
    ratio = _terms(step, step.call.attribute("axis")) / max(1, step.call.attribute("divisor"))
    return _Error(ratio * (2 * step.sizes[0] * each + each**2) + own, math.sqrt(ratio) * each + math.sqrt(own))


def _sqrt(step: _Step) -> _Error:
    before, scale = step.errors[0], step.call.types[0].dtype.scale
    lowest = math.ldexp(step.call.ranges[0][0], -scale) - before.value
    slope = before.value / (2 * math.sqrt(lowest)) if lowest > 0 else math.inf
    own = step.call.p.truncation_error * (RELATIVE_ERROR * math.sqrt(step.sizes[0]) + step.unit)
    return _Error(min(before.root, slope, math.sqrt(before.value)) + own)


def _div(step: _Step) -> _Error:
    (a, b), own = (error.value for error in step.errors), 2 * worst_error(step.call.p) * step.unit
    if a == b == 0.0:
        return _Error(own)
    lowest = math.ldexp(step.call.ranges[1][0], -step.call.types[1].dtype.scale)
    if lowest <= b:
        return _Error(math.inf)
    return _Error((a + step.sizes[0] / lowest * b) / (lowest - b) + own)


_RULES: dict[str, Rule] = {
    "input": _rounded,
    "add": _added,
    "sub": _added,
    "sum": _sum,
    "mul": _product,
    "dot": _product,
    "matmul": _product,
    "rescale": _rescale,
    "div_public": _div_public,
    "div": _div,
    "masked_mean": _masked_mean,
    "mean_square": _mean_square,
    "sqrt": _sqrt,
}
