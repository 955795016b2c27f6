"""The small set of primitives that every protocol implements. Everything else is built on these, once.

Values are raw integers in (-2**capacity, 2**capacity); fixed point is a matter of the caller. Interactive primitives
are steps (generators); each takes a `Scope` of its own from which it names its rounds. All participants of a session
(parties 0 ... n-1, then dealer, outside owners and recipients) run the same sequence of steps; what a role has no part
in, it goes through with ghosts (arrays without content), which is also how a quote is made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import EnvironmentFault, InternalError
from quorate.kernels.field import P
from quorate.kernels.order import running_sums
from quorate.preprocessing.supply import Supply
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Bilinear", "Function", "Integers", "Protocol", "Times", "through_ands"]

FIELD_BITS = 61
Integers = npt.NDArray[np.int64]
Function = Callable[[npt.NDArray[np.uint64], int], Integers]
"""(summand, its number) -> int64 of shape (count, *summand.shape): for `known`. It works on integers alone, because
several parties compute the same, and on ghosts."""
Times = Callable[[npt.NDArray[Any], npt.NDArray[Any]], npt.NDArray[Any]]
"""A product of Boolean words that is linear over exclusive or in each argument; works on ghosts too."""


@dataclass(frozen=True)
class Bilinear:
    """A product for `Protocol.bilinear`: as a map, and as one and of longer operands, for protocols that check ands.

    All of it works on ghosts, treats every bit of a word alike (no shifts), and `join` is linear over exclusive or.

    Attributes:
        local: the product itself, (a, b) -> words; linear in each argument.
        operands: (a, b) -> (left, right) of one shape, with times(a, b) = join(left & right). Left is linear in a and
            right in b; of the other argument each depends on the shape alone.
        join: from the and to the result.
    """

    local: Times
    operands: Callable[[npt.NDArray[Any], npt.NDArray[Any]], tuple[npt.NDArray[Any], npt.NDArray[Any]]]
    join: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

    def __call__(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The product."""
        return self.local(a, b)


