"""Rounds that are complete with the messages of some peers."""

import random

import numpy as np
import pytest

from quorate.engine.count import count
from quorate.engine.exchange import Exchange, Fork, Lockstep, parallel
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.engine.simulate import simulate, survive
from quorate.errors import PeerError

NAME = (7, 1)
EMPTY = 255


def gather(name, peers, enough, sizes=None):
    """One round: what was there, and the arrays."""
    arrays = {peer: np.full((sizes or {}).get(peer, 1), EMPTY, np.uint8) for peer in peers}
    arrived = yield Exchange(name, None, {peer: [array] for peer, array in arrays.items()}, enough)
    return arrived, {peer: array.tolist() for peer, array in arrays.items()}


def started(step):
    party = Party(step)
    while party.advance():
        pass
    return party


def finished(party):
    while party.advance():
        pass
    assert party.done
    return party.result


# -- one round ---------------------------------------------------------------------------------------------------------


def test_goes_on_once_enough_messages_are_here():
    party = started(gather(NAME, [1, 2, 3], 2))
    party.deliver(3, NAME, b"\x03")
    assert not party.ready
    party.deliver(1, NAME, b"\x01")
    assert finished(party) == (frozenset({1, 3}), {1: [1], 2: [EMPTY], 3: [3]})


def test_takes_early_messages_all_of_them():
    party = Party(gather(NAME, [1, 2, 3], 1))
    for peer in (1, 3):
        party.deliver(peer, NAME, bytes([peer]))
    assert finished(party) == (frozenset({1, 3}), {1: [1], 2: [EMPTY], 3: [3]})


def test_needs_none_of_nobody():
    assert finished(Party(gather(NAME, [], 2))) == (frozenset(), {})
    assert finished(Party(gather(NAME, [1, 2], 0)))[0] == frozenset()


def test_empty_messages_are_not_waited_for():
    party = started(gather(NAME, [1, 2], 2, {1: 0}))
    assert party.waiting() == [(2, NAME)]
    party.deliver(2, NAME, b"\x02")
    assert finished(party)[0] == {2}


def test_waiting_lists_those_that_would_be_of_use():
    party = started(gather(NAME, [1, 2, 3], 2))
    assert party.waiting() == [(1, NAME), (2, NAME), (3, NAME)]
    party.deliver(2, NAME, b"\x02")
    assert party.waiting() == [(1, NAME), (3, NAME)]
    party.deliver(3, NAME, b"\x03")
    assert party.waiting() == []


@pytest.mark.parametrize(
    ("rounds", "arrived", "silent", "lacking"),
    [
        ([([1, 2, 3], 2)], [], {1}, False),
        ([([1, 2, 3], 2)], [], {1, 2}, True),
        ([([1, 2, 3], 2)], [1], {1, 2}, False),
        ([([1, 2, 3], None)], [], {3}, True),
        ([([1, 2, 3], None)], [3], {3}, False),
        ([([1, 2], None)], [], {3}, False),
        ([([1, 2, 3], 2), ([1, 4], 2)], [], {4}, True),
        ([([1, 2, 3], 2), ([4, 5], 1)], [], {4, 3}, False),
    ],
)
def test_lacking_says_whether_peers_hold_everything_up(rounds, arrived, silent, lacking):
    party = started(merged(*rounds) if len(rounds) > 1 else gather(first_name(), *rounds[0]))
    for peer in arrived:
        party.deliver(peer, first_name(), b"\x01")
    assert party.lacking(silent) is lacking


def test_a_fork_that_can_go_on_is_not_held_up():
    def forked():
        yield Fork([gather((1, 1), [1], None), gather((2, 1), [2, 3], 1)])

    party = started(forked())
    assert not party.lacking({1})
    assert party.lacking({1, 2, 3})
    party.deliver(3, (2, 1), b"\x03")
    assert not party.lacking({1})  # there is something to do
    while party.advance():
        pass
    assert party.lacking({1})
    assert not party.lacking({2})


def test_what_comes_too_late_is_counted_and_dropped():
    party = started(gather(NAME, [1, 2], 1))
    party.deliver(2, NAME, b"\x02")
    arrived, arrays = finished(party)
    assert party.leftovers() == []
    assert party.slot(1, NAME, 1) is None
    party.deliver(1, NAME, b"\x01")
    assert party.leftovers() == []
    assert party.received == {1: 1, 2: 1}
    assert (arrived, arrays) == ({2}, {1: [EMPTY], 2: [2]})
    with pytest.raises(PeerError, match="second message under a name"):
        party.deliver(1, NAME, b"\x01")


