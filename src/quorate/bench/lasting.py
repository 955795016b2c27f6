"""The transports of durable sessions, for benchmarks: journals, and TLS between processes or a broker of its own."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.pki import MemberKey, create_authority, fingerprint, issue, load_certificate
from quorate.crypto.sealed import new_key
from quorate.durable.breaker import Breaker
from quorate.durable.conduct import Patience, conduct_durably
from quorate.durable.core import Core
from quorate.durable.facts import Limits, Membership
from quorate.durable.journal import Journal
from quorate.durable.router import Arrival, Connected, Full, Inbox, Lost, Router
from quorate.durable.ways import BrokerWay, Way
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.testing.loopback import Door, Loopback
from quorate.testing.servers.base import Server
from quorate.transport.arrivals import Arrivals, Refused
from quorate.transport.carrier import Credentials, Parcel, Queue, open_carrier
from quorate.transport.carrier import Limits as QueueLimits
from quorate.transport.direct import Direct
from quorate.transport.mesh import PeerAddress
from quorate.transport.tls import load_contexts

__all__ = ["BROKERS", "DURABLE", "Site", "conduct_lasting", "is_lasting", "site"]

DURABLE = "durable"
BROKERS = {
    "embedded": None,
    "amqp": ("rabbitmq", "RabbitServer"),
    "redis": ("redis", "RedisServer"),
    "nats": ("nats", "NatsServer"),
    "kafka": ("kafka", "KafkaServer"),
}
"""Transport -> module and class of a server of it that can be started here; the embedded queues need none."""

SESSION = "b" * 32
_SILENCE = 600.0


class Site(NamedTuple):
    """Where processes meet: the folder of certificates, the address of the broker if any, how to prove who one is."""

    pki: Path
    address: str
    credentials: Callable[[str], Credentials]


@contextlib.contextmanager
def site(transport: str, folder: Path, members: tuple[str, ...]) -> Iterator[Site]:
    """Certificates and a broker for `transport`.

    Raises:
        UserError: this broker cannot be started here.
    """
    found = BROKERS.get(transport)
    if found is None:
        create_authority(folder / "pki", "benchmark")
        issue(folder / "pki", dict.fromkeys(members, "127.0.0.1"))
        pki = folder / "pki"
        address = f"embedded:{folder / 'queues'}" if transport in BROKERS else ""
        yield Site(pki, address, lambda name: Credentials(pki / f"{name}.crt", pki / f"{name}.key", pki / "ca.crt"))
        return
    cls: type[Server] = getattr(importlib.import_module(f"quorate.testing.servers.{found[0]}"), found[1])
    if reason := cls.missing():
        raise UserError(f"the transport {transport} cannot be measured here: {reason}")
    with cls(folder / "broker", members) as server:
        yield Site(server.pki, server.address, server.credentials)


def conduct_lasting(
    program: Step[Any], root: Scope, names: tuple[str, ...], me: int, loopback: Loopback, place: Site
) -> Any:
    """Run a program as participant `me` of a durable session, over TLS or the broker of `place`; its result."""
    pki = place.pki
    peers = tuple(index for index in range(len(names)) if index != me)
    seat = Membership(
        session=SESSION,
        spec="0" * 64,
        me=me,
        names=names,
        peers=peers,
        certificates={index: load_certificate(pki / f"{names[index]}.crt") for index in peers},
        signer=MemberKey(pki / f"{names[me]}.key"),
    )
    limits = Limits(silence=_SILENCE, deadline=time.time() + 10 * _SILENCE)
    journal = Journal.create(pki.parent / f"journal-{me}", new_key(), b"")
    core = Core(
        seat, lambda _, __: program, journal, limits, scope=root, seed=SystemEntropy().bytes(32)
    )  # runs once: the program need not be made again
    found: list[Any] = []
    with _router(names, me, loopback, place) as router:
        conduct_durably(core, router, observer=_Silent(), patience=Patience(linger=5.0), on_result=found.append)
    journal.destroy()
    return found[0]


class _Silent:
    """An observer that writes nothing down."""

    def sent(self, peer: int, parcel: Parcel) -> None: ...

    def arrived(self, arrival: Arrival) -> None: ...

    def refused(self, reason: str) -> None: ...

    def route(self, event: Connected | Lost | Full | Refused) -> None: ...

    def committed(self) -> None: ...


@contextlib.contextmanager
def _router(names: tuple[str, ...], me: int, loopback: Loopback, place: Site) -> Iterator[Router]:
    arrivals = Arrivals()
    peers = [index for index in range(len(names)) if index != me]
    pki = place.pki
    if not place.address:
        certificate, key, authority = pki / f"{names[me]}.crt", pki / f"{names[me]}.key", pki / "ca.crt"
        members = [
            PeerAddress(name, fingerprint(pki / f"{name}.crt"), where)
            for name, where in zip(names, loopback.addresses_for(me), strict=True)
        ]
        contexts = load_contexts(certificate, key, authority)
        direct = Direct(me, members, SESSION, contexts, Door(loopback.sockets[me]), arrivals, silence=_SILENCE)
        router = Router({peer: [direct.way(peer)] for peer in peers}, [], arrivals)
        direct.start()
        try:
            yield router
        finally:
            router.close()
            direct.close()
        return
    opener = partial(open_carrier, place.address, place.credentials(names[me]))
    limits = QueueLimits(most_bytes=4 << 30)
    queues = {index: Queue(SESSION, f"rounds.{name}") for index, name in enumerate(names)}
    ways: dict[int, list[Way]] = {
        peer: [BrokerWay("broker", opener, queues[peer], limits, Breaker())] for peer in peers
    }
    router = Router(ways, [Inbox("broker", opener, queues[me], limits)], arrivals)
    try:
        yield router
    finally:
        router.close()


def is_lasting(transport: str) -> bool:
    """Whether a transport is that of a durable session."""
    return transport == DURABLE or transport in BROKERS
