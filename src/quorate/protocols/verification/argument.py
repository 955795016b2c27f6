"""That many noted products are right, with communication that grows with the logarithm of their number.

All noted products are brought into one claim: the inner product of two shared vectors over an extension E of the base
ring is a shared number. A level of the argument makes a claim about vectors 2**nu times shorter out of it. The vectors
are cut into blocks at the corners of a hypercube and continued to all points t = (t_1 ... t_nu) as multilinear
functions X_j(t), Y_j(t). The parties compute additive parts of

    H(t) = sum over j of X_j(t) Y_j(t)          (of degree 2 in every t_v)

at the 3**nu points of {0, 1, infinity}**nu and share them again, as they do in a product. They note the difference
between the claimed number and the sum of H over the corners, which is a sharing of zero if nobody cheats, toss a coin
for a point tau, and go on with the vectors X(tau), Y(tau) and the number H(tau). The first level computes on elements
of the base ring only: its weights are products r_(j, a) = sigma_j * rho_a, sigma_j within a block and rho_a for the
block, so H(t) = sum of sigma_j X_j(t) Y_j(t) and the claim is the sum of rho_a H(a) over the corners. At the last
level, whose blocks have one element, there is one more variable, with random elements at its second half: X(tau),
Y(tau) are uniformly random then. They are opened with H(tau) and a random combination of the noted differences.

Sources
    Boneh, Boyle, Corrigan-Gibbs, Gilboa, Ishai, "Zero-Knowledge Proofs on Secret-Shared Data via Fully Linear PCPs",
    CRYPTO 2019; Boyle, Gilboa, Ishai, Nof, "Efficient Fully Secure Computation via Distributed Zero-Knowledge Proofs",
    ASIACRYPT 2020; and, for the recursion by resharing among all parties, which we follow: Goyal, Song, "Malicious
    Security Comes Free in Honest-Majority MPC", IACR ePrint 2020/134, sections 4.2 to 4.4 (de-linearization, dimension
    reduction, randomization).
    Deviations: a hypercube with points 0, 1, infinity instead of interpolation through k points (no division, so it
    works over Z_2**64 and GF(2), and the first level needs only products of the base ring: small-value sum-check of
    Dao, Thaler, "More Optimizations to Sum-Check Proving", ePrint 2024/1210); random weights from a coin instead of
    powers of one challenge; the consistency of levels is checked together at the end.
    Matrix products: Freivalds, "Probabilistic Machines Can Use Less Running Time", IFIP 1977, with secret u^T X Y v.

Soundness. In the protocols that use it a cheater can add errors, known to it, to what is shared again, and nothing
else (see `Scheme`). Let C be the number of challenges. An error in noted products survives the first combination but
with probability 2/C (a bilinear form in sigma and rho; matrix products alike), and goes on to the merged claim but with
1/C. Then either a difference is not zero, which the last combination shows but with 1/C, or H was changed to
another polynomial, which differs at tau but with 2 nu / C (Schwartz, Zippel; challenges differ by units), so that the
next claim is wrong. In all at most (2 * variables + levels + 6) / C: below 2**LOSS / C as long as there are fewer than
2**60 products. With `repetitions` independent runs a cheater passes with probability 2**-security at most.

Secrecy. What is shared again is masked as in a product. The differences are sums of the cheaters' own errors, X(tau)
and Y(tau) are uniform, and H(tau) is their product but for such errors.

Cost of one run for L levels, the first one on elements of the base ring included: 3 L + 3 rounds (two for the first
coin, one for sharing points and two for a coin per level, one for opening); per party 3**nu elements shared again per
level (the last with nu + 1), 128 bytes of coins per peer for each of the L + 1 coins, four elements opened. All runs go
together. Up to 128 products, bits counted, and matrix products and shuffles skip the first level: then 6 rounds for
vectors of up to 64 elements over the field or of bits, of 8 over the ring, which are one level.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from quorate.engine.coins import toss
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import IntegrityError
from quorate.protocols.verification import claims, cube
from quorate.protocols.verification.claims import Claim, Gathered
from quorate.protocols.verification.domain import Array
from quorate.protocols.verification.scheme import Note, Parts, Scheme

__all__ = ["LOSS", "repetitions", "verify"]

PIECE = 1 << 16
"""Words of a vector that are worked on at a time."""
LOSS = 8
"""Bits of a challenge that the number of bad events takes away."""


def repetitions(security: int, challenge_bits: int) -> int:
    """How many independent runs make a cheater pass with probability 2**-security at most."""
    return -(-security // (challenge_bits - LOSS))


def verify(session: Session, scheme: Scheme, at: Scope, notes: Sequence[Note]) -> Step[None]:
    """Check all notes; see the module. Numbers and Boolean words are not mixed: one scheme, one domain.

    Raises:
        IntegrityError: something noted is not right, or somebody cheated in the check.
    """
    if not notes:
        return
    gathered = Gathered(scheme, notes)
    runs = range(repetitions(session.security, scheme.domain.challenge_bits))
    yield from parallel([_Run(session, scheme).run(at.child(f"run {k}"), gathered) for k in runs])


class _Run:
    """One run of the argument."""

    def __init__(self, session: Session, scheme: Scheme) -> None:
        self.session = session
        self.scheme = scheme
        self.domain = scheme.domain
        self.zeros: list[Parts] = []

    def run(self, at: Scope, gathered: Gathered) -> Step[None]:
        claim = yield from self._first(at.child("first"), gathered)
        level = 0
        while claim is not None and not self._is_last(claim):
            level += 1
            claim = yield from self._level(at.child(f"level {level}"), claim)
        yield from self._last(at.child("last"), claim)

    def _is_last(self, claim: Claim) -> bool:
        return 1 << self.domain.variables(claim.length, first=False) >= claim.length

    def _drawn(self, at: Scope, *counts: int, agree: bool = False) -> Step[list[Array]]:
        """Uniform words from a fresh coin, an array for every count; beside it, make sure that we heard the same."""
        others: list[Step[Any]] = [self.scheme.agreed(at.child("heard"))] if agree else []
        coin, *_ = yield from parallel([toss(self.session, at.child("coin")), *others])
        words = [self.session.tuple_blank((count,)) for count in counts]
        coin.fill(*words)
        return words

    # -- levels --------------------------------------------------------------------------------------------------------

    def _first(self, at: Scope, gathered: Gathered) -> Step[Claim | None]:
        """From what was noted to a claim about vectors over E; none if zeros were all that was noted."""
        words = yield from self._drawn(at.child("weights"), *gathered.coins)
        first = claims.First(self.scheme, gathered, [self.domain.challenges(drawn) for drawn in words])
        self.zeros += first.zeros
        if first.empty:
            return None
        if not first.groups:
            return first.folded((), np.empty(0), np.empty(0))
        shared = yield from self.scheme.reshare(at.child("points"), self.scheme.weighted(first.points()))
        counts = [group.nu for group in first.groups]
        tau, gamma = yield from self._drawn(at.child("point"), sum(counts), len(counts) + 1)
        self.zeros += first.differences(shared)
        return first.folded(shared, self.domain.challenges(tau), self.domain.challenges(gamma))

    def _level(self, at: Scope, claim: Claim) -> Step[Claim]:
        nu = self.domain.variables(claim.length, first=False)
        blocks = [tuple(cube.blocks_of(part, nu) for part in side) for side in (claim.left, claim.right)]
        points = yield from self._points(at, blocks[0], blocks[1], nu)
        self.zeros.append(self._difference(claim.value, points, nu, 1 << nu))
        (words,) = yield from self._drawn(at.child("point"), nu)
        return self._at(blocks, points, self.domain.challenges(words))

    def _last(self, at: Scope, claim: Claim | None) -> Step[None]:
        nu = 0 if claim is None else (claim.length - 1).bit_length()
        blocks: list[Parts] = []
        points: Parts = ()
        if claim is not None:
            masks = [self.scheme.random(at.child(side), 1) for side in ("left", "right")]
            sides = zip((claim.left, claim.right), masks, strict=True)
            blocks = [tuple(map(lambda p, m: _masked(p, m, nu), side, mask)) for side, mask in sides]
            points = yield from self._points(at, blocks[0], blocks[1], nu + 1)
            self.zeros.append(self._difference(claim.value, points, nu + 1, 1 << nu))
        counts = (nu, 1, len(self.zeros))
        tau, top, delta = yield from self._drawn(at.child("point"), *counts, agree=True)
        opened = [cube.combined(self.domain, self.zeros, self.domain.challenges(delta))]
        if claim is not None:
            point = np.concatenate([self.domain.challenges(tau), self.domain.units(top)])
            end = self._at(blocks, points, point)
            opened = [*opened, _alone(end.left), _alone(end.right), end.value]
        together = tuple(np.stack(parts) for parts in zip(*opened, strict=True))
        values = yield from self.scheme.open(at.child("open"), together)
        if not self.session.counting:
            self._judge(at, values)

    def _judge(self, at: Scope, values: Array) -> None:
        right = not values[0].any()
        if len(values) > 1:
            right = right and bool((self.domain.mul(values[1:2], values[2:3]) == values[3:4]).all())
        if not right:
            raise IntegrityError(
                f"{at.path}: products were not computed as agreed: a party cheated, or its machine is faulty; "
                "nothing was opened"
            )

    # -- parts of a level ----------------------------------------------------------------------------------------------

    def _points(self, at: Scope, left: Parts, right: Parts, nu: int) -> Step[Parts]:
        """H at the 3**nu points, shared."""
        sums = [self._piece(left, right, place) for place in _pieces(left[0])]
        own = reduce(self.domain.add, sums) if len(sums[0]) else cube.no_points(self.session, self.domain, nu)
        return (yield from self.scheme.reshare(at.child("points"), self.scheme.weighted(own)))

    def _piece(self, left: Parts, right: Parts, place: slice) -> Array:
        """Our sum of local products for some positions of all blocks; empty if we have no part in products."""
        pairs = self.scheme.pairs(
            tuple(part[:, place] for part in left), tuple(part[:, place] for part in right), self.domain.add
        )
        return self.domain.points_over(pairs) if pairs else np.zeros_like(left[0], shape=(0, *self.domain.tail))

    def _difference(self, value: Parts, points: Parts, nu: int, corners: int) -> Parts:
        """The claimed number less the sum of H over the first corners."""
        taken = [cube.corner_number(a, nu) for a in range(corners)]
        return tuple(
            self.domain.sub(mine, cube.total(self.domain, part[taken]))
            for mine, part in zip(value, points, strict=True)
        )

    def _at(self, blocks: Sequence[Parts], points: Parts, tau: Array) -> Claim:
        """The claim about what the blocks, and H, are at the point tau."""
        lines, squares = cube.line_weights(self.domain, tau), cube.square_weights(self.domain, tau)
        left, right = (tuple(self.domain.fold_over(part, lines) for part in side) for side in blocks)
        return Claim(left, right, cube.weighed(self.domain, points, squares))


def _pieces(blocks: Array) -> list[slice]:
    """Positions in pieces, so that what is made of them on the way stays in the cache."""
    positions = blocks.shape[1]
    step = max(1, PIECE * positions // max(blocks.size, 1))
    return [slice(start, start + step) for start in range(0, positions, step)]


def _masked(part: Array, mask: Array, nu: int) -> Array:
    """Blocks of one element, (2**(nu + 1), 1, *tail): the vector, then one random element at all other corners."""
    blocks = cube.blocks_of(part, nu)
    return np.concatenate([blocks, np.repeat(mask[None], len(blocks), axis=0)])


def _alone(side: Parts) -> Parts:
    """The single elements of vectors of one element."""
    return tuple(part[0] for part in side)
