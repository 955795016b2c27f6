"""A simulated process of one participant: it takes, computes, commits and sends, and can be killed at every point."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from quorate.testing.faults.disk import Image, SimulatedDisk
from quorate.testing.faults.plan import FullDisk, Kill
from quorate.transport.carrier import Parcel

__all__ = ["Core", "Killed", "Life"]


class Core(Protocol):
    """What is under test: one participant of a durable session, without clock, threads or sockets.

    Attributes:
        state: "running", "done" (it has its result, others may need it), "closed" (nobody needs it) or "failed".
        result: what the program returned, once done.
        failure: why it failed; text.
        busy: whether it has more to do at once.
        wakeup: when it wants to run although nothing has arrived, in virtual seconds; None: never.
    """

    @property
    def state(self) -> str: ...

    @property
    def result(self) -> Any: ...

    @property
    def failure(self) -> str: ...

    @property
    def busy(self) -> bool: ...

    @property
    def wakeup(self) -> float | None: ...

    def begin(self, now: float) -> None:
        """Read what is stored, and greet."""

    def take(self, data: bytes, token: object, now: float) -> None:
        """A parcel has arrived; `token` comes back from `receipts` once it is safe."""

    def run(self, now: float) -> None:
        """Go on as far as possible."""

    def commit(self) -> None:
        """Make durable what was done. Only then is anything said about it. Raises `EnvironmentFault`, `OSError`."""

    def outgoing(self) -> Sequence[tuple[int, Parcel]]:
        """What is to be sent, (receiver, parcel); each is returned once."""

    def receipts(self) -> Sequence[object]:
        """Tokens of parcels that need not be delivered again; each is returned once."""

    def refusals(self) -> Sequence[tuple[object, str]]:
        """Tokens of parcels that are of no use, and why; each is returned once."""

    def handed_over(self) -> None:
        """Everything that `outgoing` gave is with the broker now."""

    def connected(self, peer: int) -> None:
        """There is a new connection to a peer; what was under way on the old one is lost."""


class Killed(BaseException):
    """The simulated process ends here; no `except Exception` may catch it, as none catches a kill."""


class Life:
    """The points that a participant's processes live through, counted over all of them, and what is to happen there.

    Attributes:
        lived: points so far.
        labels: what happened at the last of them.
        syncing: the points at which something was about to become durable.
        born_again: everything it knew was put back, fences too; it may begin anew, and others have to notice.
        stale: the storage was put back to what it was before the participant said something that others have heard.
    """

    def __init__(
        self,
        kills: Sequence[Kill],
        full: Sequence[FullDisk],
        said: Callable[[], int],
        covered: Callable[[Path], bool],
    ) -> None:
        """`said` counts what others have heard; `covered` tells which files a backup holds."""
        self.lived = 0
        self.stale = self.born_again = False
        self._said, self._covered = said, covered
        self.labels: deque[str] = deque(maxlen=30)
        self.disk = SimulatedDisk(self.point)
        self.filled: FullDisk | None = None
        self._kills = deque(kills)
        self._full = deque(sorted(full, key=lambda fault: fault.point))
        self._wanted = sorted({kill.backup for kill in kills if kill.backup is not None})
        self.syncing: list[int] = []
        self._backups: dict[int, tuple[Image, int]] = {}

    def point(self, label: str) -> None:
        """The process may end here. Raises `Killed` if the plan says so."""
        here, self.lived = self.lived, self.lived + 1
        self.labels.append(label)
        if label.startswith("synchronise"):
            self.syncing.append(here)
        if here in self._wanted:
            self._backups[here] = self.disk.backup(), self._said()
        if self._full and self._full[0].point <= here:
            self.filled = self._full.popleft()
            self.disk.room = self.filled.room
        if self._kills and self._kills[0].point <= here:
            raise Killed

    def buried(self) -> Kill:
        """The kill that has just happened; what it does to the disk is done."""
        kill = self._kills.popleft()
        self.disk.fail(kill)
        if kill.backup is not None and kill.backup in self._backups:
            image, said = self._backups[kill.backup]
            # A fence is not synchronised with every commit, so with the power its last marks are gone too.
            fenced = not kill.power
            self.stale |= fenced and said != self._said() and self._data(image) != self._data(self.disk.backup())
            self.born_again |= kill.everything
            self.disk.restore(image, lambda path: kill.everything or self._covered(path))
        return kill

    def _data(self, image: Image) -> Image:
        return {path: content for path, content in image.items() if self._covered(path)}

    @property
    def to_come(self) -> int:
        """Kills that have not happened."""
        return len(self._kills)
