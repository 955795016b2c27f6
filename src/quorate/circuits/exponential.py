"""Powers with a secret exponent: 2**t, e**t.

The exponent is scaled so that the protocol's modulus is `blocks` times `width` binary orders. A summand a then stands
for width * (J + g) orders, J a block and g a part of one: by itself it gives 2**(width * g), and which block it is in
as a vector of ones and zeros. Blocks add up modulo `blocks`, parts below 1 each make powers below 2**(2 width), so

    2**t = sum over j of [J_0 = j] 2**(width * g_0) * 2**(width * (g_1 + (J_1 + j modulo blocks)) + floor)

is one inner product, the wrap included: a sum of parts above 1 is worth no carry, and the highest block counts as -1.

Source: Kelkar, Le, Raykova, Seth, "Secure Poisson Regression", USENIX Security 2022, for the idea to let each party
take the power of its summand. Deviation: vectors of blocks instead of a promise that the exponent is small.

Error, with digits a of the plan: relative 2**-a, and one `truncation_error` and 1/4 unit for every group. Groups are
ranges of blocks that have their own inner product, since all would not fit one with enough digits.

Cost with rep3: (8 blocks + 16, 16, 16) bytes for each group, 3 rounds. With more than two summands the blocks and the
power of the rest are joined summand by summand. Exponents so low that the result is less than a quarter of a unit give
0; if the range has such, the comparison runs beside the rest, with `inject` after both. Protocols without functions of
summands, and those with too many (`series.traits`), go by the bits of the exponent: `bit_power`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.circuits import bit_power
from quorate.circuits.bit_power import BitPower
from quorate.circuits.compare import is_negative
from quorate.circuits.series import Traits, traits, turned
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.kernels.analytic import powers, weighted_powers
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Function, Protocol
from quorate.sharing.share import Arithmetic

__all__ = ["LOG2_E", "Power", "power", "power_error", "power_plan"]

LOG2_E = Fraction(0x171547652B82FE1777D0FFDA0D23A7D12, 1 << 128)
"""log2(e), to 128 fraction bits."""

MOST_BLOCKS = 32
FINEST, COARSEST, GOOD = 40, 14, 24
"""Digits of a factor: the most, the fewest that are accepted, and those that suffice in any case."""

GROUP, BLOCK, CUT = 48, 8, 64
"""Bytes that a group, a block of it and a cut cost in all with rep3."""

EMPTY = -2000.0
"""An exponent that gives 0."""


class Group(NamedTuple):
    """Blocks from `first` to `last`, whose results are computed with digits + lift fraction bits."""

    first: int
    last: int
    lift: int


class Power(NamedTuple):
    """How a power is computed; exponents start at `floor` binary orders, and below `cut` (raw) the result is 0."""

    blocks: int
    width: int
    floor: int
    digits: int
    groups: tuple[Group, ...]
    turn: int
    start: int
    cut: int | None

    @property
    def cost(self) -> int:
        """Bytes in all with rep3."""
        return len(self.groups) * (GROUP + BLOCK * self.blocks) + (0 if self.cut is None else CUT)


def power(
    p: Protocol, at: Scope, x: Arithmetic, *, rate: Fraction, low: int, high: int, scale: int
) -> Step[Arithmetic]:
    """2**(x * rate + scale) for low <= x <= high, elementwise; for the error see `power_error`.

    Raises:
        UserError: results would not fit the protocol with `COARSEST` digits.
    """
    how = power_plan(p, rate=rate, low=low, high=high, scale=scale)
    place = at.child("power")
    steps: list[Step[Any]] = [
        bit_power.power(p, place, traits(p), x, how) if isinstance(how, BitPower) else _power(p, place, x, how, scale)
    ]
    if how.cut is not None:
        over = p.add_public(x, np.asarray(-how.cut, np.int64))
        reach = max(abs(low - how.cut), abs(high - how.cut)).bit_length()
        steps.append(is_negative(p, at.child("cut"), over, reach))
    results = yield from parallel(steps)
    result: Arithmetic = results[0]
    for flag in results[1:]:
        result = p.sub(result, (yield from p.inject(at.child("choice"), flag, result)))
    return result


def power_plan(p: Protocol, *, rate: Fraction, low: int, high: int, scale: int) -> Power | BitPower:
    """How `power` goes.

    Raises:
        UserError: see `power`.
    """
    t = traits(p)
    how = (_cheapest if t.summands else bit_power.plan)(t, rate, low, high, scale)
    if how is None:
        raise UserError(
            f"a power up to 2**{math.ceil(high * rate)} with {scale} fraction bits does not fit {p.name} with an error "
            f"below 2**-{COARSEST} of it; clip the exponent, declare a narrower range, or use fewer fraction bits"
        )
    return how


def power_error(p: Protocol, how: Power | BitPower, rate: Fraction, low: int, high: int) -> tuple[float, float]:
    """Worst error of `power`: relative, and in units of the last place. The error of the result is at most their sum.

    Relative: the rounding of the left factors and, where there is more than one group, the right ones; with more than
    two summands their joining; the rounded turn of a unit of x; the computation of the factors.
    """
    t, largest = traits(p), max(abs(low), abs(high))
    if isinstance(how, BitPower):
        return bit_power.error(t, how, rate, largest)
    exact = t.modulus * rate / (how.blocks * how.width)
    orders = (float(abs(how.turn - exact)) * largest + 0.5) / t.modulus + t.summands * 2.0**-61
    own = math.ldexp(1.0 + (t.summands - 2) * (t.truncation + 1), -how.digits)
    return own + orders * how.blocks * how.width + math.ldexp(t.summands, -43), len(how.groups) * (t.truncation + 0.25)


@cache
def _cheapest(t: Traits, rate: Fraction, low: int, high: int, scale: int) -> Power | None:
    """The cheapest plan with enough digits, else the one with most; with a cut where it helps."""
    cuts: list[int | None] = [None]
    if low * rate < -(scale + 3):
        cuts.append(math.ceil(-(scale + 2) / rate))
    top = math.ceil(high * rate)
    wanted = min(GOOD, max(COARSEST, top + scale))
    plans = [
        plan
        for cut in cuts
        for blocks in _numbers_of_blocks()
        for plan in _plans(
            t, rate, blocks, math.floor((low if cut is None else min(cut, high)) * rate), high, scale, cut
        )
    ]
    enough = [plan for plan in plans if plan.digits >= wanted]
    if enough:
        return min(enough, key=lambda plan: (plan.cost, -plan.digits))
    return max(plans, key=lambda plan: (plan.digits, -plan.cost), default=None)


def _numbers_of_blocks() -> Iterator[int]:
    blocks = 2
    while blocks <= MOST_BLOCKS:
        yield blocks
        blocks *= 2


def _plans(
    t: Traits, rate: Fraction, blocks: int, floor: int, high: int, scale: int, cut: int | None
) -> Iterator[Power]:
    """With so many blocks and one, two or three groups the plan with most digits."""
    usable = blocks - (t.summands - 1)
    if usable < 1:
        return
    width = math.floor((high * rate - floor) / usable) + 1
    if width > 16:
        return
    turn, start = (round(t.modulus * value / (blocks * width)) for value in (rate, Fraction(floor)))
    for count in (1, 2, 3):
        for digits in range(_most_digits(t, width), COARSEST - 1, -1):
            groups = _groups(t, width, floor, math.ceil(high * rate), scale, digits)
            if groups is not None and len(groups) <= count:
                yield Power(blocks, width, floor, digits, groups, turn, start, cut)
                break


def _most_digits(t: Traits, width: int) -> int:
    """So many that a power can be computed (`kernels.analytic`), and with more than two summands the product of two."""
    alone = min(FINEST, 49 - width)
    return alone if t.summands == 2 else min(alone, (t.capacity - 1 - t.summands * width) // 2)


def _groups(t: Traits, width: int, floor: int, top: int, scale: int, digits: int) -> tuple[Group, ...] | None:
    """Ranges of blocks with inner products below the capacity; None where not even one block fits.

    The lift of the first is such that what is lost by rounding its right factors (with more than two summands, by
    leaving out blocks that are too low) is less than an eighth of a unit, that of the others such that their right
    factors have `digits` digits.
    """
    room, block, groups = t.capacity - 1 - digits, 1 - t.summands, list[Group]()
    lift = scale + (1 if t.summands == 2 else t.summands) * width + 2
    while block * width + floor <= top:
        last = block
        while lift + min(top, (last + t.summands) * width + floor) <= room and last * width + floor <= top:
            last += 1
        if last == block or digits + lift <= scale:
            return None
        groups.append(Group(block, last - 1, lift))
        block = last
        lift = max(digits - (block * width + floor), scale - digits + 1)
    return tuple(groups)


def _power(p: Protocol, at: Scope, x: Arithmetic, how: Power, scale: int) -> Step[Arithmetic]:
    """The power without a look at `cut`."""
    angle = turned(p, x, how.turn, how.start)
    shifts = [how.digits + group.lift - scale for group in how.groups]
    places = [at.child(f"group {k}") for k in range(len(shifts))]
    if p.summand_count == 2:
        functions = [_factors(how, group, p.modulus_bits) for group in how.groups]
        parts = yield from parallel(
            [
                p.known_dot(place, angle, function, how.blocks, shift)
                for place, function, shift in zip(places, functions, shifts, strict=True)
            ]
        )
    else:
        blocks, fine = yield from _parts(p, at.child("known"), angle, how)
        chosen, rest = yield from parallel(
            [_blocks(p, at.child("blocks"), blocks, how), _rest(p, at.child("rest"), fine, how)]
        )
        parts = yield from parallel(
            [
                _of_group(p, place, chosen, rest, how, group, shift)
                for place, group, shift in zip(places, how.groups, shifts, strict=True)
            ]
        )
    total = parts[0]
    for part in parts[1:]:
        total = p.add(total, part)
    return total


def _exponents(how: Power, group: Group, summands: int) -> list[int | None]:
    """Per block modulo `blocks` the binary orders of its right factor; None for blocks of other groups."""
    result: list[int | None] = [None] * how.blocks
    for block in range(group.first, group.last + 1):
        if block < how.blocks - summands + 1:
            result[block % how.blocks] = block * how.width + how.floor + group.lift
    return result


def _factors(how: Power, group: Group, modulus_bits: int) -> Function:
    exponents = np.array([EMPTY if e is None else e for e in _exponents(how, group, 2)], np.float64)

    def factors(words: npt.NDArray[np.uint64], index: int) -> npt.NDArray[np.int64]:
        if index == 0:
            return powers(words, how.blocks, how.width, how.digits, modulus_bits)
        return weighted_powers(words, how.width, exponents, modulus_bits)

    return factors


# -- more than two summands ------------------------------------------------------------------------------------------


def _parts(p: Protocol, at: Scope, angle: Arithmetic, how: Power) -> Step[tuple[list[Arithmetic], list[Arithmetic]]]:
    """Of every summand which block it is in, as a vector of ones and zeros (blocks, ...), and the power of its part of
    a block. In one go, since another call of `known` may take other summands."""

    def function(words: npt.NDArray[np.uint64], index: int) -> npt.NDArray[np.int64]:
        places = powers(words, how.blocks, 0, 0, p.modulus_bits)
        columns = powers(words, how.blocks, how.width, how.digits, p.modulus_bits)
        return np.concatenate([places, np.add.reduce(columns, axis=0, keepdims=True)])

    known = yield from p.known(at, angle, function, how.blocks + 1)
    blocks = [share.map(lambda part: part[:-1]) for share in known]
    return blocks, [share.map(lambda part: part[-1]) for share in known]


def _blocks(p: Protocol, at: Scope, blocks: list[Arithmetic], how: Power) -> Step[Arithmetic]:
    """In which block the summands add up to, as a vector of ones and zeros: (..., blocks). Exact."""
    vectors = [share.map(lambda part: contiguous(np.moveaxis(part, 0, -1))) for share in blocks]
    total, order = vectors[0], np.arange(how.blocks)
    for k, other in enumerate(vectors[1:]):
        turned = other.map(lambda part: contiguous(part[..., (order[:, None] - order) % how.blocks]))
        spread = total.map(lambda part: contiguous(np.broadcast_to(part[..., None, :], (*part.shape, how.blocks))))
        total = yield from p.dot(at.child(f"summand {k + 1}"), spread, turned)
    return total


def _rest(p: Protocol, at: Scope, parts: list[Arithmetic], how: Power) -> Step[Arithmetic]:
    """The product of the powers of all parts, with `digits` fraction bits."""
    total = parts[0]
    for k, other in enumerate(parts[1:]):
        total = yield from p.mul(at.child(f"{k + 1}"), total, other, how.digits)
    return total


def _of_group(
    p: Protocol, at: Scope, chosen: Arithmetic, rest: Arithmetic, how: Power, group: Group, shift: int
) -> Step[Arithmetic]:
    """The power for the blocks of one group, 0 for others."""
    weights = np.array([0 if e is None or e < 0 else 1 << e for e in _exponents(how, group, p.summand_count)], np.int64)
    whole = p.sum(p.scale(chosen, weights), len(chosen.shape) - 1)
    return (yield from p.mul(at, whole, rest, shift))
