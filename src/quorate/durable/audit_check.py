"""Reading an audit back: whether its chain is whole, and what it says of sessions."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from quorate.durable.audit import GENESIS, NAME, Line, chained, files, session_hash, split
from quorate.errors import UserError
from quorate.files import file_error

__all__ = ["Finding", "Tally", "audits", "entries", "verify"]

_MOST_LINE = 1 << 16


@dataclass
class Tally:
    """Messages and bytes that came from a peer (`in`) and went to it (`out`)."""

    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0

    def add(self, line: Line) -> None:
        """Count a line."""
        if line.direction == "in":
            self.messages_in += 1
            self.bytes_in += line.bytes
        elif line.direction == "out":
            self.messages_out += 1
            self.bytes_out += line.bytes


@dataclass
class Finding:
    """What was found in one audit.

    Attributes:
        lines: that are chained properly, from the first on.
        after: the chain value before the first line; `GENESIS` if nothing is missing at the beginning.
        anchor: the chain value of the last of them.
        problem: the first thing that is wrong, with file and line; None if nothing is.
        unfinished: whether the last line is cut off: whoever wrote it was killed, or is about to go on.
        repaired: lines that crashes cut off earlier.
        sessions: session hash -> peer -> what was exchanged.
        missing: anchors that were asked for and are no chain value of these lines.
        first, last: times of the first and the last line, seconds since 1970.
        number: what the last line says it is.
    """

    path: Path
    files: int = 0
    lines: int = 0
    after: str = GENESIS
    anchor: str = GENESIS
    problem: str | None = None
    unfinished: bool = False
    repaired: int = 0
    sessions: dict[str, dict[str, Tally]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    first: float = 0.0
    last: float = 0.0
    number: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, and all anchors are there."""
        return self.problem is None and not self.missing


def audits(path: Path) -> list[Path]:
    """The audits at `path`: a file of one, the folder of one, or a folder with such folders below (a node's).

    Raises:
        UserError: there is none.
    """
    found = [path] if path.is_file() else sorted({each.parent for each in path.rglob(NAME)})
    if not found:
        raise UserError(f"there is no audit at {path}; name a node's --home, a folder with {NAME}, or a file")
    return found


def verify(path: Path, anchors: Collection[str] = ()) -> Finding:
    """Check the audit in a folder, or one file of it.

    Raises:
        UserError: there is no such file.
        EnvironmentFault: it cannot be read.
    """
    finding = Finding(path)
    wanted = set(anchors) - {GENESIS}
    for _, line, chain in _checked(path, finding):
        wanted -= {chain, line.after}
        finding.first = finding.first or line.time
        finding.last = line.time
        finding.repaired += line.what == "repaired"
        if line.session:
            peers = finding.sessions.setdefault(line.session, {})
            if line.peer:
                peers.setdefault(line.peer, Tally()).add(line)
    finding.missing = tuple(sorted(wanted))
    return finding


def entries(path: Path, session: str) -> Iterator[Line]:
    """The lines of one session (its identifier or its hash), oldest first, as far as the chain is whole."""
    wanted = {session, session_hash(session)}
    return (line for _, line, _ in _checked(path, Finding(path)) if line.session in wanted)


def _checked(path: Path, finding: Finding) -> Iterator[tuple[Path, Line, str]]:
    """The lines of an audit with their chain values, up to the first that is wrong."""
    for file in [path] if path.is_file() else files(path):
        finding.files += 1
        for number, raw in enumerate(_raw_lines(file), 1):
            if not raw.endswith(b"\n"):
                finding.unfinished = file.name == NAME and len(raw) < _MOST_LINE
                finding.problem = None if finding.unfinished else f"{file}: line {number}: has no end"
                return
            line = _line(raw, number == 1, finding)
            if isinstance(line, str):
                finding.problem = f"{file}: line {number}: {line}"
                return
            yield file, line, finding.anchor


def _line(raw: bytes, first: bool, finding: Finding) -> Line | str:
    """The line; or what is wrong with it."""
    parts = split(raw)
    if parts is None:
        return "has no chain value: it was not written by a node, or was changed"
    body, stated = parts
    try:
        line = msgspec.json.decode(body + b"}", type=Line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "is no entry of an audit: it was changed"
    if first and (wrong := _beginning(line, finding)):
        return wrong
    if chained(finding.anchor, body) != stated:
        return "does not follow from the lines before: it was changed, or lines were removed, inserted or exchanged"
    if finding.lines and line.n != finding.number + 1:
        return f"has number {line.n} after {finding.number}"
    finding.anchor, finding.number = stated, line.n
    finding.lines += 1
    return line


def _beginning(line: Line, finding: Finding) -> str:
    """What is wrong with the first line of a file; "" if nothing is."""
    if line.what != "begun" or len(line.after) != len(GENESIS) or not set(line.after) <= set("0123456789abcdef"):
        return "is not the first line of a file: lines before it were removed"
    if finding.lines and line.after != finding.anchor:
        return (
            f"goes on from another line than the last of the file before ({finding.anchor[:16]}...): a file is missing"
        )
    if not finding.lines:
        finding.after = finding.anchor = line.after
    return ""


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while line := file.readline(_MOST_LINE):
                yield line
    except OSError as problem:
        raise file_error(problem, path, "read") from problem
