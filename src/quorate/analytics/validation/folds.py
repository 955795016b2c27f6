"""Folds of rows, and what an estimator reaches on rows that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.base import Estimator
from quorate.analytics.columns import columns, names_of, vector
from quorate.analytics.scoring import accuracy, r_squared
from quorate.analytics.validation.roc import roc_auc_score
from quorate.analytics.validation.scores import log_loss, mean_squared_error
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.result import Result
from quorate.sharing.dtype import BOOL

__all__ = ["CrossValidation", "KFold", "cross_val_score", "train_test_split"]

Scorer = Callable[[Any, Any, Any, Any], "SecretArray | Result"]
"""Estimator, features, truth, which rows count -> a secret number."""


@dataclass(frozen=True)
class KFold:
    """Consecutive folds of public size, as in scikit-learn.

    Attributes:
        n_splits: how many, at least 2.
        shuffle: whether the rows are first brought into an order that nobody knows.
    """

    n_splits: int = 5
    shuffle: bool = False

    def split(self, rows: int) -> Iterator[tuple[list[slice], slice]]:
        """The rows to learn from and those to test with, by position, for each fold.

        Raises:
            UserError: fewer rows than folds, or fewer than two folds.
        """
        if type(self.n_splits) is not int or self.n_splits < 2:
            raise UserError(f"n_splits {self.n_splits!r}; give a whole number from 2")
        if rows < self.n_splits:
            raise UserError(f"{self.n_splits} folds of {rows} rows; some would be empty, use fewer folds")
        ends = np.cumsum([rows // self.n_splits + (k < rows % self.n_splits) for k in range(self.n_splits)])
        for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            yield [part for part in (slice(0, start), slice(end, rows)) if part.stop > part.start], slice(start, end)


class CrossValidation(Result):
    """A score for every fold; `reveal` gives them as an array, NaN where a score is not defined.

    Attributes:
        scores_: secret, shape (folds,).
        defined_: bools, shape (folds,), or None if all are.
    """

    def __init__(self, scores_: SecretArray, defined_: SecretArray | None) -> None:
        self.scores_, self.defined_ = scores_, defined_

    def parts(self) -> Mapping[str, SecretArray]:
        """Scores, and which are defined."""
        return {"scores_": self.scores_} | ({} if self.defined_ is None else {"defined_": self.defined_})

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The scores as floats."""
        scores = np.asarray(values["scores_"], np.float64)
        return np.where(np.asarray(values["defined_"], bool), scores, np.nan) if "defined_" in values else scores


def cross_val_score(
    estimator: Estimator, X: Any, y: Any, cv: int | KFold = 5, scoring: str | Scorer | None = None, where: Any = None
) -> CrossValidation:
    """What copies of an estimator reach on folds that they were not fitted to.

    Args:
        estimator: is not changed.
        X: secret matrix or table of shape (rows, features).
        y: secret column.
        cv: number of consecutive folds, or `KFold`.
        scoring: "accuracy", "r2", "neg_mean_squared_error", "neg_log_loss", "roc_auc", a function of estimator, X, y
            and `where` that gives a secret number; or None for the estimator's own `score`.
        where: secret bools: rows that count, for learning and for the score.

    Nothing is opened but, when they are revealed, the scores.

    Raises:
        UserError: a number of rows that is not known while recording, empty folds, or no such scoring.
    """
    folds = KFold(cv) if isinstance(cv, int) else cv
    scorer = _scorer(scoring)
    found, target, mask = _ordered(X, y, where, folds.shuffle)
    results: list[SecretArray] = []
    for train, test in folds.split(_rows(target)):
        model = type(estimator)(**estimator.get_params())
        chosen = {} if mask is None else {"where": _taken(mask, train)}
        model.fit([_taken(column, train) for column in found], _taken(target, train), **chosen)
        seen = None if mask is None else mask[test]
        results.append(scorer(model, [column[test] for column in found], target[test], seen))
    return _gathered(results)


