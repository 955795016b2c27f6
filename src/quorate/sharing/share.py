"""What one party holds of a secret array. The type says what kind of value is shared, `scheme` how.

A share has no truth value, no repr of its content, no pickle and no conversion to an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self, TypeVar

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError, UserError

__all__ = ["Arithmetic", "Array", "Boolean", "Share"]

Array = npt.NDArray[Any]


class Share:
    """One party's part of a secret array: `parts` are arrays of the array's shape, one per held component."""

    __slots__ = ("parts", "scheme")

    def __init__(self, scheme: str, parts: tuple[Array, ...]) -> None:
        self.scheme = scheme
        # NumPy turns 0-d results into scalars, which would warn of overflow and cannot be filled in place.
        self.parts = tuple(np.asanyarray(part) for part in parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the secret array."""
        return self.parts[0].shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.parts[0].size

    def with_parts(self, parts: tuple[Array, ...]) -> Self:
        """The same kind of share with other content."""
        return type(self)(self.scheme, parts)

    def map(self, change: Callable[[Array], Array]) -> Self:
        """Apply a change of shape or order (no arithmetic) to every part."""
        return self.with_parts(tuple(change(part) for part in self.parts))

    def same_scheme(self, other: Share) -> None:
        """Raises `InternalError` unless both are shared in the same way."""
        if self.scheme != other.scheme or type(self) is not type(other):
            raise InternalError(f"cannot combine {self!r} with {other!r}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.scheme} share, shape {self.shape}>"

    def __bool__(self) -> NoReturn:
        raise UserError("a secret has no truth value; use quorate.where(condition, a, b) instead of if")

    def __reduce__(self) -> NoReturn:
        raise UserError("shares are not pickled; keep them with an output of kind 'keep'")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise UserError("a share cannot become an array; reveal it first")


AnyShare = TypeVar("AnyShare", bound=Share)


class Arithmetic(Share):
    """Share of integers modulo the protocol's modulus; parts are uint64."""

    __slots__ = ()


class Boolean(Share):
    """XOR-style share of words of `width` bits: uint8 0/1 for width 1, else the smallest unsigned type that fits."""

    __slots__ = ("width",)

    def __init__(self, scheme: str, parts: tuple[Array, ...], width: int = 1) -> None:
        super().__init__(scheme, parts)
        self.width = width

    def with_parts(self, parts: tuple[Array, ...]) -> Self:
        return type(self)(self.scheme, parts, self.width)


def concatenate(shares: Sequence[AnyShare], axis: int) -> AnyShare:
    """Join shares of one kind along `axis`."""
    first = shares[0]
    for other in shares[1:]:
        first.same_scheme(other)
    columns = zip(*(share.parts for share in shares), strict=True)
    return first.with_parts(tuple(np.concatenate(column, axis=axis) for column in columns))
