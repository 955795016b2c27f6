"""Opening a spec with its plan, for commands that need no federation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.errors import UserError

if TYPE_CHECKING:
    from quorate.coordination.spec import Spec
    from quorate.lang.plan import Plan

__all__ = ["Rows", "open_spec", "parse_rows"]

Rows = Annotated[
    list[str] | None,
    typer.Option("--rows", metavar="INPUT=N", help="Rows of an input, by default the most allowed; repeatable."),
]
_LARGEST_PLAN = 64 << 20


def open_spec(path: Path) -> tuple[Spec, Plan]:
    """A checked spec and its plan, checked against each other.

    Raises:
        UserError: one of the files is missing or malformed, or they do not fit together.
    """
    from quorate.coordination.federation import load_federation
    from quorate.coordination.program import check_plan
    from quorate.coordination.spec import load_spec
    from quorate.files import read_bytes
    from quorate.lang.plan import Plan

    spec = load_spec(path)
    if (beside := path.parent / "federation.yaml").exists():
        spec.validate(load_federation(beside), str(path))
    if not Path(spec.plan).exists():
        raise UserError(f"{path}: the plan {spec.plan} does not exist; make it with 'quorate compile {path}'")
    plan = Plan.from_json(read_bytes(Path(spec.plan), _LARGEST_PLAN), spec.plan)
    check_plan(spec, plan)
    return spec, plan


def parse_rows(entries: Sequence[str]) -> dict[str, int]:
    """INPUT=N entries as a mapping. Raises `UserError`."""
    rows: dict[str, int] = {}
    for entry in entries:
        name, _, count = entry.partition("=")
        if not name or not (count.isascii() and count.isdigit()) or name in rows:
            raise UserError(f"--rows {entry}: write INPUT=N once per input, for example --rows st_mary=10000")
        rows[name] = int(count)
    return rows
