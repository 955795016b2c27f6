"""Functions of public numbers in fixed point, by integers alone: the same at all participants, on every machine.

Numbers have `PRECISION` fraction bits; results are good to all of them but a few.
"""

from __future__ import annotations

from fractions import Fraction

__all__ = ["LN_2", "ONE", "PI", "PRECISION", "fixed", "power_of_two", "times", "wave"]

PRECISION = 120
ONE = 1 << PRECISION

PI = Fraction(0x3243F6A8885A308D313198A2E03707344A4093822299F31D0, 1 << 192)
"""Pi, to 192 fraction bits."""

LN_2 = Fraction(0x0B17217F7D1CF79ABC9E3B39803F2F6AF, 1 << 128)
"""The natural logarithm of 2, to 128 fraction bits."""


def fixed(value: Fraction | int) -> int:
    """The number in fixed point."""
    return round(value * ONE)


def times(x: int, y: int) -> int:
    """A product."""
    return (x * y) >> PRECISION


def wave(turns: int) -> tuple[int, int]:
    """Cosine and sine of an angle in turns."""
    rest = (turns + ONE // 2) % ONE - ONE // 2
    angle = times(rest, fixed(2 * PI))
    total, term, k = [0, 0], ONE, 0
    while abs(term) > 1:
        total[k % 2] += -term if k & 2 else term
        k += 1
        term = times(term, angle) // k
    return total[0], total[1]


def power_of_two(exponent: int) -> int:
    """2**exponent, for exponents below some tens."""
    whole, rest = exponent >> PRECISION, exponent & (ONE - 1)
    angle = times(rest, fixed(LN_2))
    total, term, k = 0, ONE, 0
    while term:
        total += term
        k += 1
        term = times(term, angle) // k
    return total << whole if whole >= 0 else total >> -whole
