"""Bit operations on integers, as on words in two's complement: and, or, exclusive or, shifts, counts of ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from quorate.circuits import bitwise
from quorate.engine.exchange import Step
from quorate.errors import UserError
from quorate.lang.operations.base import (
    Accuracy,
    Call,
    Error,
    Kind,
    Range,
    always,
    broadcast_shapes,
    register,
    whole,
)
from quorate.lang.plan import Type
from quorate.sharing.dtype import INT
from quorate.sharing.share import Arithmetic

__all__: list[str] = []

Attributes = Mapping[str, Any]
MOST_SHIFT = 62
BY = frozenset({"by"})


def _exact(step: Accuracy) -> Error:
    """Bits of an integer that is not exact could all be wrong."""
    return Error(math.inf if any(error.value for error in step.errors) else 0.0)


def _infer(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if any(type_.dtype.kind != "int" for type_ in types):
        raise UserError("bit operations and shifts take integers; & | ^ ~ of bools are logic, fixed point has no bits")
    return Type(types[0].dtype, broadcast_shapes(*(type_.shape for type_ in types)))


# -- and, or, exclusive or, complement ---------------------------------------------------------------------------------


class _Word(NamedTuple):
    """Where x & y lies: 0 ... 2**width - 1, or in two's complement of that width."""

    width: int
    signed: bool


def _word(ranges: Sequence[Range]) -> _Word:
    """Of the and of numbers in these ranges: a number that is not negative clears all bits above its own."""
    positive = [high.bit_length() for low, high in ranges if low >= 0]
    if positive:
        return _Word(max(1, min(positive)), False)
    return _Word(max(max((-1 - low).bit_length(), high.bit_length()) for low, high in ranges) + 1, True)


def _and_range(x: Range, y: Range) -> Range:
    word = _word((x, y))
    tops = [high for low, high in (x, y) if low >= 0] if not word.signed else [max(x[1], y[1])]
    return -(1 << (word.width - 1)) if word.signed else 0, min(tops)


def _complement(x: Range) -> Range:
    return -1 - x[1], -1 - x[0]


def _or_range(x: Range, y: Range) -> Range:
    """By de Morgan's law."""
    return _complement(_and_range(_complement(x), _complement(y)))


def _xor_range(x: Range, y: Range) -> Range:
    """All that fits the wider of the two words."""
    reach = 1 << max(max(end.bit_length(), (-1 - end).bit_length()) for end in (*x, *y))
    return (0 if x[0] >= 0 and y[0] >= 0 else -reach), reach - 1


def _bound(rule: Callable[[Range, Range], Range]) -> Callable[[Call], Range]:
    return lambda call: call.fits(*rule(*call.ranges))


def _run(circuit: Callable[..., Step[Arithmetic]]) -> Callable[[Call], Step[Arithmetic]]:
    """Public words are spared the way there, wherever they stand: the operations commute."""

    def run(call: Call) -> Step[Arithmetic]:
        first, second = (1, 0) if isinstance(call.values[0], np.ndarray) else (0, 1)
        other = call.values[second]
        y = np.broadcast_to(other, call.shape) if isinstance(other, np.ndarray) else call.numbers(second)
        return circuit(call.p, call.at, call.numbers(first), y, *_word(call.ranges))

    return run


OPENS = "by an adder: the word plus a uniform number that nobody knows, to all parties"

register(
    Kind("bit_and", _infer, _bound(_and_range), _run(bitwise.bit_and), elementwise=True, opens=OPENS, error=_exact)
)
register(Kind("bit_or", _infer, _bound(_or_range), _run(bitwise.bit_or), elementwise=True, opens=OPENS, error=_exact))
register(
    Kind("bit_xor", _infer, _bound(_xor_range), _run(bitwise.bit_xor), elementwise=True, opens=OPENS, error=_exact)
)
register(
    Kind(
        "bit_not",
        _infer,
        lambda call: _complement(call.ranges[0]),
        lambda call: call.p.add_public(call.p.neg(call.numbers(0)), np.asarray(-1, np.int64)),
        local=always,
        operands=1,
        error=_exact,
    )
)


# -- shifts ------------------------------------------------------------------------------------------------------------


