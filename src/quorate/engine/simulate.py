"""All participants of a session in one thread: deterministic, without network, open to interference by tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from quorate.engine.exchange import Buffers, Step
from quorate.engine.names import Name
from quorate.engine.party import Party
from quorate.errors import PeerTimeout, QuorateError

__all__ = ["Interceptor", "play", "simulate", "survive"]

Interceptor = Callable[[int, int, Name, bytes], bytes | None]
"""(sender, receiver, name, body) -> the body to deliver instead, or None to drop the message."""


def simulate(programs: Sequence[Step[Any]], intercept: Interceptor | None = None) -> list[Party]:
    """Run one program per participant to the end and return the finished parties, in order.

    Raises:
        PeerTimeout: nobody can go on, since a message was dropped or the programs disagree.
        QuorateError: whatever a program raises.
    """
    parties = [Party(program) for program in programs]
    while not all(party.done for party in parties):
        progress = False
        for index, party in enumerate(parties):
            while party.advance():
                progress = True
            _carry(index, party, parties, intercept)
        if not progress:
            raise PeerTimeout(f"the simulation is stuck: {_waits(parties)}")
    return parties


def play(programs: Sequence[Step[Any]], intercept: Interceptor | None = None) -> list[Party | QuorateError]:
    """`simulate` where somebody may cheat: an error ends the party that raises it, and the others go on without it.

    Returns, in order, the finished parties, or what ended them; those that wait in vain end with `PeerTimeout`.
    """
    parties = [Party(program) for program in programs]
    ended: dict[int, QuorateError] = {}
    progress = True
    while progress:
        progress = False
        for index in range(len(parties)):
            if index not in ended:
                progress |= _turn(index, parties, ended, intercept)
    return [_end_of(party, ended.get(index)) for index, party in enumerate(parties)]


def survive(
    programs: Sequence[Step[Any]], lost: Mapping[int, int], choose: Callable[[int], int], *, rejoin: bool = False
) -> list[Party]:
    """`simulate` where participants are lost, and nobody knows which message or task is next.

    Args:
        programs: one per participant.
        lost: participant -> after how many messages of its own it falls silent: it sends and does nothing more. What is
            sent to it is kept.
        choose: a number below its argument (at least 1), for instance a random one: which of all possible events comes
            next. Messages from one participant to another keep their order.
        rejoin: once nothing goes on without them, the lost ones go on where they stopped.

    Returns:
        The parties, in order; some may not be done.
    """
    post = _Post([Party(program) for program in programs], lost)
    post.run(choose)
    if rejoin:
        post.left.clear()
        post.run(choose)
    return post.parties


class _Post:
    """Messages under way, in a mailbox for every sender and receiver."""

    def __init__(self, parties: list[Party], lost: Mapping[int, int]) -> None:
        self.parties = parties
        self.left = dict(lost)
        self.boxes: dict[tuple[int, int], deque[tuple[Name, bytes]]] = {}

    def run(self, choose: Callable[[int], int]) -> None:
        """Until nothing is left to do."""
        while events := self._events():
            sender, receiver = events[choose(len(events))]
            if sender == receiver:
                self._work(sender)
            else:
                self.parties[receiver].deliver(sender, *self.boxes[sender, receiver].popleft())

    def _events(self) -> list[tuple[int, int]]:
        """Mailboxes that can be read from, and (i, i) for participants that have something to do."""
        live = [index for index in range(len(self.parties)) if self.left.get(index, 1) > 0]
        able = [(index, index) for index in live if self.parties[index].ready or self.parties[index].outbox]
        return able + [key for key, box in self.boxes.items() if box and key[1] in live]

    def _work(self, index: int) -> None:
        """Send one message, else run one task."""
        party = self.parties[index]
        if not party.outbox:
            party.advance()
            return
        message = party.outbox.popleft()
        self.boxes.setdefault((index, message.peer), deque()).append((message.name, _joined(message.buffers)))
        if index in self.left:
            self.left[index] -= 1


def _turn(index: int, parties: Sequence[Party], ended: dict[int, QuorateError], intercept: Interceptor | None) -> bool:
    """Let a party do all that it can; whether that was anything."""
    party, progress = parties[index], False
    try:
        while party.advance():
            progress = True
    except QuorateError as error:
        ended[index] = error
        progress = True
    while party.outbox:  # also what it had said before it failed
        message = party.outbox.popleft()
        body = _joined(message.buffers)
        delivered = body if intercept is None else intercept(index, message.peer, message.name, body)
        if delivered is not None and message.peer not in ended:
            try:
                parties[message.peer].deliver(index, message.name, delivered)
            except QuorateError as error:
                ended[message.peer] = error
    return progress


def _end_of(party: Party, error: QuorateError | None) -> Party | QuorateError:
    if error is not None:
        return error
    if party.done:
        return party
    return PeerTimeout(f"waits for {sorted({f'peer {peer}' for peer, _ in party.waiting()})}")


def _carry(index: int, party: Party, parties: Sequence[Party], intercept: Interceptor | None) -> None:
    while party.outbox:
        message = party.outbox.popleft()
        receiver = parties[message.peer]
        if intercept is None:
            _hand_over(index, message.name, message.buffers, message.size, receiver)
            continue
        body = intercept(index, message.peer, message.name, _joined(message.buffers))
        if body is not None:
            receiver.deliver(index, message.name, body)


def _hand_over(sender: int, name: Name, buffers: Buffers, size: int, receiver: Party) -> None:
    targets = receiver.slot(sender, name, size)
    if targets is not None and [array.nbytes for array in targets] == [array.nbytes for array in buffers]:
        for source, target in zip(buffers, targets, strict=True):
            np.copyto(target.reshape(-1).view(np.uint8), source.reshape(-1).view(np.uint8))
        receiver.filled(sender, name)
    else:
        receiver.deliver(sender, name, _joined(buffers))


def _joined(buffers: Buffers) -> bytes:
    return b"".join(array.tobytes() for array in buffers)


def _waits(parties: Sequence[Party]) -> str:
    waits = [
        f"participant {index} waits for {sorted({peer for peer, _ in party.waiting()})}"
        for index, party in enumerate(parties)
        if not party.done
    ]
    return "; ".join(waits)
