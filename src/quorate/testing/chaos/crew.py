"""The processes of a run: one for every participant, killed with all that they started, and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import EnvironmentFault

__all__ = ["Crew", "Hand", "python", "surroundings"]

_STOP_SECONDS = 8.0


@dataclass
class Hand:
    """One participant: how it is started, and the process that runs.

    Attributes:
        name: of the member.
        command: what is run, in a session (and so a process group) of its own.
        log: where its output goes.
        serves: it runs until it is stopped (a node); otherwise it is at its end when it leaves with exit code 0.
        starts: Unix times.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    serves: bool
    starts: list[float] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    over: bool = False

    def start(self) -> None:
        """Start it, or start it again."""
        self.starts.append(time.time())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9, with everything that it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def workers(self) -> list[int]:
        """Processes that it started and that have started none themselves; Linux only."""
        if self.process is None:
            return []
        family: dict[int, int] = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ValueError):
                fields = entry.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.process.pid and fields[0] != "Z":
                    family[int(entry.parent.name)] = int(fields[1])
        return sorted(pid for pid in family if pid not in family.values() and pid != self.process.pid)

    def kill_worker(self, pid: int) -> None:
        """kill -9 one of `workers`, which the others survive."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def check(self) -> None:
        """Notice the end of the process. Raises `EnvironmentFault` if it was none that should have been."""
        if self.process is None or self.process.poll() is None:
            return
        code, self.process = self.process.returncode, None
        if self.serves or code:
            raise EnvironmentFault(f"{self.name} ended by itself with exit code {code}: {self.last_words()}")
        self.over = True

    def last_words(self) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace").strip()
        return text[-600:] or "it said nothing"


class Crew:
    """All hands; use it in a `with`, which ends what still runs."""

    def __init__(self, hands: Sequence[Hand]) -> None:
        self.hands = list(hands)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Gently, after a while by force."""
        for hand in self.hands:
            if hand.alive and hand.process is not None:
                hand.process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for hand in self.hands:
            if hand.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    hand.process.wait(max(0.0, deadline - time.monotonic()))
            hand.kill()


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", module, *arguments]


def surroundings(state: Path) -> dict[str, str]:
    """Environment of a process whose user state (fences, for one) lies in `state`."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "XDG_STATE_HOME": str(state)}
