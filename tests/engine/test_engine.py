"""Names, merging of rounds, the party's state machine, simulation and counting."""

from functools import partial

import numpy as np
import pytest

from quorate.engine import party as party_module
from quorate.engine.count import count
from quorate.engine.exchange import Exchange, Fork, Join, Lockstep, Spawn, parallel
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.errors import InternalError, PeerError, PeerTimeout
from quorate.kernels.ghost import ghost
from quorate.testing.world import World


def words(*values):
    return np.array(values, np.uint64)


def swap(at, me, values):
    """One round in which two participants exchange an array."""
    theirs = np.empty_like(values)
    yield Exchange(at.step(), {1 - me: [values]}, {1 - me: [theirs]})
    return theirs


# -- names ------------------------------------------------------------------------------------------------------------


def test_names_do_not_depend_on_the_order_of_work():
    one, two = Scope.root(), Scope.root()
    first = [one.child("a").step(), one.child("b").child("c").step()]
    second = [two.child("b").child("c").step(), two.child("a").step()]
    assert first == second[::-1]
    assert len(set(first)) == 2


def test_steps_of_a_scope_are_counted():
    scope = Scope.root().child("a")
    assert [scope.step() for _ in range(3)] == [(scope.ident, k) for k in (1, 2, 3)]
    assert scope.describe(scope.step()) == "session/a, step 4"


def test_a_scope_used_twice_raises():
    root = Scope.root()
    root.child("a").child("b")
    with pytest.raises(InternalError, match="'session/a' is used twice"):
        root.child("a")


# -- rounds -----------------------------------------------------------------------------------------------------------


def test_parallel_merges_rounds_into_one_message():
    def program(me):
        at = Scope.root()
        steps = [
            swap(at.child("a"), me, words(me, 1)),
            swap(at.child("b"), me, words(me + 10)),
            twice(at.child("c"), me),
        ]
        return (yield from parallel(steps))

    def twice(at, me):
        first = yield from swap(at, me, words(me + 20))
        return (yield from swap(at, me, first + words(100)))

    one, other = simulate([program(0), program(1)])
    assert [list(map(int, r)) for r in one.result] == [[1, 1], [11], [120]]
    assert (one.rounds, one.messages, one.sent) == (2, 2, {1: 8 * 4 + 8})
    assert (other.rounds, other.messages) == (2, 2)


def rounds_of(at, me, count):
    """A chain of `count` rounds."""
    total = 0
    for k in range(count):
        total += int((yield from swap(at.child(f"{k}"), me, words(k + 10 * me)))[0])
    return total


def test_steps_in_lockstep_may_fork():
    def forking(at, me):
        before = yield from rounds_of(at.child("before"), me, 1)
        tiles = yield Fork([rounds_of(at.child(f"tile {k}"), me, 2) for k in range(5)], width=2)
        nested = yield Fork([inner(at.child("x"), me), rounds_of(at.child("y"), me, 3)])
        nothing = yield Fork([])
        return before, tiles, nested, nothing, (yield from rounds_of(at.child("after"), me, 1))

    def inner(at, me):
        return (yield Fork([rounds_of(at.child(f"{k}"), me, 3) for k in range(2)]))

    def program(me):
        at = Scope.root()
        return (yield from parallel([forking(at.child("f"), me), rounds_of(at.child("chain"), me, 9)]))

    one, other = simulate([program(0), program(1)])
    assert one.result == [(10, [21] * 5, [[33, 33], 33], [], 10), 9 * 10 + 36]
    assert other.result == [(0, [1] * 5, [[3, 3], 3], [], 0), 36]
    assert one.rounds == other.rounds == 9
    counted = count(program(0))
    assert (counted.rounds, counted.sent, counted.messages) == (one.rounds, one.sent, one.messages)


def test_what_a_step_adds_joins_the_same_round():
    """Chains of 3 and of 1 + 1 + 1 rounds, the second made of steps that start each other: 3 rounds and messages."""

    def program(me):
        at, together, ended = Scope.root(), Lockstep(), []

        def go_on(left, result):
            ended.append(result)
            if left:
                together.add(rounds_of(at.child(f"link {left}"), me, 1), partial(go_on, left - 1))

        together.add(rounds_of(at.child("chain"), me, 3), ended.append)
        together.add(rounds_of(at.child("first"), me, 1), partial(go_on, 2))
        yield from together.run()
        return ended

    one, _ = simulate([program(0), program(1)])
    assert one.result == [10, 10, 33, 10]
    assert (one.rounds, one.messages) == (3, 3)


