"""All participants of a session in one thread: deterministic, without network, open to interference by tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from quorate.engine.exchange import Buffers, Step
from quorate.engine.names import Name
from quorate.engine.party import Party
from quorate.errors import PeerTimeout

__all__ = ["Interceptor", "simulate"]

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
