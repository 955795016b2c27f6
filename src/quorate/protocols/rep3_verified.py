"""What `rep3_malicious` notes to be checked, and its sharing as the verification of products sees it.

Every noted operation is a product whose result was shared again as in `Rep3`: party i sends its masked part z_i to
party i - 1. A cheater's part is held by one honest party alone, so a wrong one adds a known error to the result, and
the sharing stays consistent: the part that both honest parties hold comes from keys or from one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.errors import IntegrityError
from quorate.kernels import bits
from quorate.protocols.groups import SUM, XOR, Group, total
from quorate.protocols.verification import argument
from quorate.protocols.verification.bit_domain import BitDomain
from quorate.protocols.verification.domain import Array, Pairs
from quorate.protocols.verification.ring_domain import RingDomain
from quorate.protocols.verification.scheme import Note, Parts, Permuted, Products, Scheme

if TYPE_CHECKING:
    from quorate.protocols.rep3_malicious import Rep3Malicious

__all__ = ["Level", "Noted", "check", "common_part"]


@dataclass(frozen=True, slots=True)
class Level:
    """The and of one level of the carry tree on maps (g, t), see `quorate.kernels.bits`; its operands are made when it
    is checked."""

    g: Parts
    t: Parts
    z: Parts
    positions: int

    def products(self) -> list[Products]:
        """The ands of which this consists."""
        operands = [bits.carry_level(g, t, self.positions) for g, t in zip(self.g, self.t, strict=True)]
        left, right = (tuple(operand[k] for operand in operands) for k in range(2))
        return [Products(left, right, self.z, 8 * self.z[0].dtype.itemsize)]


Noted = Note | Level


def check(p: Rep3Malicious, at: Scope, notes: Sequence[Noted]) -> Step[None]:
    """Check everything noted: numbers and words side by side.

    Raises:
        IntegrityError: somebody cheated.
    """
    plain = [one for note in notes for one in (note.products() if isinstance(note, Level) else [note])]
    words = [note for note in plain if isinstance(note, Products | Permuted) and note.width]
    numbers = [note for note in plain if not (isinstance(note, Products | Permuted) and note.width)]
    steps = [
        argument.verify(p.session, Rep3Scheme(p, RingDomain(), SUM), at.child("numbers"), numbers),
        argument.verify(p.session, Rep3Scheme(p, BitDomain(), XOR), at.child("words"), words),
    ]
    yield from parallel([step for step, some in zip(steps, (numbers, words), strict=True) if some])


def common_part(group: tuple[int, ...]) -> int:
    """The number of the part that two parties, in ascending order, have in common."""
    return 0 if group == (0, 2) else group[1]


class Rep3Scheme(Scheme):
    """Replicated parts of elements of the domain's extension."""

    def __init__(self, p: Rep3Malicious, domain: RingDomain | BitDomain, group: Group) -> None:
        self.p = p
        self.domain = domain
        self.group = group

    def pairs(self, x: Parts, y: Parts, add: Callable[[Array, Array], Array]) -> Pairs:
        (xa, xb), (ya, yb) = x, y
        return [(xa, add(ya, yb)), (xb, ya)]

    def weighted(self, values: Array) -> Array:
        return values

    def reshare(self, at: Scope, values: Array) -> Step[Parts]:
        ahead, behind = self.p.zero_masks(at, values)
        mine = np.asanyarray(self.group.sub(self.group.add(values, ahead), behind))
        theirs = self.p.session.blank(mine.shape)
        yield self.p.rotation(at, mine, theirs)
        return mine, theirs

    def random(self, at: Scope, count: int) -> Parts:
        return self.p.random_parts(at, (count, *self.domain.tail), np.uint64)

    def place(self, group: tuple[int, ...], values: Array) -> Parts:
        return self.p.place(values, common_part(group))

    def open(self, at: Scope, parts: Parts) -> Step[Array]:
        """Everybody gets the part it lacks from both its holders. 8 bytes per word to each other party; one round."""
        p = self.p
        heard = [p.session.blank(parts[0].shape) for _ in range(2)]
        receives = {p.previous: heard[:1], p.next: heard[1:]}
        yield Exchange(at.step(), {p.next: [parts[0]], p.previous: [parts[1]]}, receives)
        if not p.session.counting and not np.array_equal(heard[0], heard[1]):
            raise IntegrityError(
                f"{at.path}: peers {p.previous} and {p.next} told us different parts of a value that was opened for a "
                "check: one of them cheated; no secret was opened"
            )
        return total([*parts, heard[0]], self.group)
