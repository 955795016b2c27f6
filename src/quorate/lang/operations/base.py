"""What an operation kind declares, and the registry. A new operation is one module that calls `register`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.kernels.ghost import contiguous
from quorate.lang.dims import Shape, Size, parse_size
from quorate.lang.plan import Operation, Type
from quorate.protocols.base import Protocol
from quorate.sharing.dtype import DType
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Accuracy", "Bounds", "Call", "Error", "Kind", "Range", "Value", "broadcast_shapes", "kind_of", "register"]

Range = tuple[int, int]
"""Smallest and largest raw value, inclusive."""

Bounds = Range | list[Range]
"""The range of a value; of a bundle, those of its parts."""

Value = Share | npt.NDArray[np.int64]
"""What an operation computes on: a share, or public raw integers. A bundle is a list of them."""

PLUG_INS = "quorate.operations"
"""Entry points of this group name modules of other packages that register kinds."""

AnyShare = TypeVar("AnyShare", bound=Share)

Infer = Callable[[Sequence[Type], Mapping[str, Any], Type], Type]
Bound = Callable[["Call"], Bounds]
ErrorRule = Callable[["Accuracy"], "Error | list[Error]"]


@dataclass(slots=True)
class Call:
    """One use of an operation: everything that its `bound`, `local` and `run` may look at.

    `shape` is that of the result, or of the tile of it that is wanted; `values` are empty for `bound`.
    """

    operation: Operation
    types: list[Type]
    ranges: list[Range]
    capacity: int
    p: Protocol
    at: Scope
    values: list[Value]
    shape: tuple[int, ...]

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the operation."""
        return self.operation.attributes.get(name, default)

    def numbers(self, index: int, shape: tuple[int, ...] | None = None) -> Arithmetic:
        """Operand `index` as an arithmetic share, broadcast to `shape` (default: the result's)."""
        value = self.values[index]
        share = value if isinstance(value, Share) else self.p.public(value)
        if not isinstance(share, Arithmetic):
            raise UserError(
                f"operand {index} of {self.operation.kind} is bool where a number is needed; use astype(int)"
            )
        return spread(share, self.shape if shape is None else shape)

    def bits(self, index: int, shape: tuple[int, ...] | None = None) -> Boolean:
        """Operand `index` as a Boolean share of width 1, broadcast likewise."""
        value = self.values[index]
        share = value if isinstance(value, Share) else self.p.public_bits(value.astype(np.uint8))
        if not isinstance(share, Boolean):
            raise UserError(
                f"operand {index} of {self.operation.kind} is a number where a bool is needed; compare first"
            )
        return spread(share, self.shape if shape is None else shape)

    def fits(self, low: int, high: int) -> Range:
        """The range, if it fits the protocol.

        Raises:
            UserError: it does not; the message says how far values may go and what to do.
        """
        limit = 1 << self.capacity
        if low <= -limit or high >= limit:
            reach = max(-low, high).bit_length()
            raise UserError(
                f"{self.operation.kind} may reach 2**{reach} as a raw integer, {self.p.name} holds values below "
                f"2**{self.capacity}; declare narrower ranges for the columns, or use a smaller scale"
            )
        return low, high


class Error(NamedTuple):
    """Worst error of a value, and of its square root where that is known to be better than the value's would give."""

    value: float
    root: float = math.inf


class Accuracy(NamedTuple):
    """An operation with what an error rule looks at.

    Attributes:
        call: the operation; its `values` are empty.
        errors: of the operands, in real units (for `item`, those of the parts of its bundle).
        sizes: largest absolute values of the operands, in real units.
        unit: of the last place of the result.
    """

    call: Call
    errors: Sequence[Error]
    sizes: Sequence[float]
    unit: float

    @property
    def truncation(self) -> float:
        """The worst error of one truncation to the unit of the result."""
        return self.call.p.truncation_error * self.unit


def largest_error(step: Accuracy) -> Error:
    """The rule for operations that move or choose values."""
    return Error(max((error.value for error in step.errors), default=0.0))


@dataclass(frozen=True)
class Kind:
    """A kind of operation.

    Attributes:
        name: as it stands in plans.
        infer: result type from operand types and attributes (and the stated type, for kinds that define theirs);
            raises `UserError` for what cannot be. A kind of several results gives `Type.bundle`.
        bound: range of raw results, a list of them for a bundle; raises `UserError` where values may not fit.
        run: the step; for local kinds a plain function. Gets a `Call`. Its result is a list for a bundle.
        local: whether a use needs no communication.
        elementwise: operands and result have one shape after broadcasting, and elements do not interact.
        opens: what it opens to whom, for `explain`; empty: nothing.
        tiled: how to run a large use of an elementwise kind in tiles, where the general way is not best.
        operands: how many; None for one or more.
        attributes: names of all attributes that it may have.
        error: how far a result can be from exact arithmetic; one `Error`, or for a bundle one for each part.
    """

    name: str
    infer: Infer
    bound: Bound
    run: Callable[[Call], Any]
    local: Callable[[Operation, Sequence[Type]], bool] = lambda operation, types: False
    elementwise: bool = False
    opens: str = ""
    tiled: Callable[[Call], Any] | None = None
    operands: int | None = 2
    attributes: frozenset[str] = frozenset()
    error: ErrorRule = largest_error

    def type_of(self, types: Sequence[Type], attributes: Mapping[str, Any], stated: Type) -> Type:
        """`infer`, after a look at what is given. Raises `UserError`."""
        if (self.operands is not None and len(types) != self.operands) or (not types and self.operands != 0):
            raise UserError(f"{self.name} of {len(types)} operands; it takes {self.operands or 'one or more'}")
        if unknown := sorted(set(attributes) - self.attributes):
            raise UserError(f"{self.name} has no attribute {', '.join(unknown)}")
        if self.name != "item" and any(type_.parts for type_ in types):
            raise UserError(f"{self.name} of a bundle of results; take one of them with item first")
        try:
            return self.infer(types, attributes, stated)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as problem:
            raise UserError(f"malformed attributes or operands ({type(problem).__name__}: {problem})") from None


