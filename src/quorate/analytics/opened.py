"""Opened results of a method: by name, as tables, with where they come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from quorate.errors import UserError
from quorate.html import Markup, facts, folded, panel, table

__all__ = ["Fitted", "Listing", "needed"]

PROVENANCE = "quorate"
MOST_COLUMNS = 12
WIDTH = 80
"""Characters of a line in a terminal."""

MOST_OPEN = 20
"""Longer tables are folded up."""

LIMITS = "conf_int_"
"""Confidence limits of coefficients, shape (features, 2)."""

ENDS = ("lower", "upper")

CATEGORIES = "categories"
"""Names of the bars of a histogram."""

GROUPS = "groups_"
"""Names of groups that have a curve each."""

OF_NODES = ("splits_", "feature_", "threshold_", "edges_")
"""Matrices of trees, whose columns are no features."""

NAMES = (CATEGORIES, GROUPS, "feature_names_in_", "class_names_", "feature_categories_")
"""Results that name others and stand in no table themselves."""

BY_CLASS = ("class_", "log_likelihood_", "step_", "converged_", "separated_")
"""How results with one number per class begin."""

ROW_BY_CLASS = (
    *("coef_", "standard_errors_", "independent_", "z_", "p_values_", "ratios_", "theta_", "var_", "unit_"),
    *("feature_count_", "feature_log_prob_", "intercept_conf_int_"),
)
"""How matrices with one row per class begin."""


class Listing(NamedTuple):
    """A table for people; the one without title has names and single numbers."""

    title: str
    headings: list[str]
    rows: list[list[Any]]


def needed(package: str) -> Any:
    """An optional package. Raises `UserError` that names the extra where it is not installed."""
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise UserError(f"this needs {name}: pip install 'quorate[analytics]'") from None


class Fitted(dict[str, Any]):
    """Opened results by name, also as attributes: `opened.coef_`.

    Attributes:
        provenance: the runs that opened them and that computed what these depend on: dictionaries with session, plan,
            protocol, parties, rounds, bytes_sent, seconds, finished, software.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.provenance: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self:
            raise AttributeError(f"there is no {name!r} among the opened results: {', '.join(self)}")
        return self[name]

    def to_pandas(self, name: str | None = None) -> Any:
        """A data frame with provenance in `attrs["quorate"]`.

        Args:
            name: one result, as a table of its own. By default all those with one value per feature, one row each;
                of a result without such, all that have the commonest length; of single numbers, one row of them.

        Raises:
            UserError: no such result, more than two dimensions, or pandas is not installed.
        """
        frame = needed("pandas").DataFrame(*self._table(name))
        frame.attrs[PROVENANCE] = self.provenance
        return frame

    def to_arrow(self, name: str | None = None) -> Any:
        """An Arrow table of the same columns, with provenance as JSON in the metadata of its schema.

        Raises:
            UserError: no such result, or more than two dimensions.
        """
        import pyarrow

        columns, index = self._table(name)
        if index is not None:
            columns = {"name": index, **columns}
        made = pyarrow.table({key: pyarrow.array(values) for key, values in columns.items()})
        return made.replace_schema_metadata({PROVENANCE: json.dumps(self.provenance)})

    def tables(self) -> list[Listing]:
        """All results of two dimensions at most as tables for people: numbers, those of equal length, matrices."""
        found = []
        if numbers := self._numbers():
            found.append(Listing("", ["", "value"], [[_label(key), _plain(value)] for key, value in numbers.items()]))
        features = self._features()
        for (length, names), group in sorted(self._groups().items(), key=lambda item: item[0][0] != len(features)):
            columns = [np.asarray(values).tolist() for values in group.values()]
            rows = [[str(k), *cells] for k, *cells in zip(names or range(length), *columns, strict=True)]
            found.append(Listing(", ".join(group), ["", *group], rows))
        found += [self._listed(key, np.asarray(value)) for key, value in self.items() if self._is_matrix(key, value)]
        return found

    def _listed(self, key: str, values: Any) -> Listing:
        """A matrix; of a wide one the first columns."""
        width = min(values.shape[1], MOST_COLUMNS)
        more = ["…"] if width < values.shape[1] else []
        rows = zip(self._row_names(key, values) or range(len(values)), values[:, :width].tolist(), strict=True)
        headings = [_label(key), *self._column_names(key, values)[:width], *more]
        return Listing(_label(key), headings, [[str(name), *row, *more] for name, row in rows])

    def _table(self, name: str | None) -> tuple[dict[str, Any], list[str] | None]:
        """Columns, and names of the rows where they have some."""
        if name is None:
            return self._main()
        if name not in self:
            raise UserError(f"there is no {name!r} among the opened results: {', '.join(self)}")
        if _dimensions(self[name]) < 0:
            raise UserError(f"{name!r} is a list of arrays that differ in their shape, and no table; use it as it is")
        values = np.asarray(self[name])
        if values.ndim > 2:
            raise UserError(f"{name!r} has {values.ndim} dimensions; a table has two")
        if values.ndim == 2:
            labels = self._column_names(name, values)
            return {label: values[:, k] for k, label in enumerate(labels)}, self._row_names(name, values)
        index = self._names(name, len(values)) if values.ndim else None
        return {_label(name): values.reshape(-1)}, index

    def _main(self) -> tuple[dict[str, Any], list[str] | None]:
        groups = self._groups()
        features = self._features()
        if features and (key := (len(features), tuple(features))) in groups:
            return groups[key], features
        if groups:
            (_, names), columns = max(groups.items(), key=lambda item: len(item[1]))
            return columns, None if names is None else list(names)
        return {_label(key): [value] for key, value in self._numbers().items()}, None

    # -- names of rows and columns ------------------------------------------------------------------------------------

    def _features(self) -> list[str]:
        names = self.get("feature_names_in_")
        if names is not None:
            return [str(name) for name in names]
        return [f"x{k}" for k in range(int(self.get("n_features_in_", 0)))]

    def _names(self, key: str, length: int) -> list[str] | None:
        """What the numbers of a result of one dimension stand for."""
        classes = self.get("class_names_") if key.startswith(BY_CLASS) else None
        for names in (self.get(CATEGORIES), self.get(GROUPS), classes, self._features()):
            if names and len(names) == length:
                return list(names)
        return None

    def _row_names(self, key: str, values: Any) -> list[str] | None:
        """What the rows of a matrix stand for: groups or classes, if they have names."""
        names = self.get("class_names_") if key.startswith(ROW_BY_CLASS) else self.get(GROUPS)
        return list(names) if names and len(names) == len(values) else None

    def _is_matrix(self, key: str, value: Any) -> bool:
        return key not in (LIMITS, *NAMES) and _dimensions(value) == 2

    def _column_names(self, key: str, values: Any) -> list[str]:
        """What the columns of a matrix stand for."""
        features, width = self._features(), values.shape[1]
        if key.endswith(LIMITS) and width == 2:
            return list(ENDS)
        named = width == len(features) and key not in OF_NODES
        return features if named else list(map(str, range(width)))

    def _groups(self) -> dict[tuple[int, tuple[str, ...] | None], dict[str, Any]]:
        """Results of one dimension, by their length and what they stand for."""
        found: dict[tuple[int, tuple[str, ...] | None], dict[str, Any]] = {}
        for key, value in self.items():
            if key == LIMITS and np.shape(value)[1:] == (2,):
                own = dict(zip(ENDS, np.asarray(value).T, strict=True))
            elif key not in NAMES and not key.startswith("intercept") and _dimensions(value) == 1:
                own = {_label(key): np.asarray(value)}
            else:
                continue
            names = self._names(key, len(value))
            found.setdefault((len(value), None if names is None else tuple(names)), {}).update(own)
        return found

    def _numbers(self) -> dict[str, Any]:
        return {key: value for key, value in self.items() if value is not None and _dimensions(value) == 0}

    def __repr__(self) -> str:
        listed = ["\n".join(_lines(listing)) for listing in self.tables()]
        return "\n\n".join(listed) or "no results of two dimensions at most"

    def _repr_html_(self) -> str:
        parts: list[Markup] = []
        for listing in self.tables():
            if not listing.title:
                parts.append(facts([(str(name), value) for name, value in listing.rows]))
                continue
            made = table(listing.headings, listing.rows)
            long = len(listing.rows) > MOST_OPEN
            parts.append(folded(f"{listing.title} ({len(listing.rows)} values)", made) if long else made)
        return panel("Opened results", *parts, note=_origin(self.provenance))