def test_what_comes_too_late_has_the_agreed_length():
    party = started(gather(NAME, [1, 2], 1))
    party.deliver(2, NAME, b"\x02")
    with pytest.raises(PeerError, match="peer 1 sent 2 bytes where 1 were agreed"):
        party.deliver(1, NAME, b"\x01\x01")


def test_only_what_is_too_late_is_too_late():
    party = started(gather(NAME, [1, 2], 1))
    assert not party.too_late(1, NAME, 1)
    party.deliver(2, NAME, b"\x02")
    assert party.too_late(1, NAME, 1)
    assert not party.too_late(1, NAME, 1)


def test_a_message_may_be_half_written_when_others_are_enough():
    party = started(gather(NAME, [1, 2], 1))
    assert party.slot(1, NAME, 1) is not None
    party.deliver(2, NAME, b"\x02")
    party.filled(1, NAME)
    assert finished(party)[0] == {2}
    assert party.received == {1: 1, 2: 1}


def test_counting_lets_everybody_answer():
    party = count(gather(NAME, [1, 2, 3], 1))
    assert party.done
    assert party.received == {1: 1, 2: 1, 3: 1}


# -- merged rounds -----------------------------------------------------------------------------------------------------


def merged(*rounds):
    """Several rounds side by side, (peers, enough) each; None: all."""
    at = Scope.root()
    return parallel([gather(at.child(f"{k}").step(), peers, enough) for k, (peers, enough) in enumerate(rounds)])


def first_name():
    return Scope.root().child("0").step()


def test_a_merged_round_is_complete_when_all_its_parts_are():
    party = started(merged(([1, 2, 3], 1), ([2, 3, 4], 2)))
    name = first_name()
    assert party.waiting() == [(peer, name) for peer in (1, 2, 3, 4)]
    party.deliver(1, name, b"\x01")
    assert party.waiting() == [(peer, name) for peer in (2, 3, 4)]
    party.deliver(4, name, b"\x04")
    assert not party.ready
    party.deliver(2, name, b"\x02\x22")
    first, second = finished(party)
    assert first == ({1, 2}, {1: [1], 2: [2], 3: [EMPTY]})
    assert second == ({2, 4}, {2: [0x22], 3: [EMPTY], 4: [4]})


def test_an_ordinary_round_merged_with_another_waits_for_all_its_messages():
    party = started(merged(([1, 2, 3], 1), ([1, 2], None)))
    name = first_name()
    party.deliver(3, name, b"\x03")
    assert not party.ready
    assert party.waiting() == [(1, name), (2, name)]
    party.deliver(1, name, b"\x01\x11")
    assert not party.ready
    party.deliver(2, name, b"\x02\x22")
    first, second = finished(party)
    assert first[0] == {1, 2, 3}
    assert second == (None, {1: [0x11], 2: [0x22]})


def test_merged_rounds_can_be_merged_again():
    at = Scope.root()

    def inner():
        pairs = yield from parallel([gather(at.child(f"inner {k}").step(), [1, 2], 1 + k) for k in range(2)])
        return [arrived for arrived, _ in pairs]

    party = started(parallel([gather((1, 1), [3], 1), inner(), gather((2, 1), [1, 3], None)]))
    party.deliver(3, (1, 1), b"\x03\x33")
    party.deliver(1, (1, 1), b"\x01\x02\x03")
    assert not party.ready
    party.deliver(2, (1, 1), b"\x01\x02")
    outer, within, ordinary = finished(party)
    assert outer[0] == {3}
    assert within == [{1, 2}, {1, 2}]
    assert ordinary == (None, {1: [3], 3: [0x33]})


def chain(at, rounds, log):
    for _ in range(rounds):
        arrived, _ = yield from gather(at.step(), [1, 2], 1)
        log.append(arrived)
    return len(log)


