"""What a durable session is told at its beginning, and what it can prove at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from quorate.durable.keys import Signer
from quorate.errors import EnvironmentFault

__all__ = ["Evidence", "Limits", "Membership", "Signed", "Spent"]


class Spent(EnvironmentFault):
    """What a session needs is gone for good at this machine: it can never go on here."""


@dataclass(frozen=True)
class Membership:
    """The fixed facts of a participant's place in a durable session.

    Attributes:
        session: 32 hexadecimal digits.
        spec: digest of spec and plan, which every HELLO names.
        me: our index. names: of all participants. peers: the indices that we exchange messages with.
        certificates: of the peers. signer: the key of ours.
        incarnation: which process of ours this is, counted from 1; see `quorate.durable.fence`.
    """

    session: str
    spec: str
    me: int
    names: tuple[str, ...]
    peers: tuple[int, ...]
    certificates: Mapping[int, x509.Certificate] = field(repr=False)
    signer: Signer = field(repr=False)
    incarnation: int = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait and how much to hold.

    Attributes:
        silence: seconds without a sign of a peer that we wait for, after which the session fails.
        deadline: Unix time at which it fails in any case.
        nudge: seconds of silence after which a peer that we wait for is asked for what is missing.
        alive: seconds between signs of life to all peers; None: none are given.
        mindful: seconds after which a peer hears what we have of it; sooner after `acknowledge` bytes.
        unacked: bytes that a peer may leave unacknowledged before we stop computing.
    """

    silence: float
    deadline: float
    nudge: float = 5.0
    alive: float | None = 1.0
    mindful: float = 0.2
    acknowledge: int = 8 << 20
    unacked: int = 1 << 29


@dataclass(frozen=True, slots=True)
class Signed:
    """What a participant has signed with its key for the session: header of a message, digest of its ciphertext."""

    header: bytes
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two messages that a peer has signed for one position.

    `hello` holds the peer's keys for the session, signed by its certificate's: with that certificate anybody can check.
    """

    peer: int
    hello: bytes
    first: Signed
    second: Signed
