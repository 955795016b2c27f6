"""Sources of correlated randomness: correlations, costs, and what becomes of cheaters."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from quorate.engine.count import count
from quorate.engine.names import Scope
from quorate.engine.network import LAN, Network
from quorate.engine.session import Session
from quorate.errors import IntegrityError, InternalError
from quorate.kernels import fixed_aes
from quorate.kernels.ghost import is_ghost
from quorate.preprocessing.cot import Cot
from quorate.preprocessing.thrift import Thrift
from quorate.preprocessing.vole import FieldVole, RingVole
from quorate.testing.correlation_conformance import check_cots, check_voles, integers, run_source

P = 2**61 - 1
SOURCES = {"cot": Cot, "field": FieldVole, "ring": RingVole}


def test_correlated_ots() -> None:
    check_cots(Cot)


def test_correlated_ots_across_tiles() -> None:
    check_cots(Cot, (64 * 6136 - 64, 64 * 6136 + 1), seed=2)


@pytest.mark.parametrize("security", [40, 64, 80])
def test_correlated_ots_at_other_security(security: int) -> None:
    check_cots(Cot, (1, 100), security=security)


def test_unchecked_ots() -> None:
    check_cots(partial(Cot, checked=False))


@pytest.mark.parametrize("security", [40, 80])
def test_silent_ots(security: int) -> None:
    check_cots(partial(Cot, silent=True), (0, 1, 1000), security=security)


@pytest.mark.slow
def test_silent_ots_go_on_with_what_was_made() -> None:
    """Iterations start from what those before them left, however much of that was asked for."""
    check_cots(partial(Cot, silent=True), (0, 1, 948_000, 600_000))


@pytest.mark.parametrize("security", [40, 64])
def test_silent_field_vole(security: int) -> None:
    check_voles(partial(FieldVole, silent=True), P, (0, 1, 1000), security=security)


@pytest.mark.slow
def test_silent_field_vole_goes_on_with_what_it_made() -> None:
    check_voles(partial(FieldVole, silent=True), P, (950_000, 10_000, 950_000), seed=5)


@pytest.mark.parametrize("security", [40, 64])
def test_silent_ring_vole(security: int) -> None:
    check_voles(partial(RingVole, silent=True), 2**128, (0, 1, 1000), security=security)


def test_unchecked_silent_ots() -> None:
    check_cots(partial(Cot, silent=True, checked=False), (100,))


def test_the_network_decides_what_is_used() -> None:
    def sent(network, size):
        def source(session, sender, receiver):
            session.network = network
            return one_way(Cot, session, sender, receiver)

        return run_source(source, (size,))[1].sent[0]

    slow = Network.parse("40ms", "100Mbit")
    assert sent(LAN, 800_000) > 3.5 * 800_000
    assert sent(slow, 800_000) < 0.7 * 800_000
    assert sent(slow, 1000) < 50_000


@pytest.mark.parametrize("security", [40, 64])
def test_field_vole(security: int) -> None:
    check_voles(FieldVole, P, security=security)


@pytest.mark.parametrize("security", [40, 64])
def test_ring_vole(security: int) -> None:
    check_voles(RingVole, 2**128, security=security)


@pytest.mark.parametrize(("source", "modulus"), [(FieldVole, P), (RingVole, 2**128)])
def test_vole_across_tiles(source, modulus) -> None:
    check_voles(source, modulus, (4095, 4097, 9000), seed=3)


@pytest.mark.slow
def test_many_small_wants_are_served_silently_in_the_end() -> None:
    """Each alone would not pay for the start; correlations hold and costs are as counted on both sides of it."""

    def program(times):
        session, root = Session(1, 2, ("a", "b"), counting=True), Scope.root()
        pair = RingVole(session, 0, 1)
        yield from pair.setup(root.child("setup"))
        for turn in range(times):
            yield from pair.extend(root.child(f"extend {turn}"), 30_000)

    assert count(program(1)).sent[0] > 30_000 * 240
    assert count(program(100)).sent[0] < 20 * 30_000 * 240

    def far_apart(session, sender, receiver):
        session.network = Network.parse("40ms", "100Mbit")
        return RingVole(session, sender, receiver)

    check_voles(far_apart, 2**128, [50_000, 50_000, 3000, 1])


@pytest.mark.parametrize(
    "source", [Cot, partial(Cot, silent=True), FieldVole, RingVole], ids=["cot", "silent", "field", "ring"]
)
def test_processors_without_aes_instructions_compute_the_same(source, monkeypatch) -> None:
    """Else two parties with different processors could not work together."""

    def outcome():
        made = run_source(partial(one_way, source), (300,), seed=9)
        batches = [made[me].result.batches[0][0] for me in (0, 1)]
        slots = batches[0].__slots__
        return [getattr(batch, slot) for batch in batches for slot in slots if not is_ghost(getattr(batch, slot))]

    with_instructions = outcome()
    monkeypatch.setattr(fixed_aes, "available", False)
    assert len(with_instructions) == 3
    assert all(np.array_equal(x, y) for x, y in zip(with_instructions, outcome(), strict=True))


def test_thrift() -> None:
    thrift = Thrift()
    assert [thrift.buys(1, 50, 50, 1000, 40) for _ in range(3)] == [False, False, True]
    assert thrift.buys(0, 50, 50, 1000, 40)
    assert not any(thrift.buys(1, 0, 50, 50, 100) for _ in range(10))


def test_delta_is_kept() -> None:
    def with_delta(session, sender, receiver):
        return Cot(session, sender, receiver, np.array([5, 6], np.uint64) if session.me == sender else None)

    check_cots(with_delta, (100,))
    made = run_source(with_delta, (1,))[0].result
    assert made.deltas[0].tolist() == [5, 6]
    assert is_ghost(made.deltas[1])


@pytest.mark.parametrize("delta", [0, 1, P - 1])
def test_extreme_secrets_of_the_field(delta: int) -> None:
    check_voles(partial(FieldVole, delta=delta), P, (50,))


@pytest.mark.parametrize("delta", [0, 1, 2**64 - 1])
def test_extreme_secrets_of_the_ring(delta: int) -> None:
    check_voles(partial(RingVole, delta=delta), 2**128, (50,))


@pytest.mark.parametrize("delta", [P, 2**64 - 1, -1])
def test_secrets_out_of_range(delta: int) -> None:
    with pytest.raises(InternalError, match="out of range"):
        run_source(partial(FieldVole, delta=delta), ())


def test_what_one_does_not_know_is_a_ghost() -> None:
    parties = run_source(Cot, (10,))
    sender, receiver, outsider = (party.result.batches[0][0] for party in parties)
    assert is_ghost(sender.bits)
    assert is_ghost(sender.t)
    assert is_ghost(receiver.q)
    assert all(is_ghost(array) for array in (outsider.q, outsider.bits, outsider.t))


def flip(message: int, at: float, bit: int = 0, speaker: int = 1):
    """Flip one bit of the message with that number from participant `speaker`, of 0 and 1, to the other one."""
    seen = 0

    def intercept(sender, receiver, name, body):
        nonlocal seen
        if (sender, receiver) != (speaker, 1 - speaker):
            return body
        seen += 1
        if seen - 1 != message:
            return body
        changed = bytearray(body)
        changed[int(at * (len(body) - 1))] ^= 1 << bit
        return bytes(changed)

    return intercept


def one_way(source, session, sender, receiver):
    """The pair 0 -> 1 only: the other direction is idle, so that it is clear whom a message belongs to."""
    return source(session, 0, 1) if sender == 0 else Idle()


class Idle:
    delta = None

    def setup(self, at):
        return
        yield

    def extend(self, at, count):
        return
        yield


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("at", [0.0, 0.21, 0.41])  # low words: the high ones of high digits have no meaning
@pytest.mark.parametrize("message", [1, 2])
def test_an_altered_message_of_the_receiver_is_noticed(source: str, at: float, message: int) -> None:
    """Message 0 answers base OTs, 1 holds corrections, 2 the proof. A flip in the corrections of one digit goes
    unnoticed exactly when it is multiplied by a digit of 0, so the secret has none."""
    kind = {"cot": np.array([2**64 - 1] * 2, np.uint64), "field": P - 1, "ring": 2**64 - 1}[source]
    maker = partial(one_way, partial(SOURCES[source], delta=kind))
    with pytest.raises(IntegrityError, match=r"extend 0 0: the check .* failed: peer 1 .* nothing was opened"):
        run_source(maker, (200,), intercept=flip(message, at))


@pytest.mark.parametrize("message", [4, 5, 6])
@pytest.mark.parametrize("at", [0.0, 1.0])
@pytest.mark.parametrize("source", [FieldVole, RingVole])
def test_altered_messages_of_silent_voles_are_noticed_or_harmless(source, message: int, at: float) -> None:
    """Of the sender: 4 has sums of trees and what their ends lack, 5 and 6 are of the comparison."""
    maker = partial(one_way, partial(source, silent=True))
    made, complaint = None, ""
    try:
        made = run_source(maker, (100,), intercept=flip(message, at, speaker=0))
    except IntegrityError as error:
        complaint = str(error)
    if made is None:
        assert "nothing was opened" in complaint
        return
    sent, got = (made[me].result.batches[0][0] for me in (0, 1))
    delta, modulus = int(made[0].result.deltas[0][0]), P if source is FieldVole else 2**128
    rows = zip(integers(sent.k), integers(got.u), integers(got.m), strict=True)
    assert all((k + u * delta - m) % modulus == 0 for k, u, m in rows)
    assert (message, at) == (4, 0.0)  # a sum that is not opened


@pytest.mark.parametrize("message", range(1, 6))
@pytest.mark.parametrize("at", [0.0, 1.0])
@pytest.mark.parametrize("cheat", [0, 1])
def test_altered_messages_of_silent_ots_are_noticed_or_harmless(message: int, at: float, cheat: int) -> None:
    """Of the sender: 0 asks for base OTs, 1 is the base's challenge, 2 has the sums of trees, 3 and 4 are of the
    comparison. Of the receiver: 0 answers, 1 and 2 are the base's, 3 has its choices, 4 the challenge, 5 is of the
    comparison. The secret has no digit of 0, with which a flip in the corrections of one digit would be multiplied."""
    maker = partial(one_way, partial(Cot, delta=np.array([2**64 - 1] * 2, np.uint64), silent=True))
    made, complaint = None, ""
    try:
        made = run_source(maker, (1000,), intercept=flip(message, at, speaker=cheat))
    except IntegrityError as error:
        complaint = str(error)
    if made is None:
        assert "nothing was opened" in complaint
        return
    sent, got = (made[me].result.batches[0][0] for me in (0, 1))
    assert np.array_equal(got.t, sent.q ^ got.bits.astype(np.uint64)[:, None] * made[0].result.deltas[0])
    assert (cheat, message) in {(0, 2), (0, 5), (1, 3)}  # sums that are not opened, no message, choices: all harmless


@pytest.mark.parametrize("at", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_altered_trees_are_noticed_or_harmless(at: float) -> None:
    """The owner of the trees sends points, sums, hashes and a digest: whatever the receiver of them uses is checked."""
    maker = partial(one_way, Cot)
    try:
        made = run_source(maker, (200,), intercept=flip(0, at))
    except IntegrityError:
        return
    sent, got = (made[me].result.batches[0][0] for me in (0, 1))
    delta = made[0].result.deltas[0]
    assert np.array_equal(got.t, sent.q ^ got.bits.astype(np.uint64)[:, None] * delta)


def test_a_guess_of_a_digit_is_noticed_if_it_is_wrong() -> None:
    """A receiver that uses other bits for one digit passes only if it knows that digit: here digit 1 is 0 or not."""
    for digit, passes in ((0, True), (9, False)):
        delta = np.array([0x1234567890ABCD0F | digit << 4, 77], np.uint64)
        seen: list[int] = []

        def intercept(sender, receiver, name, body, seen=seen):
            if (sender, receiver) == (1, 0):
                seen.append(1)
                if len(seen) == 2:
                    return bytes([body[0] ^ 1]) + body[1:]
            return body

        maker = partial(one_way, partial(Cot, delta=delta))
        if passes:
            run_source(maker, (64,), intercept=intercept)
        else:
            with pytest.raises(IntegrityError):
                run_source(maker, (64,), intercept=intercept)


def test_a_cheating_sender_learns_nothing_from_the_check() -> None:
    """The sender chooses the combination; what it sees of u is hidden by elements that are thrown away."""
    shown = []

    def intercept(sender, receiver, name, body):
        if (sender, receiver) == (0, 1) and len(body) == 16:
            return bytes(16)  # always the same combination
        if (sender, receiver) == (1, 0) and len(body) == 40:
            shown.append(body[:8])
        return body

    for seed in range(3):
        with pytest.raises(IntegrityError):
            run_source(partial(one_way, Cot), (64,), seed=seed, intercept=intercept)
    assert len(set(shown)) == 3


def test_numbers_of_the_ring_are_pairs() -> None:
    assert integers(np.array([[1, 1]], np.uint64)) == [2**64 + 1]
