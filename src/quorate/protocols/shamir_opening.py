"""Opening Shamir shares, and words shared by groups, so that wrong ones are found, or corrected.

With n < 3t + 1 a recipient gets the shares of t + 1 parties (its own among them, if it is one) and from the others
digests of theirs. The t + 1 shares determine all others, so a wrong one shows, and nothing is accepted: any n - t
honest parties are at least t + 1, and their shares admit one polynomial. A word's part comes from one member of its
group, and the others, at least one of them or the first being honest, send digests.

With n >= 3t + 1 the recipient gets 3t + 1 shares, of which up to t may be wrong, and corrects them
(`sharing.reed_solomon`). Of a group's part it gets t + 1 copies and t digests more, from 2t + 1 members: the copy that
has t + 1 members behind it is the right one. Who sent something wrong is named in `Session.findings`.

Digests are of shares that the recipient can compute anyway, so they tell it nothing new. One round.
Bytes to each recipient for m numbers: 8 m from t parties (a party) or t + 1 (an outsider) and 32 from each of the
others; corrected, 8 m from 3t or 3t + 1 parties.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.errors import IntegrityError, PeerError
from quorate.kernels import field
from quorate.kernels.ghost import contiguous
from quorate.protocols.groups import total
from quorate.protocols.shamir_heard import DIGEST, digest_of
from quorate.protocols.shamir_parts import Array, Group
from quorate.sharing import reed_solomon, shamir, wire

if TYPE_CHECKING:
    from quorate.protocols.shamir import Shamir

__all__ = ["corrects", "open_numbers", "open_words"]


def corrects(p: Shamir) -> bool:
    """Whether wrong shares can be corrected."""
    return p.parties >= 3 * p.threshold + 1


def _digest(p: Shamir, name: Name, arrays: list[Array]) -> Array:
    if p.session.counting:
        return np.zeros(DIGEST, np.uint8)
    where = [p.session.ident, b"opening", name[0].to_bytes(8, "big"), name[1].to_bytes(4, "big")]
    return np.frombuffer(digest_of(where, arrays), np.uint8)


# -- numbers -----------------------------------------------------------------------------------------------------------


def open_numbers(p: Shamir, at: Scope, share: Array, to: Collection[int]) -> Step[Array | None]:
    """Open field elements to the participants `to`, who get them; the others None.

    Raises:
        IntegrityError: shares do not fit together, or too many are wrong.
    """
    name, share = at.step(), contiguous(share)
    sends: dict[int, list[Array]] = {}
    digest = _digest(p, name, [share]) if p.me < p.parties and not corrects(p) else None
    for other in to:
        if other != p.me and p.me < p.parties:
            if p.me in _openers(p, other):
                sends[other] = [share]
            elif digest is not None:
                sends[other] = [digest]
    arrived: dict[int, list[Array]] = {}
    for sender in range(p.parties) if p.me in to else ():
        if sender != p.me and sender in _openers(p, p.me):
            arrived[sender] = [p.session.tuple_blank(share.shape)]
        elif sender != p.me and not corrects(p):
            arrived[sender] = [np.zeros(DIGEST, np.uint8)]
    yield Exchange(name, sends, arrived)
    if p.me not in to:
        return None
    holders = _openers(p, p.me)
    # A peer may write an element in several ways; kernels count on the one below p.
    shares = [share if holder == p.me else field.reduce(arrived[holder][0]) for holder in holders]
    if p.session.counting:
        return shamir.combine(shares[: p.threshold + 1], holders[: p.threshold + 1], p.threshold)
    if corrects(p):
        return _corrected(p, at, shares, holders)
    _refuse_misfits(p, at, name, shares, arrived)
    return shamir.combine(shares, holders, p.threshold)


def _openers(p: Shamir, recipient: int) -> list[int]:
    """The parties whose shares `recipient` gets in full; itself first, if it is a party."""
    start = recipient if recipient < p.parties else 0
    count = (3 if corrects(p) else 1) * p.threshold + 1
    return [(start + step) % p.parties for step in range(count)]


def _refuse_misfits(p: Shamir, at: Scope, name: Name, shares: list[Array], arrived: dict[int, list[Array]]) -> None:
    holders = _openers(p, p.me)
    for sender in range(p.parties):
        if sender not in holders and sender != p.me:
            weights = np.array(shamir.lagrange(tuple(holders), sender + 1), np.uint64)
            expected = field.linear_combination(weights, shares)
            if not np.array_equal(_digest(p, name, [expected]), arrived[sender][0]):
                raise IntegrityError(
                    f"{at.path}: the share of peer {sender} does not fit those of the others: one of peers "
                    f"{', '.join(str(h) for h in (*holders, sender) if h != p.me)} cheated; the value was not accepted"
                )


def _corrected(p: Shamir, at: Scope, shares: list[Array], holders: list[int]) -> Array:
    def weights(count: int) -> Array:
        words = np.empty(count, np.uint64)
        return field.from_random_words(p.session.private(at, "weights").fill(words))

    try:
        values, wrong = reed_solomon.correct(shares, holders, p.threshold, weights)
    except PeerError as error:
        raise IntegrityError(f"{at.path}: {error}") from error
    _find(p, at, wrong)
    return values


def _find(p: Shamir, at: Scope, wrong: list[int]) -> None:
    for peer in sorted(wrong):
        p.session.findings.append(f"{at.path}: peer {peer} sent wrong shares of a result; they were corrected")


# -- words -------------------------------------------------------------------------------------------------------------


def open_words(p: Shamir, at: Scope, parts: tuple[Array, ...], width: int, to: Collection[int]) -> Step[Array | None]:
    """Open words of `width` bits, with parts for our groups, to the participants `to`, who get them; the others None.

    Raises:
        IntegrityError: copies of a part differ, or too many do.
    """
    name = at.step()
    packed = [wire.pack(part, width) for part in parts] if p.me < p.parties else []
    own = dict(zip(p.mine, packed, strict=True)) if p.me < p.parties else {}
    sends = {other: _for_recipient(p, name, own, other) for other in to if other != p.me and own}
    like = wire.pack(p.session.tuple_blank(parts[0].shape, wire.word_type(width)), width)
    arrived = {sender: _expected(p, sender, like) for sender in range(p.parties) if p.me in to and sender != p.me}
    yield Exchange(name, sends, arrived)
    if p.me not in to:
        return None
    copies = {sender: _sorted_out(p, sender, buffers) for sender, buffers in arrived.items()}
    found = dict(own)
    wrong = set[int]()
    for group in p.groups:
        if p.me not in group:
            found[group] = _chosen(p, at, name, group, copies, wrong)
    if not corrects(p) and not p.session.counting:
        _refuse_differences(p, at, name, found, arrived)
    _find(p, at, sorted(wrong))
    return total([wire.unpack(found[group], parts[0].shape, width) for group in p.groups])


def _roles(p: Shamir, sender: int, recipient: int) -> tuple[list[Group], list[Group]]:
    """Of which groups' parts the sender gives a copy, and of which a digest."""
    copies = p.threshold + 1 if corrects(p) else 1
    groups = [group for group in p.groups if sender in group and recipient not in group]
    places = {group: group.index(sender) for group in groups}
    last = 2 * p.threshold + 1 if corrects(p) else p.parties
    return [g for g in groups if places[g] < copies], [g for g in groups if copies <= places[g] < last]


