"""Class labels: public lists of whole numbers, secret columns of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import quorate.lang.functions as q
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT

__all__ = ["MOST_CLASSES", "indicators", "labels_of", "likeliest", "named", "of_all"]

MOST_CLASSES = 64


def labels_of(y: SecretArray, classes: Sequence[int] | None) -> list[int]:
    """The classes: those given, ascending, or all whole numbers in the declared range of the secret labels.

    Raises:
        UserError: labels that are no integers, fewer than 2 classes, more than 64, or one twice.
    """
    if y.dtype.kind != "int":
        raise UserError(f"labels are whole numbers, not {y.dtype}; share them as integers")
    low, high = (int(end) for end in y.limits)
    if classes is None and high - low >= MOST_CLASSES:
        raise UserError(f"labels from {low} to {high}; declare their range, or give classes=[...]")
    found = list(range(low, high + 1)) if classes is None else [int(label) for label in classes]
    if sorted(set(found)) != found or not 2 <= len(found) <= MOST_CLASSES:
        raise UserError(f"classes {found}; give 2 to {MOST_CLASSES} different whole numbers in ascending order")
    return found


def indicators(y: SecretArray, classes: Sequence[int]) -> SecretArray:
    """1 where a row has a class, int, shape (classes, rows); of two classes only the second has a row.

    A label that is in no class counts as none of several, and as the first of two.
    """
    wanted = classes if len(classes) > 2 else classes[1:]
    found: SecretArray = q.stack([(y == label).astype(INT) for label in wanted])
    return found


def named(best: SecretArray, classes: Sequence[int]) -> SecretArray:
    """Labels of the classes at these secret positions."""
    if list(classes) == list(range(classes[0], classes[0] + len(classes))):
        return best + int(classes[0])
    table = best.constant(np.asarray(classes, np.int64), INT)
    found: SecretArray = table.take(best, axis=0)
    return found


def of_all(shares: SecretArray) -> SecretArray:
    """Shares of all classes, shape (rows, classes), from those that `indicators` has rows for."""
    if shares.shape[0] != 1:
        return shares.T
    both: SecretArray = q.stack([1.0 - shares[0], shares[0]], axis=1)
    return both


def likeliest(said: SecretArray, classes: Sequence[int], even: float) -> SecretArray:
    """The label with the highest score of every row; of two classes the second where its score is above `even`."""
    best = (said[0] > even).astype(int) if len(classes) == 2 else said.argmax(axis=0)
    return named(best, classes)
