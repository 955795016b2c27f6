"""Where operations get their correlated randomness from: the stock first, then production while they wait.

Operations run side by side, and in which order they come to ask depends on the network. So whoever asks is held until
everything beside it has come to rest (`quorate.engine.exchange.Checkpoint`); the wants that have come together by then
are the same at all parties, and are served in the order of their names. What the stock lacks is produced for all of
them at once, rounded up so that many small operations do not each pay for the rounds of a production; what is left
stays in the stock, for this session only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quorate.engine.exchange import SUPPLY, Checkpoint, Step
from quorate.engine.names import Name, Scope
from quorate.errors import InternalError, UserError
from quorate.preprocessing.stock import Parts, Stock

__all__ = ["Maker", "Supply"]

Maker = Callable[[Scope, int], Step[Parts]]
"""(scope, count) -> that many fresh tuples of one kind, `Parts`. Runs while everything else rests, so it must not wait
at a checkpoint, nor ask the supply for other tuples."""


class Supply:
    """The tuples of one session at one participant.

    Args:
        makers: how each kind is produced.
        batch: tuples of a kind that are produced at least, where a kind is produced inline; 1 if not given.
        families: kinds with parameters, by what their names begin with; the rest of the name gives the maker.
        prepare: what has to be done once before anything can be produced; not done where everything is in stock.
    """

    def __init__(
        self,
        makers: Mapping[str, Maker],
        batch: Mapping[str, int] | None = None,
        families: Mapping[str, Callable[[str], Maker]] | None = None,
        prepare: Callable[[Scope], Step[None]] | None = None,
    ) -> None:
        self.stock = Stock()
        self.used: dict[str, int] = {}
        self._makers = dict(makers)
        self._families = dict(families or {})
        self._prepare = prepare
        self._batch = dict(batch or {})
        self._wanted: dict[Name, tuple[str, int]] = {}
        self._given: dict[Name, Parts] = {}
        self._scope: Scope | None = None
        self._productions = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that can be produced ahead, without the families."""
        return tuple(self._makers)

    def open(self, at: Scope) -> None:
        """Take the scope under which production is named; once, in set-up."""
        self._scope = at

    def produce(self, at: Scope, kind: str, count: int) -> Step[Parts]:
        """`count` fresh tuples, past the stock. Such steps must not run side by side.

        Raises:
            UserError: there is no such kind.
        """
        return self._made(self._maker(kind), at, count)

    def ready(self) -> Step[None]:
        """Do what has to be done before anything can be produced, unless it was done before."""
        if self._prepare is not None:
            prepare, self._prepare = self._prepare, None
            yield from prepare(self._opened.child("ready"))

    def _made(self, maker: Maker, at: Scope, count: int) -> Step[Parts]:
        yield from self.ready()
        return (yield from maker(at, count))

    def _maker(self, kind: str) -> Maker:
        if kind in self._makers:
            return self._makers[kind]
        for family, maker in self._families.items():
            if kind.startswith(family):
                return maker(kind.removeprefix(family))
        raise UserError(f"there are no tuples {kind!r}; choose from {', '.join(self._makers)}")

    def take(self, at: Scope, kind: str, count: int) -> Step[Parts]:
        """`count` tuples (at least one) for the operation `at`. No rounds if they are in stock."""
        name = at.step()
        self._wanted[name] = kind, count
        self.used[kind] = self.used.get(kind, 0) + count
        yield Checkpoint(self._serve, SUPPLY)
        return self._given.pop(name)

    @property
    def _opened(self) -> Scope:
        if self._scope is None:
            raise InternalError("tuples were asked for before the session was set up; please report this")
        return self._scope

    def _serve(self) -> Step[None]:
        wanted, self._wanted = sorted(self._wanted.items()), {}
        totals: dict[str, int] = {}
        for _, (kind, count) in wanted:
            totals[kind] = totals.get(kind, 0) + count
        for kind in sorted(totals):
            missing = totals[kind] - self.stock.available(kind)
            if missing > 0:
                yield from self._restock(kind, max(missing, self._batch.get(kind, 1)))
        for name, (kind, count) in wanted:
            self._given[name] = self.stock.take(kind, count)

    def _restock(self, kind: str, count: int) -> Step[None]:
        self._productions += 1
        here = self._opened.child(f"production {self._productions}")
        self.stock.put(kind, (yield from self.produce(here, kind, count)))
