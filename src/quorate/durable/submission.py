"""What producers and consumers of shares have in common: keys, message ids, and the sealed content of a frame.

Each consumer has one submission key, a file that never leaves it. From this key follows one for every pair of session
and producer (HKDF-SHA256), which the consumer hands to the producer on a way of their own: a `KeyRing` holds those of
all consumers. So a producer cannot speak for another one, and neither another consumer nor who runs a broker can read
a share, also if all shares pass the same broker.

The payload of a frame is an envelope in the clear (version, producer, id of the submission, block), a nonce and the
content, encrypted with AES-256-GCM. The nonce is a MAC of envelope and content: whatever a producer forgets, it cannot
encrypt two contents under one nonce, and the same content under the same id gives the same bytes. Up to 2**32 frames
under one key are safe (NIST SP 800-38D, section 8.3).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.pki import check_name
from quorate.crypto.sealed import KEY_BYTES
from quorate.durable import frames
from quorate.errors import EnvironmentFault, UserError
from quorate.files import read_bytes, write_atomic

__all__ = [
    "Content",
    "Envelope",
    "KeyRing",
    "Keys",
    "derive",
    "enrol",
    "envelope_of",
    "is_name",
    "new_id",
    "opened",
    "sealed",
]

_VERSION = 1
_ENVELOPE = struct.Struct("<BB")
_PLACE = struct.Struct("<16sI")
_NONCE_BYTES = 12
_TAG_BYTES = 16
_PRODUCER = re.compile(rb"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MOST_KEYS = 1 << 20


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The two keys between one producer and one consumer in one session: of the MAC, and of the encryption."""

    mac: bytes
    cipher: bytes

    @classmethod
    def of(cls, shared: bytes) -> Keys:
        """Both, from what the consumer gave to the producer."""
        both = HKDF(SHA256(), 2 * KEY_BYTES, None, b"quorate/submission/keys/1").derive(shared)
        return cls(both[:KEY_BYTES], both[KEY_BYTES:])


