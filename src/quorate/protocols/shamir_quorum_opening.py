"""What every operation of `quorate.protocols.shamir_quorum` is made of: masked openings for which any answers do.

To open, everybody sends its share to every recipient, who goes on with the first d + 1 of them, its own included: they
determine the polynomial of degree d, so whoever answers first, the value is the same.

Numbers are shares in the field modulo p. Words are shares over a small field (`sharing.sliced`), into which the parts
that groups know are turned locally. What is opened to the parties is masked. With a value less the sum of random parts
known to the groups, the polynomial of degree t is uniform, and the value falls into these parts and what was opened.
Products of shares are on a polynomial of degree 2t; that takes a sharing of zero in addition, for which every group
draws t times more: the sum of f_A(X) X**j times the j-th draw of group A, 1 <= j <= t.

Sources: random sharings and sharings of zero without a message: Cramer, Damgård, Ishai, TCC 2005, sections 3 and 4;
masked openings instead of dealing anew: Damgård, Nielsen, "Scalable and Unconditionally Secure Multiparty Computation",
CRYPTO 2007, section 3. Deviations: all shares go to everybody, not to one party who opens and tells, since that one
might be lost; masks of degree t and 2t are drawn, not produced.

Bytes of an opening from each party to each recipient: 8 per number, or those of the packed words, rounded up to a
multiple of k words (k = 2 for 3 parties, 3 for 4 to 7). One round. d + 1 parties are enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.kernels import field
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Integers
from quorate.protocols.groups import total
from quorate.protocols.shamir_parts import Array
from quorate.protocols.shamir_placed import ShamirPlaced
from quorate.sharing import shamir, wire
from quorate.sharing.share import Arithmetic, Boolean
from quorate.sharing.sliced import Sliced

__all__ = ["ShamirOpenings"]

Shape = tuple[int, ...]


class ShamirOpenings(ShamirPlaced):
    """Openings, and values that are divided among groups by an opening."""

    def __init__(self, session: Session, threshold: int) -> None:
        super().__init__(session, threshold)
        self.sliced = Sliced(session.parties)
        self.word_weights = [self.sliced.replicated_weight(group, self.me) for group in self.mine]

    # -- whoever answers -----------------------------------------------------------------------------------------------

    def _answers(self, name: Name, mine: Array, degree: int, to: Collection[int]) -> Step[dict[int, Array]]:
        """Our array goes to the recipients; at these those of the first degree + 1 parties, by party. One round.

        Nothing elsewhere, nor for arrays without elements.
        """
        ours = self.me < self.parties
        mine = contiguous(mine)
        sends = {other: [mine] for other in to if other != self.me} if ours else {}
        senders = [party for party in range(self.parties) if party != self.me] if self.me in to else []
        arrays = {party: [self.session.tuple_blank(mine.shape, mine.dtype)] for party in senders}
        here = yield Exchange(name, sends, arrays, enough=degree + 1 - ours)
        if self.me not in to or not mine.size:
            return {}
        answered = senders if self.session.counting else sorted(here)
        found = {self.me: mine} if ours else {}
        return found | {party: arrays[party][0] for party in answered[: degree + 1 - ours]}

    def open_share(self, at: Scope, share: Array, degree: int, to: Collection[int]) -> Step[Array]:
        """Field elements from shares of this degree, at the recipients; an array of that shape elsewhere. One round."""
        found: Mapping[int, Array] = yield from self._answers(at.step(), share, degree, to)
        if not found:
            return share
        return shamir.combine([field.reduce(part) for part in found.values()], list(found), degree)

    def open_rows(self, at: Scope, rows: Array, degree: int, to: Collection[int]) -> Step[Array]:
        """The same for words in rows."""
        found: Mapping[int, Array] = yield from self._answers(at.step(), rows, degree, to)
        return self.sliced.combine(list(found.values()), list(found)) if found else rows

    @property
    def everybody(self) -> range:
        """All parties."""
        return range(self.parties)

    # -- results -------------------------------------------------------------------------------------------------------

    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        opened = yield from self.open_share(at, x.parts[0], self.threshold, to)
        return field.decode_signed(opened) if self.me in to else None

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        if self.me < self.parties:
            rows = self.share_of_words([flat(part, x.width) for part in x.parts])
        else:
            rows = self.sliced.rows(flat(self.session.tuple_blank(x.shape, wire.word_type(x.width)), x.width))
        opened = yield from self.open_rows(at, rows, self.threshold, to)
        if self.me not in to:
            return None
        return shaped(self.sliced.words(opened, flat_size(x.shape, x.width)), x.shape, x.width)

    # -- numbers -------------------------------------------------------------------------------------------------------

    def divided(self, at: Scope, x: Arithmetic) -> Step[list[Array]]:
        return (yield from self.divided_share(at, x.parts[0], self.threshold))

    def divided_share(self, at: Scope, share: Array, degree: int) -> Step[list[Array]]:
        """`divided` for a share on a polynomial of degree t or 2t. One round; degree + 1 parties are enough."""
        parts = self.random_parts(at, share.shape)
        masked = field.sub(share, self.assembled_share(parts))
        if degree > self.threshold:
            field.add(masked, self._zero(at, share.shape), out=masked)
        opened = yield from self.open_share(at, masked, degree, self.everybody)
        self.add_to_first(parts, opened)
        return parts

    def reduced(self, at: Scope, share: Array, out: Array | None = None) -> Step[Arithmetic]:
        """From shares on a polynomial of degree 2t to fresh ones of degree t. One round; 2t + 1 parties are enough."""
        parts = yield from self.divided_share(at, share, 2 * self.threshold)
        return Arithmetic(self.name, (field.linear_combination(np.array(self.weights, np.uint64), parts, out=out),))

    def _zero(self, at: Scope, shape: Shape) -> Array:
        """Our share of zero on a random polynomial of degree 2t. No communication."""
        weights: list[int] = []
        draws: list[Array] = []
        for power in range(1, self.threshold + 1):
            draws += self.random_parts(at, shape)
            weights += [weight * pow(self.me + 1, power, field.P) % field.P for weight in self.weights]
        return field.linear_combination(np.array(weights, np.uint64), draws)

    # -- words ---------------------------------------------------------------------------------------------------------

    def share_of_words(self, parts: Sequence[Array]) -> Array:
        """Our share, in rows, of flat words with one part for each of our groups. Local."""
        return self.sliced.combination(self.word_weights, [self.sliced.rows(part) for part in parts])

    def share_of_product(self, a: Sequence[Array], b: Sequence[Array], times: Callable[[Array, Array], Array]) -> Array:
        """Our share, in rows, of a product of words that is linear in each, on a polynomial of degree 2t. Local.

        It is the sum over our groups A and B of f_A f_B times the product of the parts; `times` gives it in rows.
        """
        terms: dict[int, Array] = {}
        left, right = (self._by_weight(parts) for parts in (a, b))
        for weight, part in left.items():
            for other_weight, other in right.items():
                _add_term(terms, self.sliced.multiply(weight, other_weight), times(part, other))
        return self.sliced.combination(list(terms), list(terms.values()))

    def share_of_and(self, a: Sequence[Array], b: Sequence[Array]) -> Array:
        """The same for the bitwise and of flat words."""
        left, right = ([self.sliced.rows(part) for part in parts] for parts in (a, b))
        return self.share_of_product(left, right, np.bitwise_and)

    def _by_weight(self, parts: Sequence[Array]) -> dict[int, Array]:
        """Sums of the parts of groups that have the same weight with us."""
        found: dict[int, list[Array]] = {}
        for weight, part in zip(self.word_weights, parts, strict=True):
            found.setdefault(weight, []).append(part)
        return {weight: total(same) for weight, same in found.items()}

    def reduced_words(self, at: Scope, rows: Array, shape: Shape, width: int) -> Step[Boolean]:
        """Fresh parts of words from shares, in rows, on a polynomial of degree 2t. One round; 2t + 1 are enough."""
        parts = self.random_words(at, shape, width)
        zero = self._zero_rows(at, rows)
        masked = rows ^ self.share_of_words(parts) ^ zero
        opened = yield from self.open_rows(at, masked, 2 * self.threshold, self.everybody)
        if self.collector in self.mine:
            place = self.mine.index(self.collector)
            parts[place] = np.asanyarray(parts[place] ^ self.sliced.words(opened, parts[place].size))
        return Boolean(self.name, tuple(shaped(part, shape, width) for part in parts), width)

    def random_words(self, at: Scope, shape: Shape, width: int) -> list[Array]:
        """Uniform flat words, one array for each of our groups. No communication."""
        name, size = at.step(), flat_size(shape, width)
        kind = np.dtype(np.uint8) if width == 1 else wire.word_type(width)
        full = kind.type(0xFF if width == 1 else (1 << width) - 1)
        drawn = [self.session.draw(group, name, self.session.blank((size,), kind)) for group in self.mine]
        return [np.asanyarray(part & full) for part in drawn]

    def _zero_rows(self, at: Scope, like: Array) -> Array:
        weights: list[int] = []
        draws: list[Array] = []
        for power in range(1, self.threshold + 1):
            name, factor = at.step(), self.sliced.power(self.me + 1, power)
            draws += [self.session.draw(g, name, self.session.blank(like.shape, like.dtype)) for g in self.mine]
            weights += [self.sliced.multiply(weight, factor) for weight in self.word_weights]
        return self.sliced.combination(weights, draws)


def _add_term(terms: dict[int, Array], weight: int, term: Array) -> None:
    """Add a fresh array to the sum of those that have the same weight."""
    if weight in terms:
        np.bitwise_xor(terms[weight], term, out=terms[weight])
    else:
        terms[weight] = term


def flat(words: Array, width: int) -> Array:
    """Words in one dimension as they travel: packed, if they are bits."""
    return wire.pack(words, width).reshape(-1)


def flat_size(shape: Shape, width: int) -> int:
    """Length of what `flat` makes of words of this shape."""
    count = math.prod(shape)
    return wire.packed_size(count, 1) if width == 1 else count


def shaped(words: Array, shape: Shape, width: int) -> Array:
    """The inverse of `flat`."""
    return np.asanyarray(wire.unpack(contiguous(words), shape, width))
