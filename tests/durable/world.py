"""Several cores in one thread, with logs in memory: for tests of the state machine alone."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from quorate.durable import parcel as form
from quorate.durable.core import Core
from quorate.durable.facts import Limits, Membership
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.protocols.registry import make

SESSION = "0123456789abcdef" * 2


class MemoryLog:
    """A log that forgets what was not committed when its process is killed."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, bytes]] = []
        self.fresh: list[tuple[int, bytes]] = []

    def append(self, kind: int, *parts: bytes | bytearray | memoryview) -> None:
        self.fresh.append((kind, b"".join(parts)))

    def commit(self) -> None:
        self.kept += self.fresh
        self.fresh = []

    def records(self) -> Iterator[tuple[int, bytes]]:
        return iter(list(self.kept))

    def rewrite(self, records: Iterable[tuple[int, list[Any]]]) -> None:
        self.kept = [(kind, b"".join(parts)) for kind, parts in records]


class Certificate:
    """Enough of a certificate."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.key.public_key()

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


def program_of(protocol: str, me: int, parties: int, seed: bytes, at: Scope) -> Step[Any]:
    """Inputs of all parties, products and comparisons of them, and the results."""
    names = tuple(f"party{index}" for index in range(parties))
    session = Session(me, parties, names, seed=seed, ident=SESSION.encode())
    p = make(protocol, session, 1 if protocol.startswith("shamir") else None)
    yield from p.setup(at.child("setup"))
    shares = []
    for owner in range(parties):
        values = np.arange(5, dtype=np.int64) * (owner + 2) - 3 if me == owner else None
        shares.append((yield from p.input(at.child(f"input {owner}"), owner, (5,), values)))
    total = shares[0]
    for index, share in enumerate(shares[1:]):
        total = yield from p.mul(at.child(f"product {index}"), total, share)
    bits = yield from p.summands(at.child("bits"), total)
    result = yield from p.reveal(at.child("reveal"), total, range(parties))
    few = yield from p.reveal_bits(at.child("few"), bits[0], range(parties))
    return (result, few is not None)


class World:
    """Participants that can be killed; `carry` moves parcels until nothing moves any more."""

    def __init__(self, protocol: str = "rep3", parties: int = 3, make: Callable[..., Step[Any]] = program_of) -> None:
        self.protocol, self.parties, self.make = protocol, parties, make
        self.certificates = [Certificate() for _ in range(parties)]
        self.logs = [MemoryLog() for _ in range(parties)]
        self.incarnations = [0] * parties
        self.cores: list[Core | None] = [None] * parties
        self.queues: list[deque[tuple[str, bytes]]] = [deque() for _ in range(parties)]
        self.wire: dict[tuple[int, str], bytes] = {}
        self.now = 1000.0

    def start(self, me: int, limits: Limits | None = None) -> Core:
        """Start or restart a participant."""
        self.incarnations[me] += 1
        others = tuple(index for index in range(self.parties) if index != me)
        seat = Membership(
            session=SESSION,
            spec="5" * 64,
            me=me,
            names=tuple(f"party{index}" for index in range(self.parties)),
            peers=others,
            certificates={index: self.certificates[index] for index in others},  # type: ignore[misc]
            signer=self.certificates[me],
            incarnation=self.incarnations[me],
        )
        root = Scope.root()
        core = Core(
            seat,
            lambda seed, _: self.make(self.protocol, me, self.parties, seed, root),
            self.logs[me],
            limits or Limits(silence=30.0, deadline=self.now + 300),
            scope=root,
            seed=hashlib.sha256(bytes([me])).digest(),
        )
        core.begin(self.now)
        self.cores[me] = core
        return core

    def kill(self, me: int) -> None:
        """As kill -9: what was not committed is gone."""
        self.cores[me] = None
        self.logs[me].fresh = []

    def turn(self, me: int, most: int = 1000) -> bool:
        """Let a participant do what it can; whether anything was sent or taken."""
        core = self.cores[me]
        if core is None:
            return False
        moved = False
        for _ in range(min(most, len(self.queues[me]))):
            _, body = self.queues[me].popleft()
            core.take(body, None, self.now)
            moved = True
        core.run(self.now)
        core.commit()
        for peer, parcel in core.outgoing():
            ident = form.unpack(parcel.body).ident()
            known = self.wire.setdefault((peer, ident), parcel.body)
            assert known == parcel.body, f"two contents for {ident}"
            self.queues[peer].append(parcel)
            moved = True
        core.settled()
        return moved or core.busy

    def carry(self, rounds: int = 2000) -> None:
        """Until nobody moves."""
        for _ in range(rounds):
            moved = [self.turn(me) for me in range(self.parties)]
            if not any(moved):
                self.now += 0.3
                if all(core is None or core.state in ("closed", "failed") for core in self.cores):
                    return
        raise AssertionError("no end")
