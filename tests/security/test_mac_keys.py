"""Parties that use another share of a MAC key in one link, or another than the tuples in stock were made under.

Tags would be off by what an honest party put in, times a number that the cheater chose: a check that passed would say
that a guess at it was right. So the session has to end before anything depends on an input, whatever is guessed.
"""

from typing import Any

import numpy as np
import pytest

from quorate.coordination.production import Production, production_program
from quorate.coordination.stock import orderly
from quorate.engine.names import Scope
from quorate.engine.simulate import simulate
from quorate.errors import IntegrityError, UserError
from quorate.node.tuples import Group, Shelf
from quorate.preprocessing import authenticated, authenticated_bits, authenticated_values
from quorate.preprocessing.mac_check import Said
from quorate.protocols.authenticated_local import AuthenticatedLocal
from quorate.testing.thin_air import _Thin, thin_air
from quorate.testing.world import World

CHEAT = 1
BETS = [(x, guess) for x in (0, 1) for guess in (0, 1)]
protocols = pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for place, attribute, double in thin_air():
        monkeypatch.setattr(place, attribute, double)
    for kind in authenticated.BATCH:
        monkeypatch.setitem(authenticated.BATCH, kind, 1)


@pytest.fixture
def untested(monkeypatch):
    """Without the test of keys, to see what it is good for."""

    def nothing(p, at):
        yield from ()

    monkeypatch.setattr(AuthenticatedLocal, "_test_keys", nothing)


class Kept(World):
    """Every party goes on with the keys that it has `kept`; the cheater changes some of its own."""

    kept: Any = ()
    changes = ()

    def _root(self, me, *, counting):
        session = super()._root(me, counting=counting)
        session.stock_keys = tuple(key.copy() for key in self.kept[me])
        for which, change in self.changes if me == CHEAT else ():
            session.stock_keys[which][0] ^= np.uint64(change)
        return session


def stocked(protocol, parties, changes=()):
    """A world that goes on with keys of an earlier one, and the products that this one made."""

    def produce(p, at):
        yield from p.witness(at.child("witness"))
        return p.stock_keys(), (yield from p.supply.produce(at, "products", 1))

    made = World(protocol, parties, dealer=False, seed=21).run(produce).values
    world = Kept(protocol, parties, dealer=False, seed=22)
    world.kept, world.changes = [keys for keys, _ in made], changes
    return world, [tuples for _, tuples in made]


def other_key(monkeypatch, error, towards):
    """The cheater adds this to its key in the links with these parties."""
    for name in ("FieldVole", "RingVole"):
        kind = getattr(authenticated_values, name)

        def made(session, sender, receiver, delta, kind=kind):
            wrong = sender == CHEAT and receiver in towards and delta is not None
            return kind(session, sender, receiver, (delta + error) % 2**64 if wrong else delta)

        monkeypatch.setattr(authenticated_values, name, made)


def bet(world, error, x, guess, tuples=None):
    """How it ends for party 0, whose input is x, when the cheater corrects its tag for an input `guess`; and whether
    anything was computed before."""
    started = []

    def program(p, at):
        started.append(p.me)
        last = p.parties - 1
        if tuples is not None:
            p.supply.stock.put("products", [part.copy() for part in tuples[p.me]])
        a = yield from p.input(at.child("x"), 0, (1,), np.array([x]) if p.me == 0 else None)
        if p.me == CHEAT:
            (said,) = [note.value for note in p.deferred._notes.values() if isinstance(note, Said)]
            mask = p.domain.sub(p.domain.encode(np.array([guess])), said)
            change = p.domain.mul(mask, p.domain.from_words(np.array(error, np.uint64)))
            a = p._share([*p._value(a), *p.domain.sub(p._tag(a), change)])
        b = yield from p.input(at.child("y"), last, (1,), np.array([0]) if p.me == last else None)
        z = p.add(a, b) if tuples is None else (yield from p.mul(at.child("z"), a, b))
        return (yield from p.reveal(at.child("z to all"), z, range(p.parties))).tolist()

    ends = world.play(program)
    return ends[0] if not isinstance(ends[0], Exception) else type(ends[0]), bool(started)


def test_the_attack_tells_an_input_if_links_are_not_tested(monkeypatch, untested):
    other_key(monkeypatch, 1, [0])
    ends = [bet(World("spdz", 3, 2, dealer=False, seed=3), 1, *each) for each in BETS]
    assert ends == [([x], True) if x == guess else (IntegrityError, True) for x, guess in BETS]


@protocols
@pytest.mark.parametrize("error", [1, 1 << 60])
@pytest.mark.parametrize("towards", [0, 2])
def test_another_key_in_one_link(protocol, error, towards, monkeypatch):
    other_key(monkeypatch, error, [towards])
    ends = {bet(World(protocol, 3, 2, dealer=False, seed=3), error, *each) for each in BETS}
    assert ends == {(IntegrityError, False)}


