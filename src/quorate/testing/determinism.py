"""Whether a participant is a function of its seed, its inputs and what it receives, in whatever order that comes.

    world = World("rep3", seed=7)
    check_determinism(partial(world.programs, program))

runs all programs again and again, with messages that overtake each other and participants that fall behind, and then
every participant alone with what it had received: names and bodies of all messages must be the same each time. Sessions
that survive restarts rely on this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from quorate.crypto.entropy import SeededEntropyForTests
from quorate.engine.exchange import Step
from quorate.engine.names import Name
from quorate.engine.party import Party
from quorate.errors import InternalError, PeerTimeout

__all__ = ["Route", "Transcript", "alone", "check_determinism", "scattered"]

Route = tuple[int, int, Name]
"""(sender, receiver, name) of a message."""


@dataclass
class Transcript:
    """All messages of a run, what every participant's program returned, and how many rounds it took."""

    messages: dict[Route, bytes]
    results: list[Any] = field(repr=False)
    rounds: list[int]

    def to(self, receiver: int) -> dict[Route, bytes]:
        """What this participant received."""
        return {route: body for route, body in self.messages.items() if route[1] == receiver}

    def of(self, sender: int) -> dict[Route, bytes]:
        """What this participant sent."""
        return {route: body for route, body in self.messages.items() if route[0] == sender}


class _Delays:
    """Waiting times of very different lengths, from a seed alone."""

    def __init__(self, seed: int) -> None:
        self._entropy = SeededEntropyForTests(seed, "delays")

    def next(self) -> int:
        drawn = int.from_bytes(self._entropy.bytes(4), "big")
        return 1 + (drawn >> 4) % (1 << (drawn & 15))


@dataclass
class _Scattered:
    """A run whose events (an arrival, or a turn of a participant) have random times."""

    parties: list[Party]
    delays: _Delays
    now: int = 0
    count: int = 0
    events: list[tuple[int, int, int, Route | None]] = field(default_factory=list)
    turns: set[int] = field(default_factory=set)
    messages: dict[Route, bytes] = field(default_factory=dict)

    def later(self, who: int, arriving: Route | None) -> None:
        self.count += 1
        heappush(self.events, (self.now + self.delays.next(), self.count, who, arriving))

    def wake(self, who: int) -> None:
        """Give a participant a turn some time, if it has anything to do and is to have none yet."""
        if who not in self.turns and self.parties[who].ready and not self.parties[who].done:
            self.turns.add(who)
            self.later(who, None)

    def turn(self, who: int) -> None:
        party = self.parties[who]
        self.turns.discard(who)
        party.advance()
        while party.outbox:
            message = party.outbox.popleft()
            route = (who, message.peer, message.name)
            if route in self.messages:
                raise InternalError(f"participant {who} sent two messages under the name {message.name}")
            self.messages[route] = b"".join(array.tobytes() for array in message.buffers)
            if message.peer < len(self.parties):
                self.later(message.peer, route)

    def run(self) -> None:
        for who in range(len(self.parties)):
            self.wake(who)
        while self.events:
            self.now, _, who, arriving = heappop(self.events)
            if arriving is None:
                self.turn(who)
            else:
                self.parties[who].deliver(arriving[0], arriving[2], self.messages[arriving])
            self.wake(who)


def scattered(programs: Sequence[Step[Any]], seed: int) -> Transcript:
    """Run one program per participant; messages and turns come at moments that the seed determines.

    Raises:
        PeerTimeout: nobody can go on.
        QuorateError: whatever a program raises.
    """
    run = _Scattered([Party(program) for program in programs], _Delays(seed))
    run.run()
    _finished(run.parties)
    return Transcript(run.messages, [party.result for party in run.parties], [party.rounds for party in run.parties])


def alone(
    program: Step[Any], me: int, received: Mapping[Route, bytes], seed: int, *, spare: bool = False
) -> Transcript:
    """What participant `me` sends and returns when it is run again by itself and given what it had `received`, in
    another order. With `spare` it need not ask for all of it again.

    Raises:
        PeerTimeout: it waits for something else.
        QuorateError: whatever the program raises.
    """
    party, delays = Party(program), _Delays(seed)
    order = sorted(received, key=lambda route: (delays.next(), route))
    sent: dict[Route, bytes] = {}
    while order or (party.ready and not party.done):
        if order and (not party.ready or delays.next() > 2):
            route = order.pop()
            party.deliver(route[0], route[2], received[route])
        else:
            party.advance()
        while party.outbox:
            message = party.outbox.popleft()
            sent[me, message.peer, message.name] = b"".join(array.tobytes() for array in message.buffers)
    _finished([party], spare=spare)
    return Transcript(sent, [party.result], [party.rounds])


def check_determinism(programs: Callable[[], Sequence[Step[Any]]], orders: int = 3) -> Transcript:
    """Run what `programs` makes, one program per participant with the same seeds every time, in several orders, then
    every participant alone; returns what happened the first time.

    Raises:
        AssertionError: names, bodies, rounds or results depend on the order; says at which message first.
    """
    first = scattered(programs(), 0)
    for seed in range(1, orders):
        other = scattered(programs(), seed)
        _compare(first.messages, other.messages, f"order {seed}")
        if (repr(first.results), first.rounds) != (repr(other.results), other.rounds):
            raise AssertionError(f"order {seed}: results or rounds depend on the order of messages")
    for me, again in enumerate(programs()):
        sent = alone(again, me, first.to(me), orders + me).messages
        _compare(first.of(me), sent, f"participant {me}, run again by itself")
    return first


def _compare(wanted: Mapping[Route, bytes], got: Mapping[Route, bytes], what: str) -> None:
    for route, body in got.items():
        if route not in wanted:
            raise AssertionError(f"{what}: a message {route} that was not sent before")
        if wanted[route] != body:
            raise AssertionError(f"{what}: message {route} has another body")
    if missing := [route for route in wanted if route not in got]:
        raise AssertionError(f"{what}: message {missing[0]} and {len(missing) - 1} others were not sent again")


def _finished(parties: Sequence[Party], *, spare: bool = False) -> None:
    for party in parties:
        if not party.done:
            raise PeerTimeout(f"a participant cannot go on: it waits for {party.waiting()[:3]}")
        if party.leftovers() and not spare:
            raise InternalError(f"messages were sent that nobody asked for: {party.leftovers()[:3]}")
