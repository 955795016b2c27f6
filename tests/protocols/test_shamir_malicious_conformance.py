"""Shamir's protocol against cheaters passes the public conformance suite."""

import pytest

from quorate.testing.protocol_conformance import ProtocolConformance


class TestShamirMalicious(ProtocolConformance):
    @pytest.fixture(
        params=[
            ("shamir_malicious", 3, 1),
            pytest.param(("shamir_malicious", 4, 1), marks=pytest.mark.slow),
            pytest.param(("shamir_malicious", 5, 2), marks=pytest.mark.slow),
        ],
        ids=lambda c: f"{c[1]}-{c[2]}",
    )
    def configuration(self, request):
        return request.param
