"""The check that what was opened is what was authenticated, for many openings at once.

Every party j has a part of the MAC key alpha and, of every opened value x_i, a part m_i of alpha x_i. Random weights
w_i from a coin that was tossed after the openings give x = sum w_i x_i and m = sum w_i m_i. The parties commit to
s_j = m_j - alpha_j x, open, and the s_j must add up to zero.

Source: Damgard, Keller, Larraia, Pastro, Scholl, Smart, "Practical Covertly Secure MPC for Dishonest Majority - Or:
Breaking the SPDZ Limits", ESORICS 2013, figure 3 (MAC check), over the field; Cramer, Damgard, Escudero, Scholl, Xing,
"SPDZ2k", CRYPTO 2018, over the ring. Deviations: for the ring all 128 bits of a value are opened (after its upper 64
were masked, where they are not uniform anyway), which makes masks and broadcasts within the check superfluous, and
fixes all errors before the coin; x itself, and the weighted sum of what single owners said to all, are committed to
and opened with s_j and have to be the same at all parties: a broadcast of everything by a universal hash.

Soundness, for openings of which one is off by an error e that is not 0 as a secret.
    Field: sum w_i e_i is 0 with probability 2^-61 (weights are uniform but for 2^-61); else the cheaters have to
    guess alpha times it: 2^-61. Together below 2^-59.
    Ring: let e = 2^v u with u odd, v < 64. The probability that 2^(v + j) divides sum w_i e_i is at most 2^-j for
    0 <= j <= 64, weights being 64 bits; what is left of alpha's 64 bits to be guessed is min(64, 128 - v - j) bits. At
    v = 63 that is in sum at most sum over j of 2^-(j + 1) 2^-(65 - j) + 2^-64 < 2^-59 (65 terms of 2^-66).
    Errors that are multiples of 2^64 may pass more easily; they change no secret.
A check that fails says nothing about who cheated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import commit_and_open, toss
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import IntegrityError
from quorate.sharing.domain import Domain, Element

__all__ = ["Opened", "Said", "check"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """An opening: the value at which the parties arrived, and our part of its tag, which is `tag` minus `less`.

    All of one shape. `value` None: the value was not opened but is claimed to be zero.
    """

    value: Element | None
    tag: Element
    less: Element | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What one participant told all parties, who have to have heard the same."""

    value: Element


Note = Opened | Said


def check(session: Session, domain: Domain, alpha: Element, at: Scope, notes: Sequence[Note]) -> Step[None]:
    """Check all of this; see the module. Four rounds; 224 bytes and 24 per limb to each other party.

    Raises:
        IntegrityError: somebody cheated.
    """
    coin = yield from toss(session, at.child("coin"))
    words = [session.tuple_blank((note.tag[0] if isinstance(note, Opened) else note.value[0]).shape) for note in notes]
    coin.fill(*words)
    zero = domain.from_words(np.zeros((), np.uint64))
    value = tag = said = zero
    for note, drawn in zip(notes, words, strict=True):
        weights = domain.weights(drawn.reshape(-1))
        if isinstance(note, Said):
            said = domain.add(said, _weighed(domain, weights, note.value))
            continue
        tag = domain.add(tag, _weighed(domain, weights, note.tag))
        if note.less is not None:
            tag = domain.sub(tag, _weighed(domain, weights, note.less))
        if note.value is not None:
            value = domain.add(value, _weighed(domain, weights, note.value))
    rest = domain.sub(tag, domain.mul(value, alpha))
    mine = np.zeros((3, domain.limbs), np.uint64)
    if session.holds_shares:
        mine[:] = [rest, value, said]
    opened = yield from commit_and_open(session, at.child("tags"), mine)
    if session.holds_shares:
        _compare(session, domain, at, mine, opened)


def _weighed(domain: Domain, weights: Array, x: Element) -> Element:
    return domain.weigh(weights, domain.reshape(x, weights.shape))


def _compare(session: Session, domain: Domain, at: Scope, mine: Array, opened: Sequence[Array]) -> None:
    for member, theirs in enumerate(opened):
        if not np.array_equal(theirs[1:], mine[1:]):
            raise IntegrityError(
                f"{at.path}: peer {member} arrived at other opened values than we did: it cheated, or another party "
                "told different things to different parties; nothing was opened"
            )
    rests = [domain.received(tuple(theirs[0, k, ...] for k in range(domain.limbs))) for theirs in opened]
    if not domain.is_zero(domain.total(rests)):
        raise IntegrityError(
            f"{at.path}: the MACs of {session.parties} parties do not fit what was opened: a party cheated, nobody "
            "can tell which; nothing was opened"
        )
