"""Opening authenticated Boolean words to parties and outsiders; see `quorate.protocols.authenticated_bits`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import toss
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.errors import IntegrityError
from quorate.kernels import binary_field
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.authenticated_bits import (
    RANDOM_WORDS,
)
from quorate.preprocessing.bit_checks import as_words
from quorate.protocols.authenticated_words import AuthenticatedWords
from quorate.sharing import wire
from quorate.sharing.share import Boolean

__all__ = ["AuthenticatedOutputs"]

Array = npt.NDArray[Any]


class AuthenticatedOutputs(AuthenticatedWords):
    """Outputs of Boolean words."""

    # -- opening -------------------------------------------------------------------------------------------------------

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        yield from self.checked()
        recipients = sorted(set(to))
        if not recipients:
            return None
        flat = [wire.pack(part, x.width).reshape(-1) for part in x.parts]
        if recipients == list(range(self.parties)):
            opened = yield from self._opened(at, flat)
            yield from self.checked()
            return wire.unpack(opened, x.shape, x.width) if self.me in recipients else None
        words = yield from self._shown(at, [as_words(part) for part in flat], recipients)
        if self.me not in recipients:
            return None
        opened = words.view(np.uint8)[: flat[0].nbytes].view(flat[0].dtype)
        return wire.unpack(contiguous(opened), x.shape, x.width)

    def _shown(self, at: Scope, words: Sequence[Array], recipients: list[int]) -> Step[Array]:
        """The words (count,) at the recipients, who know that they are right."""
        mask = yield from self._take(at.child("mask"), RANDOM_WORDS, 1)
        draw, name, told = at.step(), at.step(), at.step()
        zero = self._bit_checks.zero(draw, (words[0].size + 1,), np.uint64)
        mine = contiguous(np.concatenate([words[0], mask[0]]) ^ zero)
        received = yield from self._collected(name, mine, recipients)
        members = sorted({*range(self.parties), *recipients})
        coin = yield from toss(self.session, at.child("coin"), members)
        factors = self.session.tuple_blank(words[0].shape)
        coin.fill(factors)
        sums = [more ^ binary_field.dot(factors, part) for more, part in zip(mask, words, strict=True)]
        total = yield from self._opened(at.child("sum"), sums)
        yield from self.checked()
        yield from self._compared(told, total, received, factors, recipients)
        return received[:-1]

    def _collected(self, name: tuple[int, int], mine: Array, recipients: list[int]) -> Step[Array]:
        """The exclusive or of what all parties send to the recipients; ours at whoever is none. One round."""
        is_party = self.me < self.parties
        sends = {other: [mine] for other in recipients if other != self.me} if is_party else None
        senders = [party for party in range(self.parties) if party != self.me] if self.me in recipients else []
        arriving = {party: [self.session.tuple_blank(mine.shape)] for party in senders}
        yield Exchange(name, sends, arriving)
        parts = [buffers[0] for buffers in arriving.values()]
        if is_party or not parts:
            parts.append(mine)
        total: Array = contiguous(np.bitwise_xor.reduce(parts))
        return total

    def _compared(
        self, name: tuple[int, int], total: Array, received: Array, factors: Array, recipients: list[int]
    ) -> Step[None]:
        """Recipients compare their combination with the one that was checked. One round, for outsiders."""
        outside = [other for other in recipients if other >= self.parties]
        sends = {other: [total] for other in outside} if self.me < self.parties else None
        outsider = self.me in outside
        arriving = {party: [self.session.tuple_blank((1,))] for party in range(self.parties)} if outsider else {}
        yield Exchange(name, sends, arriving)
        if self.session.counting or self.me not in recipients:
            return
        expected = received[-1:] ^ binary_field.dot(factors, contiguous(received[:-1]))
        for value in [buffers[0] for buffers in arriving.values()] if outsider else [total]:
            if value[0] != expected[0]:
                raise IntegrityError(
                    "opened bits are not those that the parties computed: a party cheated, or a message was altered; "
                    "they were not used"
                )
