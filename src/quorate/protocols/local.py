"""Local operations shared by the protocols: arithmetic modulo 2**64 or 2**61 - 1, and on Boolean words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.kernels import field
from quorate.kernels.ghost import contiguous, is_ghost
from quorate.protocols import adder, signs
from quorate.protocols.base import Integers, Protocol
from quorate.sharing.share import Arithmetic, Boolean, Share
from quorate.sharing.wire import word_type

__all__ = [
    "BooleanLocal",
    "FieldLocal",
    "RingLocal",
    "check_full_words",
    "check_injected",
    "check_shapes",
    "low_words",
    "public_words",
    "ring_words",
    "rows_of",
    "same_shape",
]

Array = npt.NDArray[Any]


class BooleanLocal(Protocol):
    """Exclusive or, for every scheme whose Boolean parts combine by exclusive or."""

    def weigh(self, at: Scope, flags: Boolean, weights: Sequence[Sequence[int]]) -> Step[list[Arithmetic]]:
        numbers = yield from self.to_arithmetic(at, flags)
        trailing = [1] * (len(flags.shape) - 1)
        return [self.sum(self.scale(numbers, np.array(row, np.int64).reshape(-1, *trailing)), 0) for row in weights]

    def negative(self, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
        return (yield from signs.negative(self, at, x, width))

    def zero(self, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
        return (yield from signs.zero(self, at, x, width))

    def carry_level(self, at: Scope, g: Boolean, t: Boolean, positions: int) -> Step[Boolean]:
        return (yield from adder.carry_level(self, at, g, t, positions))

    def xor(self, a: Boolean, b: Boolean) -> Boolean:
        a.same_scheme(b)
        return a.with_parts(tuple(p ^ q for p, q in zip(a.parts, b.parts, strict=True)))


class RingLocal(BooleanLocal):
    """Arithmetic modulo 2**64: NumPy's unsigned integers wrap by themselves."""

    @property
    def modulus_bits(self) -> int:
        return 64

    def add(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        x.same_scheme(y)
        return x.with_parts(tuple(p + q for p, q in zip(x.parts, y.parts, strict=True)))

    def sub(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        x.same_scheme(y)
        return x.with_parts(tuple(p - q for p, q in zip(x.parts, y.parts, strict=True)))

    def scale(self, x: Arithmetic, by: Integers | int) -> Arithmetic:
        factor = as_int64(by).view(np.uint64)
        return x.map(lambda part: part * factor)

    def sum(self, x: Arithmetic, axis: int) -> Arithmetic:
        return x.map(lambda part: np.add.reduce(part, axis=axis, dtype=np.uint64, keepdims=True).squeeze(axis))


class FieldLocal(BooleanLocal):
    """Arithmetic modulo p = 2**61 - 1 on canonical representatives."""

    @property
    def modulus_bits(self) -> int:
        return 61

    def add(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        x.same_scheme(y)
        return x.with_parts(tuple(field.add(*same_shape(p, q)) for p, q in zip(x.parts, y.parts, strict=True)))

    def sub(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        x.same_scheme(y)
        return x.with_parts(tuple(field.sub(*same_shape(p, q)) for p, q in zip(x.parts, y.parts, strict=True)))

    def scale(self, x: Arithmetic, by: Integers | int) -> Arithmetic:
        if isinstance(by, int):
            return x.map(lambda part: field.scale(part, by))
        factor = field.encode_signed(as_int64(by))
        return x.map(lambda part: field.mul(*same_shape(part, factor)))

    def sum(self, x: Arithmetic, axis: int) -> Arithmetic:
        return x.map(lambda part: _field_sum(part, axis))


def _field_sum(x: Array, axis: int) -> Array:
    """Sums modulo p from those of the low 32 and the high 29 bits, neither of which overflows."""
    low = np.add.reduce(x & np.uint64(0xFFFFFFFF), axis=axis, keepdims=True)
    high = np.add.reduce(x >> np.uint64(32), axis=axis, keepdims=True)
    total: Array = field.linear_combination([1, 1 << 32], [field.reduce(low), field.reduce(high)])
    return total.squeeze(axis)


def same_shape(x: Array, y: Array) -> tuple[Array, Array]:
    """Both arrays broadcast against each other."""
    if x.shape == y.shape:
        return x, y
    shape = np.broadcast_shapes(x.shape, y.shape)
    return contiguous(np.broadcast_to(x, shape)), contiguous(np.broadcast_to(y, shape))


def check_shapes(x: Share, y: Share) -> None:
    """Raises `InternalError` unless both shares are of one scheme and shape."""
    x.same_scheme(y)
    if x.shape != y.shape:
        raise InternalError(f"operands of shape {x.shape} and {y.shape}; broadcast first")


def rows_of(part: Array) -> Array:
    """The vectors along the last axis as rows, also if there are none or they are empty."""
    return part.reshape(math.prod(part.shape[:-1]), part.shape[-1])


def as_int64(values: Any) -> Array:
    """Public integers as a contiguous int64 array; ghosts stay ghosts."""
    array = values if is_ghost(values) else np.asarray(values, dtype=np.int64)
    return contiguous(array)  # type: ignore[no-any-return]


def ring_words(values: Integers) -> Array:
    """int64 values as elements of the ring modulo 2**64, C-contiguous."""
    return as_int64(values).view(np.uint64)


def check_full_words(a: Boolean, b: Boolean) -> None:
    """Raises `InternalError` unless both shares are of one scheme and width, which fills their type."""
    a.same_scheme(b)
    if not a.width == b.width == 8 * a.parts[0].dtype.itemsize == 8 * b.parts[0].dtype.itemsize:
        raise InternalError(f"products of words of width {a.width} and {b.width}; they must fill their type")


def check_injected(bit: Boolean, x: Arithmetic) -> None:
    """Raises `InternalError` unless these are bits and numbers of one scheme and shape."""
    if bit.scheme != x.scheme or bit.width != 1 or bit.shape != x.shape:
        raise InternalError(f"bits {bit!r} of width {bit.width} for numbers {x!r}; broadcast first")


def low_words(words: Array, width: int) -> Array:
    """The low `width` bits (8, 16, 32 or 64) of elements of the ring."""
    return words if width == 64 else words.astype(word_type(width))


def public_words(values: npt.NDArray[np.generic], width: int) -> Array:
    """Public values as an unsigned array fit for words of `width` bits."""
    return (values if is_ghost(values) else np.asarray(values)).astype(word_type(width))
