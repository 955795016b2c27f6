"""Data owners as processes of this machine, each forked from a process that has already loaded everything."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from quorate.errors import EnvironmentFault, PeerTimeout
from quorate.node.approval import Approved
from quorate.node.identity import Identity
from quorate.node.messages import Failure, Report
from quorate.node.participant import Participant
from quorate.node.process import await_exit, die_with_parent, fork, run_and_exit
from quorate.node.results import as_json

__all__ = ["Learned", "Owner", "owners"]

_LONGEST = 1 << 20
_READY_SECONDS = 60.0


class Learned(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """What an owner has at the end: opened results and what it measured."""

    results: dict[str, Any]
    report: Report


class _Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    rows: int


_DECODER: msgspec.json.Decoder[Learned | _Ready | Failure] = msgspec.json.Decoder(Learned | _Ready | Failure)


@dataclass
class Owner:
    """A data owner's process: it checks its file, waits for the session, takes part, and says what it learned."""

    name: str
    pid: int
    _pipe: int

    def ready(self) -> int:
        """Wait until its data is checked; the number of rows. Raises its error if the data does not fit."""
        said = self._hear(_READY_SECONDS)
        if not isinstance(said, _Ready):
            raise EnvironmentFault(f"the process of {self.name} did not say that it is ready; run it again")
        return said.rows

    def learned(self, patience: float) -> Learned:
        """Wait for the end of the session. Raises the error that ended it."""
        said = self._hear(patience)
        if not isinstance(said, Learned):
            raise EnvironmentFault(f"the process of {self.name} did not say what it learned; run it again")
        return said

    def stop(self) -> None:
        """End the process, if it has not ended by itself."""
        if not await_exit(self.pid, 0.0):
            os.kill(self.pid, signal.SIGKILL)
            await_exit(self.pid, 1.0)
        os.close(self._pipe)

    def _hear(self, patience: float) -> Learned | _Ready | Failure:
        """The next line that the process says."""
        line, deadline = b"", time.monotonic() + patience
        while not line.endswith(b"\n"):
            if not select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise PeerTimeout(f"the process of {self.name} said nothing for {patience:g} s; run it again")
            part = os.read(self._pipe, 1 << 16)
            if not part or len(line) > _LONGEST:
                raise EnvironmentFault(f"the process of {self.name} ended before its part was done; run it again")
            line += part
        said = _DECODER.decode(line)
        if isinstance(said, Failure):
            raise said.error(self.name)
        return said


@contextmanager
def owners(approved: Approved, identities: Mapping[str, Identity], data: Mapping[str, str]) -> Iterator[list[Owner]]:
    """Run a process per owner until the block is left.

    Args:
        approved: the spec and plan that all of them hold.
        identities: owner -> its identity.
        data: input -> path.
    """
    started: list[Owner] = []
    try:
        for name, identity in identities.items():
            started.append(_start(name, identity, approved, data))
        yield started
    finally:
        for owner in started:
            owner.stop()


def _start(name: str, identity: Identity, approved: Approved, data: Mapping[str, str]) -> Owner:
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = fork()
    if not pid:
        os.close(reading)
        die_with_parent(parent, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the starting process ends us
        run_and_exit(lambda: _take_part(writing, identity, approved, data))
    os.close(writing)
    return Owner(name, pid, reading)


def _take_part(pipe: int, identity: Identity, approved: Approved, data: Mapping[str, str]) -> int:
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - errors are said through the pipe
    try:
        participant = Participant.ready(identity, approved, data)
        _say(pipe, _Ready(rows=sum(item.rows for item in participant.inputs.values())))
        outcome, report = participant.join(approved.spec.timeouts.join)
        _say(pipe, Learned(results=as_json(outcome.values), report=report))
    except Exception as problem:
        _say(pipe, Failure.of(problem))
        return 1
    return 0


def _say(pipe: int, what: msgspec.Struct) -> None:
    line = msgspec.json.encode(what) + b"\n"
    while line:
        line = line[os.write(pipe, line) :]
