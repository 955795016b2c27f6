"""Shuffling rows with three parties, one of which may cheat: every two parties in turn permute the rows, verified.

Sources
    Turns: Laur, Willemson, Zhang, "Round-Efficient Oblivious Database Manipulation", ISC 2011, section 4.1, with the
    additive sharing among the two parties of a turn as in `rep3_shuffle`. Deviation: the rows are shared among all
    three after every turn, so that it can be verified.
    Verification: `verification.permuted`.
    Many rows: `network_shuffle`, which needs less memory.

A turn of parties i and j, whose common part is c, while k looks on: x is the sum of u_i, what i holds of it, and u_j,
the part that i lacks. Both permute theirs by an order drawn from their common key. The parts that i and j have in
common with k become fresh randomness r_i and r_j, drawn with k, and part c becomes the sum of u_i less r_i and u_j less
r_j, u_i and u_j being permuted, which i and j exchange.

What the parties see: i receives u_j under r_j, which it does not know, and j receives u_i under r_i; k receives
nothing, and its parts of the result are independent of the order. Each party misses the order of one turn, which is
uniform.
What a cheater can do: in a turn of its own it can send another word, which adds an error that it knows to part c as the
other party has it, so the sharing stays consistent; the check finds it. In the turn of the others it sends nothing.

Cost per element of w bits: a turn w bits from each of its two parties, so 2 w from everybody. 3 rounds. Columns travel
together. Checks: one inner product of the number of rows per turn, in the extension that is used for checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.kernels.permutation import Permutation, apply_sub, apply_xor
from quorate.protocols import network_shuffle
from quorate.protocols.columns import arriving, common_rows, draw_mask, draw_order, group_of, packed, unpacked
from quorate.protocols.groups import SUM, pair
from quorate.protocols.rep3_verified import common_part
from quorate.protocols.verification.scheme import Permuted
from quorate.sharing.share import Arithmetic, Boolean, Share

if TYPE_CHECKING:
    from quorate.protocols.rep3_malicious import Rep3Malicious

__all__ = ["shuffle"]

Array = npt.NDArray[Any]
GROUPS = ((0, 1), (1, 2), (0, 2))
MOST_ROWS = 1 << 17
"""Checking a turn takes some 4 kB per row."""
ROW = 32
"""Elements that a row counts for when it is to be decided whether it is time for a check."""


def shuffle(p: Rep3Malicious, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
    """See `Protocol.shuffle`."""
    if not columns:
        return []
    if common_rows(columns) > MOST_ROWS:
        groups = list(GROUPS)
        return (yield from network_shuffle.shuffle(p, at, columns, groups, _bits(p), _numbers(p)))
    turned = list(columns)
    for turn, group in enumerate(GROUPS):
        yield from p.deferred.relieve(ROW * common_rows(columns))
        turned = yield from _turn(p, at.child(f"turn {turn}"), turned, group)
    return turned


def _turn(p: Rep3Malicious, at: Scope, columns: list[Share], group: tuple[int, int]) -> Step[list[Share]]:
    """Both members permute what they hold. One round."""
    order, first, second = at.step(), [at.step() for _ in columns], [at.step() for _ in columns]
    name, notes = at.step(), (at.step(), at.step())
    onlooker = 3 - sum(group)
    if p.me == onlooker:
        yield Exchange(name)
        fresh = _drawn(p, columns, onlooker, {group[0]: first, group[1]: second})
        results = [column.with_parts(parts) for column, parts in zip(columns, fresh, strict=True)]
        _note(p, group, None, columns, results, notes)
        return results
    other = sum(group) - p.me
    perm = draw_order(p.session, group, order, common_rows(columns))
    keys, names = pair(p.me, onlooker), first if p.me == group[0] else second
    masks = [draw_mask(p.session, keys, mask, column) for column, mask in zip(columns, names, strict=True)]
    mine = [
        _permuted(p, column, _held(p, column, group), perm, mask) for column, mask in zip(columns, masks, strict=True)
    ]
    arrived = [arriving(p.session, column) for column in columns]
    travelling = [packed(column, part) for column, part in zip(columns, mine, strict=True)]
    yield Exchange(name, {other: travelling}, {other: arrived})
    results = []
    for column, own, travelled, mask in zip(columns, mine, arrived, masks, strict=True):
        common = np.asanyarray(group_of(column).add(own, unpacked(column, travelled)))
        results.append(column.with_parts((common, mask) if p.me == common_part(group) else (mask, common)))
    _note(p, group, perm, columns, results, notes)
    return results


def _held(p: Rep3Malicious, column: Share, group: tuple[int, int]) -> Array:
    """The sum of both parts at the first member, the part that it lacks at the second."""
    one, two = column.parts
    if p.me == group[0]:
        return np.asanyarray(group_of(column).add(one, two))
    lacking = (group[0] + 2) % 3
    return np.asanyarray(one if p.me == lacking else two)


def _drawn(
    p: Rep3Malicious, columns: list[Share], onlooker: int, names: dict[int, list[Name]]
) -> list[tuple[Array, Array]]:
    """The onlooker's parts: what it draws with the previous party, and with the next."""
    drawn = []
    for k, column in enumerate(columns):
        parts = [draw_mask(p.session, pair(onlooker, peer), names[peer][k], column) for peer in (p.previous, p.next)]
        drawn.append((parts[0], parts[1]))
    return drawn


def _permuted(p: Rep3Malicious, column: Share, part: Array, perm: Permutation, mask: Array) -> Array:
    change = apply_sub if group_of(column) is SUM else apply_xor
    return change(part, perm, mask, out=p.session.blank(mask.shape, mask.dtype))


def _note(
    p: Rep3Malicious,
    group: tuple[int, int],
    perm: Permutation | None,
    before: list[Share],
    after: list[Share],
    names: tuple[Name, Name],
) -> None:
    """All numbers are noted together, and all words."""
    for kind, name, width in zip((Arithmetic, Boolean), names, (0, 64), strict=True):
        sides = [[column for column in side if isinstance(column, kind) and column.size] for side in (before, after)]
        if sides[0]:
            old, new = (_table(side) for side in sides)
            p.deferred.note(name, Permuted(group, perm, old, new, width), ROW * len(old[0]) + old[0].size)


def _table(columns: Sequence[Share]) -> tuple[Array, Array]:
    """Both parts of all columns side by side: (rows, elements of a row), words being widened to 64 bits."""
    rows = common_rows(columns)
    first, second = (
        [column.parts[k].reshape(rows, column.size // rows).astype(np.uint64, copy=False) for column in columns]
        for k in range(2)
    )
    return (first[0], second[0]) if len(columns) == 1 else (np.concatenate(first, 1), np.concatenate(second, 1))


def _bits(p: Rep3Malicious) -> network_shuffle.ShareBits:
    """What two parties know is the part that they have in common. No communication."""

    def share(at: Scope, group: tuple[int, ...], bits: Array) -> Step[Boolean]:
        yield from ()
        return Boolean(p.name, p.place(bits, common_part(group)))

    return share


def _numbers(p: Rep3Malicious) -> network_shuffle.ShareNumbers:
    def share(at: Scope, group: tuple[int, ...], bits: Array) -> Step[Arithmetic]:
        yield from ()
        return Arithmetic(p.name, p.place(bits.astype(np.uint64), common_part(group)))

    return share
