"""One participant's part in a lasting session: with a journal, over whatever carries its messages, again and again."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from quorate.coordination.program import Outcome, session_program
from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.pki import load_certificate
from quorate.data.commitment import commit
from quorate.data.prepare import Prepared
from quorate.durable.conduct import Patience, conduct_durably
from quorate.durable.core import Core
from quorate.durable.facts import Limits, Membership, Spent
from quorate.durable.fence import Fence
from quorate.durable.journal import Journal
from quorate.durable.keys import SEED_BYTES, derive
from quorate.durable.router import Router
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import DataError, QuorateError, UserError
from quorate.lang.snapshot import Snapshot
from quorate.lang.stages import Stages
from quorate.node.mesh import Doorway
from quorate.node.messages import Failure, Report
from quorate.node.noted import NotedStore
from quorate.node.observer import Watcher
from quorate.node.place import Place, created
from quorate.node.routes import Roads, remove_inbox
from quorate.node.seat import Seat

__all__ = ["Lasting"]

log = logging.getLogger(__name__)

OnResult = Callable[[Outcome, Report], None]
_LINGER = 600.0
CHECKPOINT_BYTES = 32 << 20


@dataclass
class Lasting:
    """A seat in a session that survives this process.

    Attributes:
        seat: what we bring.
        place, home: where it is kept, and the node's data folder.
        fence: folder of fences; by default that of the user.
        visit: seconds without news after which we leave; None: stay to the end.
        checkpoint_bytes: what a journal has to have grown by before a checkpoint is taken at the end of a stage.
        on_result: called once the result is durable; may be called again by a later process.
        insecure_session_seed_for_tests: hexadecimal, in place of fresh randomness.
    """

    seat: Seat
    place: Place
    home: Path
    on_result: OnResult
    fence: str | None = None
    visit: float | None = None
    checkpoint_bytes: int = CHECKPOINT_BYTES
    insecure_session_seed_for_tests: str = ""

    def __post_init__(self) -> None:
        self._saved_size = 0
        self._store: NotedStore | None = None

    def take_part(self, doorway: Doorway | None) -> Literal["closed", "suspended"]:
        """Run the session as far as it goes; `doorway` is where connections to us arrive, closed here.

        Raises:
            QuorateError: what ended it. If this machine is why, a later process can take it up again.
        """
        seat = self.seat
        roads = Roads(seat.identity, seat.approved.spec, seat.who, seat.session, doorway)
        try:
            fence = Fence(self.place.session, self.place.member, Path(self.fence) if self.fence else None)
            fence.hold()
            try:
                end = self._with_journal(roads.router, fence)
            except Spent as problem:
                self.place.note_end(Failure.of(problem))
                self.place.erase(fence)
                raise
            finally:
                fence.leave()
        finally:
            roads.close()
        if end == "closed":
            self._remove_inbox()
        return end

    @property
    def _linger(self) -> float:
        """Seconds that we stay for peers, once we have our result: lost parties may come back long after."""
        spec = self.seat.approved.spec
        return spec.timeouts.session if spec.abort.on_dropout == "continue" else min(spec.timeouts.round, _LINGER)

    def _with_journal(self, router: Router, fence: Fence) -> Literal["closed", "suspended"]:
        if self.place.end is not None and self.place.erased:
            raise UserError(f"session {self.place.session} has ended already; every run needs an id of its own")
        journal = self.place.open(self.seat.approved.digest)
        try:
            return self._conduct(router, journal, fence, fence.enter(journal.commits))
        finally:
            journal.close()

    def _remove_inbox(self) -> None:
        try:
            remove_inbox(self.seat.identity, self.seat.session)
        except QuorateError as problem:
            log.warning("session %s: our queue could not be removed: %s", self.seat.session, problem)

    def _conduct(
        self, router: Router, journal: Journal, fence: Fence, incarnation: int
    ) -> Literal["closed", "suspended"]:
        seat, begun = self.seat, time.monotonic()
        watcher = Watcher(seat, self.place, self.home, journal, fence)
        core = self._core(journal, incarnation, watcher, router)

        def result(outcome: Outcome) -> None:
            if seat.rehearsal is not None:
                outcome = replace(outcome, values={}, kept={})
            report = seat.report(core.party, watcher.traffic(), outcome, (begun, begun, time.monotonic()))
            report = msgspec.structs.replace(report, transcript=core.transcript(), incarnation=incarnation)
            self._stock_is_over(None)
            self.on_result(outcome, report)

        try:
            end = conduct_durably(
                core,
                router,
                observer=watcher,
                patience=Patience(self.visit, self._linger),
                on_result=result,
                on_progress=seat.beat,
            )
        except QuorateError as problem:
            watcher.failed(problem)
            if core.problem is not None:  # final, unlike what is wrong with this machine
                fence.give_up()
                self.place.note_end(Failure.of(core.problem))
                self._stock_is_over(core.problem)
                journal.close()
                self.place.erase(fence)
                self._remove_inbox()
                raise core.problem from None
            raise
        else:
            watcher.ended(end)
        finally:
            with contextlib.suppress(QuorateError):  # a full disk must not keep the session from its end
                watcher.keep(core.evidence)
                watcher.close()
        if end == "closed":
            journal.close()
            self.place.erase(fence)
        return end

    def _core(self, journal: Journal, incarnation: int, watcher: Watcher, router: Router) -> Core:
        seat, root = self.seat, Scope.root()
        who, spec = seat.who, seat.approved.spec
        peers = tuple(who.links(seat.me))
        federation = seat.identity.federation
        membership = Membership(
            session=seat.session,
            spec=seat.approved.digest,
            me=seat.me,
            names=who.participants,
            peers=peers,
            certificates={
                index: load_certificate(Path(federation.member(who.participants[index]).certificate)) for index in peers
            },
            signer=seat.identity.signer,
            incarnation=incarnation,
        )
        queued = spec.delivery == "queued"
        limits = Limits(
            silence=spec.timeouts.round,
            deadline=created(journal) + spec.timeouts.session,
            nudge=min(60.0, spec.timeouts.round / 4) if queued else min(5.0, spec.timeouts.round / 4),
            alive=None if queued else min(1.0, spec.timeouts.round / 4),
            mindful=5.0 if queued else 0.2,
        )

        def program(seed: bytes, restored: bytes | None) -> Step[Any]:
            seat.inputs = {name: _salted(item, name, seed) for name, item in seat.inputs.items()}
            self._pin(core)
            where = "the checkpoint of this session"
            stages = Stages(
                save=lambda _, snapshot: self._save(core, journal, snapshot),
                restored=None if restored is None else Snapshot.decode(restored, where),
            )
            job = replace(
                seat.job(),
                store=self._store,
                stages=stages,
                on_setup=core.setup_over,
                agreed=watcher.agreed,
                took=watcher.took,
            )
            return session_program(job, job.session(seed=derive(seed, "session")), root)

        seed = bytes.fromhex(self.insecure_session_seed_for_tests) or SystemEntropy().bytes(SEED_BYTES)
        core = Core(
            membership,
            program,
            journal,
            limits,
            scope=root,
            seed=seed,
            schedule=watcher.schedule,
            waiting=router.waiting,
        )
        self._store = None if seat.store is None else NotedStore(seat.store, core.note, seat.session)
        return core

    def _stock_is_over(self, problem: QuorateError | None) -> None:
        """The session has ended, and needs no tuples any more: well, or because of `problem`."""
        if self._store is not None:
            self._store.over(problem)

    def _save(self, core: Core, journal: Journal, snapshot: Snapshot) -> None:
        """Take a checkpoint, if enough has been written since the last one to make it worth while."""
        if journal.size - self._saved_size >= self.checkpoint_bytes:
            core.checkpoint([snapshot.encode()])
            self._saved_size = 0

    def _pin(self, core: Core) -> None:
        """Our data must be what it was when the session began."""
        now = {name: item.commitment.digest for name, item in self.seat.inputs.items()}
        before = msgspec.json.decode(core.note("inputs", lambda: msgspec.json.encode(now)))
        if changed := sorted(name for name in now if before.get(name) != now[name]):
            raise DataError(
                f"the data of {', '.join(changed)} is not what it was when the session began; put the file back as "
                "it was, or start a new session"
            )


def _salted(item: Prepared, name: str, seed: bytes) -> Prepared:
    """The same with a salt that a later process finds again."""
    salt = derive(seed, "salt", name.encode())
    return replace(item, salt=salt, commitment=commit(item.columns, salt))
