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

__all__ = ["WIDTH", "add", "bit_and", "bit_xor", "load", "mul", "scaled", "store", "sub", "zero"]

WIDTH = 8
_VECTOR = ir.VectorType(ir.IntType(64), WIDTH)
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


def _scaled(typing: Any, acc: Any, factor: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        single = builder.insert_element(undefined, args[1], ir.Constant(_INDEX, 0))
        everywhere = ir.Constant(ir.VectorType(_INDEX, WIDTH), [0] * WIDTH)
        return builder.add(args[0], builder.mul(builder.shuffle_vector(single, undefined, everywhere), args[2]))

    return _lanes(_lanes, types.uint64, _lanes), generate


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
zero = cast(Callable[[], Lanes], intrinsic(_zero))
add = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("add")))
sub = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("sub")))
bit_and = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("and_")))
bit_xor = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("xor")))
mul = cast(Callable[[Lanes, Lanes], Lanes], intrinsic(_binary("mul")))
