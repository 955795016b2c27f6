"""Every protocol passes the public conformance suite."""

import pytest

from quorate.testing.protocol_conformance import ProtocolConformance
from quorate.testing.world import CONFIGURATIONS

CHECKED = (("rep3_malicious", 3, 1),)
"""Protocols that are slower because they check what others do."""


class TestProtocols(ProtocolConformance):
    @pytest.fixture(params=CONFIGURATIONS + CHECKED, ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}")
    def configuration(self, request):
        return request.param
