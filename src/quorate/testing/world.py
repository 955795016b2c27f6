"""All participants of a session in one process, for tests: printed seed, interceptors, exact counts.

world = World("rep3", seed=7)
outcome = world.run(lambda p, at: program(p, at))
outcome.values, outcome.rounds, outcome.sent
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from quorate.crypto.entropy import SeededEntropyForTests, SystemEntropy
from quorate.engine.count import count
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.network import LAN, Network
from quorate.engine.party import Party
from quorate.engine.private import SEED_BYTES
from quorate.engine.session import Session
from quorate.engine.simulate import Interceptor, play, simulate
from quorate.errors import InternalError, QuorateError
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make, protocol_class

__all__ = ["CONFIGURATIONS", "MALICIOUS", "Outcome", "Program", "World"]

Program = Callable[[Protocol, Scope], Step[Any]]

CONFIGURATIONS: tuple[tuple[str, int, int], ...] = (
    ("clear", 1, 0),
    ("clear", 3, 0),
    ("rep3", 3, 1),
    ("shamir", 3, 1),
    ("shamir", 5, 2),
    ("shamir", 4, 1),
    ("shamir_quorum", 3, 1),
    ("shamir_quorum", 5, 1),
    ("semi2k", 2, 1),
    ("semi2k", 3, 2),
)
"""(protocol, parties, threshold) that every circuit and operation is tested with."""

MALICIOUS: tuple[tuple[str, int, int], ...] = (
    ("rep3_malicious", 3, 1),
    ("shamir_malicious", 3, 1),
    ("spdz2k", 2, 1),
    ("spdz", 2, 1),
)
"""The same against parties that cheat; they take longer."""


@dataclass
class Outcome:
    """What happened in a run: the results, rounds, bytes sent per peer and messages of every participant."""

    values: list[Any]
    rounds: list[int]
    sent: list[dict[int, int]]
    messages: list[int]
    parties: list[Party] = field(repr=False)

    @property
    def bytes_sent(self) -> list[int]:
        """Bytes that every participant sent, message bodies only."""
        return [sum(sent.values()) for sent in self.sent]


class World:
    """A protocol among simulated participants: parties, then the dealer if the protocol has one, then outsiders.

    `network` is what circuits take it for when they weigh rounds against bytes; nothing is delayed. Protocols that can
    use a dealer have one unless `dealer` is False; with their own preprocessing small tests would take much longer.
    """

    def __init__(
        self,
        protocol: str,
        parties: int | None = None,
        threshold: int | None = None,
        *,
        outsiders: int = 0,
        seed: int | None = None,
        intercept: Interceptor | None = None,
        network: Network = LAN,
        dealer: bool | None = None,
        security: int = 40,
    ) -> None:
        cls = protocol_class(protocol)
        self.protocol = protocol
        self.parties = cls.usual_parties if parties is None else parties
        self.threshold = threshold
        self.dealer = self.parties if (cls.dealer_allowed if dealer is None else dealer) else None
        self.security = security
        self.size = self.parties + (self.dealer is not None) + outsiders
        self.seed = int.from_bytes(SystemEntropy().bytes(4), "big") if seed is None else seed
        self.intercept = intercept
        self.network = network

    def programs(self, program: Program) -> list[Step[Any]]:
        """What every participant runs, set-up included: to be driven by whoever asks; the same seeds every time."""
        return [self._program(program, self._root(me, counting=False)) for me in range(self.size)]

    def run(self, program: Program) -> Outcome:
        """Run the program at every participant, with real values.

        Errors carry a note with the seed, so that the run can be repeated.
        """
        try:
            parties = simulate(self.programs(program), self.intercept)
        except Exception as error:
            error.add_note(f"simulation of {self.protocol} with {self.parties} parties, seed {self.seed}")
            raise
        for party in parties:
            if party.leftovers():
                raise InternalError(f"messages were sent that nobody asked for: {party.leftovers()}")
        return _outcome(parties)

    def play(self, program: Program, intercept: Interceptor | None = None) -> list[Any | QuorateError]:
        """What every participant's program returns, or the error that ended it: for runs in which somebody cheats."""
        ends = play(self.programs(program), intercept or self.intercept)
        return [end if isinstance(end, QuorateError) else end.result for end in ends]

    def count(self, program: Program) -> Outcome:
        """Predict the cost of `run` by going through the program without values."""
        return _outcome([count(self._program(program, self._root(me, counting=True))) for me in range(self.size)])

    def _root(self, me: int, *, counting: bool) -> Session:
        names = tuple(f"participant {index}" for index in range(self.size))
        seed = SeededEntropyForTests(self.seed, f"{self.protocol} {me}").bytes(SEED_BYTES)
        ident = f"world {self.seed}".encode()
        facts = {"ident": ident, "security": self.security}
        return Session(me, self.parties, names, self.dealer, counting, seed, self.network, **facts)  # type: ignore[arg-type]

    def _program(self, program: Program, session: Session) -> Step[Any]:
        at = Scope.root()
        protocol = make(self.protocol, session, self.threshold)
        yield from protocol.setup(at.child("setup"))
        return (yield from program(protocol, at.child("program")))


def _outcome(parties: Sequence[Party]) -> Outcome:
    return Outcome(
        [party.result for party in parties],
        [party.rounds for party in parties],
        [dict(sorted(party.sent.items())) for party in parties],
        [party.messages for party in parties],
        list(parties),
    )
