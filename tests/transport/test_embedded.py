"""Queues in a folder: the conformance of carriers, and what is particular to files."""

import pytest

from quorate.testing.carrier_conformance import CarrierConformance, Site
from quorate.transport.carrier import Credentials


class TestConformance(CarrierConformance):
    @pytest.fixture
    def site(self, tmp_path):
        self.folder = tmp_path / "queues"
        return Site(f"embedded:{self.folder}", Credentials())

    def listed(self, site):
        return {path.name.removesuffix(".queue") for path in self.folder.iterdir()}

    def expected(self, queue):
        return {queue.name}
