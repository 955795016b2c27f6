"""What all tests share: brokers, one of each kind per worker, started when the first test asks; skipped if missing.

A test that kills, fills or reconfigures a broker starts its own with `quorate.testing.servers`.
"""

import pytest

from quorate.testing.servers.rabbitmq import RabbitServer
from quorate.testing.servers.redis import RedisServer

MEMBERS = ("alice", "bob", "carol", "visitor")


def pytest_collection_modifyitems(items):
    """The quick run has every protocol with two or three parties; with more of them, all tests."""
    for item in items:
        configuration = item.callspec.params.get("configuration") if hasattr(item, "callspec") else None
        if isinstance(configuration, tuple) and configuration[1] > 3:
            item.add_marker(pytest.mark.slow)


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
