"""Sums over people for every variant: all that tests of association need of the genotypes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import quorate.lang.functions as q
from quorate.analytics.columns import known, matrix, most_rows, names_of, times
from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table
from quorate.sharing.dtype import INT, fixed

__all__ = ["LEAST_CALLED", "SCALE", "Variants", "variants_of"]

LEAST_CALLED = 0.25
"""A variant is tested if so large a share of its genotypes is known."""

SCALE = 32
"""Fraction bits of shares."""

DIVISOR_SCALE = 22
FACTOR_SCALE = 24


@dataclass(frozen=True)
class Variants:
    """Genotypes, and their sums over people.

    Attributes:
        genotypes: copies of the counted allele, 0 to 2, int, shape (people, variants); 0 where not known.
        mask: which genotypes are known, as 0 or 1, of that shape; None if all are.
        called: number of known genotypes, shape (variants,), or of people where all are known.
        copies, squares: sums of genotypes, and of their squares, int, shape (variants,).
        half: the least k for which there are at most 4**k people.
        names: of the variants, if they have some.
    """

    genotypes: SecretArray
    mask: SecretArray | None
    called: Any
    copies: SecretArray
    squares: SecretArray
    half: int
    names: list[str] | None

    @property
    def _others(self) -> SecretArray:
        """How often the allele that is not counted occurs; in this order, since row counts subtract no arrays."""
        others: SecretArray = -self.copies + self.called * 2
        return others

    @property
    def rarer(self) -> SecretArray:
        """How often the rarer of the two alleles occurs, int."""
        found: SecretArray = q.minimum(self.copies, self._others)
        return found

    @property
    def enough(self) -> SecretArray:
        """Whether enough genotypes are known, bools."""
        if self.mask is None:
            return self.copies >= 0
        found: SecretArray = self.called * int(1 / LEAST_CALLED) >= self.genotypes.shape[0]
        return found

    def spread(self, *, expected: bool) -> SecretArray:
        """Sum of squared deviations from the mean, over 4**half, in [0, 1].

        Args:
            expected: as is to be expected in Hardy-Weinberg equilibrium: 2 p (1 - p) per person.
        """
        if expected:
            exact, bits = self.copies * self._others, 4 * self.half + 1
        else:
            exact, bits = self.squares * self.called - self.copies * self.copies, 4 * self.half
        return self._per_called(_share(exact.clip(0, 1 << bits), bits))

    def along(self, directions: SecretArray) -> SecretArray:
        """Sums of genotypes times each direction, over 2**half, in [-1, 1], shape (directions, variants).

        Missing genotypes count as the mean of their variant. `directions` are columns of length 1 and sum 0, shape
        (people, directions).
        """
        sums = directions.T @ self.genotypes
        if self.mask is not None:
            known_part = (directions.T @ self.mask).clip(-(2.0**self.half), 2.0**self.half)
            frequency = self._per_called(_share(self.copies, 2 * self.half + 1)).clip(0.0, 1.0)
            sums = sums - (times(frequency[None, :], known_part) * 2).astype(sums.dtype)
        found: SecretArray = sums.astype_raw(fixed(sums.dtype.scale + self.half)).astype(fixed(28)).clip(-1.0, 1.0)
        return found

    def _per_called(self, share: SecretArray) -> SecretArray:
        """A share of 4**half people as one of those whose genotype is known, in [0, 1]."""
        if not isinstance(self.called, SecretArray):
            scale = min(SCALE, known(share).capacity - 27)
            found: SecretArray = (share.astype(fixed(scale)) * self._most_over_people).clip(0.0, 1.0)
            return found
        part = _share(self.called, 2 * self.half).astype(fixed(DIVISOR_SCALE)).clip(LEAST_CALLED, 1.0)
        scale = min(SCALE, known(share).capacity - DIVISOR_SCALE - 6)
        shares: SecretArray = share.astype(fixed(scale)).record("div", part, scale=scale).clip(0.0, 1.0)
        return shares

    @property
    def _most_over_people(self) -> Any:
        """4**half over the number of people, public."""
        if isinstance(self.called, int):
            return 4.0**self.half / self.called
        one = q.ones_like(self.copies[:1], dtype=fixed(FACTOR_SCALE))
        return one * 4**self.half / self.called


def variants_of(genotypes: Any, called: Any = None) -> Variants:
    """Genotypes with their sums.

    Args:
        genotypes: a secret matrix of shape (people, variants), or a table with a column per variant: whole numbers from
            0 to 2.
        called: which genotypes are known, a secret matrix of that shape, bools or 0 and 1.

    Raises:
        UserError: numbers other than 0, 1, 2 by their declared range, or shapes that differ.
    """
    found = _whole(genotypes, "genotypes", 2)
    mask = None if called is None else _whole(called, "called", 1)
    if mask is not None and mask.shape != found.shape:
        raise UserError(f"genotypes of shape {found.shape} and called of shape {mask.shape}")
    if mask is not None:
        found = found * mask
    half = max(1, math.ceil(math.log2(max(2, most_rows(found))) / 2))
    people: Any = found.shape[0] if mask is None else mask.sum(0)
    squares: SecretArray = q.vecdot(found, found, axis=0)
    names = names_of(genotypes)
    return Variants(found, mask, people, found.sum(0), squares, half, names)


def _whole(given: Any, what: str, most: int) -> SecretArray:
    """A matrix of whole numbers from 0 to `most`."""
    if isinstance(given, Table | Mapping):
        given = matrix(given)
    if not isinstance(given, SecretArray) or given.ndim != 2:
        raise UserError(f"{what} are a secret matrix with a row per person and a column per variant")
    if given.dtype.kind == "fixed" or given.limits[0] < 0 or given.limits[1] > most:
        raise UserError(f"{what} are whole numbers from 0 to {most}; declare that range")
    if not isinstance(given.shape[1], int):
        raise UserError(f"the number of variants has to be known; {what} have the shape {given.shape}")
    return given.astype(INT)


def _share(exact: SecretArray, bits: int) -> SecretArray:
    """Whole numbers from 0 to 2**bits over 2**bits, at `SCALE`."""
    if bits <= SCALE:
        return (exact << (SCALE - bits)).astype_raw(fixed(SCALE))
    return exact.astype_raw(fixed(bits)).astype(fixed(SCALE))
