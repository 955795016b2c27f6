"""How the messages of a lasting session travel: the queues of its participants, and connections between their nodes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from quorate.coordination.federation import Federation, Member
from quorate.coordination.roster import Roster
from quorate.coordination.spec import Spec
from quorate.durable.breaker import Breaker
from quorate.durable.region import Place, check_region
from quorate.durable.router import Inbox, Router
from quorate.durable.ways import BrokerWay, Way
from quorate.errors import EnvironmentFault, UserError
from quorate.files import read_bytes
from quorate.node.identity import Identity
from quorate.node.mesh import Doorway
from quorate.transport.carrier import Carrier, Credentials, Limits, Queue, open_carrier

__all__ = [
    "check_places",
    "credentials_of",
    "inbox_of",
    "make_router",
    "opener",
    "provision",
    "remove_inbox",
    "rounds_queue",
]


def rounds_queue(session: str, member: str) -> Queue:
    """Where messages of a session wait for a member."""
    return Queue(session, f"rounds.{member}")


def inbox_of(member: Member) -> str:
    """The address of the broker of a member's inbox. Raises `UserError` if it has none."""
    if member.inbox is None:
        raise UserError(f"member {member.name!r} has no inbox; load the federation from its file, or state one there")
    return member.inbox


def credentials_of(identity: Identity) -> Credentials:
    """How we prove to brokers who we are: by our certificate; or by the two lines of NAME.broker beside our key.

    Raises:
        EnvironmentFault: that file can be read by others, or is malformed.
    """
    federation = identity.federation
    login = identity.key.with_name(f"{identity.name}.broker")
    user = password = None
    if login.exists():
        if login.stat().st_mode & 0o077:
            raise EnvironmentFault(f"{login}: other users of this machine may read the password; run chmod 600 on it")
        lines = read_bytes(login, 4096).decode(errors="replace").splitlines()
        if len(lines) != 2:
            raise EnvironmentFault(f"{login}: write the user in its first line and the password in its second")
        user, password = lines
    authority = Path(federation.broker_ca or federation.ca)
    return Credentials(Path(identity.member.certificate), identity.key, authority, user, password)


def check_places(spec: Spec, federation: Federation, who: Roster) -> None:
    """Refuse a session that is bound to a region and would leave it. Raises `UserError`."""
    places = []
    for index, name in enumerate(who.participants):
        member = federation.member(name)
        if index < who.parties or index == who.dealer:
            places.append(Place(f"the node of {name}", member.region))
        if spec.delivery == "queued":
            places.append(Place(f"the inbox of {name}", member.region))
    check_region(spec.region, places)


def make_router(identity: Identity, spec: Spec, who: Roster, me: int, session: str, doorway: Doorway | None) -> Router:
    """Ways to all peers and our own inbox, for `delivery: queued` or `durable`.

    Raises:
        UserError: as `check_places`.
    """
    federation = identity.federation
    check_places(spec, federation, who)
    if doorway is not None:
        doorway.close()
    breakers: dict[str, Breaker] = {}
    ways: dict[int, list[Way]] = {}
    for peer in who.links(me):
        member = federation.member(who.participants[peer])
        address = inbox_of(member)
        breaker = breakers.setdefault(address, Breaker())
        queue = rounds_queue(session, member.name)
        ways[peer] = [BrokerWay(_scheme(address), opener(identity, address), queue, limits_of(spec), breaker)]
    address = inbox_of(identity.member)
    inbox = Inbox(
        _scheme(address),
        opener(identity, address),
        rounds_queue(session, identity.name),
        limits_of(spec),
        breakers.setdefault(address, Breaker()),
    )
    return Router(ways, [inbox])


def provision(identity: Identity, spec: Spec, session: str) -> None:
    """Make our own queue of a session, before anybody sends to it. Raises as `open_carrier`."""
    carrier = opener(identity, inbox_of(identity.member))()
    try:
        carrier.provision(rounds_queue(session, identity.name), limits_of(spec))
    finally:
        carrier.close()


def remove_inbox(identity: Identity, session: str) -> None:
    """Delete our queue of a session that is over. Raises as `open_carrier`."""
    carrier = opener(identity, inbox_of(identity.member))()
    try:
        carrier.remove(rounds_queue(session, identity.name))
    finally:
        carrier.close()


def limits_of(spec: Spec) -> Limits:
    """What queues of a session keep: as long as somebody may be away in a round."""
    return Limits(ttl=spec.timeouts.round)


def _scheme(address: str) -> str:
    return urlsplit(address).scheme


def opener(identity: Identity, address: str) -> partial[Carrier]:
    """What connects to a broker in the name of a member."""
    return partial(open_carrier, address, credentials_of(identity))
