"""Carry-less products of the 64-bit halves of 128-bit lanes, for kernels on the field of 2**64 elements.

A value of `quorate.kernels._simd` holds eight uint64, here four pairs (low, high). The machine's own instruction is
used where there is one, for four pairs at once or one by one; else a loop over the bits, which is some 50 times slower.
Which of them is decided when this module is imported; Numba's cache tells machines apart by their features too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import binding, ir
from numba.core import config
from numba.extending import intrinsic

from quorate.kernels._simd import WIDTH, Lanes, _lanes

__all__ = ["AFFINE", "WAY", "affine", "high_high", "high_low", "low_low", "octets_reversed", "pairs", "products"]

_WORD, _BYTE = ir.IntType(64), ir.IntType(8)
_VECTOR = ir.VectorType(_WORD, WIDTH)
_PAIR = ir.VectorType(_WORD, 2)


def _features() -> dict[str, bool]:
    """What kernels may use on this machine: nothing special where Numba is told to compile for another one."""
    chosen = cast(Any, config)
    if chosen.CPU_NAME or chosen.CPU_FEATURES:
        return {}
    try:
        return dict(binding.get_host_cpu_features())
    except RuntimeError:  # not known on this kind of machine
        return {}


def _choose() -> str:
    features = _features()
    if features.get("vpclmulqdq") and features.get("avx512f"):
        return "wide"
    return "pair" if features.get("pclmul") else "portable"


WAY = _choose()
"""How products are computed: "wide", "pair" or "portable"."""


AFFINE = bool(_features().get("gfni")) and WAY == "wide"
"""Whether `affine` may be used."""
_OCTETS = ir.VectorType(_BYTE, 8 * WIDTH)


def _declared(builder: Any, name: str, kind: Any, result: Any) -> Any:
    known = builder.module.globals.get(name)
    return known if known is not None else ir.Function(builder.module, ir.FunctionType(result, kind), name)


def _wide(builder: Any, a: Any, b: Any, halves: int) -> Any:
    function = _declared(builder, "llvm.x86.pclmulqdq.512", [_VECTOR, _VECTOR, _BYTE], _VECTOR)
    return builder.call(function, [a, b, ir.Constant(_BYTE, halves)])


def _shuffled(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    index = ir.VectorType(ir.IntType(32), len(places))
    return builder.shuffle_vector(a, b, ir.Constant(index, places))


def _joined(builder: Any, parts: list[Any]) -> Any:
    first, second = (_shuffled(builder, parts[k], parts[k + 1], [0, 1, 2, 3]) for k in (0, 2))
    return _shuffled(builder, first, second, list(range(8)))


def _pair_by_pair(builder: Any, a: Any, b: Any, halves: int) -> Any:
    function = _declared(builder, "llvm.x86.pclmulqdq", [_PAIR, _PAIR, _BYTE], _PAIR)
    results = []
    for k in range(0, WIDTH, 2):
        one, other = (_shuffled(builder, x, x, [k, k + 1]) for x in (a, b))
        results.append(builder.call(function, [one, other, ir.Constant(_BYTE, halves)]))
    return _joined(builder, results)


def _portable(builder: Any, a: Any, b: Any, halves: int) -> Any:
    """Both factors of a product to both lanes of its pair; then bit by bit, low halves in the one lane and high halves
    in the other."""
    places = [[k - k % 2 + half for k in range(WIDTH)] for half in (halves & 1, halves >> 4)]
    return builder.call(_bitwise(builder), [_shuffled(builder, x, x, p) for x, p in zip((a, b), places, strict=True)])


def _bitwise(builder: Any) -> Any:
    name = "quorate_carryless"
    known = builder.module.globals.get(name)
    if known is not None:
        return known
    function = ir.Function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR]), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    inner = ir.IRBuilder(function.append_basic_block())
    one = ir.Constant(_VECTOR, [1] * WIDTH)
    total = ir.Constant(_VECTOR, [0] * WIDTH)
    x, y = function.args
    for k in range(64):
        flags = inner.sub(ir.Constant(_VECTOR, [0] * WIDTH), inner.and_(inner.lshr(y, _all(k)), one))
        # A shift by 64 has no meaning: bit 0 of a factor adds nothing to the high half.
        low = inner.shl(x, _all(k))
        high = inner.lshr(x, _all(64 - k)) if k else ir.Constant(_VECTOR, [0] * WIDTH)
        moved = _shuffled(inner, low, high, [j if j % 2 == 0 else WIDTH + j for j in range(WIDTH)])
        total = inner.xor(total, inner.and_(moved, flags))
    inner.ret(total)
    return function


def _all(number: int) -> Any:
    return ir.Constant(_VECTOR, [number] * WIDTH)


_WAYS = {"wide": _wide, "pair": _pair_by_pair, "portable": _portable}


def _product(halves: int, way: str) -> Callable[[Any, Any, Any], Any]:
    def typed(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _WAYS[way](builder, args[0], args[1], halves)

        return _lanes(_lanes, _lanes), generate

    return typed


def _pairs(typing: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _shuffled(builder, args[0], args[1], [j + (WIDTH - 1) * (j % 2) for j in range(WIDTH)])

    return _lanes(_lanes, _lanes), generate


def _affine(typing: Any, x: Any, matrices: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = _declared(builder, "llvm.x86.vgf2p8affineqb.512", [_OCTETS, _OCTETS, _BYTE], _OCTETS)
        octets = [builder.bitcast(arg, _OCTETS) for arg in args]
        return builder.bitcast(builder.call(function, [*octets, ir.Constant(_BYTE, 0)]), _VECTOR)

    return _lanes(_lanes, _lanes), generate


def _octets_reversed(typing: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        octets = builder.bitcast(args[0], _OCTETS)
        places = [8 * (7 - k % 8) + k // 8 for k in range(8 * WIDTH)]
        return builder.bitcast(_shuffled(builder, octets, octets, places), _VECTOR)

    return _lanes(_lanes), generate


def products(way: str) -> tuple[Callable[[Lanes, Lanes], Lanes], ...]:
    """(low_low, high_high, high_low) in one of the ways; for tests of those that this machine would not use."""
    return tuple(cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_product(h, way))) for h in (0x00, 0x11, 0x01))


low_low, high_high, high_low = products(WAY)
"""``low_low(a, b)``: in every pair the 128-bit product of the low halves; ``high_high`` of the high halves;
``high_low`` of the high half of a and the low half of b."""
pairs = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_pairs))
"""``pairs(a, b)``: the low halves of all pairs of a as low halves, and those of b as high halves."""
affine = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_affine))
"""``affine(x, m)``: every byte of a uint64 of x times the 8 x 8 bits of that of m: bit i is the parity of the byte and
byte 7 - i of m. Only where `AFFINE` says so."""
octets_reversed = cast(Callable[[Lanes], Lanes], intrinsic(_octets_reversed))
"""``octets_reversed(x)``: uint64 number k of the result has byte k of all eight, that of the last one lowest."""
