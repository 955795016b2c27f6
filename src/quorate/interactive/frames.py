"""Results of an interactive session as data frames and Arrow tables that know where they come from."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from quorate.analytics.opened import needed
from quorate.errors import UserError
from quorate.html import bytes_text, facts, panel, table
from quorate.interactive.backend import Backend, Run
from quorate.interactive.provenance import KEY, Receipt, told
from quorate.lang.array import SecretArray, Table
from quorate.lang.result import Result

__all__ = ["Results"]

VALID = "valid"
MISSED = "missed"
"""Results of `group_by` and its like say by these which of their rows count, and how many groups had no room."""


class Results:
    """What every session can do with results; `Net` adds data and `reveal`.

    Attributes:
        backend: what runs plans.
        runs: what was run so far.
    """

    backend: Backend
    runs: list[Run]

    @abstractmethod
    def reveal(self, *things: Any) -> Any:
        """Open arrays and results of methods in one run."""

    def frame(self, thing: Any = None, /, *, columns: Sequence[str] | None = None, **named: Any) -> Any:
        """Open results in one run, as a pandas data frame with provenance in `attrs["quorate"]`.

        Args:
            thing: a secret matrix, a table such as `group_by` gives, or a fitted method. Rows of a table that do not
                count (`valid` is false) are left out; a column `missed` is there if groups had no room.
            columns: names of the columns of a matrix. Columns of categories hold their texts, in a pandas categorical.
            named: secret arrays of one dimension or single numbers, or results of methods that open to such, by the
                names of their columns. Single numbers stand in every row.

        Raises:
            UserError: results of different lengths, something else, or pandas is not installed.
            QuorateError: the run failed.
        """
        pandas = needed("pandas")
        if isinstance(thing, Result) and not named:
            return _framed(self.reveal(thing), self._runs_of(thing))
        opened, runs = self._opened(_columns(thing, columns, named), pandas.Categorical.from_codes)
        frame = pandas.DataFrame(opened)
        frame.attrs[KEY] = runs
        return frame

    def arrow(self, thing: Any = None, /, *, columns: Sequence[str] | None = None, **named: Any) -> Any:
        """Open results in one run, as an Arrow table with provenance as JSON in `schema.metadata[b"quorate"]`.

        Arguments and errors as of `frame`.
        """
        import pyarrow

        if isinstance(thing, Result) and not named:
            opened = self.reveal(thing)
            if hasattr(opened, "to_arrow"):
                return opened.to_arrow()
            frame = _framed(opened, self._runs_of(thing))
            made = pyarrow.Table.from_pandas(frame, preserve_index=not isinstance(frame.index, _range_index()))
            return made.replace_schema_metadata({KEY: json.dumps(frame.attrs[KEY])})
        values, runs = self._opened(_columns(thing, columns, named), pyarrow.DictionaryArray.from_arrays)
        return pyarrow.table(values).replace_schema_metadata({KEY: json.dumps(runs)})

    def receipt(self) -> Receipt:
        """All runs of this session with session, plan, protocol, parties and cost, as plain data for JSON.

        A receipt is a note of this program. It is not signed.
        """
        backend = self.backend
        said = {"protocol": backend.protocol, "parties": list(backend.parties), "threshold": backend.threshold}
        return Receipt(said, runs=told(self.runs))

    def _opened(
        self, wanted: Mapping[str, Any], texts: Callable[[Any, Sequence[str]], Any]
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Columns of one length, and the runs that they come from; `texts` makes a column of codes and categories."""
        opened = self.reveal(*wanted.values())
        values = dict(zip(wanted, (opened,) if len(wanted) == 1 else opened, strict=True))
        found = {name: _with_texts(one, wanted[name], texts) for name, one in _counting(_aligned(values)).items()}
        return found, self._runs_of(*wanted.values())

    def _runs_of(self, *things: Any) -> list[dict[str, Any]]:
        """The runs from which opened things come."""
        arrays = [
            array for thing in things for array in (thing.parts().values() if isinstance(thing, Result) else [thing])
        ]
        noted: _Noted = arrays[0].trace.stamped(_Noted(), arrays)
        return noted.provenance

    def _repr_html_(self) -> str:
        backend, runs = self.backend, self.runs
        said = {
            "parties": ", ".join(backend.parties),
            "safe against": f"any {backend.threshold} of them that pool what they see",
            "runs so far": len(runs),
            "sent in all": bytes_text(sum(run.bytes_sent for run in runs)),
        }
        rows = [[run.finished, run.session[:8], run.rounds, run.bytes_sent, round(run.seconds, 3)] for run in runs]
        parts = [table(["finished", "session", "rounds", "bytes", "seconds"], rows)] if rows else []
        return panel(f"Interactive session, {backend.protocol}", facts(said), *parts)


