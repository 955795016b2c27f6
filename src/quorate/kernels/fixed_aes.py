"""AES-128 under a fixed, public key with the processor's own instructions, and the hash that is made of it.

Four blocks at a time where the processor has AES instructions on vectors of 512 bits, else one after the other; with no
AES instructions at all `available` is False and nothing here may be called. The key is no secret, and the instructions
take the same time for all data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import binding, ir
from numba.extending import intrinsic

from quorate.kernels import _simd
from quorate.kernels._jit import Words, kernel

__all__ = ["available", "encrypt", "round_keys", "tweaked_hash"]

_FEATURES = binding.get_host_cpu_features()
_WIDE = bool(_FEATURES.get("vaes")) and bool(_FEATURES.get("avx512f"))
available = bool(_FEATURES.get("aes"))
"""Whether this processor has AES instructions."""

_ROUNDS = 10
_BLOCK = ir.VectorType(ir.IntType(64), 2)
_FOUR = ir.VectorType(ir.IntType(64), _simd.WIDTH)
_INDEX = ir.IntType(32)


def round_keys(key: bytes) -> Words:
    """The key schedule of FIPS 197 for a public 16-byte key, each round key four times in a row: (88,) uint64."""
    box = _substitutes()
    words = [list(key[4 * k : 4 * k + 4]) for k in range(4)]
    constant = 1
    for k in range(4, 4 * (_ROUNDS + 1)):
        word = words[-1]
        if k % 4 == 0:
            word = [box[octet] for octet in (*word[1:], word[0])]
            word[0] ^= constant
            constant = _doubled(constant)
        words.append([a ^ b for a, b in zip(words[k - 4], word, strict=True)])
    flat = np.array(words, np.uint8).reshape(_ROUNDS + 1, 16)
    return np.tile(flat, (1, 4)).reshape(-1).view(np.uint64)


def _doubled(octet: int) -> int:
    return (octet << 1) ^ (0x11B if octet & 0x80 else 0)


def _substitutes() -> list[int]:
    """The S-box: the affine map of the inverse in GF(256)."""
    powers = [1]
    for _ in range(254):
        powers.append(powers[-1] ^ _doubled(powers[-1]))  # 3 generates the group
    box = [0x63] * 256
    for k, octet in enumerate(powers):
        inverse = powers[-k % 255]
        turned = inverse | inverse << 8
        box[octet] = (inverse ^ turned >> 7 ^ turned >> 6 ^ turned >> 5 ^ turned >> 4) & 0xFF ^ 0x63
    return box


def _round(builder: Any, name: str, state: Any, key: Any) -> Any:
    """One round on four blocks."""
    if _WIDE:
        kind = ir.FunctionType(_FOUR, [_FOUR, _FOUR])
        return builder.call(_declared(builder, f"llvm.x86.aesni.{name}.512", kind), [state, key])
    function = _declared(builder, f"llvm.x86.aesni.{name}", ir.FunctionType(_BLOCK, [_BLOCK, _BLOCK]))
    halves = [builder.call(function, [_cut(builder, state, k), _cut(builder, key, k)]) for k in range(4)]
    low, high = (_joined(builder, halves[k], halves[k + 1], 4) for k in (0, 2))
    return _joined(builder, low, high, 8)


def _declared(builder: Any, name: str, kind: Any) -> Any:
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)


def _cut(builder: Any, state: Any, number: int) -> Any:
    places = ir.Constant(ir.VectorType(_INDEX, 2), [2 * number, 2 * number + 1])
    return builder.shuffle_vector(state, ir.Constant(_FOUR, ir.Undefined), places)


def _joined(builder: Any, low: Any, high: Any, size: int) -> Any:
    return builder.shuffle_vector(low, high, ir.Constant(ir.VectorType(_INDEX, size), list(range(size))))


def _encrypted(typing: Any, state: Any, keys: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[1])(context, builder, args[1]).data
        value = args[0]
        for number in range(_ROUNDS + 1):
            place = builder.gep(data, [ir.Constant(ir.IntType(64), _simd.WIDTH * number)])
            key = builder.load(builder.bitcast(place, _FOUR.as_pointer()))
            key.align = 1
            if number == 0:
                value = builder.xor(value, key)
            else:
                value = _round(builder, "aesenclast" if number == _ROUNDS else "aesenc", value, key)
        return value

    return state(state, keys), generate


encrypt = cast(Callable[[Any, Words], Any], intrinsic(_encrypted))
"""``encrypt(lanes, keys)``: four blocks, with what `round_keys` gives; for kernels."""


@kernel(dtype=np.uint64)
def tweaked_hash(out: Words, blocks: Words, flip: Words, keys: Words, first: Any) -> None:
    """pi(pi(x) ^ i) ^ pi(x) for flat blocks x, each taken ^ `flip` (8,), and i from `first` on; of 2 words each."""
    last = np.empty(_simd.WIDTH, np.uint64)
    index, step = np.zeros(_simd.WIDTH, np.uint64), np.zeros(_simd.WIDTH, np.uint64)
    for k in range(4):
        index[2 * k] = np.uint64(first) + np.uint64(k)
        step[2 * k] = np.uint64(4)
    change, tweak, more = _simd.load(flip, 0), _simd.load(index, 0), _simd.load(step, 0)
    for start in range(0, blocks.size, _simd.WIDTH):
        if start + _simd.WIDTH <= blocks.size:
            once = encrypt(_simd.bit_xor(_simd.load(blocks, start), change), keys)
            _simd.store(out, start, _simd.bit_xor(encrypt(_simd.bit_xor(once, tweak), keys), once))
        else:
            for k in range(blocks.size - start):
                last[k] = blocks[start + k]
            once = encrypt(_simd.bit_xor(_simd.load(last, 0), change), keys)
            _simd.store(last, 0, _simd.bit_xor(encrypt(_simd.bit_xor(once, tweak), keys), once))
            for k in range(blocks.size - start):
                out[start + k] = last[k]
        tweak = _simd.add(tweak, more)
