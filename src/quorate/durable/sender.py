"""The sending half of the channels: HELLOs, sealed and signed messages, statuses, the last word of a failed session.

Only what is durable leaves: messages wait in `Peer.to_send` for `commit`, and lie in `Peer.ready` after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from quorate.durable import parcel, records
from quorate.durable.parcel import FAIL, HELLO, STATUS, Header, Status
from quorate.durable.peer import Peer
from quorate.durable.state import State
from quorate.errors import InternalError
from quorate.transport.carrier import Parcel

__all__ = ["Sender"]

_MEETING = 10.0
"""Seconds that a process that goes on waits for peers to say how they stand, before it says anything new."""


class Sender:
    """See the module.

    Attributes:
        farewell: what peers hear of a session that has failed.
    """

    def __init__(self, state: State, waiting: Callable[[int], int]) -> None:
        self.farewell = b""
        self._state, self._waiting = state, waiting
        self._counter = 0

    def commit(self) -> None:
        """Everything is durable now: it may leave, and peers may hear that we have what they sent."""
        for peer in self._state.peers.values():
            peer.settled = peer.received
            peer.ready += peer.to_send
            peer.to_send = []

    def repeat(self, peer: Peer) -> None:
        """A peer lacks something, or may: everything that it has not acknowledged goes again."""
        peer.greet = peer.say = True
        if not self._waiting(peer.index):  # else what is on its way first; a peer that still lacks something asks again
            peer.resend()

    def outgoing(self) -> Iterator[tuple[int, Parcel]]:
        """The parcels to carry now, by receiver, oldest first."""
        state = self._state
        for peer in state.peers.values():
            if peer.greet:
                peer.greet = False
                yield peer.index, parcel.parcel(self._header(peer, HELLO), state.hello)
            channel = peer.channel
            if channel is None:
                continue
            if state.phase != "failed" and not self._hesitates():
                ready, peer.ready = peer.ready, []
                for seq in ready:
                    if seq in peer.unacked:
                        for made in peer.sealed(seq, state.keys, channel, state.session, state.seat.incarnation):
                            yield peer.index, made
            if peer.say:
                yield peer.index, self._said(peer)

    def _hesitates(self) -> bool:
        """Whether peers might still tell us that our journal is an old one."""
        state = self._state
        if state.seat.incarnation == 1 or state.limits.alive is None or state.now > state.began + _MEETING:
            return False
        return not all(peer.met for peer in state.peers.values() if peer.channel is not None)

    def _said(self, peer: Peer) -> Parcel:
        want, peer.want, peer.say, peer.unsaid = peer.want, False, False, 0
        if self._state.phase == "failed":
            return self._sealed_control(peer, FAIL, self.farewell)
        status = Status(peer.settled, peer.sent, want, self._state.phase in ("done", "closed"))
        return self._sealed_control(peer, STATUS, status.pack())

    def _sealed_control(self, peer: Peer, kind: int, body: bytes) -> Parcel:
        if peer.channel is None:
            raise InternalError("a control message before the keys were exchanged")
        self._counter += 1
        name = (0, self._state.seat.incarnation)
        header = self._header(peer, kind)._replace(seq=self._counter, name=name, size=len(body))
        return parcel.parcel(header, peer.channel.seal_control(parcel.pack(header), body))

    def _header(self, peer: Peer, kind: int) -> Header:
        return Header(kind, self._state.seat.me, peer.index, self._state.session)

    def handed_over(self) -> None:
        """Brokers keep all that has left so far: after a restart it need not be sent again without being asked for."""
        for peer in self._state.peers.values():
            upto = min(peer.to_send + peer.ready, default=peer.sent + 1) - 1
            if upto > peer.confirmed and peer.channel is not None:
                peer.confirmed = upto
                place = peer.index.to_bytes(2, "little")
                self._state.log.append(records.CONFIRMED, place, upto.to_bytes(8, "little"))