def _with_texts(values: Any, secret: Any, texts: Callable[[Any, Sequence[str]], Any]) -> Any:
    """Codes of categories with what they stand for; all other values as they are."""
    names = secret.categories if isinstance(secret, SecretArray) else None
    known = names is not None and np.all((values >= 0) & (values < len(names)))
    return texts(values, list(names)) if names is not None and known else values


class _Noted:
    """Somewhere to note provenance."""

    def __init__(self) -> None:
        self.provenance: list[dict[str, Any]] = []


def _framed(opened: Any, runs: list[dict[str, Any]]) -> Any:
    """What a method gave as a data frame: its own table, or columns and numbers put into one."""
    if hasattr(opened, "to_pandas"):
        return opened.to_pandas()
    if hasattr(opened, "to_frame"):
        opened = opened.to_frame("value")
    elif not hasattr(opened, "columns"):
        if np.ndim(opened) > 1:
            raise UserError(f"opened as an array of {np.ndim(opened)} dimensions, which is no table; use reveal()")
        opened = needed("pandas").DataFrame({"value": np.atleast_1d(opened)})
    opened.attrs[KEY] = runs
    return opened


def _range_index() -> Any:
    return needed("pandas").RangeIndex


def _columns(thing: Any, labels: Sequence[str] | None, named: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be opened, by the name of its column."""
    found: dict[str, Any] = {}
    if isinstance(thing, Table | Mapping):
        found = {name: thing[name] for name in thing}
    elif isinstance(thing, SecretArray):
        found = _matrix(thing, labels)
    elif thing is not None:
        raise UserError(f"{type(thing).__name__} has no secret columns; give secret arrays, tables or fitted methods")
    found.update(named)
    for name, array in found.items():
        if not isinstance(array, Result) and (not isinstance(array, SecretArray) or array.ndim > 1):
            raise UserError(f"the column {name!r} is one secret value per row, not {array!r}")
    if not found:
        raise UserError("nothing to open; give secret arrays by the names of their columns")
    return found


def _matrix(array: SecretArray, labels: Sequence[str] | None) -> dict[str, Any]:
    if array.ndim != 2:
        if labels is not None and len(labels) != 1:
            raise UserError(f"{len(labels)} names for one column")
        return {labels[0] if labels else "value": array}
    width = int(str(array.shape[1]))
    names = list(labels) if labels is not None else [str(k) for k in range(width)]
    if len(set(names)) != width:
        raise UserError(f"{len(set(names))} different names for {width} columns")
    return {name: array[:, k] for k, name in enumerate(names)}


def _aligned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of one length; single numbers repeated."""
    if several := [name for name, value in values.items() if isinstance(value, Mapping) or np.ndim(value) > 1]:
        raise UserError(f"{several[0]!r} opened as a table of its own; give it to frame or arrow alone")
    lengths = {name: len(value) for name, value in values.items() if np.ndim(value)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UserError(f"columns of different lengths do not make a table: {told}")
    rows = next(iter(lengths.values()), 1)
    return {name: value if np.ndim(value) else np.full(rows, value) for name, value in values.items()}


def _counting(values: dict[str, Any]) -> dict[str, Any]:
    """Without the rows that do not count; `missed` stays only where groups had no room."""
    valid = values.get(VALID)
    if valid is None or np.asarray(valid).dtype != bool:
        return values
    full = MISSED in values and not np.any(values[MISSED])
    dropped = {VALID, MISSED} if full else {VALID}
    return {name: value[valid] for name, value in values.items() if name not in dropped}
