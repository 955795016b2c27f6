"""Permutations as arrays of integers: ``perm`` moves row perm[i] of an array to row i."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels._jit import Array, Kernel, Words, device, flat_result, kernel, result
from quorate.kernels.ghost import contiguous, ghost, is_ghost

__all__ = ["SPARE", "apply", "apply_add", "apply_sub", "apply_xor", "compose", "from_random_words", "invert"]

Permutation = npt.NDArray[np.integer[Any]]
SPARE = 64
"""Random words that `from_random_words` wants beyond one per row."""


def apply(x: Array, perm: Permutation, out: Array | None = None) -> Array:
    """Rows x[perm[i]] of an array of any dtype and at least one dimension; InternalError for an index out of range.

    ``out`` must not overlap ``x``. With a ghost among the arguments a ghost (or ``out``) is returned.
    """
    shape = _shape(x, perm)
    if is_ghost(x, perm, out):
        return result(out, shape, x.dtype)
    if out is None:
        out = np.empty(shape, x.dtype)
    flat_result(_invert, out, shape)
    _require_inside(x, perm)
    return np.take(x, perm, axis=0, out=out, mode="clip")  # checked above; mode "raise" would gather into a copy


def apply_add(x: Array, perm: Permutation, mask: Array, out: Array | None = None) -> Array:
    """``apply(x, perm) + mask``; ``out`` may be ``mask``. All arrays but ``perm`` have one dtype, an unsigned one."""
    return _masked(_gather_add, x, perm, mask, out)


def apply_sub(x: Array, perm: Permutation, mask: Array, out: Array | None = None) -> Array:
    """``apply(x, perm) - mask``, in other respects as :func:`apply_add`."""
    return _masked(_gather_sub, x, perm, mask, out)


def apply_xor(x: Array, perm: Permutation, mask: Array, out: Array | None = None) -> Array:
    """``apply(x, perm) ^ mask``, in other respects as :func:`apply_add`."""
    return _masked(_gather_xor, x, perm, mask, out)


def invert(perm: Permutation) -> Permutation:
    """The permutation that undoes ``perm``; InternalError if ``perm`` is not a permutation of 0..n-1."""
    if is_ghost(perm):
        return ghost(perm.shape, perm.dtype)
    unset = np.iinfo(perm.dtype).max
    out = np.full(perm.shape, unset, perm.dtype)
    if perm.ndim != 1 or not _invert(out, perm, perm.dtype.type(unset)):
        raise InternalError(
            f"an array of shape {perm.shape} is not a permutation: an index is repeated or out of range"
        )
    return out


def compose(first: Permutation, second: Permutation) -> Permutation:
    """The permutation that acts as ``first``, then ``second``: apply(apply(x, first), second)."""
    return apply(first, second)


def from_random_words(words: Words) -> Permutation:
    """A uniform permutation of n rows from n + `SPARE` uniform uint64 words; uint32 up to 2^32 rows, else int64.

    Fisher and Yates' shuffle (Durstenfeld, CACM 7 (7), 1964) with Lemire's bounded numbers ("Fast Random Integer
    Generation in an Interval", ACM TOMACS 29 (1), 2019): a word that would favour some index is replaced by a spare
    one, so every permutation is equally likely. It takes more than `SPARE` replacements to deviate from that, which
    for n <= 2^32 has a probability below 2^-300. The same words give the same permutation on every machine.
    """
    if words.ndim != 1 or words.dtype != np.uint64 or len(words) < SPARE:
        raise InternalError(f"permutation: n + {SPARE} random uint64 words are needed, got {words.dtype} {words.shape}")
    count = len(words) - SPARE
    kind = np.uint32 if count <= 1 << 32 else np.int64
    if is_ghost(words):
        return ghost(count, kind)
    out: Permutation = np.empty(count, kind)
    _shuffle(out, words)
    return out


def _masked(loop: Kernel[..., None], x: Array, perm: Permutation, mask: Array, out: Array | None) -> Array:
    shape = _shape(x, perm)
    if not x.dtype == mask.dtype == (x if out is None else out).dtype or mask.shape != shape:
        raise InternalError(f"{loop.__name__}: rows {x.dtype} {x.shape} and masks {mask.dtype} {mask.shape}")
    if is_ghost(x, perm, mask, out):
        return result(out, shape, x.dtype)
    if out is None:
        out = np.empty(shape, x.dtype)
    _require_inside(x, perm)
    if perm.size:
        flat = flat_result(loop, out, shape)
        loop(flat, contiguous(x).reshape(-1), perm, contiguous(mask).reshape(-1), math.prod(shape[1:]))
    return out


def _shape(x: Array, perm: Permutation) -> tuple[int, ...]:
    if x.ndim == 0 or perm.ndim != 1:
        raise InternalError(f"permutation: cannot pick rows {perm.shape} of an array of shape {x.shape}")
    return (*perm.shape, *x.shape[1:])


def _require_inside(x: Array, perm: Permutation) -> None:
    if perm.size and (perm.max() >= len(x) or (perm.dtype.kind == "i" and perm.min() < 0)):
        raise InternalError(f"permutation: an index lies outside 0..{len(x) - 1}")


@kernel
def _invert(out: Permutation, perm: Permutation, unset: Any) -> bool:
    for i in range(perm.size):
        target = perm[i]
        if target < 0 or target >= perm.size or out[target] != unset:
            return False
        out[target] = i
    return True


@device
def _high(word: Any, bound: Any) -> Any:
    """The upper 64 bits of the product of two 64-bit numbers."""
    low32, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    cross = (word >> half) * (bound & low32) + (((word & low32) * (bound & low32)) >> half)
    other = (word & low32) * (bound >> half) + (cross & low32)
    return (word >> half) * (bound >> half) + (cross >> half) + (other >> half)


@kernel
def _shuffle(out: Permutation, words: Words) -> None:
    for i in range(out.size):
        out[i] = i
    spare = out.size
    for i in range(out.size - 1, 0, -1):
        bound = np.uint64(i + 1)
        word = words[i]
        low = word * bound
        while low < bound and low < (np.uint64(0) - bound) % bound and spare < words.size:
            word = words[spare]
            low = word * bound
            spare += 1
        j = np.intp(_high(word, bound))
        kept = out[i]
        out[i] = out[j]
        out[j] = kept


@kernel
def _gather_add(out: Array, x: Array, perm: Permutation, mask: Array, width: int) -> None:
    if width == 1:
        for i in range(perm.size):
            out[i] = x[perm[i]] + mask[i]
        return
    for i in range(perm.size):
        start = np.intp(perm[i]) * width
        for k in range(width):
            out[i * width + k] = x[start + k] + mask[i * width + k]


@kernel
def _gather_sub(out: Array, x: Array, perm: Permutation, mask: Array, width: int) -> None:
    if width == 1:
        for i in range(perm.size):
            out[i] = x[perm[i]] - mask[i]
        return
    for i in range(perm.size):
        start = np.intp(perm[i]) * width
        for k in range(width):
            out[i * width + k] = x[start + k] - mask[i * width + k]


@kernel
def _gather_xor(out: Array, x: Array, perm: Permutation, mask: Array, width: int) -> None:
    if width == 1:
        for i in range(perm.size):
            out[i] = x[perm[i]] ^ mask[i]
        return
    for i in range(perm.size):
        start = np.intp(perm[i]) * width
        for k in range(width):
            out[i * width + k] = x[start + k] ^ mask[i * width + k]
