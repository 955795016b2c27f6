import numpy as np
import pytest

from quorate.durable.rerun import Wait, rerun
from quorate.durable.trace import Event
from quorate.engine.exchange import Exchange
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.errors import PeerError

NAMES = ("ann", "ben", "cat")
ROUNDS = 4


def program(me, at, sizes=(3, 4, 5, 6), seed=0):
    """Everybody sends everybody some bytes, round by round."""

    def steps():
        for number, size in enumerate(sizes):
            scope = at.child(f"round {number}")
            sends = {peer: [np.full(size, me + seed, np.uint8)] for peer in range(3) if peer != me}
            receives = {peer: [np.zeros(size, np.uint8)] for peer in range(3) if peer != me}
            yield Exchange(scope.step(), sends, receives)
        return me

    return steps()


def made(**options):
    scopes = [Scope.root() for _ in NAMES]
    return [program(me, scopes[me], **options) for me in range(3)], scopes


def recorded(me, stop):
    """The events at `me` of a session of which it gets only the first `stop` messages."""
    programs, _ = made(seed=5)
    parties, events, taken = [Party(each) for each in programs], [], 0
    mail = []
    while True:
        for index, party in enumerate(parties):
            while party.advance():
                pass
            while party.outbox:
                message = party.outbox.popleft()
                body = b"".join(array.tobytes() for array in message.buffers)
                if index == me:
                    events.append(event("out", message.peer, message.name, message.size))
                mail.append((index, message.peer, message.name, body))
        mail = [each for each in mail if each[1] != me or taken < stop]
        if not mail:
            return events
        sender, receiver, name, body = mail.pop(0)
        parties[receiver].deliver(sender, name, body)
        if receiver == me:
            taken += 1
            events.append(event("in", sender, name, len(body)))


def event(what, peer, name, size):
    return Event(what=what, peer=peer, scope=f"{name[0]:016x}", step=name[1], size=size)


def test_a_whole_session_agrees():
    programs, scopes = made()
    found = rerun(programs, scopes, NAMES, 1, recorded(1, 99))
    assert found.agrees
    assert (found.taken, found.made, found.unsent) == (8, 8, 0)
    assert all(each.done for each in found.participants)


@pytest.mark.parametrize("stop", range(8))
def test_an_interrupted_one_stands_where_it_stood(stop):
    programs, scopes = made()
    events = recorded(1, stop)
    found = rerun(programs, scopes, NAMES, 1, events)
    assert found.agrees
    assert (found.taken, found.made) == (stop, sum(each.what == "out" for each in events))
    ann, ben, cat = found.participants
    step = f"session/round {stop // 2}, step 1"
    missing = [0, 2] if stop % 2 == 0 else [2] if events[-1].peer == 0 or stop == 0 else [0]
    assert ben.waits == tuple(Wait(peer, step, True) for peer in missing), "the messages had been made"
    assert not ben.done
    assert ben.rounds <= stop // 2 + 1
    if stop < 6:
        assert [wait.peer for wait in ann.waits] == [1]
        assert [wait.made for wait in ann.waits + cat.waits] == [False, False]


def test_what_was_computed_and_had_not_been_made_is_not_sent():
    """Our part of a commit that never was: the others must not see it."""
    programs, scopes = made()
    events = [each for each in recorded(1, 2) if not (each.what == "out" and each.size == 4)]
    found = rerun(programs, scopes, NAMES, 1, events)
    assert found.agrees
    assert found.unsent == 2
    ann = found.participants[0]
    assert ann.waits == (Wait(1, "session/round 1, step 1", True),)


def test_other_sizes_are_named():
    programs, scopes = made(sizes=(3, 4, 9, 6))
    found = rerun(programs, scopes, NAMES, 1, recorded(1, 99))
    assert not found.agrees
    assert "ann sent us 5 bytes at session/round 2, step 1; by this plan and these rows they are 9" in found.differences
    assert "we made 5 bytes for cat at session/round 2, step 1; by this plan and these rows they are 9" in (
        found.differences
    )


def test_other_names_are_named():
    programs, scopes = made(sizes=(3, 4))
    found = rerun(programs, scopes, NAMES, 1, recorded(1, 99))
    assert any("ann sent us 5 bytes at an unknown operation" in text for text in found.differences)
    assert any("by this plan and these rows we do not" in text for text in found.differences)
    assert (found.taken, found.made) == (4, 4)


def test_many_differences_are_counted():
    programs, scopes = made(sizes=(3,))
    events = [event("in", 0, (number, 1), 1) for number in range(30)]
    found = rerun(programs, scopes, NAMES, 1, events)
    assert (len(found.differences), found.more) == (20, 10)


def test_errors_stop_only_who_raises_them():
    def broken():
        raise PeerError("cheated")
        yield

    programs, scopes = made()
    programs[2] = broken()
    found = rerun(programs, scopes, NAMES, 1, recorded(1, 1))
    assert found.participants[2].error == "PeerError: cheated"
    assert [wait.peer for wait in found.participants[1].waits] == [2]
