"""Which rows a tree is grown on: a public choice that follows from a seed, and has nothing to do with the data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quorate.analytics.trees.scores import Flags
from quorate.crypto.hashing import digest
from quorate.crypto.stream import KEY_BYTES, Stream
from quorate.errors import UserError
from quorate.lang.array import SecretArray

__all__ = ["bootstrapped", "features_of", "sampled"]


def sampled(counts: SecretArray, share: float, seed: int, number: int) -> SecretArray:
    """`counts` with all but a share of the rows set to 0, another choice for every number.

    Raises:
        UserError: the number of rows is not known yet.
    """
    if share == 1.0:
        return counts
    draws = _draws(seed, number, _rows(counts))
    chosen = np.zeros(len(draws), np.int64)
    chosen[np.argsort(draws, kind="stable")[: max(1, round(len(draws) * share))]] = 1
    return counts * chosen


def bootstrapped(counts: SecretArray, seed: int, trees: int) -> npt.NDArray[np.int64]:
    """How often every tree takes every row, drawing as many rows as there are with replacement: (trees, rows).

    Raises:
        UserError: the number of rows is not known yet.
    """
    rows = _rows(counts)
    drawn = [_draws(seed, number, rows) % np.uint64(rows) for number in range(trees)]
    return np.stack([np.bincount(one.astype(np.int64), minlength=rows) for one in drawn])


def features_of(seed: int, number: int, features: int, nodes: int, most: int) -> Flags:
    """Which features each node may be split on, `most` of them, another choice for every number: (features, nodes)."""
    draws = _draws(seed, number, features * nodes).reshape(features, nodes)
    found: Flags = np.argsort(np.argsort(draws, axis=0, kind="stable"), axis=0) < most
    return found


def _rows(counts: SecretArray) -> int:
    rows = counts.shape[0]
    if not isinstance(rows, int):
        raise UserError("samples of rows need a number of rows that is known when the computation is written down")
    return rows


def _draws(seed: int, number: int, count: int) -> npt.NDArray[np.uint64]:
    """Uniform numbers that follow from a public seed."""
    draws = np.empty(count, np.uint64)
    Stream(digest(seed.to_bytes(8, "big"), "quorate trees: sampling")[:KEY_BYTES]).fill((number, 1), draws)
    return draws
