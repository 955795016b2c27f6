"""Circuits are tested with protocols that have no functions of summands, and, slowly, with those against cheaters."""

import pytest

from quorate.protocols.registry import PROTOCOLS
from quorate.testing.bare import BARE
from quorate.testing.world import MALICIOUS


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    for name, place in BARE.items():
        monkeypatch.setitem(PROTOCOLS, name, place)


def pytest_collection_modifyitems(items):
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters and "test_malicious" not in item.nodeid and parameters.params.get("configuration") in MALICIOUS:
            item.add_marker(pytest.mark.slow)