def test_a_branch_goes_on_beside_and_its_depth_counts_from_where_it_began():
    def program(me):
        at = Scope.root()
        yield from rounds_of(at.child("before"), me, 2)
        branch = yield Spawn([rounds_of(at.child(f"{k}"), me, 4) for k in range(3)], width=2)
        yield from rounds_of(at.child("meanwhile"), me, 3)
        results = yield Join(branch)
        empty = yield Join((yield Spawn([])))
        return results, empty

    one, _ = simulate([program(0), program(1)])
    assert one.result == ([46, 46, 46], [])
    assert one.rounds == 2 + 4


def test_only_an_own_branch_is_joined_and_once():
    def again():
        branch = yield Spawn([])
        yield Join(branch)
        yield Join(branch)

    def foreign():
        yield Join(None)

    for program in (again, foreign):
        with pytest.raises(InternalError, match="and once"):
            simulate([program()])


def test_the_main_line_goes_before_its_branches():
    """What the rounds of many wait for must not queue behind tiles."""
    order = []

    def tile(k, name):
        yield Exchange(name, None, {1: [np.empty(1, np.uint64)]})
        order.append(k)

    def program():
        branch = yield Spawn([tile(k, (k, 1)) for k in range(3)])
        yield Exchange((9, 1), None, {1: [np.empty(1, np.uint64)]})
        order.append("main")
        yield Join(branch)

    party = Party(program())
    while party.advance():
        pass
    for ident in (0, 1, 2, 9):
        party.deliver(1, (ident, 1), bytes(8))
    while party.advance():
        pass
    assert order == ["main", 0, 1, 2]


def test_fork_bounds_the_width_and_adds_up_depth():
    running, most = [0], [0]

    def tile(at, me, rounds):
        running[0] += 1
        most[0] = max(most[0], running[0])
        total = words(0)
        for _ in range(rounds):
            total = total + (yield from swap(at, me, words(rounds)))
        running[0] -= 1
        return int(total[0])

    def program(me):
        at = Scope.root()
        yield from swap(at.child("before"), me, words(1))
        results = yield Fork([tile(at.child(f"{k}"), me, 1 + k % 4) for k in range(12)], width=3)
        nothing = yield Fork([])
        yield from swap(at.child("after"), me, words(1))
        return results, nothing

    parties = simulate([program(0), program(1)])
    assert parties[0].result == ([(1 + k % 4) ** 2 for k in range(12)], [])
    assert most[0] == 6  # three at each of the two participants
    assert [party.rounds for party in parties] == [1 + 4 + 1] * 2


def test_a_step_that_yields_something_else_raises():
    def wrong():
        yield 5

    with pytest.raises(InternalError, match="int"):
        Party(wrong()).advance()


# -- the state machine ------------------------------------------------------------------------------------------------


def waiting_party(*names, size=2):
    """A party that receives `size` words from peer 1 under each of the names in turn."""

    def program():
        arrived = []
        for name in names:
            array = np.empty(size, np.uint64)
            yield Exchange(name, None, {1: [array]})
            arrived.append(array)
        return arrived

    party = Party(program())
    party.advance()
    return party


def test_wrong_length_is_refused_awaited_or_early():
    with pytest.raises(PeerError, match="peer 1 sent 8 bytes where 16"):
        waiting_party((1, 1)).deliver(1, (1, 1), bytes(8))
    early = waiting_party((1, 1), (1, 2))
    early.deliver(1, (1, 2), bytes(24))
    early.deliver(1, (1, 1), bytes(16))
    with pytest.raises(PeerError, match="peer 1 sent 24 bytes where 16"):
        early.advance()


def test_a_repeated_message_is_refused_before_and_after_its_use():
    party = waiting_party((1, 1), (1, 2))
    party.deliver(1, (1, 2), bytes(16))
    with pytest.raises(PeerError, match="second message"):
        party.deliver(1, (1, 2), bytes(16))
    party.deliver(1, (1, 1), bytes(16))
    with pytest.raises(PeerError, match="second message"):
        party.deliver(1, (1, 1), bytes(16))


