"""Shuffling rows with three parties so that nobody knows the order: three permutations, each unknown to one party.

Sources
    Laur, Willemson, Zhang, "Round-Efficient Oblivious Database Manipulation", ISC 2011: every qualified set in turn
    permutes and reshares. The form with additive sharings among two parties, which costs less: Araki, Furukawa, Ohara,
    Pinkas, Rosemarin, Tsuchida, "Secure Graph Analysis at Scale", CCS 2021; Asharov, Hamada, Ikarashi, Kikuchi, Nof,
    Pinkas, Takahashi, Tomida, "Efficient Secure Three-Party Sorting", CCS 2022.

The rows are first shared additively among parties 0 and 1: their parts are x0 + x1 and x2. Then

    parties 0, 1 permute their parts, and party 0 hands its part to party 2;    now parties 1, 2 hold the rows
    parties 1, 2 permute theirs, and party 1 hands its part to party 0;         now parties 2, 0 hold them
    parties 2, 0 permute theirs and exchange them, masked by what become parts 2 and 1 of the result.

Both members of a pair draw the permutation, and a mask that one adds and the other subtracts before a part is handed
over, from their common stream.

What the parties see, each alone
    Party 2 receives part 0 under the mask of round 1, which parties 0 and 1 alone know.
    Party 0 receives part 1 under the mask of round 2, which parties 1 and 2 alone know, and in the last round party 2's
        part under part 2 of the result, which parties 1 and 2 alone know.
    Party 2 receives party 0's part in the last round under part 1 of the result, which parties 0 and 1 alone know.
    Party 1 receives nothing.
    Every mask is used once, so all that a party receives is uniformly random and independent of what it held; with its
    part of the result it is what the rule of the last round gives. Party 0 misses the second permutation, party 1 the
    third, party 2 the first: to each of them their product is uniform and independent of all that it saw.

Cost per element of w bits, sent by parties (0, 1, 2): (2 w, w, w) bits. 3 rounds. Columns travel together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.kernels.ghost import contiguous
from quorate.kernels.permutation import Permutation, apply_add, apply_sub, apply_xor
from quorate.protocols.columns import arriving, common_rows, draw_mask, draw_order, group_of, packed, unpacked
from quorate.protocols.groups import SUM
from quorate.sharing.share import Share

if TYPE_CHECKING:
    from quorate.protocols.rep3 import Rep3

__all__ = ["shuffle"]

Array = npt.NDArray[Any]
Names = list[Name]


def shuffle(p: Rep3, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
    """See `Protocol.shuffle`."""
    if not columns:
        return []
    orders = [at.step() for _ in range(3)]
    first, second, before_last, last = ([at.step() for _ in columns] for _ in range(4))
    parts = [_part_of_two(p, column) for column in columns]
    parts = yield from _hand_over(p, at, columns, parts, orders[0], first, (0, 1, 2))
    parts = yield from _hand_over(p, at, columns, parts, orders[1], second, (1, 2, 0))
    return (yield from _merge(p, at, columns, parts, orders[2], (before_last, last)))


def _part_of_two(p: Rep3, column: Share) -> Array:
    """x0 + x1 at party 0, x2 at party 1."""
    one, two = column.parts
    if p.me != 0:
        return contiguous(two)  # type: ignore[no-any-return]
    both = p.session.blank(one.shape, one.dtype)
    group_of(column).add(one, two, out=both)
    return both


def _hand_over(
    p: Rep3,
    at: Scope,
    columns: Sequence[Share],
    parts: list[Array],
    order: Name,
    masks: Names,
    roles: tuple[int, int, int],
) -> Step[list[Array]]:
    """Giver and keeper permute and mask their parts, and the taker gets the giver's. One round."""
    giver, keeper, taker = roles
    name = at.step()
    if p.me == taker:
        arrived = [arriving(p.session, column) for column in columns]
        yield Exchange(name, None, {giver: arrived})
        return [unpacked(column, words) for column, words in zip(columns, arrived, strict=True)]
    keys = (min(giver, keeper), max(giver, keeper))
    perm = draw_order(p.session, keys, order, common_rows(columns))
    parts = [
        _permuted(p, column, part, perm, draw_mask(p.session, keys, mask, column), plus=p.me == giver)
        for column, part, mask in zip(columns, parts, masks, strict=True)
    ]
    travelling = [packed(column, part) for column, part in zip(columns, parts, strict=True)] if p.me == giver else []
    yield Exchange(name, {taker: travelling} if travelling else None)
    return parts


def _permuted(p: Rep3, column: Share, part: Array, perm: Permutation, mask: Array, *, plus: bool) -> Array:
    """The rows in their new order, plus or minus the mask."""
    change = (apply_add if plus else apply_sub) if group_of(column) is SUM else apply_xor
    return change(part, perm, mask, out=p.session.blank(mask.shape, mask.dtype))


def _merge(
    p: Rep3, at: Scope, columns: Sequence[Share], parts: list[Array], order: Name, masks: tuple[Names, Names]
) -> Step[list[Share]]:
    """Parties 2 and 0 permute and exchange their parts. Part 1 of the result is common to parties 0 and 1, part 2 to
    parties 1 and 2, part 0 is the rest. One round."""
    name = at.step()
    if p.me == 1:
        yield Exchange(name)
        drawn = [
            (draw_mask(p.session, (0, 1), one, column), draw_mask(p.session, (1, 2), two, column))
            for column, one, two in zip(columns, *masks, strict=True)
        ]
        return [column.with_parts(pair) for column, pair in zip(columns, drawn, strict=True)]
    perm = draw_order(p.session, (0, 2), order, common_rows(columns))
    keys, names = ((0, 1), masks[0]) if p.me == 0 else ((1, 2), masks[1])
    common = [draw_mask(p.session, keys, mask, column) for column, mask in zip(columns, names, strict=True)]
    mine = [
        _permuted(p, column, part, perm, mask, plus=False)
        for column, part, mask in zip(columns, parts, common, strict=True)
    ]
    arrived = [arriving(p.session, column) for column in columns]
    travelling = [packed(column, part) for column, part in zip(columns, mine, strict=True)]
    yield Exchange(name, {2 - p.me: travelling}, {2 - p.me: arrived})
    results = []
    for column, own, travelled, mask in zip(columns, mine, arrived, common, strict=True):
        rest = unpacked(column, travelled)
        group_of(column).add(own, rest, out=rest)
        results.append(column.with_parts((rest, mask) if p.me == 0 else (mask, rest)))
    return results
