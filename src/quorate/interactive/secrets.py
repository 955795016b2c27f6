"""From data of a program to secret arrays and tables of a session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.errors import DataError, UserError
from quorate.interactive.backend import Uploaded
from quorate.interactive.categories import declared
from quorate.interactive.live import Live
from quorate.interactive.uploads import categories_column, column, is_table, named_columns
from quorate.lang.array import SecretArray, Table

__all__ = ["Limits", "Said", "Secrets"]

Limits = tuple[float, float]

VALUE = "value"

MOST_COLUMNS = 64
"""A wider matrix is shared as one column of all its values, with one range."""


@dataclass(frozen=True)
class Said:
    """What the caller says of one column or of several: range, scale and categories, as `Net.secret` has them."""

    range: Any = None
    scale: int | None = None
    categories: Any = None

    def of(self, labels: Sequence[str], name: str) -> dict[str, Said]:
        """What is said of each column of a table. Raises `UserError` for columns that are not there."""
        ranges = self.range if isinstance(self.range, Mapping) else dict.fromkeys(labels, _one(self.range))
        if self.categories is not None and not isinstance(self.categories, Mapping):
            raise UserError(f"categories of the table {name}: give a dictionary, such as {{{labels[0]!r}: [...]}}")
        lists = self.categories or {}
        for what, given in (("range", ranges), ("categories", lists)):
            if unknown := sorted(set(given) - set(labels)):
                raise UserError(f"{what} names the column {unknown[0]!r}; the columns are {', '.join(labels)}")
        return {label: Said(ranges.get(label), self.scale, lists.get(label)) for label in labels}


class Secrets:
    """Makes secrets of a session. Names of inputs are used once; what is refused uses none."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._taken: set[str] = set()

    def made(self, data: Any, name: str | None, said: Said) -> Any:
        """An array of one or two dimensions, or a table. Raises as `Net.secret`."""
        if isinstance(data, SecretArray | Table):
            raise UserError(f"{data!r} is secret already; use it as it is")
        if isinstance(data, str | Path):
            raise UserError(f"{str(data)!r} is a file: give a schema too ('quorate check-data --suggest' writes one)")
        input_ = self._free(name)
        if is_table(data):
            return self._table(input_, _table(input_, data, said))
        values = data if declared(data) is not None else _array(data, input_)
        if values.ndim == 1:
            return self._arrays(input_, {VALUE: _column(input_, VALUE, values, said)})[0]
        if values.ndim == 2:
            return self._matrix(input_, values, said)
        if not values.ndim:
            raise UserError(
                f"{type(data).__name__} is no type of a column; give one value per row, or a table of columns"
            )
        raise UserError(f"an array of {values.ndim} dimensions; give one or two, and reshape the secret")

    def prepared(self, data: Any, name: str | None, schema: Any, given: str | None) -> Table:
        """A table of data that is checked against a schema."""
        from quorate.interactive.prepared import prepared_columns

        return self._table(self._free(name), prepared_columns(data, schema, given))

    def _free(self, name: str | None) -> str:
        found = name or f"secret{len(self._taken) + 1}"
        if found in self._taken:
            raise UserError(f"there is an input {found!r} already; choose another name")
        return found

    def _arrays(self, name: str, columns: Mapping[str, Uploaded]) -> list[SecretArray]:
        self._taken.add(name)
        return [self._live.upload(name, label, found) for label, found in columns.items()]

    def _table(self, name: str, columns: Mapping[str, Uploaded]) -> Table:
        made = self._arrays(name, columns)
        return Table(name, dict(zip(columns, made, strict=True)), made[0].shape[0])

    def _matrix(self, name: str, array: Any, said: Said) -> SecretArray:
        rows, width = array.shape
        if not rows or not width:
            raise UserError(f"{name} has the shape {array.shape}; it needs rows and columns")
        if said.categories is not None:
            raise UserError(f"categories belong to columns by name; give {name} as a data frame or a dictionary")
        if width > MOST_COLUMNS:
            return self._arrays(name, {VALUE: _column(name, VALUE, array.reshape(-1), said)})[0].reshape(rows, width)
        each = _per_column(said.range, width, name)
        labels = [f"column {j}" for j in range(width)]
        found = [_column(name, label, array[:, j], Said(each[j], said.scale)) for j, label in enumerate(labels)]
        stacked: SecretArray = q.column_stack(self._arrays(name, dict(zip(labels, found, strict=True))))
        return stacked


def _column(name: str, label: str, values: Any, said: Said) -> Uploaded:
    what = f"{name}.{label}" if label != VALUE else name
    if not hasattr(values, "__len__") or isinstance(values, str):
        raise UserError(f"{what} is of type {type(values).__name__}; a column has one value per row")
    if not len(values):
        raise UserError(f"{what} has no rows; leave out owners without data")
    texts = declared(values) if said.categories is None else said.categories
    if texts is None:
        return column(_values(values), what, _one(said.range), said.scale)
    if said.range is not None:
        raise UserError(f"{what} is a column of categories: its range is that of the list; remove the range")
    return categories_column(values, what, texts)


def _table(name: str, data: Any, said: Said) -> dict[str, Uploaded]:
    columns = named_columns(data)
    labels = [label for label, _ in columns]
    if not labels:
        raise UserError(f"{name} has no columns")
    label, times = Counter(labels).most_common(1)[0]
    if times > 1:
        raise UserError(f"{name} has {times} columns {label!r}; rename them")
    each = said.of(labels, name)
    made = _each_column(name, columns, each)
    if len({len(one.raw) for one in made.values()}) > 1:
        raise UserError(f"the columns of {name} differ in their number of rows")
    return made


def _each_column(name: str, columns: Sequence[tuple[str, Any]], said: Mapping[str, Said]) -> dict[str, Uploaded]:
    """All columns; what is wrong in several is said at once."""
    made, problems = {}, []
    for label, values in columns:
        try:
            made[label] = _column(name, label, values, said[label])
        except DataError as problem:
            problems.append(problem)
    if len(problems) > 1:
        told = "\n  ".join(map(str, problems))
        raise DataError(f"{len(problems)} columns of {name} cannot be shared as they are:\n  {told}")
    if problems:
        raise problems[0]
    return made


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
    if isinstance(limits, Mapping) or np.shape(limits) != (2,):
        raise UserError("range of one column is one pair (lowest, highest)")
    try:
        low, high = map(float, limits)
    except (TypeError, ValueError):
        raise UserError(f"range {limits!r} is no pair of numbers") from None
    return low, high


def _per_column(limits: Any, width: int, name: str) -> list[Limits | None]:
    if limits is None or np.ndim(limits) == 1:
        return [_one(limits)] * width
    if len(limits) != width:
        raise UserError(f"{len(limits)} ranges for {width} columns of {name}; give one pair for each, or one for all")
    return [_one(pair) for pair in limits]
