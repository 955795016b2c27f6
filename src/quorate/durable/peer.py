"""One participant's two channels with another: what was sent and received, what is still to be acknowledged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from quorate.crypto.hashing import digest_parts
from quorate.durable import parcel
from quorate.durable.keys import Channel, Keys
from quorate.durable.parcel import DATA, HEADER_SIZE, OVERHEAD, PIECE, SIGNATURE, Header
from quorate.durable.records import Entry
from quorate.engine.exchange import Array, Buffers
from quorate.engine.names import Name
from quorate.transport.carrier import Parcel

__all__ = ["Arriving", "Outgoing", "Peer", "body_digest", "sealed_digest", "split_sealed"]


@dataclass(slots=True)
class Outgoing:
    """A message of ours that the peer has not acknowledged yet."""

    entry: Entry
    buffers: Buffers = field(repr=False)

    def content(self) -> bytes | memoryview:
        """Its bytes, not copied if they lie in one piece."""
        views = [_bytes_of(array) for array in self.buffers if array.nbytes]
        return views[0] if len(views) == 1 else b"".join(views)


@dataclass(slots=True)
class Arriving:
    """A message of which not all pieces are here yet, and the tokens of those that are."""

    header: Header
    pieces: dict[int, bytes] = field(default_factory=dict, repr=False)
    digests: dict[int, bytes] = field(default_factory=dict, repr=False)
    signature: bytes = b""
    tokens: dict[int, list[object]] = field(default_factory=dict, repr=False)

    @property
    def complete(self) -> bool:
        """Whether all pieces are here."""
        return len(self.pieces) == self.header.pieces

    @property
    def digest(self) -> bytes:
        """What the signature covers."""
        return sealed_digest([self.digests[piece] for piece in range(self.header.pieces)])

    @property
    def body(self) -> bytes:
        """The whole message."""
        if self.header.pieces == 1:
            return self.pieces[0]
        return b"".join([self.pieces[piece] for piece in range(self.header.pieces)])

    def add(self, piece: int, body: bytes, sealed: memoryview, signature: bytes, token: object) -> None:
        """A piece is here; the same one again changes nothing."""
        self.pieces[piece] = body
        self.digests[piece] = hashlib.sha256(sealed).digest()
        self.signature = signature or self.signature
        self.tokens.setdefault(piece, []).append(token)

    @property
    def size(self) -> int:
        """Bytes of it that are here, about."""
        return parcel.CHUNK * len(self.digests)

    def drop_last(self) -> list[object]:
        """The piece with the signature is of no use, another copy of it may come; its tokens."""
        last = self.header.pieces - 1
        del self.pieces[last], self.digests[last]
        self.signature = b""
        return self.tokens.pop(last)


class Peer:
    """The state of both channels with one peer.

    Attributes:
        channel: the keys, once its HELLO is here.
        sent: messages made for it. confirmed: up to where a broker keeps them. acked: up to where it has them itself.
        received: up to where its messages are here without a gap; `settled` is that after the last commit.
        incomplete: bytes of these. premature: what came before its HELLO, with tokens.
        resent: how often everything was sent again. met: it has said how it stands since we began.
        arriving, repeated: messages of which pieces are missing, those that are here already apart.
        to_send, ready: messages that are to be sent, before and after what they depend on is durable.
        heard: when its last parcel arrived; fed: its last message. asked: when we last asked for what is missing.
        done: it has its results and needs nothing more. tail: how many messages it says it has sent.
        greet, say, want: our HELLO, or a status, is due; the status asks for what is missing.
    """

    def __init__(self, index: int, name: str, now: float) -> None:
        self.index, self.name = index, name
        self.channel: Channel | None = None
        self.hello: bytes | None = None
        self.sent = self.confirmed = self.acked = 0
        self.made: dict[Name, Entry] = {}
        self.unacked: dict[int, Outgoing] = {}
        self.unacked_bytes = 0
        self.to_send: list[int] = []
        self.ready: list[int] = []
        self.received = self.settled = 0
        self.beyond: set[int] = set()
        self.entries: dict[int, Entry] = {}
        self.arriving: dict[int, Arriving] = {}
        self.repeated: dict[int, Arriving] = {}
        self.premature: list[tuple[bytes, object]] = []
        self.premature_bytes = 0
        self.incomplete = 0
        self.resent = 0
        self.met = False
        self.unsaid = 0
        self.heard = self.fed = self.asked = now
        self.last_control = (0, 0)
        self.tail = 0
        self.done = False
        self.greet, self.say, self.want = True, False, False

    # ---- what we send

    def post(self, entry: Entry, buffers: Buffers, *, again: bool) -> None:
        """Keep a message until it is acknowledged; `again`: it was logged earlier, by a process before this one."""
        if entry.seq > self.acked:
            self.unacked[entry.seq] = Outgoing(entry, buffers)
            self.unacked_bytes += entry.size
            if not (again and entry.seq <= self.confirmed):
                self.to_send.append(entry.seq)

    def acknowledged(self, upto: int) -> None:
        """The peer has everything up to `upto`."""
        for seq in range(self.acked + 1, upto + 1):
            gone = self.unacked.pop(seq, None)
            if gone is not None:
                self.unacked_bytes -= gone.entry.size
        self.acked = max(self.acked, upto)

    def resend(self) -> None:
        """Everything that is not acknowledged is to be sent once more."""
        self.resent += 1
        self.ready = []
        self.to_send = sorted(self.unacked)

    def sealed(self, seq: int, keys: Keys, channel: Channel, session: bytes, incarnation: int) -> Iterator[Parcel]:
        """The parcels of message `seq`: the same bytes whenever they are made."""
        again = f".{incarnation}.{self.resent}" if self.resent or incarnation > 1 else ""
        entry = self.unacked[seq].entry
        body = memoryview(self.unacked[seq].content())
        first = Header(
            DATA, keys.me, self.index, session, seq, entry.name, 0, parcel.piece_count(entry.size), entry.size
        )
        digests = []
        for piece in range(first.pieces):
            header = first._replace(piece=piece)
            packed = parcel.pack(header)
            place = seq.to_bytes(8, "big") + piece.to_bytes(4, "big")
            sealed = channel.seal(place, entry.digest, packed, body[piece * PIECE : (piece + 1) * PIECE])
            digests.append(hashlib.sha256(sealed).digest())
            last = [keys.sign(parcel.pack(first), sealed_digest(digests))] if piece == first.pieces - 1 else []
            yield parcel.parcel(header, sealed, *last, digest=digests[-1], again=again)

    # ---- what we receive

    def has(self, seq: int) -> bool:
        """Whether message `seq` is here."""
        return seq <= self.received or seq in self.beyond

    def note(self, entry: Entry) -> None:
        """A message is here completely."""
        self.entries[entry.seq] = entry
        self.beyond.add(entry.seq)
        while self.received + 1 in self.beyond:
            self.received += 1
            self.beyond.discard(self.received)


def body_digest(buffers: Buffers) -> bytes:
    """SHA-256 of a message's bytes."""
    state = hashlib.sha256()
    for array in buffers:
        if array.nbytes:
            state.update(_bytes_of(array))
    return state.digest()


def sealed_digest(digests: list[bytes]) -> bytes:
    """What a message's signature covers: the digests of its sealed pieces, in order."""
    return digest_parts(digests, "quorate/sealed/1")


def split_sealed(header: Header, data: bytes) -> tuple[memoryview, bytes] | None:
    """The sealed piece and the signature (empty but in the last piece); None if the length cannot be right."""
    last = header.piece == header.pieces - 1
    size = min(PIECE, header.size - header.piece * PIECE) + OVERHEAD
    if len(data) != HEADER_SIZE + size + (SIGNATURE if last else 0):
        return None
    view = memoryview(data)[HEADER_SIZE:]
    return view[:size], bytes(view[size:])


def _bytes_of(array: Array) -> memoryview:
    """A C-contiguous, non-empty array as bytes."""
    return array.reshape(-1).view(np.uint8).data
