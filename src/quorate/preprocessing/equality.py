"""Whether two parties hold the same secret value, so that a cheater learns nothing but the answer.

The prover of silent correlations commits to its value, the verifier shows a hash of its own, and only then the prover
opens: neither can try candidates against what the other has said unless it already answered. Who cheated is found out
by the other one. Rounds 3: 32 bytes each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import digest_parts
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import IntegrityError

__all__ = ["compare_as_prover", "compare_as_verifier"]

Array = npt.NDArray[Any]
SALT = 32
_COMMITMENT, _PROOF = "quorate/equality commitment/1", "quorate/equality proof/1"


def compare_as_prover(session: Session, at: Scope, names: Sequence[Name], peer: int, value: Array) -> Step[None]:
    """The part of the one that commits; `value` is C-contiguous, of any content while counting.

    Raises:
        IntegrityError: the verifier has something else.
    """
    salt = session.private(at, "salt").array(SALT)
    commitment, proof = np.zeros(32, np.uint8), np.zeros(32, np.uint8)
    if not session.counting:
        commitment = _hash(session, at, _COMMITMENT, value, salt)
    yield Exchange(names[0], {peer: [commitment]})
    yield Exchange(names[1], None, {peer: [proof]})
    if not session.counting and not np.array_equal(_hash(session, at, _PROOF, value), proof):
        raise _unequal(at, peer)
    yield Exchange(names[2], {peer: [salt]})


def compare_as_verifier(session: Session, at: Scope, names: Sequence[Name], peer: int, value: Array) -> Step[None]:
    """The part of the other one.

    Raises:
        IntegrityError: the prover has something else.
    """
    commitment, salt, proof = np.zeros(32, np.uint8), np.zeros(SALT, np.uint8), np.zeros(32, np.uint8)
    yield Exchange(names[0], None, {peer: [commitment]})
    if not session.counting:
        proof = _hash(session, at, _PROOF, value)
    yield Exchange(names[1], {peer: [proof]})
    yield Exchange(names[2], None, {peer: [salt]})
    if not session.counting and not np.array_equal(_hash(session, at, _COMMITMENT, value, salt), commitment):
        raise _unequal(at, peer)


def _hash(session: Session, at: Scope, domain: str, *content: Array) -> Array:
    parts = [session.ident, at.path.encode(), *(part.tobytes() for part in content)]
    return np.frombuffer(digest_parts(parts, domain), np.uint8)


def _unequal(at: Scope, peer: int) -> IntegrityError:
    return IntegrityError(
        f"{at.path}: the check of silent correlations failed: peer {peer} cheated; nothing was opened"
    )
