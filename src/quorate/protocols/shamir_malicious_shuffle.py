"""Shuffling rows among parties that may cheat: groups take turns to permute, and each turn is verified.

Every group of n - t parties, in turn, draws an order under its common key. Of its members t + 1 hold the rows in
additive parts, permute them and share them again, as in a product. Any t parties miss one of the groups altogether, so
they do not know the product of all orders. What a cheater does in a turn, permuting otherwise included, adds an error
to the rows that come out; that they are the rows that went in, in the group's order, is noted and verified with the
products (`verification.permuted`). If that fails nothing was opened since, so it does not matter what an error that
comes out of a turn at another row tells of the order.

Source: Laur, Willemson, Zhang, "Round-Efficient Oblivious Database Manipulation", ISC 2011, with the verification.

Cost for c = binomial(n, t) groups: c rounds; at most (t + 1)(n - t) words per element and turn, and what the check of
an inner product of n numbers takes, which is work of each party alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import permutation
from quorate.protocols.columns import common_rows, draw_order
from quorate.protocols.shamir_parts import Array, Group
from quorate.protocols.verification.scheme import Permuted
from quorate.sharing.share import Arithmetic, Boolean, Share

if TYPE_CHECKING:
    from quorate.protocols.shamir_malicious import ShamirMalicious

__all__ = ["shuffle"]


def shuffle(p: ShamirMalicious, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
    """See `Protocol.shuffle`."""
    if not columns:
        return []
    rows, shuffled = common_rows(columns), list(columns)
    size = sum(column.size for column in columns)
    if rows < 2 or not size:
        return shuffled
    for group in p.groups:
        yield from p.deferred.relieve(size)
        within, order = at.child(f"turn of {group}"), at.step()
        perm = draw_order(p.session, group, order, rows) if p.me in group else None
        steps = [_turn(p, within.child(f"column {k}"), column, group, perm) for k, column in enumerate(shuffled)]
        shuffled = yield from parallel(steps)
    return shuffled


def _turn(p: ShamirMalicious, at: Scope, column: Share, group: Group, perm: Array | None) -> Step[Share]:
    """One group permutes one column. One round."""
    name = at.step()
    if not column.size:
        return column
    holders = tuple(party for party in group if party < p.multipliers)[: p.threshold + 1]
    part = column.parts[0]
    if p.me in holders and perm is not None:
        part = permutation.apply(p.part_among(column, holders), perm)
    turned: Share
    if isinstance(column, Boolean):
        turned = yield from p.spread_bits(at, part, holders, column.width)
    else:
        turned = yield from p.spread(at, part, holders)
    before, after = (tuple(part.reshape(len(part), -1) for part in share.parts) for share in (column, turned))
    width = 0 if isinstance(column, Arithmetic) else column.width if isinstance(column, Boolean) else 64
    p.deferred.note(name, Permuted(group, perm, before, after, width), column.size)
    return turned
