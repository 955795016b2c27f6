import threading
from pathlib import Path
from typing import Any

import pytest

from quorate.crypto.pki import create_authority, fingerprint, issue
from quorate.testing.loopback import Loopback
from quorate.testing.transport_conformance import NAMES
from quorate.transport.mesh import PeerAddress
from quorate.transport.tls import Contexts, load_contexts


class Federation:
    """Certificates of NAMES in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        create_authority(folder, "tests")
        issue(folder, dict.fromkeys(NAMES))

    def contexts(self, name: str) -> Contexts:
        return load_contexts(self.folder / f"{name}.crt", self.folder / f"{name}.key", self.folder / "ca.crt")

    def member(self, name: str, address=None, computes=True) -> PeerAddress:
        return PeerAddress(name, fingerprint(self.folder / f"{name}.crt"), address, computes)


def run_together(*functions):
    """Run functions at the same time, in threads; their results or errors, in order."""
    results: list[Any] = [None] * len(functions)

    def run(index, function):
        try:
            results[index] = function()
        except BaseException as problem:
            results[index] = problem

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        if thread.is_alive():
            raise AssertionError("hangs")
    return results


@pytest.fixture(scope="session")
def federation(tmp_path_factory) -> Federation:
    return Federation(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def together():
    return run_together


@pytest.fixture
def loopback():
    with Loopback(NAMES[:3]) as made:
        yield made
