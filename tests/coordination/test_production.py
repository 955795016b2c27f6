"""Making tuples for stocks: equal positions at all parties, under the generation's secrets, nothing after a cheat."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.coordination.production import Production, production_program
from quorate.coordination.stock import keyed, orderly, provide
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.errors import AgreementError, IntegrityError, PeerTimeout
from quorate.node.tuples import Group, Shelf
from quorate.protocols import registry
from quorate.protocols.semi2k import Semi2k

PARTIES = ("a", "b")
BATCHES = (("AND words", 8), ("bit conversions", 4), ("AND words", 8))


class Keyed(Semi2k):
    """Stands for protocols with MAC keys: tuples are checked, under secrets that outlive a session."""

    cheated = False

    def __init__(self, session, threshold):
        super().__init__(session, threshold)
        self.name = "keyed"

    def setup(self, at):
        yield from super().setup(at)
        fresh = (self.session.private(at, "key").array(2, np.uint64),)
        self.secrets = self.session.stock_keys or fresh

    def stock_keys(self):
        return list(self.secrets)

    def checked(self):
        yield from ()
        if self.cheated:
            raise IntegrityError("tuples: a check failed")


@pytest.fixture(autouse=True)
def with_keyed(monkeypatch):
    real = registry.protocol_class
    monkeypatch.setattr(registry, "protocol_class", lambda name: Keyed if name == "keyed" else real(name))
    monkeypatch.setattr("quorate.coordination.stock.protocol_class", registry.protocol_class)


@pytest.fixture
def stores(tmp_path):
    group = Group(parties=PARTIES, protocol="keyed", threshold=1, security=40)
    return [Shelf(tmp_path / name, name, group, tmp_path / "fence") for name in PARTIES]


def made(stores, session, changes=None, intercept=None, **more):
    """Run a production session; what each party stored."""
    jobs = []
    for me, store in enumerate(stores):
        facts = {"batches": BATCHES, **more, **((changes or {}).get(me, {}))}
        jobs.append(Production(session, PARTIES, store.group.protocol, 1, 40, me=me, store=store, **facts))
    for store in stores:
        assert store.lease()
    try:
        with orderly(stores[0]), orderly(stores[1]):
            steps = [production_program(job, job.engine_session(), Scope.root()) for job in jobs]
            return [party.result for party in simulate(steps, intercept)]
    finally:
        for store in stores:
            store.release()


def words(stores, count):
    """Take that many and-words along, at both parties, in a session that goes on."""
    for store in stores:
        assert store.lease()

    def program(me, store):
        session = Session(me, 2, PARTIES)
        return provide(session, Scope.root(), registry.make("keyed", session), store, lambda: {"AND words": count}, "s")

    return [party.result for party in simulate([program(me, store) for me, store in enumerate(stores)])]


def test_what_is_stored_is_right_and_the_same_positions(stores):
    assert made(stores, "first") == [{"AND words": 16, "bit conversions": 4}] * 2
    one, two = words(stores, 10)
    a, b, c = (x ^ y for x, y in zip(one.tuples["AND words"], two.tuples["AND words"], strict=True))
    assert a.size == 10
    np.testing.assert_array_equal(a & b, c)
    assert len(set(a.tolist())) == 10


def test_later_sessions_go_on_under_the_same_secrets(stores):
    made(stores, "first")
    generation = stores[0].ledger().generation
    secrets = [provision.secrets[0].tolist() for provision in words(stores, 1)]
    for store in stores:
        store.put_back()
        store.release()
    made(stores, "second")
    assert [store.ledger().generation for store in stores] == [generation] * 2
    assert [store.ledger().chunks["AND words"] for store in stores] == [((0, 8), (8, 16), (16, 24), (24, 32))] * 2
    taken = words(stores, 1)
    assert [provision.secrets[0].tolist() for provision in taken] == secrets
    assert secrets[0] != secrets[1]


def test_a_generation_that_not_all_have_is_replaced(stores):
    made(stores, "first")
    before = stores[0].ledger().generation
    stores[1].destroy("for the test")
    made(stores, "second")
    assert stores[0].ledger().generation == stores[1].ledger().generation != before
    assert [store.ledger().left("AND words") for store in stores] == [16, 16]


def test_new_tuples_get_positions_that_nobody_ever_used(stores):
    made(stores, "first")
    generation = stores[0].ledger().generation
    stores[1].claim(generation, "s", {"AND words": (40, 40)})
    made(stores, "second")
    assert stores[0].ledger().chunks["AND words"] == ((0, 8), (8, 16), (40, 48), (48, 56))
    assert stores[1].ledger().chunks["AND words"] == ((40, 48), (48, 56))


def test_nothing_is_stored_and_the_generation_destroyed_after_a_cheat(stores, monkeypatch):
    made(stores, "first")
    monkeypatch.setattr(Keyed, "cheated", True)
    with pytest.raises(IntegrityError):
        made(stores, "second")
    assert stores[0].ledger().generation == ""
    assert not list(stores[0].folder.glob("*.sealed"))
    assert not list(stores[0].folder.glob("*.chunk"))


def hang_up(after):
    """Party 1 is silent after that many messages."""
    said = []

    def intercept(sender, peer, name, body):
        said.append(sender)
        return None if sender == 1 and said.count(1) > after else body

    return intercept


def test_hanging_up_anywhere_once_secrets_are_in_use_ends_the_generation(stores):
    said = []
    made(stores, "first", intercept=lambda *message: said.append(message) or message[3])
    total, gone = sum(sender == 1 for sender, *_ in said), []
    for after in range(total):
        with pytest.raises(PeerTimeout):
            made(stores, "another", intercept=hang_up(after))
        gone.append(stores[0].ledger().generation == "")
        if gone[-1]:
            made(stores, "afresh")
    first = gone.index(True)
    assert all(gone[first:])
    assert 1 < first < total - 4  # what parties agree on before is harmless


def test_without_secrets_hanging_up_keeps_what_was_stored(tmp_path):
    group = Group(parties=PARTIES, protocol="semi2k", threshold=1, security=40)
    plain = [Shelf(tmp_path / name, name, group, tmp_path / "fence") for name in PARTIES]
    said = []
    made(plain, "first", intercept=lambda *message: said.append(message) or message[3])
    with pytest.raises(PeerTimeout):
        made(plain, "second", intercept=hang_up(sum(sender == 1 for sender, *_ in said) - 1))
    assert len({store.ledger().generation for store in plain} - {""}) == 1
    assert [store.ledger().left("bit conversions") for store in plain] == [4, 4]


def test_any_party_can_end_production_after_a_batch(stores):
    asked = []
    goes_on = {1: {"goes_on": lambda: asked.append(0) or len(asked) < 2}}
    assert made(stores, "first", goes_on) == [{"AND words": 8, "bit conversions": 0}] * 2


def test_progress_is_told(stores):
    told = []
    made(stores, "first", {0: {"progress": lambda *said: told.append(said)}})
    assert told == [(8, 20), (12, 20), (20, 20)]


@pytest.mark.parametrize("other", [{"batches": BATCHES[:1]}, {"certificates": {"a": "sha256:00"}}])
def test_parties_make_what_all_were_asked_for(stores, other):
    with pytest.raises(AgreementError):
        made(stores, "first", {1: other})
    assert not stores[0].exists()


def test_protocols_with_secrets_are_told_apart():
    assert (keyed("keyed"), keyed("semi2k")) == (True, False)
