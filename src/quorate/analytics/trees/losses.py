"""Losses of boosted trees: where they start, and their derivatives at what has been said so far."""

from __future__ import annotations

from abc import ABC, abstractmethod

import quorate.lang.functions as q
from quorate.analytics.trees.scores import Digits
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import fixed

__all__ = ["LogLoss", "Loss", "SquaredLoss"]

FINE = 16
"""Fraction bits of probabilities."""

LEAST_SHARE = 2.0**-10
"""Shares of classes count as at least this when boosting starts."""

FARTHEST = 16.0
"""A class whose score is farther below the best one counts as so far below it."""


class Loss(ABC):
    """What boosting makes smaller.

    Attributes:
        hessians: whether second derivatives differ from 1.
        most_step: values of leaves are kept within it.
    """

    hessians: bool
    most_step: float

    @abstractmethod
    def most_gradient(self, reach: float) -> float:
        """A bound of gradients while steps add up to at most reach * most_step."""

    @abstractmethod
    def baseline(self, counts: SecretArray) -> SecretArray:
        """What is said before the first tree, shape (classes,); counts (rows,) are 1 where a row counts."""

    @abstractmethod
    def derivatives(self, said: SecretArray, d: Digits) -> tuple[SecretArray, SecretArray | None]:
        """Negative gradients at fixed(d.gradient) and hessians at fixed(d.weight), of shape (classes, rows)."""


class SquaredLoss(Loss):
    """Half of the squared distance to a target of shape (rows,) within [-1, 1]."""

    hessians = False
    most_step = 4.0

    def __init__(self, target: SecretArray) -> None:
        self.target = target

    def most_gradient(self, reach: float) -> float:
        """See `Loss`."""
        return 2.0 + reach * self.most_step

    def baseline(self, counts: SecretArray) -> SecretArray:
        """The mean."""
        return _shares(self.target[None], counts).clip(-1.0, 1.0)

    def derivatives(self, said: SecretArray, d: Digits) -> tuple[SecretArray, SecretArray | None]:
        """See `Loss`."""
        return (self.target[None] - said).astype(fixed(d.gradient)), None


class LogLoss(Loss):
    """Minus the logarithm of the probability of the right class.

    Args:
        classes: 1 where a row has the class, int, shape (classes, rows); of two classes only the second.
    """

    hessians = True
    most_step = 16.0

    def __init__(self, classes: SecretArray) -> None:
        self.classes = classes

    def most_gradient(self, reach: float) -> float:
        """See `Loss`."""
        return 1.0

    def baseline(self, counts: SecretArray) -> SecretArray:
        """Log-odds of the second of two classes, or logarithms of the shares of several."""
        share = _shares(self.classes.astype(fixed(FINE)), counts).clip(LEAST_SHARE, 1 - LEAST_SHARE)
        logarithm: SecretArray = q.log(share)
        return logarithm - q.log(1.0 - share) if len(self.classes) == 1 else logarithm

    def derivatives(self, said: SecretArray, d: Digits) -> tuple[SecretArray, SecretArray | None]:
        """See `Loss`."""
        p = self.probabilities(said)
        hessians = (p * (1.0 - p)).astype(fixed(d.weight))
        return (self.classes - p).astype(fixed(d.gradient)), hessians

    @staticmethod
    def probabilities(said: SecretArray) -> SecretArray:
        """Of the second of two classes from log-odds, or of all classes; (classes, rows), fixed(16), within [0, 1]."""
        fine = said.astype(fixed(FINE))
        if int(str(said.shape[0])) == 1:
            return q.sigmoid(fine).clip(0.0, 1.0)
        powers = q.exp((fine - q.max(fine, axis=0)).clip(-FARTHEST, 0.0)).clip(0.0, 1.0)
        shares: SecretArray = (powers / powers.sum(0).clip(1.0, None)).clip(0.0, 1.0)
        return shares


def _shares(values: SecretArray, counts: SecretArray) -> SecretArray:
    """Means over the rows that count; 0 if none does."""
    total = (values * counts).sum(-1)
    found: SecretArray = total / counts.sum()
    return found
