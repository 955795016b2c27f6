"""Receiver operating characteristic: how well scores order two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.analytics.columns import most_rows, vector
from quorate.analytics.opened import Fitted
from quorate.analytics.scoring import counted, enlarged
from quorate.analytics.small_groups import checked_least
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.result import Result
from quorate.sharing.dtype import INT

__all__ = ["RocCurve", "Score", "roc_auc_score", "roc_curve"]

SCALE = 20

CURVE = dict.fromkeys(("fpr_", "tpr_", "thresholds_"), ("threshold",))


class Score(Result):
    """A secret number that may not be defined; `reveal` gives a float, NaN where it is not.

    Attributes:
        value: 0 where it is not defined.
        defined: a secret bool.
    """

    def __init__(self, value: SecretArray, defined: SecretArray) -> None:
        self.value, self.defined = value, defined

    def parts(self) -> Mapping[str, SecretArray]:
        """The number, and whether it is defined."""
        return {"value": self.value, "defined": self.defined}

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The number as a float."""
        return float(values["value"]) if values["defined"] else float("nan")


def roc_auc_score(y: Any, score: SecretArray, where: Any = None, least: int = 1) -> Score:
    """The area under the ROC curve: how often a row of class 1 has a larger score than one of class 0, ties by half.

    Exact on the scores as they are stored, but for a last division (2**-20). One sort.

    Args:
        y: classes, as bools or 0 and 1.
        score: a secret number per row.
        where: secret bools: rows that count.
        least: not defined where a class has fewer rows.

    Raises:
        UserError: columns that do not fit, or y beyond 0 and 1.
    """
    positive, negative = _classes(y, score, where)
    ordered = q.sort_table({"score": score, "positive": positive, "negative": negative}, by="score")
    below, upto = _around(ordered["score"], ordered["negative"])
    twice = ordered["positive"] @ (below + upto)
    sizes = positive.sum(), negative.sum()
    pairs = 2 * sizes[0] * sizes[1]
    most = most_rows(positive) ** 2
    share, rest = q.unstack(enlarged(q.stack([twice, pairs - twice]), most))
    defined = _sized(sizes, max(1, checked_least(least)))
    return Score(share.record("div", (share + rest).clip(0, None), scale=SCALE) * defined.astype(INT), defined)


def _classes(y: Any, score: Any, where: Any) -> tuple[SecretArray, SecretArray]:
    """Which rows are of class 1 and of class 0, as 0 or 1, of those that count."""
    truth = vector(y, codes=True)
    if truth.dtype.kind != "int" or truth.limits[0] < 0 or truth.limits[1] > 1:
        raise UserError("y is bool, or 0 and 1 with that declared range: compare (y > 0)")
    if not isinstance(score, SecretArray) or score.shape != truth.shape:
        raise UserError(
            f"score is one secret number per row, shape {truth.shape}; for predict_proba, its column [:, 1]"
        )
    if where is None:
        return truth, 1 - truth
    counts = counted(where, truth)
    return truth * counts, (1 - truth) * counts


def _sized(sizes: Sequence[SecretArray], least: int) -> SecretArray:
    return (sizes[0] >= least) & (sizes[1] >= least)


def _around(score: SecretArray, flags: SecretArray) -> tuple[SecretArray, SecretArray]:
    """How many flags come before the rows of equal score that a row is among, and up to the last of these."""
    changes = score[1:] != score[:-1]
    edge = q.ones_like(changes[:1], dtype=bool)
    running = flags.cumsum()
    before = q.segmented_scan(running - flags, q.concatenate([edge, changes]), "first")
    ends = q.flip(q.concatenate([changes, edge]))
    return before, q.flip(q.segmented_scan(q.flip(running), ends, "first"))


class RocCurve(Result):
    """Points of the ROC curve at public thresholds; all hidden where a class has too few rows.

    `reveal` gives `fpr_`, `tpr_` (NaN where hidden) and `thresholds_`, as scikit-learn has them: thresholds fall, and
    the first point, at infinity, is (0, 0).

    Attributes:
        false_, true_: secret shares of class 0 and of class 1 whose score is at least the threshold.
        shown_: a secret bool.
        thresholds_: public, descending.
    """

    def __init__(
        self,
        false_: SecretArray,
        true_: SecretArray,
        shown_: SecretArray,
        thresholds_: npt.NDArray[np.float64],
    ) -> None:
        self.false_, self.true_, self.shown_, self.thresholds_ = false_, true_, shown_, thresholds_

    def parts(self) -> Mapping[str, SecretArray]:
        """Both shares, and whether they are shown."""
        return {"false_": self.false_, "true_": self.true_, "shown_": self.shown_}

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The curve as floats."""
        rates = [np.append([0.0], np.asarray(values[name], np.float64)) for name in ("false_", "true_")]
        if not values["shown_"]:
            rates = [np.full(len(rate), np.nan) for rate in rates]
        return Fitted(fpr_=rates[0], tpr_=rates[1], thresholds_=np.append([np.inf], self.thresholds_), axes=CURVE)


def roc_curve(
    y: Any, score: SecretArray, thresholds: Sequence[float] | int = 20, where: Any = None, least: int | None = None
) -> RocCurve:
    """Which share of either class has a score of at least each public threshold.

    Args:
        y: classes, as bools or 0 and 1.
        score: a secret number per row.
        thresholds: public numbers; a number of them stands for equal steps from 0 to 1, for probabilities.
        where: secret bools: rows that count.
        least: the curve is hidden where a class has fewer rows; None stands for the usual least size.

    Raises:
        UserError: columns that do not fit, y beyond 0 and 1, or no thresholds.
    """
    positive, negative = _classes(y, score, where)
    at = np.linspace(0, 1, thresholds) if isinstance(thresholds, int) else np.sort(np.asarray(thresholds, np.float64))
    if at.ndim != 1 or not 1 <= len(at) <= 1000 or not np.isfinite(at).all():
        raise UserError("thresholds are 1 to 1000 public finite numbers, or a number of them for scores from 0 to 1")
    at = at[::-1]
    reached = (score[:, None] >= at).astype(INT)
    sizes = positive.sum(), negative.sum()
    shown = _sized(sizes, max(1, checked_least(least)))
    keep = shown.astype(INT)
    true, false = ((flags @ reached) * keep / size for flags, size in ((positive, sizes[0]), (negative, sizes[1])))
    return RocCurve(false, true, shown, at)
