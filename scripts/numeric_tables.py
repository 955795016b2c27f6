"""Derives the coefficients of `quorate.circuits.wave_tables`, the same integers on every machine.

    python scripts/numeric_tables.py > src/quorate/circuits/wave_tables.py

A table approximates a function on an interval by constant + sum over k of c_k cos(k t) + s_k sin(k t), with t = 2 pi
(x - centre) / period and a period longer than the interval, so that the function need not be periodic. Trigonometric
polynomials are a Haar system on less than a period, hence the best approximation is the one whose error alternates;
it is found by Remez's exchange on a fine grid, all in decimal arithmetic with 50 digits. Odd functions that level off
take sines of odd multiples alone: then the interval may fill half of the period.

Sources: Remez, 1934; Cheney, "Introduction to Approximation Theory", 1966, chapter 3; for the longer period, Huybrechs,
"On the Fourier Extension of Nonperiodic Functions", SIAM J. Numer. Anal. 47, 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, getcontext
from fractions import Fraction
from typing import NamedTuple

getcontext().prec = 50

FRACTION = 40
"""Fraction bits of the coefficients."""
DENSITY = 48
"""Grid points per coefficient."""

Real = Callable[[Decimal], Decimal]


def arctan(x: Decimal) -> Decimal:
    """By halving the argument four times, then the series."""
    for _ in range(4):
        x = x / (1 + (1 + x * x).sqrt())
    total, power, k = Decimal(0), x, 1
    while abs(power) > Decimal(10) ** -52:
        total += power / k if k % 4 == 1 else -power / k
        power, k = power * x * x, k + 2
    return 16 * total


PI = 4 * arctan(Decimal(1))


def cosine_sine(t: Decimal) -> tuple[Decimal, Decimal]:
    """By the series of a 64th of the argument, doubled six times."""
    x = t / 64
    cosine, sine, term, k = Decimal(0), Decimal(0), Decimal(1), 0
    while abs(term) > Decimal(10) ** -55:
        if k % 2:
            sine += term if k % 4 == 1 else -term
        else:
            cosine += term if k % 4 == 0 else -term
        k += 1
        term = term * x / k
    for _ in range(6):
        cosine, sine = cosine * cosine - sine * sine, 2 * cosine * sine
    return cosine, sine


def tanh(x: Decimal) -> Decimal:
    """The hyperbolic tangent."""
    e = (-2 * x).exp()
    return (1 - e) / (1 + e)


def log2(x: Decimal) -> Decimal:
    """The logarithm to base 2."""
    return x.ln() / Decimal(2).ln()


def one(x: Decimal) -> Decimal:
    """The weight of absolute errors."""
    return Decimal(1)


class Target(NamedTuple):
    """What is approximated, and how.

    Attributes:
        function: on [low, high].
        weight: what errors are multiplied with: 1 over the function for relative ones.
        odd: sines alone, on [0, high] for [-high, high].
        stride: the multiples of the angle are 1, 1 + stride, 1 + 2 stride ...
        stretch: the period, in lengths of the interval.
        harmonics: how many.
    """

    function: Real
    low: Fraction
    high: Fraction
    weight: Real
    odd: bool
    stride: int
    stretch: Fraction
    harmonics: int

    @property
    def period(self) -> Fraction:
        """The period of the lowest harmonic."""
        return self.stretch * (2 * self.high if self.odd else self.high - self.low)

    @property
    def centre(self) -> Fraction:
        """Where the angle is 0."""
        return Fraction(0) if self.odd else (self.low + self.high) / 2


def even(function: Real, weight: Real, stretch: str, harmonics: int) -> Target:
    """A function of a normalised number, in [1/4, 1]."""
    return Target(function, Fraction(1, 4), Fraction(1), weight, False, 1, Fraction(stretch), harmonics)


def odd(function: Real, high: int, stride: int, stretch: str, harmonics: int) -> Target:
    """An odd function on [-high, high]."""
    return Target(function, Fraction(0), Fraction(high), one, True, stride, Fraction(stretch), harmonics)


def rooted(x: Decimal) -> Decimal:
    """The square root."""
    return x.sqrt()


TARGETS: dict[str, list[Target]] = {
    "RECIPROCAL": [even(lambda x: 1 / x, lambda x: x, "2", harmonics) for harmonics in (6, 8, 11)],
    "ROOT": [even(rooted, lambda x: 1 / x.sqrt(), "3", harmonics) for harmonics in (5, 6, 7)],
    "INVERSE_ROOT": [even(lambda x: 1 / x.sqrt(), rooted, "5/2", harmonics) for harmonics in (6, 8)],
    "LOGARITHM": [even(log2, one, "5/2", harmonics) for harmonics in (6, 8)],
    "ARCTANGENT": [odd(arctan, 1, 1, "5/2", harmonics) for harmonics in (5, 7)],
    "TANH": [
        *(odd(tanh, *how) for how in [(1, 2, "7/2", 3), (2, 2, "5/2", 5), (3, 2, "9/4", 7)]),
        *(odd(tanh, *how) for how in [(4, 2, "33/16", 9), (5, 2, "2", 10)]),
        *(odd(tanh, *how) for how in [(1, 2, "4", 6), (2, 2, "23/8", 10), (4, 2, "9/4", 15), (9, 2, "2", 30)]),
    ],
}
"""Per function the series that circuits choose from; cheap ones first."""


def decimal(value: Fraction) -> Decimal:
    """A fraction in decimal arithmetic."""
    return Decimal(value.numerator) / Decimal(value.denominator)


def basis(target: Target, x: Decimal) -> list[Decimal]:
    """The basis at x: 1, cos, sin, cos 2, sin 2, ...; of an odd function the sines alone."""
    c1, s1 = cosine_sine(2 * PI * (x - decimal(target.centre)) / decimal(target.period))
    cs, ss = cosine_sine(2 * PI * target.stride * (x - decimal(target.centre)) / decimal(target.period))
    values, c, s = [] if target.odd else [Decimal(1)], c1, s1
    for _ in range(target.harmonics):
        values += [s] if target.odd else [c, s]
        c, s = c * cs - s * ss, c * ss + s * cs
    return values


def solve(rows: list[list[Decimal]], right: list[Decimal]) -> list[Decimal]:
    """Gaussian elimination with pivoting."""
    n = len(rows)
    work = [[*row, value] for row, value in zip(rows, right, strict=True)]
    for k in range(n):
        best = max(range(k, n), key=lambda i: abs(work[i][k]))
        work[k], work[best] = work[best], work[k]
        for i in range(k + 1, n):
            factor = work[i][k] / work[k][k]
            work[i] = [a - factor * b for a, b in zip(work[i], work[k], strict=True)]
    result = [Decimal(0)] * n
    for k in reversed(range(n)):
        known = sum((work[k][j] * result[j] for j in range(k + 1, n)), Decimal(0))
        result[k] = (work[k][n] - known) / work[k][k]
    return result


def extremes(errors: list[Decimal], count: int) -> list[int]:
    """Where the error alternates: the largest of every stretch of one sign, then the best `count` in a row."""
    places: list[int] = []
    for k, error in enumerate(errors):
        if places and (error >= 0) == (errors[places[-1]] >= 0):
            if abs(error) > abs(errors[places[-1]]):
                places[-1] = k
        else:
            places.append(k)
    while len(places) > count:
        drop = 0 if abs(errors[places[0]]) < abs(errors[places[-1]]) else len(places) - 1
        places.pop(drop)
    return places


def grid_of(target: Target, size: int) -> list[Decimal]:
    """Points of the interval, denser at its ends; for an odd function at its upper end, without 0."""
    low, high = decimal(target.low), decimal(target.high)
    if target.odd:
        return [high * cosine_sine(PI * k / (2 * size))[0] for k in range(size)]
    return [(low + high) / 2 + (high - low) / 2 * cosine_sine(PI * k / size)[0] for k in range(size + 1)]


def remez(target: Target) -> list[Decimal]:
    """Coefficients of the best approximation on the grid."""
    unknowns = target.harmonics if target.odd else 2 * target.harmonics + 1
    grid = grid_of(target, DENSITY * (unknowns + 1))
    weights = [target.weight(x) for x in grid]
    rows = [[w * b for b in basis(target, x)] for x, w in zip(grid, weights, strict=True)]
    wanted = [w * target.function(x) for x, w in zip(grid, weights, strict=True)]
    places = [round(k * (len(grid) - 1) / unknowns) for k in range(unknowns + 1)]
    for _ in range(30):
        system = [[*rows[place], Decimal(1 - 2 * (k % 2))] for k, place in enumerate(places)]
        *found, level = solve(system, [wanted[place] for place in places])
        errors = [difference(row, found, value) for row, value in zip(rows, wanted, strict=True)]
        if max(abs(error) for error in errors) <= abs(level) * Decimal("1.0001"):
            return found
        places = extremes(errors, unknowns + 1)
        if len(places) < unknowns + 1:
            break
    raise ArithmeticError("the exchange does not converge; change the period")


def difference(row: list[Decimal], coefficients: list[Decimal], value: Decimal) -> Decimal:
    """The error at one point."""
    return sum((a * b for a, b in zip(row, coefficients, strict=True)), -value)


def coefficients(target: Target) -> list[int]:
    """Coefficients times 2**FRACTION: constant, cos, sin, cos 2, ..."""
    found = remez(target)
    if target.odd:
        found = [Decimal(0), *(c for s in found for c in (Decimal(0), s))]
    return [int((c * (1 << FRACTION)).to_integral_value()) for c in found]


class Facts(NamedTuple):
    """What `Series` states beside the coefficients, each a little on the safe side."""

    error: float
    lowest: float
    highest: float
    slope: float
    amplitude: float
    zero: int


def facts(target: Target, whole: list[int]) -> Facts:
    """Properties of the sum with the rounded coefficients.

    On a grid eight times as fine as that of the exchange; between its points the error of a series of that degree is
    larger by less than a thousandth.
    """
    real = [Decimal(c) / (1 << FRACTION) for c in whole]
    used = [c for k, c in enumerate(real) if not target.odd or (k and k % 2 == 0)]
    amplitude = sum(((c * c + s * s).sqrt() for c, s in zip(real[1::2], real[2::2], strict=True)), Decimal(0))
    zero = difference(basis(target, Decimal(0)), used, Decimal(0))
    grid = grid_of(target, 8 * DENSITY * (len(used) + 1))
    if target.odd:
        grid.append(Decimal(0))
    values = [difference(basis(target, x), used, Decimal(0)) for x in grid]
    errors = [target.weight(x) * (v - target.function(x)) for x, v in zip(grid, values, strict=True)]
    ends = [*values, *(-v for v in values if target.odd)]
    steep = max(abs((values[k + 1] - values[k]) / (grid[k + 1] - grid[k])) for k in range(len(grid) - 1))
    wide = Decimal("1.001")
    worst = max(abs(error) for error in errors) * wide
    return Facts(
        float(worst),
        float(min(ends)),
        float(max(ends)),
        float(steep * wide),
        float(amplitude * wide),
        int((zero * (1 << FRACTION)).to_integral_value()),
    )


def entry(target: Target) -> str:
    """One series as Python source."""
    whole = coefficients(target)
    known = facts(target, whole)
    lines = [
        "    Series(",
        f"        low={number(-target.high if target.odd else target.low)},",
        f"        high={number(target.high)},",
        f"        period={number(target.period)},",
        f"        stride={target.stride},",
        f"        error={known.error:.4g},",
        f"        lowest={known.lowest:.6f},",
        f"        highest={known.highest:.6f},",
        f"        slope={known.slope:.4f},",
        f"        amplitude={known.amplitude:.4f},",
        f"        zero={known.zero},",
        f"        constant={whole[0]},",
        *numbers("cosines", whole[1::2]),
        *numbers("sines", whole[2::2]),
        "    ),",
    ]
    return "\n".join(lines)


def number(value: Fraction) -> str:
    """A fraction as source."""
    return f"Fraction({value.numerator}, {value.denominator})"


def numbers(name: str, values: list[int]) -> list[str]:
    """A tuple as lines of source of at most 120 characters."""
    if not any(values):
        return [f"        {name}=(0,) * {len(values)},"]
    lines, line = [f"        {name}=("], "           "
    for value in values:
        if len(line) + len(str(value)) > 117:
            lines.append(line)
            line = "           "
        line += f" {value},"
    return [*lines, line, "        ),"]


HEAD = '''"""Best approximations by trigonometric sums, made by scripts/numeric_tables.py: do not edit.

Coefficients are in units of 2**-40. Errors are relative for RECIPROCAL, ROOT and INVERSE_ROOT, else absolute.
"""

from __future__ import annotations

from fractions import Fraction

from quorate.circuits.series import Series

__all__ = [NAMES]
# fmt: off
'''


def main() -> None:
    """Print the module."""
    print(HEAD.replace("NAMES", ", ".join(f'"{name}"' for name in sorted(TARGETS))))
    for name, targets in TARGETS.items():
        print(f"{name} = (")
        for target in targets:
            print(entry(target))
        print(")")


if __name__ == "__main__":
    main()
