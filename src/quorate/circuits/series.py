"""Functions of a secret as trigonometric sums: every party turns its summand alone, one inner product does the rest.

f(x) = constant + sum over k of c_k cos(k t) + s_k sin(k t), with t = 2 pi (x - centre) / period. The angle is scaled so
that the protocol's modulus is one period: then the wrap of the summands is a whole turn and needs no correction, and by
the addition theorems cos(k t) and sin(k t) are inner products of what two summands give (`Protocol.known`).

Sources: see `quorate.protocols.known` for the idea, scripts/numeric_tables.py for the coefficients. Deviation from
Fourier series: best approximations on an interval shorter than the period, with the error in the table.

Cost: with two summands one inner product of 2 h numbers for h harmonics: with rep3 (16 h + 16, 16, 16) bytes in 3
rounds. Each further summand adds 4 h inner products of 2 numbers, in two rounds and those of a truncation. Protocols
without functions of summands (`Protocol.summand_count` 0) or with more than `MOST_SUMMANDS` compute a polynomial
instead: `series_polynomial`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.circuits import series_polynomial
from quorate.circuits.normalise import normal_bits, normal_digits
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.kernels.analytic import waves, weighted_waves
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Function, Protocol
from quorate.sharing.share import Arithmetic, concatenate

__all__ = ["FRACTION", "Series", "Traits", "absolute_error", "evaluate", "finest", "normal_error", "traits", "turned"]

FRACTION = 40
"""Fraction bits of the coefficients."""

ROOT2 = math.sqrt(2)


@dataclass(frozen=True)
class Series:
    """A function on [low, high] as a trigonometric sum.

    Attributes:
        low, high: where it is good.
        period: of the lowest harmonic; the middle of the interval has angle 0.
        stride: the harmonics are the multiples 1, 1 + stride, 1 + 2 stride, ...
        error: worst difference from the function, absolute or relative as the table says.
        lowest, highest: results on the interval.
        slope: largest absolute slope on the interval.
        amplitude: the sum of all amplitudes.
        zero: the sum at x = 0, which may lie outside of the interval, in units of 2**-FRACTION.
        constant, cosines, sines: coefficients, in units of 2**-FRACTION.
    """

    low: Fraction
    high: Fraction
    period: Fraction
    stride: int
    error: float
    lowest: float
    highest: float
    slope: float
    amplitude: float
    zero: int
    constant: int
    cosines: tuple[int, ...]
    sines: tuple[int, ...]

    @property
    def harmonics(self) -> int:
        """How many."""
        return len(self.sines)


class Traits(NamedTuple):
    """What the accuracy of a protocol depends on.

    Layouts and plans are computed from it alike at all participants: with integers, sums, products, quotients and
    square roots of doubles, which are the same everywhere, and nothing from the mathematical library.
    """

    capacity: int
    modulus_bits: int
    summands: int
    truncation: float

    @property
    def modulus(self) -> int:
        """2**64 or 2**61 - 1."""
        return 1 << 64 if self.modulus_bits == 64 else (1 << self.modulus_bits) - 1


MOST_SUMMANDS = 3
"""With more of them polynomials are cheaper, and better."""


def traits(p: Protocol) -> Traits:
    """Those of a protocol; `summands` is 0 where functions of them cannot be had, or are not worth it."""
    summands = p.summand_count if p.summand_count <= MOST_SUMMANDS else 0
    return Traits(p.capacity, p.modulus_bits, summands, p.truncation_error)


class _Layout(NamedTuple):
    """How a series is computed: the angles of a unit of x and of the middle in 1 / modulus turns; digits of factors."""

    turn: int
    start: int
    left: int
    right: int


def finest(t: Traits, series: Series, zero: bool = False) -> int:
    """The most fraction bits that `evaluate` can give.

    With `zero`, x may be 0 as well, outside of the interval; then the sum there has to fit.
    """
    return _digits(t, series, zero) - 1 if t.summands else series_polynomial.plan(t, series).finest


@cache
def _digits(t: Traits, series: Series, zero: bool) -> int:
    """Fraction bits of the inner product, such that it stays below half of the protocol's capacity."""
    ends = [series.lowest, series.highest, *([math.ldexp(series.zero, -FRACTION)] if zero else [])]
    swing = max(abs(end - math.ldexp(series.constant, -FRACTION)) for end in ends) + 2.0**-20
    return t.capacity - 1 - max(0, math.frexp(swing)[1])


@cache
def _layout(t: Traits, series: Series, unit: Fraction, zero: bool) -> _Layout:
    digits = _digits(t, series, zero)
    # The rounding errors of both factors weigh alike where 2**left / 2**right = amplitude / harmonics.
    left = (digits + math.frexp(series.amplitude / series.harmonics)[1]) // 2
    turn = round(t.modulus * unit / series.period)
    start = round(t.modulus * (series.low + series.high) / 2 / series.period)
    if not turn:
        raise InternalError("the unit is too fine for this series")
    return _Layout(turn, start, left, digits - left)


