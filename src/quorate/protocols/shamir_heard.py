"""What several parties were sent alike: digests of it, and their comparison.

A cheater may tell two members of a group different things. Members keep a digest of what they heard, and compare before
anything is opened. Until then what honest parties hold may not fit together, and functions of it may differ in a way
that depends on secrets. Whatever they send before the comparison is therefore masked party by party: a coalition sees,
of every sum, one uniform number, so a difference does no harm until it is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from quorate.crypto.hashing import digest_parts
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.errors import IntegrityError
from quorate.protocols.shamir_parts import Array, Group

if TYPE_CHECKING:
    from quorate.protocols.shamir import Shamir

__all__ = ["DIGEST", "Heard", "compare", "digest_of"]

DIGEST = 32


class Heard(NamedTuple):
    """Digests of what the members of groups were sent; of our groups only."""

    digests: dict[Group, bytes]


def digest_of(what: Sequence[bytes], arrays: Sequence[Array]) -> bytes:
    """SHA-256 of what it is for, and the content of arrays."""
    return digest_parts([*what, *(_bytes(array) for array in arrays)], "quorate/heard/1")


def _bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def compare(p: Shamir, at: Scope, heard: Sequence[Heard]) -> Step[None]:
    """Make sure that all members of groups heard the same. One round, 32 bytes to each other party.

    Raises:
        IntegrityError: somebody heard something else; names the first such peer.
    """
    name = at.step()
    if p.me >= p.parties:
        yield Exchange(name)
        return
    others = [party for party in range(p.parties) if party != p.me]
    mine = {other: np.zeros(DIGEST, np.uint8) for other in others}
    theirs = {other: [np.zeros(DIGEST, np.uint8)] for other in others}
    if not p.session.counting:
        for other, content in mine.items():
            common = [d for entry in heard for group, d in entry.digests.items() if other in group]
            content[:] = np.frombuffer(digest_of([p.session.ident, at.path.encode(), *common], []), np.uint8)
    yield Exchange(name, {other: [content] for other, content in mine.items()}, theirs)
    for other in others if not p.session.counting else ():
        if not np.array_equal(mine[other], theirs[other][0]):
            raise IntegrityError(
                f"{at.path}: peer {other} was sent something else than we were by the same party, or says so: one of "
                "them cheated; nothing was opened"
            )
