"""How `rep3_malicious` takes values in and opens them: nobody's word is taken for a part, as two parties know each.

Inputs of a party are consistent by construction: it draws one part with the previous party, sends the rest to the next
one, and the third part is zero; whatever it sends is an input. An outside owner sends every part to both its holders,
who compare digests before the input is used. When a value is opened, its recipient gets every part that it lacks from
one of the holders and a digest of it from the other.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from quorate.crypto.hashing import digest_parts
from quorate.engine.coins import same
from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Name, Scope
from quorate.errors import IntegrityError
from quorate.kernels.ghost import contiguous, is_ghost
from quorate.protocols.groups import Group, total
from quorate.sharing import replicated

if TYPE_CHECKING:
    from quorate.protocols.rep3_malicious import Rep3Malicious
    from quorate.protocols.rep3_parts import Array, Pair

__all__ = ["input_from_outside", "opened"]

DIGEST = 32


def input_from_outside(p: Rep3Malicious, at: Scope, owner: int, words: Array) -> Step[Pair]:
    """Two rounds: 16 bytes per element to every party, then 32 bytes between each two of them.

    Raises:
        IntegrityError: the owner sent different parts to their two holders, or one of them says so.
    """
    draw, name = at.step(), at.step()
    parts = (p.session.blank(words.shape), p.session.blank(words.shape))
    if p.me == owner:
        masks = p.session.draw((owner,), draw, p.session.tuple_blank((2, words.size)))
        pairs = replicated.split(words, [mask.reshape(words.shape) for mask in masks])
        yield Exchange(name, {party: list(held) for party, held in enumerate(pairs)})
        parts = pairs[0]
    else:
        yield Exchange(name, None, {owner: parts} if p.me < 3 else None)
    yield from parallel([_compared(p, at.child(f"part {part}"), owner, part, parts) for part in range(3)])
    return parts


def _compared(p: Rep3Malicious, at: Scope, owner: int, part: int, held: Pair) -> Step[None]:
    """The two holders of a part make sure that they have the same."""
    mine = [held[0 if p.me == part else 1]]
    yield from same(p.session, at, f"part {part} of the input of peer {owner}", mine, (part, (part + 2) % 3))


def opened(p: Rep3Malicious, at: Scope, parts: Pair, to: Collection[int], group: Group) -> Step[Array | None]:
    """The secret at the participants `to`, elsewhere None. One round.

    Bytes: per party among the recipients as many as a part has from the previous party, 32 from the next. To every
    outsider a part and 32 bytes from every party. Outsiders get fresh parts, under masks that add up to zero and that
    all parties draw from a key common to them: so an outsider learns nothing but the value, and a party in league with
    it nothing more than what follows from the value and the two parts that the party has anyway.

    Raises:
        IntegrityError: the two holders of a part do not agree.
    """
    outsiders = [recipient for recipient in to if recipient >= 3]
    fresh = _refreshed(p, at, parts, group) if outsiders else parts
    name = at.step()
    lacking = [(p.me + 2) % 3] if p.me < 3 else [0, 1, 2]
    told = {part: p.session.tuple_blank(parts[0].shape, parts[0].dtype) for part in lacking}
    digests = {part: p.session.tuple_blank((DIGEST,), np.uint8) for part in lacking}
    receives: dict[int, list[Array]] = {}
    if p.me in to:
        for part in lacking:
            receives.setdefault(part, []).append(told[part])
        for part in lacking:
            receives.setdefault((part + 2) % 3, []).append(digests[part])
    yield Exchange(name, _sends(p, at, name, parts, fresh, to, outsiders) if p.me < 3 else None, receives)
    if p.me not in to:
        return None
    if not p.session.counting:
        for part in lacking:
            if not np.array_equal(_digest(p, at, name, part, told[part]), digests[part]):
                raise IntegrityError(
                    f"{at.path}: peers {part} and {(part + 2) % 3} told us different things about a value that was "
                    "opened to us: one of them cheated, nobody can tell which; the value was not accepted"
                )
    return total([*(parts if p.me < 3 else ()), *told.values()], group)


def _sends(
    p: Rep3Malicious, at: Scope, name: Name, parts: Pair, fresh: Pair, to: Collection[int], outsiders: list[int]
) -> dict[int, list[Array]]:
    """Part `me` to the next party and to outsiders, a digest of part `next` to the previous one and to outsiders."""
    sends: dict[int, list[Array]] = {}
    if p.next in to:
        sends[p.next] = [contiguous(parts[0])]
    if p.previous in to:
        sends[p.previous] = [_digest(p, at, name, p.next, parts[1])]
    if outsiders:
        both = [contiguous(fresh[0]), _digest(p, at, name, p.next, fresh[1])]
        sends |= dict.fromkeys(outsiders, both)
    return sends


def _refreshed(p: Rep3Malicious, at: Scope, parts: Pair, group: Group) -> Pair:
    """The same secret in parts that an outsider cannot tell from uniform ones."""
    names = [at.step() for _ in range(2)]
    if p.me >= 3:
        return parts
    like = parts[0]
    drawn = [p.session.draw((0, 1, 2), name, p.session.blank(like.shape, like.dtype)) for name in names]
    masks = [drawn[0], drawn[1], group.sub(group.sub(np.zeros_like(like), drawn[0]), drawn[1])]
    return (
        np.asanyarray(group.add(parts[0], masks[p.me])),
        np.asanyarray(group.add(parts[1], masks[p.next])),
    )


def _digest(p: Rep3Malicious, at: Scope, name: Name, part: int, content: Array) -> Array:
    """What stands for a part: bound to the session, to this opening and to the part."""
    if p.session.counting or is_ghost(content):
        return p.session.tuple_blank((DIGEST,), np.uint8)
    where = [p.session.ident, at.path.encode(), name[1].to_bytes(4, "big"), bytes([part])]
    flat = np.ascontiguousarray(content).reshape(-1).view(np.uint8).data
    return np.frombuffer(digest_parts([*where, flat], "quorate/opened part/1"), np.uint8)