@cache
def absolute_error(
    t: Traits, series: Series, unit: Fraction, digits: int, largest: int, zero: bool = False, blur: float = 0.0
) -> float:
    """Worst difference of `evaluate` from the sum, in units of 2**-digits; the error of the series comes on top.

    Counted are the error of x, the rounded angle of a unit, that of the middle and the reading of field elements as
    2**-61 turns (times the slope), both factors' rounding (their other factors are at most the amplitude and 1, in
    Euclidean norm), the computation of the factors (`kernels.analytic`), the rounded constant, and the truncation.

    Args:
        unit: what one unit of x stands for.
        largest: no |x| is larger.
        blur: by how many units x is off.
    """
    if not t.summands:
        return series_polynomial.absolute_error(t, series, unit, digits, largest, blur)
    how, exact = _layout(t, series, unit, zero), t.modulus * unit / series.period
    turns = (float(abs(how.turn - exact)) * largest + 0.5) / t.modulus + t.summands * 2.0**-61
    rounding = series.amplitude * ROOT2 / 2 * math.ldexp(1.0, -how.left) + series.harmonics * ROOT2 / 2 * math.ldexp(
        1.0, -how.right
    )
    highest = 1 + (series.harmonics - 1) * series.stride
    computing = series.amplitude * 2 * t.summands * highest * 2.0**-45
    joining = (t.summands - 2) * series.amplitude * ROOT2 * (t.truncation + 1) * math.ldexp(1.0, -how.left)
    angle = series.slope * (float(series.period) * turns + blur * float(unit))
    real = angle + rounding + computing + joining
    return math.ldexp(real, digits) + 0.5 + t.truncation


def normal_error(t: Traits, series: Series, high: int, digits: int, zero: bool) -> float:
    """Worst difference from the function where x is `normalise.normal`, from numbers up to `high`: in real units, and
    relative to results of at least 1 for a series with a relative error."""
    places = normal_digits(t.modulus_bits, high)
    blur = t.truncation if places < normal_bits(high) else 0.0
    own = absolute_error(t, series, Fraction(1, 1 << places), digits, 1 << places, zero, blur)
    return series.error + math.ldexp(own, -digits)


def evaluate(
    p: Protocol, at: Scope, x: Arithmetic, series: Series, unit: Fraction, digits: int, zero: bool = False
) -> Step[Arithmetic]:
    """The series of x * unit with `digits` fraction bits, at most `finest`; for the error see `absolute_error`.

    Elementwise. For x * unit between series.low and series.high; with `zero` also for 0, where any result up to
    series.at(0) may come out, without functions of summands anything.
    """
    t = traits(p)
    if not t.summands:
        return (yield from series_polynomial.evaluate(p, at, t, x, series, unit, digits))
    how = _layout(t, series, unit, zero)
    shift = how.left + how.right - digits
    angle = turned(p, x, how.turn, how.start)
    count, last = 2 * series.harmonics, p.summand_count - 1
    function = _factors(series, how, last, p.modulus_bits)
    if last == 1:
        total = yield from p.known_dot(at.child("sum"), angle, function, count, shift)
    else:
        known = yield from p.known(at.child("known"), angle, function, count)
        total = yield from _joined(p, at, known, how.left, shift)
    constant = Fraction(series.constant, 1 << FRACTION) * (1 << digits)
    return p.add_public(total, np.asarray(round(constant), np.int64))


def turned(p: Protocol, x: Arithmetic, turn: int, start: int) -> Arithmetic:
    """x * turn - start modulo the protocol's modulus: an angle."""
    return p.add_public(p.scale(x, _signed(turn)), np.asarray(_signed(-start), np.int64))


def _signed(value: int) -> int:
    """A public number modulo 2**64 as int64."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _factors(series: Series, how: _Layout, last: int, modulus_bits: int) -> Function:
    cosines, sines = (np.array(values, np.float64) * 2.0**-FRACTION for values in (series.cosines, series.sines))

    def factors(words: npt.NDArray[np.uint64], index: int) -> npt.NDArray[np.int64]:
        if index < last:
            return waves(words, series.harmonics, series.stride, how.left, modulus_bits)
        return weighted_waves(words, cosines, sines, series.stride, how.right, modulus_bits)

    return factors


def _joined(p: Protocol, at: Scope, known: list[Arithmetic], digits: int, shift: int) -> Step[Arithmetic]:
    """Angles of all summands but the last are added one by one, as products of complex numbers."""
    total = known[0]
    for k, other in enumerate(known[1:-1]):
        total = yield from _joined_two(p, at.child(f"summand {k + 1}"), total, other, digits)
    return (yield from p.dot(at.child("sum"), _rows(total), _rows(known[-1]), shift))


def _joined_two(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, digits: int) -> Step[Arithmetic]:
    """Complex products of alternating real and imaginary rows: (2 h, ...) each."""
    (c, s), (u, v) = (tuple(z.map(lambda part, k=k: part[k::2]) for k in range(2)) for z in (x, y))  # type: ignore[misc]
    left = _paired([concatenate([c, s], 0), concatenate([p.neg(s), c], 0)])
    right = _paired([concatenate([u, u], 0), concatenate([v, v], 0)])
    both = yield from p.dot(at, left, right, digits)
    half = both.shape[0] // 2
    return both.map(lambda part: _woven(part[:half], part[half:]))


def _woven(even: npt.NDArray[np.uint64], odd: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Rows of two arrays in turn."""
    return np.stack([even, odd], 1).reshape(2 * even.shape[0], *even.shape[1:])


def _paired(shares: list[Arithmetic]) -> Arithmetic:
    """Shares of one shape along a new last axis."""
    stacked = concatenate([share.map(lambda part: part[..., None]) for share in shares], -1)
    return stacked.map(contiguous)


def _rows(x: Arithmetic) -> Arithmetic:
    """The first axis last."""
    return x.map(lambda part: contiguous(np.moveaxis(part, 0, -1)))
