"""The view of a participant that is neither a party nor the dealer: an outside owner or recipient.

It takes part in inputs and reveals alone. Through everything else it goes with ghosts, as party 0 would when counting,
with rounds in which it neither sends nor receives; so every participant runs the same program.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from quorate.engine.count import count
from quorate.engine.exchange import Checkpoint, Exchange, Fork, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Supply
from quorate.protocols.base import Bilinear, Function, Integers, Protocol
from quorate.protocols.deferred import Deferred
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Bystander", "bystander"]

T = TypeVar("T")


def bystander(cls: type[Protocol], session: Session, threshold: int) -> Protocol:
    """The instance of protocol `cls` at a participant that holds no shares and is not the dealer."""
    facts = {"name": cls.name, "adversary": cls.adversary, "capacity": cls.capacity}
    made: type[Bystander] = type(f"{cls.__name__}Bystander", (Bystander,), facts)
    return made(cls, session, threshold)


def _silent(step: Step[T]) -> Step[T]:
    """The same rounds without messages."""
    answer: Any = None
    while True:
        try:
            request = step.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if isinstance(request, Exchange):
            answer = yield Exchange(request.name)
        elif isinstance(request, Fork):
            answer = yield type(request)([_silent(inner) for inner in request.steps], request.width)
        elif isinstance(request, Checkpoint):
            answer = yield Checkpoint(partial(_served_silently, request), request.rank)
        else:
            answer = yield request


def _served_silently(request: Checkpoint) -> Step[None]:
    return _silent(request.serve())


class _Noted:
    """Checks that are put off, on behalf of the real protocol."""

    def __init__(self, ghost: Deferred[Any]) -> None:
        self._ghost = ghost

    def open(self, at: Scope) -> None:
        """Nothing: `ghost` has the scope of its own set-up."""

    def note(self, name: Name, note: Any, size: int) -> None:
        """See `Deferred.note`."""
        self._ghost.note(name, note, size)

    def settle(self) -> Step[None]:
        """See `Deferred.settle`."""
        return _silent(self._ghost.settle())

    def relieve(self, size: int) -> Step[None]:
        """See `Deferred.relieve`."""
        return _silent(self._ghost.relieve(size))


class _Taken:
    """The supply, on behalf of the real protocol; tuples are without content."""

    def __init__(self, ghost: Supply) -> None:
        self._ghost = ghost

    def open(self, at: Scope) -> None:
        """Nothing: `ghost` has the scope of its own set-up."""

    def take(self, at: Scope, kind: str, count: int) -> Step[Parts]:
        """See `Supply.take`."""
        return _silent(self._ghost.take(at, kind, count))


class Bystander(Protocol):
    """Inputs and reveals of the real protocol, everything else through a counting party 0; made with `bystander`."""

    def __init__(self, cls: type[Protocol], session: Session, threshold: int) -> None:
        super().__init__(session, threshold)
        self._real = cls(session, threshold)
        facts = (session.parties, session.participants, session.dealer)
        counting = Session(0, *facts, counting=True, network=session.network, security=session.security)
        self._ghost = cls(counting, threshold)
        self.supply = self._ghost.supply

    @property
    def modulus_bits(self) -> int:
        return self._ghost.modulus_bits

    @property
    def truncation_error(self) -> float:
        return self._ghost.truncation_error

    @property
    def truncation_offsets(self) -> tuple[int, int]:
        return self._ghost.truncation_offsets

    @property
    def summand_count(self) -> int:
        return self._ghost.summand_count

    def setup(self, at: Scope) -> Step[None]:
        self._ghost.session.erase()  # a session that only counts is set up again for every count
        self._ghost.session.stock_keys = self.session.stock_keys
        count(self._ghost.setup(Scope.root()))
        self._share_state()
        yield from self._real.setup(at)

    def _share_state(self) -> None:
        """What inputs and reveals leave to be checked, and the tuples that they take, are counted where all others are:
        so checks and productions take place whenever they do at the parties."""
        real: Any = self._real
        real.checked = self.checked
        if hasattr(real, "deferred"):
            real.deferred = _Noted(cast(Any, self._ghost).deferred)
        if self._ghost.supply is not None:
            real.supply = _Taken(self._ghost.supply)

    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        yield from self._real.input(at, owner, shape, values)
        return self._ghost.empty(shape)

    @property
    def most_losses(self) -> int:
        return self._ghost.most_losses

    def prepare(self, at: Scope, needs: Mapping[str, int]) -> Step[None]:
        yield from _silent(self._ghost.prepare(at, needs))

    def checked(self) -> Step[None]:
        yield from _silent(self._ghost.checked())

    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        return (yield from self._real.reveal(at, x, to))

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        return (yield from self._real.reveal_bits(at, x, to))

    def and_open(
        self, at: Scope, a: Boolean, b: Boolean, to: Collection[int], plus: Boolean | None = None
    ) -> Step[npt.NDArray[np.generic] | None]:
        if type(self._real).and_open is Protocol.and_open:
            return (yield from super().and_open(at, a, b, to, plus))
        return (yield from self._real.and_open(at, a, b, to, plus))

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        return (yield from _silent(self._ghost.bilinear(at, a, b, times, shape)))

    # -- local ---------------------------------------------------------------------------------------------------------

    def public(self, values: Integers) -> Arithmetic:
        return self._ghost.public(values)

    def public_bits(self, words: npt.NDArray[np.generic], width: int = 1) -> Boolean:
        return self._ghost.public_bits(words, width)

    def add(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        return self._ghost.add(x, y)

    def sub(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        return self._ghost.sub(x, y)

    def scale(self, x: Arithmetic, by: Integers | int) -> Arithmetic:
        return self._ghost.scale(x, by)

    def sum(self, x: Arithmetic, axis: int) -> Arithmetic:
        return self._ghost.sum(x, axis)

    def xor(self, a: Boolean, b: Boolean) -> Boolean:
        return self._ghost.xor(a, b)

    def add_public(self, x: Arithmetic, values: Integers) -> Arithmetic:
        return self._ghost.add_public(x, values)

    def xor_public(self, a: Boolean, words: npt.NDArray[np.generic]) -> Boolean:
        return self._ghost.xor_public(a, words)

    def empty(self, shape: tuple[int, ...]) -> Arithmetic:
        return self._ghost.empty(shape)

    # -- interactive ---------------------------------------------------------------------------------------------------

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        return (yield from _silent(self._ghost.mul(at, x, y, shift, out)))

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        return (yield from _silent(self._ghost.dot(at, x, y, shift)))

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        return (yield from _silent(self._ghost.matmul(at, x, y, shift)))

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        return (yield from _silent(self._ghost.truncate(at, x, shift)))

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        return (yield from _silent(self._ghost.and_(at, a, b)))

    def random(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        return (yield from _silent(self._ghost.random(at, shape)))

    def random_bits(self, at: Scope, shape: tuple[int, ...]) -> Step[Boolean]:
        return (yield from _silent(self._ghost.random_bits(at, shape)))

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        return (yield from _silent(self._ghost.shuffle(at, columns)))

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        return (yield from _silent(self._ghost.summands(at, x, negate_last, width)))

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        return (yield from _silent(self._ghost.to_arithmetic(at, b)))

    def inject(self, at: Scope, bit: Boolean, x: Arithmetic) -> Step[Arithmetic]:
        return (yield from _silent(self._ghost.inject(at, bit, x)))

    def weigh(self, at: Scope, flags: Boolean, weights: Sequence[Sequence[int]]) -> Step[list[Arithmetic]]:
        return (yield from _silent(self._ghost.weigh(at, flags, weights)))

    def negative(self, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
        return (yield from _silent(self._ghost.negative(at, x, width)))

    def zero(self, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
        return (yield from _silent(self._ghost.zero(at, x, width)))

    def carry_level(self, at: Scope, g: Boolean, t: Boolean, positions: int) -> Step[Boolean]:
        return (yield from _silent(self._ghost.carry_level(at, g, t, positions)))

    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        return (yield from _silent(self._ghost.known(at, x, function, count)))

    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        return (yield from _silent(self._ghost.known_dot(at, x, function, count, shift)))
