"""Eight uint64 lanes, or 64 bytes, as one value inside kernels.

The compiler maps them to whatever vector registers the machine has. Loops written with them need no proof that result
and inputs do not overlap, which LLVM otherwise wants before it vectorises. Offsets count elements of flat arrays of
any unsigned dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

__all__ = [
    "WIDTH",
    "add",
    "add_where",
    "bit_and",
    "bit_xor",
    "evens",
    "load",
    "load_word",
    "mul",
    "odds",
    "scaled",
    "shift_left",
    "shift_right",
    "splat",
    "spread_bits",
    "store",
    "store_word",
    "sub",
    "top_bits",
    "zero",
    "zip_high",
    "zip_low",
]

WIDTH = 8
_VECTOR = ir.VectorType(ir.IntType(64), WIDTH)
_OCTETS = ir.VectorType(ir.IntType(8), 8 * WIDTH)
_INDEX = ir.IntType(32)
Lanes = Any


class _LanesType(types.Type):
    """The type of eight lanes inside kernels."""


_lanes = _LanesType("Lanes")


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        cast(Any, super()).__init__(manager, kind, _VECTOR)


def _address(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _load(typing: Any, array: Any, offset: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_address(context, builder, signature.args[0], *args))
        value.align = 1  # arrays and rows start anywhere
        return value

    return _lanes(array, types.intp), generate


def _store(typing: Any, array: Any, offset: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _address(context, builder, signature.args[0], args[0], args[1]), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), generate


def _everywhere(builder: Any, number: Any) -> Any:
    """A uint64 in all lanes."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    single = builder.insert_element(undefined, number, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(ir.VectorType(_INDEX, WIDTH), [0] * WIDTH))


def _scaled(typing: Any, acc: Any, factor: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.add(args[0], builder.mul(_everywhere(builder, args[1]), args[2]))

    return _lanes(_lanes, types.uint64, _lanes), generate


def _add_where(typing: Any, acc: Any, value: Any, flags: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        chosen = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), WIDTH))
        return builder.select(chosen, builder.add(args[0], args[1]), args[0])

    return _lanes(_lanes, _lanes, types.uint8), generate


def _splat(typing: Any, number: Any) -> Any:
    return _lanes(types.uint64), lambda context, builder, signature, args: _everywhere(builder, args[0])


def _top_bits(typing: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        octets = builder.bitcast(args[0], _OCTETS)
        return builder.bitcast(builder.icmp_signed("<", octets, ir.Constant(_OCTETS, None)), ir.IntType(64))

    return types.uint64(_lanes), generate


def _spread_bits(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flags = builder.bitcast(args[0], ir.VectorType(ir.IntType(1), 8 * WIDTH))
        return builder.bitcast(builder.sext(flags, _OCTETS), _VECTOR)

    return _lanes(types.uint64), generate


def _shift_left(typing: Any, value: Any, by: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.shl(args[0], _everywhere(builder, args[1]))

    return _lanes(_lanes, types.uint64), generate


def _shift_right(typing: Any, value: Any, by: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.lshr(args[0], _everywhere(builder, args[1]))

    return _lanes(_lanes, types.uint64), generate


def _octets_of(pattern: Callable[[int], int]) -> Callable[[Any, Any, Any], Any]:
    """64 of the 128 bytes of two values: byte k of the result is byte pattern(k)."""
    places = ir.Constant(ir.VectorType(_INDEX, 8 * WIDTH), [pattern(k) for k in range(8 * WIDTH)])

    def typed(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            first, second = (builder.bitcast(arg, _OCTETS) for arg in args)
            return builder.bitcast(builder.shuffle_vector(first, second, places), _VECTOR)

        return _lanes(_lanes, _lanes), generate

    return typed


def _word_address(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), ir.IntType(64).as_pointer())


def _load_word(typing: Any, array: Any, offset: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_word_address(context, builder, signature.args[0], *args), align=1)

    return types.uint64(array, types.intp), generate


def _store_word(typing: Any, array: Any, offset: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _word_address(context, builder, signature.args[0], args[0], args[1]), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), generate


def _zero(typing: Any) -> Any:
    return _lanes(), lambda context, builder, signature, args: ir.Constant(_VECTOR, [0] * WIDTH)


def _binary(operation: str) -> Callable[[Any, Any, Any], Any]:
    def typed(typing: Any, x: Any, y: Any) -> Any:
        return _lanes(_lanes, _lanes), lambda context, builder, signature, args: getattr(builder, operation)(*args)

    return typed


load = cast(Callable[[Any, int], Lanes], intrinsic(_load))
"""``load(array, offset)``: eight elements from ``offset`` on."""
store = cast(Callable[[Any, int, Lanes], None], intrinsic(_store))
"""``store(array, offset, lanes)``."""
scaled = cast(Callable[[Lanes, Any, Lanes], Lanes], intrinsic(_scaled))
"""``scaled(acc, factor, lanes)``: acc + factor * lanes, with one uint64 factor."""
top_bits = cast(Callable[[Lanes], Any], intrinsic(_top_bits))
"""``top_bits(lanes)``: the highest bits of 64 bytes as one uint64, the first byte's lowest."""
spread_bits = cast(Callable[[Any], Lanes], intrinsic(_spread_bits))
"""``spread_bits(word)``: 64 bytes, all ones where the uint64 word has a one."""
shift_left = cast(Callable[[Lanes, Any], Lanes], intrinsic(_shift_left))
"""``shift_left(lanes, by)``: every uint64 shifted by the same number of bits."""
shift_right = cast(Callable[[Lanes, Any], Lanes], intrinsic(_shift_right))
"""``shift_right(lanes, by)``: likewise to the right, without sign."""
evens = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_octets_of(lambda k: 2 * k)))
"""``evens(a, b)``: bytes 0, 2, 4, ... of a, then those of b."""
odds = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_octets_of(lambda k: 2 * k + 1)))
"""``odds(a, b)``: bytes 1, 3, 5, ... of a, then those of b."""
zip_low = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_octets_of(lambda k: k // 2 + 64 * (k % 2))))
"""``zip_low(a, b)``: the first halves of a and b, byte by byte in turn."""
zip_high = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_octets_of(lambda k: 32 + k // 2 + 64 * (k % 2))))
"""``zip_high(a, b)``: the second halves likewise."""
load_word = cast(Callable[[Any, int], Any], intrinsic(_load_word))
"""``load_word(array, offset)``: eight bytes of a uint8 array as a uint64, the first one lowest."""
store_word = cast(Callable[[Any, int, Any], None], intrinsic(_store_word))
"""``store_word(array, offset, word)``."""
splat = cast(Callable[[Any], Lanes], intrinsic(_splat))
"""``splat(number)``: one uint64 in all lanes."""
add_where = cast(Callable[[Lanes, Lanes, Any], Lanes], intrinsic(_add_where))
"""``add_where(acc, lanes, flags)``: acc + lanes in those lanes whose bit of the uint8 `flags` is set, else acc."""
zero = cast(Callable[[], Lanes], intrinsic(_zero))
add = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("add")))
sub = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("sub")))
bit_and = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("and_")))
bit_xor = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("xor")))
mul = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("mul")))
