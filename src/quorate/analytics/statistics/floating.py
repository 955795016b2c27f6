"""Secret numbers of unknown magnitude: a mantissa and a secret power of four.

Fixed-point numbers lose digits where ranges are declared wider than they need to be. A statistic is a ratio of a few
sums that were computed exactly; these are brought to a mantissa first, so that the ratio is good to about 8 digits
whatever their magnitude. Only canonical numbers are opened, which tell their value and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["BITS", "Floating", "floating"]

BITS = 29
"""Fraction bits of a mantissa."""

FINE = BITS + 4


@dataclass(frozen=True)
class Floating:
    """mantissa * 4**-power * 2**exponent, never negative.

    Attributes:
        mantissa: fixed(BITS), 0 or within [1/4, 1], any shape.
        power: int of the same shape, secret; 0 where the mantissa is 0.
        exponent: public, a number or one for each.
    """

    mantissa: SecretArray
    power: SecretArray
    exponent: Any

    def __truediv__(self, other: Floating) -> Floating:
        """The ratio; that of a number and 0 is some number, so ask before whether the divisor is 0."""
        quotient = (self.mantissa / other.mantissa.clip(0.25, 1.0)).clip(0.0, 4.0)
        exponent = self.exponent - other.exponent + 2
        return _canonical(quotient * 0.25, self.power - other.power, exponent, self.mantissa > 0)

    def __mul__(self, other: Floating) -> Floating:
        """The product."""
        product = (self.mantissa * other.mantissa).clip(0.0, 1.0)
        there = (self.mantissa > 0) & (other.mantissa > 0)
        return _canonical(product, self.power + other.power, self.exponent + other.exponent, there)

    def lowered(self, powers: SecretArray | None) -> Floating:
        """Times 4**-powers, for secret whole numbers; None stands for 0."""
        if powers is None:
            return self
        return Floating(self.mantissa, self.power + powers * (self.mantissa > 0).astype(INT), self.exponent)

    def parts(self, name: str) -> dict[str, SecretArray]:
        """What is to be opened, under names that begin with `name`."""
        return {name: self.mantissa, f"{name}_power": self.power}

    def shown(self, flag: SecretArray) -> Floating:
        """0 where the flag does not hold."""
        keep = flag.astype(INT)
        return Floating(self.mantissa * keep, self.power * keep, self.exponent)

    def opened(self, values: Mapping[str, Any], name: str) -> Any:
        """The numbers, from the opened parts."""
        mantissa, power = np.asarray(values[name], np.float64), np.asarray(values[f"{name}_power"], np.int64)
        return mantissa * np.exp2(self.exponent - 2.0 * power)


def _canonical(mantissa: SecretArray, power: SecretArray, exponent: Any, there: SecretArray) -> Floating:
    """From a mantissa within [1/16, 1]; 0 where the number is not there."""
    small = (mantissa < 0.25).astype(INT)
    raised = (mantissa * (small * 3 + 1)).clip(0.0, 1.0).astype(fixed(BITS))
    return Floating(raised, power + small, exponent).shown(there)


def floating(values: SecretArray, exponent: Any = 0) -> Floating:
    """values * 2**exponent with a mantissa; for values from 0, of any shape and scale.

    Reveals nothing; about 35 rounds, and two comparisons per value and four bits of its range.
    """
    raw = values.astype_raw(INT)
    width = max(4, -(-int(raw.limits[1]).bit_length() // 4) * 4)
    steps = range(width // 4)
    below = [None, *((raw < 1 << (width - 4 * k)).astype(INT) for k in steps[1:])]
    mantissa = raw.astype_raw(fixed(FINE)) * 0
    for k in steps:  # exactly one of these is chosen: that with the highest leading bits
        bits = width - 4 * k
        last = below[k + 1] if k + 1 < len(below) else None
        part = _mantissa(raw if k == 0 else q.minimum(raw, 1 << bits), bits)
        mantissa = mantissa + _between(part, below[k], last)
    power = 2 * sum((flag for flag in below if flag is not None), raw * 0)
    return _canonical(mantissa.clip(0.0, 1.0), power, width - values.dtype.scale + exponent, raw > 0)


def _between(part: SecretArray, holds: SecretArray | None, beyond: SecretArray | None) -> SecretArray:
    """The part where the first flag holds and the second, which implies it, does not."""
    chosen: Any = 1 if holds is None else holds
    found: SecretArray = part * (chosen if beyond is None else chosen - beyond)
    return found


def _mantissa(raw: SecretArray, bits: int) -> SecretArray:
    """raw / 2**bits, with BITS digits after up to four zeros."""
    if bits <= FINE:
        return (raw << (FINE - bits)).astype_raw(fixed(FINE))
    finer = min(48, bits)
    if bits > finer:
        raw = raw.astype_raw(fixed(bits - finer)).astype(fixed(0)).astype_raw(INT)
    return raw.astype_raw(fixed(finer)).astype(fixed(FINE))
