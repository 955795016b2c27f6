"""What runs the plans of an interactive session: simulated parties in this process, or the nodes of a federation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from quorate.interactive.provenance import Described
from quorate.lang.categories import Categories
from quorate.lang.operations.base import Range
from quorate.lang.plan import Plan
from quorate.sharing.dtype import DType

if TYPE_CHECKING:
    from quorate.coordination.spec import Spec

__all__ = ["Backend", "DataSet", "DataSets", "HeldColumn", "Key", "Progress", "Request", "Run", "Uploaded"]

Key = tuple[str, str]
"""Input and column of a plan."""

Progress = Callable[[int, int], None]
"""(operations done, operations in all)."""


@dataclass(frozen=True)
class Uploaded:
    """One column that this program shares with the parties; its repr shows no values.

    Attributes:
        raw: int64, shape (rows,).
        dtype: what the raw integers mean.
        bounds: smallest and largest raw value that it may have; public.
        categories: the texts of codes, for a column of categories; public.
    """

    raw: npt.NDArray[np.int64] = field(repr=False)
    dtype: DType
    bounds: Range
    categories: Categories | None = None


@dataclass(frozen=True)
class HeldColumn:
    """One column that the parties hold as shares under `name`, from an earlier run or from a data owner."""

    name: str
    rows: int
    dtype: DType
    bounds: Range


@dataclass(frozen=True)
class DataSet:
    """A table that a data owner has placed at the parties.

    Attributes:
        name: of the data set.
        owner: who placed it.
        columns: column -> where its shares are.
        categories: column -> the texts that its codes 0, 1, ... stand for.
        commitment: the owner's commitment to the rows, in hexadecimal digits.
        described: column -> its kind, and its categories or range in real units, for people.
    """

    name: str
    owner: str
    columns: Mapping[str, HeldColumn]
    categories: Mapping[str, Categories] = field(default_factory=dict)
    commitment: str = ""
    described: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many."""
        return next(iter(self.columns.values())).rows

    def __repr__(self) -> str:
        told = [(name, *self.described.get(name, (str(held.dtype), ""))) for name, held in self.columns.items()]
        widths = [max(len(row[k]) for row in told) for k in (0, 1)]
        lines = [f"  {name:{widths[0]}}  {kind:{widths[1]}}  {values}".rstrip() for name, kind, values in told]
        return "\n".join([f"{self.name}: {self.rows:,} rows of {self.owner}", *lines])


class DataSets(dict[str, DataSet]):
    """Data sets by name; printed in the words of a schema."""

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.values())) or "no data sets"


@dataclass(frozen=True)
class Request:
    """One plan to run. Every input of the plan is in `uploads` or in `held`; its rows are bound.

    Attributes:
        plan: all sizes are numbers.
        uploads: columns that we share.
        held: columns whose shares the parties hold already.
        opened: outputs of the plan that we are to learn.
        kept: output -> name under which the parties keep its shares. An output is opened, kept or both.
    """

    plan: Plan
    uploads: Mapping[Key, Uploaded]
    held: Mapping[Key, HeldColumn]
    opened: Sequence[str]
    kept: Mapping[str, str]

    @property
    def bounds(self) -> dict[Key, Range]:
        """The range of every column."""
        uploads = {key: column.bounds for key, column in self.uploads.items()}
        return uploads | {key: column.bounds for key, column in self.held.items()}


@dataclass(frozen=True, eq=False, repr=False)
class Run(Described):
    """What one run gave and cost.

    Attributes:
        values: opened outputs, decoded.
        session: id, 32 hexadecimal characters.
        plan: digest of the plan that was run.
        protocol: its name; `parties` their names.
        rounds: the most rounds that a party took.
        bytes_sent: bytes of messages that all parties sent, in all; `bytes_by_party` those of each.
        seconds: from the request to the result.
        finished: when, ISO 8601 in UTC.
        software: release of quorate.
    """

    values: Mapping[str, npt.NDArray[np.generic]] = field(repr=False)
    session: str
    plan: str
    protocol: str
    parties: tuple[str, ...]
    rounds: int
    bytes_sent: int
    bytes_by_party: tuple[int, ...]
    seconds: float
    finished: str
    software: str


class Backend(ABC):
    """Runs plans. All methods raise `QuorateError`s.

    Attributes:
        protocol: the protocol of all runs.
        parties: names of the compute parties.
        threshold: how many of them may pool what they see.
        keeps: whether shares outlive a run; without, everything is computed anew from the inputs every time.
    """

    protocol: str
    parties: tuple[str, ...]
    threshold: int
    keeps: bool

    @abstractmethod
    def run(self, request: Request, progress: Progress | None = None) -> Run:
        """Run a plan to its end."""

    @abstractmethod
    def described(self, request: Request) -> tuple[Spec, Plan, dict[str, int]]:
        """What the parties would agree on for a request: spec, plan with inputs named as in it, rows of every input."""

    @abstractmethod
    def forget(self, names: Sequence[str]) -> None:
        """Have the parties delete kept shares; names that they do not know are passed over."""

    @abstractmethod
    def lasting(self, names: Sequence[str]) -> Mapping[str, str]:
        """Take kept shares out of what `close` deletes; the names under which the parties hold them from now on."""

    @abstractmethod
    def data_sets(self) -> Mapping[str, DataSet]:
        """The tables of data owners that we may use, by name."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything that is held for this session; never raises."""
