"""Interactive sessions: secret data, computations on it, and results that are opened when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from quorate.analytics.base import Estimator
from quorate.crypto.entropy import SystemEntropy
from quorate.errors import UserError
from quorate.interactive.backend import Backend, DataSet, Progress, Run
from quorate.interactive.frames import Results
from quorate.interactive.live import Live
from quorate.interactive.meter import Bar
from quorate.interactive.persist import keep, load
from quorate.interactive.simulated import SimulatedParties
from quorate.interactive.uploads import column, column_names, is_table
from quorate.lang.array import SecretArray, Table
from quorate.lang.result import Result

if TYPE_CHECKING:
    from quorate.coordination.describe import Explanation
    from quorate.coordination.quote import Quote
    from quorate.coordination.spec import Spec
    from quorate.engine.network import Network
    from quorate.lang.plan import Plan

__all__ = ["Net", "connect", "simulate"]

MOST_COLUMNS = 64
"""A wider matrix is shared as one column of all its values, with one range."""

Limits = tuple[float, float]


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
        self._inputs = 0

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
        name: str | None = None,
        schema: Any = None,
        input: str | None = None,
    ) -> Any:
        """Data of this program as a secret: an array of one or two dimensions, or a table of columns by name.

        Args:
            data: numbers or bools; a data frame, Arrow table or dictionary gives a `Table`.
            range: lowest and highest value allowed, public; for a matrix or table also one pair per column. By default
                that of the data, rounded outwards to 3 leading bits: that much is shown to the parties.
            scale: fraction bits of floats; by default as many as give the largest magnitude 24 bits.
            name: of the input in plans; by default made up.
            schema: a schema document, a spec, or what `load_schema` gives; then the data is checked and converted as
                agreed, with ranges and scales from there, may be a file as well, and gives a `Table`.
            input: of a spec with several inputs, the one that the data is for.

        Raises:
            DataError: values that are no numbers, not finite, missing, or outside the range.
            UserError: no rows, or a range that cannot be.
        """
        self._inputs += 1
        input_ = name or f"secret{self._inputs}"
        if (input_, "value") in self._live._uploads or any(key[0] == input_ for key in self._live._uploads):
            raise UserError(f"there is an input {input_!r} already; choose another name")
        if schema is not None:
            if range is not None or scale is not None:
                raise UserError("ranges and scales are those of the schema; remove range and scale")
            return self._prepared(input_, data, schema, input)
        if isinstance(data, str | Path):
            raise UserError(f"{str(data)!r} is a file: give a schema too ('quorate check-data --suggest' writes one)")
        if is_table(data):
            return self._table(input_, data, range, scale)
        array = _array(data, input_)
        if array.ndim == 1:
            return self._column(input_, "value", array, _one(range), scale)
        if array.ndim == 2:
            return self._matrix(input_, array, range, scale)
        raise UserError(f"an array of {array.ndim} dimensions; give one or two, and reshape the secret")

    def _prepared(self, name: str, data: Any, schema: Any, given: str | None) -> Table:
        from quorate.interactive.prepared import prepared_columns

        columns = prepared_columns(data, schema, given)
        made = {label: self._live.upload(name, label, found) for label, found in columns.items()}
        return Table(name, made, next(iter(made.values())).shape[0])

    def _column(self, name: str, label: str, values: Any, limits: Limits | None, scale: int | None) -> SecretArray:
        what = f"{name}.{label}" if label != "value" else name
        if not len(values):
            raise UserError(f"{what} has no rows; leave out owners without data")
        return self._live.upload(name, label, column(values, what, limits, scale))

    def _table(self, name: str, data: Any, limits: Any, scale: int | None) -> Table:
        labels = column_names(data)
        if not labels:
            raise UserError(f"{name} has no columns")
        each = limits if isinstance(limits, Mapping) else dict.fromkeys(labels, _one(limits))
        if unknown := sorted(set(each) - set(labels)):
            raise UserError(f"range names the column {unknown[0]!r}; the columns are {', '.join(labels)}")
        made = {label: self._column(name, label, _values(data[label]), each.get(label), scale) for label in labels}
        if len({array.shape for array in made.values()}) > 1:
            raise UserError(f"the columns of {name} differ in their number of rows")
        return Table(name, made, made[labels[0]].shape[0])

    def _matrix(self, name: str, array: Any, limits: Any, scale: int | None) -> SecretArray:
        import quorate.lang.functions as q

        rows, width = array.shape
        if not rows or not width:
            raise UserError(f"{name} has the shape {array.shape}; it needs rows and columns")
        if width > MOST_COLUMNS:
            return self._column(name, "value", array.reshape(-1), _one(limits), scale).reshape(rows, width)
        each = _per_column(limits, width, name)
        made = [self._column(name, f"column {j}", array[:, j], each[j], scale) for j in range_(width)]
        if len({one.dtype for one in made}) == 1 or any(one.dtype.kind == "fixed" for one in made):
            stacked: SecretArray = q.column_stack(made)
            return stacked
        raise UserError(f"{name} mixes types")

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

        spec, plan, rows = self._described(things)
        return quote(spec, plan, rows, Links(_network(rtt, bandwidth)), load_machine())

    def explain(self, *things: Any, rtt: str | None = None, bandwidth: str | None = None) -> Explanation:
        """What revealing these would do: each operation with its cost and precision, and what is shown to whom.

        Arguments as of `quote`.
        """
        from quorate.coordination.describe import explanation

        spec, plan, rows = self._described(things)
        return explanation(spec, plan, rows, _network(rtt, bandwidth))

    def _described(self, things: Sequence[Any]) -> tuple[Spec, Plan, dict[str, int]]:
        arrays = [array for thing in things for array in _parts(thing).values()]
        if not arrays:
            raise UserError("nothing to price; give what you would reveal")
        return self.backend.described(self._live.request(arrays))

    # -- data sets and models that the parties hold -------------------------------------------------------------------

    @property
    def tables(self) -> dict[str, DataSet]:
        """The data sets that owners have placed at the parties for us, by name."""
        return dict(self.backend.data_sets())

    def table(self, name: str) -> Table:
        """A data set that its owner has placed at the parties, as a table of secret columns.

        Raises:
            UserError: there is none of this name for us.
        """
        found = self.tables
        if name not in found:
            raise UserError(f"there is no data set {name!r} for us; there are {', '.join(sorted(found)) or 'none'}")
        data = found[name]
        made = {label: self._live.hold(name, label, column) for label, column in data.columns.items()}
        return Table(name, made, next(iter(data.columns.values())).rows)

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
        self._inputs += 1
        return f"kept.{self._prefix}{self._inputs}."

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Have the parties forget what they keep for this session."""
        self.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.backend.protocol} of {', '.join(self.backend.parties)}>"


