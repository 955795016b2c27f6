"""Principal components of people from many secret genotypes, by randomised subspace iteration.

Halko, Martinsson and Tropp, Finding structure with randomness, 2011, algorithm 4.4. The people's relationship matrix
(Patterson, Price and Reich, Population structure and eigenanalysis, 2006) is never formed: each step multiplies a few
columns by the genotypes, and back.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.axes import Axes
from quorate.analytics.base import Estimator
from quorate.analytics.columns import bits_of, fitting, known, most_rows, times
from quorate.analytics.decomposition.eigen import eigen
from quorate.analytics.decomposition.orthonormal import BASIS_SCALE, orthonormal
from quorate.analytics.genetics.variants import Variants, variants_of
from quorate.analytics.linear_algebra import normalised
from quorate.analytics.refinement import precise_product
from quorate.analytics.small_groups import checked_least
from quorate.crypto.hashing import digest
from quorate.crypto.stream import KEY_BYTES, Stream
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["GenotypeComponents"]

MORE = 4
"""Columns of the subspace beyond those wanted."""

WEIGHT_SCALE = 12
"""Fraction bits of variants' weights."""

INNER_SCALE = 20
"""Fraction bits of variants' sums along a column."""

COARSE_SCALE = 14
"""Fraction bits of the same where they are squared and summed over all variants."""

MOST_SHIFT = 16
"""Columns are enlarged by up to 2**MOST_SHIFT after a step."""


class GenotypeComponents(Estimator):
    """Principal components of people: of their standardised genotypes, (copies - 2 p) / sqrt(2 p (1 - p)).

    Args:
        n_components: how many, at most 32.
        steps: of the iteration; more where components differ little in the variance that they explain.
        random_state: public seed of the first columns.
        least: variants with fewer copies of either allele are left out; None stands for `small_groups.LEAST`.

    Results:
        scores_: shape (people, n_components): orthogonal columns of length 1 whose cubes have no negative sum; values
            of single people, to be used as covariates and hardly to be opened.
        share_: of the variance within the subspace, shape (n_components,).

    Missing genotypes count as the mean of their variant.
    """

    AXES: ClassVar[Axes] = {"scores_": ("person", "component"), "share_": ("component",)}

    scores_: SecretArray

    def __init__(self, n_components: int = 4, steps: int = 6, random_state: int = 0, least: int | None = None) -> None:
        self.n_components, self.steps = n_components, steps
        self.random_state, self.least = random_state, least

    def fit(self, genotypes: Any, called: Any = None) -> Self:
        """Find components.

        Args:
            genotypes: copies of the counted allele, 0 to 2: a secret matrix of shape (people, variants), or a table.
            called: which of these are known, secret, of the same shape.

        Raises:
            UserError: more components than people or variants, people whose number is not known yet, or no genotypes.
        """
        variants = variants_of(genotypes, called)
        people, width = variants.genotypes.shape
        if not isinstance(people, int):
            raise UserError("components need a number of people that is known when the computation is written down")
        most = min(32, people - MORE - 1, int(str(width)))
        if type(self.n_components) is not int or not 1 <= self.n_components <= most:
            raise UserError(f"n_components={self.n_components!r}; give a whole number from 1 to {most}")
        if type(self.steps) is not int or not 1 <= self.steps <= 100:
            raise UserError(f"steps={self.steps!r}; give a whole number from 1 to 100")
        weight = _weights(variants, people, max(1, checked_least(self.least)))
        y = _gathered(variants, weight, _first(variants, self.n_components + MORE, self.random_state))
        for _ in range(self.steps):
            y = _gathered(variants, weight, _along(variants, y))
        axes, share = _rotation(variants, weight, y, self.n_components)
        scores = precise_product(y, axes.T).astype(fixed(BASIS_SCALE)).clip(-1.0, 1.0)
        return self._learn(scores_=scores * _sign(scores), share_=share)


def _frequency(variants: Variants) -> SecretArray:
    """Twice the share of the counted allele, fixed(20), from 0 to 2."""
    copies = variants.copies.astype(fixed(20))
    if isinstance(variants.called, SecretArray):
        mean: SecretArray = copies / variants.called.clip(1, None)
    else:
        mean = copies / variants.called
    return mean.clip(0.0, 2.0)


def _weights(variants: Variants, people: int, least: int) -> SecretArray:
    """1 / (2 p (1 - p)) of variants that count, 0 of others: fixed(WEIGHT_SCALE), shape (variants,)."""
    mean = _frequency(variants)
    rarest = 2.0 ** math.floor(math.log2(least / (2.0 * people)))
    spread = (mean * (2.0 - mean) * 0.5).clip(rarest, 0.5)
    shown = (variants.rarer >= least) & variants.enough
    return (1.0 / spread).astype(fixed(WEIGHT_SCALE)) * shown.astype(INT)


