"""Trees in plain NumPy on public thresholds, written on its own: what secret trees have to equal."""

from __future__ import annotations

import numpy as np

SAME = 1e-7


class Reference:
    """One complete tree: splits (0: none) and values, children of i at 2 i + 1 and 2 i + 2."""

    def __init__(self, X, edges, gradients, weights, depth, least, penalty=0.0, chosen=None, permitted=None):
        self.features = [j for j, row in enumerate(edges) for _ in row]
        self.thresholds = [edge for row in edges for edge in row]
        self.gradients, self.weights, self.least, self.penalty = gradients, weights, least, penalty
        self.left = np.stack([X[:, j] <= t for j, t in zip(self.features, self.thresholds, strict=True)], 1)
        self.chosen = np.ones(len(X), bool) if chosen is None else chosen
        self.permitted = permitted
        inner = 2**depth - 1
        self.splits = np.zeros(inner, int)
        self.values = np.zeros((inner + 1, gradients.shape[1]))
        self.gains = np.zeros(inner)
        self.leaf = np.zeros(len(X), int)
        self.inner = inner
        self._grow(0, np.ones(len(X), bool))

    def _mean(self, rows):
        weight = self.weights[rows].sum() + self.penalty
        return self.gradients[rows].sum(0) / weight if weight else np.zeros(self.gradients.shape[1])

    def _score(self, rows):
        weight = self.weights[rows].sum() + self.penalty
        return (self.gradients[rows].sum(0) ** 2).sum() / weight if weight else 0.0

    def _grow(self, node, here):
        if node >= self.inner:
            self.values[node - self.inner] = self._mean(here & self.chosen)
            self.leaf[here] = node - self.inner
            return
        split = self._best(here, node)
        self.splits[node] = split
        goes = here & self.left[:, split - 1] if split else here
        self._grow(2 * node + 1, goes)
        self._grow(2 * node + 2, here & ~goes)

    def _best(self, here, node):
        used = here & self.chosen
        scores = np.full(len(self.features) + 1, -1.0)
        scores[0] = self._score(used)
        for k in range(len(self.features)):
            low, high = used & self.left[:, k], used & ~self.left[:, k]
            if min(low.sum(), high.sum()) >= self.least and self._may(node, k + 1):
                scores[k + 1] = self._score(low) + self._score(high)
        return int(np.argmax(scores >= scores.max() - SAME * self.weights[used].sum() - 1e-12))

    def _may(self, node, place):
        """Flags of level after level, (places, nodes) each."""
        level = (node + 1).bit_length() - 1
        return self.permitted is None or self.permitted[level][place, node + 1 - 2**level]

    def said(self):
        """The value of every row's leaf."""
        return self.values[self.leaf]
