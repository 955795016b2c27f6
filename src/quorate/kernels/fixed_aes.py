"""AES-128 with the processor's own instructions, and the hash that is made of it under a fixed, public key.

Four blocks at a time where the processor has AES instructions on vectors of 512 bits, else one after the other; with no
AES instructions at all `available` is False and nothing here may be called. The instructions take the same time for
all data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from quorate.errors import InternalError
from quorate.kernels import _simd
from quorate.kernels._jit import Words, kernel

__all__ = ["SCHEDULE", "available", "encrypt", "round_keys", "tweaked_hash"]

_FEATURES = binding.get_host_cpu_features()
_WIDE = bool(_FEATURES.get("vaes")) and bool(_FEATURES.get("avx512f"))
available = bool(_FEATURES.get("aes"))
"""Whether this processor has AES instructions."""

_ROUNDS = 10
SCHEDULE = _simd.WIDTH * (_ROUNDS + 1)
"""uint64 words of a key schedule."""
_BLOCK = ir.VectorType(ir.IntType(64), 2)
_FOUR = ir.VectorType(ir.IntType(64), _simd.WIDTH)
_INDEX = ir.IntType(32)


def round_keys(keys: Words) -> Words:
    """The key schedules of FIPS 197 for (n, 2) keys, each round key four times in a row: (n, 88) uint64."""
    if keys.ndim != 2 or keys.shape[1] != 2:
        raise InternalError(f"an array of shape {keys.shape} does not hold keys")
    out = np.empty((keys.shape[0], SCHEDULE), np.uint64)
    _round_keys(out, keys)
    return out


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


def _encrypted(typing: Any, state: Any, keys: Any, start: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[1])(context, builder, args[1]).data
        value = args[0]
        for number in range(_ROUNDS + 1):
            place = builder.gep(data, [builder.add(args[2], ir.Constant(ir.IntType(64), _simd.WIDTH * number))])
            key = builder.load(builder.bitcast(place, _FOUR.as_pointer()))
            key.align = 1
            if number == 0:
                value = builder.xor(value, key)
            else:
                value = _round(builder, "aesenclast" if number == _ROUNDS else "aesenc", value, key)
        return value

    return state(state, keys, types.intp), generate


encrypt = cast(Callable[[Any, Words, int], Any], intrinsic(_encrypted))
"""``encrypt(lanes, keys, start)``: four blocks, with what `round_keys` gives, from that element on; for kernels."""


def _substituted(typing: Any, state: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _round(builder, "aesenclast", args[0], ir.Constant(_FOUR, None))

    return state(state), generate


_substitute = cast(Callable[[Any], Any], intrinsic(_substituted))
"""``_substitute(lanes)``: the S-box of all bytes. All words of 32 bits must be alike, as the rows are shifted too."""


@kernel(dtype=np.uint64)
def _round_keys(out: Words, keys: Words) -> None:
    words, scratch = np.empty(4 * (_ROUNDS + 1), np.uint64), np.empty(_simd.WIDTH, np.uint64)
    low, half, octet = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(8)
    for n in range(keys.shape[0]):
        for k in range(4):
            words[k] = (keys[n, k // 2] >> (half * np.uint64(k % 2))) & low
        constant = np.uint64(1)
        for k in range(4, words.size):
            word = words[k - 1]
            if k % 4 == 0:
                word = (word >> octet) | (word << np.uint64(24)) & low
                _simd.store(scratch, 0, _substitute(_simd.splat(word | word << half)))
                word = (scratch[0] & low) ^ constant
                constant = (constant << np.uint64(1)) ^ (np.uint64(0x11B) * (constant >> np.uint64(7)))
            words[k] = words[k - 4] ^ word
        for k in range(0, words.size, 2):
            for place in range(k // 4 * _simd.WIDTH + k // 2 % 2, k // 4 * _simd.WIDTH + _simd.WIDTH, 2):
                out[n, place] = words[k] | words[k + 1] << half


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
            once = encrypt(_simd.bit_xor(_simd.load(blocks, start), change), keys, 0)
            _simd.store(out, start, _simd.bit_xor(encrypt(_simd.bit_xor(once, tweak), keys, 0), once))
        else:
            for k in range(blocks.size - start):
                last[k] = blocks[start + k]
            once = encrypt(_simd.bit_xor(_simd.load(last, 0), change), keys, 0)
            _simd.store(last, 0, _simd.bit_xor(encrypt(_simd.bit_xor(once, tweak), keys, 0), once))
            for k in range(blocks.size - start):
                out[start + k] = last[k]
        tweak = _simd.add(tweak, more)
