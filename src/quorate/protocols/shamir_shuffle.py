"""Shuffling rows among n >= 2t + 1 parties so that no t of them know the order.

Every set of t + 1 of the first 2t + 1 parties, in turn, holds the rows in additive parts, one per member, and permutes
them by an order that only its members know. Any t parties miss one of the sets altogether, so they do not know the
product of all permutations. Sets follow each other so that one member leaves and one comes: the one that leaves hands
its part to the one that comes, masked by streams that it shares with each of the members that stay, who take the masks
out of their parts. In the end the last set spreads its parts as a product does.

Source: Laur, Willemson, Zhang, "Round-Efficient Oblivious Database Manipulation", ISC 2011: every qualified set in turn
permutes and reshares. Deviation: additive parts between the sets, and an order of the sets in which neighbours differ
by one member, as in Knuth, "The Art of Computer Programming" 4A, section 7.2.1.3 (revolving door). So a turn costs one
message instead of a resharing.

What t parties see together: a part that one of them receives comes from outside their number, and of the set that it
leaves at most t - 1 belong to them, so one member that stays does not. The mask that this member shares with the sender
is unknown to them and used once: what they receive is uniformly random and independent of all else that they know.
Spreading is as secret as in a product.

Cost for s = binomial(2t + 1, t) sets: s rounds; s - 1 + (t + 1)(n - t - 1) words per element in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Name, Scope
from quorate.kernels import field, permutation
from quorate.protocols.columns import arriving, common_rows, draw_mask, draw_order, packed, unpacked
from quorate.protocols.groups import pair
from quorate.sharing.share import Arithmetic, Boolean, Share

if TYPE_CHECKING:
    from quorate.protocols.shamir import Shamir

__all__ = ["revolving_door", "shuffle"]

Array = npt.NDArray[Any]
Group = tuple[int, ...]


def revolving_door(n: int, size: int) -> list[Group]:
    """All sets of `size` of the numbers below n; each differs from the next by one member. Ends with 0 ... size - 1."""
    if size in (0, n):
        return [tuple(range(size))]
    with_last = [(*smaller, n - 1) for smaller in revolving_door(n - 1, size - 1)]
    return with_last[::-1] + revolving_door(n - 1, size)


def shuffle(p: Shamir, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
    """See `Protocol.shuffle`."""
    if not columns:
        return []
    rows = common_rows(columns)
    sets = revolving_door(p.multipliers, p.threshold + 1)
    parts = [p.part_among(column, sets[0]) if p.me in sets[0] else column.parts[0] for column in columns]
    for k, holders in enumerate(sets):
        order, masks = at.step(), [at.step() for _ in columns]
        if p.me in holders:
            perm = draw_order(p.session, holders, order, rows)
            parts = [permutation.apply(part, perm) for part in parts]
        if k + 1 < len(sets):
            parts = yield from _hand_over(p, at.step(), columns, parts, masks, (holders, sets[k + 1]))
    steps = [
        _spread(p, at.child(f"column {k}"), column, part, sets[-1])
        for k, (column, part) in enumerate(zip(columns, parts, strict=True))
    ]
    return (yield from parallel(steps))


def _hand_over(
    p: Shamir, name: Name, columns: Sequence[Share], parts: list[Array], masks: list[Name], sets: tuple[Group, Group]
) -> Step[list[Array]]:
    """The member that leaves gives its masked parts to the one that comes. One round."""
    before, after = sets
    (giver,), (taker,) = set(before) - set(after), set(after) - set(before)
    if p.me == taker:
        arrived = [arriving(p.session, column) for column in columns]
        yield Exchange(name, None, {giver: arrived})
        return [unpacked(column, words) for column, words in zip(columns, arrived, strict=True)]
    if p.me not in before:
        yield Exchange(name)
        return parts
    stay = [party for party in before if party != giver] if p.me == giver else [p.me]
    masked = []
    for column, part, mask in zip(columns, parts, masks, strict=True):
        for other in stay:
            part = _with_mask(p, column, part, pair(giver, other), mask)
        masked.append(part)
    travelling = [packed(column, part) for column, part in zip(columns, masked, strict=True)]
    yield Exchange(name, {taker: travelling} if p.me == giver else None)
    return masked


def _with_mask(p: Shamir, column: Share, part: Array, keys: Group, mask: Name) -> Array:
    """Plus a common mask at the first of two parties, minus it at the second."""
    if isinstance(column, Boolean):
        return np.asanyarray(part ^ draw_mask(p.session, keys, mask, column))
    change = field.add if p.me == keys[0] else field.sub
    return change(part, p.elements(keys, mask, p.session.blank(part.shape)))


def _spread(p: Shamir, at: Scope, column: Share, part: Array, holders: Group) -> Step[Share]:
    if isinstance(column, Arithmetic):
        return (yield from p.spread(at, part, holders))
    width = column.width if isinstance(column, Boolean) else 64
    return (yield from p.spread_bits(at, part, holders, width))
