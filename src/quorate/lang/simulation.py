"""All parties of a computation in this process, on one thread: for trying things out, since one process sees all data.

Shares may be kept from run to run, as parties do that have nodes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from quorate.crypto.entropy import SeededEntropyForTests, SystemEntropy
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.private import SEED_BYTES
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.lang.execute import KEEP, STORED, Results, execute
from quorate.lang.operations.base import Range
from quorate.lang.passes import Facts, optimise
from quorate.lang.plan import Plan
from quorate.protocols.base import Protocol
from quorate.protocols.registry import default_threshold, make, protocol_class
from quorate.sharing.share import Share

__all__ = ["Simulated", "Simulation"]

Key = tuple[str, str]
Raw = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Simulated:
    """What a run gave: opened outputs, kept shares of every party, and what it cost each of them."""

    values: dict[str, npt.NDArray[np.generic]] = field(repr=False)
    kept: dict[str, list[Share]] = field(repr=False)
    rounds: list[int]
    bytes_sent: list[int]


@dataclass
class Simulation:
    """Parties (and a dealer, where the protocol may have one) to run plans with.

    Attributes:
        protocol: its name.
        parties: how many; by default as many as are usual.
        threshold: how many of them may pool what they see.
        seed: for the same run again; without it randomness is the system's.

    Inputs are dealt out to the parties in turn.
    """

    protocol: str
    parties: int | None = None
    threshold: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        cls = protocol_class(self.protocol)
        self.count = cls.usual_parties if self.parties is None else self.parties
        if self.threshold is None:
            self.threshold = default_threshold(self.protocol, self.count)
        self.dealer = self.count if cls.dealer_allowed else None
        self.size = self.count + (self.dealer is not None)
        self.names = tuple(f"party {k}" for k in range(self.size))
        self.runs = 0
        for me in range(self.size):  # refuses impossible numbers of parties
            self._counting(me)

    def _counting(self, me: int) -> Protocol:
        session = Session(me, self.count, self.names, self.dealer, counting=True)
        return make(self.protocol, session, self.threshold)

    def run(
        self,
        plan: Plan,
        raw: Mapping[Key, Raw],
        bounds: Mapping[Key, Range],
        *,
        held: Mapping[Key, Sequence[Share]] | None = None,
        kept: Sequence[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> Simulated:
        """Run a bound plan; every party learns all outputs but those that are `kept` as shares.

        Args:
            raw: columns that parties share, int64.
            bounds: (input, column) -> smallest and largest raw value.
            held: columns that the parties hold already: the share of each.
        """
        held = held or {}
        columns = dict(raw)
        owners = self._owners(columns, held)
        rows = {key[0]: len(values) for key, values in reversed(columns.items())}
        rows |= {key[0]: shares[0].shape[0] for key, shares in held.items()}
        everybody = [self._counting(me) for me in range(self.size)]
        plan = optimise(plan, Facts(everybody, bounds, rows, owners))
        outputs: dict[str, tuple[int, ...] | str] = {
            name: KEEP if name in kept else tuple(range(self.count)) for name in plan.outputs
        }
        self.runs += 1
        begin = partial(self._program, plan, columns, dict(bounds), owners, held, outputs)
        parties = simulate([begin(me, progress if me == 0 else None) for me in range(self.size)])
        results: list[Results] = [party.result for party in parties]
        return Simulated(
            results[0].values,
            {name: [result.kept[name] for result in results[: self.count]] for name in kept},
            [party.rounds for party in parties],
            [sum(party.sent.values()) for party in parties],
        )

    def _owners(self, raw: Mapping[Key, Raw], held: Mapping[Key, Sequence[Share]]) -> dict[str, int | str]:
        order = list(dict.fromkeys(name for name, _ in raw))
        owners: dict[str, int | str] = {name: k % self.count for k, name in enumerate(order)}
        return owners | {name: STORED for name, _ in held}

    def _program(
        self,
        plan: Plan,
        raw: Mapping[Key, Raw],
        bounds: dict[Key, Range],
        owners: Mapping[str, int | str],
        held: Mapping[Key, Sequence[Share]],
        outputs: Mapping[str, tuple[int, ...] | str],
        me: int,
        progress: Callable[[int, int], None] | None,
    ) -> Step[Results]:
        fresh = SystemEntropy() if self.seed is None else SeededEntropyForTests(self.seed, f"{self.runs} {me}")
        session = Session(me, self.count, self.names, self.dealer, seed=fresh.bytes(SEED_BYTES))
        at = Scope.root()
        protocol = make(self.protocol, session, self.threshold)
        yield from protocol.setup(at.child("setup"))
        return (
            yield from execute(
                plan,
                protocol,
                at.child("plan"),
                inputs={key: values for key, values in raw.items() if owners[key[0]] == me},
                owners=owners,
                outputs=outputs,
                bounds=bounds,
                stored={key: shares[me] for key, shares in held.items()} if me < self.count else {},
                progress=progress,
            )
        )
