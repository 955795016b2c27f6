"""Parties that cheat where authenticated bits are made, opened and converted: the honest abort or get what is right.

Transfers and linear evaluations come from thin air here (their own checks are tested elsewhere), so that runs are short
and every message that is altered belongs to what is made from them.
"""

from typing import ClassVar

import numpy as np
import pytest

from quorate.engine.exchange import Exchange
from quorate.kernels.ghost import ghost
from quorate.preprocessing import authenticated_bits, authenticated_values, bit_products
from quorate.preprocessing.cot import CotBatch
from quorate.preprocessing.vole import VoleBatch
from quorate.sharing.domain import FIELD, RING
from quorate.testing.cheating import Cheating
from quorate.testing.world import World

A, B = np.array([0x0123456789ABCDEF, 2**64 - 1, 5], np.uint64), np.array([0xF0F0F0F0F0F0F0F0, 2**63 + 1, 3], np.uint64)
BITS = np.array([1, 0, 1, 1, 0], np.uint8)
EVERYBODY = (0, 1, 2)


class Dealt:
    """One end of a pair: the keys of senders are known to both, and numbers come from the pair and a count."""

    keys: ClassVar[dict] = {}

    def __init__(self, session, sender, receiver, delta=None, **_):
        self.pair, self.uses = (sender, receiver), 0
        self.sends = session.me == sender and not session.counting
        self.receives = session.me == receiver and not session.counting
        if self.sends:
            drawn = np.frombuffer(session.entropy.bytes(16), np.uint64)
            self.keys[type(self), *self.pair] = drawn if delta is None else np.array(delta, np.uint64)

    @property
    def delta(self):
        return self.keys[type(self), *self.pair] if self.sends else ghost((2,), np.uint64)

    def setup(self, at):
        """The receiver waits until the sender is there."""
        sender, receiver = self.pair
        here = [np.zeros(1, np.uint8)]
        yield Exchange(at.step(), {receiver: here} if self.sends else None, {sender: here} if self.receives else None)

    def words(self, *shape):
        self.uses += 1
        return np.random.default_rng([*self.pair, self.uses]).integers(0, 2**64, shape, np.uint64)


class DealtCot(Dealt):
    def extend(self, at, count):
        yield Exchange(at.step())
        words = self.words(count, 3)
        q, bits = words[:, :2].copy(), (words[:, 2] & np.uint64(1)).astype(np.uint8)
        nothing, no_bits = ghost((count, 2), np.uint64), ghost((count,), np.uint8)
        if self.sends:
            return CotBatch(q, no_bits, nothing)
        if not self.receives:
            return CotBatch(nothing, no_bits, nothing)
        chosen = np.uint64(0) - bits.astype(np.uint64)
        return CotBatch(nothing, bits, q ^ (chosen[:, None] & self.keys[type(self), *self.pair]))


class DealtVole(Dealt):
    domain = FIELD

    def extend(self, at, count):
        yield Exchange(at.step())
        words = self.words(2 * self.domain.limbs, count)
        k, u = (self.domain.uniform(tuple(words[side::2])) for side in range(2))
        nothing = ghost(self._array(k).shape, np.uint64)
        if self.sends:
            return VoleBatch(self._array(k), nothing, nothing)
        if not self.receives:
            return VoleBatch(nothing, nothing, nothing)
        delta = self.domain.from_words(np.array(self.keys[type(self), *self.pair], np.uint64).reshape(1))
        m = self.domain.add(k, self.domain.mul(u, tuple(np.repeat(limb, count) for limb in delta)))
        return VoleBatch(nothing, self._array(u), self._array(m))

    def _array(self, x):
        return x[0] if self.domain.limbs == 1 else np.stack(x, axis=1)


class DealtRingVole(DealtVole):
    domain = RING


@pytest.fixture(autouse=True)
def thin_air(monkeypatch):
    monkeypatch.setattr(authenticated_bits, "Cot", DealtCot)
    monkeypatch.setattr(bit_products, "Cot", DealtCot)
    monkeypatch.setattr(authenticated_values, "FieldVole", DealtVole)
    monkeypatch.setattr(authenticated_values, "RingVole", DealtRingVole)
    for kind in authenticated_bits.BIT_BATCH:
        monkeypatch.setitem(authenticated_bits.BIT_BATCH, kind, 1)


def ands(p, at):
    """Opened to all, to one, and to an outsider."""
    outsider = p.session.parties
    x, y = p.public_bits(A, 64), p.public_bits(B, 64)
    z = yield from p.and_(at.child("and"), x, y)
    z = p.xor(z, (yield from p.and_(at.child("again"), z, x)))
    opened = []
    for k, to in enumerate((range(outsider), [0], [0, outsider])):
        opened.append((yield from p.reveal_bits(at.child(f"open {k}"), z, to)))
    return opened


def numbers(p, at):
    """Secret bits as numbers: private bits, and products of them."""
    mask = yield from p.random_bits(at.child("mask"), BITS.shape)
    masked = p.xor_public(mask, BITS)
    both = []
    for k, bits in enumerate((mask, masked)):
        both.append((yield from p.to_arithmetic(at.child(f"numbers {k}"), bits)))
    # b + b' is 1 where they differ
    return (yield from p.reveal(at.child("open"), p.add(*both), range(p.session.parties)))[BITS == 1]


def halves(p, at):
    """A value that is split into words."""
    x = p.public(np.array([5, -3]))
    words = yield from p.summands(at.child("words"), x)
    opened = []
    for k, word in enumerate(words):
        opened.append((yield from p.reveal_bits(at.child(f"open {k}"), word, range(p.session.parties))))
    if opened[0] is None:
        return None
    modulus = 2**64 if p.modulus_bits == 64 else 2**61 - 1
    return [int(sum(int(word[k]) for word in opened)) % modulus for k in range(2)]


PROGRAMS = {"ands": ands, "numbers": numbers, "halves": halves}
CASES = [
    ("spdz", 2, "ands"),
    ("spdz", 3, "ands"),
    ("spdz2k", 2, "numbers"),
    ("spdz", 3, "numbers"),
    ("spdz2k", 2, "halves"),
]


def runs(protocol, parties, program):
    outsiders = 1 if program == "ands" else 0
    world = World(protocol, parties, outsiders=outsiders, dealer=False, seed=11)
    return Cheating(world, PROGRAMS[program], corrupt=range(parties))


@pytest.mark.parametrize(("protocol", "parties", "program"), CASES)
def test_some_ways_to_cheat(protocol, parties, program):
    tried = runs(protocol, parties, program)
    for attempt in tried.attempts(every=max(1, 2 * len(tried.messages) // 5)):
        tried.check(attempt)
    assert tried.outcomes


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "parties", "program"), CASES)
def test_every_way_to_cheat(protocol, parties, program):
    tried = runs(protocol, parties, program)
    for attempt in tried.attempts():
        tried.check(attempt)
    assert tried.outcomes
