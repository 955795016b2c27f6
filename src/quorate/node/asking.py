"""The side that asks for interactive sessions: start one with a plan of our own, and take part in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from quorate.coordination.agreement import software
from quorate.coordination.federation import Federation, Role
from quorate.coordination.program import check_plan
from quorate.coordination.roster import roster
from quorate.coordination.spec import Input, Output, Protocol, Spec, Timeouts
from quorate.coordination.standing import FILE
from quorate.data.prepare import Prepared
from quorate.errors import AgreementError, PeerError, UserError
from quorate.lang.plan import Plan
from quorate.node.approval import Approved
from quorate.node.client import OnProgress, begin, hosts, new_session, request_of
from quorate.node.control import call, dial
from quorate.node.coordinator import Finished, together
from quorate.node.identity import Identity
from quorate.node.messages import (
    Card,
    Catalogue,
    DataSets,
    Hello,
    Interactive,
    Opened,
    Placing,
    Request,
    Response,
    Welcome,
)
from quorate.node.room import MOST_BYTES
from quorate.node.seat import Seat
from quorate.protocols.registry import protocol_class

__all__ = [
    "ask_all",
    "catalogue",
    "check_nodes",
    "kept_name",
    "only_member",
    "openings",
    "parties_of",
    "run_interactive",
    "spec_of",
]

_SECONDS = 60.0
T = TypeVar("T")


def kept_name(session: str, number: int) -> str:
    """The name of share `number` that a session keeps."""
    return f"{session}-{number}"


def only_member(federation: Federation, roles: Sequence[Role]) -> str:
    """The only member with all these roles, and not a compute party, whose private key lies beside its certificate.

    Raises:
        UserError: there is none, or more than one.
    """
    candidates = [
        member.name
        for member in federation.members
        if all(member.has(role) for role in roles)
        and not member.has("compute")
        and Path(member.certificate).with_name(f"{member.name}.key").exists()
    ]
    if len(candidates) != 1:
        found = f"the keys of {', '.join(candidates)} are" if candidates else "no key of such a member is"
        raise UserError(
            f"say which member of federation {federation.name!r} you are (as): it takes the roles {', '.join(roles)}, "
            f"and {found} on this machine"
        )
    return candidates[0]


def parties_of(identity: Identity, protocol: str, parties: Sequence[str] | None) -> tuple[str, ...]:
    """The compute parties: as given, or all members with the role compute.

    Raises:
        UserError: the protocol runs with another number of parties, so they have to be named; or we are among them.
    """
    federation = identity.federation
    names = tuple(m.name for m in federation.members if m.has("compute")) if parties is None else tuple(parties)
    exact = protocol_class(protocol).exact_parties
    if parties is None and exact is not None and len(names) != exact:
        raise UserError(
            f"{protocol} runs with {exact} parties, and federation {federation.name!r} has {len(names)} members with "
            f"the role compute ({', '.join(names) or 'nobody'}); name {exact} of them with parties=[...]"
        )
    if identity.name in names:
        raise UserError(
            f"{identity.name} is a compute party itself; interactive sessions are asked for by outside members, so act "
            "as another one, or name other parties"
        )
    return names


def spec_of(
    parties: Sequence[str],
    protocol: str,
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    *,
    threshold: int | None = None,
    timeouts: Timeouts | None = None,
) -> Spec:
    """The spec of an interactive session."""
    adversary = "malicious" if protocol_class(protocol).adversary == "malicious" else "semi-honest"
    return Spec(
        spec=1,
        name="interactive",
        protocol=Protocol(name=protocol, adversary=adversary, threshold=threshold),  # type: ignore[arg-type]
        parties=tuple(parties),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        plan="-",
        timeouts=timeouts or Timeouts(),
    )


def run_interactive(
    identity: Identity,
    spec: Spec,
    plan: Plan,
    inputs: Mapping[str, Prepared],
    session: str | None = None,
    data_set: Placing | None = None,
    on_progress: OnProgress | None = None,
) -> Finished:
    """Start a session with this spec and plan at the nodes of its parties, take part, and wait for its end.

    An interrupt cancels the session at all nodes.

    Raises:
        UserError: the plan is too large for a request, or a node's standing approval does not allow it.
        QuorateError: as `quorate.node.coordinator.coordinate`.
    """
    spec.validate(identity.federation, "this session")
    check_plan(spec, plan)
    content = plan.to_json()
    if len(content) > MOST_BYTES:
        raise UserError(
            f"the plan has {len(content) >> 10} KiB, more than the {MOST_BYTES >> 10} that a request may carry; share "
            "large public arrays as secrets, or compute in several steps"
        )
    approved = Approved(Path(FILE), spec, plan)
    request = request_of(approved, session or new_session(), None)
    request = msgspec.structs.replace(request, interactive=Interactive(plan=content, data_set=data_set))
    members = [identity.federation.member(name) for name in hosts(spec)]
    submission = begin(identity, members, request, spec)
    try:
        if identity.name not in roster(spec).participants:
            return Finished(submission.session, {}, submission.wait(on_progress))
        seat = Seat(identity, approved, submission.session, inputs)
        return together(submission, lambda: seat.take_part(None), on_progress)
    except KeyboardInterrupt:
        submission.cancel(identity)
        raise
    finally:
        submission.close()


def ask_all(identity: Identity, names: Sequence[str], request: Request) -> dict[str, Response]:
    """The answers of several nodes to a request.

    Raises:
        QuorateError: the first problem; a node cannot be reached, or refuses.
    """

    def one(name: str) -> Response:
        control = dial(identity, identity.federation.member(name))
        try:
            return call(control, request, _SECONDS)
        finally:
            control.close()

    return dict(zip(names, _at_once(names, one), strict=True))


def _at_once(names: Sequence[str], action: Callable[[str], T]) -> list[T]:
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        return list(pool.map(action, names))


def check_nodes(identity: Identity, names: Sequence[str]) -> None:
    """Raises unless all nodes can be reached and run our release."""
    for name, answer in ask_all(identity, names, Hello(software=software())).items():
        if not isinstance(answer, Welcome):
            raise PeerError(f"{name} gave an answer that does not fit the question; compare releases")
        if answer.software != software():
            raise AgreementError(
                f"{name} runs {answer.software[:40]!r}, we run {software()}; install the same release on both"
            )


def catalogue(identity: Identity, names: Sequence[str]) -> list[Card]:
    """The data sets that we have placed or may use, as all these nodes describe them; of each the newest version.

    Raises as `ask_all`.
    """
    held = [
        {(card.name, card.session): card for card in answer.cards} for answer in _catalogues(identity, names).values()
    ]
    found: dict[str, Card] = {}
    for key, card in held[0].items() if held else ():
        alike = all(key in other and _same(card, other[key]) for other in held[1:])
        if alike and (card.name not in found or found[card.name].placed < card.placed):
            found[card.name] = card
    return [found[name] for name in sorted(found)]


def _catalogues(identity: Identity, names: Sequence[str]) -> dict[str, Catalogue]:
    found = {}
    for name, answer in ask_all(identity, names, DataSets()).items():
        if not isinstance(answer, Catalogue):
            raise PeerError(f"{name} gave an answer that does not fit the question; compare releases")
        found[name] = answer
    return found


def openings(identity: Identity, names: Sequence[str]) -> list[Opened]:
    """What was opened by us, or of our data sets: the largest counts of all nodes, and the least of their limits.

    Raises as `ask_all`.
    """
    found: dict[tuple[str, str, str], Opened] = {}
    for answer in _catalogues(identity, names).values():
        for one in answer.opened:
            other = found.get(key := (one.owner, one.data_set, one.analyst), one)
            limits = [most for most in (one.most, other.most) if most is not None]
            numbers = max(one.numbers, other.numbers)
            found[key] = msgspec.structs.replace(one, numbers=numbers, most=min(limits, default=None))
    return [found[key] for key in sorted(found)]


def _same(one: Card, other: Card) -> bool:
    return msgspec.structs.replace(one, placed=0.0) == msgspec.structs.replace(other, placed=0.0)
