"""Shuffling rows among n parties with a dealer: one permutation per party, known to that party and the dealer alone.

Source: Chase, Ghosh, Poburinnaya, "Secret-Shared Shuffle", ASIACRYPT 2020, section 4 (share translation), with more
than two parties and with the dealer in place of oblivious transfer.

In party i's turn every other party j has two masks a_j, b_j in common with the dealer. It sends its part minus a_j to
party i and keeps b_j as its new part. Party i permutes what arrives together with its own part and adds the dealer's
correction: the permuted sum of the a_j minus the sum of the b_j.

What is seen: a part minus a_j, which nobody but j and the dealer can undo, and corrections that hold b_j in the same
way. Both masks are used once, so any n - 1 parties see uniformly random words, and miss one of the permutations. The
dealer receives nothing, but knows every permutation, as it knows all other randomness that it deals: it must not be
among those to whom shuffled rows are opened if the order matters.

Cost per word: n rounds; n (n - 1) words from the parties and n from the dealer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.kernels import permutation
from quorate.protocols.columns import (
    arriving,
    common_rows,
    draw_mask,
    draw_order,
    full_words,
    group_of,
    packed,
    unpacked,
)
from quorate.protocols.groups import SUM, total
from quorate.sharing.share import Share

if TYPE_CHECKING:
    from quorate.protocols.semi2k import Semi2k

__all__ = ["shuffle"]

Array = npt.NDArray[Any]


def shuffle(p: Semi2k, at: Scope, columns: Sequence[Share], dealer: int) -> Step[list[Share]]:
    """See `Protocol.shuffle`."""
    if not columns:
        return []
    p.session.dealt("shuffled rows", p.parties * common_rows(columns))
    for party in range(p.parties):
        columns = yield from _turn(p, at.child(f"party {party}"), columns, party, dealer)
    return list(columns)


def _turn(p: Semi2k, at: Scope, columns: Sequence[Share], leader: int, dealer: int) -> Step[list[Share]]:
    """The permutation of one party. One round."""
    order, name = at.step(), at.step()
    masks = [(at.step(), at.step()) for _ in columns]
    if p.me == dealer:
        perm = draw_order(p.session, (leader, dealer), order, common_rows(columns))
        corrections = [
            _correction(p, column, perm, (leader, dealer), pair) for column, pair in zip(columns, masks, strict=True)
        ]
        yield Exchange(name, {leader: corrections})
        return list(columns)
    if p.me == leader:
        return (yield from _lead(p, name, columns, order, dealer))
    keys = (p.me, dealer)
    sends, kept = [], []
    for column, (old, new) in zip(columns, masks, strict=True):
        hidden = group_of(column).sub(column.parts[0], draw_mask(p.session, keys, old, column))
        sends.append(packed(column, np.asanyarray(hidden)))
        kept.append(column.with_parts((draw_mask(p.session, keys, new, column),)))
    yield Exchange(name, {leader: sends})
    return kept


def _lead(p: Semi2k, name: Name, columns: Sequence[Share], order: Name, dealer: int) -> Step[list[Share]]:
    """What the party does whose permutation it is."""
    perm = draw_order(p.session, (p.me, dealer), order, common_rows(columns))
    receives = {sender: [arriving(p.session, column) for column in columns] for sender in (*p.others, dealer)}
    yield Exchange(name, None, receives)
    results = []
    for k, column in enumerate(columns):
        *hidden, correction = (unpacked(column, buffers[k]) for buffers in receives.values())
        change = permutation.apply_add if group_of(column) is SUM else permutation.apply_xor
        rows = total([column.parts[0], *hidden], group_of(column))
        results.append(column.with_parts((change(rows, perm, correction),)))
    return results


def _correction(
    p: Semi2k, column: Share, perm: permutation.Permutation, apart: tuple[int, int], names: tuple[Name, Name]
) -> Array:
    """At the dealer, for the masks a and b of all but `apart` (leader, dealer): the sum of the a in the new order minus
    the sum of the b."""
    sums = []
    for name in names:
        drawn = []
        for party in range(p.parties):
            if party not in apart:
                words = p.session.tuple_blank(column.shape, column.parts[0].dtype)
                drawn.append(full_words(column, p.session.draw((party, apart[1]), name, words)))
        sums.append(total(drawn, group_of(column)))
    change = permutation.apply_sub if group_of(column) is SUM else permutation.apply_xor
    return packed(column, change(sums[0], perm, sums[1]))
