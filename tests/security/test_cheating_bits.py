"""Parties that cheat where authenticated bits are made, opened and converted: the honest abort or get what is right.

Transfers and linear evaluations come from thin air here (their own checks are tested elsewhere), so that runs are short
and every message that is altered belongs to what is made from them.
"""

import numpy as np
import pytest

from quorate.errors import IntegrityError, PeerError
from quorate.preprocessing import and_triples, authenticated_bits
from quorate.protocols.authenticated_bits import AuthenticatedBits
from quorate.testing.cheating import Cheating
from quorate.testing.thin_air import thin_air
from quorate.testing.world import World

A, B = np.array([0x0123456789ABCDEF, 2**64 - 1, 5], np.uint64), np.array([0xF0F0F0F0F0F0F0F0, 2**63 + 1, 3], np.uint64)
BITS = np.array([1, 0, 1, 1, 0], np.uint8)


@pytest.fixture(autouse=True)
def from_thin_air(monkeypatch):
    for place, attribute, double in thin_air():
        monkeypatch.setattr(place, attribute, double)
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
    pytest.param("spdz", 3, "numbers", marks=pytest.mark.slow),
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


def ends_of(protocol, parties, program):
    """What becomes of the honest parties, 1 and up, in a run in which party 0 was made to cheat."""
    return World(protocol, parties, dealer=False, seed=11).play(program)[1:]


def alone(p, at):
    """Random bits, opened: nothing but the check of bits and of openings stands against cheaters."""
    bits = yield from p.random_bits(at.child("bits"), (64,))
    return (yield from p.reveal_bits(at.child("open"), bits, range(p.session.parties)))


@pytest.mark.parametrize("program", [alone, ands, numbers])
def test_another_key_towards_one_party(monkeypatch, program):
    """Honest bits are then not authenticated under one key, which must not depend on what they are."""
    make = authenticated_bits.Cot

    def cot(session, sender, receiver, delta=None):
        if session.me == sender == 0 and receiver == 2:
            delta = delta ^ np.array([1 << 13, 0], np.uint64)
        return make(session, sender, receiver, delta)

    monkeypatch.setattr(authenticated_bits, "Cot", cot)
    for end in ends_of("spdz", 3, program):
        assert isinstance(end, PeerError)


@pytest.mark.parametrize("program", [alone, ands])
def test_another_own_key(monkeypatch, program):
    """What a party adds to its own rows is its own affair until something is opened."""
    of = authenticated_bits.BitSource._of

    def altered(source, owner, batches, count):
        found = of(source, owner, batches, count)
        if source.session.me == owner == 0:
            found.rows[:] ^= (found.bits.astype(np.uint64)) << np.uint64(5)
        return found

    monkeypatch.setattr(authenticated_bits.BitSource, "_of", altered)
    for end in ends_of("spdz", 2, program):
        assert isinstance(end, IntegrityError)


@pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])
@pytest.mark.parametrize("wrong", [lambda bit: 1 - bit, lambda bit: bit + np.uint64(2)], ids=["flipped", "no bit"])
@pytest.mark.parametrize("share", [1, 7, 1 << 30], ids=["all", "a seventh", "one"])
def test_a_number_that_is_not_its_bit(monkeypatch, protocol, wrong, share):
    enter = AuthenticatedBits.enter

    def altered(p, at, owner, values):
        if p.me == owner == 0:
            values = values.copy()
            values[::share] = wrong(values[::share])
        return enter(p, at, owner, values)

    monkeypatch.setattr(AuthenticatedBits, "enter", altered)
    for end in ends_of(protocol, 2, numbers):
        assert isinstance(end, IntegrityError)


@pytest.mark.parametrize("many", [12, 200])
def test_many_leaky_ands_at_once(monkeypatch, many):
    """Of so many wrong ands a cheater cannot guess all bits."""
    product = and_triples.AndWords._product

    def altered(maker, at, x, phi):
        if maker.session.me == 0:
            sent = np.zeros_like(phi)
            sent[:many] = 1 << 9
            phi = phi ^ sent
        return product(maker, at, x, phi)

    monkeypatch.setattr(and_triples.AndWords, "_product", altered)
    for end in ends_of("spdz", 2, ands):
        assert isinstance(end, IntegrityError)
