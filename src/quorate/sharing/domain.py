"""Where authenticated values live: the field of p = 2^61 - 1, and the ring modulo 2^128 for secrets modulo 2^64.

An element is a tuple of uint64 arrays of one shape, its limbs: one for the field, (low, high) for the ring. Everything
works on ghosts too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import reduce
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from quorate.kernels import field, ring128
from quorate.kernels.ghost import contiguous
from quorate.kernels.order import running_sums

__all__ = ["FIELD", "RING", "Domain", "Element", "Field61", "Ring128"]

Array = npt.NDArray[Any]
Element = tuple[Array, ...]


class Domain(ABC):
    """Arithmetic on elements; shapes broadcast as in NumPy unless said otherwise."""

    limbs: ClassVar[int]
    veiled: ClassVar[bool]
    """Whether elements have limbs above the secret's that nobody may see."""
    secret_bits: ClassVar[int]
    """Of a secret: it is an element modulo 2^64 (ring), or an element (field, 61 bits)."""

    @abstractmethod
    def add(self, x: Element, y: Element) -> Element:
        """x + y."""

    @abstractmethod
    def sub(self, x: Element, y: Element) -> Element:
        """x - y."""

    @abstractmethod
    def mul(self, x: Element, y: Element) -> Element:
        """x * y."""

    @abstractmethod
    def neg(self, x: Element) -> Element:
        """-x."""

    @abstractmethod
    def sum(self, x: Element, axis: int) -> Element:
        """Sum over one axis."""

    @abstractmethod
    def running_sums(self, x: Element) -> Element:
        """Sums of the rows up to each, itself included."""

    @abstractmethod
    def dot(self, x: Element, y: Element) -> Element:
        """Inner products of the rows of two (rows, k) elements."""

    @abstractmethod
    def matmul(self, x: Element, y: Element) -> Element:
        """The matrix product."""

    @abstractmethod
    def weigh(self, weights: Array, x: Element) -> Element:
        """The sum over all positions of weights (from `weights`) times elements, both flat: of shape ()."""

    @abstractmethod
    def weights(self, words: Array) -> Array:
        """Weights from uniform words, in their place: 64 bits for the ring, uniform elements for the field."""

    @abstractmethod
    def beaver(self, d: Element, e: Element, a: Element, b: Element, c: Element, whole: Element) -> Element:
        """c + d * b + e * a + d * e * whole; equal shapes, `whole` of shape ()."""

    @abstractmethod
    def uniform(self, words: Element) -> Element:
        """Uniform elements from uniform words."""

    @abstractmethod
    def received(self, words: Element) -> Element:
        """Elements from whatever a peer has sent as such."""

    @abstractmethod
    def encode(self, values: npt.NDArray[np.int64]) -> Element:
        """Public integers as elements."""

    @abstractmethod
    def decode(self, x: Element) -> npt.NDArray[np.int64]:
        """Opened secrets as integers."""

    @abstractmethod
    def from_words(self, words: Array) -> Element:
        """uint64 words without sign as elements; for the field they must be below p."""

    @abstractmethod
    def said(self, words: Array) -> Element:
        """What a peer has sent as words for secrets, which may be anything, as elements."""

    @abstractmethod
    def power_of_two(self, exponent: int) -> Element:
        """2^exponent, of shape ()."""

    def total(self, terms: list[Element]) -> Element:
        """The sum of at least one element."""
        return reduce(self.add, terms)

    def reshape(self, x: Element, shape: tuple[int, ...]) -> Element:
        """The same elements in another shape."""
        return tuple(limb.reshape(shape) for limb in x)

    def is_zero(self, x: Element) -> bool:
        """Whether all are zero; not for ghosts."""
        return not any(limb.any() for limb in x)


