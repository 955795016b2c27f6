"""From the request of an interactive session to what parties agree on: a spec, and a plan with the inputs of it."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec
import numpy as np
import numpy.typing as npt

from quorate.coordination.breakdown import counting_protocols
from quorate.coordination.program import raw_bounds
from quorate.coordination.roster import roster
from quorate.coordination.spec import Input, Output, Spec, Timeouts
from quorate.crypto.hashing import new_salt
from quorate.data.commitment import commit
from quorate.data.prepare import Prepared
from quorate.data.schema import BoolColumn, Column, FixedColumn, Int8Column, Int16Column, Int32Column, IntColumn
from quorate.errors import UserError
from quorate.interactive.backend import HeldColumn, Key, Request
from quorate.lang.execute import STORED
from quorate.lang.operations.base import Range
from quorate.lang.passes import Facts, optimise
from quorate.lang.plan import Operation, Plan
from quorate.node.asking import kept_name, spec_of
from quorate.node.room import ranges_of
from quorate.sharing.dtype import DType

__all__ = ["NO_SESSION", "Composed", "column_of", "compose"]

_EXACT = 53
"""Bits of whole numbers that a float holds exactly."""
_WIDTHS: dict[int, type[IntColumn]] = {8: Int8Column, 16: Int16Column, 32: Int32Column, 64: IntColumn}
NO_SESSION = "0" * 32
"""In place of an id, where nothing runs."""

Raw = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Composed:
    """A request as the parties see it.

    Attributes:
        spec, plan: what the nodes get.
        rows: of every input.
        data: what we share, by input and column.
        kept: output of the request -> output of the plan that is kept.
    """

    spec: Spec
    plan: Plan
    rows: dict[str, int]
    data: dict[str, dict[str, Raw]] = field(repr=False)
    kept: dict[str, str]

    def inputs(self) -> dict[str, Prepared]:
        """Our own data with commitments under fresh salts."""
        return {name: _prepared(columns) for name, columns in self.data.items()}

    def kept_ranges(self) -> dict[str, Range]:
        """The ranges of what is kept, by output of the request. Raises as `quorate.lang.ranges.plan_ranges`."""
        if not self.kept:
            return {}
        ranges = ranges_of(self.spec, self.plan.bind(self.rows))
        return {output: cast(Range, ranges[self.plan.outputs[label]]) for output, label in self.kept.items()}


def compose(
    request: Request,
    *,
    me: str,
    parties: Sequence[str],
    protocol: str,
    threshold: int | None = None,
    session: str = NO_SESSION,
    held_name: Callable[[str], str] = str,
    bounds_of: Callable[[HeldColumn], Range] = lambda column: column.bounds,
    timeouts: Timeouts | None = None,
) -> Composed:
    """The spec and plan of a request.

    Args:
        me: who shares the uploads and learns what is opened.
        parties, protocol, threshold, timeouts: as in the spec.
        session: its id; what is kept is named after it.
        held_name: from our name of a held column to that at the parties.
        bounds_of: the range of a held column, as the parties know it.

    Raises:
        UserError: an input has no rows, or values may not fit the protocol.
    """
    inputs = _Inputs(me)
    renamed: dict[Key, Key] = {}
    for key in request.plan.inputs:
        if key in request.held:
            column = request.held[key]
            renamed[key] = inputs.stored(key, column, held_name(column.name), bounds_of(column))
        else:
            upload = request.uploads[key]
            renamed[key] = inputs.shared(key, column_of("-", upload.dtype, upload.bounds), upload.raw)
    kept = {output: f"{output} (kept)" if output in request.opened else output for output in request.kept}
    outputs = [
        *(Output(name=name, to=(me,)) for name in request.opened),
        *(Output(name=name, keep=kept_name(session, k)) for k, name in enumerate(kept.values())),
    ]
    spec = spec_of(parties, protocol, inputs.declared(), outputs, threshold=threshold, timeouts=timeouts)
    plan = _improved(spec, _renamed(request, renamed, kept), inputs.rows)
    return Composed(spec, plan, inputs.rows, inputs.data, kept)


def _improved(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> Plan:
    """The plan after the planner's passes, for the participants of this spec."""
    sharers = roster(spec).owners
    owners: dict[str, int | str] = {item.name: sharers.get(item.name, STORED) for item in spec.inputs}
    return optimise(plan, Facts(counting_protocols(spec, plan, rows), raw_bounds(spec), rows, owners))


