"""Square root of a secret, and its inverse.

The number is normalised to d in [1/4, 1) by a power of four; the root of d is a trigonometric sum (`series`), and the
root of the power of four a power of two, known from the same bits. Ours.

Rounds with rep3, for a number whose leading bit may be in one of f pairs: 5 + log2(its word) + ceil(log2(f)) for the
powers, then 1 + 3 for the root of d and 2 for the result.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from quorate.circuits import normalise
from quorate.circuits.normalise import leading_pair, normal, normal_digits, normaliser, scaled
from quorate.circuits.series import Series, Traits, evaluate, finest, normal_error, traits
from quorate.circuits.wave_tables import INVERSE_ROOT, ROOT
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

__all__ = ["RELATIVE_ERROR", "check_inverse_root", "check_root", "inverse_root", "inverse_root_error", "sqrt"]

RELATIVE_ERROR = 2.0**-23
"""Worst relative error, to which a unit of the last place is added; both times the protocol's `truncation_error`."""


class Root(NamedTuple):
    """A sum for the root of a normalised number, its fraction bits, and how many bits are dropped in the end."""

    series: Series
    digits: int
    drop: int


def sqrt(
    p: Protocol, at: Scope, x: Arithmetic, *, bits: int, shift_in: int, scale: int, low: int = 0
) -> Step[Arithmetic]:
    """sqrt(x / 2**shift_in) * 2**scale for low <= x < 2**bits, elementwise; for the error see `RELATIVE_ERROR`.

    Raises:
        UserError: the result does not fit the protocol's range.
    """
    how = check_root(p, bits=bits, shift_in=shift_in, scale=scale)
    if how.drop > p.capacity:
        return p.public(np.zeros(x.shape, np.int64))
    x, low, bits = _even(p, x, low, bits, shift_in)
    high = (1 << bits) - 1
    factor, root = yield from normaliser(p, at.child("normalise"), x, low, high, normalise.factor, normalise.root)
    d = yield from normal(p, at.child("normal"), x, factor, high)
    unit = Fraction(1, 1 << normal_digits(p.modulus_bits, high))
    of_normal = yield from evaluate(p, at.child("root"), d, how.series, unit, how.digits, not low)
    return (yield from scaled(p, at.child("scale"), of_normal, root, how.drop))


def check_root(p: Protocol, *, bits: int, shift_in: int, scale: int) -> Root:
    """How `sqrt` goes.

    Raises:
        UserError: numbers of that many bits, or a result that fine, do not fit the protocol.
    """
    odd = shift_in % 2
    high = (1 << (bits + odd)) - 1
    pairs = leading_pair(high) + 1
    if 2 * pairs > p.capacity:
        raise UserError(f"a square root of numbers of {bits} bits does not fit {p.name}; declare narrower ranges")
    series, digits = _chosen(traits(p), ROOT, high, p.capacity - 1 - pairs, 0.5)
    drop = digits - (scale - (shift_in + odd) // 2)
    if drop < 1:
        raise UserError(f"a square root with {scale} fraction bits is finer than {p.name} can compute; use fewer")
    return Root(series, digits, drop)


def inverse_root(
    p: Protocol, at: Scope, x: Arithmetic, *, bits: int, shift_in: int, scale: int, low: int = 1
) -> Step[Arithmetic]:
    """2**scale / sqrt(x / 2**shift_in) for low <= x < 2**bits, low >= 1, elementwise; see `RELATIVE_ERROR`.

    Raises:
        UserError: the result does not fit the protocol's range.
    """
    how = check_inverse_root(p, bits=bits, shift_in=shift_in, scale=scale, low=low)
    x, low, bits = _even(p, x, low, bits, shift_in)
    high = (1 << bits) - 1
    factor, root = yield from normaliser(
        p, at.child("normalise"), x, low, high, normalise.factor, normalise.inverse_root
    )
    d = yield from normal(p, at.child("normal"), x, factor, high)
    unit = Fraction(1, 1 << normal_digits(p.modulus_bits, high))
    of_normal = yield from evaluate(p, at.child("root"), d, how.series, unit, how.digits)
    return (yield from scaled(p, at.child("scale"), of_normal, root, how.drop))


def check_inverse_root(p: Protocol, *, bits: int, shift_in: int, scale: int, low: int) -> Root:
    """How `inverse_root` goes.

    Raises:
        UserError: numbers of that many bits, or a result that fine, do not fit the protocol.
    """
    odd = shift_in % 2
    high, least = (1 << (bits + odd)) - 1, low << odd
    last, spread = leading_pair(high), leading_pair(high) - leading_pair(least)
    if 2 * (last + 1) > p.capacity:
        raise UserError(f"an inverse root of numbers of {bits} bits does not fit {p.name}; declare narrower ranges")
    series, digits = _chosen(traits(p), INVERSE_ROOT, high, p.capacity - 2 - spread, 1.0)
    # The root of d, at most 2, times 2**(last - k), stands for the result times 2**(digits + last + 1).
    drop = digits + last + 1 - (scale + (shift_in + odd) // 2)
    if drop < 1:
        raise UserError(
            f"an inverse root with {scale} fraction bits is finer than {p.name} can compute here; use fewer, or "
            "declare a narrower range"
        )
    return Root(series, digits, drop)


def inverse_root_error(p: Protocol, *, bits: int, shift_in: int, scale: int, low: int) -> float:
    """Worst relative error of `inverse_root`, to which a unit of the last place is added; both times
    `truncation_error`."""
    how = check_inverse_root(p, bits=bits, shift_in=shift_in, scale=scale, low=low)
    high = (1 << (bits + shift_in % 2)) - 1
    return normal_error(traits(p), how.series, high, how.digits, True) / p.truncation_error


def _even(p: Protocol, x: Arithmetic, low: int, bits: int, shift_in: int) -> tuple[Arithmetic, int, int]:
    """The number and its bounds at an even scale."""
    return (p.add(x, x), 2 * low, bits + 1) if shift_in % 2 else (x, low, bits)


@cache
def _chosen(t: Traits, tables: tuple[Series, ...], high: int, room: int, least: float) -> tuple[Series, int]:
    """The cheapest sum that is good enough, else the best, with as many fraction bits as fit; `least` is its lowest
    value."""
    found: list[tuple[float, Series, int]] = []
    for series in tables:
        digits = min(room, finest(t, series, True))
        own = (normal_error(t, series, high, digits, True) - series.error) / least
        found.append((series.error + own, series, digits))
        if found[-1][0] <= RELATIVE_ERROR * t.truncation:
            return series, digits
    return min(found, key=lambda entry: entry[0])[1:]
