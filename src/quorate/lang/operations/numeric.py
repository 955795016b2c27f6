"""Magnitude, sign, the smaller and the larger of two, limits; rounding to whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quorate.circuits.limits import absolute, clip, maximum, minimum, sign
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
    require_numbers,
    same_scale,
    whole,
)
from quorate.lang.plan import Type
from quorate.sharing.share import Arithmetic

__all__ = ["magnitude_bits"]

Attributes = Mapping[str, Any]


def magnitude_bits(low: int, high: int) -> int:
    """The bits of the largest magnitude in a range."""
    return max(abs(low), abs(high)).bit_length()


# -- magnitude, sign, limits -----------------------------------------------------------------------------------------


def _infer_same(what: str) -> Callable[[Sequence[Type], Attributes, Type], Type]:
    def infer(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
        return Type(same_scale(types, what), broadcast_shapes(*(type_.shape for type_ in types)))

    return infer


def _bound_abs(call: Call) -> Range:
    low, high = call.ranges[0]
    return max(low, -high, 0), max(-low, high)


def _run_abs(call: Call) -> Step[Arithmetic]:
    low, high = call.ranges[0]
    return absolute(call.p, call.at, call.numbers(0), magnitude_bits(low, high))


register(Kind("abs", _infer_same("a magnitude"), _bound_abs, _run_abs, elementwise=True, operands=1))


def _infer_sign(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    require_numbers(types, "a sign")
    if types[0].dtype.scale < 0:
        raise UserError(f"{types[0].dtype} cannot hold the sign 1; use astype with a scale of 0 or more first")
    return Type(types[0].dtype, types[0].shape)


def _sign_unit(call: Call) -> int:
    """Raw value of 1."""
    return 1 << call.types[0].dtype.scale


def _bound_sign(call: Call) -> Range:
    low, high = call.ranges[0]
    return call.fits(-_sign_unit(call) if low < 0 else 0, _sign_unit(call) if high > 0 else 0)


def _run_sign(call: Call) -> Step[Arithmetic]:
    found = yield from sign(call.p, call.at, call.numbers(0), magnitude_bits(*call.ranges[0]))
    return call.p.scale(found, _sign_unit(call))


def _no_error(step: Accuracy) -> Error:
    """Exact on the stored numbers, like a comparison."""
    return Error(0.0)


register(Kind("sign", _infer_sign, _bound_sign, _run_sign, elementwise=True, operands=1, error=_no_error))


def _difference_bits(call: Call) -> int:
    (a, b), (c, d) = call.ranges
    return magnitude_bits(a - d, b - c)


def _bound_extreme(choose: Callable[[int, int], int]) -> Callable[[Call], Range]:
    def bound(call: Call) -> Range:
        (a, b), (c, d) = call.ranges
        call.fits(a - d, b - c)
        return choose(a, c), choose(b, d)

    return bound


def _run_extreme(circuit: Callable[..., Step[Arithmetic]]) -> Callable[[Call], Step[Arithmetic]]:
    return lambda call: circuit(call.p, call.at, call.numbers(0), call.numbers(1), _difference_bits(call))


for _name, _choose, _circuit in (("minimum", min, minimum), ("maximum", max, maximum)):
    register(Kind(_name, _infer_same(f"a {_name}"), _bound_extreme(_choose), _run_extreme(_circuit), elementwise=True))


def _limits(attributes: Attributes) -> tuple[int | None, int | None]:
    low, high = (None if attributes.get(name) is None else whole(attributes[name], name) for name in ("low", "high"))
    if low is not None and high is not None and low > high:
        raise UserError(f"clip between {low} and {high} (raw); the lower limit must not exceed the upper one")
    return low, high


def _infer_clip(types: Sequence[Type], attributes: Attributes, stated: Type) -> Type:
    _limits(attributes)
    return Type(same_scale(types, "clip"), types[0].shape)


def _bound_clip(call: Call) -> Range:
    low, high = _limits(call.operation.attributes)
    ends = call.ranges[0]
    for limit in (low, high):
        if limit is not None:
            call.fits(ends[0] - limit, ends[1] - limit)
    floor, ceiling = (end if end is not None else other for end, other in zip((low, high), ends, strict=True))
    return min(max(ends[0], floor), ceiling), max(min(ends[1], ceiling), floor)


def _run_clip(call: Call) -> Step[Arithmetic]:
    """Only limits that the range may pass are looked at."""
    low, high = _limits(call.operation.attributes)
    ends = call.ranges[0]
    low = low if low is not None and ends[0] < low else None
    high = high if high is not None and ends[1] > high else None
    reach = max(magnitude_bits(ends[0] - limit, ends[1] - limit) for limit in (low, high, 0) if limit is not None)
    return clip(call.p, call.at, call.numbers(0), low, high, reach)


register(
    Kind(
        "clip",
        _infer_clip,
        _bound_clip,
        _run_clip,
        elementwise=True,
        operands=1,
        attributes=frozenset({"low", "high"}),
    )
)
