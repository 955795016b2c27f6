"""A worker's connection to its node: what it is told to do, and what it says."""

from __future__ import annotations

import time

import msgspec

from quorate.coordination.federation import Federation
from quorate.errors import EnvironmentFault, PeerTimeout
from quorate.node.channel import Channel
from quorate.node.messages import Failure, Finished, Prepare, Produce, Progress

__all__ = [
    "Assignment",
    "Desk",
    "FromWorker",
    "Go",
    "Making",
    "Pause",
    "Ready",
    "Suspended",
    "Task",
    "ToWorker",
]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=str.lower):
    pass


class Assignment(_Message, frozen=True):
    """The first message to a worker: where its node finds what, and the request to prepare.

    With it comes the socket through which the node hands over connections (`transport.listener.take_over`).

    Attributes:
        federation: as the node loaded it.
        member: whose node this is.
        key: path of its private key.
        specs: folder of approved specs and plans.
        home: folder for results and kept shares.
        data: input -> path.
        prepare: what the coordinator asked for.
        fence: folder of fences, see `quorate.node.tuples` and `quorate.durable.fence`; by default that of the user.
        coordinator: who asked.
        resumed: the session was prepared by an earlier process, whose work is taken up again.
        visit: seconds without news after which a session that goes through queues is left, to be taken up later.
        insecure_session_seed_for_tests: in place of fresh randomness.
    """

    federation: Federation
    member: str
    key: str
    specs: str
    home: str
    data: dict[str, str]
    prepare: Prepare
    fence: str | None = None
    coordinator: str = ""
    resumed: bool = False
    visit: float | None = None
    insecure_session_seed_for_tests: str = ""

    @property
    def session(self) -> str:
        """The session's id."""
        return self.prepare.session


class Making(_Message, frozen=True):
    """The same for a session that makes tuples; fields as in `Assignment`."""

    federation: Federation
    member: str
    key: str
    home: str
    produce: Produce
    fence: str | None = None

    @property
    def session(self) -> str:
        """The session's id."""
        return self.produce.session


class Go(_Message, frozen=True):
    """The session starts."""


class Pause(_Message, frozen=True):
    """A session with data is about to begin: stop making tuples soon."""


class Suspended(_Message, frozen=True):
    """Nothing more can be done before something arrives; the session is to be taken up again then."""


class Ready(_Message, frozen=True):
    """Everything is checked; who takes part in what, and for a rehearsal the rows of every input.

    `lasting`: the session survives its worker. `started`: it was started before, and goes on by itself.
    """

    spec_name: str
    spec_digest: str
    spec: str
    participants: tuple[str, ...]
    rehearsal: dict[str, int] | None = None
    lasting: bool = False
    started: bool = False


Task = Assignment | Making
ToWorker = Assignment | Making | Go | Pause
FromWorker = Ready | Progress | Finished | Failure | Suspended


class Desk:
    """A worker's end of its channel, after the first message.

    Attributes:
        paused: the node has asked to stop making tuples.
    """

    def __init__(self, channel: Channel[Assignment | Making | Go | Pause]) -> None:
        self._channel = channel
        self.paused = False

    def send(self, message: Ready | Progress | Finished | Failure | Suspended) -> None:
        """Tell the node."""
        self._channel.send(message)

    def tell_progress(self, done: int, total: int) -> None:
        """Tell the node how far we are."""
        self.send(Progress(done=done, total=total))

    def await_start(self, patience: float) -> None:
        """Return once the session starts.

        Raises:
            PeerTimeout: nobody started it within `patience` seconds.
            EnvironmentFault: the node ended.
        """
        deadline = time.monotonic() + patience
        try:
            while not isinstance(self._next(deadline - time.monotonic()), Go):
                pass
        except TimeoutError:
            raise PeerTimeout(
                f"the coordinator prepared the session and did not start it within {patience:g} s; run it again"
            ) from None

    def check(self) -> None:
        """Take in what the node has said meanwhile. Raises `EnvironmentFault` when it has ended."""
        while self._channel.ready(0):
            self._next(0)

    def _next(self, timeout: float | None) -> Assignment | Making | Go | Pause:
        received = self._channel.receive(timeout)
        if received is None:
            raise EnvironmentFault("the node ended during the session; start it again, and the session anew")
        self.paused |= isinstance(received[0], Pause)
        return received[0]