range_ = range


def _parts(thing: Any) -> Mapping[str, SecretArray]:
    if isinstance(thing, Result):
        return thing.parts()
    if isinstance(thing, SecretArray):
        return {"value": thing}
    raise UserError(f"a {type(thing).__name__} cannot be revealed; give secret arrays or fitted methods")


def _network(rtt: str | None, bandwidth: str | None) -> Network:
    from quorate.engine.network import LAN, Network

    return Network.parse(rtt or LAN.rtt, bandwidth or LAN.rate)


def _array(data: Any, what: str) -> Any:
    try:
        return np.asarray(data)
    except ValueError:
        raise UserError(f"{what} is ragged: its rows differ in length; give one value per row and column") from None


def _values(series: Any) -> Any:
    return series.to_numpy() if hasattr(series, "to_numpy") else series


def _one(limits: Any) -> Limits | None:
    if limits is None:
        return None
    if isinstance(limits, Mapping) or np.ndim(limits) != 1:
        raise UserError("range of one column is one pair (lowest, highest)")
    low, high = limits
    return float(low), float(high)


def _per_column(limits: Any, width: int, name: str) -> list[Limits | None]:
    if limits is None or np.ndim(limits) == 1:
        return [_one(limits)] * width
    if len(limits) != width:
        raise UserError(f"{len(limits)} ranges for {width} columns of {name}; give one pair for each, or one for all")
    return [_one(pair) for pair in limits]


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