class Protocol(ABC):
    """One participant's view of a protocol in one session."""

    name: ClassVar[str]
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]]
    majority: ClassVar[Literal["none", "honest", "dishonest"]]
    """Of which parties the honest ones have to be the majority for the usual threshold; "none": of no protection."""
    usual_parties: ClassVar[int] = 3
    """The number of parties to take where none is given."""
    dealer_allowed: ClassVar[bool] = False
    """Whether a trusted dealer may take part."""
    exact_parties: ClassVar[int | None] = None
    """The only number of parties it runs with, if there is only one."""
    most_security: ClassVar[int] = 128
    """Bits of statistical security that its checks can reach at most (`Session.security`)."""
    keeps: ClassVar[bool] = True
    """Whether shares can be kept for a later session; not where they are bound to keys of the session."""
    survives: ClassVar[bool] = False
    """Whether it goes on without parties that are lost, as long as threshold + 1 are left."""
    capacity: ClassVar[int]
    """Raw values must lie strictly between -2**capacity and 2**capacity."""

    supply: Supply | None = None
    """Where the tuples come from that the parties make themselves; None: this protocol needs none."""

    def __init__(self, session: Session, threshold: int) -> None:
        self.session = session
        self.threshold = threshold
        self.me = session.me
        self.parties = session.parties

    # -- set-up, input and output ------------------------------------------------------------------------------------

    @abstractmethod
    def setup(self, at: Scope) -> Step[None]:
        """Agree on the keys of shared randomness; once per session, before anything else."""

    @abstractmethod
    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        """Share the `values` that participant `owner` holds (int64, `shape`); None at everyone else. One round."""

    def checked(self) -> Step[None]:
        """Return once everything computed so far is known to be right; nothing to do for semi-honest protocols.

        Protocols that check later than they compute do so here, see `quorate.protocols.deferred`, and start whatever
        opens a value with it.

        Raises:
            IntegrityError: somebody cheated.
        """
        yield from ()

    @property
    def resumable(self) -> bool:
        """Whether a plan can go on after an interruption with the keys of `setup`, the shares that were live, and
        `progress`: what the protocol carries along besides, once everything is `checked`, is nothing else."""
        return False

    def progress(self) -> tuple[int, ...]:
        """What later names depend on, such as the number of checks so far; of `resumable` protocols."""
        return ()

    def proceed(self, progress: Sequence[int]) -> None:
        """Go on where `progress` was taken; after `setup`.

        Raises:
            EnvironmentFault: this is no progress of such a protocol.
        """
        if progress:
            raise EnvironmentFault(f"the stored state of this session is not one of {self.name}")

    def stock_keys(self) -> list[npt.NDArray[Any]]:
        """The secrets under which correlated randomness is made, such as our shares of MAC keys; after `setup`.

        `setup` adopts `session.stock_keys` where there are any: tuples made before this session are under these. To be
        adopted later they need a `witness`.
        """
        return []

    @property
    def most_losses(self) -> int:
        """How many parties may be lost after `prepare`, with all inputs dealt, so that the others still finish."""
        return 0

    def prepare(self, at: Scope, needs: Mapping[str, int]) -> Step[None]:
        """Make what takes all parties, before any input is used, so that some may be lost from then on.

        Once, after `setup`, if at all. `needs`: how many tuples of each kind will be used up. Nothing to do for
        protocols that need all parties to the end.
        """
        yield from ()

    def witness(self, at: Scope) -> Step[None]:
        """Make what shows in later sessions whether everybody goes on with the same keys, and add it to `stock_keys`.

        Once, after `setup` with fresh keys, before these are stored. Nothing to do for protocols without such keys.

        Raises:
            IntegrityError: somebody cheated.
        """
        yield from ()

    @abstractmethod
    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        """Open `x` to the participants `to`; they get int64 values, the others None. One round."""

    @abstractmethod
    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        """Open Boolean words (unsigned; uint8 0/1 for width 1) to the participants `to`. One round."""

    # -- local ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def public(self, values: Integers) -> Arithmetic:
        """The sharing of values that everybody knows; no communication."""

    @abstractmethod
    def public_bits(self, words: npt.NDArray[np.generic], width: int = 1) -> Boolean:
        """The sharing of Boolean words that everybody knows."""

    @abstractmethod
    def add(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        """x + y; shapes broadcast as in NumPy (so for all local operations)."""

    @abstractmethod
    def sub(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        """x - y."""

    @abstractmethod
    def scale(self, x: Arithmetic, by: Integers | int) -> Arithmetic:
        """x times public integers."""

    @abstractmethod
    def sum(self, x: Arithmetic, axis: int) -> Arithmetic:
        """Sum over one axis."""

    def running_sums(self, x: Arithmetic) -> Arithmetic:
        """Sums of the rows, (n, ...), up to each, itself included. To be overridden where a part is not an element
        modulo 2**64 or 2**61 - 1 by itself."""
        modulus = P if self.modulus_bits == FIELD_BITS else 0
        return x.map(lambda part: running_sums(part, modulus))

    def neg(self, x: Arithmetic) -> Arithmetic:
        """-x."""
        return self.scale(x, -1)

    def add_public(self, x: Arithmetic, values: Integers) -> Arithmetic:
        """x plus public values."""
        return self.add(x, self.public(values))

    @abstractmethod
    def xor(self, a: Boolean, b: Boolean) -> Boolean:
        """Bitwise exclusive or of words of equal width."""

    def xor_public(self, a: Boolean, words: npt.NDArray[np.generic]) -> Boolean:
        """Bitwise exclusive or with public words, which broadcast to the shape of `a`."""
        return self.xor(a, self.public_bits(words, a.width))

    @abstractmethod
    def empty(self, shape: tuple[int, ...]) -> Arithmetic:
        """An uninitialised arithmetic share, to be given as `out`."""

    # -- interactive ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        """Elementwise x * y / 2**shift for equal shapes; see `truncate` for the error when shift > 0.

        `out` may take the result (without a shift). It must be fresh: its arrays travel, so nobody may write to them
        again, this includes a second product into the same `out`.
        """

    @abstractmethod
    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        """Inner products over the last axis of arrays of equal shape; communicates one element per result."""

    @abstractmethod
    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        """Matrix product of (a, b) and (b, c); communicates one element per result."""

    @abstractmethod
    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        """x / 2**shift with an error of at most `truncation_error` units; never wrong by more for |x| < 2**capacity,
        and for x = -2**capacity.

        1 <= shift <= capacity. Which of the neighbouring results comes out is random, also where the division is exact.
        """

    @property
    @abstractmethod
    def truncation_error(self) -> float:
        """Worst error of `truncate`, in units of the last place of the result."""

    @property
    @abstractmethod
    def truncation_offsets(self) -> tuple[int, int]:
        """The least and the largest value of `truncate(x, shift)` minus x / 2**shift rounded down."""

    @abstractmethod
    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        """Bitwise and of words of equal shape and width."""

    def and_open(
        self, at: Scope, a: Boolean, b: Boolean, to: Collection[int], plus: Boolean | None = None
    ) -> Step[npt.NDArray[np.generic] | None]:
        """Open (a & b) ^ plus, and nothing else, to the participants `to`; all of equal shape and width.

        Results as of `reveal_bits`. Two rounds, unless a protocol can do it in one.
        """
        both = yield from self.and_(at.child("and"), a, b)
        return (yield from self.reveal_bits(at.child("open"), both if plus is None else self.xor(both, plus), to))

    @abstractmethod
    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        """times(a, b) for words that fill their type, of one width; `shape` is that of the result. To `and_` what
        `matmul` is to `mul`: costs one and of the result's size, or of `times.operands` with `through_ands`."""

    @abstractmethod
    def random(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        """Uniform values modulo the protocol's modulus, unknown to every admissible set of corrupted parties."""

    @abstractmethod
    def random_bits(self, at: Scope, shape: tuple[int, ...]) -> Step[Boolean]:
        """Uniform bits (width 1)."""

    @abstractmethod
    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        """The rows of all columns (axis 0, equally long) in one fresh uniformly random order.

        No admissible coalition learns anything about the order. Columns may be arithmetic and Boolean of any width,
        with any number of further axes. Columns travel together, so rounds do not depend on their number.
        """

    @abstractmethod
    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        """Words a_1 ... a_k, Boolean-shared, with x = a_1 + ... + a_k modulo the protocol's modulus.

        With `negate_last`, the word -a_k stands for a_k. With a ring, words have `width` of 8, 16, 32 or 64 bits and
        add up modulo 2**width; field protocols ignore it.
        """

    @abstractmethod
    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        """Bits (width 1) as the integers 0 and 1."""

    def inject(self, at: Scope, bit: Boolean, x: Arithmetic) -> Step[Arithmetic]:
        """bit * x, elementwise for equal shapes: x where the bit is set, else 0."""
        number = yield from self.to_arithmetic(at.child("bit"), bit)
        return (yield from self.mul(at.child("product"), number, x))

    @abstractmethod
    def weigh(self, at: Scope, flags: Boolean, weights: Sequence[Sequence[int]]) -> Step[list[Arithmetic]]:
        """For every row w of `weights` the sum of w[k] * flags[k], for bits of shape (k, ...)."""

    @abstractmethod
    def negative(self, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
        """x < 0 (width 1). Rings test the top bit of x modulo 2**width, `width` being 8, 16, 32 or 64; fields x itself.

        `signs.negative` unless a protocol can do better.
        """

    @abstractmethod
    def zero(self, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
        """x == 0 (width 1), for rings modulo 2**width, see `negative`; `signs.zero` unless a protocol can do better."""

    @abstractmethod
    def carry_level(self, at: Scope, g: Boolean, t: Boolean, positions: int) -> Step[Boolean]:
        """The and of one level of the carry tree; `adder.carry_level` unless a protocol can do better."""

    # -- functions of summands -----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def summand_count(self) -> int:
        """Into how many summands that single parties know a value falls, for `known`; at least 2, or 0: `known` and
        `known_dot` are not to be used then, since nothing would prove what a party says of its summand."""

    @abstractmethod
    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        """function(a_j, j) for every summand a_j of x, computed by those who know it, shared: (count, *x.shape) each.

        x is the sum of the a_j modulo the protocol's modulus, each from 0 to the modulus, exclusive. Two calls may take
        different summands of the same x.
        """

    @abstractmethod
    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        """For two summands, the sum over m of function(a_0, 0)[m] * function(a_1, 1)[m], divided by 2**shift with an
        error as of `truncate`."""

    @property
    @abstractmethod
    def modulus_bits(self) -> int:
        """64 for the ring modulo 2**64, 61 for the field modulo 2**61 - 1."""


def through_ands(
    p: Protocol, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]
) -> Step[Boolean]:
    """`Protocol.bilinear` by one `and_`, for protocols that can check no other product of words.

    Raises:
        InternalError: the product has another shape than `shape`.
    """
    rows = [times.operands(left, right) for left, right in zip(a.parts, b.parts, strict=True)]
    left, right = (side.with_parts(tuple(row[k] for row in rows)) for k, side in enumerate((a, b)))
    result = (yield from p.and_(at, left, right)).map(times.join)
    if result.shape != shape:
        raise InternalError(f"a product of words of shape {result.shape} instead of {shape}")
    return result
