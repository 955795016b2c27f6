"""Where values enter and leave a running plan: inputs from their owners or from what is kept, outputs to recipients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.circuits.convert import to_boolean
from quorate.circuits.tiles import TILE
from quorate.engine.exchange import Fork, Step
from quorate.engine.names import Scope
from quorate.errors import DataError, InternalError, UserError
from quorate.kernels.ghost import ghost
from quorate.lang.operations.base import Range, Value, concrete
from quorate.lang.operations.io import constant_values
from quorate.lang.plan import Operation, Plan
from quorate.protocols.base import Integers, Protocol
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["KEEP", "STORED", "Boundary", "Key", "Results"]

STORED = "stored"
"""Owner of an input whose shares the parties have kept."""

KEEP = "keep"
"""Destination of an output whose shares the parties keep."""

Key = tuple[str, str]
"""Input and column."""


@dataclass
class Results:
    """Opened outputs (decoded values, only those opened to this participant) and kept shares, by output name."""

    values: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    kept: dict[str, Share] = field(default_factory=dict)

    def sorted_as(self, names: Iterable[str]) -> Results:
        """The same in this order: outputs are opened in the order in which messages arrive."""
        order = list(names)
        return Results(
            {name: self.values[name] for name in order if name in self.values},
            {name: self.kept[name] for name in order if name in self.kept},
        )


@dataclass
class Boundary:
    """What one participant brings to a run and takes from it; the arguments are those of `execute`."""

    plan: Plan
    p: Protocol
    at: Scope
    inputs: Mapping[Key, Integers]
    owners: Mapping[str, int | str]
    outputs: Mapping[str, tuple[int, ...] | str]
    bounds: Mapping[Key, Range]
    stored: Mapping[Key, Share]
    results: Results = field(default_factory=Results)

    def __post_init__(self) -> None:
        self.me = self.p.me
        self.named: dict[int, list[str]] = {}
        for name, target in self.plan.outputs.items():
            self.named.setdefault(target, []).append(name)

    # -- inputs -------------------------------------------------------------------------------------------------------

    def kept(self, index: int) -> Share | None:
        """The share of a stored input; None if it has an owner. Raises `UserError` if it is missing or another."""
        operation = self.plan.operations[index]
        key = _key(operation)
        if not isinstance(self.owners[key[0]], str):
            return None
        if not self.p.session.holds_shares:
            return self._placeholder(operation)
        if key not in self.stored:
            raise UserError(f"the shares kept for input {key[0]!r}, column {key[1]!r} are missing at this party")
        share = self.stored[key]
        boolean = operation.type.dtype.kind == "bool"
        if share.shape != concrete(operation.type.shape) or isinstance(share, Boolean) != boolean:
            raise UserError(
                f"what is kept for input {key[0]!r}, column {key[1]!r} is no {operation.type}; declare the columns of "
                "a stored input as they were kept"
            )
        return share

    def take(self, index: int) -> Step[Arithmetic]:
        """Share an input column; one round, in which only its owner and those who compute take part."""
        operation = self.plan.operations[index]
        key, shape = _key(operation), concrete(operation.type.shape)
        owner = self.owners[key[0]]
        if isinstance(owner, str):
            raise InternalError(f"input {key[0]!r} is stored, nobody shares it")
        values = self.inputs.get(key) if owner == self.me else None
        if owner == self.me and values is None and not self.p.session.counting:
            raise UserError(f"the data for column {key[1]!r} of input {key[0]!r} is missing at its owner")
        if values is not None:
            _check_column(key, values, shape, self.bounds[key])
        return (yield from self.p.input(self.at.child(f"{index} input"), owner, shape, values))

    def admit(self, index: int, share: Arithmetic) -> Step[Share]:
        """A shared column as the plan computes on it: bools as bits."""
        if self.plan.operations[index].type.dtype.kind != "bool":
            return share
        return (yield from to_boolean(self.p, self.at.child(f"{index} bits"), share))

    # -- outputs ------------------------------------------------------------------------------------------------------

    def leaves_beside(self, index: int) -> bool:
        """Whether an output travels by itself: a recipient takes no part in the rest, or it is large."""
        to = [self.outputs[name] for name in self.named[index]]
        outside = any(not self._inside(one) for who in to if not isinstance(who, str) for one in who)
        return outside or _large(self.plan.operations[index])

    def give(self, index: int, value: Value) -> Step[None]:
        """Open, keep or simply report one value under all its names."""
        operation = self.plan.operations[index]
        for name in self.named[index]:
            destination = self.outputs[name]
            if isinstance(value, np.ndarray) and operation.kind == "constant" and not isinstance(destination, str):
                if self.me in destination:
                    self.results.values[name] = operation.type.dtype.decode(value)
                continue
            if isinstance(value, np.ndarray):
                bits = operation.type.dtype.kind == "bool"
                value = self.p.public_bits(value.astype(np.uint8)) if bits else self.p.public(value)
            if isinstance(destination, str):
                self.results.kept[name] = value
            else:
                opened = yield from self._open(self.at.child(f"output {name}"), value, destination)
                if opened is not None and not self.p.session.counting:
                    self.results.values[name] = operation.type.dtype.decode(opened)

    def _open(self, at: Scope, value: Share, to: tuple[int, ...]) -> Step[Any]:
        if isinstance(value, Boolean):
            return (yield from self.p.reveal_bits(at, value, to))
        if isinstance(value, Arithmetic):
            return (yield from self.p.reveal(at, value, to))
        raise InternalError(f"{value!r} cannot be opened")

    # -- owners and recipients outside --------------------------------------------------------------------------------

    def attend(self) -> Step[None]:
        """What an owner or recipient outside does: gives its inputs, takes its outputs."""
        steps: list[Step[Any]] = []
        for index, operation in enumerate(self.plan.operations):
            if operation.kind == "input" and self.owners[operation.attributes["input"]] == self.me:
                steps.append(self.take(index))
        for index, names in self.named.items():
            self.named[index] = [name for name in names if self._receives(name)]
            operation = self.plan.operations[index]
            constant = operation.kind == "constant"
            value = constant_values(operation.attributes) if constant else self._placeholder(operation)
            steps.append(self.give(index, value))
        yield Fork(steps, max(1, len(steps)))

    def _receives(self, name: str) -> bool:
        to = self.outputs[name]
        return not isinstance(to, str) and self.me in to

    def _inside(self, participant: int | str) -> bool:
        """Whether a participant goes through the whole plan: a compute party or the dealer."""
        session = self.p.session
        return isinstance(participant, int) and (participant < session.parties or participant == session.dealer)

    def _placeholder(self, operation: Operation) -> Share:
        """A share without content, of the shape of a value that is computed elsewhere."""
        shape = concrete(operation.type.shape)
        if operation.type.dtype.kind == "bool":
            return self.p.public_bits(ghost(shape, np.uint8))
        return self.p.empty(shape)


def _key(operation: Operation) -> Key:
    return operation.attributes["input"], operation.attributes["column"]


def _large(operation: Operation) -> bool:
    return math.prod(concrete(operation.type.shape)) > TILE


def _check_column(key: Key, values: Integers, shape: tuple[int, ...], allowed: Range) -> None:
    """What an owner gives must be what was agreed, since ranges are all that keeps results from overflowing."""
    where = f"column {key[1]!r} of input {key[0]!r}"
    if values.shape != shape:
        raise DataError(f"{where} has shape {values.shape} instead of {shape}; give one value per row")
    if values.size and not (allowed[0] <= int(values.min()) and int(values.max()) <= allowed[1]):
        raise DataError(
            f"{where} holds a value outside of its declared range; correct the data or declare a wider range"
        )
