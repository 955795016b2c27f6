"""Shares that a party keeps between sessions, encrypted at rest with AES-256-GCM under a key of this node.

One file per kept name. Its header (what is shared, with whom, under which protocol) is readable and authenticated;
the shares are encrypted. A damaged, exchanged or renamed file is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quorate.coordination.lineage import Facts, Region, Strand
from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.sealed import MOST, key_file
from quorate.errors import EnvironmentFault, UserError
from quorate.files import ensure_folder, file_error, read_bytes, write_atomic
from quorate.sharing.share import Share
from quorate.sharing.stored import Form, Part, Reader, content_of, form_of

__all__ = ["Kept", "Note", "Owner", "Shaped", "Vault"]

_MAGIC = b"quorate-share-1\n"
_NONCE_BYTES = 12
_PREFIX = 4


class Owner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which shares fit together: same parties in the same order, same protocol and threshold, this index."""

    parties: tuple[str, ...]
    index: int
    protocol: str
    threshold: int


class Shaped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shape that a kept share had before it was made flat, and what was known of it then; see `Note`."""

    shape: tuple[int, ...]
    strands: tuple[Strand, ...]
    chosen: tuple[Region, ...]
    ramps: tuple[int, ...]

    @classmethod
    def of(cls, facts: Facts) -> Shaped | None:
        """None if the value was never given another shape."""
        if facts.form is None:
            return None
        shape, before = facts.form
        return cls(shape=shape, strands=tuple(before.strands), chosen=tuple(before.chosen), ramps=tuple(before.ramps))

    @property
    def facts(self) -> Facts:
        """What was known."""
        return Facts(frozenset(self.strands), frozenset(self.chosen), frozenset(self.ramps))


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a share of an interactive session: what later sessions have to know before they use it.

    Attributes:
        maker: the member that had it made, and that alone may use it unless it is a column of a data set.
        made: when, seconds since 1970.
        bounds: smallest and largest raw value that it may have.
        strands: how it rests on data sets.
        chosen, ramps: where it differs as the maker chose, see `quorate.coordination.lineage.Facts`.
        sure: whether the bounds hold whatever the maker uploaded.
        form: of a matrix, for its way back.
    """

    maker: str
    made: float
    bounds: tuple[int, int]
    strands: tuple[Strand, ...] = ()
    chosen: tuple[Region, ...]
    ramps: tuple[int, ...] = ()
    sure: bool = False
    form: Shaped | None = None

    def facts(self, reader: str) -> Facts:
        """What `reader` may take it for. What others placed they did not choose to suit the reader."""
        if reader != self.maker:
            return Facts(frozenset(self.strands))
        form = None if self.form is None else (self.form.shape, self.form.facts)
        return Facts(frozenset(self.strands), frozenset(self.chosen), frozenset(self.ramps), sure=self.sure, form=form)


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    session: str
    owner: Owner
    kind: str
    scheme: str
    width: int
    dtype: str
    parts: tuple[Part, ...]
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A share read from the vault, the data type of its values ("int", "fixed(16)") and the session that made it."""

    share: Share = field(repr=False)
    dtype: str
    session: str
    note: Note | None = None


class Vault:
    """The kept shares of one member below a folder `home`; the key is made at the first use."""

    def __init__(self, home: Path, member: str) -> None:
        self._folder = home / "kept" / member
        self._key_path = home / f"{member}.storage.key"

    def path(self, name: str) -> Path:
        """Where the share kept as `name` lies."""
        return self._folder / f"{name}.share"

    def save(self, name: str, share: Share, dtype: str, session: str, owner: Owner, note: Note | None = None) -> None:
        """Encrypt and write a share, replacing an earlier one of this name unless the new one has a note.

        Raises:
            UserError: the share is larger than 2 GiB, or would replace one though it has a note.
            EnvironmentFault: the disk is full, or this machine refuses the write.
        """
        if note is not None and self.path(name).exists():
            raise UserError(f"something is kept as {name!r} already; what interactive sessions keep is never replaced")
        form = form_of(share)
        header = _Header(
            name=name,
            session=session,
            owner=owner,
            kind=form.kind,
            scheme=form.scheme,
            width=form.width,
            dtype=dtype,
            parts=form.parts,
            note=note,
        )
        body = content_of(share.parts)
        if len(body) >= MOST:
            raise UserError(f"the share to keep as {name!r} has {len(body)} bytes, more than 2 GiB; keep it in parts")
        ensure_folder(self._folder, 0o700)
        write_atomic(self.path(name), self._sealed(msgspec.json.encode(header), body), 0o600)

    def _sealed(self, header: bytes, body: bytes) -> bytes:
        nonce = SystemEntropy().bytes(_NONCE_BYTES)
        prefix = _MAGIC + len(header).to_bytes(_PREFIX, "big") + header
        return prefix + nonce + AESGCM(self._key(create=True)).encrypt(nonce, body, prefix)

    def load(self, name: str, owner: Owner) -> Kept:
        """The share kept as `name`, if it was made by the same parties in the same roles.

        Raises:
            UserError: nothing is kept under this name, or it was made for other parties or another protocol.
            EnvironmentFault: the file or the key is damaged or cannot be read.
        """
        path = self.path(name)
        if not path.exists():
            raise UserError(
                f"nothing is kept as {name!r} at this node (looked for {path}); run the spec that keeps it first, "
                "with the same --home"
            )
        data = read_bytes(path)
        header, start = _parse(data, path)
        if header.name != name:
            raise EnvironmentFault(f"{path}: holds the share {header.name!r}; the file was renamed, name it as it was")
        _check_owner(header.owner, owner, name)
        return Kept(_share(header, self._opened(data, start, path), path), header.dtype, header.session, header.note)

    def names(self) -> list[str]:
        """What is kept, in order of names."""
        return sorted(path.stem for path in self._folder.glob("*.share"))

    def glance(self, name: str) -> Note | None:
        """The note of a share, without a look at whether the file is as it was written; None if there is none.

        Raises:
            EnvironmentFault: the file is damaged or cannot be read.
        """
        path = self.path(name)
        if not path.exists():
            return None
        try:
            with open(path, "rb") as file:
                head = file.read(len(_MAGIC) + _PREFIX)
                head += file.read(int.from_bytes(head[len(_MAGIC) :], "big"))
        except OSError as error:
            raise file_error(error, path, "read") from error
        return _parse(head, path)[0].note

    def remove(self, name: str) -> None:
        """Delete a share, if it is there. Raises `EnvironmentFault` if this machine refuses."""
        path = self.path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise file_error(error, path, "delete") from error

    def _opened(self, data: bytes, start: int, path: Path) -> bytes:
        nonce = data[start : start + _NONCE_BYTES]
        try:
            return AESGCM(self._key(create=False)).decrypt(nonce, data[start + _NONCE_BYTES :], data[:start])
        except (InvalidTag, ValueError):
            raise EnvironmentFault(
                f"{path}: damaged, or encrypted under another key than {self._key_path}; restore both from one backup, "
                "or run the spec that keeps this share again"
            ) from None

    def _key(self, *, create: bool) -> bytes:
        return key_file(self._key_path, create=create)


def _parse(data: bytes, path: Path) -> tuple[_Header, int]:
    start = len(_MAGIC) + _PREFIX
    stop = start + int.from_bytes(data[len(_MAGIC) : start], "big")
    try:
        if not data.startswith(_MAGIC) or stop > len(data):
            raise msgspec.DecodeError
        return msgspec.json.decode(data[start:stop], type=_Header), stop
    except msgspec.MsgspecError:
        raise EnvironmentFault(f"{path}: damaged, or not a kept share; restore it from a backup") from None


def _check_owner(kept: Owner, wanted: Owner, name: str) -> None:
    for field_name in ("parties", "protocol", "threshold", "index"):
        here, there = getattr(kept, field_name), getattr(wanted, field_name)
        if here != there:
            raise UserError(
                f"the share kept as {name!r} has {field_name} {_shown(here)}, this spec has {_shown(there)}; "
                "use it with the same parties, in the same order, and the same protocol"
            )


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _share(header: _Header, body: bytes, path: Path) -> Share:
    reader = Reader(body, str(path))
    share = reader.share(Form(header.kind, header.scheme, header.width, header.parts))
    reader.end()
    return share
