"""Opening a spec with its plan, for commands that need no federation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.errors import UserError

if TYPE_CHECKING:
    from quorate.coordination.choose import Choice
    from quorate.coordination.spec import Spec
    from quorate.lang.plan import Plan

__all__ = ["Opened", "Rows", "open_spec", "parse_rows"]

Rows = Annotated[
    list[str] | None,
    typer.Option("--rows", metavar="INPUT=N", help="Rows of an input, by default the most allowed; repeatable."),
]
_LARGEST_PLAN = 64 << 20


@dataclass(frozen=True)
class Opened:
    """A checked spec with its plan and the row counts to look at it for.

    Attributes:
        spec: with a protocol by name, also where the file says "auto".
        choice: for "auto", what was considered for these rows; what the file says counts, if it says something.
    """

    spec: Spec
    plan: Plan
    rows: dict[str, int]
    choice: Choice | None

    @property
    def remarks(self) -> list[str]:
        """What there is to say about the choice, line by line."""
        if self.choice is None:
            return []
        if self.spec.protocol.name == self.choice.protocol:
            return self.choice.lines
        note = f"protocol auto: the spec says {self.spec.protocol.name}; 'quorate compile' would choose anew:"
        return [note, *self.choice.lines]


def open_spec(path: Path, rows: Sequence[str] | None) -> Opened:
    """A checked spec and its plan, checked against each other, for rows as in INPUT=N entries.

    Raises:
        UserError: one of the files is missing or malformed, or they do not fit together.
    """
    from quorate.coordination.choose import choose
    from quorate.coordination.federation import load_federation
    from quorate.coordination.program import check_plan
    from quorate.coordination.quote import assumed_rows
    from quorate.coordination.rules import AUTO
    from quorate.coordination.spec import load_spec
    from quorate.files import read_bytes
    from quorate.lang.plan import Plan

    spec = load_spec(path, settle=False)
    if (beside := path.parent / "federation.yaml").exists():
        spec.validate(load_federation(beside), str(path))
    if not Path(spec.plan).exists():
        raise UserError(f"{path}: the plan {spec.plan} does not exist; make it with 'quorate compile {path}'")
    plan = Plan.from_json(read_bytes(Path(spec.plan), _LARGEST_PLAN), spec.plan)
    check_plan(spec, plan)
    counts = assumed_rows(spec, parse_rows(rows or []))
    if spec.protocol.name != AUTO:
        return Opened(spec, plan, counts, None)
    choice = choose(spec, plan, counts)
    return Opened(spec.settled(spec.protocol.choice or choice.protocol), plan, counts, choice)


def parse_rows(entries: Sequence[str]) -> dict[str, int]:
    """INPUT=N entries as a mapping. Raises `UserError`."""
    rows: dict[str, int] = {}
    for entry in entries:
        name, _, count = entry.partition("=")
        if not name or not (count.isascii() and count.isdigit()) or name in rows:
            raise UserError(f"--rows {entry}: write INPUT=N once per input, for example --rows st_mary=10000")
        rows[name] = int(count)
    return rows
