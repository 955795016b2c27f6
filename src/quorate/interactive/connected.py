"""The nodes of a federation behind an interactive session: every run is a session under their standing approval."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from quorate import __version__
from quorate.coordination.federation import Federation, load_federation
from quorate.coordination.spec import Output, Spec, Timeouts
from quorate.data.described import described
from quorate.data.schema import (
    CategoryColumn,
    Int8Column,
    Int16Column,
    Int32Column,
    IntColumn,
)
from quorate.errors import QuorateError, UserError
from quorate.interactive.backend import Backend, DataSet, HeldColumn, Progress, Request, Run
from quorate.interactive.composing import NO_SESSION, Composed, compose
from quorate.lang.operations.base import Range
from quorate.lang.plan import Plan
from quorate.node.asking import (
    ask_all,
    catalogue,
    check_nodes,
    kept_name,
    only_member,
    parties_of,
    run_interactive,
    spec_of,
)
from quorate.node.client import new_session
from quorate.node.coordinator import Finished
from quorate.node.identity import Identity
from quorate.node.messages import Card, Forget
from quorate.protocols.registry import default_threshold, protocol_class

__all__ = ["Connected", "connect_backend"]

_EXACT = 53
"""Bits of whole numbers that a float holds exactly."""
_WIDTHS: dict[int, type[IntColumn]] = {8: Int8Column, 16: Int16Column, 32: Int32Column, 64: IntColumn}


def connect_backend(
    federation: str | Path | Federation,
    as_: str | None = None,
    protocol: str = "rep3",
    parties: Sequence[str] | None = None,
    *,
    threshold: int | None = None,
    key: str | Path | None = None,
    timeouts: Timeouts | None = None,
) -> Connected:
    """Connect to the nodes of a federation.

    Args:
        federation: the federation file.
        as_: the member that we are, with the roles coordinator, owner and recipient; by default the only such member
            whose private key is on this machine.
        protocol: of all runs.
        parties: the compute parties; by default all members with the role compute.
        threshold: how many parties may pool what they see and learn nothing; by default as usual for the protocol.
        key: our private key; by default beside our certificate.
        timeouts: of every run; as in a spec.

    Raises:
        UserError: we are nobody, or somebody without these roles, or the protocol does not run with these parties.
        EnvironmentFault: a node cannot be reached.
        AgreementError: a node runs another release.
    """
    loaded = federation if isinstance(federation, Federation) else load_federation(federation)
    identity = Identity(
        loaded, as_ or only_member(loaded, ("coordinator", "owner")), None if key is None else Path(key)
    )
    _check_roles(identity)
    names = parties_of(identity, protocol, parties)
    connected = Connected(identity, protocol, names, threshold, timeouts)
    check_nodes(identity, names)
    return connected


def _check_roles(identity: Identity) -> None:
    roles = {"coordinator": "start sessions", "owner": "share data of its own"}
    for role, what in roles.items():
        if not identity.member.has(role):  # type: ignore[arg-type]
            raise UserError(
                f"{identity.name} lacks the role {role} in federation {identity.federation.name!r}, which takes it to "
                f"{what}; all members have to add it to their federation files"
            )


class Connected(Backend):
    """Runs plans on nodes, as an outside owner and recipient."""

    def __init__(
        self,
        identity: Identity,
        protocol: str,
        parties: Sequence[str],
        threshold: int | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        """Raises `UserError` for protocols, numbers of parties or thresholds that do not exist."""
        self.identity = identity
        self.protocol, self.parties = protocol, tuple(parties)
        self.keeps = protocol_class(protocol).keeps
        self.threshold = default_threshold(protocol, len(self.parties)) if threshold is None else threshold
        self._timeouts = timeouts or Timeouts()
        self._names: dict[str, str] = {}  # of kept columns: ours -> that at the nodes
        self._bounds: dict[str, Range] = {}  # of kept columns, as the nodes know them
        self._lasting: set[str] = set()
        probe = [Output(name="probe", to=(identity.name,))]
        spec_of(self.parties, protocol, [], probe, threshold=threshold, timeouts=timeouts).validate(
            identity.federation, "this connection"
        )

    def __repr__(self) -> str:
        return f"<Connected as {self.identity.name} to {', '.join(self.parties)} with {self.protocol}>"

    def run(self, request: Request, progress: Progress | None = None) -> Run:
        """Run a plan as a session of its own; see `Backend`."""
        began = time.perf_counter()
        if not self.keeps and (request.held or request.kept):
            raise UserError(self._keeps_nothing())
        session = new_session()
        work = self._composed(request, session)
        bounds = work.kept_ranges()
        finished = run_interactive(
            self.identity,
            work.spec,
            work.plan,
            work.inputs(),
            session,
            on_progress=None if progress is None else _of_one(self.parties[0], progress),
        )
        for number, (output, name) in enumerate(request.kept.items()):
            self._names[name] = kept_name(session, number)
            self._bounds[name] = bounds[output]
        return self._run(request, work.plan, finished, time.perf_counter() - began)

    def described(self, request: Request) -> tuple[Spec, Plan, dict[str, int]]:
        """What the nodes would agree on; see `Backend`."""
        work = self._composed(request)
        return work.spec, work.plan, work.rows

    def _composed(self, request: Request, session: str = NO_SESSION) -> Composed:
        return compose(
            request,
            me=self.identity.name,
            parties=self.parties,
            protocol=self.protocol,
            threshold=self.threshold,
            session=session,
            held_name=lambda name: self._names.get(name, name),
            bounds_of=self._bounds_of,
            timeouts=self._timeouts,
        )

    def _bounds_of(self, column: HeldColumn) -> Range:
        """The range of a held column, as the nodes know it if it was made here."""
        return self._bounds.get(column.name, column.bounds)

    def _run(self, request: Request, plan: Plan, finished: Finished, seconds: float) -> Run:
        reports = finished.reports
        sent = tuple(reports[name].bytes_sent for name in self.parties)
        return Run(
            {name: np.asarray(finished.values[name]) for name in request.opened},
            finished.session,
            plan.digest,
            self.protocol,
            self.parties,
            max(report.rounds for report in reports.values()),
            sum(report.bytes_sent for report in reports.values()),
            sent,
            seconds,
            datetime.now(UTC).isoformat(timespec="seconds"),
            __version__,
        )

    def _keeps_nothing(self) -> str:
        return (
            f"{self.protocol} binds shares to keys that end with each run, so the nodes hold no data sets and no "
            "results under it; connect with another protocol, such as rep3 or rep3_malicious"
        )

    # -- what the nodes hold ------------------------------------------------------------------------------------------

    def data_sets(self) -> Mapping[str, DataSet]:
        """Data sets that were placed for us, for these parties and this protocol; see `Backend`."""
        if not self.keeps:
            raise UserError(self._keeps_nothing())
        wanted = (self.parties, self.protocol, self.threshold)
        cards = catalogue(self.identity, self.parties)
        return {card.name: _data_set(card) for card in cards if (card.parties, card.protocol, card.threshold) == wanted}

    def forget(self, names: Sequence[str]) -> None:
        """Have the nodes delete shares of our results; see `Backend`."""
        gone = tuple(self._names[name] for name in names if name in self._names)
        if gone:
            ask_all(self.identity, self.parties, Forget(names=gone))
        for name in names:
            self._names.pop(name, None)
            self._bounds.pop(name, None)

    def lasting(self, names: Sequence[str]) -> Mapping[str, str]:
        """Leave kept shares at the nodes, for as long as these keep them; see `Backend`."""
        self._lasting.update(names)
        return {name: self._names.get(name, name) for name in names}

    def close(self) -> None:
        """Have the nodes delete all shares of our results; nodes that are away do so after some days."""
        with contextlib.suppress(QuorateError):
            self.forget([name for name in self._names if name not in self._lasting])


def _of_one(party: str, progress: Progress) -> Callable[[str, int, int], None]:
    def told(member: str, done: int, total: int) -> None:
        if member == party:
            progress(done, total)

    return told


def _data_set(card: Card) -> DataSet:
    columns = {}
    for column, share in zip(card.columns, card.shares, strict=True):
        low, high = column.dtype.encode(np.array(column.bounds)).tolist()
        columns[column.name] = HeldColumn(share, card.rows, column.dtype, (low, high))
    texts = {column.name: column.categories for column in card.columns if isinstance(column, CategoryColumn)}
    told = {column.name: described(column) for column in card.columns}
    return DataSet(card.name, card.owner, columns, texts, card.commitment, told)
