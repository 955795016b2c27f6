"""The tests that every transport has to pass. Run them on your own:

    from quorate.testing.transport_conformance import TransportConformance

    class TestMine(TransportConformance):
        @pytest.fixture
        def connect(self):
            return my_function      # n -> the n connected endpoints of a fresh session, see `Endpoint`

Each participant runs in a thread of its own. For a transport made of `Link`s, `LinkEndpoint` is the endpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from quorate.engine.exchange import Array, Exchange, Fork, Step
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.errors import AgreementError, DataError, PeerError, PeerTimeout
from quorate.transport.conduct import conduct
from quorate.transport.link import Link

__all__ = ["NAMES", "Connect", "Endpoint", "LinkEndpoint", "Outcome", "TransportConformance", "content", "take_part"]

NAMES = ("alice", "bob", "carol", "dave")
LARGE = 20_000_000
SIZES = (1, 7, 15_999, 16_000, 16_001, 65_536, 65_537, 262_144, 300_001, 5_000_000)
"""Around the limits where transports change their ways: records, staging buffers, chunks."""

Program = Callable[[Scope], Step[Any]]


class Endpoint(Protocol):
    """One participant's end of a session; used for one program."""

    def conduct(
        self, party: Party, root_scope: Scope, names: Sequence[str], round_timeout: float, session_timeout: float
    ) -> Any:
        """Run the program to its end, as `quorate.transport.conduct.conduct` describes."""

    def vanish(self) -> None:
        """Drop all connections without a word, as if the process died."""

    def wire_bytes(self) -> Mapping[int, tuple[int, int]]:
        """Peer -> bytes (received from it, sent to it) on the network, everything included."""


class LinkEndpoint:
    """The endpoint over links, peer index -> link."""

    def __init__(self, links: Mapping[int, Link]) -> None:
        self.links = links

    def conduct(
        self, party: Party, root_scope: Scope, names: Sequence[str], round_timeout: float, session_timeout: float
    ) -> Any:
        """See `Endpoint`."""
        return conduct(
            party,
            self.links,
            root_scope=root_scope,
            names=names,
            round_timeout=round_timeout,
            session_timeout=session_timeout,
        )

    def vanish(self) -> None:
        """See `Endpoint`."""
        for link in self.links.values():
            link.close()

    def wire_bytes(self) -> dict[int, tuple[int, int]]:
        """See `Endpoint`."""
        return {peer: (link.bytes_in, link.bytes_out) for peer, link in self.links.items()}


Connect = Callable[[int], Sequence[Endpoint]]


@dataclass
class Outcome:
    """How it ended for one participant: its result or its error, and after how many seconds."""

    result: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    party: Party | None = field(default=None, repr=False)


