"""Where a member keeps a lasting session: a folder with its journal and what is needed to take it up again.

HOME/sessions/MEMBER/SESSION/
    task.json           what the node was asked to do, as its worker got it; no secret
    started             there once the coordinator has started the session
    journal, ...        see `quorate.durable.journal`; gone once the session has ended
    trace.jsonl         its schedule, without content, see `quorate.durable.trace`
    ended.json          how it ended: a report or a failure
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from quorate.coordination.agreement import software
from quorate.coordination.federation import Federation
from quorate.crypto.sealed import key_file
from quorate.durable import journal
from quorate.durable.fence import Fence
from quorate.durable.journal import Journal
from quorate.errors import AgreementError, EnvironmentFault, QuorateError
from quorate.files import ensure_folder, read_bytes, write_atomic
from quorate.node.desk import Assignment
from quorate.node.invitation import Invitation, opened
from quorate.node.messages import Failure, Finished

__all__ = ["Place", "begun", "created", "places"]

_TASK_LIMIT = 64 << 20


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """The readable beginning of a journal."""

    session: str
    member: str
    created: float
    spec: str
    software: str


class Place:
    """The folder of one session at one member; nothing is read or made before it is asked for."""

    def __init__(self, home: Path, member: str, session: str) -> None:
        self.member, self.session = member, session
        self.folder = home / "sessions" / member / session
        self._key = home / f"{member}.storage.key"

    @property
    def trace(self) -> Path:
        """Its schedule."""
        return self.folder / "trace.jsonl"

    @property
    def journal(self) -> Path:
        """Its journal."""
        return self.folder / "journal"

    # ---- what is to be done

    def begin(self, task: Assignment) -> None:
        """Note what is to be done, durably; a later process finds it."""
        ensure_folder(self.folder, 0o700)
        write_atomic(self.folder / "task.json", msgspec.json.encode(task), 0o600)

    def task(self) -> Assignment:
        """What is to be done, to be taken up again.

        Raises:
            EnvironmentFault: the file is damaged.
        """
        path = self.folder / "task.json"
        try:
            task = msgspec.json.decode(read_bytes(path, _TASK_LIMIT), type=Assignment)
        except msgspec.MsgspecError as problem:
            raise EnvironmentFault(f"{path}: damaged, or of another release ({problem}); start a new session") from None
        return msgspec.structs.replace(task, resumed=True)

    @property
    def prepared(self) -> bool:
        """Whether there is something to be taken up."""
        return (self.folder / "task.json").exists()

    @property
    def started(self) -> bool:
        """Whether the session was started, so that it goes on by itself."""
        return (self.folder / "started").exists()

    def start(self) -> None:
        """Note that it was started, durably."""
        write_atomic(self.folder / "started", b"", 0o600)

    @property
    def cancelled(self) -> bool:
        """Whether the coordinator has given it up."""
        return (self.folder / "cancelled").exists()

    def cancel(self) -> None:
        """Note that the coordinator gives it up, durably."""
        write_atomic(self.folder / "cancelled", b"", 0o600)

    def invited(self, letter: bytes) -> None:
        """Keep the invitation to the session, until its coordinator has been told how it ended."""
        ensure_folder(self.folder, 0o700)
        write_atomic(self.folder / "invitation.json", letter, 0o600)

    def coordinator(self, federation: Federation) -> str:
        """Who asked for it, as far as is known here; empty if nobody did."""
        invitation = self.folder / "invitation.json"
        if self.prepared:
            return self.task().coordinator
        if invitation.exists():
            return opened(read_bytes(invitation), Invitation, federation).sender
        return ""

    def abandon(self) -> None:
        """It will not begin: nothing is to be taken up."""
        (self.folder / "task.json").unlink(missing_ok=True)

    # ---- its journal

    def open(self, spec: str) -> Journal:
        """The journal, made if it is not there; `spec` is the digest of spec and plan.

        Raises:
            AgreementError: another release of quorate has begun it.
            QuorateError: as `Journal.open`.
        """
        node_key = key_file(self._key, create=True)
        if journal.exists(self.journal):
            before = msgspec.json.decode(journal.read_header(self.journal), type=_Header).software
            if before != software():
                raise AgreementError(
                    f"session {self.session} began under {before}, and this is {software()}; install that release "
                    "again until the session is over"
                )
            return Journal.open(self.journal, node_key)
        header = _Header(session=self.session, member=self.member, created=time.time(), spec=spec, software=software())
        return Journal.create(self.journal, node_key, msgspec.json.encode(header))

    def spec_of(self) -> str:
        """The digest of spec and plan of a session that has begun; empty if it has not."""
        if not journal.exists(self.journal):
            return ""
        return msgspec.json.decode(journal.read_header(self.journal), type=_Header).spec

    # ---- its end

    @property
    def end(self) -> Finished | Failure | None:
        """How it ended, if it did."""
        path = self.folder / "ended.json"
        if path.exists():
            with contextlib.suppress(QuorateError, msgspec.MsgspecError):
                ended: Finished | Failure = msgspec.json.decode(read_bytes(path, _TASK_LIMIT), type=Finished | Failure)
                return ended
        return None

    def note_end(self, end: Finished | Failure) -> None:
        """Note how it ended, durably. The first end counts."""
        if self.end is None:
            ensure_folder(self.folder, 0o700)
            write_atomic(self.folder / "ended.json", msgspec.json.encode(end), 0o600)

    @property
    def erased(self) -> bool:
        """Whether nothing secret is left of it."""
        return not self.journal.exists()

    def erase(self, fence: Fence) -> None:
        """Destroy journal and keys; how it ended and its schedule stay."""
        journal.destroy(self.journal)
        fence.remove()
        for name in ("task.json", "started", "cancelled"):
            (self.folder / name).unlink(missing_ok=True)


def places(home: Path, member: str) -> Iterator[Place]:
    """The sessions that can be taken up again."""
    for path in sorted((home / "sessions" / member).glob("*/task.json")):
        yield Place(home, member, path.parent.name)


def begun(home: Path, member: str) -> Iterator[Place]:
    """The sessions that have a journal, the oldest first."""
    found = (home / "sessions" / member).glob("*/journal")
    for path in sorted(found, key=lambda path: path.stat().st_ctime):
        yield Place(home, member, path.parent.name)


def created(log: Journal) -> float:
    """When a session began here (Unix time)."""
    return msgspec.json.decode(log.header, type=_Header).created