def _infer_shift(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    if not 0 <= whole(attributes["by"], "the amount of a shift") <= MOST_SHIFT:
        raise UserError(f"a shift by {attributes['by']}; it may be 0 to {MOST_SHIFT}")
    return _infer(types, attributes, stated)


def _factor(call: Call) -> int:
    return 1 << int(call.attribute("by"))


register(
    Kind(
        "shift_left",
        _infer_shift,
        lambda call: call.fits(*(end * _factor(call) for end in call.ranges[0])),
        lambda call: call.p.scale(call.numbers(0), _factor(call)),
        local=always,
        operands=1,
        attributes=BY,
        error=lambda step: Error(step.errors[0].value * _factor(step.call)),
    )
)


def _amount(call: Call) -> Range:
    """Smallest and largest amount. Raises `UserError` unless it is proven to be one."""
    low, high = call.ranges[1]
    if low < 0 or high > MOST_SHIFT:
        raise UserError(
            f"a shift by {low} to {high}; it may be 0 to {MOST_SHIFT}: clip the amount, or declare a narrower range"
        )
    return low, high


def _bound_left_by(call: Call) -> Range:
    (low, high), (least, most) = call.ranges[0], _amount(call)
    return call.fits(low << (most if low < 0 else least), high << (least if high < 0 else most))


def _run_left_by(call: Call) -> Any:
    amount = call.values[1]
    if isinstance(amount, np.ndarray):
        return call.p.scale(call.numbers(0), np.broadcast_to(np.int64(1) << amount, call.shape))
    return bitwise.shift_left_by(call.p, call.at, call.numbers(0), call.numbers(1), _amount(call)[1])


register(
    Kind(
        "shift_left_by",
        _infer,
        _bound_left_by,
        _run_left_by,
        local=lambda operation, types: not types[1].secret,
        elementwise=True,
        error=lambda step: Error(
            math.inf if step.errors[1].value else step.errors[0].value * (1 << _amount(step.call)[1])
        ),
    )
)


def _bits(call: Call) -> int:
    return max(1, *(max(end.bit_length(), (-1 - end).bit_length()) for end in call.ranges[0]))


register(
    Kind(
        "shift_right",
        _infer_shift,
        lambda call: tuple(end >> int(call.attribute("by")) for end in call.ranges[0]),  # type: ignore[arg-type, return-value]
        lambda call: bitwise.floor_shift(call.p, call.at, call.numbers(0), int(call.attribute("by")), _bits(call)),
        elementwise=True,
        operands=1,
        attributes=BY,
        error=_exact,
    )
)


def _bound_right_by(call: Call) -> Range:
    (low, high), (least, most) = call.ranges[0], _amount(call)
    return low >> (least if low < 0 else most), high >> (most if high < 0 else least)


def _run_right_by(call: Call) -> Step[Arithmetic]:
    """To the left by what is missing to the largest amount, then to the right by that; as words if there is no room."""
    p, (least, most), bits = call.p, _amount(call), _bits(call)
    if bits + most - least > p.capacity:
        return bitwise.shift_words_right(p, call.at, call.numbers(0), call.numbers(1), bits + 1, most)
    missing = p.add_public(p.neg(call.numbers(1)), np.asarray(most, np.int64))
    return _there_and_back(call, missing, bits + most - least)


def _there_and_back(call: Call, missing: Arithmetic, bits: int) -> Step[Arithmetic]:
    (least, most), at = _amount(call), call.at
    raised = yield from bitwise.shift_left_by(call.p, at.child("up"), call.numbers(0), missing, most - least)
    return (yield from bitwise.floor_shift(call.p, at.child("down"), raised, most, bits))


register(Kind("shift_right_by", _infer, _bound_right_by, _run_right_by, elementwise=True, opens=OPENS, error=_exact))


# -- counting bits -----------------------------------------------------------------------------------------------------


def _bound_popcount(call: Call) -> Range:
    low, high = call.ranges[0]
    if low < 0:
        raise UserError(
            "the number of ones of what may be negative depends on the width of the word; count those of abs(x), as "
            "NumPy's bitwise_count does, or declare a range that starts at 0"
        )
    return 0, high.bit_length()


def _run_popcount(call: Call) -> Step[Arithmetic]:
    return bitwise.popcount(call.p, call.at, call.numbers(0), max(1, call.ranges[0][1].bit_length()))


register(
    Kind(
        "popcount",
        lambda types, attributes, stated: replace(_infer(types, attributes, stated), dtype=INT),
        _bound_popcount,
        _run_popcount,
        elementwise=True,
        operands=1,
        error=_exact,
    )
)
