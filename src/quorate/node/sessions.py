"""The node's table of sessions: one worker process each, what it reports, and who may hear of it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import msgspec

from quorate.errors import EnvironmentFault, IdentityError, UserError
from quorate.node.channel import Channel, pair
from quorate.node.desk import Assignment, FromWorker, Go, Making, Pause, Ready, Suspended, Task
from quorate.node.messages import Await, Event, Failure, Finished, Progress
from quorate.node.nursery import Exited, Nursery
from quorate.node.process import status_text
from quorate.transport.listener import hand_over

__all__ = ["Entry", "Sessions"]

log = logging.getLogger(__name__)

MOST_ALIVE = 64
"""Sessions at a node at the same time, at most."""
_REMEMBERED = 256
_STATUS_SECONDS = 3.0
_KILL_SECONDS = 10.0
_MOST_RESTARTS = 100
"""Workers that are started for one lasting session without any progress, at most."""
Worker = Channel[Ready | Progress | Finished | Failure | Suspended]


class Entry:
    """One session at this node.

    Attributes:
        coordinator: who prepared it, and alone may start and cancel it.
        makes_tuples: it makes tuples for a stock, and gives way to sessions with data.
        ready: what the worker found, once it is prepared.
        started: the coordinator has started it.
        end: how it ended, or None.
        told: members that were told of this session by `Await`.
        task: what the worker was given.
        leaving: its worker has said that nothing can be done until something arrives, and is about to end.
        suspended: the same, and the worker is gone: it can be taken up again.
        alive: it has a worker, or is getting one.
        restarts: how often a worker was started again since it last said something.
    """

    def __init__(self, task: Task, coordinator: str, channel: Worker, doorway: socket.socket) -> None:
        self.session = task.session
        self.task = task
        self.leaving = self.suspended = False
        self.alive = True
        self.restarts = self.furthest = 0
        self.coordinator = coordinator
        self.makes_tuples = isinstance(task, Making)
        self.ready: Ready | None = None
        self.started = False
        self.end: Finished | Failure | None = None
        self.told: set[str] = set()
        self.progress: Progress | None = None
        self.cancelled = False
        self.status: int | None = None
        self._doorway = doorway
        self._closing = threading.Lock()
        self._channel = channel

    def welcome(self, connection: socket.socket) -> None:
        """Hand a connection that a participant opened over to the worker; does not wait."""
        with self._closing:  # a descriptor that is closed meanwhile could be another file already
            hand_over(self._doorway, connection)

    def rewire(self, channel: Worker, doorway: socket.socket) -> None:
        """Another worker takes the session up."""
        with self._closing:
            self._channel, self._doorway = channel, doorway
        self.status, self.alive = None, True
        self.leaving = self.suspended = False

    def close(self) -> None:
        """Close what leads to the worker, once it has ended."""
        with self._closing:
            self._doorway.close()
            self._channel.close()

    @property
    def lasting(self) -> bool:
        """Whether the session survives its worker, as far as is known yet."""
        return self.ready is not None and self.ready.lasting

    def concerns(self, member: str) -> bool:
        """Whether `member` takes part."""
        return self.ready is not None and member in self.ready.participants


class Sessions:
    """All sessions since the node started. Thread-safe; waiting happens on one condition."""

    def __init__(
        self,
        nursery: Nursery,
        on_open: Callable[[Entry], None],
        on_end: Callable[[Entry], None],
        recall: Callable[[str], Finished | Failure | None] = lambda _: None,
        give_up: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_open` is called before anything happens in a session, `on_end` once its worker is gone.

        `recall` tells how a lasting session ended that this process knows nothing of; `give_up` writes down that one
        was cancelled.
        """
        self._nursery = nursery
        self._on_open, self._on_end, self._recall, self._give_up = on_open, on_end, recall, give_up
        self._entries: dict[str, Entry] = {}
        self._used: set[str] = set()
        self._changed = threading.Condition()
        self.closed = False

    # ---- for the coordinator

    def prepare(self, assignment: Task, caller: str) -> Entry:
        """Start a worker for a new session of the caller and wait until it has checked everything.

        Sessions that make tuples are asked to end soon when one with data comes.

        Raises:
            UserError: the id was used before, or too many sessions run.
            QuorateError: what the worker found wrong.
        """
        session = assignment.session
        inside, outside = pair()
        with inside:
            entry = self._open(assignment, caller, outside)
            log.info("session %s: preparing", session)
            entry._channel.send(assignment, inside.fileno())
        with self._changed:
            self._changed.wait_for(lambda: entry.ready is not None or entry.end is not None)
        if isinstance(entry.end, Failure):
            with self._changed:  # nothing was done under this id, so it may be tried again
                self._used.discard(session)
            raise entry.end.error()
        return entry

    def resume(self, task: Assignment) -> None:
        """Take a lasting session up again that was prepared before; does not wait for its worker."""
        inside, outside = pair()
        with inside:
            outside.setblocking(False)
            with self._changed:
                entry = self._entries.get(task.session)
                if entry is not None and not entry.suspended:
                    outside.close()
                    return
                if entry is not None:
                    entry.suspended = False  # nobody else takes it up
            log.info("session %s: taken up again", task.session)
            if entry is None:
                entry = self._open(task, task.coordinator, outside)
            else:
                self._rewire(entry, outside)
            entry._channel.send(task, inside.fileno())

    def _rewire(self, entry: Entry, doorway: socket.socket) -> None:
        ours, theirs = pair()
        channel: Worker = Channel(ours, FromWorker)
        with self._changed:
            entry.rewire(channel, doorway)
            entry.restarts += 1
        self._on_open(entry)
        if not self._nursery.spawn(entry.session, theirs):
            self._end(entry, Failure.of(EnvironmentFault("the node cannot start processes any more; restart it")))
        threading.Thread(target=self._listen, args=(entry,), name=f"session {entry.session[:8]}", daemon=True).start()

    @property
    def suspended(self) -> list[Entry]:
        """Sessions that wait for something to arrive."""
        with self._changed:
            return [entry for entry in self._entries.values() if entry.suspended]

    @property
    def working(self) -> bool:
        """Whether any worker runs."""
        with self._changed:
            return any(entry.alive for entry in self._entries.values())

    def _open(self, task: Task, caller: str, doorway: socket.socket) -> Entry:
        doorway.setblocking(False)
        session = task.session
        with self._changed:
            if session in self._used or (self._recall(session) is not None and not _resumes(task)):
                doorway.close()
                raise UserError(f"session {session} exists already; every run needs an id of its own")
            if sum(entry.end is None for entry in self._entries.values()) >= MOST_ALIVE:
                doorway.close()
                raise EnvironmentFault(f"{MOST_ALIVE} sessions run at this node; try again when one has ended")
            self._used.add(session)
            ours, theirs = pair()
            channel: Worker = Channel(ours, FromWorker)
            entry = self._entries[session] = Entry(task, caller, channel, doorway)
            self._forget_old()
            if isinstance(task, Assignment):
                self._pause_production()
        self._on_open(entry)
        if not self._nursery.spawn(session, theirs):
            self._end(entry, Failure.of(EnvironmentFault("the node cannot start processes any more; restart it")))
        threading.Thread(target=self._listen, args=(entry,), name=f"session {session[:8]}", daemon=True).start()
        return entry

    def _pause_production(self) -> None:
        for entry in self._entries.values():
            if entry.makes_tuples and entry.end is None:
                entry._channel.send(Pause())

    @property
    def idle(self) -> bool:
        """Whether no session runs or is being prepared, of either kind."""
        with self._changed:
            return self._all_ended()

    def make_room(self, patience: float) -> bool:
        """Have sessions that make tuples end; whether no session runs any more, within `patience` seconds."""
        with self._changed:
            self._pause_production()
            return self._changed.wait_for(self._all_ended, patience)

    def end_production(self, patience: float) -> None:
        """Have sessions that make tuples end in order, so that keys in stock need not be destroyed with them."""
        with self._changed:
            self._pause_production()
            makers = [entry for entry in self._entries.values() if entry.makes_tuples and entry.started]
            self._changed.wait_for(lambda: all(entry.end is not None for entry in makers), patience)

    def _all_ended(self) -> bool:
        return all(entry.end is not None for entry in self._entries.values())

    def prepared_by(self, session: str, caller: str) -> bool:
        """Whether this is a session that was prepared by `caller`."""
        with self._changed:
            entry = self._entries.get(session)
            return entry is not None and entry.coordinator == caller

    def _forget_old(self) -> None:
        ended = [name for name, entry in self._entries.items() if entry.end is not None]
        for name in ended[:-_REMEMBERED]:
            del self._entries[name]

    def start(self, session: str, caller: str) -> None:
        """Let a prepared session begin; the calling member joins it without having to ask."""
        with self._changed:
            entry = self._of(session, caller)
            if entry.ready is None or entry.end is not None:
                raise UserError(f"session {session} is not prepared, or has ended; prepare a new one")
            if not entry.started:
                entry.started = True
                entry.told.add(caller)
                entry._channel.send(Go())
                self._changed.notify_all()
        log.info("session %s: started", session)

    def cancel(self, session: str, caller: str) -> None:
        """End a session, whatever it does; the other participants are told."""
        with self._changed:
            entry = self._of(session, caller)
            if entry.end is not None:
                return
            entry.cancelled = True
        log.info("session %s: cancelled", session)
        if isinstance(entry.task, Assignment) and (entry.task.resumed or (entry.lasting and entry.started)):
            self._give_up(session)  # durably: whichever process runs it finds that, tells the peers, and ends it
            self.resume(msgspec.structs.replace(entry.task, resumed=True))
            return
        self._nursery.kill(session, signal.SIGTERM)
        last = threading.Timer(_KILL_SECONDS, self._nursery.kill, (session, signal.SIGKILL))
        last.daemon = True
        last.start()

    def _of(self, session: str, caller: str) -> Entry:
        entry = self._known(session)
        if entry.coordinator != caller:
            raise IdentityError(
                f"session {session} was prepared by {entry.coordinator}, who alone may start or cancel it"
            )
        return entry

    def _known(self, session: str) -> Entry:
        entry = self._entries.get(session)
        if entry is None:
            raise UserError(f"there is no session {session} at this node; it may have been restarted")
        return entry

    def ended(self, session: str) -> Finished | Failure | None:
        """How a lasting session ended before this process began; None if it did not, or is known here."""
        with self._changed:
            return None if session in self._entries else self._recall(session)

    # ---- for everybody who takes part

    def get(self, session: str) -> Entry:
        """The entry of a session. Raises `UserError` if there is none."""
        with self._changed:
            return self._known(session)

    def watch(self, entry: Entry) -> Iterator[Event]:
        """What happens in a session, from now to its end."""
        seen: Progress | None = None
        while True:
            with self._changed:
                while entry.end is None and entry.progress is seen:
                    self._changed.wait()
                end, seen = entry.end, entry.progress
            if end is not None:
                yield end
                return
            if seen is not None:
                yield seen

    def await_one(self, asked: Await, member: str, patience: float) -> Entry | None:
        """A started session as asked for, in which `member` takes part and of which it has not been told.

        It counts as told if its digest is that of the session's spec.
        """
        deadline = time.monotonic() + patience
        with self._changed:
            while True:
                for entry in self._entries.values():
                    if self._waits_for(entry, asked, member):
                        if entry.ready is not None and entry.ready.spec_digest == asked.spec_digest:
                            entry.told.add(member)
                        return entry
                left = deadline - time.monotonic()
                if left <= 0 or self.closed or not self._changed.wait(left):
                    return None

    @staticmethod
    def _waits_for(entry: Entry, asked: Await, member: str) -> bool:
        ready = entry.ready
        if ready is None or entry.makes_tuples or not entry.started or entry.end is not None:
            return False
        if member in entry.told and not entry.lasting:  # of a lasting one it may have to hear again, after a crash
            return False
        if asked.rehearsal != (ready.rehearsal is not None):
            return False
        return ready.spec_name == asked.spec_name and member in ready.participants

    # ---- what the processes say

    def _listen(self, entry: Entry) -> None:
        """Take in what a worker reports until it ends; runs in a thread of its own."""
        while True:
            received = entry._channel.receive()
            if received is None:
                break
            self._note(entry, received[0])
        with self._changed:
            self._changed.wait_for(lambda: entry.status is not None, _STATUS_SECONDS)
            how = "vanished" if entry.status is None else status_text(entry.status)
            killed = entry.status is None or os.WIFSIGNALED(entry.status)
        if (entry.end is None or killed) and (not entry.leaving or entry.cancelled) and self._restart(entry, how):
            return
        if entry.end is None and not entry.leaving and not (self.closed and entry.lasting):
            text = f"its worker process {how}; the log of the node may say more, and whether its memory suffices"
            self._end(entry, Failure.of(EnvironmentFault(text)))
        self._on_end(entry)
        entry.close()
        with self._changed:
            entry.alive, entry.suspended = False, entry.leaving

    def _restart(self, entry: Entry, how: str) -> bool:
        """A worker died in the middle of a lasting session: let another one go on."""
        task = entry.task
        if isinstance(entry.end, Failure) or self.closed:
            return False
        if not (entry.lasting and entry.started and isinstance(task, Assignment)) or entry.restarts >= _MOST_RESTARTS:
            return False
        log.warning("session %s: its worker %s; another one goes on", entry.session, how)
        self._on_end(entry)
        entry.close()
        time.sleep(min(5.0, 0.05 * 2.0**entry.restarts))
        with self._changed:
            entry.suspended = True
        self.resume(msgspec.structs.replace(task, resumed=True))
        return True

    def _note(self, entry: Entry, message: Ready | Progress | Finished | Failure | Suspended) -> None:
        if isinstance(message, (Finished, Failure)):
            self._end(entry, message)
            return
        with self._changed:
            if isinstance(message, Suspended):
                entry.leaving = True
            elif isinstance(message, Ready):
                entry.ready = message
                entry.started |= message.started
            else:
                entry.progress = message
                if message.done > entry.furthest:  # not what is done again after a restart
                    entry.furthest, entry.restarts = message.done, 0
            self._changed.notify_all()

    def _end(self, entry: Entry, end: Finished | Failure) -> None:
        if entry.cancelled and isinstance(end, Failure):
            end = Failure.of(EnvironmentFault("cancelled by the coordinator"))
        with self._changed:
            entry.end = entry.end or end
            self._changed.notify_all()
        if isinstance(end, Failure):
            log.error("session %s: failed: %s: %s", entry.session, end.code, end.message)
        else:
            log.info("session %s: finished in %.2f s", entry.session, end.report.seconds)

    def exited(self, event: Exited) -> None:
        """The nursery says that a worker has ended."""
        with self._changed:
            entry = self._entries.get(event.session)
            if entry is not None:
                entry.status = event.status
                self._changed.notify_all()
        log.debug("session %s: worker %d %s", event.session, event.pid, status_text(event.status))

    def close(self) -> None:
        """Wake up everybody who waits for a session to come."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()


def _resumes(task: Task) -> bool:
    return isinstance(task, Assignment) and task.resumed