_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Make a kind known. Raises `UserError` if the name is taken."""
    if kind.name in _KINDS:
        raise UserError(f"an operation named {kind.name!r} is registered already")
    _KINDS[kind.name] = kind
    return kind


def kind_of(name: str) -> Kind:
    """The kind `name`, from this package or another. Raises `UserError` if there is none."""
    if name not in _KINDS:
        _load_plug_ins()
    if name not in _KINDS:
        raise UserError(f"there is no operation {name!r}; this version knows {', '.join(sorted(_KINDS))}")
    return _KINDS[name]


@cache
def _load_plug_ins() -> None:
    """Import what other packages name in the entry point group `quorate.operations`; their modules register kinds.

    Raises:
        UserError: one of them cannot be imported, or takes a name that is taken.
    """
    from importlib.metadata import entry_points  # takes a while, and few need it

    for entry in sorted(entry_points(group=PLUG_INS), key=lambda entry: entry.name):
        try:
            entry.load()
        except Exception as problem:
            package = entry.dist.name if entry.dist is not None else entry.value
            raise UserError(
                f"the operations of the package {package} cannot be loaded ({entry.value}): {problem}; update or "
                "uninstall it"
            ) from problem


def always(operation: Operation, types: Sequence[Type]) -> bool:
    """For `Kind.local`: never communicates."""
    return True


def broadcast_shapes(*shapes: Shape) -> Shape:
    """NumPy's rule, where a row count matches only the same row count or one. Raises `UserError`."""
    if all(shape == shapes[0] for shape in shapes[1:]):
        return shapes[0] if shapes else ()
    result: list[Size] = []
    for position in range(1, max((len(shape) for shape in shapes), default=0) + 1):
        sizes = {shape[-position] for shape in shapes if len(shape) >= position} - {1}
        if len(sizes) > 1:
            raise UserError(f"shapes {', '.join(shape_text(shape) for shape in shapes)} do not broadcast")
        result.append(sizes.pop() if sizes else 1)
    return tuple(reversed(result))


def shape_text(shape: Shape) -> str:
    """A shape for messages."""
    return f"({', '.join(str(size) for size in shape)})"


def concrete(shape: Shape) -> tuple[int, ...]:
    """A shape of a bound plan."""
    for size in shape:
        if not isinstance(size, int):
            raise UserError(f"the shape {shape_text(shape)} is not bound; call plan.bind(rows) first")
    return cast("tuple[int, ...]", shape)


def spread(share: AnyShare, shape: tuple[int, ...]) -> AnyShare:
    """A share broadcast to `shape`."""
    if share.shape == shape:
        return share
    return share.map(lambda part: contiguous(np.broadcast_to(part, shape)))


def whole(value: Any, what: str) -> int:
    """A plain integer from a plan. Raises `UserError` for anything else, bools included."""
    if type(value) is not int:
        raise UserError(f"{what} is {value!r}; it must be a whole number")
    return value


def a_list(value: Any) -> list[Any]:
    """A list from a plan. Raises `UserError` for anything else."""
    if not isinstance(value, list):
        raise UserError(f"{value!r} stands where a list belongs")
    return value


def size_or_number(value: Any, what: str) -> Size:
    """An attribute that is an integer or, before binding, {"size": text}. Raises `UserError`."""
    if isinstance(value, dict) and set(value) == {"size"} and isinstance(value["size"], str):
        return parse_size(value["size"])
    return whole(value, what)


def require_numbers(types: Sequence[Type], what: str) -> None:
    """Raises `UserError` if any operand is bool."""
    if any(type_.dtype.kind == "bool" for type_ in types):
        raise UserError(f"{what} needs numbers; convert a bool with astype(int)")


def same_scale(types: Sequence[Type], what: str) -> DType:
    """The common data type of numeric operands; int and fixed of scale 0 agree with themselves only."""
    require_numbers(types, what)
    kinds = {type_.dtype for type_ in types}
    if len(kinds) != 1:
        raise UserError(f"{what} of {' and '.join(sorted(str(kind) for kind in kinds))}; rescale one first")
    return kinds.pop()
