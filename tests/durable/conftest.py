"""Submissions over each kind of broker: the embedded one always, others where their server is installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.durable.a13 import field_at
from tests.durable.submissions import Field

from quorate.testing.servers.base import OPERATOR
from quorate.testing.servers.nats import NatsServer
from quorate.testing.servers.rabbitmq import RabbitServer
from quorate.testing.servers.redis import RedisServer
from quorate.transport.carrier import Credentials

SERVERS = {"rediss": RedisServer, "nats": NatsServer, "amqps": RabbitServer}
SLOW = [pytest.param(scheme, marks=pytest.mark.slow) for scheme in SERVERS]


@dataclass
class Broker:
    """A place to submit to, and the folder with everything that the broker writes."""

    field: Field
    home: Path
    port: int


@pytest.fixture(params=["embedded", *SLOW])
def broker(request, tmp_path, broker_of) -> Broker:
    folder = tmp_path / "members"
    folder.mkdir()
    if request.param == "embedded":
        home = tmp_path / "broker"
        field = field_at(folder, f"embedded:{home}", Credentials(), request.node.name)
        return Broker(field, home, 0)
    server = broker_of(SERVERS[request.param])
    field = field_at(
        folder,
        server.address,
        server.credentials(OPERATOR if OPERATOR in server.members else "alice"),
        request.node.name,
    )
    return Broker(field, server.home, server.port)
