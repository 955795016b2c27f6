"""Shamir's sharing of words by exclusive or, over a small field GF(2**k) that is worked on in slices.

An array of words is cut into k rows, padded with zeros: bit b of column j of all rows is an element of the field, with
row i as the coefficient of x**i. To multiply by a constant is to add up rows, whatever their type, so shares of words
cost as many bits as the words, without any shift or table. Party i stands at the element of the field whose bits are
those of i + 1, and k is the least with 2**k > n.

A word whose parts are known to groups of n - t parties is turned locally into shares on a polynomial of degree t: party
i adds up f_A(i) times the parts of its groups A, where f_A(0) = 1 and f_A vanishes outside A.

Sources: Shamir, CACM 1979; local conversion: Cramer, Damgård, Ishai, TCC 2005, section 3. Slices: Biham, "A Fast New
DES Implementation in Software", FSE 1997.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels.ghost import contiguous, is_ghost

__all__ = ["Sliced"]

Array = npt.NDArray[Any]
POLYNOMIALS = (0b11, 0b111, 0b1011, 0b10011, 0b100101, 0b1000011, 0b10000011, 0b100011011, 0b1000010001, 0b10000001001)
"""Irreducible, of degree 1, 2, ..."""


class Sliced:
    """The field for so many parties, and shares over it.

    Attributes:
        bits: k; arrays are cut into so many rows.
    """

    def __init__(self, parties: int) -> None:
        self.parties = parties
        self.bits = parties.bit_length()
        if self.bits > len(POLYNOMIALS):
            raise InternalError(f"{parties} parties are more than the largest of the fields has elements")
        self._polynomial = POLYNOMIALS[self.bits - 1]

    # -- elements ------------------------------------------------------------------------------------------------------

    def multiply(self, a: int, b: int) -> int:
        """a b."""
        product = 0
        for position in range(self.bits):
            if b >> position & 1:
                product ^= a << position
        for position in range(2 * self.bits - 2, self.bits - 1, -1):
            if product >> position & 1:
                product ^= self._polynomial << (position - self.bits)
        return product

    def power(self, a: int, exponent: int) -> int:
        """a**exponent, for an exponent of at least 0."""
        result = 1
        for _ in range(exponent):
            result = self.multiply(result, a)
        return result

    def lagrange(self, holders: Sequence[int]) -> list[int]:
        """w with f(0) = sum of w_j f(holders_j + 1) for every f of degree below the number of holders."""
        points = [holder + 1 for holder in holders]
        return [self._quotient([(x, x ^ point) for x in points if x != point]) for point in points]

    def replicated_weight(self, group: Sequence[int], holder: int) -> int:
        """f_A(holder + 1) for the polynomial with f_A(0) = 1 that vanishes at every party outside the group A."""
        outside = [party + 1 for party in range(self.parties) if party not in group]
        return self._quotient([(x ^ (holder + 1), x) for x in outside])

    def _quotient(self, factors: Sequence[tuple[int, int]]) -> int:
        """The product of the first of each pair divided by the second."""
        result = 1
        for top, bottom in factors:
            inverse = self.power(bottom, (1 << self.bits) - 2)
            result = self.multiply(result, self.multiply(top, inverse))
        return result

    # -- arrays --------------------------------------------------------------------------------------------------------

    def width(self, size: int) -> int:
        """Columns of the rows into which an array of `size` words is cut."""
        return -(-size // self.bits)

    def rows(self, words: Array) -> Array:
        """An array of one dimension in rows; a view where it needs no padding."""
        columns = self.width(words.size)
        missing = columns * self.bits - words.size
        if missing:
            words = np.concatenate([words, np.zeros_like(words, shape=(missing,))])
        return np.asanyarray(contiguous(words).reshape(self.bits, columns))

    def words(self, rows: Array, size: int) -> Array:
        """The inverse of `rows`."""
        return np.asanyarray(rows.reshape(-1)[:size])

    def combination(self, coefficients: Sequence[int], terms: Sequence[Array]) -> Array:
        """The sum of c_i times rows, over arrays of rows of one shape."""
        if len(coefficients) != len(terms) or not terms:
            raise InternalError(f"linear combination of {len(terms)} arrays with {len(coefficients)} coefficients")
        if is_ghost(*terms):
            return np.zeros_like(terms[0])
        total = np.zeros_like(terms[0])
        for coefficient, term in zip(coefficients, terms, strict=True):
            self._accumulate(total, coefficient, term)
        return total

    def _accumulate(self, total: Array, coefficient: int, term: Array) -> None:
        if coefficient == 1:
            total ^= term
            return
        for source in range(self.bits):
            column = self.multiply(coefficient, 1 << source)
            for target in range(self.bits):
                if column >> target & 1:
                    total[target] ^= term[source]

    def combine(self, shares: Sequence[Array], holders: Sequence[int]) -> Array:
        """The rows of the secret from shares on a polynomial of degree below their number."""
        return self.combination(self.lagrange(holders), shares)
