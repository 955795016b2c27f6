"""Checkpoints: what is served, when, in which order, and that parties agree on it however they are scheduled."""

from itertools import permutations

import numpy as np
import pytest

from quorate.engine.coins import commit_and_open, same, toss
from quorate.engine.count import count
from quorate.engine.exchange import Checkpoint, Exchange, Fork, parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.engine.simulate import play, simulate
from quorate.errors import IntegrityError, InternalError
from quorate.protocols.deferred import LARGE, Deferred


def exchange(at, other):
    sent, got = np.zeros(1, np.uint8), np.empty(1, np.uint8)
    yield Exchange(at.step(), {other: [sent]}, {other: [got]})


def forked(me, log, order=None):
    """Three tiles: one waits at once, one after a round, one not at all."""
    at = Scope.root()

    def serve(tag):
        log.append((tag, sorted(done)))
        yield from exchange(at.child(f"served {len(log)}"), 1 - me)

    done = []

    def tile(k):
        for _ in range(k):
            yield from exchange(at.child(f"tile {k} {len(done)} {_}"), 1 - me)
        done.append(k)
        if k != 1:
            yield Checkpoint(lambda: serve("check"), 20)
        yield from exchange(at.child(f"after {k}"), 1 - me)
        return k

    results = yield Fork([tile(k) for k in (order or range(3))], 8)
    return sorted(results)


def test_a_check_sees_everything_that_could_be_done_before_it() -> None:
    for order in permutations(range(3)):
        logs = [[], []]
        parties = simulate([forked(me, logs[me], order) for me in range(2)])
        assert logs[0] == logs[1] == [("check", [0, 1, 2])]
        assert [party.result for party in parties] == [[0, 1, 2]] * 2
        assert parties[0].rounds == parties[1].rounds


def test_lower_ranks_are_served_first_and_others_stay_held() -> None:
    log = []

    def serve(rank):
        log.append(rank)
        yield from ()

    def step(rank):
        yield Checkpoint(lambda: serve(rank), rank)
        if rank == 0:
            yield Checkpoint(lambda: serve(10), 10)
        return rank

    def program():
        return (yield Fork([step(rank) for rank in (20, 0, 10, 20, 0)], 8))

    (party,) = simulate([program()])
    assert log == [0, 10, 20]
    assert party.result == [20, 0, 10, 20, 0]


def test_steps_in_lockstep_are_held_together() -> None:
    log = []

    def step(me, k):
        at = Scope.root(f"step {k}")
        yield from exchange(at, 1 - me)
        yield Checkpoint(lambda: noted((me, k)), 20)
        yield from exchange(at, 1 - me)

    def noted(what):
        log.append(what)
        yield from ()

    parties = simulate([parallel([step(me, k) for k in range(3)]) for me in range(2)])
    assert sorted(log) == [(me, k) for me in range(2) for k in range(3)]
    assert {party.rounds for party in parties} == {2}


def test_a_failed_check_ends_the_party() -> None:
    def fails():
        yield from ()
        raise IntegrityError("no")

    def program():
        yield Checkpoint(fails, 20)

    with pytest.raises(IntegrityError):
        simulate([program()])
    assert isinstance(play([program()])[0], IntegrityError)


def test_deferred_notes_are_checked_once_in_the_order_of_their_names() -> None:
    seen = []

    def check(at, notes):
        seen.append((at.path, list(notes)))
        yield from ()

    deferred = Deferred(check, limit=LARGE)

    def program():
        at = Scope.root()
        deferred.open(at.child("checks"))
        deferred.note((9, 1), "b", 1)
        deferred.note((3, 1), "a", 1)
        deferred.note((1, 1), "nothing", 0)
        yield from deferred.relieve(LARGE)
        assert not seen
        yield from deferred.settle()
        yield from deferred.settle()
        deferred.note((4, 1), "c", LARGE)
        yield from deferred.relieve(LARGE - 1)
        assert len(seen) == 1
        yield from deferred.relieve(LARGE)

    simulate([program()])
    assert seen == [("session/checks/check 1", ["a", "b"]), ("session/checks/check 2", ["c"])]
    with pytest.raises(InternalError, match="under one name"):
        deferred.note((5, 1), "x", 1), deferred.note((5, 1), "y", 1)


