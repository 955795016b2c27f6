"""Bringing a secret number into [1/4, 1) by a power of four that stays secret."""

from __future__ import annotations

from typing import Literal, NamedTuple

from quorate.circuits.convert import bits_at, to_bits
from quorate.circuits.logic import or_
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["Normaliser", "normaliser", "working_bits"]


Power = Literal["found", "factor", "root"]


class Normaliser(NamedTuple):
    """Secret powers that belong to a number 0 <= y < 4**pairs.

    For y > 0, y * factor lies in [4**(pairs - 1), 4**pairs) and root * root * factor = 4**pairs; for y = 0 both are 0.
    `found` is 1 for y > 0, else 0. `powers` holds those that were asked for.
    """

    powers: dict[Power, Arithmetic]
    pairs: int


def working_bits(p: Protocol) -> int:
    """Fraction bits of numbers of about one such that products of two of them, up to 4, fit."""
    return (p.capacity - 3) // 2


def normaliser(p: Protocol, at: Scope, y: Arithmetic, width: int, *wanted: Power) -> Step[Normaliser]:
    """The wanted powers for 0 <= y < 2**width: bits, prefix or over pairs of bits, one conversion of bits.

    Costs a decomposition, ceil(log2(width)) rounds of ors and one conversion of ceil(width / 2) bits per number.
    """
    pairs = -(-width // 2)
    words = yield from to_bits(p, at.child("bits"), y, 2 * pairs)
    filled = yield from _prefix_or(p, at.child("prefix"), words, pairs)
    above = filled.map(lambda part: part >> part.dtype.type(2))
    first = p.xor(filled, above)
    weights: dict[Power, list[int]] = {
        "found": [1] * pairs,
        "factor": [4 ** (pairs - 1 - k) for k in range(pairs)],
        "root": [2 ** (k + 1) for k in range(pairs)],
    }
    flags = bits_at(first, [2 * k for k in range(pairs)])
    sums = yield from p.weigh(at.child("flags"), flags, [weights[power] for power in wanted])
    return Normaliser(dict(zip(wanted, sums, strict=True)), pairs)


def _prefix_or(p: Protocol, at: Scope, words: Boolean, pairs: int) -> Step[Boolean]:
    """At even bit 2k: whether any bit at 2k or above is set; odd bits are zero."""
    kind = words.parts[0].dtype.type
    even = kind(sum(1 << (2 * k) for k in range(pairs)))
    odd = words.map(lambda part: (part >> kind(1)) & even)
    found = yield from or_(p, at.child("pairs"), words.map(lambda part: part & even), odd)
    distance = 1
    while distance < pairs:
        moved = found.map(lambda part, by=2 * distance: part >> kind(by))  # type: ignore[misc]
        found = yield from or_(p, at.child(f"distance {distance}"), found, moved)
        distance *= 2
    return found
