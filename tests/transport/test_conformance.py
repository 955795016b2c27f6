"""The shipped transport passes its own conformance suite, and so does the plaintext one that tests use."""

import pytest

from quorate.testing.loopback import Loopback
from quorate.testing.transport_conformance import NAMES, LinkEndpoint, TransportConformance


@pytest.fixture
def endpoints(together):
    """(n, how a participant gets its links) -> n connected endpoints; all are closed in the end."""
    made = []

    def connect(count, links_of) -> list[LinkEndpoint]:
        with Loopback(NAMES[:count]) as loopback:
            results = together(*[lambda me=me: LinkEndpoint(links_of(loopback, me)) for me in range(count)])
        for result in results:
            if isinstance(result, BaseException):
                raise result
        made.extend(results)
        return results

    yield connect
    for endpoint in made:
        endpoint.vanish()


class TestTls(TransportConformance):
    @pytest.fixture
    def connect(self, endpoints, federation):
        return lambda count: endpoints(count, lambda loopback, me: loopback.tls_links(me, federation.folder))


class TestPlaintext(TransportConformance):
    @pytest.fixture
    def connect(self, endpoints):
        return lambda count: endpoints(count, lambda loopback, me: loopback.insecure_plaintext_links(me))
