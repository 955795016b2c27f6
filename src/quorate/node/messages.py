"""What coordinators, participants and nodes say to each other on a control connection, and what workers report.

All are msgspec Structs in tagged unions, sent as JSON. None holds a share, a key or a raw value.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import msgspec

from quorate import errors
from quorate.data.schema import Column
from quorate.errors import InternalError, QuorateError, UserError

__all__ = [
    "Accepted",
    "Await",
    "Ballast",
    "Cancel",
    "Card",
    "Catalogue",
    "DataSets",
    "Differs",
    "Event",
    "Failure",
    "Finished",
    "Forget",
    "Found",
    "Hello",
    "Interactive",
    "Placing",
    "Prepare",
    "Probe",
    "Probed",
    "Produce",
    "Progress",
    "Refused",
    "Remove",
    "Report",
    "Request",
    "Response",
    "Start",
    "Traffic",
    "Watch",
    "Welcome",
    "as_quorate_error",
    "check_session",
]

_SESSION = re.compile(r"[0-9a-f]{32}")
_LONGEST = 4000


class _Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    pass


class Failure(_Message, frozen=True):
    """An error: `code` is the name of its class in `quorate.errors`."""

    code: str
    message: str

    @classmethod
    def of(cls, problem: BaseException) -> Failure:
        """What is told of an error to the operator of this process."""
        known = as_quorate_error(problem)
        return cls(code=known.public_name(), message=str(known)[:_LONGEST])

    @property
    def told(self) -> Failure:
        """What other members hear of it: errors in data quote the data of their owner."""
        if self.code != "DataError":
            return self
        text = "its input data did not pass the checks of the spec; its own log says more"
        return msgspec.structs.replace(self, message=text)

    def error(self, who: str = "") -> QuorateError:
        """The error to raise for it here, with control characters taken out; `who` failed."""
        known = self.code if self.code in errors.__all__ else "QuorateError"
        cls: type[QuorateError] = getattr(errors, known)
        text = "".join(c if c.isprintable() or c == "\n" else " " for c in self.message[:_LONGEST])
        return cls(f"{who}: {text}" if who else text)

    def from_peer(self, who: str) -> QuorateError:
        """The error to raise for a failure at another member: what is wrong with its machine or data is its fault."""
        problem = self.error(who)
        if isinstance(problem, (errors.EnvironmentFault, InternalError, errors.DataError)):
            return errors.PeerError(str(problem))
        return problem


def as_quorate_error(problem: BaseException) -> QuorateError:
    """`problem` itself, or an error that says where it happened but not what values were involved."""
    if isinstance(problem, QuorateError):
        return problem
    if isinstance(problem, KeyboardInterrupt):
        return errors.EnvironmentFault("stopped by its operator")
    if isinstance(problem, MemoryError):
        return errors.EnvironmentFault("out of memory; use a machine with more, or fewer rows")
    frames = traceback.extract_tb(problem.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return InternalError(f"{type(problem).__name__}{place}; please report this")


class Traffic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes exchanged with one peer: message bodies sent, and everything on the wire (TLS included) both ways."""

    sent: int = 0
    wire_out: int = 0
    wire_in: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one participant measured in a session.

    Attributes:
        member, session: whose, and in which session.
        rounds: rounds on the longest chain of dependent exchanges.
        messages: number of messages sent.
        bytes_sent: message bodies sent, in all.
        peers: the same per peer.
        seconds, connect_seconds, compute_seconds: from the start signal to the end, and its two parts.
        peak_mb: most memory of the process, in MiB.
        rows, commitments: of every input, as agreed by all.
        rehearsal: whether all data was made up.
        findings: what was found out about parties that cheated although the computation could go on.
        transcript: of a lasting session, a hash over all messages sent and received, whatever their order.
        incarnation: of a lasting session, how many processes of the member have run it.
    """

    member: str
    session: str
    rounds: int
    messages: int
    bytes_sent: int
    peers: dict[str, Traffic]
    seconds: float
    connect_seconds: float
    compute_seconds: float
    peak_mb: float
    rows: dict[str, int]
    commitments: dict[str, str]
    rehearsal: bool = False
    findings: tuple[str, ...] = ()
    transcript: str = ""
    incarnation: int = 1


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A data set that an owner has placed at a node.

    Attributes:
        name, owner: of the data set.
        session: in which it was placed; its version.
        placed: when, seconds since 1970.
        rows: how many.
        columns: as agreed with its owner.
        shares: of each column, the name under which the node keeps its shares.
        users: members that may compute on it, its owner apart.
        commitment: the owner's, see `quorate.data.commitment`.
        parties, protocol, threshold: who holds the other shares, and how the data is shared.
    """

    name: str
    owner: str
    session: str
    placed: float
    rows: int
    columns: tuple[Column, ...]
    shares: tuple[str, ...]
    users: tuple[str, ...]
    commitment: str
    parties: tuple[str, ...]
    protocol: str
    threshold: int


