"""Running a recorded schedule again: all participants in one thread, one of them getting its messages as it did then.

The data is made up, so contents differ from those of the session; names and sizes must not. What the one participant
sent then is carried, and nothing else of it, so the others come as far as they came in the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quorate.durable.trace import Event
from quorate.engine.exchange import Step
from quorate.engine.names import Name, Scope
from quorate.engine.party import Message, Party
from quorate.errors import QuorateError

__all__ = ["Participant", "Rerun", "Wait", "rerun"]

_MOST_SHOWN = 20


@dataclass(frozen=True)
class Wait:
    """A message that a participant waits for.

    Attributes:
        peer: index of the sender.
        where: operation and step, for people.
        made: whether the sender had come so far as to make it, in the session as it is run again.
    """

    peer: int
    where: str
    made: bool


@dataclass(frozen=True)
class Participant:
    """Where a participant stands at the end: it has its result, or waits, or stopped with an error."""

    done: bool
    rounds: int
    waits: tuple[Wait, ...] = ()
    error: str = ""


@dataclass
class Rerun:
    """What a rerun found.

    Attributes:
        taken, made: messages of the trace that were taken in and made again.
        differences: where the schedule is not that of the plan; empty if all names and sizes agree.
        more: how many differences there are beside those.
        last: operation and step of the last message that was taken or made.
        unsent: messages that are made now, and had not been made when the session ended.
        participants: by index.
    """

    taken: int = 0
    made: int = 0
    differences: list[str] = field(default_factory=list)
    more: int = 0
    last: str = ""
    unsent: int = 0
    participants: tuple[Participant, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the schedule is that of the plan."""
        return not self.differences

    def differs(self, text: str) -> None:
        """Note a difference."""
        if len(self.differences) < _MOST_SHOWN:
            self.differences.append(text)
        else:
            self.more += 1


def rerun(
    programs: Sequence[Step[Any]], scopes: Sequence[Scope], names: Sequence[str], me: int, events: Sequence[Event]
) -> Rerun:
    """Run `programs`, with the root of the names of each, on the messages of the trace of participant `me`."""
    stage = _Stage([Party(program) for program in programs], scopes, names, me, events)
    return stage.run()


class _Stage:
    def __init__(
        self, parties: list[Party], scopes: Sequence[Scope], names: Sequence[str], me: int, events: Sequence[Event]
    ) -> None:
        self.parties, self.scopes, self.names, self.me, self.events = parties, scopes, names, me, events
        self.recorded = {(event.peer, event.message): event.size for event in events if event.what == "out"}
        self.mail: dict[tuple[int, Name], bytes] = {}
        self.kept: dict[tuple[int, Name], int] = {}
        self.sent: dict[tuple[int, Name], int] = {}
        self.errors: dict[int, str] = {}
        self.found = Rerun()

    def run(self) -> Rerun:
        self._settle()
        for event in self.events:
            if event.what == "in" and self.me not in self.errors:
                self._take(event)
                self._settle()
        self._compare_sent()
        messages = [event for event in self.events if event.what in ("in", "out")]
        if messages:
            self.found.last = self._where(self.me, messages[-1].message)
        self.found.unsent = len(self.kept)
        self.found.participants = tuple(self._standing(index) for index in range(len(self.parties)))
        return self.found

    def _settle(self) -> None:
        """Everybody goes on as far as possible without another message for us."""
        progress = True
        while progress:
            progress = False
            for index, party in enumerate(self.parties):
                if index not in self.errors:
                    progress |= self._turn(index, party)

    def _turn(self, index: int, party: Party) -> bool:
        progress = False
        try:
            while party.advance():
                progress = True
                self._carry(index, party)
        except QuorateError as problem:
            self.errors[index] = f"{type(problem).__name__}: {problem}"
        self._carry(index, party)
        return progress

    def _carry(self, index: int, party: Party) -> None:
        while party.outbox:
            message = party.outbox.popleft()
            if index == self.me:
                self._made(message)
            elif message.peer == self.me:
                self.mail[index, message.name] = _body(message)
            else:
                self._hand(index, message)

    def _made(self, message: Message) -> None:
        place = message.peer, message.name
        if place in self.recorded:
            self.sent[place] = message.size
            self._hand(self.me, message)
        else:
            self.kept[place] = message.size

    def _hand(self, sender: int, message: Message) -> None:
        if message.peer not in self.errors:
            try:
                self.parties[message.peer].deliver(sender, message.name, _body(message))
            except QuorateError as problem:
                self.errors[message.peer] = f"{type(problem).__name__}: {problem}"

    def _take(self, event: Event) -> None:
        """Give us the next message that we got then."""
        body = self.mail.pop((event.peer, event.message), None)
        what = f"{self.names[event.peer]} sent us {event.size} bytes at {self._where(event.peer, event.message)}"
        if body is None:
            self.found.differs(f"{what}; by this plan and these rows it does not, or not as early")
            return
        if len(body) != event.size:
            self.found.differs(f"{what}; by this plan and these rows they are {len(body)}")
        self.found.taken += 1
        try:
            self.parties[self.me].deliver(event.peer, event.message, body)
        except QuorateError as problem:
            self.errors[self.me] = f"{type(problem).__name__}: {problem}"

    def _compare_sent(self) -> None:
        for (peer, name), size in self.recorded.items():
            made = self.sent.get((peer, name))
            what = f"we made {size} bytes for {self.names[peer]} at {self._where(self.me, name)}"
            if made is None:
                self.found.differs(f"{what}; by this plan and these rows we do not, or not as early")
            elif made != size:
                self.found.differs(f"{what}; by this plan and these rows they are {made}")
            self.found.made += made is not None

    def _standing(self, index: int) -> Participant:
        party = self.parties[index]
        waits = () if index in self.errors else tuple(self._wait(index, *each) for each in party.waiting())
        return Participant(party.done, party.rounds, waits, self.errors.get(index, ""))

    def _wait(self, index: int, peer: int, name: Name) -> Wait:
        made = (peer, name) in self.mail if index == self.me else peer == self.me and (index, name) in self.kept
        return Wait(peer, self._where(index, name), made)

    def _where(self, index: int, name: Name) -> str:
        """A name for people; whoever has come so far can tell."""
        for scope in (self.scopes[index], self.scopes[self.me], *self.scopes):
            told = scope.describe(name)
            if not told.startswith("an unknown operation"):
                return told
        return f"an unknown operation ({name[0]:016x}), step {name[1]}"


def _body(message: Message) -> bytes:
    return b"".join(np.ascontiguousarray(array).tobytes() for array in message.buffers)
