"""Redis as a carrier: the conformance suite over TLS, and what happens when the broker dies."""

import pytest

from quorate.crypto.pki import create_authority, issue
from quorate.testing.broker_conformance import BrokerConformance
from quorate.testing.carrier_conformance import CarrierConformance, Site
from quorate.testing.servers.redis import RedisServer
from quorate.transport.carrier import Credentials


@pytest.fixture(scope="session")
def strangers(tmp_path_factory) -> Credentials:
    """A certificate in the name of a member, by another authority."""
    folder = tmp_path_factory.mktemp("strangers")
    create_authority(folder, "others")
    issue(folder, {"alice": None})
    return Credentials(folder / "alice.crt", folder / "alice.key")


@pytest.fixture
def site(redis_server, strangers) -> Site:
    mine = redis_server.credentials("alice")
    foreign = Credentials(strangers.certificate, strangers.key, mine.authority, mine.user, mine.password)
    return Site(redis_server.address, mine, foreign)


class TestRedis(CarrierConformance):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server):
        self.server = redis_server

    def listed(self, site):
        return self.server.names()


@pytest.mark.slow
class TestRedisServer(BrokerConformance):
    kind = RedisServer

    @pytest.fixture(autouse=True)
    def _shared(self, redis_server):
        self.shared = redis_server
