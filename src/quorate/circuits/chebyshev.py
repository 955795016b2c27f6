"""Functions of a secret in [-1, 1] as sums of Chebyshev polynomials: what serves where functions of summands do not.

f(u) = sum of c_n T_n(u). The polynomials that are needed come from T_{m+k} = 2 T_m T_k - T_{|m-k|}, m the largest power
of two below m + k: a product with truncation each, in ceil(log2(degree)) rounds of products; for odd functions only
odd ones and powers of two. Their sum is local, but for one truncation in the end.

Coefficients are computed here, by integers alone (`exact`), from values at the roots of T_N: so all participants have
the same.

Error. Let products have D fraction bits and truncation an error of r units. A product of factors that are off by e and
e' is off by at most e + e' + e e', so T_n is off by e_n units of 2**-D with e_1 = 0, e_{m+k} = 2 (e_m + e_k) + small +
e_{|m-k|} + r, about r n**2 / 3. The sum is off by the c_n e_n, by what is left out (`tail`), and by the rounded
coefficients: `Polynomial.error`. What is wrong with u itself comes on top, times the slope of f.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from quorate.circuits.exact import ONE, PRECISION, times, wave
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, concatenate

__all__ = ["Polynomial", "coefficients", "evaluate", "most_digits", "polynomial"]

NODES = 192
"""Values that coefficients are computed from; degrees stay well below."""


class Polynomial(NamedTuple):
    """A sum of Chebyshev polynomials, as it is computed.

    Attributes:
        digits: fraction bits of u and of the polynomials.
        fraction: fraction bits of the coefficients.
        weights: (n, coefficient of T_n) for n > 0.
        constant: that of T_0.
        error: worst difference from the function for an exact u, before the last truncation.
    """

    digits: int
    fraction: int
    weights: tuple[tuple[int, int], ...]
    constant: int
    error: float

    @property
    def finest(self) -> int:
        """The most fraction bits that a result may have."""
        return self.digits + self.fraction - 1

    @property
    def products(self) -> int:
        """How many products it takes."""
        return sum(map(len, _rounds(tuple(n for n, _ in self.weights))))


def coefficients(function: Callable[[int], int]) -> tuple[int, ...]:
    """c_0, c_1, ... of a function from [-1, 1], which takes and gives fixed point numbers."""
    cosines = [wave(k * ONE // (4 * NODES))[0] for k in range(4 * NODES)]
    values = [function(cosines[2 * k + 1]) for k in range(NODES)]
    found = []
    for n in range(NODES):
        total = sum(times(value, cosines[n * (2 * k + 1) % (4 * NODES)]) for k, value in enumerate(values))
        found.append((total if n == 0 else 2 * total) // NODES)
    return tuple(found)


def most_digits(capacity: int) -> int:
    """Fraction bits of u: so many that products of two numbers up to a little over 1 fit."""
    return (capacity - 1) // 2


def polynomial(capacity: int, truncation: float, wanted: tuple[int, ...], highest: float, enough: float) -> Polynomial:
    """How a function is computed whose coefficients are `wanted` and whose results do not exceed `highest`.

    Args:
        enough: an error that may be made by leaving out high polynomials.
    """
    digits = most_digits(capacity)
    fraction = capacity - 1 - digits - max(0, math.frexp(highest)[1])
    sizes = [math.ldexp(abs(c), -PRECISION) for c in wanted]
    degree, tail = len(sizes) - 1, 0.0
    while degree > 1 and tail + sizes[degree] <= enough:
        tail += sizes[degree]
        degree -= 1
    drop = PRECISION - fraction
    rounded = [(c + (1 << (drop - 1))) >> drop for c in wanted[: degree + 1]]
    weights = tuple((n, c) for n, c in enumerate(rounded) if n and c)
    errors = _errors(tuple(n for n, _ in weights), truncation, digits)
    own = sum(sizes[n] * errors[n] for n, _ in weights) * 1.001
    rounding = math.ldexp(degree + 2, -fraction - 1)
    return Polynomial(digits, fraction, weights, rounded[0], tail + own + rounding + math.ldexp(1.0, -60))


def _parts(n: int) -> tuple[int, int, int]:
    """n = m + k, and m - k."""
    m = 1 << ((n - 1).bit_length() - 1)
    return m, n - m, 2 * m - n


@lru_cache(maxsize=256)
def _rounds(wanted: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Which polynomials are computed side by side."""
    levels = {0: 0, 1: 0}

    def level(n: int) -> int:
        if n not in levels:
            levels[n] = 1 + max(level(part) for part in _parts(n))
        return levels[n]

    last = max((level(n) for n in wanted), default=0)
    return tuple(tuple(sorted(n for n, at in levels.items() if at == k)) for k in range(1, last + 1))


def _errors(wanted: tuple[int, ...], truncation: float, digits: int) -> dict[int, float]:
    """By how much each polynomial may be off."""
    found = {0: 0.0, 1: 0.0}
    for level in _rounds(wanted):
        for n in level:
            m, k, rest = _parts(n)
            found[n] = 2.01 * (found[m] + found[k] + found[m] * found[k]) + found[rest]
            found[n] += math.ldexp(truncation, -digits)
    return found


def evaluate(p: Protocol, at: Scope, u: Arithmetic, how: Polynomial, digits: int) -> Step[Arithmetic]:
    """The sum with `digits` fraction bits, at most `how.finest`, for u with `how.digits`; elementwise.

    Where u is not in [-1, 1] but for its error, anything may come out.
    """
    known = {1: u}
    for number, level in enumerate(_rounds(tuple(n for n, _ in how.weights))):
        left, right = (_stacked(known[_parts(n)[side]] for n in level) for side in (0, 1))
        products = yield from p.mul(at.child(f"round {number}"), left, right, how.digits - 1)
        for row, n in enumerate(level):
            product = products.map(lambda part, row=row: part[row])  # type: ignore[misc]
            rest = _parts(n)[2]
            one = np.asarray(-(1 << how.digits), np.int64)
            known[n] = p.sub(product, known[rest]) if rest else p.add_public(product, one)
    shift = how.digits + how.fraction - digits
    constant = np.asarray(how.constant << how.digits, np.int64)
    total = p.add_public(p.scale(u, 0), constant)
    for n, weight in how.weights:
        total = p.add(total, p.scale(known[n], weight))
    return (yield from p.truncate(at.child("sum"), total, shift))


def _stacked(shares: Iterable[Arithmetic]) -> Arithmetic:
    return concatenate([share.map(lambda part: part[None]) for share in shares], 0)
