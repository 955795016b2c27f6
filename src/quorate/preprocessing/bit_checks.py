"""Opening authenticated bits, and the one check of everything that was opened.

What a party has of a bit is a row, or, of many bits, planes: see `quorate.preprocessing.authenticated_bits`. Openings
are noted and checked later, together: sigma_i, a random linear combination of the rows less Delta_i times that of the
opened values, has to vanish in sum. It is committed to before it is opened, and masked by a sharing of zero.

Sources: deferred checks as in Damgard, Keller, Larraia, Pastro, Scholl, Smart, "Practical Covertly Secure MPC for
Dishonest Majority", ESORICS 2013, figure 10 ("MACCheck"); for bits Frederiksen, Keller, Orsini, Scholl, "A Unified
Approach to MPC with Preprocessing using OT", ASIACRYPT 2015, figure 8. Deviation: bits in planes are not recombined to
rows first. The words of each plane are taken for elements of GF(2^64), combined with random elements, and compared with
its bit of Delta: sigma has an element for each plane, and one for all rows.

Why it holds. Let opened bits be wrong by errors that are not all 0. Their combination E is 0 with probability 2^-64,
whether errors form words (planes) or single elements (rows). Else the adversary has to add to sigma, in sum, E Delta_j,
for every plane j, or E Delta in the field for rows, for the Delta_j of an honest party, of which it knows nothing but
bit 0: it succeeds with probability 2^-s for s planes beside the value, and no more for rows, which have s + 1 bits.
That bounds all attempts of a session together, since it ends with the first that fails. Parties that are told different
values have errors of their own, and are caught alike.

Bytes to each other party: of an opened bit 1/8; a check 128 for the coin, 96 + 8 (s + 1) for the combination.
Rounds: an opening 1, a check 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import Coin, commit_and_open, toss
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import IntegrityError
from quorate.kernels import binary_field, bits
from quorate.kernels.ghost import contiguous, ghost, is_ghost

__all__ = ["BitChecks", "OpenedPlanes", "OpenedRows", "as_words"]

Array = npt.NDArray[Any]
Words = npt.NDArray[np.uint64]
ONE = np.uint64(1)


@dataclass(frozen=True, slots=True)
class OpenedRows:
    """Values (count,), bits or elements of GF(2^64), opened from rows (count,) uint64."""

    values: Array
    rows: Words


@dataclass(frozen=True, slots=True)
class OpenedPlanes:
    """Words of any unsigned dtype, opened, and our planes 1, 2, ... of them, flat and contiguous."""

    values: Array
    planes: Sequence[Array]


Note = OpenedRows | OpenedPlanes


class BitChecks:
    """Openings at one participant.

    Args:
        session: whose parties have a key for every pair.
        key: gives our Delta_i, once set-up is done.
        planes: the number of planes, with the value's.
        note: takes (name, note, size in words) of what is to be checked.
    """

    def __init__(
        self, session: Session, key: Callable[[], int], planes: int, note: Callable[[Name, Any, int], None]
    ) -> None:
        self.session = session
        self._key = key
        self._planes = planes
        self._note = note
        self._others = [party for party in range(session.parties) if party != session.me]

    @property
    def _takes_part(self) -> bool:
        return self.session.me < self.session.parties

    def zero(self, name: Name, shape: tuple[int, ...], kind: npt.DTypeLike) -> Array:
        """Our part of a pseudorandom sharing of zero, a ghost at whoever is no party."""
        total = self.session.blank(shape, kind)
        if self._takes_part:
            total[...] = 0
            for other in self._others:
                pair = (min(self.session.me, other), max(self.session.me, other))
                total ^= self.session.draw(pair, name, self.session.scratch(0, shape, kind))
        return total

    def exchanged(self, name: Name, parts: Sequence[Array]) -> Step[list[Array]]:
        """The exclusive or of everybody's `parts`, opened to all parties, not noted. One round."""
        if not self._takes_part:
            yield Exchange(name)
            return list(parts)
        arriving = {o: [self.session.blank(part.shape, part.dtype) for part in parts] for o in self._others}
        yield Exchange(name, dict.fromkeys(self._others, parts), arriving)
        totals = [part.copy() for part in parts]
        for arrived in arriving.values():
            for total, part in zip(totals, arrived, strict=True):
                total ^= part
        return totals

    def open_rows(self, at: Scope, rows: Words) -> Step[Array]:
        """The bits (count,) uint8 of rows whose shares of the value are uniform; noted. One round."""
        name = at.step()
        mine = bits.pack((rows & ONE).astype(np.uint8))
        (packed,) = yield from self.exchanged(name, [mine])
        opened = bits.unpack(packed, rows.size)
        self._note(name, OpenedRows(opened, rows), -(-rows.size // 64))
        return opened

    def open_combination(self, at: Scope, factors: Sequence[Words], rows: Sequence[Words], mask: Words) -> Step[None]:
        """Open sum of factors * bits, of GF(2^64), plus the 64 bits of `mask` as one element; noted. One round.

        What is to be checked is that the rows are those of bits, see `quorate.preprocessing.authenticated_bits`.
        """
        draw, name = at.step(), at.step()
        powers = np.left_shift(ONE, np.arange(64, dtype=np.uint64))
        row, value = binary_field.dot(powers, mask), binary_field.dot(powers, mask & ONE)
        for factor, some in zip(factors, rows, strict=True):
            row = row ^ binary_field.dot(factor, some)
            value = value ^ binary_field.dot(factor, contiguous(some & ONE))
        (opened,) = yield from self.exchanged(name, [value ^ self.zero(draw, (1,), np.uint64)])
        self._note(name, OpenedRows(opened, row), 1)

    def check(self, at: Scope, notes: Sequence[Note]) -> Step[None]:
        """Whether all that was opened is right. Four rounds.

        Raises:
            IntegrityError: it is not.
        """
        coin = yield from toss(self.session, at.child("coin"))
        draw = at.step()
        sigma = self._combined(coin, notes) if self.session.holds_shares else np.zeros(self._planes, np.uint64)
        sigma = contiguous(sigma ^ self.zero(draw, sigma.shape, np.uint64)) if self._takes_part else sigma
        everything = yield from commit_and_open(self.session, at.child("sum"), sigma)
        if self.session.holds_shares and np.bitwise_xor.reduce(everything).any():
            raise IntegrityError(
                f"{at.path}: opened bits do not fit their authentication: a party cheated, or a message was altered; "
                "nothing was opened to a recipient since the last check"
            )

    def _combined(self, coin: Coin, notes: Sequence[Note]) -> Words:
        """Our sigma: for all rows, then for planes 1, 2, ..."""
        values = [as_words(note.values) if isinstance(note, OpenedPlanes) else note.values for note in notes]
        factors = [np.empty(some.size, np.uint64) for some in values]
        coin.fill(*factors)
        sigma = np.zeros(self._planes, np.uint64)
        delta = self._key()
        for note, value, factor in zip(notes, values, factors, strict=True):
            opened = binary_field.dot(factor, value.astype(np.uint64, copy=False).reshape(-1))
            if isinstance(note, OpenedRows):
                expected = binary_field.mul(opened, np.array([delta], np.uint64))
                sigma[:1] ^= binary_field.dot(factor, note.rows) ^ expected
                continue
            for j, plane in enumerate(note.planes, 1):
                expected = opened & np.uint64(-(delta >> j & 1) & (2**64 - 1))
                sigma[j : j + 1] ^= binary_field.dot(factor, as_words(plane)) ^ expected
        return sigma


def as_words(part: Array) -> Words:
    """Any flat contiguous array as uint64 words, filled up with zeros."""
    size = -(-part.nbytes // 8)
    if is_ghost(part):
        return ghost((size,), np.uint64)
    flat = part.reshape(-1)
    if part.nbytes % 8 == 0 and flat.flags.aligned:
        return flat.view(np.uint64)
    room = np.zeros(8 * size, np.uint8)
    room[: part.nbytes] = flat.view(np.uint8)
    return room.view(np.uint64)
