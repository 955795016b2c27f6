"""The state machine of durable sessions: kills, lost queues, restored backups, forged parcels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.durable.world import World, program_of

from quorate.durable import parcel as form
from quorate.durable.facts import Limits, Spent
from quorate.durable.peer import Outgoing
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import EnvironmentFault, IntegrityError, InternalError, PeerTimeout


def undisturbed(world: World) -> list[str]:
    for me in range(world.parties):
        world.start(me)
    world.carry()
    return transcripts(world)


def transcripts(world: World) -> list[str]:
    cores = [core for core in world.cores if core is not None]
    assert len(cores) == world.parties
    for core in cores:
        assert core.problem is None
        assert core.state == "closed"
    return [core.transcript() for core in cores]


def results(world: World) -> list[np.ndarray]:
    return [core.party.result[0] for core in world.cores if core is not None]


def expected(parties: int = 3) -> np.ndarray:
    return np.prod([np.arange(5) * (owner + 2) - 3 for owner in range(parties)], axis=0)


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "rep3_malicious"])
def test_result_is_that_of_the_program(protocol: str) -> None:
    world = World(protocol)
    undisturbed(world)
    for result in results(world):
        assert np.array_equal(result, expected())


def test_killed_after_every_turn() -> None:
    want = undisturbed(World())
    for victim in range(3):
        for moment in range(1, 40):
            world = World()
            for me in range(3):
                world.start(me)
            for turn in range(moment):
                world.turn(turn % 3, most=1)
            world.kill(victim)
            world.start(victim)
            world.carry()
            assert transcripts(world) == want
            assert all(np.array_equal(result, expected()) for result in results(world))


def test_lost_parcels_are_asked_for_though_everybody_lives() -> None:
    world = World()
    for me in range(3):
        world.start(me)
    for turn in range(9):
        world.turn(turn % 3)
    for queue in world.queues:
        queue.clear()
    world.carry()
    assert len(set(transcripts(world))) == 3
    assert all(np.array_equal(result, expected()) for result in results(world))


def test_a_failed_session_stays_failed_and_says_nothing() -> None:
    world = World()
    for me in range(3):
        world.start(me)
    for turn in range(9):
        world.turn(turn % 3)
    victim = world.cores[0]
    assert victim is not None
    victim.fail(PeerTimeout("somebody was silent"))
    victim.commit()
    world.kill(0)
    again = world.start(0)
    assert isinstance(again.problem, EnvironmentFault)
    assert "somebody was silent" in str(again.problem)
    again.run(world.now)
    again.commit()
    assert list(again.outgoing()) == []


def test_an_old_journal_is_given_up_because_a_peer_has_more() -> None:
    world = World()
    for me in range(3):
        world.start(me)
    for turn in range(4):
        world.turn(turn % 3)
    old = list(world.logs[0].kept)
    for turn in range(4, 9):
        world.turn(turn % 3)
    world.kill(0)
    world.logs[0].kept = old
    core = world.start(0)
    for turn in range(30):
        world.now += 1.0
        world.turn(turn % 3)
    assert isinstance(core.problem, Spent)
    assert "put back to an old state" in str(core.problem)


def test_another_message_at_the_same_place_is_kept_as_evidence() -> None:
    world = World()
    for me in range(3):
        world.start(me)
    for turn in range(8):
        world.turn(turn % 3)
    liar, victim = world.cores[0], world.cores[1]
    assert liar is not None
    assert victim is not None
    peer = liar._state.peers[1]
    entry = next(entry for entry in peer.made.values() if victim._state.peers[0].has(entry.seq))
    forged = entry._replace(digest=bytes(32))
    peer.unacked[entry.seq] = Outgoing(forged, [np.arange(entry.size, dtype=np.uint8)])
    assert peer.channel is not None
    for parcel in peer.sealed(entry.seq, liar._state.keys, peer.channel, liar._state.session, 1):
        victim.take(parcel.body, None, world.now)
    assert isinstance(victim.problem, IntegrityError)
    evidence = victim.evidence[0]
    channel = victim._state.peers[0].channel
    assert channel is not None
    for signed in (evidence.first, evidence.second):
        assert channel.signed(signed.header, signed.digest, signed.signature)
    assert evidence.first != evidence.second


def test_a_parcel_that_ends_the_session_goes_back_to_its_carrier_once() -> None:
    world = World()
    for me in range(3):
        world.start(me)
    for turn in range(6):
        world.turn(turn % 3)
    liar, victim = world.cores[0], world.cores[1]
    assert liar is not None
    assert victim is not None
    liar.fail(PeerTimeout("somebody was silent"))
    liar.commit()
    last = [parcel.body for receiver, parcel in liar.outgoing() if receiver == 1][-1]
    token = object()
    victim.take(last, token, world.now)
    assert "somebody was silent" in str(victim.problem)
    victim.commit()
    assert [held for held in victim.settled() if held is token] == [token]


def test_a_session_whose_time_was_over_while_nobody_ran_fails_for_good() -> None:
    world = World()
    for me in range(3):
        world.start(me)
    for turn in range(6):
        world.turn(turn % 3)
    world.kill(0)
    core = world.start(0, Limits(silence=30.0, deadline=world.now - 1.0))
    assert isinstance(core.problem, PeerTimeout)
    assert "did not end in its time" in str(core.problem)
    core.commit()
    assert [form.unpack(parcel.body).kind for _, parcel in core.outgoing()].count(form.DATA) == 0
    world.kill(0)
    again = world.start(0)
    assert "did not end in its time" in str(again.problem)


def test_what_does_not_come_from_a_peer_changes_nothing() -> None:
    world = World()
    for me in range(3):
        world.start(me)
    for turn in range(6):
        world.turn(turn % 3)
    core = world.cores[1]
    assert core is not None
    genuine = [body for (receiver, _), body in world.wire.items() if receiver == 1]
    forgeries = [b"", b"x" * 500, *(body[:-1] for body in genuine), *(_flipped(body, 100) for body in genuine)]
    for forged in [*forgeries, *(_flipped(body, 20) for body in genuine)]:
        core.take(forged, "token", world.now)
    assert core.problem is None
    assert len(core.refused()) > len(genuine)
    world.carry()
    transcripts(world)


def _flipped(body: bytes, at: int) -> bytes:
    at = min(at, len(body) - 1)
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def test_who_goes_on_says_nothing_new_before_peers_have_said_how_they_stand() -> None:
    world = World()
    for me in range(3):
        world.start(me)
    for turn in range(6):
        world.turn(turn % 3)
    world.kill(0)
    core = world.start(0)
    for _, body in list(world.queues[0]):  # messages, but no status: a peer that lies would hold the others' back
        if form.unpack(body).kind != form.STATUS:
            core.take(body, None, world.now)
    core.run(world.now)
    core.commit()
    assert not [parcel for _, parcel in core.outgoing() if form.unpack(parcel.body).kind == form.DATA]
    world.queues[0].clear()
    world.carry()
    assert len(set(transcripts(world))) == 3


def test_other_messages_than_before_end_the_session_and_do_not_leave() -> None:
    world = World()
    for me in range(3):
        world.start(me)
    for turn in range(8):
        world.turn(turn % 3)
    world.kill(0)

    def changed(protocol: str, me: int, parties: int, seed: bytes, at: Scope) -> Step[Any]:
        return program_of(protocol, me, parties, bytes([seed[0] ^ 1, *seed[1:]]), at)

    world.make = changed
    core = world.start(0)
    assert isinstance(core.problem, InternalError)
    assert "is not what we had computed before" in str(core.problem)
    core.commit()
    assert not [parcel for _, parcel in core.outgoing() if form.unpack(parcel.body).kind == form.DATA]


def test_what_is_missing_is_asked_for_where_nobody_gives_signs_of_life() -> None:
    world = World()
    limits = Limits(silence=200.0, deadline=world.now + 300, nudge=5.0, alive=None)
    for me in range(3):
        world.start(me, limits)
    for turn in range(9):
        world.turn(turn % 3)
    for queue in world.queues:
        queue.clear()
    world.carry()
    assert len(set(transcripts(world))) == 3