class _Inputs:
    """The inputs of a spec, as they come up in a plan."""

    def __init__(self, me: str) -> None:
        self.me = me
        self.rows: dict[str, int] = {}
        self.data: dict[str, dict[str, Raw]] = {}
        self._names = _Names()
        self._columns: dict[str, list[Column]] = {}
        self._stored: dict[str, str] = {}

    def stored(self, key: Key, column: HeldColumn, name: str, bounds: Range) -> Key:
        """A column that the parties hold; an input of its own."""
        label = "value"
        renamed = self._names.alone(key), label
        self._stored[renamed[0]] = name
        self._add(renamed, column_of(label, column.dtype, bounds), column.rows, key)
        return renamed

    def shared(self, key: Key, column: Column, raw: Raw) -> Key:
        """A column of our own."""
        name, label = self._names.input(key[0]), self._names.column(key)
        self.data.setdefault(name, {})[label] = raw
        self._add((name, label), msgspec.structs.replace(column, name=label), len(raw), key)
        return name, label

    def _add(self, renamed: Key, column: Column, rows: int, key: Key) -> None:
        if not rows:
            raise UserError(f"the input {key[0]!r} has no rows; leave it out")
        self.rows[renamed[0]] = rows
        self._columns.setdefault(renamed[0], []).append(column)

    def declared(self) -> list[Input]:
        """All of them, with exactly the rows that they have."""
        return [
            Input(
                name=name,
                owner=None if name in self._stored else self.me,
                stored=self._stored.get(name),
                columns=tuple(columns),
                min_rows=self.rows[name],
                max_rows=self.rows[name],
            )
            for name, columns in self._columns.items()
        ]


class _Names:
    """Names of inputs and columns that a spec may have, each used once."""

    def __init__(self) -> None:
        self._inputs: dict[object, str] = {}
        self._columns: dict[Key, str] = {}

    def input(self, name: str) -> str:
        """The same for the same name."""
        return self._named(name, name)

    def alone(self, key: Key) -> str:
        """An input for one column."""
        return self._named(key, f"{key[0]}_{key[1]}")

    def _named(self, key: object, text: str) -> str:
        if key not in self._inputs:
            base = re.sub(r"\W", "_", text, flags=re.ASCII)
            good = base.isidentifier() and not keyword.iskeyword(base)
            base = base if good else f"input_{base}"
            taken, number = set(self._inputs.values()), 1
            name = base
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            self._inputs[key] = name
        return self._inputs[key]

    def column(self, key: Key) -> str:
        """The column's own name where a spec may have it."""
        if key not in self._columns:
            fits = not list(BoolColumn(name=key[1]).problems())
            self._columns[key] = key[1] if fits else f"column {len(self._columns)}"
        return self._columns[key]


def _renamed(request: Request, renamed: Mapping[Key, Key], kept: Mapping[str, str]) -> Plan:
    """The plan with other names of inputs, and an output of its own for everything that is kept."""
    operations = tuple(_renamed_input(operation, renamed) for operation in request.plan.operations)
    outputs = {name: request.plan.outputs[name] for name in request.opened}
    outputs |= {label: request.plan.outputs[output] for output, label in kept.items()}
    return Plan(request.plan.name, operations, outputs)


def _renamed_input(operation: Operation, renamed: Mapping[Key, Key]) -> Operation:
    if operation.kind != "input":
        return operation
    name, column = renamed[operation.attributes["input"], operation.attributes["column"]]
    attributes = {**operation.attributes, "input": name, "column": column}
    return Operation(operation.kind, operation.operands, attributes, operation.type, operation.where)


def _prepared(columns: dict[str, Raw]) -> Prepared:
    salt = new_salt()
    commitment = commit(columns, salt)
    return Prepared(columns, commitment.rows, 0, 0, commitment, salt)


def column_of(name: str, dtype: DType, bounds: Range) -> Column:
    """A column of a spec for raw values within `bounds`; where floats cannot say it exactly, a little wider."""
    if dtype.kind == "bool":
        return BoolColumn(name=name)
    if dtype.kind == "int":
        return _WIDTHS[dtype.width](name=name, range=bounds)
    low, high = (math.ldexp(_outwards(end, up), -dtype.scale) for end, up in zip(bounds, (False, True), strict=True))
    return FixedColumn(name=name, scale=dtype.scale, range=(low, high))


def _outwards(raw: int, up: bool) -> int:
    """The next raw value away from zero, or towards it, that a float holds."""
    spare = max(0, abs(raw).bit_length() - _EXACT)
    return -(-raw >> spare) << spare if up else raw >> spare << spare
