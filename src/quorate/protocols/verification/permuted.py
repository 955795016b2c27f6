"""That rows are other rows in an order that a group knows: one inner product, whatever the way they were shuffled.

With y_j = x_perm(j) and weights chi_j from a coin, the sum of chi_j y_j is the inner product of x and of the weights in
the order of x. The members of the group know these and place them as a shared vector without a message; the inner
product joins the claims of `argument`. Several columns are first combined with weights of their own. So a shuffle needs
no secret switches: a group permutes what it holds as semi-honest parties would, and an error that a cheater adds to any
row survives both combinations but with 2 / C for C challenges.

Source: ours, from the check of a matrix product with a vector (Freivalds 1977); the order is the matrix, and the group
its witness. For the semi-honest part: Laur, Willemson, Zhang, "Round-Efficient Oblivious Database Manipulation", ISC
2011.
"""

from __future__ import annotations

import numpy as np

from quorate.kernels import permutation
from quorate.kernels.ghost import contiguous
from quorate.protocols.verification import cube
from quorate.protocols.verification.domain import Array, Domain
from quorate.protocols.verification.scheme import Parts, Permuted, Scheme

__all__ = ["claim"]


def claim(scheme: Scheme, note: Permuted, chi: Array, theta: Array) -> tuple[Parts, Parts, Parts]:
    """The claim of a note, for weights of the rows and of the columns: that the inner product of the first two is the
    third."""
    domain = scheme.domain
    before, after = (tuple(_combined(domain, part, theta) for part in side) for side in (note.x, note.y))
    weights = chi if note.perm is None else permutation.apply(chi, permutation.invert(note.perm))
    return scheme.place(note.group, weights), before, cube.weighed(domain, after, chi)


def _combined(domain: Domain, part: Array, theta: Array) -> Array:
    """Rows (n, m) of numbers or words as elements of E, their columns weighed: (n, *tail)."""
    columns = contiguous(part.T)
    if domain.lanes == 1:
        return domain.fold(columns, theta)
    lifted = np.zeros_like(columns, shape=(*columns.shape, *domain.tail), dtype=np.uint64)
    lifted.reshape(*columns.shape, -1)[..., 0] = columns
    return domain.fold_over(lifted, theta)
