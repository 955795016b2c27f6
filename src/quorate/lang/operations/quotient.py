"""Integer division: quotients rounded down and remainders with the sign of the divisor, as in Python. All exact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from quorate.circuits.divide import corrections
from quorate.circuits.quotient import floor_divide, floor_divide_public
from quorate.circuits.scaling import division_plan
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    broadcast_shapes,
    register,
    same_scale,
    size_or_number,
)
from quorate.lang.plan import Type
from quorate.sharing.share import Arithmetic

__all__: list[str] = []

Attributes = Mapping[str, Any]


def _exact(step: Accuracy) -> Error:
    """A remainder of numbers that are not exact could be any."""
    return Error(math.inf if any(error.value for error in step.errors) else 0.0)


def _infer(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if any(type_.dtype.kind != "int" for type_ in types):
        raise UserError("quotients rounded down and remainders are those of integers; the language uses raw integers")
    return Type(same_scale(types, "a division"), broadcast_shapes(*(type_.shape for type_ in types)))


# -- by a public number ------------------------------------------------------------------------------------------------


def _infer_public(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    divisor = size_or_number(attributes["divisor"], "divisor")
    if isinstance(divisor, int) and not 0 < abs(divisor) < 1 << 40:
        raise UserError(f"division by {divisor}; a divisor lies between 1 and 2**40 in magnitude")
    return _infer(types, attributes, stated)


def _limit(call: Call) -> int:
    return max(1, *(abs(end) for end in call.ranges[0]))


def _bound_public(call: Call) -> Range:
    divisor = call.attribute("divisor")
    division_plan(call.p, abs(divisor), 0, _limit(call))
    if call.operation.kind == "mod_public":
        return (0, divisor - 1) if divisor > 0 else (divisor + 1, 0)
    ends = [end // divisor for end in call.ranges[0]]
    return min(ends), max(ends)


def _run_public(call: Call) -> Step[Arithmetic]:
    pair = yield from floor_divide_public(call.p, call.at, call.numbers(0), call.attribute("divisor"), _limit(call))
    return pair[call.operation.kind == "mod_public"]


for _name in ("floor_div_public", "mod_public"):
    register(
        Kind(
            _name,
            _infer_public,
            _bound_public,
            _run_public,
            elementwise=True,
            operands=1,
            attributes=frozenset({"divisor"}),
            error=_exact,
        )
    )


# -- by a secret number ------------------------------------------------------------------------------------------------


def _quotient(call: Call) -> int:
    """The largest magnitude of a quotient."""
    low, high = call.ranges[1]
    smallest = min(abs(low), abs(high)) if low > 0 or high < 0 else 1
    return -(-_limit(call) // max(smallest, 1))


def _bound(call: Call) -> Range:
    (least, most), (low, high) = call.ranges
    largest = max(abs(low), abs(high), 1)
    bits = largest.bit_length()
    corrections(
        call.p,
        divisor_bits=bits,
        quotient_bits=_quotient(call).bit_length(),
        scale=0,
        divisor_low=max(low, 0),
    )
    call.fits(-_limit(call) - 8 * largest, _limit(call) + 8 * largest)
    if call.operation.kind == "mod":
        return min(low + 1, 0), max(high - 1, 0)
    reach = _quotient(call)
    return (0 if least >= 0 <= low else -reach), (0 if most <= 0 <= low else reach)


def _run(call: Call) -> Step[Arithmetic]:
    pair = yield from floor_divide(
        call.p,
        call.at,
        call.numbers(0),
        call.numbers(1),
        divisor=call.ranges[1],
        quotient_bits=_quotient(call).bit_length(),
    )
    return pair[call.operation.kind == "mod"]


for _name in ("floor_div", "mod"):
    register(Kind(_name, _infer, _bound, _run, elementwise=True, error=_exact))
