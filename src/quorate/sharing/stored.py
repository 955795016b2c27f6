"""Shares and arrays as bytes: a readable form that says what follows, then the content, little-endian.

For what a party keeps between sessions and for what it needs to go on after a restart. Whoever stores it encrypts it.
Reading checks everything: a form that makes no sense, or that the bytes do not fit, is refused.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from quorate.errors import EnvironmentFault
from quorate.kernels.ghost import ghost, is_ghost
from quorate.sharing.share import Arithmetic, Boolean, Share
from quorate.sharing.wire import word_type

__all__ = ["Form", "Part", "Reader", "content_of", "form_of", "public_form"]

Array = npt.NDArray[Any]
_WORDS = ("|u1", "<u2", "<u4", "<u8")
_PUBLIC = (*_WORDS, "|b1", "|i1", "<i2", "<i4", "<i8", "<f8")
PUBLIC = "Public"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One array: NumPy's name of its type, and its shape; a ghost has no content."""

    dtype: str
    shape: tuple[int, ...]
    ghost: bool = False


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a share is: "Arithmetic" or "Boolean", how it is shared, its width in bits (Boolean only), and its parts.

    A public array is of the kind "Public" and has one part.
    """

    kind: str
    scheme: str
    width: int
    parts: tuple[Part, ...]


def form_of(share: Share) -> Form:
    """The form of a share."""
    width = share.width if isinstance(share, Boolean) else 0
    return Form(type(share).__name__, share.scheme, width, tuple(_part(part) for part in share.parts))


def public_form(values: Array) -> Form:
    """The form of an array that is no share."""
    return Form(PUBLIC, "", 0, (_part(values),))


def content_of(arrays: tuple[Array, ...]) -> bytes:
    """The bytes of some arrays; none for ghosts."""
    return b"".join(_little_endian(array).tobytes() for array in arrays if not is_ghost(array))


class Reader:
    """Takes arrays and shares from bytes, one after the other.

    Args:
        body: what `content_of` gave, joined.
        where: the name of the file or record, for messages.
        ghosts: whether arrays without content are to be expected.
    """

    def __init__(self, body: bytes | memoryview, where: str, *, ghosts: bool = False) -> None:
        self._body = memoryview(body)
        self._where = where
        self._ghosts = ghosts
        self._place = 0

    def share(self, form: Form) -> Share:
        """The next share.

        Raises:
            EnvironmentFault: the form makes no sense, or there are too few bytes.
        """
        boolean = form.kind == "Boolean"
        if form.kind not in ("Arithmetic", "Boolean") or not form.parts or (boolean != (1 <= form.width <= 64)):
            raise self._damaged(f"a share of kind {form.kind[:20]!r} and {form.width} bits")
        wanted = word_type(form.width) if boolean else np.dtype(np.uint64)
        for part in form.parts:
            if part.dtype != wanted.newbyteorder("<").str:
                raise self._damaged(f"a part of type {part.dtype[:20]!r} in a share of {wanted}")
        parts = tuple(self._array(part, _WORDS) for part in form.parts)
        return Boolean(form.scheme, parts, form.width) if boolean else Arithmetic(form.scheme, parts)

    def public(self, form: Form) -> Array:
        """The next array that is no share. Raises `EnvironmentFault` as `share` does."""
        if form.kind != PUBLIC or len(form.parts) != 1:
            raise self._damaged(f"kind {form.kind[:20]!r} where a public array is stored")
        return self._array(form.parts[0], _PUBLIC)

    def end(self) -> None:
        """Raises `EnvironmentFault` unless everything was taken."""
        if self._place != len(self._body):
            raise self._damaged(f"{len(self._body) - self._place} bytes too many")

    def _array(self, part: Part, allowed: tuple[str, ...]) -> Array:
        if part.dtype not in allowed:
            raise EnvironmentFault(
                f"{self._where}: holds an unknown type {part.dtype[:20]!r}; it was written by another release"
            )
        if any(size < 0 for size in part.shape) or len(part.shape) > 32:
            raise self._damaged("an impossible shape")
        dtype, count = np.dtype(part.dtype), math.prod(part.shape)
        if part.ghost:
            if not self._ghosts:
                raise self._damaged("an array without content")
            return ghost(part.shape, dtype.newbyteorder("="))
        start, self._place = self._place, self._place + count * dtype.itemsize
        if self._place > len(self._body):
            raise self._damaged("too few bytes")
        array = np.frombuffer(self._body, dtype, count, start).reshape(part.shape)
        if dtype == np.bool_ and np.any(array.view(np.uint8) > 1):
            raise self._damaged("a bool that is neither true nor false")
        return array.astype(dtype.newbyteorder("="))

    def _damaged(self, what: str) -> EnvironmentFault:
        return EnvironmentFault(f"{self._where}: damaged: it has {what}; restore it from a backup")


def _part(array: Array) -> Part:
    return Part(array.dtype.newbyteorder("<").str, array.shape, is_ghost(array))


def _little_endian(array: Array) -> Array:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
