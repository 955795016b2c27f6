"""The nursery: a process forked before the node has any thread, with everything heavy imported, that forks workers.

So a session starts in milliseconds, and each one is a process of its own, whose crash harms no other.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
from collections.abc import Callable

import msgspec

from quorate.node.channel import Channel, pair
from quorate.node.process import await_exit, die_with_parent, forbid_core_dumps, fork, run_and_exit
from quorate.node.warm import warm

__all__ = ["Exited", "Nursery"]

log = logging.getLogger(__name__)


class Spawn(msgspec.Struct, tag="spawn"):
    """Fork a worker for `session`; its channel comes along."""

    session: str


class Kill(msgspec.Struct, tag="kill"):
    """Send `signum` to the worker of `session`, if it still runs."""

    session: str
    signum: int


class Exited(msgspec.Struct, tag="exited"):
    """The worker of `session`, process `pid`, has ended with wait status `status`."""

    session: str
    pid: int
    status: int


class Spawned(msgspec.Struct, tag="spawned"):
    """The worker of `session` is process `pid`."""

    session: str
    pid: int


class Nursery:
    """The node's end: asks for workers and hears of their ends."""

    def __init__(self, worker: Callable[[socket.socket], int | None]) -> None:
        """Fork the nursery process. `worker` is what each forked worker runs, given its end of the channel.

        To be called before this process starts threads.
        """
        ours, theirs = pair()
        parent = os.getpid()
        self.pid = fork()
        if not self.pid:
            ours.close()
            run_and_exit(lambda: _nurse(theirs, parent, worker))
        theirs.close()
        self._channel: Channel[Exited | Spawned] = Channel(ours, Exited | Spawned)

    def spawn(self, session: str, channel: socket.socket) -> bool:
        """Have a worker forked that gets `channel`, which is closed here. False if the nursery is gone."""
        try:
            return self._channel.send(Spawn(session), channel.fileno())
        finally:
            channel.close()

    def kill(self, session: str, signum: int = signal.SIGTERM) -> None:
        """Send a signal to a session's worker; nothing happens when it has ended already."""
        self._channel.send(Kill(session, int(signum)))

    def next_event(self, timeout: float | None = None) -> Exited | Spawned | None:
        """What happened next to a worker; None when the nursery has ended. Raises `TimeoutError`."""
        event = self._channel.receive(timeout)
        return None if event is None else event[0]

    def close(self, patience: float = 5.0) -> None:
        """End the nursery: it stops all workers first, gently, and after `patience` seconds by force."""
        self._channel.close()
        if not await_exit(self.pid, patience):
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
            await_exit(self.pid, 1.0)


class _Nurse:
    """The loop of the nursery process."""

    def __init__(self, sock: socket.socket, worker: Callable[[socket.socket], int | None]) -> None:
        self.socket = sock
        self.channel: Channel[Spawn | Kill] = Channel(sock, Spawn | Kill)
        self.worker = worker
        self.pids: dict[int, str] = {}
        self.wake_out, self.wake_in = os.pipe()
        os.set_blocking(self.wake_in, False)
        os.set_blocking(self.wake_out, False)
        self.stopping = False

    def run(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        signal.set_wakeup_fd(self.wake_in, warn_on_full_buffer=False)
        poller = select.poll()
        poller.register(self.channel, select.POLLIN)
        poller.register(self.wake_out, select.POLLIN)
        while not self.stopping:
            for descriptor, _ in poller.poll():
                if descriptor == self.wake_out:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.wake_out, 4096)
                    self._reap()
                else:
                    self._serve()
        self._stop_workers()

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _serve(self) -> None:
        received = self.channel.receive()
        if received is None:
            self.stopping = True
            return
        request, sock = received
        if isinstance(request, Kill):
            self._kill(request)
        elif sock is not None:
            self._fork(request.session, sock)

    def _kill(self, request: Kill) -> None:
        # Only processes that were not reaped yet are listed, so a number cannot mean another process by now.
        for pid, session in self.pids.items():
            if session == request.session:
                os.kill(pid, request.signum)

    def _fork(self, session: str, sock: socket.socket) -> None:
        parent = os.getpid()
        pid = fork()
        if pid:
            self.pids[pid] = session
            sock.close()
            self.channel.send(Spawned(session, pid))
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        os.close(self.wake_in)
        os.close(self.wake_out)
        self.socket.close()
        die_with_parent(parent)
        run_and_exit(lambda: self.worker(sock))

    def _reap(self) -> None:
        while self.pids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self.channel.send(Exited(self.pids.pop(pid), pid, status))

    def _stop_workers(self) -> None:
        for signum, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 1.0)):
            for pid in self.pids:
                os.kill(pid, signum)
            for pid in list(self.pids):
                if await_exit(pid, patience):
                    del self.pids[pid]


def _nurse(sock: socket.socket, parent: int, worker: Callable[[socket.socket], int | None]) -> None:
    die_with_parent(parent)
    forbid_core_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node hears it too, and ends us in order
    warm()
    _Nurse(sock, worker).run()