# -- coins -------------------------------------------------------------------------------------------------------------


def session(me, parties=3, ident=b"one", counting=False):
    return Session(me, parties, tuple(f"p{k}" for k in range(parties)), ident=ident, counting=counting)


def coin(me, ident=b"one"):
    out = np.empty(4, np.uint64)
    (yield from toss(session(me, ident=ident), Scope.root("coin"))).fill(out)
    return out


def test_a_coin_is_the_same_for_all_and_new_every_time() -> None:
    first, second = (simulate([coin(me) for me in range(3)]) for _ in range(2))
    assert len({party.result.tobytes() for party in first}) == 1
    assert first[0].result.tobytes() != second[0].result.tobytes()
    counted = count(toss(session(1, counting=True), Scope.root("coin")))
    assert (counted.rounds, counted.sent) == (first[1].rounds, first[1].sent) == (2, {0: 128, 2: 128})


def test_a_coin_is_good_for_one_check() -> None:
    def program():
        tossed = yield from toss(session(0, 1), Scope.root("coin"))
        tossed.fill(np.empty(1, np.uint64))
        tossed.fill(np.empty(1, np.uint64))

    with pytest.raises(InternalError, match="second check"):
        simulate([program()])


def altered(place, receivers):
    """Interceptor that alters the message number `place` of participant 0 to some receivers."""
    seen = {}

    def intercept(sender, receiver, name, body):
        number = seen[sender, receiver] = seen.get((sender, receiver), 0) + 1
        if sender == 0 and receiver in receivers and number == place:
            return bytes([body[0] ^ 1]) + body[1:]
        return body

    return intercept


@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("receivers", [(1,), (1, 2)])
def test_a_commitment_binds_and_is_the_same_for_all(place, receivers) -> None:
    """A commitment altered for one party, or for all; an opening altered: honest parties see it."""
    ends = play([coin(me) for me in range(3)], altered(place, receivers))
    assert all(
        isinstance(end, IntegrityError) for end in (ends[1:] if place == 1 or len(receivers) == 2 else ends[1:2])
    )
    assert "peer" in str(ends[1])


def test_commitments_are_bound_to_session_party_and_step() -> None:
    """What one party committed to in a session fits no other session, party or step."""
    ends = play([coin(0, b"another"), coin(1), coin(2)])
    assert all(isinstance(end, IntegrityError) for end in ends)

    def copies(sender, receiver, name, body):
        """Participant 2 says whatever participant 1 has said before it."""
        if sender == 1:
            kept[name] = body
        return kept.get(name, body) if sender == 2 else body

    kept = {}
    ends = play([coin(me) for me in range(3)], copies)
    assert all(isinstance(end, IntegrityError) for end in ends[:2])
    assert "peer 2 opened something else" in str(ends[0])


def test_values_are_opened_to_members_alone() -> None:
    def program(me):
        value = np.full(2, me, np.uint64)
        return (yield from commit_and_open(session(me), Scope.root("values"), value, (0, 2)))

    ends = simulate([program(me) for me in range(3)])
    assert [value.tolist() for value in ends[2].result] == [[0, 0], [2, 2]]
    assert ends[1].sent == {}


def test_comparison_names_who_differs() -> None:
    def program(me):
        content = np.arange(3) + (me == 2)
        yield from same(session(me), Scope.root("same"), "what was sent to all", [content])

    ends = play([program(me) for me in range(3)])
    assert "what was sent to all: peer 2 has something else" in str(ends[0])
    assert "peer 0" in str(ends[2])


def test_group_keys_that_differ_are_found() -> None:
    def program(me):
        who = session(me)
        yield from who.agree_keys(Scope.root("keys"), [(0, 1), (0, 1, 2)], compare=True)

    assert all(party.done for party in simulate([program(me) for me in range(3)]))
    ends = play([program(me) for me in range(3)], altered(1, (2,)))
    assert all(isinstance(end, IntegrityError) for end in ends[:2])
