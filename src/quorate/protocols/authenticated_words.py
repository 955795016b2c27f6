"""Boolean words with MACs in bit planes: keys, tuples, checks, and what is linear or an and.

See `quorate.protocols.authenticated_bits`, which is built on this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import InternalError
from quorate.kernels import planes
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.and_triples import AndWords
from quorate.preprocessing.authenticated import DealtTuples
from quorate.preprocessing.authenticated_bits import (
    AND_WORDS,
    BIT_BATCH,
    PRIVATE_WORDS,
    RANDOM_WORDS,
    BitSource,
    draw_key,
)
from quorate.preprocessing.authenticated_triples import OwnTuples
from quorate.preprocessing.bit_checks import BitChecks, OpenedPlanes
from quorate.preprocessing.dealing import Mail
from quorate.preprocessing.dealt_bits import DealtBits
from quorate.preprocessing.private_bits import PrivateWords
from quorate.preprocessing.random_words import RandomWords
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Maker
from quorate.protocols.authenticated import Authenticated
from quorate.protocols.base import Bilinear, through_ands
from quorate.protocols.local import check_full_words, check_shapes, public_words
from quorate.sharing import wire
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["AuthenticatedWords", "cut"]

Array = npt.NDArray[Any]
FULL = (1 << 64) - 1
WEIGHT = 8
"""What is noted of a word takes about as much memory as what is noted of so many numbers."""


class AuthenticatedWords(Authenticated):
    """The Boolean side, on top of the arithmetic one: without outputs and conversions."""

    def __init__(self, session: Session, threshold: int) -> None:
        self.bit_planes = min(64, session.security + 4)
        self._row_bytes = -(-self.bit_planes // 8)
        self._bit_key = np.zeros(2, np.uint64)
        self._source: BitSource | None = None
        self._bit_checks = BitChecks(session, self._delta, self.bit_planes, self._note_bits)
        super().__init__(session, threshold)

    # -- what the arithmetic side offers -------------------------------------------------------------------------------

    def enter(self, at: Scope, owner: int, values: Array) -> Step[Arithmetic]:
        """Numbers (uint64, 1-D) that `owner` knows, authenticated, within a maker of tuples."""
        if not isinstance(self.tuples, OwnTuples):
            raise InternalError("with a dealer nobody enters numbers that it knows; please report this")
        parts = yield from self.tuples.authentication.chosen(at, [owner], self.domain.from_words(values))
        return Arithmetic(self.name, parts)

    def vanish(self, at: Scope, x: Arithmetic) -> None:
        """See `require_zero`."""
        self.require_zero(at, x)

    def _deal_number(self, at: Scope, shape: tuple[int, ...], secret: Callable[[], Array], mail: Mail) -> Parts:
        """A number that the dealer computes; at the dealer the number itself."""
        if not isinstance(self.tuples, DealtTuples):
            raise InternalError("there is no dealer who could know a number; please report this")
        return self.tuples.value(at, shape, lambda: self.domain.from_words(secret()), mail)

    # -- keys, tuples, checks ------------------------------------------------------------------------------------------

    def _delta(self) -> int:
        return int(self._bit_key[0]) & ((1 << 8 * self._row_bytes) - 1)

    def _known(self, plane: int) -> int:
        """Ones if our part of this plane takes in what is public, else 0."""
        return -(self._delta() >> plane & 1) & FULL

    def setup_bits(self, at: Scope) -> Step[None]:
        """Keys and transfers; with a dealer it has the keys too. After the keys of all pairs are agreed."""
        if self.session.dealer is not None:
            self._dealt = DealtBits(self.session, self.bit_planes, self._deal_number)
            self._bit_key = self._dealt.key(at.child("key"))
            return
        if not self._bit_key.any():
            self._bit_key = draw_key(self.session, at)
        self._source = BitSource(self.session, self._bit_key, self._row_bytes)
        yield from self._source.setup(at.child("transfers"))

    def bit_keys(self) -> list[Array]:
        """What tuples are bound to, for `stock_keys`."""
        return [self._bit_key.copy()]

    def adopt_bit_keys(self, keys: Sequence[Array]) -> None:
        """Use the keys of an earlier session; before `setup_bits`."""
        if self.session.holds_shares:
            self._bit_key = np.array(keys[0], np.uint64)

    def fresh_word(self, at: Scope) -> Step[Parts]:
        """The parts (1,) of one random word."""
        return (yield from self._make(RANDOM_WORDS, at, 1))

    def test_words(self, at: Scope, kept: Array) -> Step[None]:
        """Open a kept word (planes, 1), masked by a fresh one, to be checked: whether their keys are the same."""
        fresh = yield from self.fresh_word(at.child("fresh"))
        yield from self._opened(at.child("open"), [part ^ kept[j] for j, part in enumerate(fresh)])

    def bit_makers(self) -> dict[str, Maker]:
        """Makers of all kinds of tuples here, by kind."""
        return {kind: partial(self._make, kind) for kind in BIT_BATCH}

    def bit_batches(self) -> dict[str, int]:
        """How much of each kind is made at least."""
        return BIT_BATCH

    def dealt_bit_makers(self) -> dict[str, Maker]:
        """The same from the dealer."""
        return self.bit_makers()

    def _make(self, kind: str, at: Scope, count: int) -> Step[tuple[Array, ...]]:
        if self.session.dealer is not None:
            dealt = {AND_WORDS: self._dealt.ands, RANDOM_WORDS: self._dealt.random, PRIVATE_WORDS: self._dealt.private}
            return (yield from dealt[kind](at, count))
        if self._source is None:
            raise InternalError("tuples were asked for before the session was set up; please report this")
        if kind == AND_WORDS:
            return (yield from AndWords(self._source, self._bit_checks, self.bit_planes).make(at, count))
        if kind == RANDOM_WORDS:
            return (yield from RandomWords(self._source, self._bit_checks, self.bit_planes).make(at, count))
        return (yield from PrivateWords(self._source, self._bit_checks, self, self.bit_planes).make(at, count))

    def _note_bits(self, name: tuple[int, int], note: Any, size: int) -> None:
        self.deferred.note(name, note, WEIGHT * size)

    def check_bits(self, at: Scope, notes: Sequence[Any]) -> Step[None]:
        """The check of everything that was noted here.

        Raises:
            IntegrityError: somebody cheated.
        """
        if notes:
            yield from self._bit_checks.check(at, notes)

    def _take(self, at: Scope, kind: str, count: int) -> Step[tuple[Array, ...]]:
        self.session.dealt(kind, count)
        return (yield from self._stocked.take(at, kind, count))

    # -- local ---------------------------------------------------------------------------------------------------------

    def public_bits(self, words: npt.NDArray[np.generic], width: int = 1) -> Boolean:
        return Boolean(self.name, tuple(self._public_parts(public_words(words, width))), width)

    def _public_parts(self, words: Array) -> list[Array]:
        kind = words.dtype.type
        full = (1 << 8 * words.dtype.itemsize) - 1
        return [words & kind(self._known(j) & full) for j in range(self.bit_planes)]

    def xor_public(self, a: Boolean, words: npt.NDArray[np.generic]) -> Boolean:
        known = self._public_parts(public_words(words, a.width))
        return a.with_parts(tuple(part ^ more for part, more in zip(a.parts, known, strict=True)))

    def _opened(self, at: Scope, flat: Sequence[Array]) -> Step[Array]:
        """Open packed words to all parties, under a mask of zero; noted. One round."""
        draw, name = at.step(), at.step()
        zero = self._bit_checks.zero(draw, flat[0].shape, flat[0].dtype)
        (opened,) = yield from self._bit_checks.exchanged(name, [contiguous(flat[0] ^ zero)])
        self._note_bits(name, OpenedPlanes(opened, [contiguous(part) for part in flat[1:]]), -(-flat[0].nbytes // 8))
        return opened

    # -- products ------------------------------------------------------------------------------------------------------

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        if not a.size:
            return a
        left, right = ([wire.pack(part, a.width).reshape(-1) for part in words.parts] for words in (a, b))
        count = -(-left[0].nbytes // 8)
        yield from self.deferred.relieve(WEIGHT * count)
        tuples = yield from self._take(at.child("tuples"), AND_WORDS, count)
        tuples = tuple(cut(part, left[0]) for part in tuples)
        x, y, c = (tuples[k * self.bit_planes : (k + 1) * self.bit_planes] for k in range(3))
        first, second = at.step(), at.step()
        masked = [[contiguous(p ^ q) for p, q in zip(*pair, strict=True)] for pair in ((left, x), (right, y))]
        d, e = yield from self._bit_checks.exchanged(first, [masked[0][0], masked[1][0]])
        self._note_bits(first, OpenedPlanes(d, masked[0][1:]), count)
        self._note_bits(second, OpenedPlanes(e, masked[1][1:]), count)
        parts = [planes.beaver(c[j], x[j], y[j], d, e, self._known(j)) for j in range(self.bit_planes)]
        return a.with_parts(tuple(_unpacked(part, a) for part in parts))

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        check_full_words(a, b)
        return (yield from through_ands(self, at, a, b, times, shape))

    def random_bits(self, at: Scope, shape: tuple[int, ...]) -> Step[Boolean]:
        size = int(np.prod(shape, dtype=np.int64))
        if not size:
            return self.public_bits(np.zeros(shape, np.uint8))
        words = yield from self._take(at, RANDOM_WORDS, -(-size // 64))
        packed = [part.view(np.uint8)[: -(-size // 8)] for part in words]
        return Boolean(self.name, tuple(wire.unpack(contiguous(part), shape, 1) for part in packed))


def cut(plane: Array, like: Array) -> Array:
    """As much of a plane of words as `like` takes, in its dtype."""
    return plane.view(np.uint8)[: like.nbytes].view(like.dtype)


def _unpacked(part: Array, like: Boolean) -> Array:
    """Packed words in the shape of `like`, without bits beyond its width."""
    words = wire.unpack(part, like.shape, like.width)
    kind = words.dtype
    if like.width == 8 * kind.itemsize:
        return words
    cleared: Array = words & kind.type((1 << like.width) - 1)
    return cleared
