"""Correlated oblivious transfer between two parties, against malicious ones: t = q ^ (bit * delta), 128 bits.

The sender holds delta and gets q, the receiver gets random bits and t. Two ways lead there, and `Cot` takes the faster
one for the network of the session: `quorate.preprocessing.softspoken` computes little and sends 3.9 bytes per OT,
`quorate.preprocessing.silent` computes some three times as much, for a million OTs at a time, and sends 0.4 bytes.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.preprocessing.silent import DEPTH, OUTPUTS, TREES, SilentCot
from quorate.preprocessing.softspoken import CotBatch, SoftSpokenCot, bytes_sent
from quorate.preprocessing.thrift import Thrift

__all__ = ["Cot", "CotBatch"]

Array = npt.NDArray[Any]
_SOFT_NS, _SILENT_NS = 20, 65  # measured per OT: the slower role, one core
_SILENT_BYTES = TREES * (DEPTH * 32 + 16)


class Cot:
    """Correlated OTs of one ordered pair: every participant makes the object and runs all of its steps.

    What is left over from silent iterations is kept, so steps of one object must not run side by side.

    Args:
        session: of this participant.
        sender: index of the party that holds delta.
        receiver: index of the party that gets the bits.
        delta: (2,) uint64 at the sender; drawn by `setup` if None.
        checked: without it both are trusted to follow the protocol, which saves rounds.
        silent: whether to use silent OTs; None for whichever is faster for the session's network.
    """

    def __init__(
        self,
        session: Session,
        sender: int,
        receiver: int,
        delta: Array | None = None,
        *,
        checked: bool = True,
        silent: bool | None = None,
    ) -> None:
        self._network = session.network
        self._soft = SoftSpokenCot(session, sender, receiver, delta, checked=checked)
        self._silent = SilentCot(session, self._soft)
        self._always = silent
        self._thrift = Thrift()

    @property
    def delta(self) -> Array:
        """(2,) uint64 at the sender, a ghost elsewhere."""
        return self._soft.delta

    def setup(self, at: Scope) -> Step[None]:
        """Base OTs, once; 2 rounds.

        Raises:
            IntegrityError: the other one cheated.
        """
        yield from self._soft.setup(at)

    def extend(self, at: Scope, count: int) -> Step[CotBatch]:
        """`count` OTs. Rounds: 3, or 6 per silent iteration and none for what is left over; unchecked 1 or 2.

        Raises:
            IntegrityError: the other one cheated.
        """
        silent = self._better(count) if self._always is None else self._always
        return (yield from (self._silent if silent else self._soft).extend(at, count))

    def _better(self, count: int) -> bool:
        """Whether to use silent OTs, by the model of the session's network, the same at all participants."""
        seeds, rounds = self._silent.seeds, 6 if self._soft.checked else 2
        once = self._network.nanoseconds(rounds, _SILENT_BYTES) + _SILENT_NS * OUTPUTS
        start = 0 if self._silent.started else self._plain(seeds)
        iterations = self._silent.iterations(count)
        return self._thrift.buys(iterations, start, once, self._plain(OUTPUTS - seeds), self._plain(count))

    def _plain(self, count: int) -> int:
        rounds = 3 if self._soft.checked else 1
        return self._network.nanoseconds(rounds, bytes_sent(count)) + _SOFT_NS * count