def _for_recipient(p: Shamir, name: Name, own: dict[Group, Array], recipient: int) -> list[Array]:
    full, hashed = _roles(p, p.me, recipient)
    content = [own[group] for group in full]
    if corrects(p):
        return [*content, *(_digest(p, name, [own[group]]) for group in hashed)]
    return [*content, *([_digest(p, name, [own[group] for group in hashed])] if hashed else [])]


def _expected(p: Shamir, sender: int, like: Array) -> list[Array]:
    full, hashed = _roles(p, sender, p.me)
    digests = len(hashed) if corrects(p) else min(1, len(hashed))
    blanks = [p.session.tuple_blank(like.shape, like.dtype) for _ in full]
    return [*blanks, *(np.zeros(DIGEST, np.uint8) for _ in range(digests))]


def _sorted_out(p: Shamir, sender: int, buffers: list[Array]) -> dict[Group, Array]:
    """What a sender gave, by groups; a digest of several parts together belongs to none."""
    full, hashed = _roles(p, sender, p.me)
    return dict(zip([*full, *hashed] if corrects(p) else full, buffers, strict=False))


def _chosen(
    p: Shamir, at: Scope, name: Name, group: Group, copies: dict[int, dict[Group, Array]], wrong: set[int]
) -> Array:
    """The right part of a group, of which we are no member."""
    if not corrects(p) or p.session.counting:
        return copies[group[0]][group]
    members = group[: 2 * p.threshold + 1]
    full = members[: p.threshold + 1]
    votes = {
        member: (_digest(p, name, [copies[member][group]]) if member in full else copies[member][group]).tobytes()
        for member in members
    }
    best, count = Counter(votes.values()).most_common(1)[0]
    holder = next((member for member in full if votes[member] == best), None)
    if count <= p.threshold or holder is None:
        raise IntegrityError(f"{at.path}: more than {p.threshold} of peers {list(members)} sent wrong copies of a part")
    wrong.update(member for member in members if votes[member] != best)
    return copies[holder][group]


def _refuse_differences(
    p: Shamir, at: Scope, name: Name, found: dict[Group, Array], arrived: dict[int, list[Array]]
) -> None:
    for sender, buffers in arrived.items():
        _, hashed = _roles(p, sender, p.me)
        if hashed and not np.array_equal(_digest(p, name, [found[group] for group in hashed]), buffers[-1]):
            raise IntegrityError(
                f"{at.path}: peer {sender} has other parts of a word than peers "
                f"{sorted({group[0] for group in hashed})} sent: one of them cheated; the value was not accepted"
            )
