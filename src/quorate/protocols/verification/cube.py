"""The hypercube of the verification of products: blocks at its corners, and values at a point of E."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quorate.engine.session import Session
from quorate.protocols.verification.domain import Array, Domain
from quorate.protocols.verification.scheme import Parts

__all__ = ["blocks_of", "combined", "corner_number", "line_weights", "no_points", "square_weights", "total", "weighed"]


def blocks_of(vector: Array, nu: int, multiple: int = 1) -> Array:
    """A vector (count, *tail) as blocks (2**nu, m, *tail), filled up with zeros; m is a multiple of `multiple`."""
    m = -(-len(vector) // (multiple << nu)) * multiple
    missing = (m << nu) - len(vector)
    if missing:
        vector = np.concatenate([vector, np.zeros_like(vector, shape=(missing, *vector.shape[1:]))])
    return vector.reshape((1 << nu, m, *vector.shape[1:]))


def corner_number(corner: int, nu: int) -> int:
    """The number of a corner among the 3**nu points."""
    return sum(3**v for v in range(nu) if corner >> v & 1)


def no_points(session: Session, domain: Domain, nu: int) -> Array:
    """What a party that takes no part in products has of H."""
    return np.zeros_like(session.blank((3**nu, *domain.tail)))


def line_weights(domain: Domain, tau: Array) -> Array:
    """(2**nu, *tail): f(tau) is the sum of these times the values of the multilinear f at the corners."""
    return _tensor(domain, tau, 2)


def square_weights(domain: Domain, tau: Array) -> Array:
    """(3**nu, *tail): the same for f of degree 2 in every variable and its values at {0, 1, infinity}**nu.

    In one variable f(t) = f(0) (1 - t) + f(1) t + f(infinity) (t**2 - t).
    """
    return _tensor(domain, tau, 3)


def _tensor(domain: Domain, tau: Array, base: int) -> Array:
    one = domain.one(tau)
    weights = one[None]
    for v in range(len(tau)):
        t = tau[v]
        factors = [domain.sub(one, t), t, domain.sub(domain.mul(t, t), t)][:base]
        weights = np.concatenate([domain.mul(weights, factor) for factor in factors])
    return weights


def total(domain: Domain, values: Array) -> Array:
    """The sum over the first axis of (n, *tail), n at least 1."""
    while len(values) > 1:
        half = len(values) // 2
        pairs = domain.add(values[:half], values[half : 2 * half])
        values = pairs if len(values) % 2 == 0 else np.concatenate([pairs, values[-1:]])
    first: Array = values[0]
    return first


def weighed(domain: Domain, parts: Parts, weights: Array) -> Parts:
    """The sum of weights (n, *tail) times values (n, *tail), of every part: (*tail)."""
    return tuple(total(domain, domain.mul(part, weights)) for part in parts)


def combined(domain: Domain, elements: Sequence[Parts], weights: Array) -> Parts:
    """The same for shared single elements."""
    return weighed(domain, tuple(np.stack(parts) for parts in zip(*elements, strict=True)), weights)
