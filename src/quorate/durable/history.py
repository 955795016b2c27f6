"""What a participant's log says of its session so far: read at the beginning, thinned out at a checkpoint."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from quorate.crypto.hashing import digest_parts
from quorate.durable import records
from quorate.durable.peer import Peer
from quorate.durable.records import Buffer, Entry, Log
from quorate.engine.names import Name

__all__ = ["History", "read", "thinned", "transcript"]

Position = tuple[int, Name]


@dataclass
class History:
    """The content of a log.

    Attributes:
        seed, hello: ours; empty if the session has not begun.
        arrived: messages to give to the party again, in the order in which they came.
        pending: messages made before the last checkpoint, which the party does not make again.
        restored: what the party saved at the last checkpoint.
        notes: what the program learned outside.
        done: when the party had ended (Unix time), 0 if it has not.
        ended: why the session has failed, which is final; empty if it has not.
    """

    seed: bytes = field(default=b"", repr=False)
    hello: bytes = b""
    arrived: list[tuple[Entry, bytes]] = field(default_factory=list, repr=False)
    pending: list[tuple[Entry, bytes]] = field(default_factory=list, repr=False)
    restored: bytes | None = field(default=None, repr=False)
    notes: dict[str, bytes] = field(default_factory=dict, repr=False)
    done: float = 0.0
    ended: str = ""


def read(log: Log, peers: Mapping[int, Peer]) -> History:
    """Take in a log; what it says of channels goes to `peers`."""
    history = History()
    for kind, data in log.records():
        if kind == records.SEED:
            history.seed, history.hello = data[:32], data[32:]
        elif kind == records.GREETED:
            peers[_index(data)].hello = data[2:]
        elif kind == records.RECEIVED:
            _received(history, peers, data)
        elif kind == records.SENT:
            entry, _ = Entry.unpack(data)
            peers[entry.peer].made[entry.name] = entry
            peers[entry.peer].sent = max(peers[entry.peer].sent, entry.seq)
        elif kind == records.PENDING:
            entry, body = Entry.unpack(data)
            history.pending.append((entry, bytes(body)))
        elif kind == records.CONFIRMED:
            peers[_index(data)].confirmed = int.from_bytes(data[2:10], "little")
        elif kind == records.NOTE:
            label, _, content = data.partition(b"\0")
            history.notes[label.decode()] = content
        elif kind == records.CHECKPOINT:
            history.restored = data
        elif kind == records.DONE:
            history.done = struct.unpack("<d", data)[0]
        elif kind == records.ENDED:
            history.ended = data.decode(errors="replace")
    return history


def _index(data: bytes) -> int:
    return int.from_bytes(data[:2], "little")


def _received(history: History, peers: Mapping[int, Peer], data: bytes) -> None:
    entry, body = Entry.unpack(data)
    peer = peers[entry.peer]
    peer.note(entry)
    peer.settled = peer.received
    if len(body):  # else a checkpoint has made it superfluous
        history.arrived.append((entry, bytes(body)))


def thinned(
    log: Log, superfluous: Collection[Position], saved: list[Buffer], pending: Iterable[tuple[Entry, list[Buffer]]]
) -> Iterator[tuple[int, list[Buffer]]]:
    """The records of `log` after a checkpoint: bodies of `superfluous` messages are left out."""
    for kind, data in log.records():
        if kind in (records.CHECKPOINT, records.PENDING):
            continue
        if kind == records.RECEIVED:
            entry, _ = Entry.unpack(data)
            if (entry.peer, entry.name) in superfluous:
                yield kind, [entry.pack()]
                continue
        yield kind, [data]
    yield records.CHECKPOINT, saved
    for entry, body in pending:
        yield records.PENDING, [entry.pack(), *body]


def transcript(me: int, peers: Iterable[Peer]) -> bytes:
    """SHA-256 over all messages of ours and to us: sender, receiver, name and digest, in the order of their names.

    It does not depend on when they came, and both ends of a channel hold the same digests for it.
    """
    lines = []
    for peer in peers:
        lines += [_line(me, peer.index, entry) for entry in peer.made.values()]
        lines += [_line(peer.index, me, entry) for entry in peer.entries.values()]
    return digest_parts(sorted(lines), "quorate/transcript/1")


def _line(sender: int, receiver: int, entry: Entry) -> bytes:
    place = [sender.to_bytes(4, "big"), receiver.to_bytes(4, "big")]
    return b"".join([*place, entry.name[0].to_bytes(8, "big"), entry.name[1].to_bytes(4, "big"), entry.digest])
