"""What every process of a participant seals, noted before it leaves: a ledger that survives kills.

A line says at which position something was sealed, and keyed digests of what. Lines of all processes of all
participants together show whether a position, a nonce or a name was ever used for two contents.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from quorate.durable.keys import NONCE, Channel
from quorate.durable.parcel import DATA, HEADER_SIZE, unpack

__all__ = ["Findings", "Note", "examine", "install", "read"]


class Note(msgspec.Struct, frozen=True, array_like=True):
    """Something that was sealed: the header in front of it, the nonce, digests of what was sealed and of the result."""

    header: bytes
    nonce: bytes
    plain: bytes
    sealed: bytes


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What ledgers say.

    Attributes:
        sealed: pieces that were sealed, repetitions included. repeated: how many of them were repetitions.
        positions: of messages.
        twice: positions with two contents, in words; empty if all is well.
        content: digest over all positions and the contents there.
    """

    sealed: int
    repeated: int
    positions: int
    twice: tuple[str, ...]
    content: str


def install(path: Path, key: bytes) -> None:
    """From now on this process, and those that it forks, write to `path` what they seal; `key` is for the digests."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.write(descriptor, b"\n")  # after a line that was cut off
    for name in ("seal", "seal_control"):
        setattr(Channel, name, _noted(getattr(Channel, name), descriptor, key))


def _noted(seal: Any, descriptor: int, key: bytes) -> Any:
    def sealed_and_noted(self: Channel, *facts: Any) -> bytes:
        header, body = next(pair for pair in pairwise(facts) if _is_header(pair[0]))
        sealed: bytes = seal(self, *facts)
        note = Note(bytes(header), sealed[:NONCE], _digest(body, key), _digest(sealed, key))
        os.write(descriptor, msgspec.json.encode(note) + b"\n")  # in one piece, as the file is open for appending
        return sealed

    return sealed_and_noted


def _is_header(fact: Any) -> bool:
    return isinstance(fact, bytes) and len(fact) == HEADER_SIZE


def _digest(data: Any, key: bytes) -> bytes:
    return hashlib.blake2b(data, key=key, digest_size=16).digest()


def read(path: Path) -> Iterator[Note]:
    """The notes in a file; a line that a kill cut off is left out, as what it speaks of never left."""
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:
        with contextlib.suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(line, type=Note)


def examine(paths: list[Path]) -> Findings:
    """Compare everything that was sealed with everything else that was."""
    known: dict[tuple[object, ...], bytes] = {}
    twice: list[str] = []
    sealed = 0
    for note in (note for path in paths for note in read(path)):
        sealed += 1
        for position, content in _claims(note):
            if known.setdefault(position, content) != content:
                twice.append(" ".join(map(str, position)))
    messages = sorted((place, content) for place, content in known.items() if place[0] == "message")
    lines = "\n".join(f"{place} {content.hex()}" for place, content in messages)
    nonces = sum(place[0] == "nonce" for place in known)
    whole = hashlib.sha256(lines.encode()).hexdigest()
    return Findings(
        sealed=sealed,
        repeated=sealed - nonces,
        positions=len(messages),
        twice=tuple(sorted(set(twice))),
        content=whole,
    )


def _claims(note: Note) -> Iterator[tuple[tuple[object, ...], bytes]]:
    """What a note says is the only content of which position."""
    header = unpack(note.header)
    link = (header.sender, header.receiver)
    if header.kind == DATA:
        yield ("message", *link, *header.name, header.piece), note.plain
        yield ("place", *link, *header.name), header.seq.to_bytes(8, "big")
    yield ("nonce", header.kind == DATA, *link, note.nonce), note.sealed
