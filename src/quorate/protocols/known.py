"""Functions of what single parties know of a secret, shared again: the way to sines, powers and all that follows.

A secret x is a sum of summands a_0 + ... + a_{k-1} modulo M, each known to one party (or to several alike). Where
f(a_0 + a_1) = sum_m f_m(a_0) g_m(a_1), as with sines and powers, parties compute their factors locally, share them, and
one inner product gives f(x) without any decomposition of x. Idea for powers and two parties: Kelkar, Le, Raykova,
Seth, "Secure Poisson Regression", USENIX Security 2022; for sines: Lu, Huang, Zhang, Wang, Hong, "Squirrel", USENIX
Security 2023 (Fourier series of the sigmoid).

What a summand tells its holder it knows already, and what it deals is a fresh sharing: nothing is opened. Adversaries
are semi-honest, since a dealer of wrong values would not be noticed.

A function maps a summand, (n,) elements, and its number to a contiguous int64 array (count, n). It is called on pieces
of the array, at several parties on the same summand, and has to give the same to the last bit; see `kernels.analytic`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.kernels import field
from quorate.kernels.analytic import column_dot
from quorate.kernels.ghost import contiguous, is_ghost
from quorate.kernels.ring import weighted_halves
from quorate.protocols.base import Function, Protocol
from quorate.protocols.groups import SUM, pair
from quorate.sharing.share import Arithmetic

if TYPE_CHECKING:
    from quorate.protocols.clear import Clear
    from quorate.protocols.rep3 import Rep3
    from quorate.protocols.semi2k import Semi2k
    from quorate.protocols.shamir import Shamir

__all__ = ["clear", "dot", "rep3", "rep3_dot", "rep3_weigh", "semi2k", "shamir", "values_of"]

Array = npt.NDArray[Any]
PIECE = 1 << 12
"""Elements that are worked on at a time, so that all rows of them stay in the cache."""


def clear(p: Clear, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
    """Two summands: x and 0."""
    yield from ()
    words = x.parts[0]
    return [
        Arithmetic(p.name, (values_of(function, part, index, count).view(np.uint64),))
        for index, part in enumerate((words, np.zeros_like(words)))
    ]


def rep3(p: Rep3, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
    """Party 0 knows x0 + x1, parties 1 and 2 know x2. 8 bytes per value from party 0, one round."""
    known = p.known_summand(x)
    blank = p.session.blank((count, *x.shape))
    first = values_of(function, known, 0, count).view(np.uint64) if p.me == 0 else blank
    dealt = yield from p.deal(at, 0, first, SUM)
    second = blank if p.me == 0 else values_of(function, known, 1, count).view(np.uint64)
    return [Arithmetic(p.name, dealt), Arithmetic(p.name, p.between_1_and_2(second))]


def rep3_dot(p: Rep3, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
    """Party 0 deals its factors to parties 1 and 2, who know theirs and add up alone.

    Bytes (8 count + 8, 8, 8), with a shift (8 count + 16, 16, 16); 2 rounds, 3 with a shift.
    """
    known = p.known_summand(x).reshape(-1)
    z = p.session.blank(known.shape)
    dealt = yield from _dealt(p, at, known.size, count, lambda piece: function(known[piece], 0).view(np.uint64))
    if p.me == 0:
        z[...] = 0
    elif p.me < 3:
        for index, piece in enumerate(_pieces(known.size)):
            z[piece] = column_dot(dealt(index, piece), function(known[piece], 1).view(np.uint64))
    return (yield from p.reshare(at, z.reshape(x.shape), shift))


def rep3_weigh(p: Rep3, at: Scope, bits: Array, weights: Array) -> Step[Array]:
    """Sums of weights times secret bits, of which party 0 knows one summand modulo 2 and parties 1 and 2 the other.

    Party 0 deals its bits as integers; b + c - 2 b c is linear in them, so parties 1 and 2 add up alone.

    Args:
        bits: (count, n), what this party knows.
        weights: (rows, count), uint64.

    Returns:
        At parties 1 and 2 what they hold of the sums (rows, n), which add up; elsewhere any array of that shape.
        8 bytes per bit from party 0; one round.
    """
    count, size = bits.shape
    sums = p.session.blank((len(weights), size))
    dealt = yield from _dealt(p, at, size, count, lambda piece: bits[:, piece])
    if p.me in (1, 2):
        for index, piece in enumerate(_pieces(size)):
            sums[:, piece] = weighted_halves(dealt(index, piece), contiguous(bits[:, piece]), weights, p.me == 1)
    return sums


def _dealt(
    p: Rep3, at: Scope, size: int, count: int, values: Callable[[slice], Array]
) -> Step[Callable[[int, slice], Array]]:
    """Party 0 shares (count, size) words, `values` of a piece of columns, between parties 1 and 2. One round.

    Returns what these parties hold of a piece, by its number and place. Every piece has a mask of its own, so that
    only party 1 holds an array of the full size.
    """
    pieces = list(_pieces(size))
    names, sent = [at.step() for _ in pieces], at.step()
    rest = p.session.blank((count * size,)) if p.me != 2 else np.empty(0, np.uint64)

    def block(piece: slice) -> Array:
        return rest[count * piece.start : count * piece.stop].reshape(count, piece.stop - piece.start)

    def mask(index: int, piece: slice) -> Array:
        words = p.session.scratch(2, (count, piece.stop - piece.start))
        return p.session.draw(pair(0, 2), names[index], words)

    if p.me == 0:
        for index, piece in enumerate(pieces):
            np.subtract(values(piece), mask(index, piece), out=block(piece))
    yield Exchange(sent, {1: [rest]} if p.me == 0 else None, {0: [rest]} if p.me == 1 else None)
    return mask if p.me == 2 else lambda index, piece: block(piece)


def shamir(p: Shamir, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
    """Party j <= t knows lambda_j f(j + 1)."""
    known = []
    for party in range(p.threshold + 1):
        blank = p.session.blank((count, *x.shape))
        mine = p.me == party
        known.append(field.encode_signed(values_of(function, p.summand(x, party), party, count)) if mine else blank)
    return (yield from p.input_each(at, known))


def semi2k(p: Semi2k, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
    """Party j knows its own part. No communication."""
    results = []
    for party in range(p.parties):
        values = values_of(function, x.parts[0], party, count) if p.me == party else None
        results.append((yield from p.input(at.child(f"summand {party}"), party, (count, *x.shape), values)))
    return results


def dot(p: Protocol, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
    """The same for any protocol with two summands: both factors shared, then an inner product."""
    first, second = yield from p.known(at.child("known"), x, function, count)
    rows = [share.map(lambda part: contiguous(np.moveaxis(part, 0, -1))) for share in (first, second)]
    return (yield from p.dot(at.child("dot"), rows[0], rows[1], shift))


def values_of(function: Function, words: Array, index: int, count: int) -> Array:
    """The function of a summand of any shape, piece by piece: (count, *shape)."""
    flat = contiguous(words).reshape(-1)
    if flat.size <= PIECE or is_ghost(flat):
        return function(flat, index).reshape((count, *words.shape))
    out = np.empty((count, flat.size), np.int64)
    for piece in _pieces(flat.size):
        out[:, piece] = function(flat[piece], index)
    return out.reshape((count, *words.shape))


def _pieces(size: int) -> Iterator[slice]:
    return (slice(start, min(start + PIECE, size)) for start in range(0, size, PIECE))
