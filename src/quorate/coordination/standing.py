"""A node's standing approval of interactive sessions: who may send plans of their own, and what these may open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from quorate.coordination.federation import Federation, Role
from quorate.coordination.spec import PROTOCOLS
from quorate.data.document import convert, load_yaml, raise_problems
from quorate.errors import UserError

__all__ = ["FILE", "Standing", "load_standing"]

FILE = "interactive.yaml"
"""Its name in a node's folder of approved specs."""

_MOST_DAYS = 3650.0


class Standing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the operator of a node allows without looking at each plan.

    Attributes:
        interactive: version of this format.
        analysts: members that may send plans.
        owners: members that may place data sets; by default all with the role owner.
        protocols: under which; by default all.
        least_rows: a data set has at least so many rows, and what is opened combines at least so many of each.
        openings: whether only what combines rows may be opened, as far as a look at the plan can tell.
        mixing: whether rows may be combined with weights that the analyst chose for each.
        most_sessions_per_day: of each analyst, by the calendar day in UTC; every opening is a session.
        most_openings: of each analyst and data set, numbers that rest on it, in all sessions; None: not limited.
        most_memory_mb: MiB of shares that a session may hold at a time; None: as much as the machine has memory.
        keep_days: how long shares of results are kept for an analyst who does not say that they can go, and plans on
            record.
    """

    interactive: Literal[1]
    analysts: tuple[str, ...]
    owners: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None
    least_rows: int = 10
    openings: Literal["aggregates", "anything"] = "aggregates"
    mixing: bool = False
    most_sessions_per_day: int = 1000
    most_openings: int | None = None
    most_memory_mb: int | None = None
    keep_days: float = 90.0

    def __str__(self) -> str:
        """What matters of it, in a line for people."""
        who = ", ".join(self.analysts) or "nobody"
        most = "any number" if self.most_openings is None else f"at most {self.most_openings} numbers"
        what = f"aggregates of {self.least_rows} rows or more" if self.openings == "aggregates" else self.openings
        return f"{who}; openings: {what}, {most} of each data set"

    def may_place(self, member: str) -> bool:
        """Whether `member`, who has the role owner, may place data sets."""
        return self.owners is None or member in self.owners


def load_standing(folder: Path, federation: Federation) -> Standing | None:
    """The standing approval in a node's folder of approved specs; None if there is none.

    Raises:
        UserError: malformed, each bad field with its path.
        EnvironmentFault: the file cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    standing = convert(load_yaml(path), Standing, str(path))
    raise_problems(str(path), _problems(standing, federation))
    return standing


def _problems(standing: Standing, federation: Federation) -> Iterator[tuple[str, str]]:
    lists: tuple[tuple[str, tuple[str, ...], tuple[Role, ...]], ...] = (
        ("analysts", standing.analysts, ("coordinator",)),
        ("owners", standing.owners or (), ("owner",)),
    )
    for key, names, roles in lists:
        for index, name in enumerate(names):
            yield from _member_problems(f"{key}[{index}]", name, roles, federation)
    for index, name in enumerate(standing.protocols or ()):
        if name not in PROTOCOLS:
            yield f"protocols[{index}]", f"{name!r} is no protocol; use {', '.join(PROTOCOLS)}"
    if standing.least_rows < 1:
        yield "least_rows", f"{standing.least_rows} is too few; use at least 1"
    if standing.most_sessions_per_day < 0:
        yield "most_sessions_per_day", "is negative; use 0 to allow none for now"
    if standing.most_openings is not None and standing.most_openings < 0:
        yield "most_openings", "is negative; use 0 to have nothing opened for now"
    if standing.most_memory_mb is not None and standing.most_memory_mb < 1:
        yield "most_memory_mb", f"{standing.most_memory_mb} MiB hold nothing; use at least 1"
    if not 0 < standing.keep_days <= _MOST_DAYS:
        yield "keep_days", f"must be more than 0 and at most {_MOST_DAYS:g}"


def _member_problems(
    path: str, name: str, roles: tuple[Role, ...], federation: Federation
) -> Iterator[tuple[str, str]]:
    try:
        member = federation.member(name)
    except UserError as error:
        yield path, str(error)
        return
    if not member.has(*roles):
        yield path, f"{name!r} lacks the role {roles[0]} in federation {federation.name!r}; add it there"
