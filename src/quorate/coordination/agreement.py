"""The first two rounds of every session: do all participants hold the same spec, plan and software, and how many rows
does each input have?

Everybody states to the parties what it holds; the parties pass on what the owners stated. Statements have a fixed
length, so that they cost what the quote says. A difference ends the session before any data moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quorate._version import __version__
from quorate.coordination.roster import Roster
from quorate.crypto.hashing import canonical_json, hex_digest
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import AgreementError

__all__ = ["REHEARSAL", "RUN", "Statement", "agree", "software"]

Bytes = npt.NDArray[np.uint8]
FIELDS = {
    "spec": "spec",
    "plan": "plan",
    "software": "software",
    "certificates": "list of certificates",
    "purpose": "purpose (a run, or a rehearsal without real data)",
}
DIGEST = 32
UNKNOWN = -1
RUN, REHEARSAL = "run", "rehearsal"
"""What a session is for."""
ROW = 8 + DIGEST


def software() -> str:
    """The version that all participants of a session must share."""
    return f"quorate {__version__}"


@dataclass(frozen=True)
class Statement:
    """What one participant holds.

    Attributes:
        spec: digest of the spec with its plan, 64 hexadecimal characters.
        plan: digest of the plan alone.
        rows: input -> number of rows, for the inputs this participant provides.
        commitments: input -> digest that commits its owner to the data, 64 hexadecimal characters.
        software: name and version of the program.
        certificates: participant -> fingerprint that is pinned for it; empty in a simulation.
        purpose: `RUN`, or `REHEARSAL` if all data is made up; nobody takes part in the one with the data of the other.
    """

    spec: str
    plan: str
    rows: dict[str, int] = field(default_factory=dict)
    commitments: dict[str, str] = field(default_factory=dict)
    software: str = field(default_factory=software)
    certificates: Mapping[str, str] = field(default_factory=dict)
    purpose: str = RUN


def agree(
    session: Session, at: Scope, roster: Roster, inputs: tuple[str, ...], mine: Statement
) -> Step[tuple[dict[str, int], dict[str, str]]]:
    """The number of rows and the commitment of every input, the same at everybody. Two rounds.

    Raises:
        AgreementError: a participant holds another spec, plan or software, or the parties were told different things.
    """
    header = _header(mine)
    table = _table(inputs, mine)
    inside = range(session.parties)
    received = {other: np.empty(header.size + table.size, np.uint8) for other in roster.links(session.me)}
    hears = received if session.me < session.parties else {}
    statement = np.concatenate([header, table])
    sends = {other: [statement] for other in inside if other != session.me}
    yield Exchange(at.step(), sends, {other: [buffer] for other, buffer in hears.items()})
    if not session.counting:
        for other, buffer in hears.items():
            _compare(roster.participants[other], buffer[: header.size], header, mine)
            table = _merged(roster, inputs, other, table, buffer[header.size :])
    merged = np.concatenate([header, table])
    tells = roster.links(session.me) if session.me < session.parties else []
    answers = {other: np.empty_like(merged) for other in roster.links(session.me) if other in inside}
    yield Exchange(
        at.step(),
        {other: [merged] for other in tells},
        {other: [buffer] for other, buffer in answers.items()},
    )
    if session.counting:
        return {}, {}
    return _concluded(roster, inputs, header, mine, merged if session.me < session.parties else None, answers)


def _header(mine: Statement) -> Bytes:
    pinned = canonical_json(dict(mine.certificates))
    made = (
        hex_digest(mine.software.encode(), "software"),
        hex_digest(pinned, "quorate/certificates/1"),
        hex_digest(mine.purpose.encode(), "quorate/purpose/1"),
    )
    digests = [bytes.fromhex(value) for value in (mine.spec, mine.plan, *made)]
    return np.frombuffer(b"".join(digests), np.uint8)


def _table(inputs: tuple[str, ...], mine: Statement) -> Bytes:
    """Per input 8 bytes of row count (-1: not mine) and 32 of commitment."""
    rows = b"".join(
        mine.rows.get(name, UNKNOWN).to_bytes(8, "little", signed=True)
        + bytes.fromhex(mine.commitments.get(name, "00" * DIGEST))
        for name in inputs
    )
    return np.frombuffer(rows, np.uint8).copy()


def _compare(who: str, theirs: Bytes, ours: Bytes, mine: Statement) -> None:
    for index, (what, shown_as) in enumerate(FIELDS.items()):
        part = slice(index * DIGEST, (index + 1) * DIGEST)
        if not np.array_equal(theirs[part], ours[part]):
            held = getattr(mine, what)
            shown = f"ours: {held[:16]}" if isinstance(held, str) else f"our digest: {ours[part].tobytes().hex()[:16]}"
            raise AgreementError(
                f"{who} holds another {shown_as} than we do ({shown}, theirs has the digest "
                f"{theirs[part].tobytes().hex()[:16]}); compare the files or versions, and start again"
            )


def _merged(roster: Roster, inputs: tuple[str, ...], other: int, ours: Bytes, theirs: Bytes) -> Bytes:
    """Our table with the rows of the inputs that `other` provides."""
    result = ours.copy()
    for index, name in enumerate(inputs):
        part = slice(index * ROW, (index + 1) * ROW)
        if roster.owners.get(name) == other:
            result[part] = theirs[part]
    return result


def _concluded(
    roster: Roster,
    inputs: tuple[str, ...],
    header: Bytes,
    mine: Statement,
    own: Bytes | None,
    answers: dict[int, Bytes],
) -> tuple[dict[str, int], dict[str, str]]:
    first = own
    for other, answer in answers.items():
        _compare(roster.participants[other], answer[: header.size], header, mine)
        if first is not None and not np.array_equal(first, answer):
            raise AgreementError(
                f"{roster.participants[other]} was told another number of rows or other commitments than the other "
                "parties; an owner contradicts itself, or the parties kept different shares: start a new session"
            )
        first = answer if first is None else first
    table = (header if first is None else first)[header.size :]
    rows, commitments = {}, {}
    for index, name in enumerate(inputs):
        part = table[index * ROW : (index + 1) * ROW].tobytes()
        rows[name] = int.from_bytes(part[:8], "little", signed=True)
        commitments[name] = part[8:].hex()
        if rows[name] < 0:
            raise AgreementError(f"nobody stated how many rows input {name!r} has; its owner must take part")
    return rows, commitments
