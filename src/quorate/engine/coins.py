"""Commitments, coins and comparison among the parties: what every check against cheating is made of.

Whatever is hashed here is bound to the session, the step and the party that speaks, so that nothing said elsewhere
fits. A coin is good for one check.

Source: commitments as SHA-256 over value and 32 random bytes (random oracle); coins by commitments as in Blum, "Coin
Flipping by Telephone", CRYPTO 1981. Against a party that tells different parties different things, the openings carry
a digest of all commitments received (the echo broadcast of Goldwasser, Lindell, "Secure Multi-Party Computation
without Agreement", J. Cryptology 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import digest_parts
from quorate.crypto.stream import KEY_BYTES, Stream
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import IntegrityError, InternalError

__all__ = ["Coin", "commit_and_open", "same", "toss"]

Array = npt.NDArray[Any]
DIGEST = 32
SALT = 32


class Coin:
    """Randomness that nobody could foresee or bend, for one check: `fill` may be called once."""

    __slots__ = ("_seed", "_what")

    def __init__(self, seed: bytes | None, what: str) -> None:
        self._seed = seed
        self._what = what

    def fill(self, *arrays: Array) -> None:
        """Overwrite C-contiguous arrays with uniform bytes that the coin determines; ghosts stay as they are.

        Raises:
            InternalError: the coin was spent before.
        """
        if self._what == "":
            raise InternalError("a coin was about to be used for a second check")
        seed, self._seed, self._what = self._seed, None, ""
        if seed is not None:
            stream = Stream(seed[:KEY_BYTES])
            for number, array in enumerate(arrays, 1):
                stream.fill((0, number), array)

    def __repr__(self) -> str:
        return "<Coin>"

    def __reduce__(self) -> NoReturn:
        raise InternalError("a coin is not to be stored")


def toss(session: Session, at: Scope, members: Sequence[int] | None = None) -> Step[Coin]:
    """A coin of all parties, or of `members`. Two rounds, 128 bytes to every other member.

    Toss only when everything that the coin is to check is fixed. Whoever is no member gets a coin without content.

    Raises:
        IntegrityError: see `commit_and_open`.
    """
    group = tuple(range(session.parties)) if members is None else tuple(members)
    taking_part = session.me in group and not session.counting
    mine = session.private(at, "coin").array(DIGEST) if taking_part else np.zeros(DIGEST, np.uint8)
    values = yield from commit_and_open(session, at, mine, group)
    if not taking_part:
        return Coin(None, at.path)
    parts = [session.ident, at.path.encode(), *(value.tobytes() for value in values)]
    return Coin(digest_parts(parts, "quorate/coin/1"), at.path)


def commit_and_open(
    session: Session, at: Scope, value: Array, members: Sequence[int] | None = None
) -> Step[list[Array]]:
    """Everybody's `value` (C-contiguous, equal shape and dtype), chosen before any other was known; by member.

    Two rounds: commitments of 32 bytes, then the value, 32 bytes of salt and 32 of digest, to every other member.
    Whoever is no member passes anything of the right shape, and gets that back.

    Raises:
        IntegrityError: a peer opened something else than it committed to, or told different parties different things.
    """
    group = tuple(range(session.parties)) if members is None else tuple(members)
    others = [member for member in group if member != session.me]
    first, second = at.step(), at.step()
    if session.me not in group:
        yield Exchange(first)
        yield Exchange(second)
        return [value for _ in group]
    where = [session.ident, at.path.encode(), first[1].to_bytes(4, "big")]

    def commitment(speaker: int, content: Array, salt: Array) -> Array:
        parts = [*where, speaker.to_bytes(4, "big"), content.tobytes(), salt.tobytes()]
        return np.frombuffer(digest_parts(parts, "quorate/commitment/1"), np.uint8)

    if session.counting:
        blank = np.zeros(DIGEST, np.uint8)
        yield Exchange(first, _to(others, [blank]), _to(others, [blank]))
        content = [value, np.zeros(SALT, np.uint8), blank]
        yield Exchange(second, _to(others, content), _to(others, content))
        return [value for _ in group]
    salt = session.private(at, "salt").array(SALT)
    committed = {member: np.empty(DIGEST, np.uint8) for member in others}
    committed_all = {**committed, session.me: commitment(session.me, value, salt)}
    own = [committed_all[session.me]]
    yield Exchange(first, _to(others, own), {member: [buffer] for member, buffer in committed.items()})
    heard = [committed_all[member].tobytes() for member in group]
    echo = np.frombuffer(digest_parts([*where, *heard], "quorate/echo/1"), np.uint8)
    opened = {member: [np.empty_like(value), np.empty(SALT, np.uint8), np.empty(DIGEST, np.uint8)] for member in others}
    yield Exchange(second, _to(others, [value, salt, echo]), opened)
    for member, (content_, salt_, echo_) in opened.items():
        if not np.array_equal(commitment(member, content_, salt_), committed_all[member]):
            raise IntegrityError(f"{at.path}: peer {member} opened something else than it had committed to")
        if not np.array_equal(echo, echo_):
            raise IntegrityError(
                f"{at.path}: peer {member} heard other commitments than we did: it cheated, or another party told "
                "different things to different parties"
            )
    return [value if member == session.me else opened[member][0] for member in group]


def _to(members: Sequence[int], content: list[Array]) -> dict[int, list[Array]]:
    return dict.fromkeys(members, content)


def same(
    session: Session, at: Scope, what: str, content: Sequence[Array], members: Sequence[int] | None = None
) -> Step[None]:
    """Make sure that all members (parties by default) have the same `content`. One round, 32 bytes to each other.

    Compares digests, so it tells nothing about content that has much entropy, and must not be used for other secrets.

    Raises:
        IntegrityError: somebody has something else; names the first such peer.
    """
    group = tuple(range(session.parties)) if members is None else tuple(members)
    name = at.step()
    if session.me not in group:
        yield Exchange(name)
        return
    others = [member for member in group if member != session.me]
    theirs = {member: [np.zeros(DIGEST, np.uint8)] for member in others}
    mine = np.zeros(DIGEST, np.uint8)
    if not session.counting:
        where = [session.ident, at.path.encode(), name[1].to_bytes(4, "big")]
        parts = [np.ascontiguousarray(part).reshape(-1).view(np.uint8).data for part in content]
        mine[:] = np.frombuffer(digest_parts([*where, *parts], "quorate/same/1"), np.uint8)
    yield Exchange(name, _to(others, [mine]), theirs)
    for member in others if not session.counting else ():
        if not np.array_equal(theirs[member][0], mine):
            raise IntegrityError(
                f"{what}: peer {member} has something else than we have; it cheated, or whoever sent it did"
            )
