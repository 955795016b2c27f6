"""What the verification of products needs to know of a base ring and the extension ring that checks are made in.

Weights and challenges come from an extension E of the ring R that secrets are shared over, large enough that an error
survives a random combination. Elements of E are uint64 arrays whose trailing axes are `tail`; elements of R come as
items, 1-D arrays of whatever is convenient to compute on. Everything here acts on one part of a sharing, or on what a
party computes from its parts, and knows nothing of parties. All functions take ghosts and then return ghosts.

Blocks: the hypercube has 2**nu corners; corner a (bit v of a belongs to variable v) has a block of m items. Values at
points of {0, 1, infinity}**nu are numbered by ternary digits, the digit of variable v having weight 3**v, infinity
being digit 2: the leading coefficient, so block(infinity) = block(1) - block(0), and no division is needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Domain", "Pairs"]

Array = npt.NDArray[Any]
Pairs = Sequence[tuple[Array, Array]]
"""Local products: (left, right) factors; a party's additive part of a product is the sum of left * right over them."""


class Domain(ABC):
    """A base ring R inside an extension E. See the module for how elements are laid out."""

    tail: ClassVar[tuple[int, ...]]
    """Trailing axes of an array of elements of E; () if an element is one uint64."""
    lanes: ClassVar[int]
    """Elements of R in one item: 1, or 64 where bits are packed in words."""
    challenge_bits: ClassVar[int]
    """Binary logarithm of the number of challenges: an equation of degree d that does not hold, holds for a random
    challenge with probability d * 2**-challenge_bits at most."""

    # -- elements ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def challenges(self, words: Array) -> Array:
        """Uniform uint64 `words` (n,) as n challenges in E, (n, *tail): differences of two are units or zero."""

    @abstractmethod
    def units(self, words: Array) -> Array:
        """The same without zero: every result is a unit of E (2**-challenge_bits away from uniform at most)."""

    @abstractmethod
    def uniform(self, words: Array) -> Array:
        """Uniform uint64 `words` (n, *tail) as uniform elements of E, same shape; may work in place."""

    @abstractmethod
    def one(self, like: Array) -> Array:
        """1, of shape `tail`; a ghost if `like` is one."""

    @abstractmethod
    def add(self, x: Array, y: Array) -> Array:
        """x + y in E for equal shapes, or one of them a single element (shape `tail`)."""

    @abstractmethod
    def sub(self, x: Array, y: Array) -> Array:
        """x - y, likewise."""

    @abstractmethod
    def mul(self, x: Array, y: Array) -> Array:
        """x * y, likewise; also for long vectors (n, *tail)."""

    @abstractmethod
    def base_add(self, x: Array, y: Array) -> Array:
        """x + y of items of R, equal shapes."""

    def lifted(self, items: Array) -> Array:
        """The elements of R in `items` (m,) as elements of E, (m * lanes, *tail); for few of them."""
        if self.lanes > 1:
            shifts = np.arange(self.lanes, dtype=np.uint64)
            items = ((items[:, None] >> shifts) & np.uint64(1)).reshape(-1)
        found = np.zeros_like(items, shape=(len(items), *self.tail), dtype=np.uint64)
        first: Any = (..., *([0] * len(self.tail)))
        found[first] = items
        return found

    # -- first level: items of R ---------------------------------------------------------------------------------------

    @abstractmethod
    def items(self, part: Array, width: int) -> Array:
        """One part of a share, of any shape, as a 1-D array of items, padded with zeros to whole items.

        `width` is that of Boolean words (bits per word, the rest being zero), 0 for numbers.
        """

    @abstractmethod
    def points(self, pairs: Pairs, sigma: Array) -> Array:
        """For blocks (2**nu, m) of items: sum over j of sigma_j * left_j(q) * right_j(q) for the 3**nu points q, and
        over the pairs: (3**nu, *tail). sigma is (m, *tail), one weight per item (a domain with several lanes weighs
        lane l of item j by sigma_j times a fixed element of its own, the same here, in `weigh` and in `scale`)."""

    @abstractmethod
    def weigh(self, blocks: Array, sigma: Array) -> Array:
        """For blocks (k, m) of items: sum over j of sigma_j * blocks[a, j], (k, *tail)."""

    @abstractmethod
    def fold(self, blocks: Array, weights: Array) -> Array:
        """For blocks (k, m) of items, any k: sum over a of weights_a * blocks[a], (m * lanes, *tail), for weights
        (k, *tail)."""

    @abstractmethod
    def scale(self, elements: Array, sigma: Array) -> Array:
        """What `fold` gave, (m * lanes, *tail), times the weights sigma (m, *tail) of its items and their lanes."""

    def fold_into(self, out: Array, blocks: Array, weights: Array, sigma: Array | None = None) -> None:
        """Write what `fold`, and with `sigma` `scale` of it, gives to `out`, a C-contiguous array of that shape."""
        folded = self.fold(blocks, weights)
        out[...] = folded if sigma is None else self.scale(folded, sigma)

    # -- further levels: elements of E ---------------------------------------------------------------------------------

    @abstractmethod
    def points_over(self, pairs: Pairs) -> Array:
        """As `points` for blocks (2**nu, m, *tail) of elements of E and weights 1: (3**nu, *tail)."""

    @abstractmethod
    def fold_over(self, blocks: Array, weights: Array) -> Array:
        """As `fold` for blocks (k, m, *tail) of elements of E: (m, *tail)."""

    @abstractmethod
    def variables(self, count: int, first: bool) -> int:
        """nu for a level on `count` items (first) or elements: how many variables to fold at once, at least 1.

        Work grows with (3/2)**nu and rounds fall with nu (3 per level); 3**nu elements are shared again. When 2**nu is
        at least `count`, the level is the last one.
        """
