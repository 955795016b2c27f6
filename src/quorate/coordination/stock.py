"""Tuples made before a session: how its participants agree on what all of them have, and take it along.

Three rounds at the start of a session whose protocol can stock tuples; one if not all parties have the same
generation at hand. A stock of which another party has no counterpart is useless, and destroyed; one that another
session uses is left alone. Every party says which generation it has, and which positions of each kind that the session
needs it can hand out. The highest position wins: a party that was put back to an old backup learns from the others what
is gone. All compare what they heard. Then each party claims its part from its store, durably, before it uses any of it.

Who lies here spoils stocks, or this session, and learns nothing: every party hands out each position once, and under
protocols with MACs tuples that do not belong together fail the checks.

Secrets of a stock, such as shares of MAC keys, have to be used up together with a session that does not end in order:
see `orderly`.

Bytes: 16 to every other participant; then 24 per kind and 32.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import same
from quorate.engine.count import count
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import PeerError, QuorateError
from quorate.kernels.ghost import ghost
from quorate.preprocessing.ledger import Agreed, Holding, Ledger, common
from quorate.protocols.base import Protocol as Computation
from quorate.protocols.registry import make, protocol_class

__all__ = [
    "Provision",
    "Store",
    "agree_generation",
    "agree_holdings",
    "assume",
    "keyed",
    "orderly",
    "provide",
    "shapes",
]

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]
NONE, BUSY = bytes(16), b"\xff" * 16
_MOST = 1 << 48
"""Positions are below this in any honest stock."""


class Store(Protocol):
    """A party's durable stock of its group; see `quorate.node.tuples.Shelf`."""

    @property
    def leased(self) -> bool: ...

    @property
    def in_use(self) -> bool: ...

    def ledger(self) -> Ledger: ...

    def secrets(self, generation: str, session: str) -> tuple[Array, ...]: ...

    def put_back(self) -> None: ...

    def holdings(self, generation: str, kinds: Sequence[str]) -> dict[str, Holding]: ...

    def claim(self, generation: str, session: str, ranges: Mapping[str, tuple[int, int]]) -> dict[str, list[Array]]: ...

    def begin(self, generation: str, secrets: Sequence[Array], session: str) -> None: ...

    def add(
        self, generation: str, session: str, kind: str, start: int, parts: Sequence[Array], seconds: float
    ) -> None: ...

    def destroy(self, why: str, generation: str | None = None) -> None: ...

    def release(self) -> None: ...


@dataclass(frozen=True)
class Provision:
    """What a participant takes along: tuples by kind, and the secrets under which they were made.

    `generation` is empty if it takes nothing. At who holds no shares, the arrays are ghosts.
    """

    generation: str = ""
    tuples: Mapping[str, Sequence[Array]] = field(default_factory=dict, repr=False)
    secrets: tuple[Array, ...] = field(default=(), repr=False)


@contextmanager
def orderly(store: Store | None) -> Iterator[None]:
    """Around a whole session, its connections included: any end but success destroys the secrets that it was handed.

    A party that hangs up in the middle of a check can know our part of a MAC key by then: it opened something wrong,
    and we showed what does not fit before we could see that it does not. To us this looks like a lost connection; so
    whatever the error is, all parties' and outsiders' included, the generation goes, keys and tuples. One whose tuples
    are under no secrets is left alone.

    Should this machine fail to write, the stock still says that its secrets are in use: it is destroyed when it is
    opened next. So it is if this process is killed.
    """
    try:
        yield
    except BaseException:
        if store is not None and store.in_use:
            with _left_in_use():
                store.destroy("a session that used its keys did not end in order")
        raise
    if store is not None and store.in_use:
        with _left_in_use():
            store.put_back()


@contextmanager
def _left_in_use() -> Iterator[None]:
    try:
        yield
    except (QuorateError, OSError) as problem:
        log.warning("a stock of tuples stays in use, and is destroyed when it is opened next: %s", problem)


def agree_generation(session: Session, at: Scope, mine: str) -> Step[tuple[str, ...]]:
    """The generation that each party says it has, "" for none. One round, 16 bytes from every party to all others.

    `mine` may be `BUSY` in hexadecimal: we have one, which another session uses.
    """
    own = np.frombuffer(bytes.fromhex(mine) if mine else NONE, np.uint8)
    heard = yield from _told(session, at, own)
    if session.counting:
        return ("",) * session.parties
    return tuple("" if part.tobytes() == NONE else part.tobytes().hex() for part in heard)


def agree_holdings(
    session: Session, at: Scope, kinds: Sequence[str], mine: Mapping[str, Holding]
) -> Step[dict[str, Agreed]]:
    """What the parties have in common of every kind. Two rounds, 24 bytes per kind and 32 to every other participant.

    Raises:
        PeerError: a party states what cannot be.
        IntegrityError: a party told different things to different parties.
    """
    rows = [(h.start, h.stop, h.end) for h in (mine.get(kind, Holding()) for kind in kinds)]
    own = np.array(rows, np.int64).reshape(len(kinds), 3)
    heard = yield from _told(session, at, own)
    yield from same(session, at, "what is in stock", [np.concatenate(heard).reshape(-1)])
    if session.counting:
        return dict.fromkeys(kinds, Agreed(0, 0, 0))
    for party, table in enumerate(heard):
        if (table < 0).any() or (table >= _MOST).any() or (table[:, 0] > table[:, 1]).any():
            raise PeerError(f"peer {party} says of its stock of tuples what cannot be; compare releases")
    return {kind: common([Holding(*map(int, table[row])) for table in heard]) for row, kind in enumerate(kinds)}


