"""Interactive sessions: secret data, computations on it, and results that are opened when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from quorate.analytics.base import Estimator
from quorate.crypto.entropy import SystemEntropy
from quorate.errors import UserError
from quorate.interactive.backend import Backend, DataSets, Progress, Request, Run
from quorate.interactive.frames import Results
from quorate.interactive.live import Live
from quorate.interactive.meter import Bar, watched
from quorate.interactive.persist import keep, load
from quorate.interactive.secrets import Limits, Said, Secrets
from quorate.interactive.simulated import SimulatedParties
from quorate.lang.array import SecretArray, Table
from quorate.lang.result import Result

if TYPE_CHECKING:
    from quorate.coordination.describe import Explanation
    from quorate.coordination.quote import Quote
    from quorate.engine.network import Network

__all__ = ["Net", "connect", "simulate"]


class Net(Results):
    """An interactive session with compute parties; a context manager.

    Nothing is sent before a result is asked for with `reveal`. Then what it depends on is planned, priced and run.

    Attributes:
        last_run: what the last run cost: rounds, bytes, seconds, and where it took place; None before the first.
        runs: all of them, in order.
    """

    def __init__(self, backend: Backend, progress: Progress | None = None) -> None:
        """`progress` is called with (operations done, operations in all); by default long runs show a bar."""
        self.backend = backend
        self.runs: list[Run] = []
        self._prefix = f"{SystemEntropy().bytes(8).hex()}."
        self._live = Live(backend, self._prefix, self.runs.append, Bar() if progress is None else progress)
        self._secrets = Secrets(self._live)
        self._models = 0

    @property
    def last_run(self) -> Run | None:
        """What the last run cost."""
        return self.runs[-1] if self.runs else None

    # -- data ---------------------------------------------------------------------------------------------------------

    def secret(
        self,
        data: Any,
        *,
        range: Limits | Sequence[Limits] | Mapping[str, Limits] | None = None,
        scale: int | None = None,
        categories: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
        name: str | None = None,
        schema: Any = None,
        input: str | None = None,
    ) -> Any:
        """Data of this program as a secret: an array of one or two dimensions, or a table of columns by name.

        Args:
            data: numbers, bools or categories; a data frame, Arrow table or dictionary gives a `Table`.
            range: lowest and highest value allowed, public; for a matrix or table also one pair per column. By default
                that of the data, rounded outwards to 3 leading bits: that much is shown to the parties.
            scale: fraction bits of floats; by default as many as give the largest magnitude 24 bits.
            categories: texts of a column of categories, or of several by column, public: values become their places in
                the list. pandas categoricals and Polars enums have a list of their own. All owners need the same.
            name: of the input in plans; by default made up.
            schema: a schema document, a spec, or what `load_schema` gives; then the data is checked and converted as
                agreed, with ranges and scales from there, may be a file as well, and gives a `Table`.
            input: of a spec with several inputs, the one that the data is for.

        Raises:
            DataError: values that are no numbers, not finite, missing, or outside the range.
            UserError: no rows, or ranges or categories that cannot be.
        """
        if schema is None:
            return self._secrets.made(data, name, Said(range, scale, categories))
        if not (range is None and scale is None and categories is None):
            raise UserError("ranges, scales and categories are those of the schema; remove them")
        return self._secrets.prepared(data, name, schema, input)

    # -- results ------------------------------------------------------------------------------------------------------

    def reveal(self, *things: Any) -> Any:
        """Open arrays and results of methods in one run, rather than in one run each."""
        if not things:
            raise UserError("nothing to reveal")
        parts = {(k, part): array for k, thing in enumerate(things) for part, array in _parts(thing).items()}
        opened = self._live.reveal_all({f"{k} {part}": array for (k, part), array in parts.items()})
        found: list[Any] = []
        for k, thing in enumerate(things):
            values = {part: opened[f"{at} {part}"] for at, part in parts if at == k}
            own = [array for (at, _), array in parts.items() if at == k]
            found.append(
                self._live.stamped(thing.finished(values) if isinstance(thing, Result) else values["value"], own)
            )
        return found[0] if len(things) == 1 else tuple(found)

    def quote(self, *things: Any, rtt: str | None = None, bandwidth: str | None = None) -> Quote:
        """What revealing these would cost, before anything runs: exact rounds and bytes, predicted time and memory.

        Args:
            things: secret arrays and results of methods, as for `reveal`.
            rtt, bandwidth: of the network to predict for, such as "40ms" and "100Mbit"; by default one data centre.
        """
        from quorate.coordination.machine import load_machine
        from quorate.coordination.quote import quote
        from quorate.coordination.timeline import Links

        request = self._request(things)
        with watched(self._live.progress, len(request.plan.operations)):
            spec, plan, rows = self.backend.described(request)
            return quote(spec, plan, rows, Links(_network(rtt, bandwidth)), load_machine())

    def explain(self, *things: Any, rtt: str | None = None, bandwidth: str | None = None) -> Explanation:
        """What revealing these would do: each operation with its cost and precision, and what is shown to whom.

        Arguments as of `quote`.
        """
        from quorate.coordination.describe import explanation

        request = self._request(things)
        with watched(self._live.progress, len(request.plan.operations)):
            spec, plan, rows = self.backend.described(request)
            return explanation(spec, plan, rows, _network(rtt, bandwidth))

    def _request(self, things: Sequence[Any]) -> Request:
        arrays = [array for thing in things for array in _parts(thing).values()]
        if not arrays:
            raise UserError("nothing to price; give what you would reveal")
        return self._live.request(arrays)

    # -- data sets and models that the parties hold -------------------------------------------------------------------

    @property
    def tables(self) -> DataSets:
        """The data sets that owners have placed at the parties for us, by name."""
        return DataSets(self.backend.data_sets())

    def table(self, name: str) -> Table:
        """A data set that its owner has placed at the parties, as a table of secret columns.

        Raises:
            UserError: there is none of this name for us.
        """
        found = self.tables
        if name not in found:
            raise UserError(f"there is no data set {name!r} for us; there are {', '.join(sorted(found)) or 'none'}")
        data = found[name]
        made = {
            label: self._live.hold(name, label, held, data.categories.get(label))
            for label, held in data.columns.items()
        }
        return Table(name, made, data.rows)

    def keep(self, model: Estimator, file: str | Path) -> None:
        """Leave a fitted model as shares with the parties; the file says where, and holds nothing secret.

        Raises:
            UserError: the protocol keeps no shares, or the model is not fitted.
        """
        keep(self._live, self.backend, model, Path(file), self._kept())

    def load(self, file: str | Path) -> Any:
        """A model that was kept, still secret: to score with, or to be opened.

        Raises:
            UserError: no such file, or the model is with other parties, or under another protocol.
        """
        return load(self._live, self.backend, Path(file))

    def _kept(self) -> str:
        self._models += 1
        return f"kept.{self._prefix}{self._models}."

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Have the parties forget what they keep for this session; only what was opened stays known."""
        if not self._live.closed:
            self._live.closed = True
            self.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        end = ", closed" if self._live.closed else ""
        return f"<{type(self).__name__} {self.backend.protocol} of {', '.join(self.backend.parties)}{end}>"


