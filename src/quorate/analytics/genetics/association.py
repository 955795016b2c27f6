"""Tests of single variants for association with a trait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.axes import Axes
from quorate.analytics.base import Estimator
from quorate.analytics.columns import in_real_units, most_rows
from quorate.analytics.genetics.null import null_model
from quorate.analytics.genetics.variants import Variants, variants_of
from quorate.analytics.opened import Fitted, needed
from quorate.analytics.small_groups import checked_least
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.result import Result
from quorate.sharing.dtype import INT, fixed

__all__ = ["GWAS", "Associations"]

TESTS = ("linear", "trend", "allelic")
SMALL = 8
"""Variants that vary less than this, in bits of the most possible, get so many more digits."""

LEAST_SPREAD = 2.0**-10
SHARE_SCALE = 28
"""Fraction bits of squared correlations."""

RATIO_SCALE = 18


class GWAS(Estimator):
    """Genome-wide association: a test of every variant, covariates projected out once.

    Args:
        test: "linear": regression of the trait on variant and covariates, t with people - covariates - 2 degrees
            of freedom. "trend": of Cochran (1954) and Armitage (1955), people * correlation**2. "allelic": chi-square
            of the 2 x 2 table of alleles and cases, without continuity correction; for a trait of 0 and 1.
        least: variants whose rarer allele occurs less often are not shown; None stands for `small_groups.LEAST`.

    Results of `fit`, secret: `directions_`, `length_`, `varies_`, `rank_`; see `null.Null`. They hold a value per
    person and are not for opening: nodes that open aggregates alone refuse it. `test_variants` gives what is.
    """

    AXES: ClassVar[Axes] = {"directions_": ("person", "direction")}

    def __init__(self, test: str = "linear", least: int | None = None) -> None:
        self.test = test
        self.least = least

    directions_: SecretArray
    length_: SecretArray
    varies_: SecretArray
    rank_: SecretArray
    exponent_: int

    def fit(self, trait: Any, covariates: Any = None) -> Self:
        """Project mean and covariates out of the trait.

        Args:
            trait: a secret column: numbers, or 0 and 1 for healthy and ill.
            covariates: secret columns, such as age, sex, and principal components; for "linear" only.

        Raises:
            UserError: no such test, covariates for a test that has none, columns of different length.
        """
        if self.test not in TESTS:
            raise UserError(f"test {self.test!r}; use {', '.join(TESTS)}")
        if covariates is not None and self.test != "linear":
            raise UserError(f"the test {self.test!r} knows no covariates; use 'linear'")
        checked_least(self.least)
        null = null_model(trait, covariates)
        self.exponent_ = null.exponent
        return self._learn(directions_=null.directions, length_=null.length, varies_=null.varies, rank_=null.rank)

    def test_variants(
        self, genotypes: Any, called: Any = None, most: int | None = None, names: Sequence[str] | None = None
    ) -> Associations:
        """Test every variant. Blocks of variants may be tested one after the other.

        Args:
            genotypes: copies of the counted allele, 0 to 2: a secret matrix of shape (people, variants), or a table.
            called: which of these are known, secret, of the same shape; missing ones count as the mean. Variants of
                which less than a quarter is known are not shown.
            most: open only so many variants, those with the strongest association; by default all.
            names: of the variants; by default those of the table.

        Raises:
            UserError: not fitted, other people, genotypes that may not be 0, 1, 2, or more names than variants.
        """
        self._require_fit()
        variants = variants_of(genotypes, called)
        people, width = variants.genotypes.shape
        if people != self.directions_.shape[0]:
            raise UserError(f"genotypes of {people} people, and a trait of {self.directions_.shape[0]}")
        named = list(names) if names is not None else variants.names
        if named is not None and len(named) != width:
            raise UserError(f"{len(named)} names for {width} variants")
        if most is not None and (type(most) is not int or not 1 <= most <= int(str(width))):
            raise UserError(f"most={most!r}; give a whole number from 1 to {width}, the variants")
        return _tested(self, variants, named, most)


class Associations(Result):
    """Tested variants, secret.

    Parts: share_, the squared correlation of variant and trait beyond covariates; effect_, the change of the trait per
    copy; shown_; rank_, how many covariates count. With `most` also index_, which variants these are.
    """

    def __init__(self, test: str, people: Any, names: list[str] | None, arrays: Mapping[str, SecretArray]) -> None:
        self.test, self.people, self.names, self.arrays = test, people, names, dict(arrays)

    def parts(self) -> Mapping[str, SecretArray]:
        """The secret results."""
        return self.arrays

    def finished(self, values: Mapping[str, Any]) -> Fitted:
        """chi2_ (of "linear" t_**2), p_values_, effect_, standard_errors_; NaN where not shown.

        Raises:
            UserError: SciPy is not installed.
        """
        shown = np.asarray(values["shown_"], bool)
        share = np.where(shown, np.asarray(values["share_"], np.float64), np.nan)
        effect = np.where(shown, np.asarray(values["effect_"], np.float64), np.nan)
        chi2, p = _statistics(self.test, share, int(self.people), int(values["rank_"]))
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.abs(effect) / np.sqrt(chi2)
        index = np.asarray(values.get("index_", np.arange(len(share))))
        names = [str(k) for k in index] if self.names is None else [self.names[k] for k in index]
        tested = {"effect_": effect, "standard_errors_": error, "chi2_": chi2, "p_values_": p}
        found = {"index_": index, **tested}
        return Fitted(
            {"feature_names_in_": names, "n_features_in_": len(names), **found}, axes=dict.fromkeys(found, ("variant",))
        )


def _statistics(test: str, share: Any, people: int, rank: int) -> tuple[Any, Any]:
    stats = needed("scipy.stats")
    if test != "linear":
        chi2 = people * share
        return chi2, stats.chi2.sf(chi2, 1)
    free = people - rank - 2
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = free * share / (1 - share) if free > 0 else np.full(len(share), np.nan)
    return squared, 2 * stats.t.sf(np.sqrt(squared), max(free, 1))


def _tested(fitted: GWAS, variants: Variants, names: list[str] | None, most: int | None) -> Associations:
    found = variants.along(fitted.directions_)
    own = found[-1]
    spread = variants.spread(expected=fitted.test == "allelic")
    if found.shape[0] != 1:
        spread = spread - (found[:-1] * found[:-1]).sum(0).astype(spread.dtype)
    share, ratio, varies = _shares(own, spread.clip(0.0, 1.0), 2.0 if fitted.test == "allelic" else 1.0)
    shown = varies & (variants.rarer >= max(1, checked_least(fitted.least))) & variants.enough & fitted.varies_
    effect = in_real_units((ratio * fitted.length_).astype(fixed(24)), fitted.exponent_ - variants.half)
    flags = shown.astype(INT)
    arrays = {"share_": share * flags, "effect_": effect * flags, "shown_": shown}
    if most is not None:
        arrays = _strongest(arrays, most)
    people: Any = variants.genotypes.shape[0]
    return Associations(fitted.test, people, names, {**arrays, "rank_": fitted.rank_})


def _shares(own: SecretArray, spread: SecretArray, most: float) -> tuple[SecretArray, SecretArray, SecretArray]:
    """own**2 / spread up to `most`, own / spread, and whether the variant varies.

    Where the spread is small, own is enlarged by 2**(SMALL / 2) and the spread by 2**SMALL before the division.
    """
    small = (spread < 2.0**-SMALL).astype(INT)
    enlarged = (spread * (small * (2**SMALL - 1) + 1)).clip(0.0, 1.0).astype(fixed(26))
    raised = (own * (small * (2 ** (SMALL // 2) - 1) + 1)).clip(-1.0, 1.0).astype(fixed(26))
    varies = enlarged >= LEAST_SPREAD
    quotient = raised.record("div", enlarged.clip(LEAST_SPREAD, 1.0), scale=RATIO_SCALE)
    within = quotient.clip(-64.0, 64.0)
    share = (within * raised).astype(fixed(SHARE_SCALE)).clip(0.0, most)
    return share, within * (small * (2 ** (SMALL // 2) - 1) + 1), varies


def _strongest(arrays: Mapping[str, SecretArray], most: int) -> dict[str, SecretArray]:
    """Those with the largest share, in descending order, and which they are."""
    share, index = q.topk(arrays["share_"], most)
    places = index.clip(0, most_rows(arrays["share_"]) - 1)
    rest = {name: q.take(arrays[name], places) for name in ("effect_", "shown_")}
    return {"share_": share, **rest, "index_": index}
