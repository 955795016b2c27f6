"""Permutations as int64 arrays: ``perm`` moves row perm[i] of an array to row i."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels._jit import Array, Words, flat_result, kernel, result
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["apply", "compose", "from_random_words", "invert"]

Permutation = npt.NDArray[np.int64]


def apply(x: Array, perm: Permutation, out: Array | None = None) -> Array:
    """Rows x[perm[i]] of an array of any dtype and at least one dimension; InternalError for an index out of range.

    ``out`` must not overlap ``x``. With a ghost among the arguments a ghost (or ``out``) is returned.
    """
    if x.ndim == 0 or perm.ndim != 1:
        raise InternalError(f"permutation: cannot pick rows {perm.shape} of an array of shape {x.shape}")
    shape = (*perm.shape, *x.shape[1:])
    if is_ghost(x, perm, out):
        return result(out, shape, x.dtype)
    if out is None:
        out = np.empty(shape, x.dtype)
    flat_result(_invert, out, shape)
    if perm.size and (perm.min() < 0 or perm.max() >= len(x)):
        raise InternalError(f"permutation: an index lies outside 0..{len(x) - 1}")
    return np.take(x, perm, axis=0, out=out, mode="clip")  # checked above; mode "raise" would gather into a copy


def invert(perm: Permutation) -> Permutation:
    """The permutation that undoes ``perm``; InternalError if ``perm`` is not a permutation of 0..n-1."""
    if is_ghost(perm):
        return ghost(perm.shape, np.int64)
    out = np.full(perm.shape, -1, np.int64)
    if perm.ndim != 1 or not _invert(out, perm):
        raise InternalError(
            f"an array of shape {perm.shape} is not a permutation: an index is repeated or out of range"
        )
    return out


def compose(first: Permutation, second: Permutation) -> Permutation:
    """The permutation that acts as ``first``, then ``second``: apply(apply(x, first), second)."""
    return apply(first, second)


def from_random_words(words: Words) -> Permutation:
    """The permutation that sorts n uniform uint64 words, (n,): uniform but for equal words.

    Two words are equal with probability below n^2 / 2^65, which is negligible; such words keep their order, so that
    every machine gets the same permutation from the same words.
    """
    if words.ndim != 1 or words.dtype != np.uint64:
        raise InternalError(f"permutation: random words must be 1-D uint64, got {words.dtype} {words.shape}")
    if is_ghost(words):
        return ghost(words.shape, np.int64)
    return np.argsort(words, kind="stable").astype(np.int64, copy=False)


@kernel(dtype=np.int64)
def _invert(out: Permutation, perm: Permutation) -> bool:
    for i in range(perm.size):
        target = perm[i]
        if target < 0 or target >= perm.size or out[target] != -1:
            return False
        out[target] = i
    return True
