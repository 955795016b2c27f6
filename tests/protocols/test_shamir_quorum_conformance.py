"""Further choices of parties and threshold of `shamir_quorum` pass the public conformance suite."""

import pytest

from quorate.testing.protocol_conformance import ProtocolConformance


class TestShamirQuorum(ProtocolConformance):
    @pytest.fixture(
        params=[
            pytest.param(("shamir_quorum", 4, 1), marks=pytest.mark.slow),
            pytest.param(("shamir_quorum", 5, 2), marks=pytest.mark.slow),
        ],
        ids=lambda c: f"{c[1]}-{c[2]}",
    )
    def configuration(self, request):
        return request.param