def train_test_split(X: Any, y: Any, test_size: float = 0.25, shuffle: bool = False) -> tuple[Any, Any, Any, Any]:
    """X and y for learning and for testing, as X_train, X_test, y_train, y_test; the last rows are for testing.

    Args:
        X: secret matrix or table; a table comes back as a dictionary of columns.
        y: secret column.
        test_size: share of the rows that is for testing, rounded up.
        shuffle: whether the rows are first brought into an order that nobody knows.

    Raises:
        UserError: a number of rows that is not known while recording, or parts without rows.
    """
    found, target, _ = _ordered(X, y, None, shuffle)
    rows = _rows(target)
    edge = rows - int(np.ceil(rows * test_size)) if 0 < test_size < 1 else 0
    if not 0 < edge < rows:
        raise UserError(f"test_size {test_size!r} of {rows} rows leaves a part without rows; give a share between")
    names = names_of(X)

    def part(rows_: slice) -> Any:
        cut = [column[rows_] for column in found]
        return q.column_stack(cut) if names is None else dict(zip(names, cut, strict=True))

    first, last = slice(0, edge), slice(edge, rows)
    return part(first), part(last), target[first], target[last]


def _rows(target: SecretArray) -> int:
    rows = target.shape[0]
    if not isinstance(rows, int):
        raise UserError("folds need the number of rows while the plan is written; give rows to trace, or use a session")
    return rows


def _ordered(X: Any, y: Any, where: Any, shuffle: bool) -> tuple[list[SecretArray], SecretArray, SecretArray | None]:
    """Columns, target and mask; in an order that nobody knows if they are to be shuffled."""
    found, target = columns(X, codes=True), vector(y, codes=True)
    if found[0].shape[0] != target.shape[0]:
        raise UserError(f"X has {found[0].shape[0]} rows and y has {target.shape[0]}")
    if where is not None and (not isinstance(where, SecretArray) or where.dtype != BOOL):
        raise UserError("where is a secret column of bools, such as x > 0")
    if not shuffle:
        return found, target, where
    mixed = q.shuffle([*found, target, *([] if where is None else [where])])
    return mixed[: len(found)], mixed[len(found)], None if where is None else mixed[-1]


def _taken(column: SecretArray, parts: Sequence[slice]) -> SecretArray:
    pieces = [column[part] for part in parts]
    joined: SecretArray = pieces[0] if len(pieces) == 1 else q.concatenate(pieces)
    return joined


def _gathered(results: Sequence[SecretArray | Result]) -> CrossValidation:
    each = [result.parts() if isinstance(result, Result) else {"value": result} for result in results]
    scores = q.stack([parts["value"] for parts in each])
    defined = q.stack([parts["defined"] for parts in each]) if "defined" in each[0] else None
    return CrossValidation(scores, defined)


def _own(model: Any, X: Any, y: Any, where: Any) -> SecretArray:
    found: SecretArray = model.score(X, y) if where is None else model.score(X, y, where=where)
    return found


_SCORERS: dict[str, Scorer] = {
    "accuracy": lambda model, X, y, where: accuracy(y, model.predict(X), where),
    "r2": lambda model, X, y, where: r_squared(y, model.predict(X), where),
    "neg_mean_squared_error": lambda model, X, y, where: -mean_squared_error(y, model.predict(X), where),
    "neg_log_loss": lambda model, X, y, where: -log_loss(y, model.predict_proba(X), where),
    "roc_auc": lambda model, X, y, where: roc_auc_score(y, model.predict_proba(X)[:, 1], where),
}


def _scorer(scoring: str | Scorer | None) -> Scorer:
    if scoring is None:
        return _own
    if callable(scoring):
        return scoring
    if scoring not in _SCORERS:
        raise UserError(f"scoring {scoring!r}; use {', '.join(_SCORERS)}, or a function")
    return _SCORERS[scoring]
