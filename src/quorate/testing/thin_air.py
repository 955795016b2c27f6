"""Oblivious transfers and linear evaluations from thin air: for tests of what is made of them, also by cheaters.

    patches = thin_air()
    for place, attribute, double in patches:
        monkeypatch.setattr(place, attribute, double)

All participants must run in one process. Nothing is checked and nothing secret here, but every step has a message or a
round, as the real ones have.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from quorate.crypto.entropy import SeededEntropyForTests
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels.ghost import ghost
from quorate.preprocessing import authenticated_bits, authenticated_values, bit_products
from quorate.preprocessing.cot import CotBatch
from quorate.preprocessing.vole import VoleBatch
from quorate.sharing.domain import FIELD, RING, Domain, Element

__all__ = ["ThinCot", "ThinFieldVole", "ThinRingVole", "thin_air"]

Array = npt.NDArray[Any]


def thin_air() -> list[tuple[ModuleType, str, type]]:
    """(module, attribute, double) for authenticated numbers and bits."""
    return [
        (authenticated_bits, "Cot", ThinCot),
        (bit_products, "Cot", ThinCot),
        (authenticated_values, "FieldVole", ThinFieldVole),
        (authenticated_values, "RingVole", ThinRingVole),
    ]


class _Thin:
    """One end of a pair: secrets of senders are kept here; numbers come from the pair and how often it was asked."""

    secrets: ClassVar[dict[Any, Array]] = {}
    words: ClassVar[int]

    def __init__(self, session: Session, sender: int, receiver: int, delta: Any = None, **_: Any) -> None:
        self.pair, self.uses = (sender, receiver), 0
        self.sends = session.me == sender and not session.counting
        self.receives = session.me == receiver and not session.counting
        self.session = session
        if self.sends and delta is not None:
            self.secrets[type(self), *self.pair] = np.array(delta, np.uint64).reshape(-1)
        elif self.sends:
            self.secrets.pop((type(self), *self.pair), None)

    @property
    def delta(self) -> Array:
        """The sender's secret."""
        return self.secrets[type(self), *self.pair] if self.sends else ghost((self.words,), np.uint64)

    def setup(self, at: Scope) -> Step[None]:
        """The receiver waits until the sender is there."""
        sender, receiver = self.pair
        if self.sends:
            drawn = self.session.private(at, "delta").array(self.words, np.uint64)
            self.secrets.setdefault((type(self), *self.pair), drawn)
        here = [np.zeros(1, np.uint8)]
        yield Exchange(at.step(), {receiver: here} if self.sends else None, {sender: here} if self.receives else None)

    def _drawn(self, *shape: int) -> Array:
        self.uses += 1
        entropy = SeededEntropyForTests(self.uses, f"{type(self).__name__} {self.pair}")
        return np.frombuffer(entropy.bytes(8 * int(np.prod(shape))), np.uint64).reshape(shape)


class ThinCot(_Thin):
    """Stands in for `quorate.preprocessing.cot.Cot`."""

    words: ClassVar[int] = 2

    def extend(self, at: Scope, count: int) -> Step[CotBatch]:
        """One round, in which nothing travels."""
        yield Exchange(at.step())
        words = self._drawn(count, 3)
        q, bits = words[:, :2].copy(), (words[:, 2] & np.uint64(1)).astype(np.uint8)
        nothing, no_bits = ghost((count, 2), np.uint64), ghost((count,), np.uint8)
        if not self.receives:
            return CotBatch(q if self.sends else nothing, no_bits, nothing)
        chosen = np.uint64(0) - bits.astype(np.uint64)
        return CotBatch(nothing, bits, q ^ (chosen[:, None] & self.secrets[type(self), *self.pair]))


class ThinFieldVole(_Thin):
    """Stands in for `quorate.preprocessing.vole.FieldVole`."""

    words: ClassVar[int] = 1
    domain: ClassVar[Domain] = FIELD

    def extend(self, at: Scope, count: int) -> Step[VoleBatch]:
        """One round, in which nothing travels."""
        yield Exchange(at.step())
        limbs = self.domain.limbs
        words = self._drawn(2 * limbs, count)
        k, u = (self.domain.uniform(tuple(words[side * limbs : (side + 1) * limbs].copy())) for side in range(2))
        nothing = ghost(self._array(k).shape, np.uint64)
        if not self.receives:
            return VoleBatch(self._array(k) if self.sends else nothing, nothing, nothing)
        delta = self.domain.from_words(self.secrets[type(self), *self.pair].reshape(()))
        m = self.domain.add(k, self.domain.mul(u, delta))
        return VoleBatch(nothing, self._array(u), self._array(m))

    def _array(self, x: Element) -> Array:
        return x[0] if self.domain.limbs == 1 else np.stack(x, axis=1)


class ThinRingVole(ThinFieldVole):
    """Stands in for `quorate.preprocessing.vole.RingVole`."""

    domain: ClassVar[Domain] = RING
