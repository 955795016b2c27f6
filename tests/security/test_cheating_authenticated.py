"""Parties that cheat with authenticated numbers: honest parties abort, or get what is right, and open nothing else.

Where parties make the products themselves, transfers and linear evaluations come from thin air: their own checks are
tested elsewhere, and here every message belongs to what is made from them.
"""

import numpy as np
import pytest

from quorate.errors import IntegrityError, QuorateError
from quorate.preprocessing import authenticated
from quorate.preprocessing.mac_check import Opened
from quorate.sharing.share import Arithmetic
from quorate.testing.cheating import Cheating
from quorate.testing.thin_air import thin_air
from quorate.testing.world import World

X, Y = np.array([3, -4, 1 << 20]), np.array([7, 9, -11])
CONFIGURATIONS = [("spdz", 2), ("spdz", 3), ("spdz2k", 2), ("spdz2k", 3)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for place, attribute, double in thin_air():
        monkeypatch.setattr(place, attribute, double)
    for kind in authenticated.BATCH:
        monkeypatch.setitem(authenticated.BATCH, kind, 1)


def online(p, at):
    """Inputs from a party and from outside, a product, results for all, for one, and for an outsider."""
    outsider = p.session.participants.index(p.session.participants[-1])
    x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
    y = yield from p.input(at.child("y"), outsider, Y.shape, Y if p.me == outsider else None)
    z = yield from p.mul(at.child("z"), x, y)
    opened = []
    for k, to in enumerate((range(p.parties), [1], [outsider], range(outsider + 1))):
        opened.append((yield from p.reveal(at.child(f"open {k}"), z, to)))
    return opened


def tuples(p, at):
    """Tuples that the parties make, opened: only that they are right counts, since what they are is random."""
    right = []
    for kind in ("products", "squares", "matrix products 1x2x1"):
        held = yield from p.supply.produce(at.child(kind), kind, 2)
        parts = [part.reshape(2, -1) for part in held]
        size = 2 * p.domain.limbs
        found = []
        for start in range(0, len(parts), size):
            share = Arithmetic(p.name, tuple(part.reshape(-1) for part in parts[start : start + size]))
            opened = yield from p.reveal(at.child(f"{kind} {start}"), share, range(p.parties))
            found.append(opened.astype(object).reshape(2, -1))
        modulus = 2**61 - 1 if p.modulus_bits == 61 else 2**64
        left, other, last = found[0], found[-2], found[-1]
        if kind == "squares":
            right.append(bool(((left * left - last) % modulus == 0).all()))
        else:
            right.append(bool((((left * other).sum(axis=1) - last[:, 0]) % modulus == 0).all()))
    return right


def runs(protocol, parties, program):
    if program is online:
        return Cheating(World(protocol, parties, outsiders=1, dealer=True, seed=11), online, corrupt=range(parties))
    return Cheating(World(protocol, parties, dealer=False, seed=11), tuples)


@pytest.mark.parametrize(
    ("protocol", "parties", "program"),
    [*((*configuration, online) for configuration in CONFIGURATIONS), ("spdz", 2, tuples), ("spdz2k", 2, tuples)],
)
def test_some_ways_to_cheat(protocol, parties, program):
    tried = runs(protocol, parties, program)
    if program is tuples:
        assert tried._honest == [[True] * 3] * parties
    for attempt in tried.attempts(every=max(1, 10 * len(tried.messages) // 25)):
        tried.check(attempt)
    assert tried.outcomes["check failed"] or tried.outcomes["other abort"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("program", [online, tuples])
@pytest.mark.parametrize(("protocol", "parties"), CONFIGURATIONS)
def test_every_way_to_cheat(protocol, parties, program):
    tried = runs(protocol, parties, program)
    for attempt in tried.attempts():
        tried.check(attempt)
    assert tried.outcomes["check failed"] or tried.outcomes["other abort"]


def cheated(protocol, cheat, dealer=True):
    """What party 1 gets from a product if party 0's own state is changed by `cheat`(protocol, share)."""

    def program(p, at):
        x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
        if p.me == 0:
            x = cheat(p, x)
        z = yield from p.mul(at.child("z"), x, x)
        return (yield from p.reveal(at.child("open"), z, [1]))

    return World(protocol, 2, dealer=dealer, seed=3).play(program)[1]


@pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])
@pytest.mark.parametrize("limb", ["value", "tag", "replayed"])
def test_an_altered_share_is_found(protocol, limb):
    """A share that is off, a MAC that is off, the share of another value: in every bit that counts."""

    def cheat(p, x):
        parts = [part.copy() for part in x.parts]
        if limb == "replayed":
            parts = [part[::-1].copy() for part in parts]
        else:
            parts[0 if limb == "value" else p.domain.limbs][0] ^= np.uint64(1 << 60)
        return Arithmetic(p.name, tuple(parts))

    assert isinstance(cheated(protocol, cheat), IntegrityError)
    assert np.array_equal(cheated(protocol, lambda p, x: x), X * X)


@pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])
def test_an_error_in_the_top_bit_is_found(protocol):
    """2^63 is the error that is hardest to see in the ring: many runs, none of which accepts it."""
    for seed in range(20):

        def program(p, at):
            x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
            if p.me == 0:
                x = Arithmetic(p.name, (x.parts[0] ^ np.uint64(1 << (p.modulus_bits - 1)), *x.parts[1:]))
            return (yield from p.reveal(at.child("open"), x, [1]))

        assert isinstance(World(protocol, 2, seed=seed).play(program)[1], IntegrityError)


@pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])
def test_a_sender_that_offers_another_number(protocol):
    """All offers of one number off by the same amount: c would be wrong by a times that; the sacrifice finds it."""
    for amount in (1, 1 << 63):

        def program(p, at, amount=amount):
            if p.me == 0:
                offers = p.tuples._products._offers

                def other(*arguments):
                    kept, told = offers(*arguments)
                    told.reshape(len(told), -1)[:, 0] += np.uint64(amount)
                    return kept, told

                p.tuples._products._offers = other
            return (yield from p.supply.produce(at, "products", 4))

        results = World(protocol, 2, dealer=False, seed=5).play(program)
        assert isinstance(results[1], IntegrityError)


@pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])
def test_nothing_is_opened_after_a_failed_check(protocol):
    """What fails was noted before the reveal: no party begins to open."""
    opened = []

    def program(p, at):
        x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
        p.deferred.note(at.child("lie").step(), Opened(p._value(x), p._tag(x)), x.size)  # each takes its part for x
        opening = p.open_checked

        def watched(*arguments, **options):
            opened.append(p.me)
            return opening(*arguments, **options)

        p.open_checked = watched
        return (yield from p.reveal(at.child("open"), x, range(p.parties)))

    results = World(protocol, 2, seed=5).play(program)
    assert all(isinstance(result, IntegrityError) for result in results[:2])
    assert not {0, 1} & set(opened)


def with_outsider(protocol, way, seed, error, place):
    """What an outsider gets if party 1 adds `error` to array `place` of what it sends of a mask: the result, or the
    outcome at a party for the outsider's input; and the last bit of the mask."""
    world, bits = World(protocol, 2, dealer=True, outsiders=1, seed=seed), []
    out = world.size - 1

    def program(p, at):
        real = getattr(p, "_real", p)
        sent = real._sent_outside

        def altered(at, outsider, parts):
            parts = [part.copy() for part in parts]
            parts[place][:1] += np.uint64(error if p.me == 1 else 0)
            total = yield from sent(at, outsider, parts)
            if p.me == out:
                bits.append(int(total[0][0]) & 1)
            return total

        real._sent_outside = altered
        owner = out if way == "input" else 0
        x = yield from p.input(at.child("x"), owner, X.shape, X if p.me == owner else None)
        return (yield from p.reveal(at.child("open"), x, [out] if way == "output" else [0, 1]))

    results = world.play(program)
    return (results[out] if way == "output" or isinstance(results[out], QuorateError) else results[0]), bits[0]


@pytest.mark.parametrize("way", ["input", "output"])
@pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])
def test_a_wrong_mask_for_an_outsider(protocol, way):
    """Whatever is added to a part of it, or of the number that hides the proof, and whatever the mask is."""
    last = 1 << (60 if protocol == "spdz" else 63)
    places = [(0, 1), (0, last), (1, 1), (1, last)] if protocol == "spdz" else [(0, 1), (0, last), (2, 1), (3, last)]
    assert np.array_equal(with_outsider(protocol, way, 0, 0, 0)[0], X)
    for seed in range(6):
        for place, error in places:
            assert isinstance(with_outsider(protocol, way, seed, error, place)[0], IntegrityError)


@pytest.mark.parametrize("way", ["input", "output"])
def test_the_proof_tells_nothing_of_the_mask(way):
    """An error of 2^127, which changes no secret, is seen or not by chance: not by what the mask is."""
    found = set()
    for seed in range(24):
        result, bit = with_outsider("spdz2k", way, seed, 1 << 63, 1)
        failed = isinstance(result, IntegrityError)
        assert failed or np.array_equal(result, X)
        found.add((failed, bit))
    assert len(found) == 4
