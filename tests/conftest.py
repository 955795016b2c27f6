"""Brokers for all tests: one of each kind per worker, started when the first test asks for it; skipped if missing.

A test that kills, fills or reconfigures a broker starts its own with `quorate.testing.servers`.
"""

import pytest

from quorate.testing.servers.rabbitmq import RabbitServer
from quorate.testing.servers.redis import RedisServer

MEMBERS = ("alice", "bob", "carol", "visitor")


@pytest.fixture(scope="session")
def broker_of(tmp_path_factory):
    """Kind of server -> a running one that knows MEMBERS by certificate."""
    running = {}

    def of(kind):
        reason = kind.missing()
        if reason:
            pytest.skip(reason)
        if kind not in running:
            running[kind] = kind(tmp_path_factory.mktemp(kind.scheme), MEMBERS).start()
        return running[kind]

    yield of
    for server in running.values():
        server.kill()


@pytest.fixture
def rabbitmq(broker_of) -> RabbitServer:
    return broker_of(RabbitServer)


@pytest.fixture
def redis_server(broker_of) -> RedisServer:
    return broker_of(RedisServer)
