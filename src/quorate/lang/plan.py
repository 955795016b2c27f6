"""A computation as data: typed operations in static single assignment form, with a canonical encoding and a digest.

A plan is what parties approve, price, execute and put in receipts. It holds no code.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import msgspec

from quorate.crypto.hashing import canonical_json, hex_digest
from quorate.errors import UserError
from quorate.lang.dims import Shape, bind_size, parse_size, text_of
from quorate.sharing.dtype import DType

__all__ = ["BUNDLE", "Operation", "Plan", "Type", "bound_operation"]

FORMAT = 1
LARGEST = 64 << 20
LARGEST_VALUE = 1 << 32
MOST_OPERATIONS = 1_000_000
_DOMAIN = "quorate/plan/1"

Attributes = Mapping[str, Any]

BUNDLE = DType(cast(Any, "bundle"))
"""Stands where a data type is asked for and there are several results. No column or constant can have it."""


@dataclass(frozen=True, slots=True)
class Type:
    """Data type, shape and visibility of a value of the plan; of a bundle, the types of its `parts`."""

    dtype: DType
    shape: Shape
    secret: bool = True
    parts: tuple[Type, ...] = ()

    @classmethod
    def bundle(cls, parts: Sequence[Type]) -> Type:
        """The type of an operation with several results. Raises `UserError` for none, or for bundles in it."""
        if not parts or any(part.parts for part in parts):
            raise UserError("a bundle has one or more results, and no bundles among them")
        return cls(BUNDLE, (), any(part.secret for part in parts), tuple(parts))

    def bind(self, rows: Mapping[str, int]) -> Type:
        """The type with all sizes as integers. Raises `UserError` if a row count is missing."""
        if not self.parts and all(type(size) is int for size in self.shape):
            return self
        shape = tuple(bind_size(size, rows) for size in self.shape)
        return Type(self.dtype, shape, self.secret, tuple(part.bind(rows) for part in self.parts))

    def __str__(self) -> str:
        if self.parts:
            return f"bundle({', '.join(str(part) for part in self.parts)})"
        sizes = ", ".join(str(size) for size in self.shape)
        return f"{'secret' if self.secret else 'public'} {self.dtype}[{sizes}]"


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a plan: `kind` of `operands` (earlier operations by position) with `attributes`.

    `where` names the line of the author's source, for messages; it is not part of the plan's digest.
    """

    kind: str
    operands: tuple[int, ...]
    attributes: Attributes
    type: Type
    where: str = ""


