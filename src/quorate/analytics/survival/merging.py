"""Steps of a curve that are joined until enough events have come together, without showing where there are few."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT

__all__ = ["released"]


def released(events: SecretArray, least: int) -> tuple[SecretArray, SecretArray]:
    """Which steps close a run of at least `least` events, and how many events each step has with those carried over.

    The run begins anew after each such step. What is carried over is the state of an automaton with `least` states;
    what a step does to states is a matrix of 0 and 1, and running products of these give all states at once. About 15
    rounds per doubling of the number of steps; least**2 products of as many terms per step and doubling.

    Args:
        events: per group and step, int, shape (groups, steps).

    Returns:
        bools and ints of the shape of `events`.
    """
    few = q.one_hot(q.minimum(events, least), least + 1).astype(INT)
    move = _moves(least).reshape(least + 1, least * least)
    moves = (few.reshape(-1, least + 1) @ move).reshape(*events.shape, least, least).clip(0, 1)
    states = _before(_running(moves))
    carried = (states * np.arange(least)).sum(-1).clip(0, least - 1)
    total = events + carried
    return total >= least, total


def _moves(least: int) -> npt.NDArray[np.int64]:
    """For every number of events, the matrix of states before and after it."""
    made = np.zeros((least + 1, least, least), np.int64)
    for count in range(least + 1):
        for state in range(least):
            after = state + count
            made[count, state, after if after < least else 0] = 1
    return made


def _running(moves: SecretArray) -> SecretArray:
    """Running products of matrices along the second axis."""
    count, reach = int(str(moves.shape[1])), 1
    while reach < count:
        joined = (moves[:, :-reach] @ moves[:, reach:]).clip(0, 1)
        moves = q.concatenate([moves[:, :reach], joined], axis=1)
        reach *= 2
    return moves


def _before(products: SecretArray) -> SecretArray:
    """The state before each step, one-hot: the first row of the products up to the step before."""
    groups, least = int(str(products.shape[0])), int(str(products.shape[-1]))
    start = np.zeros((groups, 1, least), np.int64)
    start[:, :, 0] = 1
    return q.concatenate([start, products[:, :-1, 0, :]], axis=1)
