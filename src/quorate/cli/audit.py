"""quorate audit: whether the record of what a node received and sent is whole, and what it says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.common import Json, print_json
from quorate.errors import EnvironmentFault, UserError

if TYPE_CHECKING:
    from quorate.durable.audit import Line
    from quorate.durable.audit_check import Finding

__all__ = ["audit"]

audit = typer.Typer(
    help="Check and show the audit of a node: what came in and went out, chained so that no line can be changed.",
    no_args_is_help=True,
)

_HELP = "A node's --home, the folder of an audit, or one of its files."
Place = Annotated[Path, typer.Argument(metavar="[PATH]", help=_HELP)]


@audit.command()
def verify(
    path: Place = Path("state"),
    anchor: Annotated[
        list[str] | None,
        typer.Option(metavar="HASH", help="A chain value noted earlier, which must still be there; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Check the chain of every audit at PATH, and print what was exchanged, and the last chain value.

    Note that value outside of this machine: with --anchor, a later check tells whether lines are missing at the end, or
    everything was written anew. The exit code is 8 if something is wrong.
    """
    from quorate.durable.audit_check import audits, verify

    wanted = {_checked_anchor(value) for value in anchor or ()}
    found = [verify(one, wanted) for one in audits(path)]
    elsewhere = {value for value in wanted if any(value not in each.missing for each in found)}
    for each in found:  # an anchor belongs to one audit
        each.missing = tuple(value for value in each.missing if value not in elsewhere)
    if json:
        print_json({"sound": all(each.sound for each in found), "audits": [_as_dict(each) for each in found]})
    else:
        for each in found:
            _show(each)
    if not all(each.sound for each in found):
        raise typer.Exit(EnvironmentFault.exit_code)


@audit.command()
def show(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The session's identifier, or its hash.")],
    path: Place = Path("state"),
    json: Json = False,
) -> None:
    """Print what the audits at PATH say of a session, oldest first. Check them first, with 'quorate audit verify'."""
    from quorate.durable.audit_check import audits, entries

    found = {str(one): list(entries(one, session)) for one in audits(path)}
    if not any(found.values()):
        raise UserError(f"no audit at {path} says anything of session {session}")
    if json:
        print_json({"session": session, "audits": found})
        return
    for name, lines in found.items():
        if lines:
            print(name)
        for line in lines:
            print(_text(line))


def _checked_anchor(value: str) -> str:
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise UserError(f"--anchor {value[:80]}: a chain value has 64 hexadecimal digits")
    return value


def _as_dict(found: Finding) -> dict[str, Any]:
    return {
        "path": str(found.path),
        "sound": found.sound,
        "problem": found.problem,
        "missing_anchors": found.missing,
        "files": found.files,
        "lines": found.lines,
        "unfinished": found.unfinished,
        "repaired": found.repaired,
        "after": found.after,
        "anchor": found.anchor,
        "sessions": found.sessions,
    }


def _show(found: Finding) -> None:
    from quorate.durable.audit import GENESIS

    print(
        f"{found.path}: {'sound' if found.sound else 'NOT SOUND'}, {found.lines:,} lines in {found.files} files", end=""
    )
    print(f", {_when(found.first)} to {_when(found.last)}" if found.lines else "")
    if found.problem:
        print(f"  {found.problem}; what follows proves nothing")
    for value in found.missing:
        print(f"  anchor {value} is not in it: lines were removed, or all were written anew")
    if found.after != GENESIS:
        print(f"  begins after {found.after}; earlier files are not here")
    if found.unfinished:
        print(
            "  the last line is cut off: its writer was killed, or is at work; the node repairs it when it writes next"
        )
    if found.repaired:
        print(f"  {found.repaired} lines that crashes cut off were removed, as lines of their own say")
    for session, peers in found.sessions.items():
        print(f"  session {session}")
        for peer, tally in sorted(peers.items()):
            print(
                f"    {peer}: {tally.messages_in:,} messages in ({tally.bytes_in:,} bytes), "
                f"{tally.messages_out:,} out ({tally.bytes_out:,} bytes)"
            )
    print(f"  anchor {found.anchor}")


def _text(line: Line) -> str:
    parts = [_when(line.time), line.what]
    if line.direction:
        parts.append("from" if line.direction == "in" else "to")
    parts += [part for part in (line.peer, line.message) if part]
    if line.bytes:
        parts.append(f"{line.bytes:,} bytes")
    parts += [f"by {line.carrier}"] * bool(line.carrier) + [f"({line.note})"] * bool(line.note)
    return "  " + " ".join(parts)


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
