"""What every secret array is: a place in the computation that is being recorded, and the facts about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt

from quorate.errors import UserError
from quorate.lang.dims import Dim, Shape, Size
from quorate.lang.operations.io import constant_values
from quorate.lang.plan import Type
from quorate.sharing.dtype import DType

if TYPE_CHECKING:
    from quorate.lang.categories import Categories
    from quorate.lang.trace import Trace

__all__ = ["Recorded", "axes_of", "axis_of"]


class Recorded:
    """A value of the computation that is being recorded: an operation by its position in the trace."""

    __slots__ = ("position", "trace")

    def __init__(self, trace: Trace, position: int) -> None:
        self.trace = trace
        self.position = position

    @property
    def type(self) -> Type:
        """Data type, shape and visibility."""
        return self.trace.operations[self.position].type

    @property
    def dtype(self) -> DType:
        """int8 to int64, bool or fixed(scale)."""
        return self.type.dtype

    @property
    def shape(self) -> Shape:
        """Sizes; row counts are symbols until the session starts."""
        return self.type.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> Size:
        """Number of elements, perhaps a symbol."""
        return product_of(self.shape)

    @property
    def categories(self) -> Categories | None:
        """The texts that codes 0, 1, 2, ... stand for: public; None for numbers."""
        return self.trace.categories(self)

    def __len__(self) -> int:
        if not self.shape:
            raise UserError("a value without dimensions has no length")
        if not isinstance(self.shape[0], int):
            raise UserError(f"the number of rows ({self.shape[0]}) is not known yet; use .shape[0] or .size")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{self.type}>"

    def known(self) -> npt.NDArray[np.generic] | None:
        """The values, if they are a public constant that is known while recording."""
        operation = self.trace.operations[self.position]
        if operation.kind != "constant" or "values" not in operation.attributes:
            return None
        return operation.type.dtype.decode(constant_values(operation.attributes))

    def record(self, kind: str, *others: Recorded, **attributes: Any) -> Self:
        """The result of an operation on this array and others."""
        return cast(Self, self.trace.record(kind, [self, *others], **attributes))

    def unpacked(self, kind: str, *others: Recorded, **attributes: Any) -> list[Self]:
        """The results of an operation that has several."""
        return cast("list[Self]", self.trace.unpack(self.record(kind, *others, **attributes)))

    def constant(self, values: Any, dtype: DType) -> Self:
        """Public values in the computation of this array."""
        return cast(Self, self.trace.constant(values, dtype))


def product_of(sizes: Sequence[Size]) -> Size:
    """The product of sizes. Raises `UserError` if two of them are row counts."""
    total: Size = 1
    for size in sizes:
        if not isinstance(total, int) and not isinstance(size, int):
            raise UserError("the product of two row counts is not a size; reduce one axis first")
        total = total * size if isinstance(size, int) else size * cast(int, total)
    return total


def axis_of(axis: Any, ndim: int) -> int:
    """One axis, counted from the front. Raises `UserError` if there is no such axis."""
    if isinstance(axis, bool) or not hasattr(axis, "__index__") or isinstance(axis, Recorded | Dim):
        raise UserError(f"axis {axis!r} is not a whole number")
    if not -ndim <= axis < ndim:
        raise UserError(f"axis {axis} is out of range for an array of {ndim} dimensions")
    return int(axis) % ndim


def axes_of(axis: Any, ndim: int) -> list[int]:
    """The axes that an argument `axis` means: one, a tuple of them, or None for all; sorted.

    Raises:
        UserError: there is no such axis, or one is named twice.
    """
    if axis is None:
        return list(range(ndim))
    axes = [axis_of(one, ndim) for one in (axis if isinstance(axis, tuple | list) else (axis,))]
    if len(set(axes)) < len(axes):
        raise UserError(f"the axes {axis} name one of {ndim} dimensions twice")
    return sorted(axes)
