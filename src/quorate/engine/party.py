"""A party as a pure state machine: it turns arrived messages into messages to send, and does no I/O.

A conductor (simulation, mesh of sockets, message queue) drives it:

    while not party.done:
        party.advance()                      # run one ready task
        ... take messages from party.outbox and carry them to their peers ...
        ... hand arriving bodies to party.slot()/filled(), or to party.deliver() ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Set
from typing import Any, NamedTuple

from quorate.engine.exchange import Buffers, Checkpoint, Exchange, Fork, Join, Spawn, Step, size_of
from quorate.engine.names import Name
from quorate.engine.quorum import Gathering, Quorum
from quorate.errors import InternalError, PeerError

__all__ = ["Message", "Party"]

EARLY_LIMIT = 1 << 30
"""Bytes a single peer may be ahead of us before it is taken for misbehaving."""


EARLY_OVERHEAD = 256
"""Bytes that keeping an early message costs beside its body: without them, tiny messages would hold far more memory."""


class Message(NamedTuple):
    """A message to be carried to `peer`: the concatenated bytes of `buffers`, `size` bytes in all."""

    peer: int
    name: Name
    buffers: Buffers
    size: int


class _Task:
    __slots__ = ("depth", "fork", "gathering", "missing", "position", "step", "value")

    def __init__(self, step: Step[Any], depth: int, fork: _Forked | None, position: int) -> None:
        self.step = step
        self.depth = depth
        self.fork = fork
        self.position = position
        self.missing = 0
        self.gathering: Gathering | None = None
        self.value: Any = None


class _Forked:
    """A fork under way: what is still to start, the results so far, and the task that waits for them, if any does."""

    __slots__ = ("depth", "owner", "queue", "results", "running", "start")

    def __init__(self, owner: _Task | None, start: int, steps: Iterator[tuple[int, Step[Any]]], count: int) -> None:
        self.owner = owner
        self.queue = steps
        self.results: list[Any] = [None] * count
        self.running = 0
        self.start = self.depth = start


class Party:
    """Runs one program (a step) for one party of a session.

    Attributes:
        outbox: messages to carry, oldest first; the conductor takes them from the left.
        sent: bytes sent per peer so far, message bodies only.
        messages: number of messages sent.
        done: whether the program has returned.
        result: what it returned.
    """

    def __init__(self, program: Step[Any]) -> None:
        self.outbox: deque[Message] = deque()
        self.sent: dict[int, int] = {}
        self.received: dict[int, int] = {}
        self.messages = 0
        self.done = False
        self.result: Any = None
        self._root = _Task(program, 0, None, 0)
        self._ready: deque[_Task] = deque([self._root])
        self._held: list[tuple[_Task, Checkpoint]] = []
        self._check: _Task | None = None
        self._served = 0
        self._expected: dict[tuple[int, Name], tuple[_Task, Buffers, int]] = {}
        self._surplus: dict[tuple[int, Name], int] = {}
        self._early: dict[tuple[int, Name], bytes] = {}
        self._early_bytes: dict[int, int] = {}
        self._seen: dict[tuple[int, int], int] = {}

    @property
    def rounds(self) -> int:
        """Rounds so far on the longest chain of dependent exchanges."""
        return self._root.depth

    @property
    def ready(self) -> bool:
        """Whether `advance` has work to do without any further message."""
        return bool(self._ready) or (bool(self._held) and self._at_rest())

    def waiting(self) -> list[tuple[int, Name]]:
        """(peer, name) of the messages without which nothing goes on, in the order they were asked for.

        Where some of several messages are enough, those that would be of use.
        """
        return [
            key
            for key, (task, _, _) in self._expected.items()
            if task.gathering is None or task.gathering.waits_for(key[0])
        ]

    def lacking(self, silent: Set[int]) -> bool:
        """Whether nothing goes on any more without a message of one of these peers."""
        if self.ready or not self._expected:
            return False
        lacks: dict[_Task, bool] = {}
        for (peer, _), (task, _, _) in self._expected.items():
            if task.gathering is not None:
                lacks[task] = task.gathering.lacks(silent)
            else:
                lacks[task] = lacks.get(task, False) or peer in silent
        return all(lacks.values())

    def advance(self) -> bool:
        """Run one ready task up to its next exchange; False if none is ready."""
        if not self._ready and not (self._held and self._at_rest()):
            return False
        if not self._ready:
            self._serve()
        task = self._ready.popleft()
        value, task.value = task.value, None
        try:
            request = task.step.send(value)
        except StopIteration as stop:
            self._finish(task, stop.value)
            return True
        if isinstance(request, Exchange):
            self._exchange(task, request)
        elif isinstance(request, Fork):
            self._fork(task, request)
        elif isinstance(request, Join):
            self._join(task, request)
        elif isinstance(request, Checkpoint):
            self._held.append((task, request))
        else:
            raise InternalError(f"a step yielded {type(request).__name__} instead of an Exchange or a Fork")
        return True

    def slot(self, peer: int, name: Name, size: int) -> Buffers | None:
        """Where the body of an arriving message belongs; None if it is early or comes too late (then use `deliver`).

        Call `filled` once all buffers are written.

        Raises:
            PeerError: the message has another length than agreed, or arrived before.
        """
        expected = self._expected.get((peer, name))
        if expected is None:
            return None
        if expected[2] != size:
            raise PeerError(f"peer {peer} sent {size} bytes where {expected[2]} were agreed")
        return expected[1]

    def filled(self, peer: int, name: Name) -> None:
        """The slot for (peer, name) has been written completely."""
        expected = self._expected.pop((peer, name), None)
        if expected is None:  # others were enough while it was written
            self._note(peer, name, self._surplus.pop((peer, name)))
            return
        task, _, size = expected
        self._note(peer, name, size)
        if task.gathering is not None:
            task.gathering.arrived.add(peer)
            self._try_quorum(task, task.gathering)
            return
        task.missing -= 1
        if not task.missing:
            self._go_on(task)

    def too_late(self, peer: int, name: Name, size: int) -> bool:
        """Whether others had been enough without this message, which has arrived now. It counts as received.

        Raises:
            PeerError: the message has another length than agreed.
        """
        agreed = self._surplus.get((peer, name))
        if agreed is None:
            return False
        if agreed != size:
            raise PeerError(f"peer {peer} sent {size} bytes where {agreed} were agreed")
        del self._surplus[peer, name]
        self._note(peer, name, size)
        return True

    def _go_on(self, task: _Task) -> None:
        if task.fork is None:  # the main line: forks keep the core busy while it waits, and must not hold it up
            self._ready.appendleft(task)
        else:
            self._ready.append(task)

    def deliver(self, peer: int, name: Name, body: bytes | memoryview) -> None:
        """Take a whole message body, whether it is awaited already or early.

        Raises:
            PeerError: wrong length, a repeated name, or too far ahead.
        """
        buffers = self.slot(peer, name, len(body))
        if buffers is not None:
            _scatter(memoryview(body), buffers)
            self.filled(peer, name)
            return
        if self.too_late(peer, name, len(body)):
            return
        if (peer, name) in self._early or self._seen.get((peer, name[0]), 0) >= name[1]:
            raise PeerError(f"peer {peer} sent a second message under a name that it had used")
        if not body:
            raise PeerError(f"peer {peer} sent an empty message; nothing is sent where nothing is to be said")
        self._early_bytes[peer] = self.check_early(peer, len(body))
        self._early[peer, name] = bytes(body)

    def check_early(self, peer: int, size: int) -> int:
        """Bytes held for `peer` if an early message of `size` comes in addition. Raises `PeerError` if too many."""
        held = self._early_bytes.get(peer, 0) + size + EARLY_OVERHEAD
        if held > EARLY_LIMIT:
            raise PeerError(f"peer {peer} sent more than {EARLY_LIMIT >> 20} MiB that nobody asked for yet")
        return held

    def leftovers(self) -> list[tuple[int, Name]]:
        """Messages that arrived and were never asked for; not empty at the end means that a peer broke the protocol."""
        return list(self._early)

    def _note(self, peer: int, name: Name, size: int) -> None:
        self._seen[peer, name[0]] = name[1]
        self.received[peer] = self.received.get(peer, 0) + size

    def _exchange(self, task: _Task, request: Exchange) -> None:
        name = request.name
        task.depth += 1
        for peer, buffers in request.sends.items():
            size = size_of(buffers)
            if size:
                self.outbox.append(Message(peer, name, buffers, size))
                self.sent[peer] = self.sent.get(peer, 0) + size
                self.messages += 1
        if request.quorums is not None:
            self._gather(task, request, request.quorums)
            return
        for peer, buffers in request.receives.items():
            size = size_of(buffers)
            if size and not self._take_early(peer, name, buffers, size):
                self._expected[peer, name] = (task, buffers, size)
                task.missing += 1
        if not task.missing:
            self._ready.append(task)

    def _gather(self, task: _Task, request: Exchange, quorums: tuple[Quorum, ...]) -> None:
        """An exchange that is complete without some of its messages."""
        gathering = task.gathering = Gathering(request.name, request.receives, quorums)
        for peer, buffers in request.receives.items():
            size = size_of(buffers)
            if size and self._take_early(peer, request.name, buffers, size):
                gathering.arrived.add(peer)
            elif size:
                self._expected[peer, request.name] = (task, buffers, size)
        self._try_quorum(task, gathering)

    def _try_quorum(self, task: _Task, gathering: Gathering) -> None:
        """Go on if enough is here; what has not arrived is dropped when it does."""
        if not gathering.complete():
            return
        for peer in gathering.peers:
            late = self._expected.pop((peer, gathering.name), None)
            if late is not None:
                self._surplus[peer, gathering.name] = late[2]
        task.gathering, task.value = None, frozenset(gathering.arrived)
        self._go_on(task)

    def _take_early(self, peer: int, name: Name, buffers: Buffers, size: int) -> bool:
        body = self._early.pop((peer, name), None)
        if body is None:
            return False
        if len(body) != size:
            raise PeerError(f"peer {peer} sent {len(body)} bytes where {size} were agreed")
        _scatter(memoryview(body), buffers)
        self._early_bytes[peer] -= size + EARLY_OVERHEAD
        self._note(peer, name, size)
        return True

    def _fork(self, task: _Task, request: Fork) -> None:
        waits = not isinstance(request, Spawn)
        steps = enumerate(request.steps)
        forked = _Forked(task if waits else None, task.depth, steps, len(request.steps))
        if not waits:
            self._resume(task, forked)
        for _ in range(request.width):
            if not self._start_next(forked):
                break
        if waits and not forked.running:
            self._resume(task, forked.results)

    def _resume(self, task: _Task, value: Any) -> None:
        task.value = value
        self._ready.append(task)

    def _join(self, task: _Task, request: Join) -> None:
        forked = request.branch
        if not isinstance(forked, _Forked) or forked.owner is not None:
            raise InternalError("a step can join only a branch that it spawned, and once")
        forked.owner = task
        if not forked.running:
            self._end(forked)

    def _start_next(self, forked: _Forked) -> bool:
        entry = next(forked.queue, None)
        if entry is None:
            return False
        forked.running += 1
        self._ready.append(_Task(entry[1], forked.start, forked, entry[0]))
        return True

    def _at_rest(self) -> bool:
        """Whether nothing goes on but what is held at checkpoints."""
        return not self._ready and not self._expected and self._check is None

    def _serve(self) -> None:
        """Start what held tasks of the lowest rank wait for. It takes place after all held tasks."""
        chosen = min((request for _, request in self._held), key=lambda request: request.rank)
        depth = max(task.depth for task, _ in self._held)
        self._check = _Task(chosen.serve(), depth, None, 0)
        self._served = chosen.rank
        self._ready.append(self._check)

    def _release(self, check: _Task) -> None:
        waiting, self._held, self._check = self._held, [], None
        for task, request in waiting:
            if request.rank == self._served:
                task.depth = check.depth
                self._ready.append(task)
            else:
                self._held.append((task, request))

    def _finish(self, task: _Task, value: Any) -> None:
        if task is self._check:
            self._release(task)
            return
        forked = task.fork
        if forked is None:
            self.done, self.result = True, value
            return
        forked.results[task.position] = value
        forked.depth = max(forked.depth, task.depth)
        forked.running -= 1
        self._start_next(forked)
        if not forked.running:
            self._end(forked)

    def _end(self, forked: _Forked) -> None:
        """All steps of a fork are done: its owner, if it waits already, goes on."""
        owner = forked.owner
        if owner is not None:
            owner.depth = max(owner.depth, forked.depth)
            self._resume(owner, forked.results)


def _scatter(body: memoryview, buffers: Buffers) -> None:
    start = 0
    for array in buffers:
        if array.nbytes:
            array.data.cast("B")[:] = body[start : start + array.nbytes]
        start += array.nbytes
