"""Square root of a secret.

Source: Goldschmidt's iteration for square root and its reciprocal, as in Markstein, "Software Division and Square Root
Using Goldschmidt's Algorithms", RNC 2004. Deviation: normalisation to [1/4, 1) by a secret power of four.
"""

from __future__ import annotations

import numpy as np

from quorate.circuits.divide import scaled_product
from quorate.circuits.normalise import normaliser, working_bits
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

__all__ = ["RELATIVE_ERROR", "check_root", "sqrt"]

RELATIVE_ERROR = 2.0**-23
"""Worst relative error, to which a unit of the last place is added; both times the protocol's `truncation_error`."""

ITERATIONS = 4
START, SLOPE = 2.12, 1.1875


def sqrt(p: Protocol, at: Scope, x: Arithmetic, *, bits: int, shift_in: int, scale: int) -> Step[Arithmetic]:
    """sqrt(x / 2**shift_in) * 2**scale for 0 <= x < 2**bits, elementwise; for the error see `RELATIVE_ERROR`.

    Raises:
        UserError: the result does not fit the protocol's range.
    """
    drop = check_root(p, bits=bits, shift_in=shift_in, scale=scale)
    if shift_in % 2:
        x, bits = p.add(x, x), bits + 1
    powers = yield from normaliser(p, at.child("normalise"), x, bits, "factor", "root")
    work, digits = working_bits(p), 2 * powers.pairs
    d = yield from scaled_product(p, at.child("normal"), x, powers.powers["factor"], digits, work)
    root = yield from _normal_root(p, at.child("root"), d, work)
    if drop > p.capacity:
        return p.public(np.zeros(x.shape, np.int64))
    return (yield from p.mul(at.child("scale"), root, powers.powers["root"], drop))


def check_root(p: Protocol, *, bits: int, shift_in: int, scale: int) -> int:
    """How many bits `sqrt` drops at its end.

    Raises:
        UserError: numbers of that many bits, or a result that fine, do not fit the protocol.
    """
    odd, work = shift_in % 2, working_bits(p)
    pairs = -(-(bits + odd) // 2)
    if 2 * pairs > p.capacity or work + pairs + 1 > p.capacity:
        raise UserError(f"a square root of numbers of {bits} bits does not fit {p.name}; declare narrower ranges")
    drop = work - (scale - (shift_in + odd) // 2)
    if drop < 1:
        raise UserError(f"a square root with {scale} fraction bits is finer than {p.name} can compute; use fewer")
    return drop


def _normal_root(p: Protocol, at: Scope, d: Arithmetic, work: int) -> Step[Arithmetic]:
    """The square root of d in [1/4, 1), with `work` fraction bits."""
    start = np.asarray(round(START * (1 << work)), np.int64)
    slope_bits = 4
    slope = yield from p.truncate(at.child("slope"), p.scale(d, -round(SLOPE * (1 << slope_bits))), slope_bits)
    inverse = p.add_public(slope, start)
    g = yield from p.mul(at.child("start"), d, inverse, work)
    h = yield from p.truncate(at.child("half"), inverse, 1)
    half = np.asarray(1 << (work - 1), np.int64)
    for k in range(ITERATIONS):
        here = at.child(f"iteration {k}")
        product = yield from p.mul(here.child("r"), g, h, work)
        r = p.add_public(p.neg(product), half)
        more_g, more_h = yield from parallel([p.mul(here.child("g"), g, r, work), p.mul(here.child("h"), h, r, work)])
        g, h = p.add(g, more_g), p.add(h, more_h)
    return g
