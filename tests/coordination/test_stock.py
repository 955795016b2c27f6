"""Taking tuples along into a session: the parties agree on what all have, and nobody takes anything twice."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from quorate.coordination.stock import orderly, provide, shapes
from quorate.engine.count import count
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.errors import EnvironmentFault, IntegrityError, PeerError, PeerTimeout
from quorate.node.tuples import Group, Shelf
from quorate.protocols.registry import make

GROUP = Group(parties=("a", "b"), protocol="semi2k", threshold=1, security=40)
GENERATION, OTHER = "ab" * 16, "cd" * 16
WHO = ("a", "b", "outsider")
SECRETS = [np.array([5], np.uint64)]


@pytest.fixture
def stores(tmp_path):
    """Two parties with ten products and four words each; what they hold adds up to the position."""
    made = [Shelf(tmp_path / name, name, GROUP, tmp_path / "fence") for name in GROUP.parties]
    for sign, shelf in zip((1, -1), made, strict=True):
        shelf.lease()
        shelf.begin(GENERATION, SECRETS, "first")
        mask = np.arange(10, dtype=np.int64) * 1000 * sign
        part = (mask + (np.arange(10) if sign > 0 else 0)).view(np.uint64)
        shelf.add(GENERATION, "first", "products", 0, [part, part, part], 0.1)
        shelf.add(GENERATION, "first", "AND words", 0, [part[:4]] * 3, 0.1)
    ended(made)
    return made


def taken(stores, needs, intercept=None, session="s", busy=()):
    """What everybody takes along, in order; the stocks of parties in `busy` are in use elsewhere."""
    for party, store in enumerate(stores):
        if store is not None and party not in busy:
            assert store.lease()

    def program(me, store):
        ours = Session(me, 2, WHO)
        return provide(ours, Scope.root(), make("semi2k", ours), store, lambda: needs, session)

    return [p.result for p in simulate([program(me, s) for me, s in enumerate([*stores, None])], intercept)]


def ended(stores):
    """As after a session that ended in order."""
    for store in stores:
        store.put_back()
        store.release()


def positions(provisions, kind):
    a, b = (provision.tuples[kind][0] for provision in provisions[:2])
    return (a + b).tolist()


def test_everybody_takes_the_same(stores):
    found = taken(stores, {"products": 3, "AND words": 2})
    assert positions(found, "products") == [0, 1, 2]
    assert positions(found, "AND words") == [0, 1]
    assert [p.generation for p in found] == [GENERATION] * 3
    assert [p.secrets[0].tolist() for p in found[:2]] == [[5], [5]]
    ghosts = found[2].tuples["products"]
    assert [(g.shape, g.dtype) for g in ghosts] == [(p.shape, p.dtype) for p in found[0].tuples["products"]]
    ended(stores)
    assert positions(taken(stores, {"products": 3}), "products") == [3, 4, 5]


def test_no_more_is_taken_than_there_is(stores):
    found = taken(stores, {"products": 30, "squares": 1})
    assert positions(found, "products") == list(range(10))
    assert found[0].tuples.keys() == {"products"}
    ended(stores)
    again = taken(stores, {"products": 1})
    assert [p.generation for p in again] == ["", "", ""]


def test_the_highest_mark_wins(stores):
    stores[1].claim(GENERATION, "another", {"products": (0, 4)})
    assert positions(taken(stores, {"products": 2}), "products") == [4, 5]
    assert [shelf.ledger().gone["products"] for shelf in stores] == [6, 6]


@pytest.mark.parametrize("missing", [0, 1])
def test_what_one_party_does_not_have_is_of_no_use_to_the_other(stores, missing, caplog):
    mine = [None if index == missing else shelf for index, shelf in enumerate(stores)]
    assert [p.generation for p in taken(mine, {"products": 2})] == ["", "", ""]
    assert [shelf.ledger().left("products") for shelf in stores] == [10 if missing == k else 0 for k in range(2)]
    assert "or none" in caplog.text


@pytest.mark.parametrize("busy", [(0,), (1,), (0, 1)])
def test_a_stock_in_use_elsewhere_is_not_used_and_not_destroyed(stores, busy):
    assert [p.generation for p in taken(stores, {"products": 2}, busy=busy)] == ["", "", ""]
    assert [shelf.ledger().left("products") for shelf in stores] == [10, 10]
    assert not any(shelf.leased for shelf in stores)


def test_the_lease_lasts_as_long_as_secrets_are_in_use(stores):
    taken(stores, {"products": 2})
    assert [(shelf.leased, shelf.in_use) for shelf in stores] == [(True, True)] * 2
    ended(stores)
    taken(stores, {"squares": 2})
    assert [(shelf.leased, shelf.in_use) for shelf in stores] == [(False, False)] * 2
    assert [shelf.ledger().left("products") for shelf in stores] == [8, 8]


@pytest.mark.parametrize("problem", [PeerError("b closed the connection"), KeyboardInterrupt(), OSError("disk")])
def test_whatever_ends_a_session_with_secrets_in_use_destroys_the_generation(stores, problem):
    taken(stores, {"products": 2})
    with pytest.raises(type(problem)), orderly(stores[0]):
        raise problem
    assert not stores[0].in_use
    assert stores[0].ledger().generation == ""
    assert list(stores[0].folder.glob("*.chunk")) == []


def test_an_orderly_end_keeps_the_generation(stores):
    with orderly(stores[0]), orderly(stores[1]):
        taken(stores, {"products": 2})
    for store in stores:
        store.release()
        assert (store.ledger().generation, store.ledger().in_use) == (GENERATION, "")
    with orderly(None):
        pass


def test_an_error_before_secrets_are_handed_out_keeps_the_generation(stores):
    def hang_up(sender, peer, name, body):
        return None if sender == 1 and name[1] == 2 else body

    with pytest.raises(PeerTimeout), orderly(stores[0]), orderly(stores[1]):
        taken(stores, {"products": 2}, hang_up)
    ended(stores)
    assert [store.ledger().left("products") for store in stores] == [10, 10]


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_what_cannot_be_written_at_the_end_is_destroyed_later(stores, monkeypatch, outcome, caplog):
    def refuse(*_):
        raise EnvironmentFault("the disk is full")

    with monkeypatch.context() as patched, contextlib.suppress(PeerError), orderly(stores[0]):
        taken(stores, {"products": 2})
        patched.setattr(Shelf, "_save", refuse)
        patched.setattr(Shelf, "_destroy", refuse)
        if outcome == "failure":
            raise PeerError("b closed the connection")
    assert "the disk is full" in caplog.text
    assert stores[0].in_use
    stores[0].release()
    assert stores[0].ledger().generation == ""


def test_other_generations_make_a_stock_useless(stores, caplog):
    stores[1].begin(OTHER, [], "first")
    assert [p.generation for p in taken(stores, {"products": 2})] == ["", "", ""]
    assert [shelf.ledger().generation for shelf in stores] == ["", ""]
    assert "another generation" in caplog.text


def test_sessions_are_in_the_journal(stores):
    taken(stores, {"products": 2}, session="s1")
    ended(stores)
    taken(stores, {"products": 1}, session="s2")
    spent = [(e.session, e.start, e.stop) for e in stores[0].journal.events() if e.what == "spent"]
    assert spent == [("s1", 0, 2), ("s2", 2, 3)]


def changed(round_, receiver, edit):
    """Lets party 1 tell `receiver` something else in a round."""

    def intercept(sender, peer, name, body):
        if (sender, peer, name[1]) == (1, receiver, round_):
            content = np.frombuffer(body, np.int64).copy()
            edit(content)
            return content.tobytes()
        return body

    return intercept


def test_a_party_that_says_different_things_is_noticed_before_anything_is_claimed(stores):
    def raise_mark(content):
        content[:2] += 1

    with pytest.raises(IntegrityError, match="what is in stock"):
        taken(stores, {"products": 2}, changed(2, 0, raise_mark))
    assert [shelf.ledger().left("products") for shelf in stores] == [10, 10]


@pytest.mark.parametrize("edit", [lambda c: c.__setitem__(0, -1), lambda c: c.__setitem__(1, 1 << 50)])
def test_impossible_stocks_are_refused(stores, edit):
    with pytest.raises((PeerError, IntegrityError)):
        taken(stores, {"products": 2}, changed(2, 0, edit))
    assert stores[0].ledger().left("products") == 10


def test_counted_is_measured_without_a_stock():
    def program(session):
        return provide(session, Scope.root(), make("semi2k", session), None, lambda: {"products": 2}, "s")

    measured = simulate([program(Session(me, 2, WHO)) for me in range(3)])
    for me, party in enumerate(measured):
        counted = count(program(Session(me, 2, WHO, counting=True)))
        assert (counted.rounds, counted.sent) == (party.rounds, party.sent)
        assert party.rounds == 1
    assert measured[0].sent == {1: 16, 2: 16}


def test_shapes_are_those_of_production():
    session = Session(2, 2, WHO)
    made = shapes(make("semi2k", session), "bit conversions", 7)
    assert [(part.shape, str(part.dtype)) for part in made] == [((7,), "uint8"), ((7,), "uint64")]
