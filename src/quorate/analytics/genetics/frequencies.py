"""Allele counts, frequencies, and whether they are in equilibrium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorate.analytics.genetics.variants import variants_of
from quorate.analytics.opened import Fitted, needed
from quorate.analytics.small_groups import checked_least
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.result import Result
from quorate.sharing.dtype import INT

__all__ = ["AlleleCounts", "allele_counts"]


class AlleleCounts(Result):
    """Counts of every variant, secret.

    Parts: copies_, of the counted allele; heterozygous_, people with one copy; called_, people whose genotype is known;
    shown_. All are 0 where they are not shown.
    """

    def __init__(self, names: list[str] | None, arrays: Mapping[str, SecretArray]) -> None:
        self.names, self.arrays = names, dict(arrays)

    def parts(self) -> Mapping[str, SecretArray]:
        """The secret counts."""
        return self.arrays

    def finished(self, values: Mapping[str, Any]) -> Fitted:
        """copies_, heterozygous_, called_, frequency_, minor_frequency_, hwe_chi2_, hwe_p_values_; NaN where hidden.

        hwe_chi2_ is the chi-square of Hardy-Weinberg equilibrium with one degree of freedom: called * F**2 for
        F = 1 - heterozygous / (2 p (1 - p) called).

        Raises:
            UserError: SciPy is not installed.
        """
        shown = np.asarray(values["shown_"], bool)
        counts = {
            name: np.where(shown, np.asarray(values[name], np.float64), np.nan)
            for name in ("copies_", "heterozygous_", "called_")
        }
        with np.errstate(divide="ignore", invalid="ignore"):
            frequency = counts["copies_"] / (2 * counts["called_"])
            expected = 2 * frequency * (1 - frequency) * counts["called_"]
            chi2 = counts["called_"] * (1 - counts["heterozygous_"] / expected) ** 2
        p_values = needed("scipy.stats").chi2.sf(chi2, 1)
        names = self.names or [str(k) for k in range(len(shown))]
        told = {"frequency_": frequency, "minor_frequency_": np.minimum(frequency, 1 - frequency)}
        tested = {"hwe_chi2_": chi2, "hwe_p_values_": p_values}
        found = {**counts, **told, **tested}
        return Fitted(
            {"feature_names_in_": names, "n_features_in_": len(names), **found}, axes=dict.fromkeys(found, ("variant",))
        )


def allele_counts(
    genotypes: Any, called: Any = None, least: int | None = None, names: Sequence[str] | None = None
) -> AlleleCounts:
    """Allele counts of every variant.

    Args:
        genotypes: copies of the counted allele, 0 to 2: a secret matrix of shape (people, variants), or a table.
        called: which of these are known, secret, of the same shape.
        least: variants whose rarer allele occurs less often are hidden; None stands for `small_groups.LEAST`.
        names: of the variants; by default those of the table.

    Revealed: the counts of variants that are shown, and which those are.

    Raises:
        UserError: genotypes that may not be 0, 1, 2, or more names than variants.
    """
    found = variants_of(genotypes, called)
    named = list(names) if names is not None else found.names
    if named is not None and len(named) != found.genotypes.shape[1]:
        raise UserError(f"{len(named)} names for {found.genotypes.shape[1]} variants")
    shown = found.rarer >= checked_least(least)
    flags = shown.astype(INT)
    people = found.copies * 0 + found.called
    counts = {"copies_": found.copies, "heterozygous_": found.copies * 2 - found.squares, "called_": people}
    return AlleleCounts(named, {**{name: count * flags for name, count in counts.items()}, "shown_": shown})
