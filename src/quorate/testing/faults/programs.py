"""Real protocols for the laboratory: small programs, whose use of named randomness goes into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple
from typing import Protocol as TypingProtocol

import numpy as np
import numpy.typing as npt

from quorate.crypto.stream import Stream
from quorate.engine.exchange import Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import InternalError
from quorate.lang.computation import computation
from quorate.lang.execute import execute
from quorate.lang.snapshot import Snapshot
from quorate.lang.stages import Stages
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make, protocol_class
from quorate.sharing.dtype import DType
from quorate.testing.faults.ledger import Ledger, Sighting
from quorate.testing.faults.rig import Place

__all__ = ["Given", "PlanProgram", "ProtocolProgram", "Saver", "WatchedSession"]


class _Recorded(Stream):
    """A stream whose every draw goes into the ledger, under the participant that draws and whose stream it is."""

    __slots__ = ("_inner", "_ledger", "_me", "_what")

    def __init__(self, inner: Stream, ledger: Ledger, me: int, what: Hashable) -> None:
        self._inner, self._ledger, self._me, self._what = inner, ledger, me, what

    def fill(self, name: Name, out: npt.NDArray[Any]) -> None:
        self._inner.fill(name, out)
        self._draft(name, out.tobytes())

    def mask(self, name: Name, data: npt.NDArray[Any]) -> None:
        before = np.frombuffer(data.tobytes(), np.uint8)
        self._inner.mask(name, data)
        drawn = before ^ np.frombuffer(data.tobytes(), np.uint8)
        self._draft(name, drawn.tobytes())

    def _draft(self, name: Name, drawn: bytes) -> None:
        self._ledger.draft(self._me, Sighting("randomness", (self._me, self._what, name), drawn))


class WatchedSession(Session):
    """A session that writes down every draw: under one name there may only ever be the same bytes."""

    __slots__ = ("ledger",)

    def __init__(self, ledger: Ledger, **facts: Any) -> None:
        self.ledger = ledger
        super().__init__(**facts)

    def __post_init__(self) -> None:
        super().__post_init__()
        inner = self._private._stream
        if isinstance(inner, Stream):
            self._private._stream = _Recorded(inner, self.ledger, self.me, "private")

    def _install(self, group: tuple[int, ...], key: npt.NDArray[Any]) -> None:
        super()._install(group, key)
        inner = self._streams[group]
        if isinstance(inner, Stream):
            self._streams[group] = _Recorded(inner, self.ledger, self.me, group)


class Saver(TypingProtocol):
    """What a program leaves its state with: the core."""

    def setup_over(self) -> None:
        """Keys are agreed."""

    def checkpoint(self, saved: Sequence[bytes]) -> None:
        """A stage is over; this is all that the rest needs."""


class Given(NamedTuple):
    """An input of one column."""

    owner: int
    dtype: DType
    values: npt.NDArray[Any]
    bounds: tuple[int, int]


class ProtocolProgram:
    """A program under a protocol, as every participant runs it from its seed.

    Args:
        protocol: name of a registered protocol.
        program: (protocol, scope) -> the step; results have to be the same whatever the seeds are.
        parties, threshold: as in `quorate.testing.world.World`.
    """

    def __init__(
        self,
        protocol: str,
        program: Callable[[Protocol, Scope], Step[Any]],
        parties: int | None = None,
        threshold: int | None = None,
    ) -> None:
        cls = protocol_class(protocol)
        self.protocol, self.program, self.threshold = protocol, program, threshold
        self.parties = cls.usual_parties if parties is None else parties
        self.dealer = self.parties if cls.dealer_allowed else None
        self.size = self.parties + (self.dealer is not None)

    def __call__(
        self,
        participant: int,
        seed: bytes,
        place: Place,
        root: Scope | None = None,
        core: Saver | None = None,
        restored: bytes | None = None,
    ) -> Step[Any]:
        """What `participant` runs; its names are drawn from `root`. It may save at `core`, and go on at `restored`."""
        names = tuple(f"participant {index}" for index in range(self.size))
        facts = {"me": participant, "parties": self.parties, "participants": names, "dealer": self.dealer}
        session = WatchedSession(place.ledger, **facts, seed=seed, ident=b"laboratory")
        return self._steps(session, Scope.root() if root is None else root, core, restored)

    def _steps(self, session: Session, at: Scope, core: Saver | None, restored: bytes | None) -> Step[Any]:
        del restored  # a program that never saves begins anew
        protocol = make(self.protocol, session, self.threshold)
        yield from protocol.setup(at.child("setup"))
        if core is not None:
            core.setup_over()
        return (yield from self.program(protocol, at.child("program")))


class PlanProgram(ProtocolProgram):
    """A plan under a protocol, which is saved at the end of every stage.

    Args:
        protocol: name of a registered protocol.
        function: makes the plan: inputs -> outputs by name; traced with the names of `inputs`.
        inputs: input -> (owner, type, values before scaling, bounds of these).
        least: levels of a stage, see `quorate.lang.stages`.
    """

    def __init__(
        self, protocol: str, function: Callable[..., Any], inputs: Mapping[str, Given], *, least: int = 1
    ) -> None:
        super().__init__(protocol, self._unused)
        rows = {name: len(given.values) for name, given in inputs.items()}
        types = {name: given.dtype for name, given in inputs.items()}
        self.plan = computation(function).trace(types, rows).bind(rows)
        self.inputs, self.least = inputs, least

    @staticmethod
    def _unused(protocol: Protocol, at: Scope) -> Step[Any]:
        raise InternalError("a plan is executed instead")

    def _steps(self, session: Session, at: Scope, core: Saver | None, restored: bytes | None) -> Step[Any]:
        protocol = make(self.protocol, session, self.threshold)
        yield from protocol.setup(at.child("setup"))
        if core is not None:
            core.setup_over()
        results = yield from execute(self.plan, protocol, at.child("plan"), **self._facts(session.me, core, restored))
        return {name: value.tolist() for name, value in sorted(results.values.items())}

    def _facts(self, me: int, core: Saver | None, restored: bytes | None) -> dict[str, Any]:
        snapshot = None if restored is None else Snapshot.decode(restored, "the laboratory")
        save = None if core is None else lambda _, snapshot: core.checkpoint([snapshot.encode()])
        return {
            "inputs": {(name, "value"): given.values for name, given in self.inputs.items() if given.owner == me},
            "owners": {name: given.owner for name, given in self.inputs.items()},
            "outputs": dict.fromkeys(self.plan.outputs, tuple(range(self.parties))),
            "bounds": {(name, "value"): given.bounds for name, given in self.inputs.items()},
            "stages": Stages(save, snapshot, self.least),
        }
