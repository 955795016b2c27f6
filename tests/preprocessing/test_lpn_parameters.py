"""How hard the decoding problem behind silent correlations is by the best attacks known, estimated to our disadvantage.

Pooled Gauss: Esser, Kübler, May, "LPN Decoded", CRYPTO 2017, with the parities of the blocks known: guess positions
without noise until k - t linear equations hold, at (k - t)^2.8 each.

Algebraic: Briaud, Øygarden, "A New Algebraic Approach to the Regular Syndrome Decoding Problem", EUROCRYPT 2023: at
most one noise position per block gives a quadratic equation per pair of positions in it. Guess f positions without
noise per block, then solve the rest by linear algebra on all monomials of the first degree at which the Hilbert series
is not positive. The number of monomials squared is all that we count, no factor for the density of rows.
"""

from __future__ import annotations

from math import comb, log2

import pytest

from quorate.preprocessing.silent import DEPTH, INPUTS, OUTPUTS, TREES

DEGREES = range(2, 7)


def pooled_gauss(n: int, k: int, t: int) -> float:
    unknowns = k - t
    return -unknowns * log2(1 - t / n) + 2.8 * log2(unknowns)


def solvable(unknowns: int, equations: int, degree: int, binary: bool) -> bool:
    """Whether the coefficient of z^degree of (1+z)^u / (1+z^2)^m, or (1-z^2)^m / (1-z)^u, is not positive."""
    total = 0
    for i in range(degree // 2 + 1):
        rest = degree - 2 * i
        quadratic = comb(equations + i - 1, i) if binary else comb(equations, i)
        total += (-1) ** i * quadratic * (comb(unknowns, rest) if binary else comb(unknowns + rest - 1, rest))
    return total <= 0


def algebraic(n: int, k: int, t: int) -> float:
    width, best = n // t, float("inf")
    for binary in (False, True):
        for degree in DEGREES:
            low, high = 1, k - t
            while low < high:
                middle = (low + high + 1) // 2
                left = width - (k - t - middle) / t
                if left > 1 and solvable(middle, int(t * left * (left - 1) / 2), degree, binary):
                    low = middle
                else:
                    high = middle - 1
            guessed = (k - t - low) / t
            if low > 1 and guessed < width:
                best = min(best, -t * log2(1 - guessed / width) + 2 * log2(comb(low, degree)))
    return best


def test_the_estimates_are_those_of_the_documentation() -> None:
    assert OUTPUTS == TREES << DEPTH
    assert pooled_gauss(OUTPUTS, INPUTS, TREES) >= 170
    assert algebraic(OUTPUTS, INPUTS, TREES) >= 134


@pytest.mark.parametrize(("n", "k", "t", "gauss"), [(10_485_760, 452_000, 1280, 132), (10_805_248, 589_760, 1319, 157)])
def test_parameters_of_the_literature_are_weaker(n: int, k: int, t: int, gauss: int) -> None:
    """Those of Ferret's paper and of its authors' implementation: known values that the estimator reproduces."""
    assert round(pooled_gauss(n, k, t)) == gauss
    assert algebraic(n, k, t) < 128
