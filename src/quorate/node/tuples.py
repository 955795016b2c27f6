"""The tuple store: correlated randomness on disk, made ahead of sessions and handed out once.

One folder per group (`Group`: the same parties in the same order with the same protocol):

    group.json            whose stock this is, readable
    ledger.sealed         `Ledger` and the key of the generation, under the node's own key MEMBER.tuples.key
    secrets.sealed        the shares of MAC keys under which this generation was made
    KIND-START.chunk      tuples
    journal.jsonl         which session made or spent which positions, without content
    lock                  held while any of this changes
    lease, production     held by the one session that may take and use secrets, and the one that may store

Everything sealed is AES-256-GCM; group, generation, kind and positions are authenticated. A claim first raises the
mark of what is gone, on disk (fsync) and at the fence, then reads. So a crash at any moment loses tuples and never
hands one out twice. The fence, a folder outside the data folder that backups of it do not cover, has a file of marks
per generation: restored data with older marks is brought up to them, and a generation without one is not used.
Neither helps when both places are put back together; the other parties' marks do, see `quorate.coordination.stock`.

Secrets are handed out only to who holds the lease, after both places say durably that they are in use, and by which
session. The session takes that back at an orderly end. Whoever finds secrets in use and nobody with the lease knows
that a session died with them, and destroys the generation: a peer may have made it die when it had learned enough. A
generation without secrets is never in use. A lasting session has them until it ends, also while no process runs it:
then nobody else gets the lease.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import canonical_json, hex_digest
from quorate.crypto.sealed import MOST, key_file, new_key, seal, unseal
from quorate.durable.fence import default_fence
from quorate.errors import EnvironmentFault, InternalError, QuorateError, UserError
from quorate.files import ensure_folder, file_error, read_bytes, write_atomic
from quorate.node.journal import Event, Journal
from quorate.node.leases import Leases
from quorate.node.place import Place
from quorate.preprocessing.ledger import NOTHING, Holding, Ledger

__all__ = ["Group", "Shelf", "default_fence", "shelves"]

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]
_LEDGER = b"quorate-ledger-1\n"
_SECRETS = b"quorate-secrets-1\n"
_CHUNK = b"quorate-tuples-1\n"
_LEASE, _PRODUCTION = "lease", "production"
_DTYPES = ("|u1", "|i1", "|b1", "<u2", "<u4", "<u8", "<i8")


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who can use tuples together: parties in order, protocol, threshold, bits of statistical security."""

    parties: tuple[str, ...]
    protocol: str
    threshold: int
    security: int

    @property
    def ident(self) -> str:
        """32 hexadecimal characters, the same at all parties."""
        return hex_digest(canonical_json(self), "quorate/tuple group/1")[:32]


class _Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ledger: Ledger
    key: bytes


