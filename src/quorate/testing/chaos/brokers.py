"""The brokers that a run can go through: test servers of this machine, one for all members."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from quorate.errors import UserError
from quorate.testing.servers.base import Server
from quorate.testing.servers.kafka import KafkaServer
from quorate.testing.servers.nats import NatsServer
from quorate.testing.servers.rabbitmq import RabbitServer
from quorate.testing.servers.redis import RedisServer
from quorate.transport.carrier import CLIENTS

__all__ = ["SERVERS", "TRANSPORTS", "delivery_of", "lay_out", "missing"]

SERVERS: dict[str, type[Server]] = {
    "amqp": RabbitServer,
    "redis": RedisServer,
    "nats": NatsServer,
    "kafka": KafkaServer,
}

TRANSPORTS = ("direct", "embedded", *SERVERS, "live")
"""TLS between nodes with journals; a folder of this machine; a broker; and sessions that end when anybody dies."""


def delivery_of(transport: str) -> str:
    """What a spec says for a transport. Raises `UserError` if there is no such transport."""
    if transport not in TRANSPORTS:
        raise UserError(f"there is no transport {transport!r}; choose one of {', '.join(TRANSPORTS)}")
    server = SERVERS.get(transport)
    if server is not None and importlib.util.find_spec(CLIENTS[server.scheme]) is None:
        raise UserError(f"--transport {transport} needs a package: run pip install 'quorate[{transport}]'")
    return {"live": "direct", "direct": "durable"}.get(transport, "queued")


def missing(transport: str) -> str | None:
    """Why the broker of a transport cannot be started on this machine, or None."""
    server = SERVERS.get(transport)
    return None if server is None else server.missing()


def lay_out(transport: str, folder: Path, members: Sequence[str]) -> Server:
    """A broker in `folder` for these members, with an authority whose certificates it takes; not started yet.

    Raises:
        UserError: it is not installed.
    """
    if (reason := missing(transport)) is not None:
        raise UserError(f"--transport {transport}: {reason}; or name a running broker with --broker")
    server = SERVERS[transport](folder, members)
    for name in members:
        login = server.credentials(name)
        if login.password is not None:
            path = server.pki / f"{name}.broker"
            path.touch(0o600)
            path.write_text(f"{login.user}\n{login.password}\n")
    return server
