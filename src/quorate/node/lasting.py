"""One participant's part in a lasting session: with a journal, over whatever carries its messages, again and again."""

from __future__ import annotations

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
from quorate.durable.facts import Limits, Membership
from quorate.durable.fence import Fence
from quorate.durable.journal import Journal
from quorate.durable.keys import SEED_BYTES, derive
from quorate.durable.router import Router
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import DataError, QuorateError
from quorate.node.messages import Failure, Report
from quorate.node.observer import Watcher
from quorate.node.place import Place, created
from quorate.node.seat import Seat

__all__ = ["Lasting"]

OnResult = Callable[[Outcome, Report], None]
_LONGEST_LINGER = 3600.0


@dataclass
class Lasting:
    """A seat in a session that survives this process.

    Attributes:
        seat: what we bring.
        place, home: where it is kept, and the node's data folder.
        fence: folder of fences; by default that of the user.
        visit: seconds without news after which we leave; None: stay to the end.
        on_result: called once the result is durable; may be called again by a later process.
        insecure_session_seed_for_tests: hexadecimal, in place of fresh randomness.
    """

    seat: Seat
    place: Place
    home: Path
    on_result: OnResult
    fence: str | None = None
    visit: float | None = None
    insecure_session_seed_for_tests: str = ""

    def take_part(self, router: Router) -> Literal["closed", "suspended"]:
        """Run the session as far as it goes; closes `router`.

        Raises:
            QuorateError: what ended it. If this machine is why, a later process can take it up again.
        """
        try:
            fence = Fence(self.place.session, self.place.member, Path(self.fence) if self.fence else None)
            log = self.place.open()
            try:
                incarnation = fence.enter(log.commits)
                try:
                    return self._conduct(router, log, fence, incarnation)
                finally:
                    fence.leave()
            finally:
                log.close()
        finally:
            router.close()

    def _conduct(self, router: Router, log: Journal, fence: Fence, incarnation: int) -> Literal["closed", "suspended"]:
        seat, begun = self.seat, time.monotonic()
        watcher = Watcher(seat.who.participants, self.place, self.home, log, fence)
        core = self._core(log, incarnation)

        def result(outcome: Outcome) -> None:
            if seat.rehearsal is not None:
                outcome = replace(outcome, values={}, kept={})
            report = seat.report(core.party, watcher.traffic(), outcome, (begun, begun, time.monotonic()))
            report = msgspec.structs.replace(report, transcript=core.transcript(), incarnation=incarnation)
            self.on_result(outcome, report)

        try:
            end = conduct_durably(
                core,
                router,
                observer=watcher,
                patience=Patience(self.visit, min(seat.approved.spec.timeouts.round, _LONGEST_LINGER)),
                on_result=result,
                on_progress=seat.beat,
            )
        except QuorateError as problem:
            watcher.failed(problem, core.evidence)
            if core.problem is not None:  # final, unlike what is wrong with this machine
                fence.give_up()
                self.place.note_end(Failure.of(core.problem))
                log.close()
                self.place.erase(fence)
                raise core.problem from None
            raise
        else:
            watcher.ended(end)
        finally:
            watcher.close()
        if end == "closed":
            log.close()
            self.place.erase(fence)
        return end

    def _core(self, log: Journal, incarnation: int) -> Core:
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
            deadline=created(log) + spec.timeouts.session,
            nudge=min(60.0, spec.timeouts.round / 4) if queued else min(5.0, spec.timeouts.round / 4),
            alive=None if queued else min(1.0, spec.timeouts.round / 4),
            mindful=5.0 if queued else 0.2,
        )

        def program(seed: bytes, restored: bytes | None) -> Step[Any]:
            seat.inputs = {name: _salted(item, name, seed) for name, item in seat.inputs.items()}
            self._pin(core)
            job = seat.job()
            return session_program(job, job.session(seed=derive(seed, "session")), root)

        seed = bytes.fromhex(self.insecure_session_seed_for_tests) or SystemEntropy().bytes(SEED_BYTES)
        core = Core(membership, program, log, limits, scope=root, seed=seed)
        return core

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
