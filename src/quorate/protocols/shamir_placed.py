"""Shamir's sharing where a value is a sum of parts that groups of n - t parties know: what follows from that alone.

How a value is divided into such parts is up to the protocol (`divided`). What a group knows, and any function of it, is
shared without a message: its members scale it by the value of a polynomial that vanishes at everybody else (`place`).

Source: Cramer, Damgård, Ishai, "Share Conversion, Pseudorandom Secret-Sharing and Applications to Secure Computation",
TCC 2005, section 3. Truncation: `summed_truncation`.

Costs for c = binomial(n, t) groups: summands and known functions those of `divided`, truncation besides these
`summed_truncation.cost(c)` products; bit to integer c - 1 products in ceil(log2 c) rounds.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.kernels import field
from quorate.protocols import summed_truncation
from quorate.protocols.base import Function
from quorate.protocols.known import values_of
from quorate.protocols.local import same_shape
from quorate.protocols.shamir import Shamir
from quorate.protocols.shamir_parts import BITS, Array, Group
from quorate.sharing.share import Arithmetic, Boolean, concatenate

__all__ = ["ShamirPlaced"]


class ShamirPlaced(Shamir):
    """Operations on parts that groups know; subclasses say how a value falls into such parts."""

    @abstractmethod
    def divided(self, at: Scope, x: Arithmetic) -> Step[list[Array]]:
        """x as a sum of field elements each known to one of the groups: those of our groups."""

    # -- parts ---------------------------------------------------------------------------------------------------------

    def random_share(self, at: Scope, shape: tuple[int, ...]) -> Array:
        """Our share of uniform field elements that nobody knows. No communication."""
        return self.assembled_share(self.random_parts(at, shape))

    def random_parts(self, at: Scope, shape: tuple[int, ...]) -> list[Array]:
        """Uniform field elements, one for each of our groups. No communication."""
        name = at.step()
        return [self.elements(group, name, self.session.blank(shape)) for group in self.mine]

    def assembled_share(self, parts: Sequence[Array]) -> Array:
        """Our share of the sum of parts, one for each of our groups."""
        return np.asanyarray(field.linear_combination(np.array(self.weights, np.uint64), list(parts)))

    def place(self, group: Group, values: Array) -> Arithmetic:
        """Numbers that all members of a group know, `values` at them, shared."""
        if group not in self.mine:
            return Arithmetic(self.name, (np.zeros_like(values),))
        return Arithmetic(self.name, (field.scale(values, self.weights[self.mine.index(group)]),))

    def place_words(self, group: Group, words: Array, width: int) -> Boolean:
        """The same for words."""
        return self.boolean({group: words} if group in self.mine else {(): np.zeros_like(words)}, width)

    def by_group(self, known: Sequence[Array]) -> list[Array]:
        """What our groups know, for all groups: elsewhere an array of that shape."""
        ours = dict(zip(self.mine, known, strict=True))
        return [ours.get(group, known[0]) for group in self.groups]

    def add_to_first(self, parts: list[Array], opened: Array) -> None:
        """Let the collecting group's part take in what everybody knows."""
        if self.collector in self.mine:
            place = self.mine.index(self.collector)
            parts[place] = field.add(*same_shape(parts[place], opened))

    # -- randomness and summands ---------------------------------------------------------------------------------------

    def random(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        yield from ()
        return Arithmetic(self.name, (self.random_share(at, shape),))

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        known = self.by_group((yield from self.divided(at, x)))
        if negate_last:
            known[-1] = field.neg(known[-1])
        return [self.place_words(group, words, BITS) for group, words in zip(self.groups, known, strict=True)]

    @property
    def summand_count(self) -> int:
        return len(self.groups)

    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        known = self.by_group((yield from self.divided(at, x)))
        found = []
        for number, (group, words) in enumerate(zip(self.groups, known, strict=True)):
            if group in self.mine:
                values = field.encode_signed(values_of(function, words, number, count))
            else:
                values = self.session.blank((count, *x.shape))
            found.append(self.place(group, values))
        return found

    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        yield from ()
        raise InternalError(f"{self.name} divides values into {self.summand_count} summands, not two")

    # -- truncation ----------------------------------------------------------------------------------------------------

    @property
    def truncation_error(self) -> float:
        return summed_truncation.error(self.summand_count)

    @property
    def truncation_offsets(self) -> tuple[int, int]:
        return summed_truncation.offsets(self.summand_count)

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        return (yield from self.quotient(at, (yield from self.divided(at, x)), shift))

    def quotient(self, at: Scope, parts: list[Array], shift: int) -> Step[Arithmetic]:
        """From the parts of a value that our groups know to its quotient, as in `summed_truncation.truncate`."""
        parts = list(parts)
        self.add_to_first(parts, field.encode_signed(np.asarray(1 << self.capacity, np.int64)))
        k = self.summand_count
        known = [
            np.stack([summed_truncation.rounded(part, shift), *summed_truncation.tops(part, k, BITS)]) for part in parts
        ]
        placed = [self.place(group, rows) for group, rows in zip(self.groups, self.by_group(known), strict=True)]
        rows = [[share.map(lambda part, j=j: part[j]) for j in range(len(known[0]))] for share in placed]  # type: ignore[misc]
        wraps = yield from summed_truncation.count_wraps(self, at.child("wraps"), [row[1:] for row in rows])
        return summed_truncation.assembled(self, [row[0] for row in rows], wraps, shift)

    # -- conversion ----------------------------------------------------------------------------------------------------

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        known = self.by_group([part.astype(np.uint64) for part in b.parts])
        level = [self.place(group, bits) for group, bits in zip(self.groups, known, strict=True)]
        while len(level) > 1:
            level = yield from self._halved(at.child(f"of {len(level)}"), level)
        return level[0]

    def _halved(self, at: Scope, bits: list[Arithmetic]) -> Step[list[Arithmetic]]:
        """Exclusive or of every two numbers 0 or 1, all in one product."""
        pairs = list(zip(bits[::2], bits[1::2], strict=False))
        left, right = (concatenate([pair[k].map(lambda part: part[None]) for pair in pairs], 0) for k in (0, 1))
        both = yield from self.mul(at, left, right)
        merged = self.sub(self.add(left, right), self.scale(both, 2))
        rows = [merged.map(lambda part, k=k: part[k]) for k in range(len(pairs))]  # type: ignore[misc]
        return rows + bits[2 * len(pairs) :]
