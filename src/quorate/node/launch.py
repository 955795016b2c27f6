"""All nodes of a federation as processes of this machine: for demonstrations, tests and trying things out."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quorate.coordination.federation import Federation, Member
from quorate.coordination.stocks import Stocks
from quorate.errors import EnvironmentFault, UserError
from quorate.files import ensure_folder, file_error
from quorate.node import messages
from quorate.node.messages import Failure
from quorate.node.process import await_exit, fork, run_and_exit, status_text
from quorate.node.server import Node, Settings
from quorate.node.warm import warm

__all__ = ["Nodes", "local_nodes", "set_up_logging", "up"]

log = logging.getLogger(__name__)

_START_SECONDS = 60.0
_STOP_SECONDS = 8.0


@dataclass
class Nodes:
    """Running node processes: member -> process id. Use `up`, which stops them too."""

    pids: dict[str, int]
    home: Path

    def log_path(self, name: str) -> Path:
        """Where the node of member `name` writes its log."""
        return self.home / f"{name}.log"

    def ended(self) -> str | None:
        """A sentence about a node that ended by itself, or None while all run."""
        for name, pid in list(self.pids.items()):
            try:
                reaped, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                reaped, status = pid, 0
            if reaped:
                del self.pids[name]
                return f"the node of {name} {status_text(status)}; see {self.log_path(name)}"
        return None

    def stop(self) -> None:
        """End all nodes: gently, after a while by force."""
        deadline = time.monotonic() + _STOP_SECONDS
        for pid in self.pids.values():
            os.kill(pid, signal.SIGTERM)
        for pid in self.pids.values():
            if not await_exit(pid, max(0.0, deadline - time.monotonic())):
                os.kill(pid, signal.SIGKILL)
                await_exit(pid, 1.0)
        self.pids.clear()


def local_nodes(federation: Federation) -> list[Member]:
    """The members that have a node: those with role compute or dealer."""
    return [member for member in federation.members if member.has("compute", "dealer")]


@contextmanager
def up(
    federation: Federation,
    specs: Path,
    home: Path,
    data: Mapping[str, str] | None = None,
    members: Sequence[str] | None = None,
    log_level: int = logging.INFO,
    stocks: Stocks | None = None,
) -> Iterator[Nodes]:
    """Run the nodes of a federation until the block is left; inside it all of them listen.

    Args:
        federation: every address has to be one of this machine.
        specs: folder of approved specs and plans, for all nodes.
        home: folder for logs, results and kept shares of all nodes.
        data: input -> path, for the inputs of members that run nodes.
        members: whose nodes to run; by default all that have one.
        log_level: as in `logging`.
        stocks: what the nodes make ahead of sessions.

    Raises:
        QuorateError: a node could not start; its own error. All others are stopped then.
    """
    names = [member.name for member in local_nodes(federation)] if members is None else list(members)
    if not names:
        raise UserError(f"federation {federation.name!r} has no member with role compute or dealer; nothing to start")
    ensure_folder(home)
    warm()
    nodes = Nodes({}, home)
    keep, lifeline = os.pipe()  # the nodes see its end when this process ends, however that happens
    try:
        starts = {}
        for name in names:
            settings = Settings(specs, home, dict(data or {}), stocks=stocks or Stocks())
            starts[name] = _launch(nodes, federation, name, settings, (keep, lifeline), log_level)
        _await_all(nodes, starts)
        yield nodes
    finally:
        nodes.stop()
        os.close(keep)
        os.close(lifeline)


def _launch(
    nodes: Nodes, federation: Federation, name: str, settings: Settings, lifeline: tuple[int, int], log_level: int
) -> socket.socket:
    """Fork one node; the socket on which it says that it listens, or why not."""
    ours, theirs = socket.socketpair()
    pid = fork()
    if not pid:
        ours.close()
        os.close(lifeline[1])
        run_and_exit(lambda: _be_node(federation, name, settings, lifeline[0], theirs, log_level))
    theirs.close()
    nodes.pids[name] = pid
    return ours


def _be_node(
    federation: Federation, name: str, settings: Settings, lifeline: int, starter: socket.socket, log_level: int
) -> int:
    os.setsid()  # Ctrl-C reaches the starting process alone, which then stops all nodes in order
    try:
        _redirect(settings.home / f"{name}.log")
        set_up_logging(log_level, name)
        node = Node(federation, name, settings)
        node.run(lambda: _say_ready(starter), lifeline)
    except Exception as problem:
        failure = Failure.of(problem)
        log.error("%s: %s", failure.code, failure.message)
        starter.sendall(msgspec.json.encode(failure))
        return messages.as_quorate_error(problem).exit_code
    return 0


def _say_ready(starter: socket.socket) -> None:
    starter.sendall(b"ready")
    starter.close()


def _redirect(path: Path) -> None:
    """Send what this process and its children print to the end of a file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as problem:
        raise file_error(problem, path, "write") from problem
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    # Whoever embeds us may have replaced these objects by ones that do not write to descriptors 1 and 2.
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115


def set_up_logging(level: int, name: str = "") -> None:
    """Log lines with time, member and level to the standard error stream."""
    prefix = f"{name} " if name else ""
    logging.basicConfig(level=level, format=f"%(asctime)s {prefix}%(levelname)s %(message)s", force=True)


def _await_all(nodes: Nodes, starts: Mapping[str, socket.socket]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    try:
        for name, sock in starts.items():
            _await_one(name, sock, deadline - time.monotonic(), nodes.log_path(name))
    finally:
        for sock in starts.values():
            sock.close()


def _await_one(name: str, sock: socket.socket, patience: float, log_path: Path) -> None:
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    if not poller.poll(max(0.0, patience) * 1000):
        raise EnvironmentFault(f"the node of {name} does not listen after {_START_SECONDS:g} s; see {log_path}")
    said = sock.recv(1 << 16)
    if said == b"ready":
        return
    if not said:
        raise EnvironmentFault(f"the node of {name} ended while it started; see {log_path}")
    raise msgspec.json.decode(said, type=Failure).error(f"the node of {name}")