class Field61(Domain):
    """Canonical elements modulo p = 2^61 - 1."""

    limbs: ClassVar[int] = 1
    veiled: ClassVar[bool] = False
    secret_bits: ClassVar[int] = 61

    def add(self, x: Element, y: Element) -> Element:
        return (field.add(*_whole(x[0], y[0])),)

    def sub(self, x: Element, y: Element) -> Element:
        return (field.sub(*_whole(x[0], y[0])),)

    def mul(self, x: Element, y: Element) -> Element:
        return (field.mul(*_whole(x[0], y[0])),)

    def neg(self, x: Element) -> Element:
        return (field.neg(x[0]),)

    def sum(self, x: Element, axis: int) -> Element:
        """From sums of the low 32 and the high 29 bits, neither of which overflows."""
        low = np.add.reduce(x[0] & np.uint64(0xFFFFFFFF), axis=axis, keepdims=True)
        high = np.add.reduce(x[0] >> np.uint64(32), axis=axis, keepdims=True)
        total: Array = field.linear_combination([1, 1 << 32], [field.reduce(low), field.reduce(high)])
        return (total.squeeze(axis),)

    def running_sums(self, x: Element) -> Element:
        return (running_sums(x[0], field.P),)

    def dot(self, x: Element, y: Element) -> Element:
        return (field.dot(x[0], y[0]),)

    def matmul(self, x: Element, y: Element) -> Element:
        return (field.matmul(x[0], y[0]),)

    def weigh(self, weights: Array, x: Element) -> Element:
        return (field.weigh(weights, x[0]),)

    def weights(self, words: Array) -> Array:
        return field.from_random_words(words, out=words)

    def beaver(self, d: Element, e: Element, a: Element, b: Element, c: Element, whole: Element) -> Element:
        return (field.beaver(d[0], e[0], a[0], b[0], c[0], whole[0]),)

    def uniform(self, words: Element) -> Element:
        return (field.from_random_words(words[0]),)

    def received(self, words: Element) -> Element:
        return (field.reduce(words[0]),)

    def encode(self, values: npt.NDArray[np.int64]) -> Element:
        return (field.encode_signed(contiguous(values)),)

    def decode(self, x: Element) -> npt.NDArray[np.int64]:
        return field.decode_signed(x[0])

    def from_words(self, words: Array) -> Element:
        return (words,)

    def said(self, words: Array) -> Element:
        return (field.reduce(words),)

    def power_of_two(self, exponent: int) -> Element:
        return (np.array(pow(2, exponent, field.P), np.uint64),)


class Ring128(Domain):
    """Integers modulo 2^128; of a secret the low 64 bits count."""

    limbs: ClassVar[int] = 2
    veiled: ClassVar[bool] = True
    secret_bits: ClassVar[int] = 64

    def add(self, x: Element, y: Element) -> Element:
        return ring128.add(_pair(x), _pair(y))

    def sub(self, x: Element, y: Element) -> Element:
        return ring128.sub(_pair(x), _pair(y))

    def mul(self, x: Element, y: Element) -> Element:
        return ring128.mul(_pair(x), _pair(y))

    def neg(self, x: Element) -> Element:
        return ring128.neg(_pair(x))

    def sum(self, x: Element, axis: int) -> Element:
        return ring128.sum_axis(_pair(x), axis)

    def running_sums(self, x: Element) -> Element:
        low, high = _pair(x)
        total = running_sums(low, 0)
        carries = (total < low).astype(np.uint64)  # adding a row to the sum of those before it wrapped
        return total, running_sums(contiguous(high + carries), 0)

    def dot(self, x: Element, y: Element) -> Element:
        return ring128.dot(_pair(x), _pair(y))

    def matmul(self, x: Element, y: Element) -> Element:
        return ring128.matmul(_pair(x), _pair(y))

    def weigh(self, weights: Array, x: Element) -> Element:
        return ring128.weigh(weights, _pair(x))

    def weights(self, words: Array) -> Array:
        return words

    def beaver(self, d: Element, e: Element, a: Element, b: Element, c: Element, whole: Element) -> Element:
        return ring128.beaver(_pair(d), _pair(e), _pair(a), _pair(b), _pair(c), _pair(whole))

    def uniform(self, words: Element) -> Element:
        return words

    def received(self, words: Element) -> Element:
        return words

    def encode(self, values: npt.NDArray[np.int64]) -> Element:
        signed = contiguous(values)
        return signed.view(np.uint64), (signed >> np.int64(63)).view(np.uint64)

    def decode(self, x: Element) -> npt.NDArray[np.int64]:
        decoded: npt.NDArray[np.int64] = contiguous(x[0]).view(np.int64)
        return decoded

    def from_words(self, words: Array) -> Element:
        return words, np.zeros_like(words)

    def said(self, words: Array) -> Element:
        return words, np.zeros_like(words)

    def power_of_two(self, exponent: int) -> Element:
        low, high = (1 << exponent) & ((1 << 64) - 1), (1 << exponent) >> 64 & ((1 << 64) - 1)
        return np.array(low, np.uint64), np.array(high, np.uint64)


FIELD, RING = Field61(), Ring128()


def _pair(x: Element) -> ring128.Pair:
    return x[0], x[1]


def _whole(x: Array, y: Array) -> tuple[Array, Array]:
    """Both broadcast against each other."""
    if x.shape == y.shape:
        return x, y
    shape = np.broadcast_shapes(x.shape, y.shape)
    return contiguous(np.broadcast_to(x, shape)), contiguous(np.broadcast_to(y, shape))
