"""Value at risk and expected shortfall of a portfolio that nobody sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.axes import Axes
from quorate.analytics.base import Estimator
from quorate.analytics.columns import in_real_units, known, most_rows
from quorate.analytics.finance.losses import SCALE, Losses, given_losses, portfolio_losses
from quorate.analytics.linear_algebra import gram, gram_bits
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["HistoricalRisk", "NormalRisk"]

_DEVIATION_BITS = 26
"""Fraction bits of a standard deviation, as a share of the largest loss that there may be."""


WEIGHT = 16
"""Fraction bits of the weight of the loss that belongs to a tail in part."""


class _Risk(Estimator):
    """What both methods share: levels, and where losses come from."""

    AXES: ClassVar[Axes] = dict.fromkeys(("value_at_risk_", "expected_shortfall_"), ("level",))

    def __init__(self, level: float | Sequence[float] = 0.99) -> None:
        self.level = level

    def fit(self, X: Any, returns: Any = None) -> Self:
        """Fit to secret positions and the returns of their assets, or to secret losses.

        Args:
            X: positions, see `portfolio_losses`; without `returns` losses, one per scenario, gains being negative.
                Those of several institutions, in a list, are added up.
            returns: public or secret, shape (scenarios, assets).

        Raises:
            UserError: shapes that do not fit, too few scenarios for a level, or a level that is none.
        """
        levels = _levels(self.level)
        losses = given_losses(X) if returns is None else portfolio_losses(X, returns)
        found = self._found(losses, levels)
        single = isinstance(self.level, int | float)
        if isinstance(losses.u.shape[0], int):
            self.n_scenarios_ = losses.u.shape[0]
        return self._learn(**{name: part[0] if single else part for name, part in found.items()})

    def _found(self, losses: Losses, levels: list[float]) -> dict[str, SecretArray]:
        raise NotImplementedError


class HistoricalRisk(_Risk):
    """Historical simulation: quantile and mean of the tail of the losses in past or made-up scenarios.

    Args:
        level: probability that the loss is not larger, or several.

    Results, numbers, or shape (levels,):
        value_at_risk_: quantile of the losses, linear between neighbours, as of `numpy.quantile`.
        expected_shortfall_: mean of the worst (1 - level) * scenarios losses, the last of these in part (Acerbi and
            Tasche, On the coherence of expected shortfall, 2002, definition 2.6).

    Nothing is revealed but the number of scenarios and assets, until results are opened. These rest on about
    (1 - level) * scenarios losses: nodes refuse to open them where that is fewer than their `least_rows`, or where
    public returns were weights of somebody's positions. Take a lower level, more scenarios, or losses.
    """

    def _found(self, losses: Losses, levels: list[float]) -> dict[str, SecretArray]:
        ordered = q.sort(losses.u)
        count = losses.u.shape[0]
        least = min(1 - level for level in levels)
        if isinstance(count, int) and count * least < 1:
            raise UserError(
                f"{count} scenarios leave less than one loss beyond the level {1 - least:g}; take a lower level, or "
                "more scenarios"
            )
        quantiles = ordered.record("quantile", q=[[*_ratio(level)] for level in levels], scale=SCALE, method="linear")
        tails = [_shortfall(_tail(ordered, level), count, level) for level in levels]
        found = {"value_at_risk_": quantiles, "expected_shortfall_": q.stack(tails)}
        return {name: in_real_units(part, losses.exponent) for name, part in found.items()}


def _tail(ordered: SecretArray, level: float) -> SecretArray:
    """Sum of the losses beyond a level, the first of these in part; that part is rounded to `WEIGHT` bits."""
    count = ordered.shape[0]
    room = known(ordered).capacity - 2 - WEIGHT - max(0, most_rows(ordered) - 1).bit_length()
    scale = min(SCALE, 48 - WEIGHT, room)
    raw = ordered.astype(fixed(scale)).astype_raw(INT)
    if isinstance(count, int):
        first = math.floor(count * level)
        part = round((first + 1 - count * level) * 2**WEIGHT)
        total = _sum(raw[first:]) * part + _sum(raw[first + 1 :]) * (2**WEIGHT - part)
    else:
        total = raw @ _weights(q.row_numbers(ordered), count, level)
    found: SecretArray = total.astype_raw(fixed(scale + WEIGHT)).astype(fixed(scale))
    return found


def _sum(raw: SecretArray) -> Any:
    return raw.sum() if raw.shape[0] else 0


def _shortfall(total: SecretArray, count: Any, level: float) -> SecretArray:
    """The sum of a tail over its size, (1 - level) * count; losses are at most 1."""
    mean: SecretArray = (total / count).clip(level - 1, 1 - level) * (1 / (1 - level))
    return mean


def _weights(places: Any, count: Any, level: float) -> Any:
    """How much of each sorted loss belongs to the tail, as whole numbers of `WEIGHT` bits."""
    part, of = _ratio(level)
    share = ((places + 1) * of - count * part).clip(0, of) / of
    return share.astype(fixed(WEIGHT)).astype_raw(INT)


def _ratio(level: float) -> tuple[int, int]:
    """A level as a ratio of whole numbers, by which a number of rows can be multiplied."""
    return Fraction(level).limit_denominator(1_000_000).as_integer_ratio()


class NormalRisk(_Risk):
    """Variance and covariance: losses taken as normal, with mean and standard deviation of the scenarios.

    Args:
        level: probability that the loss is not larger, or several.

    Results, numbers, or shape (levels,):
        value_at_risk_: mean + z * std, z being the normal quantile of the level.
        expected_shortfall_: mean + phi(z) / (1 - level) * std (McNeil, Frey and Embrechts, Quantitative Risk
            Management, 2015, example 2.14).
        mean_, std_: of the losses, with scenarios - 1 degrees of freedom: the square root of w' S w for positions w and
            the covariance S of the returns.

    Nothing is revealed but the number of scenarios and assets, until results are opened. Value at risk and expected
    shortfall together tell mean and standard deviation.
    """

    def _found(self, losses: Losses, levels: list[float]) -> dict[str, SecretArray]:
        count = losses.u.shape[0]
        if isinstance(count, int) and count < 2:
            raise UserError(f"{count} scenario has no standard deviation; give 2 at least")
        mean = losses.u.mean()
        away = (losses.u - mean).astype(fixed(gram_bits(most_rows(losses.u), known(losses.u).capacity, 1)))
        variance = (gram(away[:, None], away[:, None])[0, 0] / (count - 1)).clip(0.0, 4.0)
        std = variance.record("sqrt", scale=_DEVIATION_BITS)
        normal = NormalDist()
        points = np.array([normal.inv_cdf(level) for level in levels])
        beyond = np.array([normal.pdf(z) / (1 - level) for z, level in zip(points, levels, strict=True)])
        found = {"value_at_risk_": mean + std * points, "expected_shortfall_": mean + std * beyond}
        found |= {"mean_": mean + 0 * points, "std_": std + 0 * points}
        return {name: in_real_units(part, losses.exponent) for name, part in found.items()}


def _levels(given: Any) -> list[float]:
    levels = [given] if isinstance(given, int | float) else list(given)
    for level in levels:
        if not isinstance(level, int | float) or not math.isfinite(level) or not 0.5 <= level < 1:
            raise UserError(f"level {level!r}; give a probability from 0.5 to below 1, such as 0.99")
    if not levels:
        raise UserError("no level; give a probability such as 0.99")
    return levels