def test_the_attack_tells_an_input_if_kept_keys_are_not_tested(monkeypatch, untested):
    world, tuples = stocked("spdz", 2)
    other_key(monkeypatch, 1, [0])
    ends = [bet(world, 1, *each, tuples) for each in BETS]
    assert ends == [([0], True) if x == guess else (IntegrityError, True) for x, guess in BETS]


@protocols
@pytest.mark.parametrize("parties", [2, 3])
def test_another_key_than_that_of_the_stock(protocol, parties, monkeypatch):
    world, tuples = stocked(protocol, parties)
    other_key(monkeypatch, 1, range(parties))
    assert {bet(world, 1, *each, tuples) for each in BETS} == {(IntegrityError, False)}


@protocols
@pytest.mark.parametrize(
    ("which", "change"),
    [(0, 1), (0, 1 << 59), (1, 2), (1, 1 << 43), (2, 1), (3, 1)],
    ids=["number key", "number key, top", "word key", "word key, top", "number", "word"],
)
def test_nothing_kept_can_be_changed(protocol, which, change):
    world, _ = stocked(protocol, 2, [(which, change)])
    assert bet(world, 0, 1, 1) == (IntegrityError, False)


@protocols
def test_another_word_key_in_one_link(protocol, monkeypatch):
    """Found by the check of the words themselves, before anything is opened."""
    kind = authenticated_bits.Cot

    def made(session, sender, receiver, key=None):
        wrong = key is not None and (sender, receiver) == (CHEAT, 0)
        return kind(session, sender, receiver, key ^ np.array([2, 0], np.uint64) if wrong else key)

    monkeypatch.setattr(authenticated_bits, "Cot", made)

    def program(p, at):
        words = yield from p.random_bits(at.child("words"), (64,))
        return (yield from p.reveal_bits(at.child("open"), words, range(3)))

    ends = World(protocol, 3, 2, dealer=False, seed=4).play(program)
    assert [isinstance(end, IntegrityError) for end in ends] == [True] * 3


@protocols
def test_honest_parties_go_on_with_what_is_kept(protocol):
    world, tuples = stocked(protocol, 3)
    assert [bet(world, 0, x, 0, tuples) for x in (0, 1)] == [([0], True)] * 2


@protocols
def test_a_witness_is_never_opened_by_itself(protocol, monkeypatch):
    """What is opened of it in two sessions has nothing in common."""
    shown, real = [], AuthenticatedLocal._open_parts

    def watched(p, mask, name, mine):
        opened = yield from real(p, mask, name, mine)
        if p.me == 0:
            shown.append(opened[0][0].tolist())
        return opened

    monkeypatch.setattr(AuthenticatedLocal, "_open_parts", watched)
    world, _ = stocked(protocol, 2)
    secret = sum(int(keys[2][0, 0]) for keys in world.kept) % (2**61 - 1 if protocol == "spdz" else 2**64)
    other, drawn = [0], _Thin._drawn

    def fresh(self, *shape):
        self.uses += other[0]
        return drawn(self, *shape)

    monkeypatch.setattr(_Thin, "_drawn", fresh)
    for other[0] in (1000, 2000):
        world.run(lambda p, at: iter(()))
    assert len({secret, *(value for (value,) in shown)}) == 3


@protocols
def test_keys_without_a_witness_are_refused(protocol):
    world, _ = stocked(protocol, 2)
    world.kept = [keys[:2] for keys in world.kept]
    with pytest.raises(UserError, match="cannot be tested"):
        world.run(lambda p, at: iter(()))


@protocols
def test_production_goes_on_under_the_same_keys_only(protocol, tmp_path, monkeypatch):
    """Else tuples of one generation would be under different keys, which nobody would see in a session."""
    group = Group(parties=("a", "b"), protocol=protocol, threshold=1, security=40)
    stores = [Shelf(tmp_path / name, name, group, tmp_path / "fence") for name in group.parties]
    assert all(store.lease() for store in stores)

    def produced(session):
        facts = (session, group.parties, protocol, 1, 40, [("products", 2)])
        jobs = [Production(*facts, me, store) for me, store in enumerate(stores)]
        with orderly(stores[0]), orderly(stores[1]):
            simulate([production_program(job, job.engine_session(), Scope.root()) for job in jobs])
        return [store.ledger().left("products") for store in stores]

    assert [produced("first"), produced("second")] == [[2, 2], [4, 4]]
    secrets = stores[CHEAT].secrets

    def other(generation, session):
        alpha, *rest = secrets(generation, session)
        return (alpha ^ np.uint64(1), *rest)

    monkeypatch.setattr(stores[CHEAT], "secrets", other)
    with pytest.raises(IntegrityError):
        produced("third")
    assert [store.ledger().generation for store in stores] == ["", ""]
