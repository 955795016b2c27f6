"""Shuffling rows where parties may be lost: every group in turn permutes them, by what its members do locally.

The members of a group A of n - t parties draw one order, which they all know and nobody else does. There are
binomial(n, t) groups, so any t parties have nobody in one of them and do not know its order, which is uniform: they
know nothing of all orders together.

n >= 3t + 1. A member permutes its share of the rows and multiplies it by f_A at its place; what f_A is see
`sharing.sliced`. All others contribute 0, where f_A vanishes. These are shares of the permuted rows on a polynomial of
degree 2t, which are reduced as a product is. So any 2t + 1 parties are enough, whether they belong to the group or not.

n <= 3t. A tuple of random rows r and of the same rows s permuted by the group, fresh for every shuffle, is made in the
way above while everybody is there. Then the rows less r are opened, the members of the group permute what was opened,
which all of them know, place it (`shamir_placed`) and add s. Any t + 1 parties are enough.

In both ways the parties see values under fresh uniform masks, and nothing that depends on an order.

Sources: groups permute in turn: Laur, Willemson, Zhang, "Round-Efficient Oblivious Database Manipulation", ISC 2011.
Masks that are permuted beforehand: Chase, Ghosh, Poburinnaya, "Secret-Shared Shuffle", ASIACRYPT 2020. Permuting shares
in place, with the group's polynomial: ours.

Cost: as many rounds as there are groups; in each of them the rows from each party to each other one. For tuples as much
in one round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import field, permutation
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Maker
from quorate.protocols.columns import common_rows, draw_order
from quorate.protocols.network_shuffle import stacked, unstacked
from quorate.protocols.shamir_quorum_opening import flat, flat_size, shaped
from quorate.sharing.share import Arithmetic, Boolean, Share

if TYPE_CHECKING:
    from quorate.protocols.shamir_quorum_opening import ShamirOpenings
    from quorate.protocols.shamir_quorum_tuples import ShamirTuples

__all__ = ["maker", "shuffle"]

Array = npt.NDArray[Any]
Group = tuple[int, ...]


def shuffle(p: ShamirTuples, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
    """See `Protocol.shuffle`."""
    rows = common_rows(columns) if columns else 0
    if rows < 2:
        yield from ()
        return list(columns)
    stacks, places = stacked(columns)
    if p.reduces:
        for number, group in enumerate(p.groups):
            within = at.child(f"turn {number}")
            perm = _order(p, within, group, rows)
            stacks = yield from parallel(
                [_turned(p, within.child(f"{k}"), stack, group, perm) for k, stack in enumerate(stacks)]
            )
    else:
        taken = iter((yield from p.taken(at.child("tuple"), _kind(rows, stacks), 1)))
        for number, group in enumerate(p.groups):
            within = at.child(f"turn {number}")
            perm = next(taken)[0]
            masks = [(_taken(taken, stack), _taken(taken, stack)) for stack in stacks]
            steps = [
                _by_mask(p, within.child(f"{k}"), stack, group, perm, *pair)
                for k, (stack, pair) in enumerate(zip(stacks, masks, strict=True))
            ]
            stacks = yield from parallel(steps)
    return [unstacked(stacks[k], start, column) for column, (k, start) in zip(columns, places, strict=True)]


def _order(p: ShamirOpenings, at: Scope, group: Group, rows: int) -> Array:
    """A fresh order at the members of the group; elsewhere an array of that shape."""
    name = at.step()
    return draw_order(p.session, group, name, rows) if p.me in group else np.zeros(rows, np.int64)


# -- locally permuted shares -------------------------------------------------------------------------------------------


def _turned(p: ShamirOpenings, at: Scope, stack: Share, group: Group, perm: Array) -> Step[Share]:
    """Rows permuted by the group. One round; 2t + 1 parties are enough."""
    inside = p.me in group
    if isinstance(stack, Arithmetic):
        part = stack.parts[0]
        if inside:
            part = field.scale(permutation.apply(part, perm), p.weights[p.mine.index(group)])
        return (yield from p.reduced(at, part if inside else np.zeros_like(part)))
    width = stack.width if isinstance(stack, Boolean) else 0
    parts = [flat(permutation.apply(part, perm) if inside else part, width) for part in stack.parts]
    weight = p.word_weights[p.mine.index(group)] if inside else 0
    weights = [p.sliced.multiply(weight, other) for other in p.word_weights]
    rows = p.sliced.combination(weights, [p.sliced.rows(part) for part in parts])
    return (yield from p.reduced_words(at, rows, stack.shape, width))


# -- with tuples -------------------------------------------------------------------------------------------------------


def _by_mask(
    p: ShamirOpenings, at: Scope, stack: Share, group: Group, perm: Array, mask: Share, permuted: Share
) -> Step[Share]:
    """Rows permuted by the group, with the mask that it has permuted already. One round; t + 1 parties are enough."""
    if isinstance(stack, Arithmetic):
        share = field.sub(stack.parts[0], mask.parts[0])
        opened = yield from p.open_share(at, share, p.threshold, p.everybody)
        placed: Share = p.place(group, _applied(p, group, opened, perm))
        return p.add(placed, permuted)  # type: ignore[arg-type]
    width = stack.width if isinstance(stack, Boolean) else 0
    masked = [flat(np.asanyarray(part ^ other), width) for part, other in zip(stack.parts, mask.parts, strict=True)]
    rows = yield from p.open_rows(at, p.share_of_words(masked), p.threshold, p.everybody)
    words = shaped(p.sliced.words(rows, flat_size(stack.shape, width)), stack.shape, width)
    placed = p.place_words(group, _applied(p, group, words, perm), width)
    return p.xor(placed, permuted)  # type: ignore[arg-type]


def _applied(p: ShamirOpenings, group: Group, rows: Array, perm: Array) -> Array:
    return permutation.apply(contiguous(rows), perm) if p.me in group else rows


def _taken(parts: Iterator[Array], like: Share) -> Share:
    """The next share of a tuple."""
    return like.with_parts(tuple(next(parts)[0] for _ in like.parts))


def _kind(rows: int, stacks: Sequence[Share]) -> str:
    """The tuples for such rows: "shuffles 1000 61x3 1x5" for three numbers and five bits in each of 1000 rows."""
    widths = [stack.width if isinstance(stack, Boolean) else 0 for stack in stacks]
    return f"shuffles {rows} " + " ".join(f"{w}x{stack.shape[1]}" for w, stack in zip(widths, stacks, strict=True))


def maker(p: ShamirTuples, layout: str) -> Maker:
    """How tuples for shuffles of rows of this layout are made; see `_kind`."""
    rows, *kinds = layout.split()
    shapes = [(int(width), (int(rows), int(count))) for width, count in (kind.split("x") for kind in kinds)]

    def make(at: Scope, count: int) -> Step[Parts]:
        made = yield from parallel([_tuple(p, at.child(f"{k}"), shapes) for k in range(count)])
        return tuple(np.stack(parts) for parts in zip(*made, strict=True))

    return make


def _tuple(p: ShamirTuples, at: Scope, shapes: Sequence[tuple[int, tuple[int, int]]]) -> Step[Parts]:
    """For every group its order, and for every stack random rows and the same rows in that order. One round."""
    orders, masks, steps = [], [], []
    for number, group in enumerate(p.groups):
        within = at.child(f"turn {number}")
        perm = _order(p, within, group, shapes[0][1][0])
        orders.append(perm)
        for k, (width, shape) in enumerate(shapes):
            masks.append(_random(p, within, width, shape))
            steps.append(_turned(p, within.child(f"{k}"), masks[-1], group, perm))
    turned = iter(zip(masks, (yield from parallel(steps)), strict=True))
    parts = []
    for perm in orders:
        parts.append(perm)
        for _ in shapes:
            mask, permuted = next(turned)
            parts += [*mask.parts, *permuted.parts]
    return tuple(parts)


def _random(p: ShamirTuples, at: Scope, width: int, shape: tuple[int, int]) -> Share:
    if not width:
        return Arithmetic(p.name, (p.random_share(at, shape),))
    parts = p.random_words(at, shape, width)
    return Boolean(p.name, tuple(shaped(part, shape, width) for part in parts), width)
