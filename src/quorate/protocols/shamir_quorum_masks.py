"""Random masks with what is wanted of them besides, for `quorate.protocols.shamir_quorum` where n <= 3t.

A mask r is a uniform element that nobody knows. The first t + 1 parties know what their shares contribute to it, so it
is the sum of t + 1 summands modulo p, each known to one of them, as in `shamir`. Adders on words give its bits, and how
often the sum wraps; a random bit becomes a number as a bit does in `shamir`. All of it is done while all parties are
there, on randomness alone. Products are reduced on the spot, without tuples.

    words         r, and the word r.
    quotients     r, a number that r / 2**f is off from by less than (t + 1) / 2 + 2**-f, and the top bit of r.
    conversions   a random bit, and the same as a number.

With the first, x less r is opened: then x is the sum of two words, one of them public. With the second `truncate` opens
x' - r, and knows from the top bits how often the sum of the two wraps, see `summed_truncation` for k = 2. With the
third a bit is opened under another.

Source: masks with their bits: Damgård, Fitzi, Kiltz, Nielsen, Toft, "Unconditionally Secure Constant-Rounds Multi-party
Computation for Equality, Comparison, Bits and Exponentiation", TCC 2006, section 3. Deviation: the bits of a sum of
what parties know, not random bits that are multiplied by powers of two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.preprocessing.stock import Parts
from quorate.protocols import adder
from quorate.protocols.shamir import Shamir
from quorate.protocols.shamir_parts import BITS
from quorate.protocols.summed_truncation import rounded
from quorate.sharing.share import Arithmetic, Boolean

if TYPE_CHECKING:
    from quorate.protocols.shamir_quorum_tuples import ShamirTuples

__all__ = ["conversions", "quotients", "words"]


def words(p: ShamirTuples, at: Scope, count: int) -> Step[Parts]:
    """(r, and a part of the word r for each of our groups). `p` reduces products on the spot."""
    r = Arithmetic(p.name, (p.random_share(at, (count,)),))
    word, _ = yield from _bits_of(p, at.child("bits"), r)
    return (*r.parts, *word.parts)


def quotients(p: ShamirTuples, at: Scope, count: int, shift: int) -> Step[Parts]:
    """(r, r / 2**shift, top bit of r)."""
    r = Arithmetic(p.name, (p.random_share(at, (count,)),))
    known = [rounded(p.summand(r, party), shift) for party in range(p.threshold + 1)]
    steps: list[Step[Any]] = [_bits_of(p, at.child("bits"), r), p.input_each(at.child("high"), known)]
    (word, wraps), highs = yield from parallel(steps)
    bits = [adder.bit_of(word, BITS - 1), *wraps]
    top, *counts = yield from parallel(
        [Shamir.to_arithmetic(p, at.child(f"bit {k}"), bit) for k, bit in enumerate(bits)]
    )
    high = _sum(p, highs)
    return r.parts[0], p.sub(high, p.scale(_sum(p, counts), 1 << (BITS - shift))).parts[0], top.parts[0]


def conversions(p: ShamirTuples, at: Scope, count: int) -> Step[Parts]:
    """(a part of a random bit for each of our groups, and the bit as a number)."""
    bit = yield from Shamir.random_bits(p, at.child("bit"), (count,))
    number = yield from Shamir.to_arithmetic(p, at.child("number"), bit)
    return (*bit.parts, *number.parts)


def _sum(p: ShamirTuples, terms: list[Arithmetic]) -> Arithmetic:
    total = terms[0]
    for term in terms[1:]:
        total = p.add(total, term)
    return total


def _bits_of(p: ShamirTuples, at: Scope, r: Arithmetic) -> Step[tuple[Boolean, list[Boolean]]]:
    """The word r, and bits whose number is how often p is subtracted when the summands are added up."""
    summands = yield from Shamir.summands(p, at.child("summands"), r)
    u, v, wraps = yield from adder.carry_save(p, at.child("save"), summands)
    word = yield from adder.sum_words(p, at.child("sum"), u, v, BITS)
    odd = [adder.bit_of(each, 0) for each in (u, v, word)]  # p is odd
    return word, [*wraps, p.xor(p.xor(odd[0], odd[1]), odd[2])]