def _parts(thing: Any) -> Mapping[str, SecretArray]:
    if isinstance(thing, Result):
        return thing.parts()
    if isinstance(thing, SecretArray):
        return {"value": thing}
    raise UserError(
        f"{type(thing).__name__} is nothing to reveal; give secret arrays and results of methods, one by one"
    )


def _network(rtt: str | None, bandwidth: str | None) -> Network:
    from quorate.engine.network import LAN, Network

    return Network.parse(rtt or LAN.rtt, bandwidth or LAN.rate)


def connect(
    federation: str | Path,
    as_: str | None = None,
    protocol: str = "rep3",
    parties: Sequence[str] | None = None,
    *,
    threshold: int | None = None,
    progress: Progress | None = None,
) -> Net:
    """An interactive session with the nodes of a federation, which have to allow it (`interactive.yaml`).

    Args:
        federation: the federation file.
        as_: the member that we are; by default the only one that may be meant whose key is on this machine.
        protocol: of all runs.
        parties: the compute parties; by default all members with the role compute.
        threshold: how many parties may pool what they see; by default as usual for the protocol.
        progress: called with (operations done, operations in all); by default long runs show a bar.

    Raises:
        UserError: we are nobody there, or lack a role.
        EnvironmentFault: a node cannot be reached.
    """
    from quorate.interactive.connected import connect_backend  # needs all of a node

    return Net(connect_backend(federation, as_, protocol, parties, threshold=threshold), progress)


def simulate(
    parties: int | None = None,
    protocol: str = "rep3",
    *,
    threshold: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Net:
    """An interactive session with simulated parties, all in this process.

    For learning, for tests, and for writing what nodes will run: this process sees all data.

    Raises:
        UserError: there is no such protocol, or it does not run with so many parties.
    """
    return Net(SimulatedParties(parties, protocol, threshold, seed), progress)
