"""The side of a producer: splits a table into shares, and sends every consumer its own, once, whatever happens.

A submission has a name, chosen by the producer. What it sends is written down before the first byte leaves, so a
producer that was killed and starts again with the same name sends the same bytes under the same ids, and a consumer
takes them once. The same name with other values is refused.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quorate.durable.layout import Integers, Layout, dump
from quorate.durable.outbox import Outbox, Outgoing, Prepared
from quorate.durable.submission import Content, Envelope, KeyRing, sealed
from quorate.errors import BrokerFault, UserError
from quorate.transport.carrier import CHUNK, Carrier, Limits, Parcel, Queue

__all__ = ["Producer", "Receipt", "shares_queue"]

_ROOM = 8 << 10
"""Bytes of a frame for everything but the parts."""
_MOST_AT_ONCE = 64
_MOST_BYTES_AT_ONCE = 8 << 20
_WORD_BYTES = 8

Note = Callable[[str, str, int], None]
"""(consumer, message id, bytes): told of every frame that a broker has confirmed."""


@dataclass(frozen=True)
class Receipt:
    """A submission that is safely in the outbox, and its name; `fresh` unless it had been submitted before."""

    name: str
    submission: str
    rows: int
    frames: int
    fresh: bool


def shares_queue(session: str, consumer: str) -> Queue:
    """Where the shares for `consumer` wait: "mpc.<session>.shares.<consumer>", dead letters in "...dlq.<consumer>"."""
    return Queue(session, f"shares.{consumer}")


class Producer:
    """One producer in one session; `ring` holds its keys, `outbox` is its memory."""

    def __init__(self, ring: KeyRing, layout: Layout, outbox: Outbox, note: Note | None = None) -> None:
        self._ring, self._layout, self._outbox, self._note = ring, layout, outbox, note
        self._keys = {party: ring.key_for(party) for party in layout.parties}

    def submit(self, values: Integers, name: str | None = None) -> Receipt:
        """Share `values` (int64 raw values, (rows, columns)) and put the frames into the outbox; `send` sends them.

        Without a `name` the values themselves are it: the same table is submitted once.

        Raises:
            UserError: no rows, values out of range, or other values were submitted under this name.
        """
        if not len(values):
            raise UserError("there is nothing to submit: the table has no rows")
        proof = self._proof(values)
        name = proof.hex() if name is None else name
        known = self._outbox.find(self._ring.session, name)
        if known is not None:
            return self._known(known, proof, name)
        submission = self._outbox.next_id()
        frames = self._frames(submission, values)
        self._outbox.add(self._ring.session, name, Prepared(submission, proof, len(values)), frames)
        return Receipt(name, submission.hex(), len(values), len(frames), fresh=True)

    def _known(self, known: Prepared, proof: bytes, name: str) -> Receipt:
        if not hmac.compare_digest(known.proof, proof):
            raise UserError(
                f"{name!r} was submitted in {self._ring.session} with other values; nothing is replaced once it is "
                "sent: use another name"
            )
        return Receipt(name, known.id.hex(), known.rows, 0, fresh=False)

    def send(self, routes: Mapping[str, Carrier], limits: Limits | None = None) -> int:
        """Send what is unsent to every consumer, over `routes` (consumer -> carrier); how many frames were confirmed.

        Consumers make their queues; only with `limits` they are made here, which brokers allow to few.

        Raises:
            BrokerFault: a broker fails, or has no such queue; the others were served before. Send again later.
        """
        failed: BrokerFault | None = None
        count = 0
        for consumer, carrier in routes.items():
            try:
                count += self._send_to(consumer, carrier, limits)
            except BrokerFault as problem:
                failed = problem
        if failed is not None:
            raise failed
        return count

    def unsent(self) -> int:
        """How many frames wait for a broker."""
        session = self._ring.session
        return sum(len(self._outbox.unsent(session, party, 1 << 30)) for party in self._layout.parties)

    def _send_to(self, consumer: str, carrier: Carrier, limits: Limits | None) -> int:
        queue = shares_queue(self._ring.session, consumer)
        if limits is not None:
            carrier.provision(queue, limits)
        count = 0
        while waiting := self._outbox.unsent(queue.session, consumer, _MOST_AT_ONCE):
            some = _fitting(waiting)
            carrier.publish(queue, [each.parcel for each in some])
            self._outbox.confirm(some)
            for each in some:
                if self._note is not None:
                    self._note(consumer, each.parcel.ident, len(each.parcel.body))
            count += len(some)
        return count

    def _frames(self, submission: bytes, values: Integers) -> list[tuple[str, Parcel]]:
        """(consumer, frame), block after block."""
        height = self._rows_per_block()
        blocks = -(-len(values) // height)
        frames = []
        for block in range(blocks):
            rows = np.ascontiguousarray(values[block * height : (block + 1) * height])
            frames += self._block(Envelope(self._ring.producer, submission, block), rows, blocks)
        return frames

    def _block(self, envelope: Envelope, rows: Integers, blocks: int) -> list[tuple[str, Parcel]]:
        layout = self._layout
        made = layout.split(rows)
        frames = []
        for me, consumer in enumerate(layout.parties):
            held = layout.held(me)
            content = Content(
                layout=layout.digest,
                rows=len(rows),
                blocks=blocks,
                manifest=made.manifest,
                salts=tuple(made.salts[position] for position in held),
                parts=tuple(dump(made.parts[position]) for position in held),
            )
            body = sealed(content, envelope, self._ring.session, me + 1, self._keys[consumer])
            frames.append((consumer, Parcel(f"{envelope.submission.hex()}.{me + 1}.{envelope.block}", body)))
        return frames

    def _rows_per_block(self) -> int:
        width = len(self._layout.columns) * len(self._layout.held(0)) * _WORD_BYTES
        return max(1, (CHUNK - _ROOM) // width)

    def _proof(self, values: Integers) -> bytes:
        """Says whether values are the same, to who has our keys."""
        secret = b"".join(self._keys[party].cipher for party in self._layout.parties)
        shape = repr(values.shape).encode()
        return hmac.new(secret, shape + np.ascontiguousarray(values, "<i8").tobytes(), hashlib.sha256).digest()


def _fitting(waiting: Sequence[Outgoing]) -> list[Outgoing]:
    """As many as go into one call, at least one."""
    total = 0
    some: list[Outgoing] = []
    for each in waiting:
        total += len(each.parcel.body)
        if some and total > _MOST_BYTES_AT_ONCE:
            break
        some.append(each)
    return some
