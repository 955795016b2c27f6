"""stocks.yaml: which tuples a node makes ahead of sessions, with whom, and how many it keeps in stock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from quorate.coordination.federation import Federation
from quorate.data.document import convert, load_yaml, raise_problems
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.protocols.registry import default_threshold, make

__all__ = ["GroupStock", "Stocks", "load_stocks"]

_MOST = 1 << 34
_MOST_CHUNK = 1 << 22
_LEAST_SECURITY, _MOST_SECURITY = 40, 64


class GroupStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The stock that these parties, in this order, make together.

    Attributes:
        kinds: kind of tuple -> how many to keep in stock.
        chunk: how many are made at a time; also the unit in which disk space is freed.
    """

    parties: tuple[str, ...]
    protocol: str
    kinds: dict[str, int]
    threshold: int | None = None
    security: int = 40
    chunk: int = 1 << 16

    @property
    def parameter(self) -> int:
        """The threshold: as given, or the protocol's usual value."""
        given = self.threshold
        return default_threshold(self.protocol, len(self.parties)) if given is None else given


class Stocks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All stocks of a node. `fence` is a path, absolute or relative to the working directory once loaded."""

    stocks: Literal[1] = 1
    groups: tuple[GroupStock, ...] = ()
    fence: str | None = None


def load_stocks(path: Path, federation: Federation) -> Stocks:
    """Read and check `stocks.yaml`.

    Raises:
        UserError: no such file, malformed YAML (line and column), or bad fields, each with its path.
        EnvironmentFault: the file cannot be read.
    """
    found = convert(load_yaml(path), Stocks, str(path))
    raise_problems(str(path), _problems(found, federation))
    fence = None if found.fence is None else str(path.parent / Path(found.fence).expanduser())
    return msgspec.structs.replace(found, fence=fence)


def _problems(stocks: Stocks, federation: Federation) -> Iterator[tuple[str, str]]:
    for index, group in enumerate(stocks.groups):
        where = f"groups[{index}]"
        yield from _member_problems(where, group, federation)
        yield from _number_problems(where, group)
        yield from _kind_problems(where, group)


def _member_problems(where: str, group: GroupStock, federation: Federation) -> Iterator[tuple[str, str]]:
    if len(set(group.parties)) < len(group.parties):
        yield f"{where}.parties", "names a party twice; remove one"
    for name in group.parties:
        try:
            if not federation.member(name).has("compute"):
                yield f"{where}.parties", f"{name} lacks the role compute in the federation file"
        except UserError as problem:
            yield f"{where}.parties", str(problem)


def _number_problems(where: str, group: GroupStock) -> Iterator[tuple[str, str]]:
    if not 1 <= group.chunk <= _MOST_CHUNK:
        yield f"{where}.chunk", f"{group.chunk} is not between 1 and {_MOST_CHUNK}"
    if not _LEAST_SECURITY <= group.security <= _MOST_SECURITY:
        yield f"{where}.security", f"{group.security} is not between {_LEAST_SECURITY} and {_MOST_SECURITY} bits"
    for kind, amount in group.kinds.items():
        if not 0 <= amount <= _MOST:
            yield f"{where}.kinds", f"{amount} {kind} are not between 0 and {_MOST}"


def _kind_problems(where: str, group: GroupStock) -> Iterator[tuple[str, str]]:
    try:
        session = Session(0, len(group.parties), group.parties, counting=True, security=group.security)
        supply = make(group.protocol, session, group.parameter).supply
    except UserError as problem:
        yield f"{where}.protocol", str(problem)
        return
    if supply is None:
        yield f"{where}.protocol", f"{group.protocol} uses no tuples; there is nothing to make ahead"
        return
    for kind in group.kinds:
        try:
            supply.produce(Scope.root(), kind, 1)  # a step that nobody runs: only the name is looked up
        except (UserError, ValueError):
            yield f"{where}.kinds", f"{group.protocol} makes no {kind!r}; it makes {', '.join(supply.kinds)}"
