"""Puncturable trees between two parties: one knows all leaves, the other all but the one that its secret points at.

Sources: the tree of Goldreich, Goldwasser, Micali, punctured with OTs as in Boyle et al., "Efficient Two-Round OT
Extension and Silent Non-Interactive Secure Computation", ACM CCS 2019, figure 5; the check is that of Roy,
"SoftSpokenOT", CRYPTO 2022, figure 14. For level j of a tree, bit d_j of the secret (highest first) and OT keys K_j,0,
K_j,1 the owner sends K_j,b xor the sum of all nodes of that level that are a right (b = 1) or left child; the other
party chose key 1 - d_j, and so gets the sum that holds the sibling of its path.

For the check the owner hashes every leaf to 256 bits, and sends per tree the sum of these, and a digest of all. The
other party finds the one it lacks from the sum, and compares. An owner that sends wrong sums is found out unless they
lie off the path: it can guess bits of a secret at the price of being found out if it is wrong, and its leaves are
fixed.

Rounds 2. Bytes: from the party with the secret 64 per OT; from the owner 32 + 32 per OT, 32 per tree, 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.curve import POINT_BYTES
from quorate.crypto.hashing import digest_parts
from quorate.crypto.robust import expand
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import IntegrityError
from quorate.preprocessing.base_ot import Receiver, Sender

__all__ = ["grow", "own", "puncture", "stand_by"]

Blocks = npt.NDArray[np.uint64]
Array = npt.NDArray[Any]
_LEFT, _RIGHT, _FIRST_CHECK, _SECOND_CHECK, _KEY = range(5)
DIGEST = 32


def stand_by(at: Scope) -> Step[None]:
    """The part of whoever has nothing to do with these trees: two rounds of silence."""
    yield Exchange(at.step())
    yield Exchange(at.step())


def own(session: Session, at: Scope, peer: int, trees: int, depth: int) -> Step[Blocks]:
    """The part of the owner: (trees, 2^depth, 2) keys of all leaves."""
    asked = np.zeros((trees * depth, 2, POINT_BYTES), np.uint8)
    first = at.step()
    yield Exchange(first, None, {peer: [asked]})
    answer = np.zeros((trees * depth, POINT_BYTES), np.uint8)
    sums = np.zeros((trees, depth, 2, 2), np.uint64)
    hashes, digest = np.zeros((trees, 4), np.uint64), np.zeros(DIGEST, np.uint8)
    leaves = np.zeros((trees, 1 << depth, 2), np.uint64)
    if not session.counting:
        own = session.private(at, "trees")
        sender = Sender(own, _context(session, at, peer, session.me))
        keys, answer = sender.answer(asked)
        roots = own.array(2 * trees, np.uint64).reshape(trees, 1, 2)
        leaves, totals = grow(roots, depth)
        sums = totals ^ keys.view(np.uint64).reshape(sums.shape)
        checks = _checks(leaves)
        hashes = np.bitwise_xor.reduce(checks, axis=1)
        digest = _digest(session, at, checks)
        leaves = expand(leaves, _KEY)
    yield Exchange(at.step(), {peer: [answer, sums, hashes, digest]})
    return leaves


def puncture(session: Session, at: Scope, peer: int, secrets: Sequence[int], depth: int) -> Step[Blocks]:
    """The part of the party with secrets in [0, 2^depth), one per tree: (trees, 2^depth, 2) keys of leaves.

    The key at the secret is 0: it is the one that this party must not know.

    Raises:
        IntegrityError: the owner's messages do not fit together; nothing was opened.
    """
    trees = len(secrets)
    asked = np.zeros((trees * depth, 2, POINT_BYTES), np.uint8)
    receiver: Receiver | None = None
    if not session.counting:
        choices = [1 - (secret >> (depth - 1 - level) & 1) for secret in secrets for level in range(depth)]
        context = _context(session, at, session.me, peer)
        receiver = Receiver(session.private(at, "base OTs"), context, np.array(choices, np.uint8))
        asked = receiver.ask()
    yield Exchange(at.step(), {peer: [asked]})
    answer = np.zeros((trees * depth, POINT_BYTES), np.uint8)
    sums = np.zeros((trees, depth, 2, 2), np.uint64)
    hashes, digest = np.zeros((trees, 4), np.uint64), np.zeros(DIGEST, np.uint8)
    yield Exchange(at.step(), None, {peer: [answer, sums, hashes, digest]})
    if receiver is None:
        return np.zeros((trees, 1 << depth, 2), np.uint64)
    keys = receiver.keys(answer).view(np.uint64).reshape(trees, depth, 2)
    hidden = np.array(secrets, np.int64)
    leaves = _regrow(keys, sums, hidden, depth)
    checks, rows = _checks(leaves), np.arange(trees)
    checks[rows, hidden] = 0
    checks[rows, hidden] = hashes ^ np.bitwise_xor.reduce(checks, axis=1)
    if not np.array_equal(_digest(session, at, checks), digest):
        raise IntegrityError(
            f"{at.path}: peer {peer} sent keys for oblivious transfers that do not fit together; nothing was opened"
        )
    leaves = expand(leaves, _KEY)
    leaves[rows, hidden] = 0
    return leaves


def grow(roots: Blocks, depth: int) -> tuple[Blocks, Blocks]:
    """Leaves (trees, 2^depth, 2) of trees with these roots (trees, 1, 2), and the sums (trees, depth, 2, 2) of the left
    and the right children of every level."""
    nodes = roots
    sums = np.empty((len(roots), depth, 2, 2), np.uint64)
    for level in range(depth):
        nodes = _children(nodes)
        sums[:, level] = np.bitwise_xor.reduce(nodes.reshape(len(roots), -1, 2, 2), axis=1)
    return nodes, sums


def _regrow(keys: Blocks, sums: Blocks, hidden: npt.NDArray[np.int64], depth: int) -> Blocks:
    """All leaves but the hidden ones, whose place holds nothing of meaning."""
    trees, rows = len(hidden), np.arange(len(hidden))
    nodes = np.zeros((trees, 1, 2), np.uint64)
    for level in range(depth):
        nodes = _children(nodes)
        path = hidden >> (depth - 1 - level)
        nodes[rows, path] = nodes[rows, path ^ 1] = 0
        side = 1 - (path & 1)
        of_side = np.bitwise_xor.reduce(nodes.reshape(trees, -1, 2, 2), axis=1)[rows, side]
        nodes[rows, path ^ 1] = of_side ^ keys[:, level] ^ sums[rows, level, side]
    return nodes


def _children(nodes: Blocks) -> Blocks:
    return np.stack([expand(nodes, _LEFT), expand(nodes, _RIGHT)], axis=2).reshape(len(nodes), -1, 2)


def _checks(leaves: Blocks) -> Blocks:
    return np.concatenate([expand(leaves, _FIRST_CHECK), expand(leaves, _SECOND_CHECK)], axis=2)


def _context(session: Session, at: Scope, holder: int, owner: int) -> list[bytes]:
    return [session.ident, at.path.encode(), holder.to_bytes(4, "big"), owner.to_bytes(4, "big")]


def _digest(session: Session, at: Scope, checks: Blocks) -> npt.NDArray[np.uint8]:
    parts = [session.ident, at.path.encode(), np.ascontiguousarray(checks).tobytes()]
    return np.frombuffer(digest_parts(parts, "quorate/tree check/1"), np.uint8)
