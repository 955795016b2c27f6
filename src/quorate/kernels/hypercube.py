"""Functions on {0, 1}^nu that are linear in each variable, carried over to {0, 1, infinity}^nu, several at a time.

Used by checks of many products at once, see `quorate.protocols.verification`: elements come in 2^nu blocks, and
position j of all blocks together is a function of the block's number. Digit i of a point, to the base 3, belongs to bit
i of the number of a block; digit 2 stands for infinity, the value there is the leading coefficient f(1) - f(0).

Devices for kernels: a buffer holds, one after another, the values of `lanes` functions (a multiple of 8) at a point.
"""

from __future__ import annotations

from quorate.kernels import _simd
from quorate.kernels._jit import Array, Words, device

__all__ = ["extend", "extend_bits", "room"]


def room(nu: int, lanes: int, left: int = 1) -> int:
    """Size of a buffer for `extend`, which leaves the last variables, `left` of them, to its caller."""
    return int(2**left * 3 ** (nu - left) * lanes)


@device
def _gather(buffer: Array, x: Words, first: int, stride: int, nu: int, lanes: int) -> None:
    for block in range(1 << nu):
        for at in range(0, lanes, 8):
            _simd.store(buffer, block * lanes + at, _simd.load(x, block * stride + first + at))


@device
def extend(buffer: Array, x: Words, first: int, stride: int, nu: int, lanes: int, left: int) -> None:
    """Values at all points of the first variables, for all bits of the last ones, `left` of them:
    ``buffer[lanes * (3**(nu - left) * bits + point)]``, of `x[first]` and those after it; blocks are `stride` apart."""
    _gather(buffer, x, first, stride, nu, lanes)
    step = lanes
    for variable in range(nu - left):
        for pair in range((1 << (nu - 1 - variable)) - 1, -1, -1):
            source, target = 2 * pair * step, 3 * pair * step
            for at in range(0, step, 8):
                low, high = _simd.load(buffer, source + at), _simd.load(buffer, source + step + at)
                _simd.store(buffer, target + at, low)
                _simd.store(buffer, target + step + at, high)
                _simd.store(buffer, target + 2 * step + at, _simd.sub(high, low))
        step *= 3


@device
def extend_bits(buffer: Array, x: Words, first: int, stride: int, nu: int, lanes: int, left: int) -> None:
    """The same for words of bits, whose difference is an exclusive or."""
    _gather(buffer, x, first, stride, nu, lanes)
    step = lanes
    for variable in range(nu - left):
        for pair in range((1 << (nu - 1 - variable)) - 1, -1, -1):
            source, target = 2 * pair * step, 3 * pair * step
            for at in range(0, step, 8):
                low, high = _simd.load(buffer, source + at), _simd.load(buffer, source + step + at)
                _simd.store(buffer, target + at, low)
                _simd.store(buffer, target + step + at, high)
                _simd.store(buffer, target + 2 * step + at, _simd.bit_xor(high, low))
        step *= 3