def test_early_messages_are_kept_and_used():
    party = waiting_party((1, 1), (2, 1))
    party.deliver(1, (2, 1), words(3, 4).tobytes())
    assert party.slot(1, (2, 1), 16) is None
    party.deliver(1, (1, 1), words(1, 2).tobytes())
    while party.advance():
        pass
    assert party.done
    assert [list(map(int, a)) for a in party.result] == [[1, 2], [3, 4]]
    assert party.leftovers() == []
    assert party.received == {1: 32}


def test_early_bytes_are_limited_per_peer(monkeypatch):
    monkeypatch.setattr(party_module, "EARLY_LIMIT", 20 + party_module.EARLY_OVERHEAD)
    party = waiting_party((1, 1))
    party.deliver(1, (2, 1), bytes(16))
    party.deliver(2, (2, 1), bytes(16))
    with pytest.raises(PeerError, match="nobody asked for"):
        party.deliver(1, (3, 1), bytes(16))


def test_leftovers_name_what_nobody_asked_for():
    party = waiting_party((1, 1))
    party.deliver(1, (9, 1), bytes(3))
    assert party.leftovers() == [(1, (9, 1))]
    assert party.waiting() == [(1, (1, 1))]


def test_empty_messages_do_not_travel():
    def program(me):
        return (yield from swap(Scope.root(), me, words()))

    parties = simulate([program(0), program(1)])
    assert [party.messages for party in parties] == [0, 0]
    assert [party.rounds for party in parties] == [1, 1]


# -- conductors -------------------------------------------------------------------------------------------------------


def test_interceptor_sees_and_changes_messages():
    seen = []

    def intercept(sender, receiver, name, body):
        seen.append((sender, receiver, len(body)))
        return words(7).tobytes() if sender == 0 else body

    one, other = simulate([swap(Scope.root(), me, words(me)) for me in (0, 1)], intercept)
    assert sorted(seen) == [(0, 1, 8), (1, 0, 8)]
    assert (int(one.result[0]), int(other.result[0])) == (1, 7)


def test_a_dropped_message_is_reported_as_stuck():
    programs = [swap(Scope.root(), me, words(me)) for me in (0, 1)]
    with pytest.raises(PeerTimeout, match=r"participant 1 waits for \[0\]"):
        simulate(programs, lambda sender, receiver, name, body: None if sender == 0 else body)


def test_counting_equals_a_run():
    def program(me, values):
        at = Scope.root()
        yield from parallel([swap(at.child("a"), me, values), swap(at.child("b"), me, values)])
        yield Fork([swap(at.child(f"{k}"), me, values) for k in range(3)])

    real = simulate([program(me, words(1, 2, 3)) for me in (0, 1)])[0]
    counted = count(program(0, ghost((3,), np.uint64)))
    assert (
        (counted.rounds, counted.sent, counted.messages) == (real.rounds, real.sent, real.messages) == (2, {1: 120}, 4)
    )


def test_errors_of_a_run_name_the_seed():
    def program(p, at):
        yield from ()
        raise PeerError("broken")

    with pytest.raises(PeerError) as caught:
        World("rep3", seed=77).run(program)
    assert "seed 77" in caught.value.__notes__[0]


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_only_members_share_the_randomness_of_a_group():
    sessions = [Session(me, 3, ("a", "b", "c")) for me in range(3)]

    def program(session):
        at = Scope.root()
        yield from session.agree_keys(at, [(0, 1), (0, 2), (1, 2), (0, 1, 2)])
        drawn = {}
        for group in [(0, 1), (0, 2), (1, 2), (0, 1, 2), (session.me,)]:
            if session.me in group:
                drawn[group] = session.draw(group, (5, 1), np.empty(4, np.uint64)).tobytes()
        return drawn

    drawn = [party.result for party in simulate([program(session) for session in sessions])]
    assert drawn[0][0, 1] == drawn[1][0, 1]
    assert drawn[0][0, 1, 2] == drawn[1][0, 1, 2] == drawn[2][0, 1, 2]
    assert len({body for own in drawn for body in own.values()}) == 7
    with pytest.raises(KeyError):
        sessions[2].draw((0, 1), (5, 2), np.empty(1, np.uint64))
    sessions[0].erase()
    with pytest.raises(KeyError):
        sessions[0].draw((0, 1), (5, 2), np.empty(1, np.uint64))
    assert "Stream" not in repr(sessions[1])