@pytest.mark.parametrize("lengths", [(1, 3), (3, 1), (2, 2), (1, 2, 3), (3, 1, 2)])
def test_steps_of_different_length_get_their_own_answers(lengths):
    logs = [[] for _ in lengths]
    root = Scope.root()
    scopes = [root.child(f"{k}") for k in range(len(lengths))]
    party = started(parallel([chain(at, n, log) for at, n, log in zip(scopes, lengths, logs, strict=True)]))
    turn = 0
    while not party.done:
        ((peer, name), *_) = party.waiting()[turn % 2 :]
        party.deliver(peer, name, b"\x05" * sum(n > turn for n in lengths))
        while party.advance():
            pass
        turn += 1
    assert party.result == list(lengths)
    assert logs == [[{1 + k % 2} for k in range(n)] for n in lengths]


def test_a_step_added_while_others_wait_starts_from_its_beginning():
    results = []
    together = Lockstep()

    def second(_):
        together.add(gather((2, 1), [1], 1), results.append)

    def long():
        yield from gather((3, 1), [1, 2], 1)
        return (yield from gather((3, 2), [1], 1))

    together.add(gather((1, 1), [1], 1), second)
    together.add(long(), results.append)
    party = started(together.run())
    party.deliver(1, (1, 1), b"\x01\x02")
    while party.advance():
        pass
    party.deliver(1, (2, 1), b"\x03\x04") if (1, (2, 1)) in party.waiting() else party.deliver(1, (3, 2), b"\x04\x03")
    finished(party)
    assert [arrived for arrived, _ in results] == [{1}, {1}]


def test_a_forked_step_in_a_merged_round_gets_its_answer():
    def forking(at):
        answers = yield Fork([gather(at.child("inside").step(), [1, 2], 1)])
        return answers[0][0]

    at = Scope.root()
    party = started(parallel([forking(at), gather((9, 1), [1, 2], 2)]))
    ((_, name), _) = party.waiting()
    party.deliver(2, name, b"\x02\x02")
    party.deliver(1, name, b"\x01\x01")
    one, (two, _) = finished(party)
    assert one == two == {1, 2}


# -- losses in simulation ----------------------------------------------------------------------------------------------


def talk(me, parties, rounds):
    """Everybody sends its number to everybody, and goes on with the majority."""
    at = Scope.root()
    seen = []
    for _ in range(rounds):
        others = [peer for peer in range(parties) if peer != me]
        arrays = {peer: [np.empty(1, np.uint8)] for peer in others}
        mine = np.array([me], np.uint8)
        enough = parties // 2
        arrived = yield Exchange(at.step(), {peer: [mine] for peer in others}, arrays, enough)
        assert len(arrived) >= enough
        assert all(arrays[peer][0] == [peer] for peer in arrived)
        seen.append(len(arrived))
    return len(seen)


@pytest.mark.parametrize("moment", range(0, 13, 3))
@pytest.mark.parametrize("seed", range(3))
def test_the_others_go_on_without_the_lost_and_these_catch_up(moment, seed):
    lost, choice = {0: moment, 3: 2 * moment}, random.Random(seed)
    parties = survive([talk(me, 5, 6) for me in range(5)], lost, choice.randrange)
    assert [party.done for party in parties] == [False, True, True, False, True]
    again = survive([talk(me, 5, 6) for me in range(5)], lost, choice.randrange, rejoin=True)
    assert all(party.done for party in again)
    assert not any(party.leftovers() for party in again)
    assert all(party.received == {peer: 6 for peer in range(5) if peer != me} for me, party in enumerate(again))


def test_with_one_more_lost_everybody_waits():
    parties = survive([talk(me, 5, 6) for me in range(5)], {0: 5, 1: 5, 2: 5}, random.Random(1).randrange)
    assert not any(party.done for party in parties)


def test_who_is_lost_may_have_told_some_of_its_peers():
    parties = survive([talk(me, 3, 1) for me in range(3)], {0: 1}, lambda n: 0)
    assert [party.done for party in parties] == [False, True, True]
    assert sum(0 in party.received for party in parties) == 1


def test_without_losses_all_is_as_in_any_simulation():
    survived = survive([talk(me, 3, 4) for me in range(3)], {}, random.Random(2).randrange)
    simulated = simulate([talk(me, 3, 4) for me in range(3)])
    assert [party.result for party in survived] == [party.result for party in simulated] == [4, 4, 4]
    assert [party.rounds for party in survived] == [4, 4, 4]
