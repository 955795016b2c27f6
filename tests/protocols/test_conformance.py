"""Every protocol passes the public conformance suite."""

import pytest

from quorate.testing.protocol_conformance import ProtocolConformance
from quorate.testing.world import CONFIGURATIONS


class TestProtocols(ProtocolConformance):
    @pytest.fixture(params=CONFIGURATIONS, ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}")
    def configuration(self, request):
        return request.param
