"""Shuffling rows by switches, for protocols that have no better way: conditional swaps by products and ands alone.

Groups of parties take turns. The members of a group draw one uniform order, which they all know and nobody else does,
and share which switches of a permutation network (`kernels.switching`) swap. A layer of switches is one product for
numbers, one and for words: with the bit c of a switch, d = c (x - y) is taken from x and added to y. In the end the
order is the product of the orders of all groups, so a coalition that has nobody in one of the groups knows nothing of
it: then the order of that group is uniform and independent of all that the coalition knows.

Sources: parties permute in turn through Waksman's network, whose control bits each of them puts in, in Huang, Evans,
Katz, "Private Set Intersection: Are Garbled Circuits Better than Custom Protocols?", NDSS 2012 (there with garbled
circuits); groups instead of parties as in Laur, Willemson, Zhang, "Round-Efficient Oblivious Database Manipulation",
ISC 2011. The network as in `kernels.switching`.

Nothing is opened, and whatever bits a group shares, some permutation comes out: against cheaters it is enough that
bits are bits, that as numbers and as words they are the same (the caller's `share_bits` and `share_numbers` see to
that), and that products and ands are checked.

Cost per group for n rows: `cost(n)` = (switches, layers), about n log2(n) - n + 1 and 2 ceil(log2(n)) - 1; a switch
takes a shared bit, a product per number of a row and an and per word of a row; a layer takes the rounds of a product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import switching
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Protocol
from quorate.protocols.columns import common_rows, draw_order
from quorate.sharing.share import AnyShare, Arithmetic, Boolean, Share, concatenate

__all__ = ["Bits", "Group", "ShareBits", "ShareNumbers", "cost", "shuffle", "stacked", "unstacked"]

Group = tuple[int, ...]
Bits = npt.NDArray[np.uint8]
ShareBits = Callable[[Scope, Group, Bits], Step[Boolean]]
"""(scope, group, bits that its members know, 0/1; elsewhere an array of that shape without meaning) -> shared bits."""
ShareNumbers = Callable[[Scope, Group, Bits], Step[Arithmetic]]
"""The same bits as numbers; they must agree with what `ShareBits` gives even if members of the group cheat."""


def cost(rows: int) -> tuple[int, int]:
    """Switches and layers for every group."""
    return switching.switches(rows), switching.depth(rows)


def shuffle(
    p: Protocol,
    at: Scope,
    columns: Sequence[Share],
    groups: Sequence[Group],
    share_bits: ShareBits,
    share_numbers: ShareNumbers | None = None,
) -> Step[list[Share]]:
    """See `Protocol.shuffle`.

    Args:
        groups: who permutes, in turn. Every coalition that the protocol withstands must have no member in at least one
            of them, and the members of each must have keys in common (`Session.agree_keys`), if it is not one party.
        share_bits: how a group shares bits that all its members know.
        share_numbers: how it shares them as numbers; `to_arithmetic` of the shared bits if None.
    """
    if not columns:
        return []
    rows = common_rows(columns)
    if rows < 2:
        return list(columns)
    stacks, places = stacked(columns)
    for turn, group in enumerate(groups):
        within = at.child(f"turn {turn}")
        bits = _bits(p, within, group, rows)
        flags = yield from share_bits(within.child("bits"), group, bits)
        numbers: Arithmetic | None = None
        if any(isinstance(stack, Arithmetic) for stack in stacks):
            place = within.child("numbers")
            numbers = yield from share_numbers(place, group, bits) if share_numbers else p.to_arithmetic(place, flags)
        for k, layer in enumerate(switching.layers(rows)):
            stacks = yield from _layer(p, within.child(f"layer {k}"), stacks, layer, flags, numbers)
    return [unstacked(stacks[k], start, column) for column, (k, start) in zip(columns, places, strict=True)]


def _bits(p: Protocol, at: Scope, group: Group, rows: int) -> Bits:
    """Which switches swap, for a fresh order that the group draws."""
    name = at.step()
    if p.me not in group:
        return p.session.blank((switching.switches(rows),), np.uint8)
    return switching.control_bits(draw_order(p.session, group, name, rows))


# -- columns of one kind side by side --------------------------------------------------------------------------------


def _kind(column: Share) -> int:
    return column.width if isinstance(column, Boolean) else 0


def stacked(columns: Sequence[Share]) -> tuple[list[Any], list[tuple[int, int]]]:
    """One share (rows, elements of a row) for numbers and for words of each width; where each column stands there."""
    kinds = sorted({_kind(column) for column in columns})
    widths = dict.fromkeys(kinds, 0)
    members: dict[int, list[Share]] = {kind: [] for kind in kinds}
    places = []
    for column in columns:
        kind = _kind(column)
        flat = column.map(lambda part: part.reshape(part.shape[0], part[:1].size))
        places.append((kinds.index(kind), widths[kind]))
        widths[kind] += flat.shape[1]
        members[kind].append(flat)
    return [concatenate(members[kind], 1) for kind in kinds], places


def unstacked(stack: Share, start: int, column: Share) -> Share:
    """The column that stands in a stack from this place on."""
    width = column.parts[0][:1].size
    return stack.map(lambda part: contiguous(part[:, start : start + width]).reshape(column.shape))


# -- switches --------------------------------------------------------------------------------------------------------


def _layer(
    p: Protocol, at: Scope, stacks: list[Any], layer: switching.Layer, flags: Boolean, numbers: Arithmetic | None
) -> Step[list[Any]]:
    """All switches of a layer on all stacks."""
    steps: list[Step[Any]] = []
    for stack in stacks:
        place = at.child(f"width {_kind(stack)}")
        if isinstance(stack, Boolean):
            steps.append(_words(p, place, stack, layer, flags))
        elif numbers is not None:
            steps.append(_numbers(p, place, stack, layer, numbers))
    return list((yield from parallel(steps)))


def _numbers(p: Protocol, at: Scope, stack: Arithmetic, layer: switching.Layer, bits: Arithmetic) -> Step[Arithmetic]:
    first, second = (stack.map(lambda part, at=rows: part[at]) for rows in (layer.first, layer.second))  # type: ignore[misc]
    swapped = bits.map(lambda part: _repeated(part[layer.place], first.shape))
    change = yield from p.mul(at, swapped, p.sub(first, second))
    return _with_rows(stack, layer, p.sub(first, change), p.add(second, change))


def _words(p: Protocol, at: Scope, stack: Boolean, layer: switching.Layer, bits: Boolean) -> Step[Boolean]:
    first, second = (stack.map(lambda part, at=rows: part[at]) for rows in (layer.first, layer.second))  # type: ignore[misc]
    kind = stack.parts[0].dtype
    parts = [_repeated(_spread(part[layer.place], kind, stack.width), first.shape) for part in bits.parts]
    change = yield from p.and_(at, Boolean(stack.scheme, tuple(parts), stack.width), p.xor(first, second))
    return _with_rows(stack, layer, p.xor(first, change), p.xor(second, change))


def _repeated(part: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """A value per switch for every element of its row."""
    repeated: npt.NDArray[Any] = contiguous(np.broadcast_to(part[:, None], shape))
    return repeated


def _spread(bits: npt.NDArray[Any], kind: np.dtype[Any], width: int) -> npt.NDArray[Any]:
    """Words of equal bits."""
    words: npt.NDArray[Any] = (kind.type(0) - bits.astype(kind)) & kind.type((1 << width) - 1)
    return words


def _with_rows(stack: AnyShare, layer: switching.Layer, first: Share, second: Share) -> AnyShare:
    """The stack with other rows at the places of a layer."""
    parts = []
    for part, one, other in zip(stack.parts, first.parts, second.parts, strict=True):
        changed = part.copy()
        changed[layer.first] = one
        changed[layer.second] = other
        parts.append(changed)
    return stack.with_parts(tuple(parts))
