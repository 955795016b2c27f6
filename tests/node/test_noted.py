"""Stocks of tuples in lasting sessions: taken once, and again from the journal, whenever the process is killed."""

from __future__ import annotations

import numpy as np
import pytest
from tests.durable import world as durable_world
from tests.durable.world import World

from quorate.coordination.production import Production, production_program
from quorate.coordination.stock import orderly, provide
from quorate.durable.core import Core
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.errors import EnvironmentFault, IntegrityError, InternalError
from quorate.node.noted import NotedStore
from quorate.node.place import Place
from quorate.node.tuples import Group, Shelf
from quorate.preprocessing.ledger import Holding
from quorate.protocols.registry import make

PARTIES = ("party0", "party1")
SESSION = durable_world.SESSION
KINDS = {"semi2k": {"products": 100}, "spdz2k": {"products": 40}}
NEEDS = {"semi2k": 15, "spdz2k": 5}


class Site:
    """Shelves of two parties, full of real tuples."""

    def __init__(self, folder, protocol):
        self.folder, self.protocol = folder, protocol
        group = Group(parties=PARTIES, protocol=protocol, threshold=1, security=40)
        self.make = lambda name: Shelf(folder / name, name, group, folder / "fence")
        shelves = [self.make(name) for name in PARTIES]
        jobs = [
            Production("5" * 32, PARTIES, protocol, 1, 40, me=me, store=shelf, batches=list(KINDS[protocol].items()))
            for me, shelf in enumerate(shelves)
        ]
        assert all(shelf.lease() for shelf in shelves)
        with orderly(shelves[0]), orderly(shelves[1]):
            simulate([production_program(job, job.engine_session(), Scope.root()) for job in jobs])
        for shelf in shelves:
            shelf.release()

    def lasts(self, me, going=True):
        """A lasting session of this member has begun, or ended."""
        place = Place(self.folder / PARTIES[me], PARTIES[me], SESSION)
        place.folder.mkdir(parents=True, exist_ok=True)
        if going:
            place.journal.touch()
        else:
            place.journal.unlink()

    def left(self, me):
        return self.make(PARTIES[me]).ledger().left("products")


@pytest.fixture(params=["semi2k", pytest.param("spdz2k", marks=pytest.mark.slow)])
def site(request, tmp_path):
    return Site(tmp_path, request.param)


class Sessions(World):
    """Two cores that run products with tuples from their shelves."""

    def __init__(self, site, monkeypatch):
        super().__init__(site.protocol, 2, self.program)
        self.site, self.stores, self.begun = site, {}, {}
        outer = self

        class Known(Core):
            def begin(self, now):
                outer.begun[self.seat.me] = self
                super().begin(now)

        monkeypatch.setattr(durable_world, "Core", Known)

    def start(self, me, limits=None):
        shelf = self.site.make(PARTIES[me])
        self.site.lasts(me)
        assert shelf.lease(0.0, SESSION)
        self.stores[me] = NotedStore(shelf, lambda label, make: self.begun[me].note(label, make), SESSION)
        return super().start(me, limits)

    def kill(self, me):
        super().kill(me)
        self.stores[me].release()  # as the system does when a process dies

    def program(self, protocol, me, parties, seed, at):
        session = Session(me, 2, PARTIES, seed=seed, ident=SESSION.encode())
        p = make(protocol, session, 1)
        needs = {"products": NEEDS[protocol]}
        taken = yield from provide(session, at.child("stock"), p, self.stores[me], lambda: needs, SESSION)
        session.stock_keys = taken.secrets
        yield from p.setup(at.child("setup"))
        for kind, arrays in taken.tuples.items():
            p.supply.stock.put(kind, arrays)
        values = np.arange(5, dtype=np.int64) + 2
        x = yield from p.input(at.child("x"), 0, (5,), values if me == 0 else None)
        y = yield from p.input(at.child("y"), 1, (5,), -values if me == 1 else None)
        product = yield from p.mul(at.child("product"), x, y)
        opened = yield from p.reveal(at.child("reveal"), product, (0, 1))
        return opened, len(taken.tuples["products"][0])


def run(sessions, kills=()):
    """Let both go on; `kills` are (turn, who)."""
    for me in range(2):
        sessions.start(me)
    for turn in range(400):
        for me in range(2):
            if (turn, me) in kills and sessions.cores[me].state == "running":
                sessions.kill(me)
                sessions.start(me)
        moved = [sessions.turn(me, most=1) for me in range(2)]
        if not any(moved):
            sessions.now += 0.3
        if all(core.state in ("closed", "failed") for core in sessions.cores):
            break
    return sessions.cores


def test_killed_at_any_moment_the_same_tuples_are_used(site, monkeypatch):
    """Both parties again and again; every position goes to one session, and that goes on to the end."""
    killed = 0
    for turn in range(1, 14, 3):
        before = [site.left(me) for me in range(2)]
        if before[0] < NEEDS[site.protocol]:
            break
        sessions = Sessions(site, monkeypatch)
        cores = run(sessions, {(turn, turn % 2), (turn + 2, 1 - turn % 2), (turn + 7, turn % 2)})
        wanted = -((np.arange(5) + 2) ** 2)
        for me, core in enumerate(cores):
            assert core.problem is None
            opened, count = core.party.result
            assert np.array_equal(opened, wanted)
            assert count == NEEDS[site.protocol]
            sessions.stores[me].over(None)
            site.lasts(me, going=False)
        killed += sum(sessions.incarnations) - 2
        assert [site.left(me) for me in range(2)] == [count - NEEDS[site.protocol] for count in before]
    assert killed > 5


