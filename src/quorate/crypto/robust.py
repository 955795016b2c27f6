"""Fixed-key AES as a hash of 128-bit blocks: expansion of seeds, and the hash that makes correlated OTs independent.

Blocks are uint64 arrays (..., 2). The keys are public constants, digests of what they are for. The analyses take AES
under a fixed key for a random permutation.

Sources: Guo, Katz, Wang, Yu, "Efficient and Secure Multiparty Computation from Fixed-Key Block Ciphers", IEEE S&P
2020: section 7.2 for seeds (pi(x) xor x), section 7.4 for the tweakable hash pi(pi(x) xor i) xor pi(x).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quorate.crypto.hashing import digest
from quorate.errors import InternalError
from quorate.kernels import fixed_aes
from quorate.kernels.ghost import ghost, is_ghost
from quorate.kernels.lpn import finish_level, grow_level

__all__ = ["double", "expand", "robust_hash"]

Blocks = npt.NDArray[np.uint64]
_PIECE = 1 << 12  # blocks at a time: 64 KiB, which stays in the cache between the two passes


def _fixed_key(label: str) -> bytes:
    return digest(label.encode(), "quorate/fixed key/1")[:16]


class _Permutation:
    """AES-128 under a constant key."""

    def __init__(self, label: str) -> None:
        # One block at a time is what a permutation is; this is no encryption.
        self._encryptor = Cipher(algorithms.AES(_fixed_key(label)), modes.ECB()).encryptor()  # noqa: S305

    def __call__(self, blocks: Blocks) -> Blocks:
        if not blocks.size:
            return blocks.copy()
        out = np.empty(blocks.size + 2, np.uint64)
        self.into(blocks, out)
        return out[: blocks.size].reshape(blocks.shape)

    def into(self, blocks: Blocks, out: Blocks) -> None:
        """Write to the start of `out` (1-D), which the library wants to have room for one block more."""
        self._encryptor.update_into(blocks.data.cast("B"), out.data.cast("B"))


_HASH = _Permutation("hash")
_SEEDS: dict[int, _Permutation] = {}


def expand(seeds: Blocks, label: int) -> Blocks:
    """pi_label(x) xor x for every block: one of several independent pseudorandom children of a secret random seed."""
    seeds = np.ascontiguousarray(seeds)
    return _seed_permutation(label)(seeds) ^ seeds


def double(nodes: Blocks, sums: Blocks, out: Blocks | None = None) -> Blocks:
    """A level of many trees side by side, (w, trees, 2), contiguous, to the next one: (2 w, trees, 2).

    Row x has the children x, `expand` with label 0, and w + x, label 1. `sums` (2, trees, 2) becomes the sums of both
    kinds; the result is `out`, if that is given, contiguous.
    """
    if out is None:
        out = np.empty((2 * nodes.shape[0], *nodes.shape[1:]), np.uint64)
    if fixed_aes.available and nodes.shape[1] % 4 == 0:
        grow_level(nodes, _seed_keys(), out, sums)
        return out
    size = nodes.size
    flat = np.empty(2 * size + 2, np.uint64)
    _seed_permutation(0).into(nodes, flat[: size + 2])
    _seed_permutation(1).into(nodes, flat[size:])
    out[...] = flat[: 2 * size].reshape(out.shape)
    finish_level(out, nodes, sums)
    return out


def _seed_permutation(label: int) -> _Permutation:
    if label not in _SEEDS:
        _SEEDS[label] = _Permutation(f"seed {label}")
    return _SEEDS[label]


@cache
def _seed_keys() -> Blocks:
    keys = [np.frombuffer(_fixed_key(f"seed {label}"), np.uint64) for label in (0, 1)]
    return fixed_aes.round_keys(np.stack(keys))


@cache
def _hash_keys() -> Blocks:
    return fixed_aes.round_keys(np.frombuffer(_fixed_key("hash"), np.uint64).reshape(1, 2)).reshape(-1)


def robust_hash(blocks: Blocks, first_index: int, flip: Blocks | None = None) -> Blocks:
    """H(x_j, first_index + j) for every row x_j, or for every x_j ^ `flip` (2,): (n, 2) gives (n, 2).

    H is tweakable circular correlation robust: H(x, i) and H(x xor delta, i) for one secret delta look independent
    and uniform. An index must not be used twice with one delta.

    Raises:
        InternalError: not (n, 2) blocks, or indices beyond 2^64.
    """
    if blocks.ndim != 2 or blocks.shape[1] != 2 or blocks.dtype != np.uint64:
        raise InternalError(f"robust_hash: {blocks.dtype} {blocks.shape} are not blocks")
    if first_index < 0 or (first_index + len(blocks)) >> 64:
        raise InternalError(f"robust_hash: indices {first_index} ... are out of range")
    if is_ghost(blocks):
        return ghost(blocks.shape, np.uint64)
    out = np.empty(blocks.shape, np.uint64)
    if fixed_aes.available:
        change = np.zeros(8, np.uint64) if flip is None else np.tile(flip, 4)
        fixed_aes.tweaked_hash(out.reshape(-1), blocks.reshape(-1), change, _hash_keys(), np.uint64(first_index))
        return out
    for start in range(0, len(blocks), _PIECE):
        piece = np.ascontiguousarray(blocks[start : start + _PIECE])
        piece = piece if flip is None else piece ^ flip
        once = _HASH(piece)
        tweaked = once.copy()
        tweaked[:, 0] ^= np.arange(len(piece), dtype=np.uint64) + np.uint64(first_index + start)
        np.bitwise_xor(_HASH(tweaked), once, out=out[start : start + _PIECE])
    return out
