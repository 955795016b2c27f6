"""The coordinator's side: prepare a session at all nodes, start it at all, and watch it to its end."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from quorate.coordination.agreement import software
from quorate.coordination.federation import Member
from quorate.coordination.spec import Spec, Timeouts, encode_spec
from quorate.crypto.entropy import SystemEntropy
from quorate.errors import EnvironmentFault, InternalError, PeerError, PeerTimeout, QuorateError, UserError
from quorate.node.approval import Approved
from quorate.node.control import Control, call, dial
from quorate.node.identity import Identity
from quorate.node.messages import (
    Accepted,
    Cancel,
    Failure,
    Finished,
    Prepare,
    Produce,
    Progress,
    Report,
    Request,
    Response,
    Start,
    Watch,
)
from quorate.transport.backoff import Backoff

__all__ = ["Submission", "begin", "hosts", "new_session", "request_of", "root_cause", "submit"]

OnProgress = Callable[[str, int, int], None]
"""(member, operations done, operations in all)."""
_PREPARE_SECONDS = 600.0
_START_SECONDS = 30.0
_LINGER = 5.0
_GRACE = 60.0


def new_session() -> str:
    """A fresh session id: 32 hexadecimal characters."""
    return SystemEntropy().bytes(16).hex()


def hosts(spec: Spec) -> tuple[str, ...]:
    """The members whose nodes take part: the parties, and the dealer if there is one."""
    return spec.parties if spec.dealer is None else (*spec.parties, spec.dealer)


class Limited(Protocol):
    """Something with time limits: a spec."""

    @property
    def timeouts(self) -> Timeouts:
        """The limits."""
        ...


@dataclass
class Submission:
    """A session that was started at all nodes. A lasting one is watched on when a node was away.

    Attributes:
        session: its id.
        spec: what runs.
    """

    session: str
    spec: Limited
    _controls: dict[str, Control[Response]] = field(repr=False)
    _redial: Callable[[str], Control[Response]] | None = field(default=None, repr=False)
    _dispensable: int = 0
    _events: queue.Queue[tuple[str, Progress | Finished | Failure]] = field(default_factory=queue.Queue, repr=False)

    def __post_init__(self) -> None:
        for name, control in self._controls.items():
            threading.Thread(target=self._watch, args=(name, control), name=f"watch {name}", daemon=True).start()

    def wait(self, on_progress: OnProgress | None = None) -> dict[str, Report]:
        """Wait until the session has ended at all nodes; the report of each.

        Raises:
            QuorateError: it failed; the error of the node where that began, its name in front.
            PeerTimeout: a node says nothing of the end, long after the spec's own time limits.
        """
        reports: dict[str, Report] = {}
        failures: dict[str, Failure] = {}
        deadline = time.monotonic() + self.spec.timeouts.join + self.spec.timeouts.session + _GRACE
        while len(reports) + len(failures) < len(self._controls):
            left = max(0.0, deadline - time.monotonic())
            enough = len(reports) >= len(self._controls) - self._dispensable
            try:
                # After the first failure the others hear of it within moments; one that does not is left alone. So are
                # those without whom the session could go on.
                name, event = self._events.get(timeout=min(left, _LINGER) if failures or enough else left)
            except queue.Empty:
                if enough and not failures:
                    return reports
                break
            if isinstance(event, Progress) and not left:
                break
            if isinstance(event, Progress):
                if on_progress is not None:
                    on_progress(name, event.done, event.total)
            elif isinstance(event, Finished):
                reports[name] = event.report
            else:
                failures[name] = event
        if failures:
            raise root_cause(failures)
        if silent := sorted(set(self._controls) - set(reports)):
            raise PeerTimeout(
                f"the session's time limits are over, and the node of {' and '.join(silent)} still reports no end; "
                "see its log, and run again"
            )
        return reports

    def cancel(self, identity: Identity) -> None:
        """Have all nodes give the session up; never raises. On fresh connections, as ours are busy with watching."""

        def one(name: str) -> None:
            control = dial(identity, identity.federation.member(name), _LINGER)
            try:
                call(control, Cancel(session=self.session), _LINGER)
            finally:
                control.close()

        _everywhere(list(self._controls), one)

    def close(self) -> None:
        """Close the connections to the nodes; the session goes on."""
        self._closed = True
        for control in self._controls.values():
            control.close()

    def _watch(self, name: str, control: Control[Response]) -> None:
        deadline = time.monotonic() + self.spec.timeouts.session
        pauses = Backoff(0.2, 5.0)
        while True:
            try:
                control.send(Watch(session=self.session))
                for event in _events(control):
                    self._events.put((name, event))
                return
            except (PeerError, EnvironmentFault) as problem:
                if self._redial is None or self._closed or time.monotonic() > deadline:
                    self._events.put((name, Failure.of(problem)))
                    return
            except QuorateError as problem:
                self._events.put((name, Failure.of(problem)))
                return
            time.sleep(pauses.pause())
            control = self._again(name, control)

    def _again(self, name: str, control: Control[Response]) -> Control[Response]:
        """A fresh connection to a node, if it is there; else the old one, which fails again."""
        with contextlib.suppress(QuorateError):
            if self._redial is not None:
                fresh = self._redial(name)
                control.close()
                self._controls[name] = fresh
                return fresh
        return control

    _closed = False


def _events(control: Control[Response]) -> Iterator[Progress | Finished | Failure]:
    while True:
        event = control.receive()
        if event is None:
            raise PeerError("the node closed the control connection before the session had ended; see its log")
        if isinstance(event, (Progress, Finished, Failure)):
            yield event
        if isinstance(event, (Finished, Failure)):
            return


def root_cause(failures: dict[str, Failure]) -> QuorateError:
    """The error that explains the failures best: one that is not about another participant, if there is any."""

    def blames_others(failure: Failure) -> bool:
        return issubclass(type(failure.error()), PeerError)

    name, failure = min(failures.items(), key=lambda item: blames_others(item[1]))
    return failure.from_peer(name)


def submit(
    identity: Identity, approved: Approved, session: str | None = None, rehearsal: Mapping[str, int] | None = None
) -> Submission:
    """Prepare a session at the nodes of all parties and the dealer, and start it once all have accepted.

    With `rehearsal`, the rows of every input, it is one without real data.

    Raises:
        IdentityError: a node is not who it should be, or we are not who may start sessions.
        EnvironmentFault: a node cannot be reached.
        QuorateError: a node refused; of the first one's class, and every one's reason in the message.
    """
    if not identity.member.has("coordinator"):
        raise UserError(
            f"{identity.name} lacks the role coordinator in federation {identity.federation.name!r}; "
            "run as a member that has it (--as)"
        )
    session = session or new_session()
    members = [identity.federation.member(name) for name in hosts(approved.spec)]
    lasting = approved.spec.lasting and rehearsal is None
    spec = approved.spec
    losses = len(spec.parties) - spec.threshold - 1 if spec.abort.on_dropout == "continue" else 0
    request = request_of(approved, session, rehearsal)
    return begin(identity, members, request, spec, lasting=lasting, dispensable=losses if lasting else 0)


def begin(
    identity: Identity,
    members: Sequence[Member],
    request: Prepare | Produce,
    spec: Limited,
    *,
    lasting: bool = False,
    dispensable: int = 0,
) -> Submission:
    """Prepare a session at the nodes of `members` and start it once all have accepted; raises as `submit`.

    Args:
        lasting: watch on when a node was away.
        dispensable: how many of the nodes may be lost without harm to the result.
    """
    controls = _connect(identity, members)
    try:
        _prepare(controls, request, request.session)
        _start(controls, request.session)
    except BaseException:
        for control in controls.values():
            control.close()
        raise
    by_name = {member.name: member for member in members}
    redial = (lambda name: dial(identity, by_name[name])) if lasting else None
    return Submission(request.session, spec, controls, redial, dispensable)


def request_of(approved: Approved, session: str, rehearsal: Mapping[str, int] | None) -> Prepare:
    """What nodes are asked to get ready for."""
    return Prepare(
        session=session,
        spec=encode_spec(approved.spec).decode(),
        spec_digest=approved.digest,
        plan_digest=approved.plan.digest,
        software=software(),
        rehearsal=None if rehearsal is None else dict(rehearsal),
    )


def _connect(identity: Identity, members: Sequence[Member]) -> dict[str, Control[Response]]:
    by_name = {member.name: member for member in members}
    outcomes = _everywhere(list(by_name), lambda name: dial(identity, by_name[name]))
    controls = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Control)}
    if len(controls) < len(members):
        for control in controls.values():
            control.close()
        raise _joined([outcome for outcome in outcomes.values() if isinstance(outcome, QuorateError)])
    return controls


def _prepare(controls: dict[str, Control[Response]], request: Prepare | Produce, session: str) -> None:
    outcomes = _everywhere(list(controls), lambda name: _accepted(controls[name], request, _PREPARE_SECONDS))
    problems = [outcome for outcome in outcomes.values() if isinstance(outcome, QuorateError)]
    if problems:
        ready = [name for name, outcome in outcomes.items() if not isinstance(outcome, QuorateError)]
        _give_up(controls, ready, session)
        raise _joined(_grouped({name: o for name, o in outcomes.items() if isinstance(o, QuorateError)}))


def _grouped(problems: Mapping[str, QuorateError]) -> list[QuorateError]:
    """The same, with one error where several nodes refuse for one reason."""
    alike: dict[str, list[str]] = {}
    for name, problem in problems.items():
        alike.setdefault(str(problem).removeprefix(f"{name} refused: "), []).append(name)
    found = []
    for reason, names in alike.items():
        one = problems[names[0]]
        found.append(one if len(names) == 1 else type(one)(f"{names[0]} refused, as {_and(names[1:])} did: {reason}"))
    return found


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _start(controls: dict[str, Control[Response]], session: str) -> None:
    try:
        for control in controls.values():
            _accepted(control, Start(session=session), _START_SECONDS)
    except BaseException:
        _give_up(controls, list(controls), session)
        raise


def _give_up(controls: dict[str, Control[Response]], names: Sequence[str], session: str) -> None:
    for name in names:
        with contextlib.suppress(QuorateError):
            call(controls[name], Cancel(session=session), _START_SECONDS)


def _accepted(control: Control[Response], request: Request, timeout: float) -> Accepted:
    answer = call(control, request, timeout)
    if not isinstance(answer, Accepted):
        raise PeerError(f"{control.peer} gave an answer that does not fit the question; compare releases")
    return answer


def _everywhere(names: Sequence[str], action: Callable[[str], object]) -> dict[str, object]:
    """What `action` gives or raises for every name, done for all at once."""

    def attempt(name: str) -> object:
        try:
            return action(name)
        except QuorateError as problem:
            return problem

    with ThreadPoolExecutor(max(1, len(names))) as pool:
        return dict(zip(names, pool.map(attempt, names), strict=True))


def _joined(problems: Sequence[QuorateError]) -> QuorateError:
    if not problems:
        raise InternalError("a failure without a reason; please report this")
    return type(problems[0])("; ".join(dict.fromkeys(str(problem) for problem in problems)))