class KeyRing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a producer needs for one session: its key for each consumer. A file of mode 0600; its repr shows no key."""

    session: str
    producer: str
    keys: dict[str, bytes]

    def __repr__(self) -> str:
        return f"<KeyRing of {self.producer} for {', '.join(self.keys)}>"

    @classmethod
    def load(cls, path: Path) -> KeyRing:
        """Raises `UserError` for a file that is not there or no key ring, `EnvironmentFault` if others may read it."""
        data = read_bytes(path, _MOST_KEYS)
        if path.stat().st_mode & 0o077:
            raise EnvironmentFault(f"{path}: other users of this machine may read the keys; run chmod 600 on it")
        try:
            ring = msgspec.json.decode(data, type=cls)
            check_name(ring.producer)
        except (msgspec.MsgspecError, UserError):
            raise UserError(f"{path}: not a key ring; ask the consumers for one with 'quorate collect enrol'") from None
        if any(len(key) != KEY_BYTES for key in ring.keys.values()):
            raise UserError(f"{path}: holds a key that has not {KEY_BYTES} bytes; ask its consumer for a new one")
        return ring

    def save(self, path: Path) -> None:
        """Write the ring to `path`, mode 0600; never over another file."""
        write_atomic(path, msgspec.json.encode(self) + b"\n", 0o600, overwrite=False)

    def joined(self, other: KeyRing) -> KeyRing:
        """Both rings in one. Raises `UserError` unless they are of one session and producer, without contradiction."""
        same = {name: key for name, key in other.keys.items() if self.keys.get(name, key) == key}
        if (self.session, self.producer) != (other.session, other.producer) or len(same) != len(other.keys):
            raise UserError(
                f"the key rings of {self.producer} in {self.session} and of {other.producer} in {other.session} do not "
                "belong together; use rings of one session and one producer, one of each consumer"
            )
        return msgspec.structs.replace(self, keys=self.keys | other.keys)

    def key_for(self, consumer: str) -> Keys:
        """Raises `UserError` if there is no key for `consumer`."""
        if consumer not in self.keys:
            raise UserError(f"{self.producer} has no key for {consumer}; ask {consumer} to enrol {self.producer}")
        return Keys.of(self.keys[consumer])


def derive(master: bytes, session: str, producer: str, consumer: str) -> bytes:
    """What a consumer, whose submission key is `master`, gives to a producer for one session: 32 bytes."""
    parts = [part.encode() for part in (session, producer, consumer)]
    info = b"quorate/submission/1" + b"".join(struct.pack("<I", len(part)) + part for part in parts)
    return HKDF(SHA256(), KEY_BYTES, None, info).derive(master)


def enrol(master: bytes, session: str, producer: str, consumer: str) -> KeyRing:
    """A key ring with the one key of `consumer`, to be handed to `producer` out of band."""
    frames.session_field(session)
    key = derive(master, session, check_name(producer), consumer)
    return KeyRing(session=session, producer=producer, keys={consumer: key})


def new_id(after: bytes = b"", now: float | None = None) -> bytes:
    """A fresh message id, a UUID of version 7 (RFC 9562): the time in ms and 74 random bits; later than `after`."""
    drawn = int.from_bytes(SystemEntropy().bytes(10), "big")
    moment = int((time.time() if now is None else now) * 1000) & ((1 << 48) - 1)
    if after:
        moment = max(moment, int.from_bytes(after[:6], "big") + 1)
    high, low = drawn >> 68, drawn & ((1 << 62) - 1)
    return (moment << 80 | 7 << 76 | high << 64 | 2 << 62 | low).to_bytes(16, "big")


class Envelope(NamedTuple):
    """What of a payload can be read without a key: who sent it, for which submission, and which block of it."""

    producer: str
    submission: bytes
    block: int
    sealed: bytes = b""


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """One consumer's share of one block of a submission.

    Attributes:
        layout: digest of what is shared how, see `quorate.durable.layout`; both sides must mean the same.
        rows, blocks: rows in this block, and how many blocks the submission has.
        manifest: commitments to the parts of all consumers, so that these can compare what they were sent.
        salts, parts: of the parts that this consumer holds; as bytes of 64-bit words, little endian.
        origin: who submitted it, where a consumer passes its share on to a recipient; else empty.
    """

    layout: bytes
    rows: int
    blocks: int
    manifest: tuple[bytes, ...]
    salts: tuple[bytes, ...]
    parts: tuple[bytes, ...]
    origin: str = ""

    def __repr__(self) -> str:
        return f"<Content of {self.rows} rows>"


def sealed(content: Content, envelope: Envelope, session: str, index: int, keys: Keys) -> bytes:
    """The frame that carries `content` as share `index`; the same for the same arguments."""
    name = envelope.producer.encode()
    prefix = _ENVELOPE.pack(_VERSION, len(name)) + name + _PLACE.pack(envelope.submission, envelope.block)
    body = msgspec.msgpack.encode(content)
    bound = _bound(session, index, prefix)
    nonce = hmac.new(keys.cipher, b"nonce" + bound + body, hashlib.sha256).digest()[:_NONCE_BYTES]
    return frames.make(session, index, prefix + nonce + AESGCM(keys.cipher).encrypt(nonce, body, bound), keys.mac)


def envelope_of(payload: bytes) -> Envelope | None:
    """What a payload says in the clear, nothing of it checked; None if it is no payload."""
    if len(payload) < _ENVELOPE.size:
        return None
    version, length = _ENVELOPE.unpack_from(payload)
    start = _ENVELOPE.size + length
    name = payload[_ENVELOPE.size : start]
    least = start + _PLACE.size + _NONCE_BYTES + _TAG_BYTES
    if version != _VERSION or len(payload) < least or not _PRODUCER.fullmatch(name):
        return None
    submission, block = _PLACE.unpack_from(payload, start)
    return Envelope(name.decode(), submission, block, payload[start + _PLACE.size :])


def is_name(text: str) -> bool:
    """Whether this can name a producer."""
    return _PRODUCER.fullmatch(text.encode(errors="replace")) is not None


def opened(frame: frames.Frame, envelope: Envelope, session: str, keys: Keys) -> Content | None:
    """The content of a frame whose MAC has been checked; None if it is not of this form."""
    bound = _bound(session, frame.index, frame.payload[: -len(envelope.sealed)])
    nonce, rest = envelope.sealed[:_NONCE_BYTES], envelope.sealed[_NONCE_BYTES:]
    try:
        body = AESGCM(keys.cipher).decrypt(nonce, rest, bound)
        return msgspec.msgpack.decode(body, type=Content)
    except (InvalidTag, ValueError, RecursionError):  # those of msgspec are ValueErrors
        return None


def _bound(session: str, index: int, prefix: bytes) -> bytes:
    name = session.encode()
    return struct.pack("<II", len(name), index) + name + prefix