class Opened(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many numbers `analyst` has opened of a data set at a node; with a limit, how many it may at `most`."""

    data_set: str
    owner: str
    analyst: str
    numbers: int
    most: int | None = None


# ---- requests


class Hello(_Message, frozen=True):
    """Who are you? Answered with `Welcome`."""

    software: str


class Placing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The session keeps its input as the data set `name`, for `users` to compute on."""

    name: str
    users: tuple[str, ...]


class Interactive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session under a node's standing approval: the plan (canonical JSON) comes along."""

    plan: bytes
    data_set: Placing | None = None


class Prepare(_Message, frozen=True):
    """Get ready for a session of this spec (canonical JSON); answered once everything is checked.

    With `rehearsal`, the rows of every input, it is a rehearsal: no data is read and no result is kept. With
    `interactive` it is none of an approved spec, see `quorate.node.room`.
    """

    session: str
    spec: str
    spec_digest: str
    plan_digest: str
    software: str
    rehearsal: dict[str, int] | None = None
    interactive: Interactive | None = None


class Produce(_Message, frozen=True):
    """Get ready to make tuples for the stocks of these parties; answered once everything is checked.

    `batches` says what is made: kinds and how many at a time, in order. With `now`, production under way gives way.
    """

    session: str
    parties: tuple[str, ...]
    protocol: str
    threshold: int
    security: int
    batches: tuple[tuple[str, int], ...]
    software: str
    now: bool = False


class Start(_Message, frozen=True):
    """Begin a prepared session."""

    session: str


class Cancel(_Message, frozen=True):
    """Give up a session."""

    session: str


class Watch(_Message, frozen=True):
    """Tell what happens in a session until its end: a stream of `Progress`, then `Finished` or `Failure`."""

    session: str


class Await(_Message, frozen=True):
    """Wait up to `seconds` for a session of a spec in which the caller takes part and has not been told of yet.

    Whoever waits for a run is told of no rehearsal, and the other way round.
    """

    spec_name: str
    spec_digest: str
    seconds: float = 20.0
    rehearsal: bool = False


class Ballast(_Message, frozen=True):
    """Bytes without meaning, to see how long they take; dropped and answered with `Accepted`."""

    body: str


class Probe(_Message, frozen=True):
    """Measure the connection to the node of `member`, for a coordinator; answered with `Probed`."""

    member: str


class DataSets(_Message, frozen=True):
    """Which data sets has the caller placed, or may it compute on? Answered with `Catalogue`."""


class Forget(_Message, frozen=True):
    """Delete these shares, which were kept in interactive sessions of the caller; others are passed over."""

    names: tuple[str, ...]


class Remove(_Message, frozen=True):
    """Delete a data set of the caller, and all that was kept of what was computed on it."""

    name: str


Request = Hello | Prepare | Produce | Start | Cancel | Watch | Await | Ballast | Probe | DataSets | Forget | Remove


# ---- responses


class Welcome(_Message, frozen=True):
    """`time` is the node's clock, seconds since 1970."""

    member: str
    software: str
    time: float


class Accepted(_Message, frozen=True):
    """The request was carried out."""


class Refused(_Message, frozen=True):
    """It was not, and why."""

    failure: Failure


class Found(_Message, frozen=True):
    """The session to join; None: none yet, ask again. Of a rehearsal, with the rows of every input."""

    session: str | None
    rehearsal: dict[str, int] | None = None


class Differs(_Message, frozen=True):
    """A session of that spec waits, but of another version of it: the node's (canonical JSON)."""

    spec: str


class Probed(_Message, frozen=True):
    """Microseconds to the other node and back, and bits per second to it."""

    rtt_us: int
    bandwidth: int


class Catalogue(_Message, frozen=True):
    """Data sets, of each up to two versions, and what was opened of them by the caller, or of those of the caller."""

    cards: tuple[Card, ...]
    opened: tuple[Opened, ...] = ()


class Progress(_Message, frozen=True):
    """Operations done, and in all."""

    done: int
    total: int


class Finished(_Message, frozen=True):
    """The session ended well at this node."""

    report: Report


Event = Progress | Finished | Failure
Response = Welcome | Accepted | Refused | Found | Differs | Probed | Catalogue | Event


def check_session(session: str) -> str:
    """`session` itself if it is 32 hexadecimal characters; else `UserError`."""
    if not _SESSION.fullmatch(session):
        raise UserError("a session is named by 32 characters of 0-9 and a-f")
    return session
