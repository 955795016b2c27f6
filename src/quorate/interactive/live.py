"""The computation of an interactive session: recorded as it is written, run where a result is asked for.

What was computed once is not computed again: opened values are remembered here, and the parties keep shares of inputs
and of the results of fitted models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from quorate.errors import UserError
from quorate.interactive.backend import Backend, HeldColumn, Key, Progress, Request, Run, Uploaded
from quorate.interactive.meter import watched
from quorate.interactive.provenance import stamp
from quorate.lang.array import SecretArray, Trace
from quorate.lang.categories import Categories
from quorate.lang.known import Known, reference
from quorate.lang.operations.base import Range, concrete
from quorate.lang.plan import Operation, Plan, Type
from quorate.lang.recorded import Recorded
from quorate.sharing.dtype import DType

__all__ = ["Live"]

COLUMN = "value"


@dataclass(eq=False)
class Live(Trace):
    """A trace that can be run.

    Attributes:
        backend: what runs it.
        prefix: names of kept shares begin with it.
        ran: called with every run.
        progress: called with (operations done, operations in all).
        closed: nothing runs any more; what was opened stays known.
    """

    backend: Backend
    prefix: str
    ran: Callable[[Run], None]
    progress: Progress | None = None
    closed: bool = False
    _uploads: dict[Key, Uploaded] = field(default_factory=dict, repr=False)
    _held: dict[int, HeldColumn] = field(default_factory=dict, repr=False)
    _opened: dict[int, npt.NDArray[np.generic]] = field(default_factory=dict, repr=False)
    _origin: dict[int, tuple[Run, ...]] = field(default_factory=dict, repr=False)
    _wanted: dict[int, frozenset[int]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        backend = self.backend
        fits = reference(backend.protocol, len(backend.parties), backend.threshold)
        super().__init__("interactive", Known({}, {}, fits))

    # -- what comes in ------------------------------------------------------------------------------------------------

    def upload(self, name: str, column: str, data: Uploaded) -> SecretArray:
        """A column that this program shares when it is first needed."""
        self._uploads[name, column] = data
        return self._admit(name, column, data.dtype, len(data.raw), data.bounds, data.categories)

    def hold(self, name: str, column: str, data: HeldColumn, categories: Categories | None = None) -> SecretArray:
        """A column that the parties hold already; a new version of it gets a name of its own."""
        for position, held in self._held.items():
            if held == data and self.operations[position].attributes.get("column") == column:
                return self._array(position)
        names = [name, *(f"{name} {number}" for number in range(2, len(self._held) + 3))]
        free = next(one for one in names if (one, column) not in cast(Known, self.known).bounds)
        made = self._admit(free, column, data.dtype, data.rows, data.bounds, categories)
        self._held[made.position] = data
        return made

    def _admit(
        self, name: str, column: str, dtype: DType, rows: int, bounds: Range, categories: Categories | None
    ) -> SecretArray:
        self._check_open()
        known = cast(Known, self.known)
        if (name, column) in known.bounds:
            raise UserError(f"there is an input {name!r} with a column {column!r} already; choose another name")
        known.bounds[name, column] = bounds
        known.rows[name] = rows
        if categories is not None:
            known.categories[name, column] = categories
        made = self.input(name, column, dtype, rows)
        self._wanted[made.position] = frozenset([made.position])
        return made

    # -- what comes out -----------------------------------------------------------------------------------------------

    def remember(self, arrays: Sequence[Recorded]) -> None:
        """Once one of these is needed, all are computed, and the parties keep their shares."""
        group = frozenset(array.position for array in arrays)
        self._wanted.update(dict.fromkeys(group, group))

    def reveal_all(self, arrays: Mapping[str, SecretArray]) -> dict[str, Any]:
        """Open arrays in one run, as NumPy values; what was opened before is not opened again.

        Raises:
            UserError: an array of another session, or values may not fit the protocol.
            QuorateError: the run failed.
        """
        if any(array.trace is not self for array in arrays.values()):
            raise UserError("an array of another session (or computation) cannot be opened here; use its own reveal()")
        positions = {name: array.position for name, array in arrays.items()}
        for name, array in arrays.items():
            if (known := array.known()) is not None:
                self._opened[positions[name]] = np.asarray(known)
        missing = [position for position in dict.fromkeys(positions.values()) if position not in self._opened]
        if missing:
            self._run(missing, self._to_keep(missing))
        return {name: _plain(self._opened[position]) for name, position in positions.items()}

    def stamped(self, opened: Any, arrays: Iterable[Recorded]) -> Any:
        """Note on opened results the runs that opened these arrays, and those that made what they depend on."""
        runs = chain.from_iterable(self._origin.get(array.position, ()) for array in arrays)
        return stamp(opened, list(dict.fromkeys(runs)))

    def keep(self, arrays: Mapping[str, SecretArray], names: Mapping[str, str]) -> dict[str, HeldColumn]:
        """Compute arrays and have the parties keep them under these names, unopened."""
        positions = {name: array.position for name, array in arrays.items()}
        self._run([], {position: names[name] for name, position in positions.items()})
        return {name: self._column(position, names[name]) for name, position in positions.items()}

    def request(self, arrays: Sequence[SecretArray]) -> Request:
        """What `reveal_all` would have the parties do, for quotes and explanations."""
        missing = [array.position for array in arrays]
        return self._request(missing, self._to_keep(missing))

    def _to_keep(self, opened: Sequence[int]) -> dict[int, str]:
        if not self.backend.keeps:
            return {}
        targets: set[int] = set(opened)
        while True:
            needed = self._needed(list(targets))
            wanted = {one for position in needed & self._wanted.keys() for one in self._wanted[position]}
            wanted = {one for one in wanted if one not in self._held and self.operations[one].kind != "constant"}
            if wanted <= targets:
                return {position: f"{self.prefix}{position}" for position in sorted(wanted)}
            targets |= wanted

    def _run(self, opened: Sequence[int], kept: Mapping[int, str]) -> None:
        self._check_open()
        request = self._request(opened, kept)
        before = [self._origin.get(held, ()) for held in sorted(self._needed([*opened, *kept]) & self._held.keys())]
        with watched(self.progress, len(request.plan.operations)):
            run = self.backend.run(request, self.progress)
        self._origin.update(dict.fromkeys([*opened, *kept], (*dict.fromkeys(chain(*before)), run)))
        for position in opened:
            shape = concrete(self.operations[position].type.shape)
            self._opened[position] = run.values[_output(position)].reshape(shape)
        for position, name in kept.items():
            if name.startswith(self.prefix):
                self._held[position] = self._column(position, name)
        self.ran(run)

    def _check_open(self) -> None:
        if self.closed:
            raise UserError("this session is closed, and the parties have forgotten its shares; begin a new one")

    def _column(self, position: int, name: str) -> HeldColumn:
        type_ = self.operations[position].type
        rows = math.prod(concrete(type_.shape))
        return HeldColumn(name, rows, type_.dtype, self._range(position))

    def _range(self, position: int) -> Range:
        low, high = cast(Known, self.known).limits(self.operations, position)
        scale = self.operations[position].type.dtype.scale
        return round(math.ldexp(low, scale)), round(math.ldexp(high, scale))

    # -- plans --------------------------------------------------------------------------------------------------------

    def _needed(self, targets: Sequence[int]) -> set[int]:
        """The operations that these depend on, no further than what the parties hold."""
        needed: set[int] = set()
        todo = list(targets)
        while todo:
            position = todo.pop()
            if position not in needed:
                needed.add(position)
                if position not in self._held:
                    todo.extend(self.operations[position].operands)
        return needed

    def _request(self, opened: Sequence[int], kept: Mapping[int, str]) -> Request:
        self._warn_of_padding(self._needed([*opened, *kept]))
        plan = _Cut(self)
        outputs = {_output(position): plan.add(position) for position in opened}
        outputs |= {f"kept {position}": plan.flat(position) for position in kept}
        uploads = {key: self._uploads[key] for key in plan.shared}
        names = {f"kept {position}": name for position, name in kept.items()}
        made = Plan(self.name, tuple(plan.operations), outputs)
        return Request(made, uploads, plan.held, [_output(position) for position in opened], names)


class _Cut:
    """The part of a computation that is still to be done, as a plan of its own."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.operations: list[Operation] = []
        self.shared: list[Key] = []
        self.held: dict[Key, HeldColumn] = {}
        self._places: dict[int, int] = {}

    def add(self, position: int) -> int:
        """The place of an operation in the plan; with everything that it needs, in the order of the author."""
        for needed in sorted(self.live._needed([position])):
            if needed not in self._places:
                self._places[needed] = self._copied(needed)
        return self._places[position]

    def flat(self, position: int) -> int:
        """The place of an operation's values in one dimension."""
        place, type_ = self.add(position), self.live.operations[position].type
        if len(type_.shape) == 1:
            return place
        shape = (math.prod(concrete(type_.shape)),)
        return self._append(Operation("reshape", (place,), {"shape": list(shape)}, replace(type_, shape=shape)))

    def _append(self, operation: Operation) -> int:
        self.operations.append(operation)
        return len(self.operations) - 1

    def _copied(self, position: int) -> int:
        operation = self.live.operations[position]
        if position in self.live._held:
            return self._from_held(position, self.live._held[position])
        if operation.kind == "input":
            self.shared.append((operation.attributes["input"], operation.attributes["column"]))
        return self._append(replace(operation, operands=tuple(self._places[o] for o in operation.operands)))

    def _from_held(self, position: int, column: HeldColumn) -> int:
        key = f"held{position}", COLUMN
        self.held[key] = column
        attributes = {"input": key[0], "column": COLUMN, "dtype": str(column.dtype)}
        place = self._append(Operation("input", (), attributes, Type(column.dtype, (column.rows,))))
        wanted = self.live.operations[position].type
        if len(wanted.shape) == 1:
            return place
        return self._append(Operation("reshape", (place,), {"shape": list(wanted.shape)}, wanted))


def _output(position: int) -> str:
    return f"value {position}"


def _plain(value: npt.NDArray[np.generic]) -> Any:
    """A scalar as NumPy's own scalar; arrays as a copy that can be changed."""
    return value[()] if not value.ndim else value.copy()
