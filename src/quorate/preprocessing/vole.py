"""Vector oblivious linear evaluation (VOLE) between two parties, against malicious ones: m = k + u delta.

The sender holds delta and gets k, the receiver gets random u, and m. Over p = 2^61 - 1, and modulo 2^128 with delta
below 2^64. Two ways lead there, and these classes take the faster one for the network of the session:
`quorate.preprocessing.softspoken_vole` sends 120 or 240 bytes per element, `quorate.preprocessing.silent_vole` 0.4, but
makes a million at a time, and starts with 11 or 22 MB of the other kind.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.preprocessing.silent import DEPTH, OUTPUTS, TREES
from quorate.preprocessing.silent_vole import SilentFieldVole, SilentRingVole, SilentVole
from quorate.preprocessing.softspoken_field import SoftSpokenFieldVole
from quorate.preprocessing.softspoken_ring import SoftSpokenRingVole
from quorate.preprocessing.softspoken_vole import SoftSpokenVole, VoleBatch
from quorate.preprocessing.thrift import Thrift

__all__ = ["FieldVole", "RingVole", "VoleBatch"]

Array = npt.NDArray[Any]
_SILENT_BYTES = TREES * (DEPTH * 36 + 16)


class _Vole:
    """VOLE of one ordered pair: every participant makes the object and runs all of its steps.

    What is left over from silent iterations is kept, so steps of one object must not run side by side.

    Args:
        session: of this participant.
        sender: index of the party that holds delta.
        receiver: index of the party that gets u and m.
        delta: the sender's, as an integer or array of one uint64; drawn by `setup` if None. Ignored elsewhere.
        silent: whether to use silent VOLE; None for whichever is faster for the session's network.
    """

    _soft_kind: ClassVar[type[SoftSpokenVole]]
    _silent_kind: ClassVar[type[SilentVole]]
    _soft_bytes: ClassVar[int]
    _soft_ns: ClassVar[int]
    _silent_ns: ClassVar[int]

    def __init__(
        self, session: Session, sender: int, receiver: int, delta: Any = None, *, silent: bool | None = None
    ) -> None:
        self._network = session.network
        self._soft = self._soft_kind(session, sender, receiver, delta)
        self._silent = self._silent_kind(session, self._soft)
        self._always = silent
        self._thrift = Thrift()

    @property
    def delta(self) -> Array:
        """(1,) uint64 at the sender, a ghost elsewhere."""
        return self._soft.delta

    def setup(self, at: Scope) -> Step[None]:
        """Base OTs, once; 2 rounds.

        Raises:
            IntegrityError: the other one cheated.
        """
        yield from self._soft.setup(at)

    def extend(self, at: Scope, count: int) -> Step[VoleBatch]:
        """`count` elements. Rounds: 3, or 9 per silent iteration, 5 more for the first, none for what is left over.

        Raises:
            IntegrityError: the other one cheated.
        """
        silent = self._better(count) if self._always is None else self._always
        return (yield from (self._silent if silent else self._soft).extend(at, count))

    def _better(self, count: int) -> bool:
        """Whether to use silent VOLE, by the model of the session's network, the same at all participants."""
        seeds = self._silent.seeds
        once = self._network.nanoseconds(9, _SILENT_BYTES) + self._silent_ns * OUTPUTS
        start = 0 if self._silent.started else self._plain(seeds, 5)
        iterations = self._silent.iterations(count)
        return self._thrift.buys(iterations, start, once, self._plain(OUTPUTS - seeds, 3), self._plain(count, 3))

    def _plain(self, count: int, rounds: int) -> int:
        return self._network.nanoseconds(rounds, self._soft_bytes * count) + self._soft_ns * count


class FieldVole(_Vole):
    """Over p = 2^61 - 1; arrays of a batch are uint64 (count,), canonical."""

    _soft_kind, _silent_kind = SoftSpokenFieldVole, SilentFieldVole
    _soft_bytes, _soft_ns, _silent_ns = 120, 350, 70  # measured: the slower role, one core


class RingVole(_Vole):
    """Modulo 2^128; arrays of a batch are uint64 (count, 2), rows (low, high)."""

    _soft_kind, _silent_kind = SoftSpokenRingVole, SilentRingVole
    _soft_bytes, _soft_ns, _silent_ns = 240, 600, 130
