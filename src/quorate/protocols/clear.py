"""No protection at all: every party holds the plaintext. The oracle that other protocols are tested against, and the
baseline for what secrecy costs. A spec cannot name it.

Input costs 8 bytes per element and other party; everything else is local, except that party 0 reports to outsiders.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels import permutation, ring
from quorate.kernels.ghost import contiguous
from quorate.protocols import known
from quorate.protocols.base import Bilinear, Function, Integers
from quorate.protocols.columns import common_rows, draw_order
from quorate.protocols.local import (
    RingLocal,
    check_full_words,
    check_shapes,
    low_words,
    public_words,
    ring_words,
    rows_of,
)
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Clear"]

Array = npt.NDArray[Any]


class Clear(RingLocal):
    """One participant of the plaintext protocol; any number of parties."""

    name: ClassVar[str] = "clear"
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "none"
    majority: ClassVar[Literal["none", "honest", "dishonest"]] = "none"
    usual_parties: ClassVar[int] = 1
    capacity: ClassVar[int] = 62

    def __init__(self, session: Session, threshold: int = 0) -> None:
        super().__init__(session, threshold)

    @property
    def resumable(self) -> bool:
        return True

    def setup(self, at: Scope) -> Step[None]:
        yield from self.session.agree_keys(at, [tuple(range(self.parties))])

    def _arithmetic(self, words: Array) -> Arithmetic:
        return Arithmetic(self.name, (words,))

    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        words = self.session.blank(shape) if values is None else ring_words(values)
        others = [party for party in range(self.parties) if party != owner]
        if self.me == owner:
            yield Exchange(at.step(), {party: [words] for party in others})
        else:
            yield Exchange(at.step(), None, {owner: [words]} if self.me in others else None)
        return self._arithmetic(words)

    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        opened = yield from self._report(at, x.parts[0], to)
        return None if opened is None else opened.view(np.int64)

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        return (yield from self._report(at, x.parts[0], to))

    def _report(self, at: Scope, words: Array, to: Collection[int]) -> Step[Array | None]:
        outsiders = [recipient for recipient in to if recipient >= self.parties]
        words = contiguous(words)
        if self.me in outsiders:
            words = self.session.tuple_blank(words.shape, words.dtype)
        sends = {outsider: [words] for outsider in outsiders} if self.me == 0 else None
        yield Exchange(at.step(), sends, {0: [words]} if self.me in outsiders else None)
        return words if self.me in to else None

    def public(self, values: Integers) -> Arithmetic:
        return self._arithmetic(ring_words(values))

    def public_bits(self, words: npt.NDArray[np.generic], width: int = 1) -> Boolean:
        return Boolean(self.name, (public_words(words, width),), width)

    def empty(self, shape: tuple[int, ...]) -> Arithmetic:
        return self._arithmetic(self.session.blank(shape))

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        yield from ()
        check_shapes(x, y)
        target = self.empty(x.shape) if out is None else out
        np.multiply(x.parts[0], y.parts[0], out=target.parts[0])
        return self._shifted(target, shift)

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        yield from ()
        check_shapes(x, y)
        rows = [rows_of(share.parts[0]) for share in (x, y)]
        return self._shifted(self._arithmetic(ring.dot(*rows).reshape(x.shape[:-1])), shift)

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        yield from ()
        return self._shifted(self._arithmetic(ring.matmul(x.parts[0], y.parts[0])), shift)

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        yield from ()
        return self._shifted(x, shift)

    def _shifted(self, x: Arithmetic, shift: int) -> Arithmetic:
        return x.map(lambda words: (words.view(np.int64) >> np.int64(shift)).view(np.uint64)) if shift else x

    @property
    def truncation_error(self) -> float:
        return 1.0

    @property
    def truncation_offsets(self) -> tuple[int, int]:
        return 0, 0

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        yield from ()
        check_shapes(a, b)
        return a.with_parts((a.parts[0] & b.parts[0],))

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        yield from ()
        check_full_words(a, b)
        return a.with_parts((times(a.parts[0], b.parts[0]),))

    def random(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        yield from ()
        return self._arithmetic(self._drawn(at, shape, np.uint64))

    def random_bits(self, at: Scope, shape: tuple[int, ...]) -> Step[Boolean]:
        yield from ()
        return Boolean(self.name, (self._drawn(at, shape, np.uint8) & np.uint8(1),))

    def _drawn(self, at: Scope, shape: tuple[int, ...], kind: npt.DTypeLike) -> Array:
        return self.session.draw(tuple(range(self.parties)), at.step(), self.session.blank(shape, kind))

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        yield from ()
        if not columns:
            return []
        perm = draw_order(self.session, tuple(range(self.parties)), at.step(), common_rows(columns))
        return [column.map(lambda part: permutation.apply(part, perm)) for column in columns]

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        yield from ()
        words = low_words(x.parts[0], width)
        return [Boolean(self.name, (np.negative(words) if negate_last else words,), width)]

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        yield from ()
        return self._arithmetic(b.parts[0].astype(np.uint64))

    @property
    def summand_count(self) -> int:
        return 2

    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        return (yield from known.clear(self, at, x, function, count))

    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        return (yield from known.dot(self, at, x, function, count, shift))
