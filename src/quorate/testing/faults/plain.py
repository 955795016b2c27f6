"""The least core that survives kills: without keys, in one file. The laboratory is tested with it and with broken ones.

A message's position is its name; every message is repeated until it is acknowledged, and acknowledged once its body is
durable. Records are length, checksum and body; reading ends at the first that is not whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from quorate.durable.storage import File
from quorate.engine.exchange import Step
from quorate.engine.names import Name
from quorate.engine.party import Party
from quorate.errors import IntegrityError, QuorateError
from quorate.testing.faults.ledger import Sighting
from quorate.testing.faults.network import Link
from quorate.testing.faults.rig import Place
from quorate.transport.carrier import Parcel

__all__ = ["PlainCore", "PlainRig"]

Program = Callable[[int, bytes, Place], Step[Any]]
"""(participant, seed, place) -> what it runs."""

_FRAME = struct.Struct("<II")
_FOLDER = Path("plain")
_AGAIN = 1.0
SEED = 32


class _Word(msgspec.Struct, array_like=True, frozen=True):
    """What is sent, and what is kept of what was received."""

    kind: str
    sender: int
    name: Name = (0, 0)
    body: bytes = b""


class PlainCore:
    """See the module; `Core` of the laboratory."""

    def __init__(self, me: int, size: int, place: Place, program: Program) -> None:
        self.me, self.place = me, place
        self.peers = [peer for peer in range(size) if peer != me]
        self.state, self.result, self.failure = "running", None, ""
        self.wakeup: float | None = None
        self.busy = False
        self._program = program
        self._records: list[bytes] = []
        self._known: dict[tuple[int, Name], bytes] = {}
        self._unacknowledged: dict[tuple[int, Name], bytes] = {}
        self._words: list[tuple[int, _Word]] = []
        self._tokens: list[object] = []
        self._settled: list[object] = []

    # ---- the file

    def begin(self, now: float) -> None:
        """Read the file, or make one with a fresh seed."""
        path = _FOLDER / "log"
        stored = self._open(path)
        if not stored:
            stored = [self.place.fresh.bytes(SEED)]
            self._write(stored)
        self.file.sync()  # what is there may be what a killed process wrote and had not synchronised
        self.place.disk.sync_folder(_FOLDER)
        self.party = Party(self._program(self.me, stored[0], self.place))
        for record in stored[1:]:
            word = msgspec.msgpack.decode(record, type=_Word)
            if word.kind == "end":
                self.state, self.failure = "failed", word.body.decode()
            else:
                self._known[word.sender, word.name] = word.body
                self.party.deliver(word.sender, word.name, word.body)

    def _open(self, path: Path) -> list[bytes]:
        disk = self.place.disk
        self.file: File = disk.open(path) if disk.exists(path) else disk.create(path)
        data = self.file.read(0, self.file.size())
        records, end = _whole(data)
        if end < len(data):
            self.file.truncate(end)
        return records

    def _write(self, records: Iterable[bytes]) -> None:
        framed = b"".join(_FRAME.pack(len(record), zlib.crc32(record)) + record for record in records)
        self.file.write(self.file.size(), framed)

    def commit(self) -> None:
        """Make durable what was received."""
        if self._records:
            self._write(self._records)
            self.file.sync()
            self._records = []
        self._settled, self._tokens = self._settled + self._tokens, []

    # ---- messages

    def take(self, data: bytes, token: object, now: float) -> None:
        """A message or an acknowledgement."""
        self._tokens.append(token)
        word = msgspec.msgpack.decode(data, type=_Word)
        if word.kind == "ack":
            self._unacknowledged.pop((word.sender, word.name), None)
            return
        known = self._known.get((word.sender, word.name))
        if known is not None and known != word.body:
            self._fail(IntegrityError(f"peer {word.sender} said two things at one place"))
        elif known is None and self.state != "failed":
            self._known[word.sender, word.name] = word.body
            self._records.append(msgspec.msgpack.encode(word))
            self.party.deliver(word.sender, word.name, word.body)
        self._words.append((word.sender, _Word("ack", self.me, word.name)))

    def run(self, now: float) -> None:
        """Let the party go on; repeat what was not acknowledged when it is time."""
        try:
            while self.state != "failed" and self.party.advance():
                pass
        except QuorateError as problem:
            self._fail(problem)
        if self.wakeup is None or now >= self.wakeup:
            self._words += [(peer, _Word("m", self.me, name, b)) for (peer, name), b in self._unacknowledged.items()]
            self.wakeup = now + _AGAIN
        while self.state != "failed" and self.party.outbox:
            message = self.party.outbox.popleft()
            body = b"".join(array.tobytes() for array in message.buffers)
            self._unacknowledged[message.peer, message.name] = body
            self._words.append((message.peer, _Word("m", self.me, message.name, body)))
        if self.state == "running" and self.party.done:
            self.state, self.result = "done", self.party.result

    def _fail(self, problem: QuorateError) -> None:
        if self.state != "failed":
            self.state, self.failure = "failed", str(problem)
            self._records.append(msgspec.msgpack.encode(_Word("end", self.me, body=str(problem).encode())))

    def outgoing(self) -> list[tuple[int, Parcel]]:
        """Everything that is to be said now."""
        words, self._words = self._words, []
        return [
            (peer, Parcel(f"{word.kind}.{self.me}.{peer}.{word.name[0]}.{word.name[1]}", msgspec.msgpack.encode(word)))
            for peer, word in words
        ]

    def receipts(self) -> list[object]:
        """Tokens of what is durable."""
        tokens, self._settled = self._settled, []
        return tokens

    def refusals(self) -> list[tuple[object, str]]:
        """Everything is of use."""
        return []

    def handed_over(self) -> None:
        """Only peers count."""

    def connected(self, peer: int) -> None:
        """Everything is repeated anyway."""


def _whole(data: bytes) -> tuple[list[bytes], int]:
    """The records that are whole, and where they end."""
    records, start = [], 0
    while len(data) - start >= _FRAME.size:
        size, checksum = _FRAME.unpack_from(data, start)
        record = data[start + _FRAME.size : start + _FRAME.size + size]
        if not size or len(record) < size or zlib.crc32(record) != checksum:
            break
        records.append(record)
        start += _FRAME.size + size
    return records, start


class PlainRig:
    """`size` participants with plain cores; `core` may be a broken one."""

    def __init__(self, size: int, program: Program, core: type[PlainCore] = PlainCore) -> None:
        self.size = size
        self.corrupt: frozenset[int] = frozenset()
        self.program = program
        self.core = core

    def start(self, participant: int, place: Place) -> PlainCore:
        """A process with nothing but its file."""
        return self.core(participant, self.size, place, self.program)

    def sightings(self, link: Link, parcel: Parcel) -> list[Sighting]:
        """Messages, by name; acknowledgements say nothing that could contradict."""
        word = msgspec.msgpack.decode(parcel.body, type=_Word)
        return [Sighting("message", (*link, word.name), word.body)] if word.kind == "m" else []

    def covered(self, path: Path) -> bool:
        """Backups hold all there is."""
        return True

    def equal(self, one: Any, other: Any) -> bool:
        """Results are compared as printed."""
        return repr(one) == repr(other)
