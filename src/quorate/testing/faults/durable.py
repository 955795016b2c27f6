"""The durable core as it is used, in the laboratory: journal, fence, keys and certificates on a simulated disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from quorate.crypto.hashing import digest_parts
from quorate.durable.core import Core
from quorate.durable.facts import Limits, Membership
from quorate.durable.fence import Fence
from quorate.durable.journal import Journal, exists
from quorate.durable.keys import NONCE, Hello
from quorate.durable.parcel import DATA, HEADER_SIZE, HELLO, unpack
from quorate.engine.names import Scope
from quorate.testing.faults.ledger import Sighting
from quorate.testing.faults.network import Link
from quorate.testing.faults.programs import ProtocolProgram
from quorate.testing.faults.rig import Place
from quorate.transport.carrier import Parcel

__all__ = ["DATA_FOLDER", "DurableCore", "DurableRig"]

SESSION = "0123456789abcdef" * 2
DATA_FOLDER = Path("data")
_FENCE_FOLDER = Path("fence")
_NODE_KEY = bytes(range(32))


class _Certificate:
    """The part of a certificate that is used here, and its key; signatures are reproducible."""

    def __init__(self, index: int) -> None:
        self._key = ec.derive_private_key(1000 + index, ec.SECP256R1())

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


class FencedJournal:
    """A journal and its fence as one log; see `quorate.durable.records.Log`."""

    def __init__(self, place: Place, member: str) -> None:
        path = DATA_FOLDER / f"{SESSION}.journal"
        if exists(path, place.disk):
            self._journal = Journal.open(path, _NODE_KEY, storage=place.disk)
        else:
            self._journal = Journal.create(path, _NODE_KEY, member.encode(), storage=place.disk)
        self._fence = Fence(SESSION, member, _FENCE_FOLDER, storage=place.disk)
        self.incarnation = self._fence.enter(self._journal.commits)
        self.append = self._journal.append
        self.records = self._journal.records

    def commit(self) -> None:
        """Durable, and no older copy will do any more."""
        self._journal.commit()
        self._fence.advance(self._journal.commits)

    def rewrite(self, records: Any) -> None:
        """As above."""
        self._journal.rewrite(records)
        self._fence.advance(self._journal.commits)


class DurableCore(Core):
    """The core, as the laboratory asks for it; its result comes with the digest of all messages."""

    @property
    def result(self) -> Any:
        """(what the program returned, transcript)."""
        return self.party.result, self.transcript()

    @property
    def failure(self) -> str:
        """Why the session failed."""
        return f"{type(self.problem).__name__}: {self.problem}" if self.problem else ""

    def receipts(self) -> Sequence[object]:
        """Tokens of parcels that are safe."""
        return self.settled()

    def connected(self, peer: int) -> None:
        """What was under way on an old connection is lost."""
        self.lost(peer)

    def refusals(self) -> Sequence[tuple[object, str]]:
        """Tokens of parcels of no use."""
        return self.refused()


class DurableRig:
    """Participants of a durable session that run `program`.

    Args:
        program: what they run.
        limits: of the core; virtual seconds.
        fixed_seeds: participants have the same seeds in every run, and make the same messages. If not, every process
            has another seed at hand, and it matters that the first one is kept.
    """

    def __init__(self, program: ProtocolProgram, limits: Limits | None = None, *, fixed_seeds: bool = True) -> None:
        self.size = program.size
        self.program = program
        self.corrupt: frozenset[int] = frozenset()
        self.limits = limits or Limits(silence=300.0, deadline=1e6)
        self.fixed_seeds = fixed_seeds
        self.certificates = [_Certificate(index) for index in range(self.size)]
        self.core: Callable[..., DurableCore] = DurableCore
        self.cores: dict[int, DurableCore] = {}
        self._keys: dict[int, bytes] = {}

    def start(self, participant: int, place: Place) -> DurableCore:
        """A process opens journal and fence, and makes a core of them."""
        names = tuple(f"participant {index}" for index in range(self.size))
        log = FencedJournal(place, f"p{participant}")
        others = tuple(index for index in range(self.size) if index != participant)
        certificates: Any = {index: self.certificates[index] for index in others}
        seat = Membership(
            SESSION, "5" * 64, participant, names, others, certificates, self.certificates[participant], log.incarnation
        )
        fixed = digest_parts([participant.to_bytes(4, "big")], "quorate/laboratory/1")
        seed = fixed if self.fixed_seeds else place.fresh.bytes(32)
        root = Scope.root()
        core: DurableCore = self.core(
            seat,
            lambda drawn, restored: self.program(participant, drawn, place, root, core, restored),
            log,
            self.limits,
            scope=root,
            seed=seed,
        )
        self.cores[participant] = core
        return core

    def sightings(self, link: Link, parcel: Parcel) -> Iterator[Sighting]:
        """Positions, names and nonces that a parcel takes; all but the first HELLO are sealed."""
        header = unpack(parcel.body)
        if header.kind == HELLO:
            said = msgspec.msgpack.decode(parcel.body[HEADER_SIZE:], type=Hello)  # signatures of the same may differ
            self._keys[link.sender] = said.exchange
            yield Sighting("greeting", link, said.statement())
        keys = self._keys[link.sender]  # everybody greets before it says anything
        if header.kind == DATA:
            yield Sighting("message", (*link, keys, header.seq, header.piece), parcel.body)
            yield Sighting("name", (*link, keys, header.name), header.seq.to_bytes(8, "big"))
        if header.kind != HELLO:
            nonce = parcel.body[HEADER_SIZE : HEADER_SIZE + NONCE]
            yield Sighting("nonce", (*link, keys, header.kind == DATA, nonce), parcel.body)

    def covered(self, path: Path) -> bool:
        """The journal; fences are kept elsewhere, and may lag behind."""
        return path.parent == DATA_FOLDER

    def equal(self, one: Any, other: Any) -> bool:
        """Results and transcripts; these differ where seeds do."""
        same = repr(one[0]) == repr(other[0]) if one and other else one == other
        return same and (not self.fixed_seeds or one[1] == other[1])
