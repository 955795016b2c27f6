"""The format of a journal: encrypted records in segments, of which every commit writes one.

    file      magic (16 bytes), ident (16, random per file), base (8), 8 zeros; then segments
    segment   START (80 bytes), records, an END record; a multiple of 16 bytes
    START     mark (16, the same in the whole file, random to others), number (8), durable (8), salt (32), check (16)
    record    kind (1), length (5), check (10), ciphertext, tag (16)

Numbers are big endian. Segments are numbered without gaps. `durable` is the last segment known to be on disk when
this one was begun, `base` the number of the segment with which the file was born, on disk from the start (0: none).

Each segment has keys of its own: HKDF-SHA256 of the journal's data key, with the segment's salt; ident, base, number,
position, and the tag of the END before are its context. So a segment fits to one place in one file. Records are
AES-256-GCM with their index in the segment as nonce: a key encrypts every index once, and a segment that could not be
committed is written anew under another salt. Kind, length, index and position are authenticated, in the END (kind 255,
0 to 15 zeros) too. Lengths have a keyed check of their own (BLAKE2b), so that a damaged one is noticed before it leads
astray.

A write that power failure interrupted is a segment that the file's end cuts, or with an end or sectors that are still
zero, and no later segment says that it was durable. Everything else that is wrong is damage.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from quorate.crypto.entropy import SystemEntropy
from quorate.durable.storage import File

__all__ = ["HEAD", "MOST_RECORD", "Broken", "Buffer", "Keys", "Mark", "Reader", "Writer", "torn"]

Buffer = bytes | bytearray | memoryview

MAGIC = b"quorate-log-1\n\0\0"
HEAD = 48
"""Bytes before the first segment."""
MOST_RECORD = (1 << 31) - 1
"""Bytes in one record: what one call of AES-GCM takes."""
FLUSH = 4 << 20
"""Bytes of a segment that are kept in memory before they are written."""

_END = 255
_IDENT, _SALT, _TAG, _MARK, _CHECK = 16, 32, 16, 16, 10
_START = 80
_FRAME = 16
_SECTOR = 512
_WINDOW = 1 << 18
_PLACE = struct.Struct(">QQ")
_PIECE = 1 << 20
_LONG = 1 << 20


class Mark(NamedTuple):
    """A place between two segments: number of the one before, the tag of its END, and the position in the file."""

    number: int
    tag: bytes
    position: int


class Broken(Exception):
    """What stands at `start` ... `stop` - 1 of the file is no part of a journal; it should belong to segment `number`.

    `begun` is where that segment begins, `cut` whether the file ends too early.
    """

    def __init__(self, number: int, begun: int, start: int, stop: int, *, cut: bool) -> None:
        super().__init__(f"segment {number} at {start}")
        self.number, self.begun, self.start, self.stop, self.cut = number, begun, start, stop, cut


class _Sealer:
    """The keys of one segment."""

    def __init__(self, secret: bytes) -> None:
        self.cipher = AESGCM(secret[:32])
        self._long = algorithms.AES(secret[:32])
        self._check = secret[32:]

    def check(self, context: bytes) -> bytes:
        return hashlib.blake2b(context, digest_size=_CHECK, key=self._check).digest()

    def pieces(self, parts: Sequence[memoryview], index: int, context: bytes) -> Iterator[bytes]:
        """Ciphertext and tag of a long record, without another copy of the whole."""
        encryptor = Cipher(self._long, modes.GCM(nonce(index))).encryptor()
        encryptor.authenticate_additional_data(context)
        for part in parts:
            for start in range(0, len(part), _PIECE):
                yield encryptor.update(part[start : start + _PIECE])
        yield encryptor.finalize() + encryptor.tag


class Keys:
    """The keys of one journal file: those of its segments are made from the data key, ident and base of the file."""

    def __init__(self, data_key: bytes, ident: bytes, base: int) -> None:
        self.base = base
        self._data_key = data_key
        self._file = ident + base.to_bytes(8, "big")
        secret = self._derived(48, b"", b"quorate/journal/file/1")
        self.mark, self._check = secret[:_MARK], secret[_MARK:]

    @classmethod
    def fresh(cls, data_key: bytes, base: int) -> Keys:
        """For a new file."""
        return cls(data_key, SystemEntropy().bytes(_IDENT), base)

    @classmethod
    def of(cls, data_key: bytes, head: bytes) -> Keys | None:
        """For the file that begins with `head`; None if it is no journal."""
        ident, base = head[len(MAGIC) : len(MAGIC) + _IDENT], head[HEAD - 16 : HEAD - 8]
        keys = cls(data_key, ident, int.from_bytes(base, "big"))
        return keys if head == keys.head else None

    @property
    def head(self) -> bytes:
        """What the file begins with."""
        return MAGIC + self._file + bytes(8)

    @property
    def origin(self) -> Mark:
        """The place before the first segment."""
        return Mark(max(0, self.base - 1), bytes(_TAG), HEAD)

    def start(self, after: Mark, durable: int) -> tuple[bytes, _Sealer]:
        """START of a new segment, and the keys of that segment."""
        salt = SystemEntropy().bytes(_SALT)
        fields = self.mark + (after.number + 1).to_bytes(8, "big") + durable.to_bytes(8, "big") + salt
        return fields + self._checked(fields, after.position), self._sealer(after, salt)

    def opened(self, start: bytes, after: Mark) -> _Sealer | None:
        """The keys of the segment that begins with `start` at this place; None if it is not one that belongs here."""
        if self.durable_at(start, after.position) is None:
            return None
        return self._sealer(after, start[32:64])

    def durable_at(self, start: bytes, position: int) -> int | None:
        """What a START at this position says is on disk; None if it is none of ours."""
        fields, check = start[: _START - 16], start[_START - 16 : _START]
        if not hmac.compare_digest(check, self._checked(fields, position)):
            return None
        return int.from_bytes(fields[24:32], "big")

    def _sealer(self, after: Mark, salt: bytes) -> _Sealer:
        place = (after.number + 1).to_bytes(8, "big") + after.position.to_bytes(8, "big")
        return _Sealer(self._derived(64, salt, b"quorate/journal/segment/1" + place + after.tag))

    def _checked(self, fields: bytes, position: int) -> bytes:
        return hashlib.blake2b(fields + position.to_bytes(8, "big"), digest_size=16, key=self._check).digest()

    def _derived(self, count: int, salt: bytes, info: bytes) -> bytes:
        return HKDF(SHA256(), count, salt, info + self._file).derive(self._data_key)


def _context(frame: bytes, index: int, position: int) -> bytes:
    """What is authenticated of a record beside its content: kind, length, index, position."""
    return frame + _PLACE.pack(index, position)


def nonce(index: int) -> bytes:
    """The nonce of the record with this index in its segment."""
    return index.to_bytes(12, "big")


class Writer:
    """One segment under way, encrypted as it comes. What is long is written early, and counts only after `finish`."""

    def __init__(self, file: File, keys: Keys, after: Mark, durable: int) -> None:
        self._file = file
        self._after = after
        start, self._sealer = keys.start(after, durable)
        self._pending: list[bytes] = [start]
        self._held = len(start)
        self._written = 0
        self._index = 0

    @property
    def size(self) -> int:
        """Bytes of the segment so far."""
        return self._written + self._held

    def add(self, kind: int, parts: Sequence[Buffer]) -> None:
        """Take a record. Raises `OSError` where a part of the segment cannot be written."""
        views = [memoryview(part).cast("B") for part in parts]
        size = sum(map(len, views))
        frame = bytes((kind,)) + size.to_bytes(5, "big")
        context = _context(frame, self._index, self._after.position + self.size)
        self._put(frame + self._sealer.check(context))
        if size > _LONG:
            for piece in self._sealer.pieces(views, self._index, context):
                self._put(piece)
        else:
            body = views[0] if len(views) == 1 else b"".join(views)
            self._put(self._sealer.cipher.encrypt(nonce(self._index), body, context))
        self._index += 1

    def finish(self) -> Mark:
        """End the segment and write the rest of it; the place behind it. Not durable yet. Raises `OSError`."""
        self.add(_END, (bytes(-(self.size + _FRAME + _TAG) % 16),))
        tag = self._pending[-1][-_TAG:]
        self.flush()
        return Mark(self._after.number + 1, tag, self._after.position + self._written)

    def flush(self) -> None:
        """Write what is held in memory."""
        pending, self._pending, self._held = self._pending, [], 0
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        self._file.write(self._after.position + self._written, data)
        self._written += len(data)

    def _put(self, piece: bytes) -> None:
        if self._held >= FLUSH:
            self.flush()
        self._pending.append(piece)
        self._held += len(piece)


class _Frame(NamedTuple):
    """A record in the file, from `position` to `stop`; `context` is authenticated with it."""

    kind: int
    number: int
    position: int
    stop: int
    context: bytes


class Reader:
    """Reads the segments of a file up to `limit`, in order."""

    def __init__(self, file: File, keys: Keys, limit: int) -> None:
        self._file = file
        self._keys = keys
        self._limit = limit
        self._window, self._from = b"", 0

    def survey(self) -> Iterator[Mark]:
        """The places between segments, from the origin on; looks at the frames of records only, not at bodies.

        Raises:
            Broken: at the first thing that is wrong.
        """
        mark = self._keys.origin
        yield mark
        while mark.position < self._limit:
            mark = self._skim(mark)
            yield mark

    def _skim(self, after: Mark) -> Mark:
        sealer = self._begin(after)
        frame = deque(self._frames(sealer, after), maxlen=1).pop()
        self._decrypt(sealer, frame, after)
        return self._behind(after, frame)

    def _behind(self, after: Mark, end: _Frame) -> Mark:
        return Mark(after.number + 1, self._bytes(end.stop - _TAG, _TAG), end.stop)

    def records(self, after: Mark) -> Generator[tuple[int, bytes], None, Mark]:
        """Kind and content of the records of the segment that begins here, each checked; returns the place behind it.

        Raises:
            Broken: at the first thing that is wrong.
        """
        sealer = self._begin(after)
        for frame in self._frames(sealer, after):
            body = self._decrypt(sealer, frame, after)
            if frame.kind == _END:
                return self._behind(after, frame)
            yield frame.kind, body
        return after

    def _begin(self, after: Mark) -> _Sealer:
        start = self._bytes(after.position, _START)
        sealer = self._keys.opened(start, after) if len(start) == _START else None
        if sealer is None:
            stop = after.position + _START
            raise Broken(after.number + 1, after.position, after.position, stop, cut=len(start) < _START)
        return sealer

    def _frames(self, sealer: _Sealer, after: Mark) -> Iterator[_Frame]:
        """The records of a segment, END included."""
        position, index, kind = after.position + _START, 0, 0
        while kind != _END:
            head = self._bytes(position, _FRAME)
            cut, context = len(head) < _FRAME, _context(head[:6], index, position)
            if cut or not hmac.compare_digest(head[6:], sealer.check(context)):
                raise Broken(after.number + 1, after.position, position, position + _FRAME, cut=cut)
            kind, stop = head[0], position + _FRAME + int.from_bytes(head[1:6], "big") + _TAG
            if stop > self._limit:
                raise Broken(after.number + 1, after.position, position, self._limit, cut=True)
            yield _Frame(kind, index, position, stop, context)
            position, index = stop, index + 1

    def _decrypt(self, sealer: _Sealer, frame: _Frame, after: Mark) -> bytes:
        body = frame.position + _FRAME
        sealed = self._bytes(body, frame.stop - body)
        try:
            return sealer.cipher.decrypt(nonce(frame.number), sealed, frame.context)
        except (InvalidTag, ValueError):
            raise Broken(after.number + 1, after.position, frame.position, frame.stop, cut=False) from None

    def _bytes(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on, fewer at the limit; small ones out of a window that is read at once."""
        count = min(count, self._limit - start)
        if count > _WINDOW // 4:
            return self._file.read(start, count)
        if not self._from <= start <= start + count <= self._from + len(self._window):
            self._window, self._from = self._file.read(start, min(_WINDOW, self._limit - start)), start
        return self._window[start - self._from : start - self._from + count]


