"""Predicted times: small programs whose time can be worked out by hand, and the chain of causes behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorate.coordination.machine import TYPICAL, Machine
from quorate.coordination.timeline import HEADER_SIZE, LOOPBACK, RECORD_OVERHEAD, Links, Timeline, predict
from quorate.engine.exchange import Exchange, Fork, Step
from quorate.engine.names import Scope
from quorate.engine.network import Network
from quorate.engine.session import Session
from quorate.errors import InternalError
from quorate.kernels.ghost import ghost

FREE = Machine(**dict.fromkeys([name for name in Machine.__dataclass_fields__ if name not in ("cores", "measured")], 0))
SLOW = Network(10_000, 1_000_000)
MS, US = 10**6, 10**3


def on_wire(size: int) -> int:
    """Nanoseconds that a message of one record takes at 1 Mbit/s."""
    return (size + HEADER_SIZE + RECORD_OVERHEAD) * 8 * 1000


def sessions(count: int) -> list[Session]:
    return [Session(me, count, tuple("abcdef"[:count]), counting=True) for me in range(count)]


def run(programs: list[Step[None]], network: Network = SLOW, machine: Machine = FREE, **pairs: Network) -> Timeline:
    links = Links(network, {(int(key[1]), int(key[2])): value for key, value in pairs.items()})
    return predict(programs, sessions(len(programs)), links, machine, [[] for _ in programs])


def talk_named(*rounds: dict[int, int]) -> Step[None]:
    """Sends in the rounds (1, 1), (1, 2), ..."""
    for step, sends in enumerate(rounds, 1):
        yield Exchange((1, step), {peer: [buffer(size)] for peer, size in sends.items()})


def buffer(size: int) -> np.ndarray:
    return ghost((size,), np.uint8)


def talk(*rounds: tuple[dict[int, int], dict[int, int]]) -> Step[None]:
    """Rounds of (peer -> bytes sent, peer -> bytes received)."""
    at = Scope.root()
    for sends, receives in rounds:
        yield Exchange(
            at.step(), *({peer: [buffer(size)] for peer, size in side.items()} for side in (sends, receives))
        )


def test_one_message_takes_its_length_and_half_a_round_trip() -> None:
    made = run([talk(({1: 1000}, {})), talk(({}, {0: 1000}))])
    assert made.parts[0].ended == 0
    assert made.ended == made.parts[1].ended == on_wire(1000) + 5 * MS
    assert (made.latency, made.transfer, made.computing) == (5 * MS, on_wire(1000), 0)


def test_dependent_rounds_add_up() -> None:
    made = run([talk(({1: 100}, {1: 100}), ({1: 50}, {1: 50})), talk(({0: 100}, {0: 100}), ({0: 50}, {0: 50}))])
    assert made.ended == on_wire(100) + on_wire(50) + 10 * MS


def test_a_sender_has_one_uplink_for_all_peers() -> None:
    made = run([talk(({1: 1000, 2: 1000}, {})), talk(({}, {0: 1000})), talk(({}, {0: 1000}))])
    assert sorted(part.ended for part in made.parts[1:]) == [on_wire(1000) + 5 * MS, 2 * on_wire(1000) + 5 * MS]


def test_a_receiver_has_one_downlink_for_all_peers() -> None:
    made = run([talk(({2: 1000}, {})), talk(({2: 1000}, {})), talk(({}, {0: 1000, 1: 1000}))])
    assert made.ended == 2 * on_wire(1000) + 5 * MS


def test_both_directions_at_once_do_not_disturb_each_other() -> None:
    made = run([talk(({1: 1000}, {1: 1000})), talk(({0: 1000}, {0: 1000}))])
    assert made.ended == on_wire(1000) + 5 * MS


def test_pairs_may_differ() -> None:
    fast = Network(2_000, 10_000_000)
    programs = [talk(({1: 1000, 2: 1000}, {})), talk(({}, {0: 1000})), talk(({}, {0: 1000}))]
    made = run(programs, p01=fast)
    assert made.parts[1].ended == on_wire(1000) // 10 + 1 * MS
    assert made.parts[2].ended == on_wire(1000) // 10 + on_wire(1000) + 5 * MS


def test_work_and_messages_take_time() -> None:
    machine = replace(FREE, step_ns=100 * US, call_ns=10 * US, send_ns=US, receive_ns=3 * US, drawn_ps=2_000)
    both = sessions(2)

    def busy(session: Session, sends: dict[int, int], receives: dict[int, int]) -> Step[None]:
        session.effort.calls += 5
        session.effort.drawn += 1000
        yield from talk((sends, receives))

    programs = [busy(both[0], {1: 1}, {}), busy(both[1], {}, {0: 1})]
    made = predict(programs, both, Links(Network(0, 10**13)), machine, [[], []])
    first = 100 * US + 50 * US + 2 * US + US  # a step with five calls and 1000 bytes of randomness, one message
    assert made.parts[0].busy == first + 100 * US  # and the step that finds the program at its end
    assert made.ended == first + 3 * US + 100 * US
    assert made.computing == made.ended


def test_participants_of_one_machine_share_its_cores() -> None:
    machine = replace(FREE, step_ns=MS)
    lonely = [talk() for _ in range(3)]
    assert run(lonely, machine=machine).ended == MS
    assert run([talk() for _ in range(3)], machine=replace(machine, cores=2)).ended == 2 * MS


def test_a_message_may_come_early() -> None:
    late = talk(({}, {2: 1}), ({}, {0: 7}))
    other = talk(({}, {}), ({1: 7}, {}))
    slow = talk(({1: 1}, {}))
    made = run([other, late, slow], p12=Network(400_000, 10**9))
    assert made.ended >= 200 * MS
    assert made.parts[1].in_flight == 7


def test_who_is_enough_is_waited_for_and_what_comes_later_is_dropped() -> None:
    def patient(sizes: dict[int, int], enough: int) -> Step[None]:
        yield Exchange((1, 1), None, {peer: [buffer(size)] for peer, size in sizes.items()}, enough)
        yield Exchange((1, 2), None, {1: [buffer(1)]})

    fast = {"p01": Network(1_000, 10**9), "p02": Network(400_000, 10**9)}
    one, both = (
        run([patient({1: 5, 2: 5}, enough), talk_named({0: 5}, {0: 1}), talk_named({0: 5})], **fast)
        for enough in (1, 2)
    )
    assert one.parts[0].in_flight == 0
    assert both.parts[0].in_flight == 1  # what came early waits for the slow one


def test_tiles_overlap_with_the_network() -> None:
    def tiled(me: int) -> Step[None]:
        root = Scope.root()

        def tile(index: int) -> Step[None]:
            yield Exchange(root.child(str(index)).step(), {1 - me: [buffer(8)]}, {1 - me: [buffer(8)]})

        yield Fork([tile(index) for index in range(5)], 5)

    assert run([tiled(0), tiled(1)]).ended == 5 * on_wire(8) + 5 * MS


def test_everybody_stays_until_the_last_has_said_goodbye() -> None:
    programs = [talk(({1: 1000}, {})), talk(({}, {0: 1000}))]
    made = predict(programs, sessions(2), Links(SLOW), FREE, [[1], [0]])
    assert made.parts[0].ended == made.ended == on_wire(1000) + 10 * MS
    assert made.latency + made.transfer + made.computing == made.ended


def test_programs_that_do_not_fit_together_are_noticed() -> None:
    with pytest.raises(InternalError, match="stuck"):
        run([talk(({}, {1: 5})), talk()])


def test_a_prediction_repeats_exactly() -> None:
    def once() -> Timeline:
        rounds = [({1: size}, {1: size}) for size in range(1, 30)]
        return run([talk(*rounds), talk(*[({0: size}, {0: size}) for size in range(1, 30)])], LOOPBACK, TYPICAL)

    first, second = once(), once()
    assert (first.ended, first.computing) == (second.ended, second.computing)
    assert isinstance(first.ended, int)