class _Row(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    kind: str
    operands: tuple[int, ...]
    attributes: dict[str, Any]
    dtype: str
    shape: tuple[int | str, ...]
    secret: bool
    where: str


_TypeKey = tuple[str, tuple[int | str, ...], bool]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    plan: int
    name: str
    operations: tuple[_Row, ...]
    outputs: dict[str, int]


@dataclass(frozen=True)
class Plan:
    """Operations in order; `outputs` names the operations whose values leave the computation."""

    name: str
    operations: tuple[Operation, ...]
    outputs: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> dict[tuple[str, str], DType]:
        """(input, column) -> data type, for the columns that the plan reads."""
        return {
            (operation.attributes["input"], operation.attributes["column"]): operation.type.dtype
            for operation in self.operations
            if operation.kind == "input"
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical encoding without source lines, 64 hexadecimal characters."""
        anonymous = tuple(replace(operation, where="") for operation in self.operations)
        return hex_digest(Plan(self.name, anonymous, self.outputs).to_json(), _DOMAIN)

    def to_json(self) -> bytes:
        """Canonical JSON: equal plans give equal bytes."""
        rows = [
            [
                operation.kind,
                operation.operands,
                dict(operation.attributes),
                str(operation.type.dtype),
                [text_of(size) for size in operation.type.shape],
                operation.type.secret,
                operation.where,
            ]
            for operation in self.operations
        ]
        return canonical_json({"plan": FORMAT, "name": self.name, "operations": rows, "outputs": dict(self.outputs)})

    @classmethod
    def from_json(cls, data: bytes, where: str = "plan") -> Plan:
        """Read and check a plan from anybody: every type is inferred again and must be as stated.

        Raises:
            UserError: malformed, too large, an unknown kind of operation, or a type that does not follow.
        """
        if len(data) > LARGEST:
            raise UserError(f"{where}: a plan of {len(data) >> 20} MiB is larger than {LARGEST >> 20} MiB")
        try:
            file = msgspec.json.decode(data, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise UserError(f"{where}: not a plan: {problem}; write it with 'quorate compile'") from None
        if file.plan != FORMAT:
            raise UserError(f"{where}: plan format {file.plan} is not {FORMAT}; compile it with this version")
        if len(file.operations) > MOST_OPERATIONS:
            raise UserError(f"{where}: more than {MOST_OPERATIONS} operations")
        if not all(name.isprintable() for name in (file.name, *file.outputs)):
            raise UserError(f"{where}: its name, or that of an output, has control characters; compile it anew")
        operations: list[Operation] = []
        types: dict[_TypeKey, Type] = {}
        for index, row in enumerate(file.operations):
            operations.append(_checked(f"{where}: operation {index} ({row.kind})", row, operations, types))
        for name, target in file.outputs.items():
            if not 0 <= target < len(operations) or operations[target].type.parts:
                raise UserError(f"{where}: output {name!r} names operation {target}, which is no single value")
        return cls(file.name, tuple(operations), file.outputs)

    def bind(self, rows: Mapping[str, int]) -> Plan:
        """The plan with all sizes as integers.

        Raises:
            UserError: a row count is missing, an index reaches beyond an array, or a shape that the plan relies on
                does not come out.
        """
        key = tuple(sorted(rows.items()))
        if self._bound.get("rows") == key:
            found: Plan = self._bound["plan"]  # every participant of a quote asks for the same
            return found
        bound: list[Operation] = []
        for index, operation in enumerate(self.operations):
            try:
                bound.append(bound_operation(operation, rows, self.operations, bound))
            except UserError as problem:
                raise UserError(f"operation {index} ({operation.kind}, {operation.where}): {problem}") from None
        as_it_is = all(map(operator.is_, bound, self.operations))
        result = self if as_it_is else Plan(self.name, tuple(bound), self.outputs)
        self._bound.update(rows=key, plan=result)
        return result

    @cached_property
    def _bound(self) -> dict[str, Any]:
        """The rows and the result of the last call of `bind`."""
        return {}

    def dump(self) -> str:
        """The plan as readable text, one operation per line."""
        names: dict[int, str] = {}
        for name, target in sorted(self.outputs.items()):
            names[target] = f"{names[target]}, {name}" if target in names else name
        lines = [f"plan {self.name}  sha256:{self.digest}"]
        for index, operation in enumerate(self.operations):
            operands = ", ".join(f"%{operand}" for operand in operation.operands)
            attributes = f" {dict(sorted(operation.attributes.items()))}" if operation.attributes else ""
            output = f"  -> {names[index]}" if index in names else ""
            where = f"  # {operation.where}" if operation.where else ""
            call = f"{operation.kind} {operands}".rstrip()
            lines.append(f"%{index} = {call}{attributes} : {operation.type}{output}{where}")
        return "\n".join(lines)


def _checked(where: str, row: _Row, before: Sequence[Operation], known: dict[_TypeKey, Type]) -> Operation:
    """The operation of a row, with its type inferred; `known` are the types read so far, by their text."""
    if not row.where.isprintable():
        raise UserError(f"{where}: the name of its source line has control characters, which could hide what is shown")
    if row.operands and not (min(row.operands) >= 0 and max(row.operands) < len(before)):
        raise UserError(f"{where}: operands must be earlier operations")
    key = (row.dtype, row.shape, row.secret)
    stated = known.get(key)
    if stated is None:
        stated = known[key] = _stated(where, row)
    operation = Operation(row.kind, row.operands, row.attributes, stated, row.where)
    try:
        inferred = _infer(operation, before)
    except UserError as problem:
        raise UserError(f"{where}: {problem}") from None
    if inferred == stated:
        return operation
    if not inferred.parts or Type(inferred.dtype, inferred.shape, inferred.secret) != stated:
        raise UserError(f"{where}: stated as {stated}, but it is {inferred}")
    return Operation(row.kind, row.operands, row.attributes, inferred, row.where)


def _stated(where: str, row: _Row) -> Type:
    """The type of a row, without the parts of a bundle. Raises `UserError` if it is none."""
    try:
        dtype = BUNDLE if row.dtype == str(BUNDLE) else DType.parse(row.dtype)
        return Type(dtype, tuple(parse_size(size) for size in row.shape), row.secret)
    except ValueError:
        raise UserError(f"{where}: {row.dtype[:40]!r} is not a data type") from None


def _shapes(type_: Type) -> list[Any]:
    """The shape of a value; of a bundle, those of its parts."""
    return [part.shape for part in type_.parts or (type_,)]


def _text(shapes: Sequence[Sequence[Any]]) -> str:
    return ", ".join(str(list(shape)) for shape in shapes)


def _infer(operation: Operation, before: Sequence[Operation]) -> Type:
    from quorate.lang.operations import kind_of

    types = [before[operand].type for operand in operation.operands]
    return kind_of(operation.kind).type_of(types, operation.attributes, operation.type)


def bound_operation(
    operation: Operation, rows: Mapping[str, int], given: Sequence[Operation], bound: Sequence[Operation]
) -> Operation:
    """The operation with all sizes as integers; the same object if all of them are already.

    Args:
        given: the operations before it as they are in the plan.
        bound: the same with all sizes as integers.

    Raises:
        UserError: see `Plan.bind`; the message does not name the operation's place.
    """
    attributes = _bound_attributes(operation.attributes, rows)
    type_ = operation.type.bind(rows)
    shapes = _shapes(type_)
    if any(math.prod(shape) > LARGEST_VALUE for shape in shapes):
        raise UserError(f"a value of shape {_text(shapes)} has more than {LARGEST_VALUE} elements")
    same = attributes is operation.attributes and type_ is operation.type
    declared = operation if same else Operation(operation.kind, operation.operands, attributes, type_, operation.where)
    operands = operation.operands
    if same and [given[operand].type for operand in operands] == [bound[operand].type for operand in operands]:
        inferred = shapes  # when it was recorded, or read
    else:
        inferred = _shapes(_infer(declared, bound))
    if inferred != shapes or (operation.kind == "input" and shapes != [(rows.get(attributes["input"]),)]):
        raise UserError(
            f"has shape {_text(inferred)} with {dict(rows)} rows where the plan needs {_text(shapes)}; an input has "
            "too few rows, or the plan was made for another number"
        )
    return declared


def _bound_attributes(attributes: Attributes, rows: Mapping[str, int]) -> Attributes:
    """Attributes with symbolic sizes, marked {"size": text}, replaced by integers; also in the items of an index."""
    if "index" not in attributes and not any(isinstance(value, dict) for value in attributes.values()):
        return attributes
    return {key: _bound_value(value, rows, key == "index") for key, value in attributes.items()}


def _bound_value(value: Any, rows: Mapping[str, int], inside: bool) -> Any:
    if isinstance(value, dict) and "size" in value:
        return bind_size(parse_size(value["size"]), rows)
    return [_bound_value(item, rows, inside) for item in value] if inside and isinstance(value, list) else value
