"""Filling stocks of tuples: what is missing, a session that makes it, and the thread that does so at an idle node.

The first party of a group starts the sessions of that group; the nodes of all parties only take part in them for
groups in their own stocks.yaml. A real session at any of the nodes ends production within one batch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.coordination.agreement import software
from quorate.coordination.spec import Timeouts
from quorate.coordination.stocks import GroupStock, Stocks
from quorate.errors import AgreementError, IdentityError, QuorateError, UserError
from quorate.node.client import OnProgress, begin, new_session
from quorate.node.identity import Identity
from quorate.node.making import TIMEOUTS
from quorate.node.messages import Produce, Report
from quorate.node.tuples import Group, Shelf

__all__ = ["Keeper", "batches", "check_asked", "group_of", "missing", "produce", "shelf_of"]

log = logging.getLogger(__name__)

_BATCHES = 64
"""Batches of one session, at most; then the next one begins."""
_POLL_SECONDS = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 300.0
_MARGIN = 2
"""A node takes part until its stock is this many times what was configured, so that uneven stocks can be filled."""


@dataclass(frozen=True)
class _Limits:
    timeouts: Timeouts = TIMEOUTS


def group_of(wanted: GroupStock) -> Group:
    """The group of an entry of stocks.yaml."""
    return Group(parties=wanted.parties, protocol=wanted.protocol, threshold=wanted.parameter, security=wanted.security)


def shelf_of(wanted: GroupStock, home: Path, member: str, fence: str | None) -> Shelf:
    """Where `member` keeps that stock."""
    return Shelf(home, member, group_of(wanted), None if fence is None else Path(fence))


def missing(wanted: GroupStock, shelf: Shelf) -> dict[str, int]:
    """How many of each kind are missing to what was configured."""
    ledger = shelf.ledger()
    return {kind: max(0, amount - ledger.left(kind)) for kind, amount in wanted.kinds.items()}


def batches(amounts: Mapping[str, int], chunk: int) -> tuple[tuple[str, int], ...]:
    """Batches of at most `chunk`, the kinds by turns, so that none is short when production is cut off."""
    left = {kind: amount for kind, amount in amounts.items() if amount > 0}
    made: list[tuple[str, int]] = []
    while left and len(made) < _BATCHES:
        for kind in list(left):
            now = min(chunk, left[kind])
            made.append((kind, now))
            left[kind] -= now
            if not left[kind]:
                del left[kind]
    return tuple(made)


def produce(
    identity: Identity,
    wanted: GroupStock,
    made: Sequence[tuple[str, int]],
    on_progress: OnProgress | None = None,
    *,
    now: bool = False,
) -> dict[str, Report]:
    """Have all parties of a group make these batches; what each measured.

    With `now`, production that is under way at these nodes ends first.

    Raises:
        QuorateError: a node cannot be reached, refused or failed.
    """
    if identity.name != wanted.parties[0]:
        raise UserError(f"{wanted.parties[0]}, the first party, starts production of this group, not {identity.name}")
    request = Produce(
        session=new_session(),
        parties=wanted.parties,
        protocol=wanted.protocol,
        threshold=wanted.parameter,
        security=wanted.security,
        batches=tuple(made),
        software=software(),
        now=now,
    )
    members = [identity.federation.member(name) for name in wanted.parties]
    submission = begin(identity, members, request, _Limits())
    try:
        return submission.wait(on_progress)
    finally:
        submission.close()


def check_asked(asked: Produce, caller: str, stocks: Stocks, home: Path, member: str) -> None:
    """Whether our own stocks.yaml provides for what a first party asks us to make with it.

    Raises:
        IdentityError: the caller is not the group's first party.
        AgreementError: the group or a kind is not configured here, or another release asks.
        UserError: far more is asked for than we want to keep.
    """
    if asked.software != software():
        raise AgreementError(f"this node runs {software()}, the first party {asked.software[:40]!r}; install the same")
    if not asked.parties or caller != asked.parties[0]:
        raise IdentityError(f"{caller} is not the first party of this group, which alone may start production")
    group = Group(parties=asked.parties, protocol=asked.protocol, threshold=asked.threshold, security=asked.security)
    wanted = next((entry for entry in stocks.groups if group_of(entry) == group), None)
    if wanted is None or member not in asked.parties:
        raise AgreementError(
            f"the stocks of {member} name no group of {', '.join(asked.parties)} with {asked.protocol}, threshold "
            f"{asked.threshold} and {asked.security} bits; add it to its stocks.yaml, the same at all parties"
        )
    amounts: dict[str, int] = {}
    for kind, amount in asked.batches:
        if kind not in wanted.kinds or not 0 < amount <= wanted.chunk:
            raise AgreementError(f"{amount} {kind} at a time are not in the stocks.yaml of {member}; compare the files")
        amounts[kind] = amounts.get(kind, 0) + amount
    ledger = shelf_of(wanted, home, member, stocks.fence).ledger()
    for kind, amount in amounts.items():
        if ledger.left(kind) + amount > _MARGIN * wanted.kinds[kind]:
            raise UserError(
                f"{member} has {ledger.left(kind)} {kind} in stock and wants {wanted.kinds[kind]}; {amount} more are "
                "too many"
            )


class Keeper:
    """Keeps the stocks full whose first party we are, in a thread, whenever the node is idle."""

    def __init__(self, identity: Identity, stocks: Stocks, home: Path, idle: Callable[[], bool]) -> None:
        """`idle` says whether no session runs at this node."""
        self._identity, self._stocks, self._home, self._idle = identity, stocks, home, idle
        self._groups = [group for group in stocks.groups if group.parties[0] == identity.name]
        self._pause = dict.fromkeys(range(len(self._groups)), _FIRST_PAUSE)
        self._not_before = dict.fromkeys(range(len(self._groups)), 0.0)
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin; does nothing where there is no stock to keep."""
        if self._groups:
            threading.Thread(target=self._run, name="stocks", daemon=True).start()

    def stop(self) -> None:
        """Start no more sessions."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            for number, wanted in enumerate(self._groups):
                if not self._stopped.is_set() and self._idle() and time.monotonic() >= self._not_before[number]:
                    self._fill(number, wanted)

    def _fill(self, number: int, wanted: GroupStock) -> None:
        """One session, if anything is missing. After a failure, ever longer pauses: the others may be away for long."""
        try:
            shelf = shelf_of(wanted, self._home, self._identity.name, self._stocks.fence)
            asked = batches(missing(wanted, shelf), wanted.chunk)
            if asked:
                produce(self._identity, wanted, asked)
            self._pause[number] = _FIRST_PAUSE
        except QuorateError as problem:
            pause = self._pause[number]
            self._pause[number] = min(2 * pause, _LONGEST_PAUSE)
            self._not_before[number] = time.monotonic() + pause
            level = logging.WARNING if isinstance(problem, UserError) else logging.INFO
            log.log(level, "no tuples were made with %s: %s; again in %g s", ", ".join(wanted.parties), problem, pause)
