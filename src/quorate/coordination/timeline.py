"""How long a session takes: all participants' programs on arrays without content, driven in virtual time.

This is a conductor like that of `quorate.transport.conduct`, with the network and the work replaced by models. The
programs, the messages and who waits for whom are real; sizes, rounds and messages are exact. Integers only: the same
inputs give the same prediction on every machine.

The network: a message of s bytes leaves its sender's uplink, which carries one message after the other, arrives half a
round trip later, and passes the uplink's counterpart at the receiver likewise. A participant has one thread, which
receives, computes and sends in turn.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from quorate.coordination.machine import Machine
from quorate.engine.exchange import Step
from quorate.engine.names import Name
from quorate.engine.network import Network
from quorate.engine.party import Message, Party
from quorate.engine.session import Effort, Session
from quorate.errors import InternalError
from quorate.transport.frames import HEADER_SIZE

__all__ = ["LOOPBACK", "Links", "Part", "Timeline", "predict"]

RECORD, RECORD_OVERHEAD = 1 << 14, 22
"""Bytes of a message in one TLS record, and what the record adds."""
LOOPBACK = Network(0, 10**13)
"""Between processes of one machine: all that counts there is how long they compute, encrypt and copy."""
_GIGA = 10**9


@dataclass(frozen=True)
class Links:
    """The network of a session: alike everywhere, but for pairs that were measured.

    Attributes:
        network: for all pairs that are not listed.
        pairs: (sender, receiver) -> what was measured between them.
    """

    network: Network
    pairs: Mapping[tuple[int, int], Network] = field(default_factory=dict)

    def between(self, sender: int, receiver: int) -> Network:
        """The network from one participant to another."""
        return self.pairs.get((sender, receiver)) or self.pairs.get((receiver, sender)) or self.network

    def latency(self, sender: int, receiver: int) -> int:
        """Nanoseconds from one participant to another."""
        return self.between(sender, receiver).rtt_us * 500

    def rate(self, participant: int, others: int) -> int:
        """Bits per second that a participant can send to all others together: what its best pair can."""
        rates = [self.between(participant, other).bandwidth for other in range(others) if other != participant]
        return max(rates, default=self.network.bandwidth)


@dataclass(frozen=True)
class Part:
    """One participant's session: what it exchanges, and when it has ended (nanoseconds from the start).

    `busy` is the time that it computes, sends or receives; `in_flight` the most bytes that it had under way or unread.
    """

    party: Party
    effort: Effort
    ended: int
    busy: int
    in_flight: int


@dataclass(frozen=True)
class Timeline:
    """A predicted session. The longest chain of causes takes `latency` + `transfer` + `computing` nanoseconds."""

    parts: tuple[Part, ...]
    latency: int
    transfer: int
    computing: int

    @property
    def ended(self) -> int:
        """Nanoseconds until the last participant has ended."""
        return max(part.ended for part in self.parts)


def predict(
    programs: Sequence[Step[Any]],
    sessions: Sequence[Session],
    links: Links,
    machine: Machine,
    connected: Sequence[Sequence[int]] | None = None,
) -> Timeline:
    """Run every participant's program, on a session that is counting, in virtual time.

    Args:
        programs, sessions: by participant.
        connected: per participant, those with whom it has a connection; it ends when these have ended too. By default
            nobody waits for others at the end.

    Raises:
        QuorateError: whatever a program raises.
    """
    return _Replay(programs, sessions, links, machine).run(connected or [()] * len(programs))


class _Turn:
    """A stretch of work of one participant, and what had to happen before it could begin."""

    __slots__ = ("before", "mail", "start")

    def __init__(self, start: int, before: _Turn | None, mail: _Mail | None) -> None:
        self.start = start
        self.before = before
        self.mail = mail


class _Mail:
    """A message under way."""

    __slots__ = ("arrived", "bits", "latency", "name", "sender", "sent", "size", "turn")

    def __init__(self, turn: _Turn, sender: int, message: Message, bits: int, sent: int, latency: int) -> None:
        self.turn, self.sender, self.bits, self.sent, self.latency = turn, sender, bits, sent, latency
        self.name, self.size = message.name, message.size
        self.arrived = 0


class _Participant:
    def __init__(self, index: int, program: Step[Any], session: Session, rate: int, worked: int) -> None:
        self.index = index
        self.party = Party(program)
        self.effort = session.effort
        self.rate = rate
        self.inbox: deque[_Mail] = deque()
        self.early: dict[tuple[int, Name], int] = {}
        self.idle = False
        self.last: _Turn | None = None
        self.uplink = self.downlink = 0
        self.worked = worked
        self.busy = self.ended = 0
        self.in_flight = self.most_in_flight = 0

    def take(self, mail: _Mail) -> None:
        """A message has been read: into its place, or aside if nobody waits for it yet."""
        if self.party.too_late(mail.sender, mail.name, mail.size):
            return
        if self.party.slot(mail.sender, mail.name, mail.size) is None:
            self.early[mail.sender, mail.name] = mail.size
            self.hold(mail.size)
        else:
            self.party.filled(mail.sender, mail.name)

    def take_early(self) -> None:
        """After a step: messages that were early may be awaited now."""
        for (sender, name), size in list(self.early.items()):
            if self.party.slot(sender, name, size) is not None:
                del self.early[sender, name]
                self.hold(-size)
                self.party.filled(sender, name)
            elif self.party.too_late(sender, name, size):
                del self.early[sender, name]
                self.hold(-size)

    def hold(self, size: int) -> None:
        """So many bytes more are under way or unread here."""
        self.in_flight += size
        self.most_in_flight = max(self.most_in_flight, self.in_flight)


class _Replay:
    def __init__(
        self, programs: Sequence[Step[Any]], sessions: Sequence[Session], links: Links, machine: Machine
    ) -> None:
        self.links, self.machine = links, machine
        self.participants = [
            _Participant(index, program, session, links.rate(index, len(programs)), machine.work(session.effort))
            for index, (program, session) in enumerate(zip(programs, sessions, strict=True))
        ]
        self.pairs: dict[tuple[int, int], int] = {}
        self.cores = [0] * (machine.cores or 0)
        self.order = count()
        self.events: list[tuple[int, int, _Participant, _Mail | None]] = []

    def run(self, connected: Sequence[Sequence[int]]) -> Timeline:
        for who in self.participants:
            self._push(0, who, None)
        while self.events:
            now, _, who, mail = heapq.heappop(self.events)
            if mail is not None:
                self._deliver(who, now, mail)
            elif who.inbox or who.party.ready:
                self._work(who, now, None)
            else:
                who.idle = True
        stuck = [who.index for who in self.participants if not who.party.done]
        if stuck:
            raise InternalError(f"the prediction is stuck: participants {stuck} wait for messages; please report this")
        return self._timeline(connected)

    def _push(self, time: int, who: _Participant, mail: _Mail | None) -> None:
        heapq.heappush(self.events, (time, next(self.order), who, mail))

    def _deliver(self, who: _Participant, now: int, mail: _Mail) -> None:
        """The last byte of a message reaches its receiver's downlink, or has passed it."""
        if not mail.arrived:
            mail.arrived = who.downlink = max(now, who.downlink + mail.bits * _GIGA // who.rate)
            if mail.arrived > now:
                self._push(mail.arrived, who, mail)
                return
        self.participants[mail.sender].hold(-mail.size)
        who.inbox.append(mail)
        if who.idle:
            who.idle = False
            self._work(who, now, mail)

    def _work(self, who: _Participant, now: int, woken: _Mail | None) -> None:
        """One turn: read what has arrived, resume one step, send what it gives."""
        start = max(now, self.cores[0]) if self.cores else now
        turn = _Turn(start, None if woken else who.last, woken)
        clock = start + self._read(who)
        if who.party.ready:
            clock += self._advance(who)
            while who.party.outbox:
                message = who.party.outbox.popleft()
                clock += self.machine.sending(message.size)
                self._send(who, turn, message, clock)
        if self.cores:
            heapq.heapreplace(self.cores, clock)
        who.last, who.ended = turn, clock
        who.busy += clock - start
        self._push(clock, who, None)

    def _read(self, who: _Participant) -> int:
        cost = 0
        while who.inbox:
            mail = who.inbox.popleft()
            cost += self.machine.receiving(mail.size)
            who.take(mail)
        return cost

    def _advance(self, who: _Participant) -> int:
        who.party.advance()
        who.take_early()
        before, who.worked = who.worked, self.machine.work(who.effort)
        return self.machine.step_ns + who.worked - before

    def _send(self, who: _Participant, turn: _Turn, message: Message, now: int) -> None:
        pair = (who.index, message.peer)
        bits = 8 * (message.size + HEADER_SIZE + RECORD_OVERHEAD * (1 + message.size // RECORD))
        mail = _Mail(turn, who.index, message, bits, now, self.links.latency(*pair))
        start = max(now, who.uplink, self.pairs.get(pair, 0))
        who.uplink = start + bits * _GIGA // who.rate
        left = self.pairs[pair] = start + bits * _GIGA // self.links.between(*pair).bandwidth
        who.hold(message.size)
        self._push(left + mail.latency, self.participants[message.peer], mail)

    def _timeline(self, connected: Sequence[Sequence[int]]) -> Timeline:
        parts = tuple(
            Part(
                who.party,
                who.effort,
                max([who.ended, *(self._farewell(other, who.index) for other in connected[who.index])]),
                who.busy,
                who.most_in_flight,
            )
            for who in self.participants
        )
        last = max(parts, key=lambda part: part.ended)
        cause = max(self.participants, key=lambda who: who.ended)
        latency, transfer, computing = _chain(cause)
        return Timeline(parts, latency + last.ended - cause.ended, transfer, computing)

    def _farewell(self, sender: int, receiver: int) -> int:
        """When `receiver` hears that `sender` has ended: connections stay until both have."""
        return self.participants[sender].ended + self.links.latency(sender, receiver)


def _chain(who: _Participant) -> tuple[int, int, int]:
    """Nanoseconds of (latency, transfer, computing) on the chain of causes that ends with a participant's last turn."""
    latency = transfer = computing = 0
    end, turn = who.ended, who.last
    while turn is not None:
        if (mail := turn.mail) is None:
            computing += end - turn.start
            end, turn = turn.start, turn.before
        else:
            computing += end - mail.arrived
            latency += mail.latency
            transfer += mail.arrived - mail.sent - mail.latency
            end, turn = mail.sent, mail.turn
    return latency, transfer, computing + end
