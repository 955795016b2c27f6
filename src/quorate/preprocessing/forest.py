"""Many puncturable trees at once, side by side, for silent correlations.

As in `quorate.preprocessing.trees`, but hundreds of trees of a thousand leaves each. Trees are grown in groups of
`BESIDE`, so that a level of a group is one call and leaves of a group stay in the cache. Number the children of node x
of level l as x (left) and x + 2^l (right): bit l of a leaf's number says which way the path turns at level l. The
leaves of all trees are an array (groups, 2^depth, BESIDE, 2); leaf x of tree BESIDE g + j is [g, x, j].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.robust import double

__all__ = ["BESIDE", "places", "plant", "regrow"]

Blocks = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Array = npt.NDArray[Any]
BESIDE = 32


def plant(roots: Blocks, leaves: Blocks, depth: int) -> Blocks:
    """Fill `leaves` from roots (trees, 2); returns the sums (trees, depth, 2, 2) of the left and the right children of
    every level."""
    groups = len(leaves)
    sums = np.empty((groups, depth, 2, BESIDE, 2), np.uint64)
    for group in range(groups):
        nodes = roots[group * BESIDE : (group + 1) * BESIDE].reshape(1, BESIDE, 2)
        for level in range(depth):
            nodes = double(nodes, sums[group, level], leaves[group] if level == depth - 1 else None)
    flat: Blocks = sums.transpose(0, 3, 1, 2, 4).reshape(len(roots), depth, 2, 2)
    return flat


def regrow(known: Blocks, hidden: Numbers, leaves: Blocks) -> Blocks:
    """Fill `leaves`, but number hidden[j] of tree j becomes 0; returns the sums (trees, 2) of the leaves of every tree.

    known (trees, depth, 2) are the sums of the side that the path does not take.
    """
    groups = len(leaves)
    totals = np.empty((groups, BESIDE, 2), np.uint64)
    for group in range(groups):
        part = slice(group * BESIDE, (group + 1) * BESIDE)
        totals[group] = _regrow(known[part], hidden[part], leaves[group])
    return totals.reshape(-1, 2)


def _regrow(known: Blocks, hidden: Numbers, leaves: Blocks) -> Blocks:
    """One group. What lies on the path is set to 0 at every level, so sums hold its children too until these go."""
    nodes, sums, trees = np.zeros((1, BESIDE, 2), np.uint64), np.zeros((2, BESIDE, 2), np.uint64), np.arange(BESIDE)
    path = np.zeros(BESIDE, np.int64)
    for level in range(known.shape[1]):
        width = len(nodes)
        nodes = double(nodes, sums, leaves if 2 * width == len(leaves) else None)
        turn = hidden >> level & 1
        beside, path = path + width * (1 - turn), path + width * turn
        sums[1 - turn, trees] ^= nodes[beside, trees]
        sums[turn, trees] ^= nodes[path, trees]
        nodes[path, trees] = 0
        nodes[beside, trees] = sums[1 - turn, trees] ^ known[:, level]
        sums[1 - turn, trees] = known[:, level]
    totals: Blocks = sums[0] ^ sums[1]
    return totals


def places(hidden: Numbers) -> tuple[Numbers, Numbers]:
    """For every tree its group, and the row of its hidden leaf among the leaves of that group, taken as one list."""
    trees = np.arange(len(hidden))
    return trees // BESIDE, hidden * BESIDE + trees % BESIDE
