"""What the parts of a durable core share: its place, its log, its channels, and how far the session has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from quorate.durable.facts import Limits, Membership
from quorate.durable.keys import Hello, Keys, read_hello
from quorate.durable.peer import Peer
from quorate.durable.records import Log
from quorate.engine.names import Scope

__all__ = ["Phase", "State"]

Phase = Literal["running", "done", "closed", "failed"]


@dataclass
class State:
    """See the module.

    Attributes:
        scope: the root of the program's names, for messages to people.
        phase: see `quorate.durable.core.Core.state`.
        session: its id, 16 bytes.
        peers: by index. keys, hello: ours, once the core has begun.
        began: when this process began; now: the time that it was last told. Unix times.
    """

    seat: Membership
    limits: Limits
    scope: Scope
    log: Log
    session: bytes = field(init=False)
    phase: Phase = "running"
    peers: dict[int, Peer] = field(default_factory=dict)
    keys: Keys = field(init=False, repr=False)
    hello: bytes = b""
    began: float = 0.0
    now: float = 0.0

    def __post_init__(self) -> None:
        self.session = bytes.fromhex(self.seat.session)

    def read_hello(self, peer: Peer, hello: bytes) -> Hello:
        """What a peer's HELLO says. Raises `PeerError` if it is not its own, or for something else."""
        seat = self.seat
        return read_hello(hello, seat.session, seat.spec, peer.index, seat.certificates[peer.index], peer.name)

    def open_channel(self, peer: Peer) -> None:
        """Derive the keys that we share with a peer, if its HELLO is here."""
        if peer.hello is not None:
            own = self.keys.stated(self.seat.spec)
            peer.channel = self.keys.channel(own, self.read_hello(peer, peer.hello))