def _told(session: Session, at: Scope, own: Array) -> Step[list[Array]]:
    """The arrays that the parties hold, at all participants; ours is `own`."""
    name = at.step()
    everybody = range(len(session.participants))
    others = [party for party in range(session.parties) if party != session.me]
    heard = {party: np.zeros_like(own) for party in others}
    inside = session.me < session.parties
    sends = {other: [own] for other in everybody if other != session.me and other != session.dealer} if inside else {}
    yield Exchange(name, sends, {party: [buffer] for party, buffer in heard.items()})
    return [own if party == session.me else heard[party] for party in range(session.parties)]


def provide(
    session: Session,
    at: Scope,
    protocol: Computation,
    store: Store | None,
    needs: Callable[[], Mapping[str, int]],
    ident: str,
) -> Step[Provision]:
    """Agree on what is in stock and claim what the session needs of it; before the protocol's set-up.

    Args:
        store: our stock; None if we hold none. It is used if it is leased to this session. The lease is given back,
            unless the session goes on to use secrets of the stock.
        needs: counts what the session needs, by kind; the same at all participants. Called only if it matters.
        ident: the session, for the journal.

    Raises:
        QuorateError: as `agree_holdings`, or `Store.claim`.
    """
    try:
        taken = yield from _provided(session, at, protocol, store, needs, ident)
    except BaseException:
        if store is not None:
            store.release()
        raise
    if store is not None and not taken.secrets:
        store.release()
    return taken


def _provided(
    session: Session,
    at: Scope,
    protocol: Computation,
    store: Store | None,
    needs: Callable[[], Mapping[str, int]],
    ident: str,
) -> Step[Provision]:
    mine = "" if store is None or session.counting else store.ledger().generation if store.leased else BUSY.hex()
    generations = yield from agree_generation(session, at, mine)
    if generations[0] in ("", BUSY.hex()) or len(set(generations)) > 1:
        if store is not None and store.leased and any(other not in (BUSY.hex(), mine) for other in generations):
            store.destroy("another party has another generation, or none", mine)
        return Provision()
    wanted = dict(sorted(needs().items()))
    held = {} if store is None else store.holdings(generations[0], list(wanted))
    agreed = yield from agree_holdings(session, at, list(wanted), held)
    amounts = {kind: min(wanted[kind], agreed[kind].available) for kind in wanted}
    taken: dict[str, list[Array]] = {}
    secrets: tuple[Array, ...] = ()
    if store is not None:
        ranges = {kind: (agreed[kind].start, agreed[kind].start + amount) for kind, amount in amounts.items()}
        taken = store.claim(generations[0], ident, ranges)
        secrets = store.secrets(generations[0], ident) if any(amounts.values()) else ()
    if not any(amounts.values()):
        return Provision()
    log.info("session %s: takes %s from stock", ident, ", ".join(f"{n} {kind}" for kind, n in amounts.items() if n))
    if store is None:
        taken = {kind: shapes(protocol, kind, amount) for kind, amount in amounts.items() if amount}
        secrets = secret_shapes(protocol)
    return Provision(generations[0], taken, secrets)


def keyed(protocol: str) -> bool:
    """Whether tuples of this protocol are under secrets, which only one session may use at a time."""
    return protocol_class(protocol).stock_keys is not Computation.stock_keys


def assume(
    session: Session, at: Scope, protocol: Computation, needs: Callable[[], Mapping[str, int]]
) -> Step[Provision]:
    """In a counting session, what `provide` costs and gives where everything is in stock."""
    wanted = dict(sorted(needs().items()))
    yield from agree_generation(session, at, "")
    yield from agree_holdings(session, at, list(wanted), {})
    secrets = secret_shapes(protocol) if any(wanted.values()) else ()
    return Provision("assumed", {kind: shapes(protocol, kind, amount) for kind, amount in wanted.items()}, secrets)


def shapes(protocol: Computation, kind: str, amount: int) -> list[Array]:
    """Ghosts of `amount` tuples, as `protocol` makes them."""
    made: Sequence[Array] = count(_one(_ghostly(protocol), kind, Scope.root("shapes"))).result
    return [ghost((amount, *part.shape[1:]), part.dtype) for part in made]


def secret_shapes(protocol: Computation) -> tuple[Array, ...]:
    """Ghosts of the secrets that a stock of `protocol` has: a session that goes on with them runs further rounds, which
    have to be the same for those that only count or hold no shares."""
    if not keyed(protocol.name) or protocol.session.dealer is not None:
        return ()
    made: Sequence[Array] = count(_keys(_ghostly(protocol), Scope.root("shapes"))).result
    return tuple(ghost(part.shape, part.dtype) for part in made)


def _ghostly(protocol: Computation) -> Computation:
    """Party 0 of the same, without a dealer, which counts."""
    real = protocol.session
    session = Session(0, real.parties, real.participants, counting=True, network=real.network, security=real.security)
    return make(protocol.name, session, protocol.threshold)


def _keys(protocol: Computation, at: Scope) -> Step[Sequence[Array]]:
    yield from protocol.setup(at.child("setup"))
    yield from protocol.witness(at.child("witness"))
    return protocol.stock_keys()


def _one(protocol: Computation, kind: str, at: Scope) -> Step[Sequence[Array]]:
    yield from protocol.setup(at.child("setup"))
    if protocol.supply is None:
        return []
    return (yield from protocol.supply.produce(at.child("one"), kind, 1))