def _lines(listing: Listing) -> list[str]:
    """A table in plain text: long ones are cut in the middle, wide ones at the right."""
    rows = [[_short(cell) for cell in row] for row in listing.rows]
    if len(rows) > MOST_OPEN:
        rows = [*rows[: MOST_OPEN // 2], ["…"] * len(listing.headings), *rows[-MOST_OPEN // 2 :]]
    if listing.title:
        rows = [listing.headings, *rows]
    first, *others = zip(*rows, strict=True)
    lines = [cell.ljust(max(map(len, first))) for cell in first]
    for column in others:
        reach = max(map(len, column))
        if len(lines[0]) + 2 + reach > WIDTH:
            return [f"{line}  …" for line in lines]
        lines = [f"{line}  {cell.rjust(reach)}" for line, cell in zip(lines, column, strict=True)]
    return lines


def _short(cell: Any) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _dimensions(value: Any) -> int:
    """How many a result has; -1 for lists that differ in length, which are no array."""
    try:
        return np.ndim(value)
    except ValueError:
        return -1


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _label(name: str) -> str:
    return name.strip("_")


def _origin(runs: Sequence[dict[str, Any]]) -> str:
    told = ", ".join(f"{run['session'][:8]} ({run['protocol']}, plan {run['plan'][:8]})" for run in runs)
    return f"from run {told}" if told else ""
