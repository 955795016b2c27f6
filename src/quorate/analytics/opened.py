"""Opened results of a method: by name, as tables, with where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np

from quorate.analytics.axes import ENDS, LABELS, LIMIT, Axes, axes_of, labels_of
from quorate.analytics.listing import MOST_OPEN, WIDTH, Listing, as_lines, bare, shown_as, told_label
from quorate.errors import UserError
from quorate.html import Markup, facts, folded, panel, table

__all__ = ["HIDDEN", "NOTE", "Fitted", "needed", "with_note"]

PROVENANCE = "quorate"
NOTE = "note"
MOST_COLUMNS = 12
LIMITS = "conf_int_"
"""Confidence limits of coefficients stand beside them, as columns `lower` and `upper`."""

TOLD = ("class_names_", "feature_names_in_", "feature_categories_", "groups_", "categories")
"""Results that name others and stand in no table themselves."""

SHOWN = ("shown", "shown_", "baseline_shown_", "large_shown_")
"""Results that say which cells are not hidden."""

HIDDEN = (
    "hidden: fewer rows than the least size of a small group, or needed to protect such a cell; a range without "
    "empty cells shows more"
)


class _Block(NamedTuple):
    """Results with one value per place of an axis. `axis` is None where the method does not state one."""

    axis: str | None
    labels: list[Any] | None
    columns: dict[str, Any]


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
        axes: result -> names of its axes, as far as the method states them; see `quorate.analytics.axes`. Rows and
            columns of tables are labelled by these.
        provenance: the runs that opened them and that computed what these depend on: dictionaries with session, plan,
            protocol, parties, rounds, bytes_sent, seconds, finished, software.
    """

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        axes: Axes | None = None,
        hidden: bool = False,
        **named: Any,
    ) -> None:
        super().__init__(values or {}, **named)
        self.axes: Axes = axes or {}
        self._hidden = hidden
        self.provenance: list[dict[str, Any]] = []

    @property
    def note(self) -> str:
        """What to tell people about cells that are hidden because they stand for few rows; empty if none is."""
        hides = self._hidden or any(name in self and not np.all(self[name]) for name in SHOWN)
        return HIDDEN if hides else ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self:
            raise AttributeError(f"there is no {name!r} among the opened results: {', '.join(self)}")
        return self[name]

    def to_pandas(self, name: str | None = None) -> Any:
        """A data frame with provenance in `attrs["quorate"]`.

        Args:
            name: one result, as a table of its own. By default those of the axis that most results have, such as one
                row per feature, class or cluster, together with matrices of one column per feature; of single
                numbers, one row of them.

        Raises:
            UserError: no such result, more than two dimensions, or pandas is not installed.
        """
        columns, index, axis = self._table(name)
        frame = needed("pandas").DataFrame(columns, index)
        frame.index.name = axis if index is not None else None
        frame.attrs[PROVENANCE] = self.provenance
        return frame

    def to_arrow(self, name: str | None = None) -> Any:
        """An Arrow table of the same columns, with provenance as JSON in the metadata of its schema.

        Raises:
            UserError: no such result, or more than two dimensions.
        """
        import pyarrow

        columns, index, _ = self._table(name)
        if index is not None:
            columns = {"name": list(map(told_label, index)), **columns}
        made = pyarrow.table({key: pyarrow.array(values) for key, values in columns.items()})
        return made.replace_schema_metadata({PROVENANCE: json.dumps(self.provenance)})

    def tables(self) -> list[Listing]:
        """All results of two dimensions at most as tables for people: numbers, those of equal length, matrices."""
        found = []
        if numbers := self._numbers():
            rows = [[bare(key), shown_as(key, _plain(value))] for key, value in numbers.items()]
            found.append(Listing("", ["", "value"], rows))
        for axis, labels, group in self._blocks():
            columns = [[shown_as(key, cell) for cell in np.asarray(values).tolist()] for key, values in group.items()]
            rows = [
                [told_label(k), *cells] for k, *cells in zip(labels or range(len(columns[0])), *columns, strict=True)
            ]
            found.append(Listing(", ".join(group), [axis or "", *group], rows))
        found += [self._listed(key, np.asarray(value)) for key, value in self.items() if self._is_matrix(key, value)]
        return found

    def _listed(self, key: str, values: Any) -> Listing:
        """A matrix; of a wide one the first columns."""
        width = min(values.shape[1], MOST_COLUMNS)
        more = ["…"] if width < values.shape[1] else []
        rows = zip(self._along(key, values, 0) or range(len(values)), values[:, :width].tolist(), strict=True)
        headings = [bare(key), *self._headings(key, values)[:width], *more]
        told = [[told_label(name), *(shown_as(key, cell) for cell in row), *more] for name, row in rows]
        return Listing(bare(key), headings, told)

    def _table(self, name: str | None) -> tuple[dict[str, Any], list[Any] | None, str | None]:
        """Columns, labels of the rows where they have some, and what the rows are."""
        if name is None:
            return self._main()
        if name not in self:
            raise UserError(f"there is no {name!r} among the opened results: {', '.join(self)}")
        if _dimensions(self[name]) < 0:
            raise UserError(f"{name!r} is a list of arrays that differ in their shape, and no table; use it as it is")
        values = np.asarray(self[name])
        if values.ndim > 2:
            raise UserError(f"{name!r} has {values.ndim} dimensions; a table has two")
        axes = axes_of(self.axes, name, values.ndim) or (None,)
        index = self._along(name, values, 0) if values.ndim else None
        if values.ndim == 2:
            return {label: values[:, k] for k, label in enumerate(self._headings(name, values))}, index, axes[0]
        return {bare(name): values.reshape(-1)}, index, axes[0] if values.ndim else None

    def _main(self) -> tuple[dict[str, Any], list[Any] | None, str | None]:
        blocks = self._blocks()
        if not blocks:
            return {bare(key): [value] for key, value in self._numbers().items()}, None, None
        stated = [block for block in blocks if block.axis is not None]
        axis, labels, columns = max(stated or blocks, key=lambda block: len(block.columns))
        matrices = [key for key in self if axis and self._axes(key) == (axis, "feature")]
        for key in matrices:
            values = np.asarray(self[key])
            names = self._headings(key, values)
            apart = len(matrices) > 1 or not columns.keys().isdisjoint(names)
            columns |= {f"{bare(key)} {name}" if apart else name: values[:, k] for k, name in enumerate(names)}
        rows = len(next(iter(columns.values())))
        return columns, list(range(rows)) if axis and labels is None else labels, axis

    # -- names of rows and columns ------------------------------------------------------------------------------------

    def _features(self) -> list[str]:
        return list(map(str, labels_of(self, "feature", self._width()) or range(self._width())))

    def _width(self) -> int:
        names = self.get("feature_names_in_")
        return int(self.get("n_features_in_", 0)) if names is None else len(names)

    def _axes(self, key: str) -> tuple[str, ...] | None:
        return axes_of(self.axes, key, _dimensions(self[key]))

    def _along(self, key: str, values: Any, dimension: int) -> list[Any] | None:
        """What the places along one dimension of a result stand for: as the method states, or a series by itself."""
        if dimension == 0 and hasattr(self[key], "index") and hasattr(self[key], "dtype"):
            return list(self[key].index)
        axes = self._axes(key)
        return None if axes is None else labels_of(self, axes[dimension], values.shape[dimension])

    def _headings(self, key: str, values: Any) -> list[str]:
        """What the columns of a matrix stand for."""
        return list(map(told_label, self._along(key, values, 1) or range(values.shape[1])))

    def _names_others(self, key: str) -> bool:
        """Whether a result is there as labels of others."""
        used = {axis for axes in self.axes.values() for axis in axes}
        return key in TOLD or any(key in names and axis in used for axis, names in LABELS.items())

    def _is_matrix(self, key: str, value: Any) -> bool:
        return not self._names_others(key) and _dimensions(value) == 2 and not self._is_limits(key)

    def _is_limits(self, key: str) -> bool:
        return key == LIMITS and self._axes(key) == ("feature", LIMIT)

    def _blocks(self) -> list[_Block]:
        """Results of one dimension, by their axis, or by their length where none is stated; features first."""
        found: dict[tuple[Any, ...], _Block] = {}
        for key, value in self.items():
            if self._is_limits(key):
                own = dict(zip(ENDS, np.asarray(value).T, strict=True))
            elif not self._names_others(key) and not key.startswith("intercept_conf") and _dimensions(value) == 1:
                own = {bare(key): np.asarray(value)}
            else:
                continue
            axis = (self._axes(key) or (None,))[0]
            labels = self._along(key, np.asarray(value), 0)
            place = axis, len(value), None if labels is None else tuple(labels)
            found.setdefault(place, _Block(axis, labels, {})).columns.update(own)
        return sorted(found.values(), key=lambda block: block.axis != "feature")

    def _numbers(self) -> dict[str, Any]:
        return {key: value for key, value in self.items() if value is not None and _dimensions(value) == 0}

    def __repr__(self) -> str:
        listed = ["\n".join(as_lines(listing)) for listing in self.tables()]
        told = "\n\n".join(listed) or "no results of two dimensions at most"
        return f"{told}\n\n{fill(self.note, WIDTH)}" if self.note else told

    def _repr_html_(self) -> str:
        parts: list[Markup] = []
        for listing in self.tables():
            if not listing.title:
                parts.append(facts([(str(name), value) for name, value in listing.rows]))
                continue
            made = table(listing.headings, listing.rows)
            long = len(listing.rows) > MOST_OPEN
            parts.append(folded(f"{listing.title} ({len(listing.rows)} values)", made) if long else made)
        return panel("Opened results", *parts, note="; ".join(filter(None, (self.note, _origin(self.provenance)))))


def with_note(frame: Any, shown: Any) -> Any:
    """A data frame; if some of its cells are not shown, with a remark on that in `attrs["note"]`."""
    if not np.all(shown):
        frame.attrs[NOTE] = HIDDEN
    return frame


def _dimensions(value: Any) -> int:
    """How many a result has; -1 for lists that differ in length, which are no array."""
    try:
        return np.ndim(value)
    except ValueError:
        return -1


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _origin(runs: Sequence[dict[str, Any]]) -> str:
    told = ", ".join(f"{run['session'][:8]} ({run['protocol']}, plan {run['plan'][:8]})" for run in runs)
    return f"from run {told}" if told else ""
