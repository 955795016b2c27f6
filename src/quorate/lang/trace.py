"""Recording a computation: every use of a secret array becomes an operation of a plan, equal ones only once."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorate.errors import UserError
from quorate.lang.dims import Size, rows_of
from quorate.lang.fold import folded
from quorate.lang.operations import kind_of
from quorate.lang.plan import Operation, Plan, Type
from quorate.sharing.dtype import INT, DType

if TYPE_CHECKING:
    from quorate.lang.array import SecretArray
    from quorate.lang.categories import Categories
    from quorate.lang.known import Known, Limits
    from quorate.lang.recorded import Recorded

__all__ = ["PaddedRowsWarning", "Trace"]

_PACKAGE = str(Path(__file__).parents[1])
_OURS = tuple(f"{_PACKAGE}{os.sep}{layer}{os.sep}" for layer in ("lang", "analytics", "interactive"))
"""Where lines are ours and not the author's."""


class PaddedRowsWarning(UserWarning):
    """Rows that stand for nothing count as if they were data."""


class Trace:
    """Collects the operations of one computation; equal operations are recorded once.

    `known` are the public facts about its inputs, for algorithms that choose their scales by them.
    """

    def __init__(self, name: str, known: Known | None = None) -> None:
        self.name = name
        self.known = known
        self.operations: list[Operation] = []
        self._known: dict[object, int] = {}
        self._padded: list[tuple[frozenset[int], int]] = []
        self._scalars: dict[tuple[type, int | float, DType], int] = {}

    def record(self, kind: str, operands: Sequence[Recorded], **attributes: Any) -> SecretArray:
        """Add an operation and return its result; what depends on constants alone is computed at once.

        Raises:
            UserError: types or shapes do not fit, or an operand belongs to another computation.
        """
        for operand in operands:
            if operand.trace is not self:
                raise UserError(
                    "a secret array of another computation or session cannot be used here; share the data in this one"
                )
        positions = tuple([operand.position for operand in operands])
        used = [self.operations[position] for position in positions]
        if used and all(operation.kind == "constant" for operation in used):
            constant = folded(kind, used, attributes)
            if constant is not None:
                return self._add("constant", (), constant)
        return self._add(kind, positions, attributes)

    def unpack(self, bundle: Recorded) -> list[SecretArray]:
        """The results of an operation that has several. Raises `UserError` for an ordinary value."""
        if not bundle.type.parts:
            raise UserError(f"{bundle.type} is one value; only an operation with several results can be unpacked")
        return [self.record("item", [bundle], index=index) for index in range(len(bundle.type.parts))]

    def input(self, name: str, column: str, dtype: DType, rows: int | None = None) -> SecretArray:
        """A column of an input, one value per row; `rows` if their number is known already."""
        attributes = {"input": name, "column": column, "dtype": str(dtype)}
        return self._add("input", (), attributes, Type(dtype, (rows_of(name) if rows is None else rows,)))

    def constant(self, values: Any, dtype: DType) -> SecretArray:
        """Public values."""
        scalar = (type(values), values, dtype) if isinstance(values, int | float) else None
        if scalar in self._scalars:
            return self._array(self._scalars[scalar])
        raw = dtype.encode(values)
        attributes = {"values": raw.reshape(-1).tolist(), "shape": list(raw.shape), "dtype": str(dtype)}
        made = self._add("constant", (), attributes)
        if scalar is not None:
            self._scalars[scalar] = made.position
        return made

    def rows(self, size: Size) -> SecretArray:
        """A size as a public value."""
        attribute = size if isinstance(size, int) else {"size": str(size)}
        return self._add("constant", (), {"rows": attribute})

    def limits(self, array: Recorded) -> Limits:
        """The smallest and the largest value that an array may hold, as far as declared ranges tell.

        Raises:
            UserError: no ranges are known, or values may not fit.
        """
        if self.known is None:
            raise UserError("the ranges of the inputs are not known here; give bounds to Computation.trace")
        return self.known.limits(self.operations, array.position)

    def categories(self, array: Recorded) -> Categories | None:
        """The texts that the values of an array stand for; None where they are no codes, or nothing is known."""
        return None if self.known is None else self.known.categories_of(self.operations, array.position)

    def reveal_all(self, arrays: Mapping[str, SecretArray]) -> dict[str, Any]:
        """Only interactive sessions open values on demand. Raises `UserError`."""
        raise UserError(
            "reveal() is for arrays of an interactive session (quorate.simulate, quorate.connect); in a computation, "
            "return the value, and it is opened to whom the spec says"
        )

    def remember(self, arrays: Sequence[Recorded]) -> None:
        """These will be needed again: interactive sessions keep their shares once they are computed."""

    def stamped(self, opened: Any, arrays: Iterable[Recorded]) -> Any:
        """What was made of these opened arrays; interactive sessions note on it from which runs it comes."""
        return opened

    def padded(self, columns: Sequence[Recorded], valid: Recorded) -> None:
        """These columns have rows of zeros where `valid` is false: who uses the one without the other is warned."""
        self._padded.append((frozenset(column.position for column in columns), valid.position))

    def _warn_of_padding(self, needed: Collection[int]) -> None:
        for columns, valid in self._padded:
            if valid not in needed and not columns.isdisjoint(needed):
                warnings.warn(
                    "columns of linked rows are used without 'valid': rows without a match are zeros, and count; give "
                    "where=linked.valid",
                    PaddedRowsWarning,
                    stacklevel=4,
                )

    def plan(self, outputs: dict[str, SecretArray]) -> Plan:
        """The plan with these outputs; operations that no output needs are left out."""
        needed: set[int] = set()
        todo = [array.position for array in outputs.values()]
        while todo:
            position = todo.pop()
            if position not in needed:
                needed.add(position)
                todo.extend(self.operations[position].operands)
        self._warn_of_padding(needed)
        order = sorted(needed)
        place = {old: new for new, old in enumerate(order)}
        kept = []
        for old in order:
            operation = self.operations[old]
            operands = tuple(place[operand] for operand in operation.operands)
            kept.append(Operation(operation.kind, operands, operation.attributes, operation.type, operation.where))
        return Plan(self.name, tuple(kept), {name: place[array.position] for name, array in outputs.items()})

    def _add(
        self, kind: str, operands: tuple[int, ...], attributes: dict[str, Any], stated: Type | None = None
    ) -> SecretArray:
        key = (kind, operands, repr(sorted(attributes.items()))) if attributes else (kind, operands)
        position = self._known.get(key)
        if position is None:
            types = [self.operations[operand].type for operand in operands]
            type_ = kind_of(kind).type_of(types, attributes, stated or Type(INT, ()))
            position = self._known[key] = len(self.operations)
            where = "" if kind == "input" or (kind == "constant" and "rows" in attributes) else _author_line()
            self.operations.append(Operation(kind, operands, attributes, type_, where))
        return self._array(position)

    def _array(self, position: int) -> SecretArray:
        from quorate.lang.array import SecretArray

        return SecretArray(self, position)


def _author_line() -> str:
    """File and line of the first frame outside this package, for messages; in a notebook the cell and its line."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return f"{_source(frame.f_code.co_filename)}:{frame.f_lineno}"


def _source(filename: str) -> str:
    """The name of a file without its folder; of a cell of a notebook, what IPython calls it: "In[3]"."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    cell = shell.compile.format_code_name(filename) if shell is not None else None
    return str(cell[1]) if cell else os.path.basename(filename)
