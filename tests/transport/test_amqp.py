"""RabbitMQ as a carrier: the conformance suite over TLS."""

import pytest

from quorate.crypto.pki import create_authority, issue
from quorate.testing.broker_conformance import BrokerConformance
from quorate.testing.carrier_conformance import CarrierConformance, Site
from quorate.testing.servers.base import OPERATOR
from quorate.testing.servers.rabbitmq import RabbitServer
from quorate.transport.carrier import Credentials

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def strangers(tmp_path_factory) -> Credentials:
    """A certificate in the name of a member, by another authority."""
    folder = tmp_path_factory.mktemp("strangers")
    create_authority(folder, "others")
    issue(folder, {"alice": None})
    return Credentials(folder / "alice.crt", folder / "alice.key")


@pytest.fixture
def site(rabbitmq, strangers) -> Site:
    foreign = Credentials(strangers.certificate, strangers.key, rabbitmq.pki / "ca.crt")
    return Site(rabbitmq.address, rabbitmq.credentials(OPERATOR), foreign)


class TestRabbit(CarrierConformance):
    drops_copies = False

    @pytest.fixture(autouse=True)
    def _server(self, rabbitmq):
        self.server = rabbitmq

    def listed(self, site):
        return self.server.names()


class TestRabbitServer(BrokerConformance):
    kind = RabbitServer
    settle = 4.0
    keeps_order = False

    @pytest.fixture(autouse=True)
    def _shared(self, rabbitmq):
        self.shared = rabbitmq
