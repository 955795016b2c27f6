"""What all test servers share: folder, certificates, ports, starting, waiting, killing, searching for traces."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.pki import create_authority, issue
from quorate.errors import EnvironmentFault
from quorate.transport.carrier import Credentials

__all__ = ["HOST", "OPERATOR", "VISITOR", "Server", "free_port", "listens"]

HOST = "127.0.0.1"
OPERATOR = "operator"
"""A user beside the members, who may do everything, where the broker tells users apart."""
VISITOR = "visitor"
"""How names of members begin who may send to the others and no more, where the broker can tell."""
_PORTS = range(18_000, 30_000)  # below those that the system gives to outgoing connections
_READY = 90.0
_WATCHDOG = "import os, signal, sys; sys.stdin.buffer.read(1); os.killpg(int(sys.argv[1]), signal.SIGKILL)"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    for _ in range(100):
        drawn = int.from_bytes(SystemEntropy().bytes(4), "big")
        port = _PORTS[drawn % len(_PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise EnvironmentFault(f"no free port in 100 attempts between {_PORTS.start} and {_PORTS.stop}")


class Server:
    """One broker in `folder`, known to the `members` by certificates of one authority.

    `folder`/pki holds ca.crt, server.crt and NAME.crt with their keys; `folder`/home is everything the broker writes.
    """

    scheme: ClassVar[str]

    def __init__(self, folder: Path, members: Sequence[str], *, host: str = HOST) -> None:
        """Lay out the folder; `host` is the name in the broker's certificate (another than ours, to be refused)."""
        self.members = list(members)
        self.pki, self.home = folder / "pki", folder / "home"
        self.home.mkdir(parents=True)
        create_authority(self.pki, "test")
        issue(self.pki, {"server": host, **dict.fromkeys(members)})
        self.port = free_port()
        self._running: list[_Child] = []

    @classmethod
    def missing(cls) -> str | None:
        """Why this kind of server cannot be started here (for `pytest.skip`), or None."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        """What `open_carrier` takes."""
        return f"{self.scheme}://{HOST}:{self.port}"

    def credentials(self, member: str) -> Credentials:
        """How `member` proves who it is."""
        return Credentials(self.pki / f"{member}.crt", self.pki / f"{member}.key", self.pki / "ca.crt")

    def start(self) -> Self:
        """Start it, or start it again with the same data and ports; returns when it accepts connections."""
        self._launch()
        end = time.monotonic() + _READY
        while not self._ready():
            if not self._alive() or time.monotonic() > end:
                self.kill()
                raise EnvironmentFault(f"the test server did not start; its last words: {self._last_words()}")
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """kill -9, the whole family of processes; does nothing if it is dead."""
        for child in self._running:
            child.kill()
        self._running.clear()

    def stop(self) -> None:
        """Ask it to leave in order; kill it if it does not within ten seconds."""
        self._signal(signal.SIGTERM)
        end = time.monotonic() + 10
        while any(child.process.poll() is None for child in self._running) and time.monotonic() < end:
            time.sleep(0.02)
        self.kill()

    def pause(self) -> None:
        """Let it hang: connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def names(self) -> set[str]:
        """What the broker holds: queues, exchanges, keys, streams, topics; asked with all rights."""
        raise NotImplementedError

    def traces(self, needle: bytes) -> list[Path]:
        """The files among data and logs of the server that hold these bytes somewhere."""
        return [path for path, content in self.files() if needle in content]

    def files(self) -> Iterator[tuple[Path, bytes]]:
        """Everything the server has written, with content: data, logs, configuration."""
        for path in sorted(self.home.rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # it may be at work meanwhile
                if path.is_file():
                    yield path, path.read_bytes()

    def _launch(self) -> None:
        """Start the processes with `_spawn`."""
        raise NotImplementedError

    def _ready(self) -> bool:
        """Whether it takes connections by now; the default: the port is open."""
        return listens(self.port)

    def _ask(self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> list[str]:
        """The words that a command prints, which runs in `folder`."""
        surroundings = _environment(environment)
        done = subprocess.run(
            command, env=surroundings, cwd=folder or self.home, capture_output=True, timeout=_READY, check=True
        )
        return done.stdout.decode().split()

    def _spawn(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """A process that writes to `home`/output.log, in a group of its own that is killed when we die."""
        with open(self.home / "output.log", "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=_environment(environment),
                start_new_session=True,
            )
        self._running.append(_Child(process))

    def _signal(self, number: int) -> None:
        for child in self._running:
            child.signal(number)

    def _alive(self) -> bool:
        return bool(self._running) and all(child.process.poll() is None for child in self._running)

    def _last_words(self) -> str:
        return (self.home / "output.log").read_bytes()[-2000:].decode(errors="replace")


class _Child:
    """A group of processes, and a guard that kills it when we are gone, by whatever death."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        guard = [sys.executable, "-I", "-S", "-c", _WATCHDOG, str(process.pid)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self._guard.kill()
        self._guard.communicate()
        self.signal(signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + 10
        while self._kin() and time.monotonic() < end:  # the grandchildren are not ours to wait for
            time.sleep(0.002)

    def _kin(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **more}


def listens(port: int) -> bool:
    """Whether somebody accepts connections on this port of ours."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
