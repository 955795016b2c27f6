"""What the verification of products needs to know of a sharing scheme, and what is noted to be verified."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.protocols.verification.domain import Array, Domain, Pairs

__all__ = ["Inner", "Matrix", "Note", "Parts", "Permuted", "Products", "Scheme", "Zeros"]

Parts = tuple[Array, ...]
"""What one party holds of a shared array: one array per part."""


@dataclass(frozen=True, slots=True)
class Products:
    """z = x * y elementwise, all of one shape; words of `width` bits, with and for *, or numbers (width 0)."""

    x: Parts
    y: Parts
    z: Parts
    width: int = 0


@dataclass(frozen=True, slots=True)
class Inner:
    """z (m,) are the inner products of the rows of x and y (m, k), numbers."""

    x: Parts
    y: Parts
    z: Parts


@dataclass(frozen=True, slots=True)
class Matrix:
    """z (a, c) is the matrix product of x (a, b) and y (b, c), numbers."""

    x: Parts
    y: Parts
    z: Parts


@dataclass(frozen=True, slots=True)
class Zeros:
    """Numbers that are zero, any shape."""

    x: Parts


@dataclass(frozen=True, slots=True)
class Permuted:
    """Rows y[j] are rows x[perm[j]], both (n, m): numbers, or words of `width` bits. The members of `group` know the
    order; it is None elsewhere."""

    group: tuple[int, ...]
    perm: Array | None
    x: Parts
    y: Parts
    width: int = 0


Note = Products | Inner | Matrix | Zeros | Permuted


class Scheme(ABC):
    """A linear sharing over the domain's base ring R that extends to E, in which products take one resharing.

    Sharings must be consistent: whatever the honest parties hold determines the secret, and corrupted parties can
    change a secret by no more than adding an error that they know (an additive attack). Anything else must be caught
    by `agreed` before it does harm.
    """

    domain: Domain

    @abstractmethod
    def pairs(self, x: Parts, y: Parts, add: Callable[[Array, Array], Array]) -> Pairs:
        """The local products from which our additive part of x * y comes; none if we have no part in products.

        Factors are parts, or sums of parts made with `add`, which adds items or elements.
        """

    @abstractmethod
    def weighted(self, values: Array) -> Array:
        """Sums of our local products (elements of E) as the additive part that `reshare` takes."""

    @abstractmethod
    def reshare(self, at: Scope, values: Array) -> Step[Parts]:
        """A fresh sharing of the sum of all parties' `values` (n, *tail), at those who take part in products. One
        round, the same as that of a product."""

    @abstractmethod
    def random(self, at: Scope, count: int) -> Parts:
        """A sharing of uniform elements (count, *tail) that nobody knows. No communication."""

    @abstractmethod
    def open(self, at: Scope, parts: Parts) -> Step[Array]:
        """What is shared, to all parties. The same number of rounds everywhere.

        Raises:
            IntegrityError: what was received does not determine the values although at most t parties cheat.
        """

    def place(self, group: tuple[int, ...], values: Array) -> Parts:
        """A sharing of elements that the members of a group know; elsewhere `values` are any of that shape. Local."""
        raise InternalError(f"{type(self).__name__} does not place what groups know")

    def agreed(self, at: Scope) -> Step[None]:
        """Make sure that what was sent to several parties while resharing is the same at all of them. At most two
        rounds, run beside a toss of coins.

        Raises:
            IntegrityError: it is not.
        """
        yield from ()