class _Arrays(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str
    start: int
    stop: int
    parts: tuple[tuple[str, tuple[int, ...]], ...]


class _Marks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    generation: str
    gone: dict[str, int]
    in_use: str = ""


def shelves(home: Path, member: str, fence: Path | None = None) -> list[Shelf]:
    """The stocks of all groups that `member` keeps below `home`."""
    found = []
    for path in sorted((home / "tuples" / member).glob("*/group.json")):
        with contextlib.suppress(msgspec.MsgspecError, QuorateError):
            found.append(Shelf(home, member, msgspec.json.decode(read_bytes(path), type=Group), fence))
    return found


@dataclass(frozen=True)
class _Generation:
    """An opened ledger."""

    ledger: Ledger
    key: bytes


class Shelf:
    """The stock of one group at one party. Any number of processes may use it at the same time."""

    def __init__(self, home: Path, member: str, group: Group, fence: Path | None = None) -> None:
        """`home` is the node's data folder; nothing is read or written yet."""
        self.group = group
        self.member = member
        self.folder = home / "tuples" / member / group.ident
        self._home = home
        self.journal = Journal(self.folder / "journal.jsonl")
        self._key_path = home / f"{member}.tuples.key"
        self._fence = fence or default_fence()
        self._leases = Leases(self.folder)
        self._using = False

    # ---- reading

    def ledger(self) -> Ledger:
        """What there is now. What is damaged, or not vouched for by the fence, is destroyed, and said in the log."""
        with self._locked():
            found = self._open()
            return Ledger() if found is None else found.ledger

    def look(self) -> Ledger:
        """What there is, for people: nothing is changed, and the fence need not be there. Empty if unreadable."""
        if not self.exists():
            return Ledger()
        with self._locked():
            found = self._peek()
            if found is None:
                return Ledger()
            marks = self._marks(found.ledger.generation)
            ledger = found.ledger if marks is None else _brought_up(found.ledger, marks)
            return Ledger() if self._abandoned(ledger) else ledger

    def holdings(self, generation: str, kinds: Sequence[str]) -> dict[str, Holding]:
        """What of this generation can be handed out next, by kind."""
        ledger = self.ledger()
        same = ledger.generation == generation
        return {kind: ledger.holding(kind) if same else Holding() for kind in kinds}

    # ---- changing

    def claim(self, generation: str, session: str, ranges: Mapping[str, tuple[int, int]]) -> dict[str, list[Array]]:
        """Hand out the tuples of these (start, stop), once and for all; what lies before them is gone too.

        Raises:
            EnvironmentFault: the generation is gone, a file is damaged (then the generation is destroyed), or this
                machine refuses the write. What was to be claimed counts as gone.
        """
        with self._locked():
            found = self._current(generation)
            after = found.ledger.spent(ranges)
            self._save(_Generation(after, found.key))
            for kind, (start, stop) in ((kind, where) for kind, where in ranges.items() if where[0] < where[1]):
                self.journal.note(Event(what="spent", session=session, kind=kind, start=start, stop=stop))
            taken = {kind: self._read(found, kind, *where) for kind, where in ranges.items() if where[0] < where[1]}
            self._sweep(after)
            return taken

    def secrets(self, generation: str, session: str) -> tuple[Array, ...]:
        """Hand the keys of a generation out to who holds the lease; in use until `put_back`, if there are any.

        Raises:
            EnvironmentFault: they are gone or damaged, or this machine refuses the write.
        """
        with self._locked():
            found = self._current(generation)
            header, body = self._unsealed(found.key, _SECRETS, self.folder / "secrets.sealed", generation)
            secrets = tuple(_unpacked(header, body))
            if secrets:
                self._save(self._handed_out(found, session))
            return secrets

    def put_back(self) -> None:
        """The session that was handed keys has ended in order: they are not in use any more, and may be used again.

        Raises:
            EnvironmentFault: this machine refuses the write; the keys stay in use, and are destroyed in the end.
        """
        if not self._using:
            return
        with self._locked():
            found = self._open()
            if found is not None:
                self._save(_Generation(found.ledger.used_by(""), found.key))
        self._using = False

    def begin(self, generation: str, secrets: Sequence[Array], session: str) -> None:
        """Start a generation; an earlier one is destroyed. Keys, if there are any, are in use as after `secrets`."""
        with self._locked():
            self._destroy("a new one begins")
            fresh = _Generation(Ledger(generation=generation), new_key())
            if secrets:
                fresh = self._handed_out(fresh, session)
            write_atomic(self.folder / "group.json", canonical_json(self.group))
            header, body = _packed("secrets", 0, list(secrets))
            sealed = seal(fresh.key, _SECRETS, header, body, self._context(generation))
            write_atomic(self.folder / "secrets.sealed", sealed, 0o600)
            self._save(fresh)

    def add(self, generation: str, session: str, kind: str, start: int, parts: Sequence[Array], seconds: float) -> None:
        """Store tuples of positions from `start` on.

        Raises:
            UserError: they have 2 GiB or more.
            EnvironmentFault: the generation is gone, or this machine refuses the write; nothing is stored then.
        """
        stop = start + parts[0].shape[0]
        header, body = _packed(kind, start, parts)
        if len(body) >= MOST:
            raise UserError(f"a chunk of {stop - start} {kind} has more than 2 GiB; use smaller chunks")
        with self._locked():
            found = self._current(generation)
            after = found.ledger.added(kind, start, stop)
            sealed = seal(found.key, _CHUNK, header, body, self._context(generation))
            write_atomic(self._path(kind, start), sealed, 0o600)
            self._save(_Generation(after, found.key))
            event = Event(what="made", session=session, kind=kind, start=start, stop=stop, seconds=seconds)
            self.journal.note(event)

    def destroy(self, why: str, generation: str | None = None) -> None:
        """Destroy the generation (or only if it is this one): its keys first, then its tuples."""
        with self._locked():
            found = self._peek()
            if generation is None or found is None or found.ledger.generation == generation:
                self._destroy(why)

    def lease(self, patience: float = 0.0, session: str = "") -> bool:
        """Whether this process has the stock to itself from now on; waits up to `patience` seconds for it.

        Checks of two sessions under one MAC key could be played against each other, and sessions that agree on
        positions at the same time get in each other's way. Others may still store. The lease ends with the process;
        `session`, if it lasts longer, takes up the keys again that it was handed before.
        """
        if not self._leases.take(_LEASE, patience):
            return False
        user = self._lasting_user()
        if user not in ("", session):
            self._leases.give_back(_LEASE)
            return False
        self._using = self._using or user != ""
        return True

    def lease_production(self, patience: float = 0.0) -> bool:
        """The same for storing new tuples."""
        return self._leases.take(_PRODUCTION, patience)

    @property
    def leased(self) -> bool:
        """Whether the stock is ours, see `lease`."""
        return self._leases.has(_LEASE)

    @property
    def in_use(self) -> bool:
        """Whether keys of the generation are in our hands, and not put back."""
        return self._using

    def exists(self) -> bool:
        """Whether there may be anything in stock."""
        return (self.folder / "ledger.sealed").exists()

    def release(self) -> None:
        """Give all leases back. With keys that were not put back, this is the end of the generation."""
        self._leases.release()
        self._using = False

    def _handed_out(self, made: _Generation, session: str) -> _Generation:
        if not self.leased:
            raise InternalError("keys of a stock are not handed out without its lease; please report this")
        self._using = True
        return _Generation(made.ledger.used_by(session or "without a name"), made.key)

    def _abandoned(self, ledger: Ledger) -> bool:
        """Whether keys are in use and their user is gone, who had the lease until then."""
        if not ledger.in_use or self._lasts(ledger.in_use):
            return False
        return not self._using if self.leased else self._leases.free(_LEASE)

    def _lasting_user(self) -> str:
        """The lasting session that has keys of the generation, whether it is interrupted or not; "" if none has."""
        if not self.exists():
            return ""
        with self._locked():
            found = self._peek()
            marks = None if found is None else self._marks(found.ledger.generation)
        if found is None or marks is None:
            return ""
        user = _brought_up(found.ledger, marks).in_use
        return user if self._lasts(user) else ""

    def _lasts(self, session: str) -> bool:
        """Whether a session can be taken up again by another process."""
        if not session.isalnum():
            return False
        place = Place(self._home, self.member, session)
        return not place.erased and place.end is None

    # ---- files

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes."""
        ensure_folder(self.folder, 0o700)
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            raise file_error(problem, self.folder / "lock", "write") from problem
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _context(self, generation: str) -> bytes:
        return f"{self.group.ident} {self.member} {generation}".encode()

    def _path(self, kind: str, start: int) -> Path:
        return self.folder / f"{hex_digest(kind.encode(), 'quorate/kind/1')[:16]}-{start}.chunk"

    def _fence_path(self, generation: str) -> Path:
        return self._fence / f"{self.member}-{generation}.json"

    def _peek(self) -> _Generation | None:
        """The ledger as it lies on disk; None if there is none, or it cannot be used."""
        path = self.folder / "ledger.sealed"
        if not path.exists():
            return None
        try:
            key = key_file(self._key_path, create=False)
        except UserError:
            return None
        opened = unseal(key, _LEDGER, read_bytes(path), self._context(""))
        if opened is None:
            return None
        with contextlib.suppress(msgspec.MsgspecError):
            kept = msgspec.json.decode(opened[1], type=_Kept)
            return _Generation(kept.ledger, kept.key)
        return None

    def _open(self) -> _Generation | None:
        """The generation, its marks raised to those of the fence; None, and everything destroyed, if it is unusable."""
        found = self._peek()
        if found is None:
            if (self.folder / "ledger.sealed").exists():
                self._destroy("the ledger is damaged, or encrypted under another key")
            self._sweep(Ledger())
            return None
        marks = self._marks(found.ledger.generation)
        if marks is None:
            self._destroy(f"the fence in {self._fence} does not know it: it was destroyed, or the data was restored")
            return None
        raised = _brought_up(found.ledger, marks)
        if self._abandoned(raised):
            self._destroy(f"session {raised.in_use} used its keys and did not end in order")
            return None
        if raised != found.ledger:
            log.warning("tuples of %s: older than the fence (a restored backup?); marks raised", self._title)
        self._sweep(raised)
        return _Generation(raised, found.key)

    def _marks(self, generation: str) -> _Marks | None:
        path = self._fence_path(generation)
        if not path.exists():
            return None
        with contextlib.suppress(msgspec.MsgspecError):
            marks = msgspec.json.decode(read_bytes(path), type=_Marks)
            return marks if marks.generation == generation else None
        return None

    def _current(self, generation: str) -> _Generation:
        found = self._open()
        if found is None or found.ledger.generation != generation:
            raise EnvironmentFault(
                f"the stock of tuples of {self._title} was destroyed while the session began; run it again"
            )
        return found

    def _save(self, made: _Generation) -> None:
        """Fence first: if the second write fails, tuples are lost and none is handed out twice."""
        ensure_folder(self._fence, 0o700)
        ledger = made.ledger
        marks = _Marks(generation=ledger.generation, gone=ledger.gone, in_use=ledger.in_use)
        write_atomic(self._fence_path(ledger.generation), msgspec.json.encode(marks), 0o600)
        kept = msgspec.json.encode(_Kept(ledger=ledger, key=made.key))
        key = key_file(self._key_path, create=True)
        write_atomic(self.folder / "ledger.sealed", seal(key, _LEDGER, b"", kept, self._context("")), 0o600)

    def _read(self, found: _Generation, kind: str, start: int, stop: int) -> list[Array]:
        """The tuples start ... stop - 1 out of their chunks."""
        pieces: list[list[Array]] = []
        for first, last in found.ledger.chunks.get(kind, ()):
            if first < stop and start < last:
                parts = self._chunk(found, kind, first, last)
                pieces.append([part[max(0, start - first) : stop - first] for part in parts])
        return [np.concatenate(list(columns)) for columns in zip(*pieces, strict=True)]

    def _chunk(self, found: _Generation, kind: str, first: int, last: int) -> list[Array]:
        path = self._path(kind, first)
        header, body = self._unsealed(found.key, _CHUNK, path, found.ledger.generation)
        if (header.kind, header.start, header.stop) != (kind, first, last):
            self._destroy(f"{path} holds other tuples than its name says")
            raise EnvironmentFault(f"{path}: holds other tuples; the stock was destroyed, run the session again")
        return _unpacked(header, body)

    def _unsealed(self, key: bytes, magic: bytes, path: Path, generation: str) -> tuple[_Arrays, bytes]:
        opened = unseal(key, magic, read_bytes(path), self._context(generation)) if path.exists() else None
        if opened is None:
            self._destroy(f"{path.name} is damaged or missing")
            raise EnvironmentFault(
                f"{path}: damaged or missing; the stock was destroyed. Run the session again: tuples are made anew"
            )
        return msgspec.json.decode(opened[0], type=_Arrays), opened[1]

    def _sweep(self, ledger: Ledger) -> None:
        """Remove the files of chunks that the ledger does not know (any more)."""
        known = {self._path(kind, start) for kind, chunks in ledger.chunks.items() for start, _ in chunks}
        for path in self.folder.glob("*.chunk"):
            if path not in known:
                path.unlink(missing_ok=True)

    def _destroy(self, why: str) -> None:
        """The fence first: without it no backup of the rest counts. The ledger holds the only copy of the key."""
        found = self._peek()
        if (self.folder / "ledger.sealed").exists():
            log.warning("tuples of %s: the stock is destroyed: %s", self._title, why)
            self.journal.note(Event(what="destroyed", session=why))
        if found is not None and found.ledger.generation != NOTHING:
            self._fence_path(found.ledger.generation).unlink(missing_ok=True)
        for name in ("ledger.sealed", "secrets.sealed"):
            (self.folder / name).unlink(missing_ok=True)
        self._sweep(Ledger())
        self._using = False

    @property
    def _title(self) -> str:
        return f"{self.group.protocol} with {', '.join(self.group.parties)}"


def _brought_up(ledger: Ledger, marks: _Marks) -> Ledger:
    """What is gone or in use at either place is so."""
    return ledger.raised(marks.gone).used_by(ledger.in_use or marks.in_use)


def _packed(kind: str, start: int, parts: Sequence[Array]) -> tuple[bytes, bytes]:
    """Header and body of arrays; the first axis of all counts tuples, for secrets it does not matter."""
    plain = [np.ascontiguousarray(part, part.dtype.newbyteorder("<")).reshape(part.shape) for part in parts]
    stop = start + len(plain[0]) if plain and plain[0].ndim else start
    shapes = tuple((part.dtype.str, part.shape) for part in plain)
    header = msgspec.json.encode(_Arrays(kind=kind, start=start, stop=stop, parts=shapes))
    return header, b"".join(part.tobytes() for part in plain)


def _unpacked(header: _Arrays, body: bytes) -> list[Array]:
    """What was packed; authenticated before, so malformed only if another release wrote it."""
    arrays, start = [], 0
    for kind, shape in header.parts:
        if kind not in _DTYPES:
            raise EnvironmentFault(f"tuples of an unknown type {kind!r}; they were written by another release")
        array = np.frombuffer(body, kind, int(np.prod(shape, dtype=np.int64)), start).reshape(shape)
        start += array.nbytes
        arrays.append(array.astype(array.dtype.newbyteorder("=")))
    return arrays
