"""How the messages of a lasting session travel: the queues of its participants, and connections between their nodes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from quorate.coordination.federation import EMBEDDED, Federation, Member
from quorate.coordination.roster import Roster
from quorate.coordination.spec import Spec
from quorate.durable.breaker import Breaker
from quorate.durable.region import Place, check_region
from quorate.durable.router import Inbox, Router
from quorate.durable.ways import BrokerWay, Way
from quorate.errors import EnvironmentFault, UserError
from quorate.files import read_bytes
from quorate.node.identity import Identity
from quorate.node.mesh import Doorway, addresses
from quorate.transport.arrivals import Arrivals
from quorate.transport.carrier import Carrier, Credentials, Limits, Queue, open_carrier
from quorate.transport.direct import Direct

__all__ = [
    "Roads",
    "check_places",
    "credentials_of",
    "inbox_of",
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


def credentials_of(identity: Identity, address: str = "") -> Credentials:
    """How we prove to the broker at `address` who we are: by our certificate.

    For brokers that want a password, by the two lines of a file beside our key: NAME.HOST_PORT.broker if it is there,
    else NAME.HOST.broker, else NAME.broker.

    Raises:
        EnvironmentFault: that file can be read by others, or is malformed.
    """
    federation = identity.federation
    host, _, port = urlsplit(address).netloc.split(",")[0].rpartition(":")
    host = host.strip("[]")
    files = [identity.key.with_name(f"{identity.name}{mark}.broker") for mark in (f".{host}_{port}", f".{host}", "")]
    login = next((file for file in files if file.exists()), files[-1])
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
        if spec.delivery == "queued" or (spec.lasting and _at_broker(member)):
            places.append(Place(f"the inbox of {name}", member.region))
    check_region(spec.region, places)


class Roads:
    """A router with what it stands on: connections between nodes, the doorway of ours.

    With `delivery: durable` messages go straight to the node of the peer, and to its inbox while that cannot be reached
    (if the federation file states one at a broker); with `delivery: queued` the other way round.
    """

    def __init__(self, identity: Identity, spec: Spec, who: Roster, session: str, doorway: Doorway | None) -> None:
        """`doorway` is where connections to us arrive; None: our node does not listen, or we have none.

        Raises:
            UserError: as `check_places`.
        """
        check_places(spec, identity.federation, who)
        me = who.index(identity.name)
        arrivals = Arrivals()
        queued = spec.delivery == "queued"
        self._doorway = doorway
        self._direct = None
        if not queued or (doorway is not None and _at_broker(identity.member)):
            members = addresses(identity, who)
            self._direct = Direct(
                me, members, session, identity.contexts, doorway, arrivals, silence=max(5.0, spec.timeouts.round / 2)
            )
        breakers: dict[str, Breaker] = {}
        ways: dict[int, list[Way]] = {}
        for peer in who.links(me):
            member = identity.federation.member(who.participants[peer])
            straight: list[Way] = []
            if self._direct is not None and peer in self._direct.peers:
                straight = [self._direct.way(peer)]
            by_queue: list[Way] = []
            if queued or _at_broker(member):
                by_queue = [_broker_way(identity, spec, session, member, breakers)]
            ways[peer] = [*by_queue, *straight] if queued else [*straight, *by_queue]
        inboxes = [_inbox(identity, spec, session, breakers)] if queued or _at_broker(identity.member) else []
        self.router = Router(ways, inboxes, arrivals)
        if self._direct is not None:
            self._direct.start()

    def close(self) -> None:
        """Leave all brokers and connections; never raises."""
        self.router.close()
        if self._direct is not None:
            self._direct.close()
        if self._doorway is not None:
            self._doorway.close()


def _at_broker(member: Member) -> bool:
    """Whether the member's inbox is at a broker, and not a folder of some machine."""
    return member.inbox is not None and not member.inbox.startswith(EMBEDDED)


def _broker_way(
    identity: Identity, spec: Spec, session: str, member: Member, breakers: dict[str, Breaker]
) -> BrokerWay:
    address = inbox_of(member)
    breaker = breakers.setdefault(address, Breaker())
    queue = rounds_queue(session, member.name)
    return BrokerWay(_scheme(address), opener(identity, address), queue, limits_of(spec), breaker)


def _inbox(identity: Identity, spec: Spec, session: str, breakers: dict[str, Breaker]) -> Inbox:
    address = inbox_of(identity.member)
    breaker = breakers.setdefault(address, Breaker())
    queue = rounds_queue(session, identity.name)
    return Inbox(_scheme(address), opener(identity, address), queue, limits_of(spec), breaker)


def provision(identity: Identity, spec: Spec, session: str) -> None:
    """Make our own queue of a session, before anybody sends to it. Raises as `open_carrier`."""
    carrier = opener(identity, inbox_of(identity.member))()
    try:
        carrier.provision(rounds_queue(session, identity.name), limits_of(spec))
    finally:
        carrier.close()


def remove_inbox(identity: Identity, session: str) -> None:
    """Delete our queue of a session that is over, if there is one. Raises as `open_carrier`."""
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
    return partial(open_carrier, address, credentials_of(identity, address))