def test_an_interrupted_session_keeps_its_secrets_to_itself(tmp_path, monkeypatch):
    site = Site(tmp_path, "spdz2k")
    sessions = Sessions(site, monkeypatch)
    for me in range(2):
        sessions.start(me)
    while "stock secrets" not in sessions.cores[0].notes:
        for me in range(2):
            sessions.turn(me)
    generation = site.make("party0").ledger().generation
    sessions.kill(0)
    other = site.make("party0")
    assert not other.lease()
    assert not other.lease(0.0, "f" * 32)
    assert other.ledger().generation == generation  # it is not taken for abandoned
    assert other.ledger().in_use == SESSION
    sessions.start(0)
    assert sessions.stores[0].in_use
    sessions.stores[0].over(None)
    assert other.lease()
    assert other.ledger().in_use == ""


def test_the_end_for_cause_destroys_the_secrets(tmp_path, monkeypatch):
    site = Site(tmp_path, "spdz2k")
    sessions = Sessions(site, monkeypatch)
    for me in range(2):
        sessions.start(me)
    while "stock secrets" not in sessions.cores[0].notes:
        for me in range(2):
            sessions.turn(me)
    sessions.kill(0)
    sessions.start(0)
    sessions.stores[0].over(IntegrityError("somebody cheated"))
    assert site.make("party0").ledger().generation == ""


def test_a_session_whose_data_was_deleted_leaves_nothing_in_use(tmp_path, monkeypatch):
    site = Site(tmp_path, "spdz2k")
    sessions = Sessions(site, monkeypatch)
    for me in range(2):
        sessions.start(me)
    while "stock secrets" not in sessions.cores[0].notes:
        for me in range(2):
            sessions.turn(me)
    sessions.kill(0)
    site.lasts(0, going=False)
    assert site.make("party0").ledger().generation == ""


# -- the store alone ---------------------------------------------------------------------------------------------------


class Notes(dict):
    """A journal's notes; `fail` is the label at which the process dies before it is durable."""

    fail = ""

    def __call__(self, label, make):
        if label not in self:
            content = make()
            if label == self.fail:
                raise KeyboardInterrupt
            self[label] = content
        return self[label]


@pytest.fixture
def shelf(tmp_path):
    group = Group(parties=PARTIES, protocol="semi2k", threshold=1, security=40)
    made = Shelf(tmp_path / "home", "party0", group, tmp_path / "fence")
    made.lease()
    made.begin("ab" * 16, [], "5" * 32)
    made.add("ab" * 16, "5" * 32, "products", 0, [np.arange(10, dtype=np.uint64), np.arange(10, dtype=np.uint8)], 1.0)
    return made


def test_everything_comes_again_from_the_notes(shelf):
    notes = Notes()
    first = NotedStore(shelf, notes, SESSION)
    asked = ("ab" * 16, SESSION, {"products": (0, 4)})

    def told(store):
        taken = store.claim(*asked)["products"]
        secrets = store.secrets("ab" * 16, SESSION)
        held = store.holdings("ab" * 16, ["products", "AND words"])
        return store.leased, store.ledger().generation, held, [part.tolist() for part in taken], secrets

    held = {"products": Holding(0, 10, 10), "AND words": Holding()}
    assert first.holdings("ab" * 16, ["products", "AND words"]) == held
    wanted = told(first)
    assert wanted == (True, "ab" * 16, held, [[0, 1, 2, 3]] * 2, ())
    shelf.destroy("for the test")
    assert told(NotedStore(shelf, notes, SESSION)) == wanted


def test_tuples_that_were_lost_on_the_way_end_the_session(shelf):
    notes = Notes()
    notes.fail = "stock claim"
    asked = ("ab" * 16, SESSION, {"products": (0, 4)})
    with pytest.raises(KeyboardInterrupt):
        NotedStore(shelf, notes, SESSION).claim(*asked)
    assert shelf.ledger().left("products") == 6
    notes.fail = ""
    with pytest.raises(EnvironmentFault, match="start a new session"):
        NotedStore(shelf, notes, SESSION).claim(*asked)
    assert shelf.ledger().left("products") == 6


def test_other_ranges_than_before_are_refused(shelf):
    notes = Notes()
    NotedStore(shelf, notes, SESSION).claim("ab" * 16, SESSION, {"products": (0, 4)})
    with pytest.raises(InternalError, match="other tuples than before"):
        NotedStore(shelf, notes, SESSION).claim("ab" * 16, SESSION, {"products": (4, 8)})


def test_no_stock_stays_no_stock(tmp_path, shelf):
    notes = Notes()
    group = Group(parties=PARTIES, protocol="spdz", threshold=1, security=40)
    empty = Shelf(tmp_path / "home", "party0", group, tmp_path / "fence")
    store = NotedStore(empty, notes, SESSION)
    assert store.leased
    assert store.ledger().generation == ""
    store.destroy("nothing", "")
    assert not empty.folder.exists()
    again = NotedStore(shelf, notes, SESSION)
    assert again.ledger().generation == ""


def test_a_stock_that_another_session_uses_is_busy_for_good(shelf):
    notes = Notes()
    other = Shelf(shelf._home, "party0", shelf.group, shelf._fence)
    assert not NotedStore(other, notes, SESSION).leased
    shelf.release()
    assert other.lease()
    assert not NotedStore(other, notes, SESSION).leased


def test_lasting_sessions_make_no_tuples(shelf):
    store = NotedStore(shelf, Notes(), SESSION)
    with pytest.raises(InternalError):
        store.begin("", [], "")
    with pytest.raises(InternalError):
        store.add("", "", "", 0, [], 0.0)