def take_part(
    endpoints: Sequence[Endpoint],
    programs: Sequence[Program | None],
    *,
    round_timeout: float = 20.0,
    session_timeout: float = 60.0,
) -> list[Outcome]:
    """Run the programs against each other; None is a participant that is connected and does nothing.

    Raises:
        AssertionError: somebody has not ended within the session's time and some seconds.
    """
    outcomes = [Outcome() for _ in programs]

    def work(index: int, program: Program) -> None:
        root, outcome = Scope.root(), outcomes[index]
        start = time.monotonic()
        try:
            outcome.party = Party(program(root.child("work")))
            outcome.result = endpoints[index].conduct(outcome.party, root, NAMES, round_timeout, session_timeout)
        except BaseException as problem:
            outcome.error = problem
        outcome.seconds = time.monotonic() - start

    threads = [
        threading.Thread(target=work, args=(index, program), daemon=True)
        for index, program in enumerate(programs)
        if program is not None
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + session_timeout + 5
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        _require(not thread.is_alive(), "a participant hangs")
    return outcomes


def content(label: int, size: int) -> Array:
    """`size` reproducible bytes (uint8) that depend on the label and the position."""
    words = np.arange(size // 8 + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(label)
    words ^= words >> np.uint64(29)
    return words.view(np.uint8)[:size]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _succeed(outcomes: Sequence[Outcome]) -> list[Any]:
    for name, outcome in zip(NAMES, outcomes, strict=False):
        if outcome.error is not None:
            raise AssertionError(f"{name} failed") from outcome.error
    return [outcome.result for outcome in outcomes]


def _fails(outcome: Outcome, kind: type[BaseException], *words: str) -> str:
    """The message of the error with which the participant must have ended."""
    _require(isinstance(outcome.error, kind), f"{outcome.error!r} instead of {kind.__name__}")
    text = str(outcome.error)
    for word in words:
        _require(word in text, f"the error does not mention {word!r}: {text}")
    return text


def _same(got: Array, expected: Array, what: str) -> None:
    _require(bool(np.array_equal(got, expected)), f"{what} arrived with other content than was sent")


def _swap(at: Scope, peer: int, mine: Array, size: int) -> Step[Array]:
    """Send `mine` to the peer and receive `size` bytes from it in the same round."""
    got = np.zeros(size, dtype=np.uint8)
    yield Exchange(at.step(), {peer: [mine]}, {peer: [got]})
    return got


def _pause(at: Scope, seconds: float) -> Step[None]:
    """Be busy for that time, in small tasks."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
        yield Exchange(at.step())


class TransportConformance:
    """Subclass it and give a fixture `connect`; see the module."""

    # -- messages arrive as they were sent ---------------------------------------------------------------------------

    def test_many_small_rounds(self, connect: Connect) -> None:
        """Round after round around a ring: every message in its place."""

        def program(me: int) -> Program:
            def run(at: Scope) -> Step[int]:
                for k in range(300):
                    got = np.zeros(2, dtype=np.int64)
                    mine = np.array([me, k], dtype=np.int64)
                    yield Exchange(at.step(), {(me + 1) % 3: [mine]}, {(me - 1) % 3: [got]})
                    _require(got.tolist() == [(me - 1) % 3, k], f"round {k}: got {got.tolist()}")
                return me

            return run

        _require(_succeed(take_part(connect(3), [program(me) for me in range(3)])) == [0, 1, 2], "wrong results")

    def test_messages_of_all_sizes(self, connect: Connect) -> None:
        """Small, large and empty messages, both ways at once."""

        def program(me: int) -> Program:
            def run(at: Scope) -> Step[None]:
                for k, size in enumerate(SIZES):
                    got = yield from _swap(at, 1 - me, content(2 * k + me, size), size)
                    _same(got, content(2 * k + 1 - me, size), f"a message of {size} bytes")
                    empty = yield from _swap(at, 1 - me, content(0, 0), 0)
                    _require(empty.size == 0, "an empty message has content")

            return run

        _succeed(take_part(connect(2), [program(0), program(1)]))

    def test_messages_of_many_parts(self, connect: Connect) -> None:
        """A message is its bytes: sender and receiver may cut it into arrays as each likes."""
        total = 700_000
        cuts = ((0, 3, 3, 40_000, 600_000), (0, 17, 20_000, 20_001, 699_999))

        def parts(array: Array, where: Sequence[int]) -> list[Array]:
            return [array[a:b] for a, b in zip(where, (*where[1:], array.size), strict=True)]

        def program(me: int) -> Program:
            def run(at: Scope) -> Step[None]:
                for scale in (1, 100):  # in several pieces, and in one
                    size, places = total // scale, [place // scale for place in cuts[me]]
                    got = np.zeros(size, dtype=np.uint8)
                    sends = {1 - me: parts(content(me, size), places)}
                    yield Exchange(at.step(), sends, {1 - me: parts(got, places[::2])})
                    _same(got, content(1 - me, size), "a message in parts")

            return run

        _succeed(take_part(connect(2), [program(0), program(1)]))

    def test_large_messages_in_both_directions_at_once(self, connect: Connect) -> None:
        """Everybody sends more than any buffer holds before anybody reads: nobody waits for ever."""

        def program(me: int) -> Program:
            def run(at: Scope) -> Step[None]:
                before, after = (me - 1) % 3, (me + 1) % 3
                got = {peer: np.zeros(LARGE // 2, dtype=np.uint8) for peer in (before, after)}
                mine = content(me, LARGE // 2)
                name = at.step()
                yield Exchange(name, {peer: [mine] for peer in got}, {peer: [array] for peer, array in got.items()})
                for peer, array in got.items():
                    _same(array, content(peer, LARGE // 2), "a large message")
                _same((yield from _swap_ring(at, after, before, content(me, LARGE))), content(before, LARGE), "20 MB")

            return run

        _succeed(take_part(connect(3), [program(me) for me in range(3)]))

    def test_a_peer_far_ahead(self, connect: Connect) -> None:
        """Messages that arrive long before they are asked for, and are asked for in another order, are kept."""
        sizes = [1 + 997 * k for k in range(60)] + [2_000_000, 5]

        def ahead(at: Scope) -> Step[None]:
            for k, size in enumerate(sizes):
                yield Exchange(at.child(f"{k}").step(), {1: [content(k, size)]})

        def behind(at: Scope) -> Step[None]:
            yield from _pause(at, 0.3)
            for k in reversed(range(len(sizes))):
                got = np.zeros(sizes[k], dtype=np.uint8)
                yield Exchange(at.child(f"{k}").step(), {}, {0: [got]})
                _same(got, content(k, sizes[k]), f"early message {k}")

        _succeed(take_part(connect(2), [ahead, behind]))

    def test_interleaved_forks(self, connect: Connect) -> None:
        """Independent strands that each side runs in another order and width."""
        count = 40

        def program(me: int) -> Program:
            def strand(at: Scope, k: int) -> Step[int]:
                for turn in range(3):
                    size = (k * 7919) % 200_000 + 1 if k % 3 else 100
                    got = yield from _swap(at, 1 - me, content(100 * k + 10 * turn + me, size), size)
                    _same(got, content(100 * k + 10 * turn + 1 - me, size), f"strand {k}")
                return k

            def run(at: Scope) -> Step[list[int]]:
                scopes = [at.child(f"{k}") for k in range(count)]
                results: list[int] = yield Fork([strand(scopes[k], k) for k in range(count)], width=4 + 3 * me)
                return results

            return run

        for result in _succeed(take_part(connect(2), [program(0), program(1)])):
            _require(result == list(range(count)), "results of a fork are out of order")

    def test_byte_counts(self, connect: Connect) -> None:
        """Bodies are counted exactly; on the wire, what one side sent is what the other received."""
        sizes = (1, 8, 20_000, 1_000_000)

        def program(me: int) -> Program:
            def run(at: Scope) -> Step[None]:
                for size in sizes:
                    yield from _swap_ring(at, (me + 1) % 3, (me - 1) % 3, content(me, size))

            return run

        endpoints = connect(3)
        outcomes = take_part(endpoints, [program(me) for me in range(3)])
        _succeed(outcomes)
        for me, outcome in enumerate(outcomes):
            party = outcome.party
            _require(party is not None and party.sent == {(me + 1) % 3: sum(sizes)}, "bytes sent are miscounted")
            _require(party is not None and party.messages == len(sizes), "messages are miscounted")
            for peer, (_, out) in endpoints[me].wire_bytes().items():
                arrived, _ = endpoints[peer].wire_bytes()[me]
                _require(out == arrived, f"{out} bytes left, {arrived} arrived")
                _require(out > (sum(sizes) if peer == (me + 1) % 3 else 0), f"only {out} bytes on the wire")

    # -- ends ---------------------------------------------------------------------------------------------------------

    def test_one_ends_long_before_the_others(self, connect: Connect) -> None:
        """Whoever is done first waits, and disturbs nobody."""

        def first(at: Scope) -> Step[str]:
            yield Exchange(at.step(), {1: [content(1, 10)], 2: [content(1, 10)]})
            return "first"

        def later(me: int) -> Program:
            def run(at: Scope) -> Step[str]:
                got = np.zeros(10, dtype=np.uint8)
                yield Exchange(at.step(), {}, {0: [got]})
                yield from _pause(at.child("pause"), 0.5)
                yield from _swap(at, 3 - me, content(0, 5000), 5000)
                return "later"

            return run

        _require(_succeed(take_part(connect(3), [first, later(1), later(2)])) == ["first", "later", "later"], "results")

    def test_a_busy_peer_is_not_silent(self, connect: Connect) -> None:
        """Work between messages may take longer than the time-out for a round, if it comes in small tasks."""

        def busy(at: Scope) -> Step[None]:
            yield from _pause(at.child("pause"), 2.5)
            yield Exchange(at.step(), {1: [content(0, 9)]})

        def waits(at: Scope) -> Step[None]:
            yield Exchange(at.step(), {}, {0: [np.zeros(9, dtype=np.uint8)]})

        _succeed(take_part(connect(2), [busy, waits], round_timeout=1.0))

    def test_whoever_is_done_waits_in_silence(self, connect: Connect) -> None:
        """After its last word a participant says nothing more, however long the others go on working."""

        def done(at: Scope) -> Step[None]:
            yield Exchange(at.step(), {1: [content(0, 9)]})

        def goes_on(at: Scope) -> Step[None]:
            yield Exchange(at.step(), {}, {0: [np.zeros(9, dtype=np.uint8)]})
            yield from _pause(at.child("pause"), 0.6)

        _succeed(take_part(connect(2), [done, goes_on], round_timeout=1.0))

    # -- what goes wrong is named --------------------------------------------------------------------------------------

    def test_wrong_length(self, connect: Connect) -> None:
        """Another length than agreed ends the session at both, for small and for large messages."""
        for sent, agreed in ((8, 16), (16, 8), (1_000_000, 900_000), (900_000, 1_000_000)):

            def sender(at: Scope, sent: int = sent) -> Step[None]:
                yield from _swap(at, 1, content(0, sent), 4)
                yield from _swap(at, 1, content(0, 4), 4)

            def receiver(at: Scope, agreed: int = agreed) -> Step[None]:
                got = yield from _swap(at, 0, content(0, 4), agreed)
                _require(got.size < 0, "a message of the wrong length was accepted")

            outcomes = take_part(connect(2), [sender, receiver])
            _fails(outcomes[1], PeerError, "alice", str(sent), str(agreed))
            _fails(outcomes[0], PeerError, "bob")

    def test_a_message_that_nobody_asked_for(self, connect: Connect) -> None:
        """Programs that differ are noticed at the end at the latest."""

        def talkative(at: Scope) -> Step[None]:
            yield Exchange(at.step(), {1: [content(0, 3)]})

        def deaf(at: Scope) -> Step[None]:
            yield Exchange(at.step())

        _fails(take_part(connect(2), [talkative, deaf])[1], PeerError, "alice")

    def test_a_peer_vanishes(self, connect: Connect) -> None:
        """A dropped connection is noticed at once; the error names who left, and the step that waits for it."""
        endpoints = connect(3)

        def waits(at: Scope) -> Step[None]:
            yield Exchange(at.child("mul").step(), {}, {1: [np.zeros(8, dtype=np.uint8)]})

        timer = threading.Timer(0.3, endpoints[1].vanish)
        timer.start()
        outcomes = take_part(endpoints, [waits, None, waits])
        timer.join()
        for outcome in (outcomes[0], outcomes[2]):
            text = _fails(outcome, PeerError, "bob")
            _require("mul" in text or "failed" in text, f"the error names neither the step nor who noticed: {text}")
            _require(outcome.seconds < 5, f"noticed only after {outcome.seconds:.1f} s")

    def test_a_peer_vanishes_while_it_is_sent_to(self, connect: Connect) -> None:
        """Also with much on its way to it."""
        endpoints = connect(2)

        def sends(at: Scope) -> Step[None]:
            for _ in range(10):
                yield Exchange(at.step(), {1: [content(0, 5_000_000)]})

        timer = threading.Timer(0.3, endpoints[1].vanish)
        timer.start()
        outcomes = take_part(endpoints, [sends, None])
        timer.join()
        _fails(outcomes[0], PeerError, "bob")
        _require(outcomes[0].seconds < 5, f"noticed only after {outcomes[0].seconds:.1f} s")

    def test_a_failing_peer_names_the_reason(self, connect: Connect) -> None:
        """All others fail at once, and say why."""

        def fails(at: Scope) -> Step[None]:
            yield from _pause(at.child("pause"), 0.2)
            raise AgreementError("plan of bob differs at operation 12\x1b[31m\n")

        def waits(at: Scope) -> Step[None]:
            yield Exchange(at.step(), {}, {1: [np.zeros(8, dtype=np.uint8)]})

        outcomes = take_part(connect(3), [waits, fails, waits])
        _fails(outcomes[1], AgreementError)
        for outcome in (outcomes[0], outcomes[2]):
            text = _fails(outcome, PeerError, "plan of bob differs at operation 12")
            _require(text.isprintable(), "control characters of a peer reach our terminal")
            _require(outcome.seconds < 5, f"told only after {outcome.seconds:.1f} s")

    def test_local_content_is_not_told(self, connect: Connect) -> None:
        """An error about our own data quotes it for us, and for nobody else."""

        def fails(at: Scope) -> Step[None]:
            yield from _pause(at.child("pause"), 0.1)
            raise DataError("patients.csv, row 7, cost: 'four thousand' is not a number")

        def waits(at: Scope) -> Step[None]:
            yield Exchange(at.step(), {}, {0: [np.zeros(8, dtype=np.uint8)]})

        outcomes = take_part(connect(2), [fails, waits])
        _fails(outcomes[0], DataError, "four thousand")
        text = _fails(outcomes[1], PeerError, "alice", "DataError")
        _require("thousand" not in text and "patients" not in text, f"local content was told: {text}")

    def test_silence(self, connect: Connect) -> None:
        """A connected peer that says nothing ends the session in time; the error names it and the step."""

        def waits(at: Scope) -> Step[None]:
            yield Exchange(at.child("op 12 mul").step(), {}, {1: [np.zeros(8, dtype=np.uint8)]})

        outcome = take_part(connect(2), [waits, None], round_timeout=0.6)[0]
        _fails(outcome, PeerTimeout, "bob", "op 12 mul", "0.6")
        _require(0.5 < outcome.seconds < 60, f"ended after {outcome.seconds:.1f} s")

    def test_a_session_that_never_ends(self, connect: Connect) -> None:
        """The session's time-out ends it however busy everybody is."""

        def program(me: int) -> Program:
            def run(at: Scope) -> Step[None]:
                while True:
                    yield from _swap(at, 1 - me, content(0, 8), 8)

            return run

        outcomes = take_part(connect(2), [program(0), program(1)], round_timeout=5, session_timeout=0.6)
        _require(any(isinstance(o.error, PeerTimeout) for o in outcomes), "nobody noticed that the time was over")
        for outcome in outcomes:
            _fails(outcome, PeerError)
            _require(outcome.seconds < 60, f"ended after {outcome.seconds:.1f} s")


def _swap_ring(at: Scope, after: int, before: int, mine: Array) -> Step[Array]:
    got = np.zeros_like(mine)
    yield Exchange(at.step(), {after: [mine]}, {before: [got]})
    return got
