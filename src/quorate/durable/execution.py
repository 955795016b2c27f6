"""The party of a durable session: its messages are logged, after a restart it runs again on those that had come.

Whatever it makes then is compared with the digest of what it made before. A checkpoint ends what has to run again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from quorate.durable import history, records
from quorate.durable.history import History
from quorate.durable.peer import body_digest
from quorate.durable.records import Buffer, Entry
from quorate.durable.state import State
from quorate.engine.names import Name
from quorate.engine.party import Message, Party
from quorate.errors import InternalError

__all__ = ["Execution", "Schedule"]

Schedule = Callable[[Literal["in", "out"], int, Name, int, bool], None]
"""Hears of a message: direction, peer, name, size, and whether it is taken or made again after a restart."""

_VOLUME = 1 << 20
"""Bytes of messages after which we stop computing to send them."""


class Execution:
    """See the module.

    Attributes:
        party: the state machine of the program, after `begin`.
        notes, replayed, done_at: see `quorate.durable.core.Core`.
    """

    def __init__(self, state: State, schedule: Schedule | None) -> None:
        self.party: Party
        self.notes: dict[str, bytes] = {}
        self.replayed = 0
        self.done_at = 0.0
        self._state, self._schedule = state, schedule
        self._again = False
        self._delivered: dict[tuple[int, Name], None] = {}
        self._setup: frozenset[tuple[int, Name]] = frozenset()
        self._saved: tuple[list[Buffer], frozenset[tuple[int, Name]], dict[int, int]] | None = None

    # ---- the party goes on

    def remember(self, past: History) -> None:
        """Before the program is made: what it asks for may have been noted, and it may have ended, in the past."""
        self.notes, self.done_at = past.notes, past.done

    def begin(self, party: Party, past: History) -> None:
        """Run the party on the messages that an earlier process had received.

        Raises:
            InternalError: it does not make the messages that it made then.
            QuorateError: the program fails.
        """
        self.party = party
        self._again = True
        for entry, body in past.pending:
            self._state.peers[entry.peer].post(entry, [np.frombuffer(body, np.uint8)], again=True)
        for entry, body in past.arrived:
            self.advance()
            self.deliver(entry, body)
            self.replayed += 1
        self.advance()
        self._again = False

    @property
    def busy(self) -> bool:
        """Whether `advance` has more to do at once."""
        return self._state.phase == "running" and self.party.ready and not self._congested()

    def _congested(self) -> bool:
        return any(peer.unacked_bytes > self._state.limits.unacked for peer in self._state.peers.values())

    def advance(self) -> None:
        """Let the party go on for a while, unless peers leave too much unacknowledged; when it goes on after a restart,
        as far as it can. Raises as `begin`."""
        if not self._again and self._congested():
            return
        party, volume = self.party, 0
        while party.ready and (self._again or volume < _VOLUME):
            party.advance()
            while party.outbox:
                message = party.outbox.popleft()
                volume += message.size
                self._made(message)
        if party.done and self._state.phase == "running":
            self._done()

    def _done(self) -> None:
        state = self._state
        state.phase = "done"
        if not self.done_at:
            self.done_at = state.now
            state.log.append(records.DONE, struct.pack("<d", state.now))
        for peer in state.peers.values():
            peer.say = True

    def _made(self, message: Message) -> None:
        peer = self._state.peers.get(message.peer)
        if peer is None:
            raise InternalError(f"the program sends to participant {message.peer}, to whom there is no channel")
        if self._schedule is not None:
            self._schedule("out", message.peer, message.name, message.size, self._again)
        digest = body_digest(message.buffers)
        before = peer.made.get(message.name)
        if before is None:
            peer.sent += 1
            entry = peer.made[message.name] = Entry(peer.index, peer.sent, message.name, message.size, digest)
            self._state.log.append(records.SENT, entry.pack())
            peer.post(entry, message.buffers, again=False)
        elif (before.digest, before.size) != (digest, message.size):
            raise InternalError(
                f"what we computed at {self._state.scope.describe(message.name)} is not what we had computed before we "
                "were interrupted; nothing was sent: were software or data exchanged meanwhile?"
            )
        elif before.seq not in peer.unacked:
            peer.post(before, message.buffers, again=True)

    def deliver(self, entry: Entry, body: bytes) -> None:
        """Give a message to the party. Raises `PeerError` if it expects another."""
        if self._schedule is not None:
            self._schedule("in", entry.peer, entry.name, entry.size, self._again)
        self._delivered[entry.peer, entry.name] = None
        self.party.deliver(entry.peer, entry.name, body)

    # ---- what the program leaves with us

    def note(self, label: str, make: Callable[[], bytes]) -> bytes:
        """See `quorate.durable.core.Core.note`."""
        if label not in self.notes:
            content = make()
            self._state.log.append(records.NOTE, label.encode(), b"\0", content)
            self._state.log.commit()
            self.notes[label] = content
        return self.notes[label]

    def setup_over(self) -> None:
        """See `quorate.durable.core.Core.setup_over`."""
        self._setup = frozenset(self._consumed())

    def checkpoint(self, saved: Sequence[Buffer]) -> None:
        """See `quorate.durable.core.Core.checkpoint`."""
        tails = {peer.index: peer.sent for peer in self._state.peers.values()}
        self._saved = (list(saved), frozenset(self._consumed()) - self._setup, tails)

    def _consumed(self) -> set[tuple[int, Name]]:
        return set(self._delivered) - set(self.party.leftovers())

    def write_checkpoint(self) -> None:
        """Replace what led to the last checkpoint by it, if there is a new one; right after a commit."""
        if self._saved is None:
            return
        saved, superfluous, tails = self._saved
        self._saved = None
        pending: list[tuple[Entry, list[Buffer]]] = [
            (out.entry, [out.content()])
            for peer in self._state.peers.values()
            for seq, out in sorted(peer.unacked.items())
            if seq <= tails[peer.index]
        ]
        log = self._state.log
        log.rewrite(history.thinned(log, superfluous, saved, pending))