def torn(file: File, keys: Keys, broken: Broken, limit: int) -> bool:
    """Whether what is broken is the rest of a write that never ended, and not damage of something committed."""
    return not _durable_later(file, keys, broken, limit) and (broken.cut or _unwritten(file, broken, limit))


def _durable_later(file: File, keys: Keys, broken: Broken, limit: int) -> bool:
    """Whether a later segment says that this one was on disk."""
    position = broken.begun + 1
    while position < limit:
        block = file.read(position, _PIECE)
        found = block.find(keys.mark)
        while found >= 0:
            durable = keys.durable_at(file.read(position + found, _START), position + found)
            if durable is not None and durable >= broken.number:
                return True
            found = block.find(keys.mark, found + 1)
        position += max(1, len(block) - _MARK + 1)
    return False


def _unwritten(file: File, broken: Broken, limit: int) -> bool:
    """Whether the file ends with zeros, or a sector of the broken thing holds nothing else; segments end with a tag."""
    if not any(file.read(max(broken.begun, limit - _TAG), _TAG)):
        return True
    start = max(broken.begun, broken.start - broken.start % _SECTOR)
    stop = min(limit, -(-broken.stop // _SECTOR) * _SECTOR)
    first = min(stop, (start // _SECTOR + 1) * _SECTOR)
    if not any(file.read(start, first - start)):
        return True
    for position in range(first, stop, _PIECE):
        block = np.frombuffer(file.read(position, min(_PIECE, stop - position)), np.uint8)
        whole = len(block) // _SECTOR * _SECTOR  # what lies behind is the end of the file
        if not block[:whole].reshape(-1, _SECTOR).any(axis=1).all():
            return True
    return False