def _first(variants: Variants, width: int, seed: int) -> SecretArray:
    """Public random signs of about the size of `_along`, shape (width, variants).

    Signs of variants and not of people: public weights of people could be there to pick one of them.
    """
    count = int(str(variants.genotypes.shape[1]))
    drawn = np.empty((width, count), np.uint8)
    Stream(digest(int(seed).to_bytes(8, "big"), "quorate genotype components")[:KEY_BYTES]).fill((1, 1), drawn)
    signs = (drawn & 1).astype(float) * 2 - 1
    return variants.copies.constant(signs / (2 * math.sqrt(count)), fixed(INNER_SCALE))


def _along(variants: Variants, y: SecretArray) -> SecretArray:
    """Centred genotypes times columns of length 1 and sum 0, over 2**half: (columns, variants)."""
    return variants.along(y.astype(fixed(24)).clip(-1.0, 1.0)).astype(fixed(INNER_SCALE)).clip(-1.0, 1.0)


def _weighted(z: SecretArray, weight: SecretArray) -> SecretArray:
    return (z * weight[None, :]).astype(fixed(WEIGHT_SCALE))


def _gathered(variants: Variants, weight: SecretArray, z: SecretArray) -> SecretArray:
    """An orthonormal basis of standardised genotypes times columns over variants; of relationship, after `_along`."""
    weighted = _weighted(z, weight)
    wide = _back(variants, weighted)
    wide = wide - wide.mean(0)
    length = _coarse_products(z, weighted).diagonal()
    most = math.ceil(math.log2(int(str(variants.genotypes.shape[1])))) + variants.half + 1
    enlarged = wide * _powers(length, most - variants.half, known(wide).capacity - 2 - bits_of(wide))
    unit = enlarged.clip(-(2.0**most), 2.0**most).astype(fixed(22 - most)).astype_raw(fixed(22))
    return orthonormal(unit.clip(-1.0, 1.0))


def _back(variants: Variants, z: SecretArray) -> SecretArray:
    """Genotypes times columns over variants, with means in place of missing ones: (people, columns)."""
    total = variants.genotypes @ z.T
    if variants.mask is None:
        return total
    mean = times(z, _frequency(variants)[None, :]).astype(z.dtype)
    return total + mean.sum(1)[None, :] - variants.mask @ mean.T


def _coarse_products(z: SecretArray, weighted: SecretArray) -> SecretArray:
    """z @ weighted.T over all variants, with few fraction bits."""
    left = z.astype(fixed(COARSE_SCALE))
    return left @ fitting(weighted, bits_of(left) + int(str(z.shape[1])).bit_length()).T


def _sign(scores: SecretArray) -> SecretArray:
    """1 or -1 for each column, by the sum of its cubes: the largest element by itself would tell of one person."""
    own = fitting(scores, bits_of(scores) + most_rows(scores).bit_length())
    squares = (own * own).astype(own.dtype)
    return (q.vecdot(squares, own, axis=0) >= 0).astype(INT) * 2 - 1


def _powers(length: SecretArray, most: int, room: int) -> SecretArray:
    """Secret powers of two that bring columns of about this length near 2**most."""
    below = [(length < 2.0 ** (most - k)).astype(INT) for k in range(1, min(MOST_SHIFT, room) + 1)]
    root = below[0] + 1
    for k, flag in enumerate(below[1:], 1):
        root = root + (flag << k)
    return root


def _rotation(variants: Variants, weight: SecretArray, y: SecretArray, count: int) -> tuple[SecretArray, SecretArray]:
    """Principal axes within a subspace, shape (count, columns), and the share of its variance that each has."""
    z = _along(variants, y)
    inside = _coarse_products(z, _weighted(z, weight))
    inside = (inside + inside.T) * 0.5
    normal = normalised(inside.diagonal().sum()[None, None])
    scale = 40
    own = inside.dtype.scale + normal.exponent
    fine = inside if own <= scale else inside.astype(fixed(scale - normal.exponent))
    unit = fine.astype_raw(fixed(min(own, scale))).astype(fixed(scale)).clip(-1.0, 1.0)
    A = (unit * normal.root[0] * normal.root[0]).clip(-1.0, 1.0)
    solved = eigen(A, count)
    share = solved.values.astype(fixed(24)) / normal.matrix[0, 0].astype(fixed(24)).clip(3 / 16, 1.0)
    return solved.vectors, q.clip(share, 0.0, 1.0)
