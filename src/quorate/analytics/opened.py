"""Opened results of a method: by name, as tables, with where they come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from quorate.errors import UserError
from quorate.html import Markup, facts, folded, panel, table

__all__ = ["Fitted", "needed"]

PROVENANCE = "quorate"
MOST_COLUMNS = 12
MOST_OPEN = 20
"""Longer tables are folded up."""

LIMITS = "conf_int_"
"""Confidence limits of coefficients, shape (features, 2)."""


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

    def _table(self, name: str | None) -> tuple[dict[str, Any], list[str] | None]:
        """Columns, and names of the rows where they have some."""
        if name is None:
            return self._main()
        if name not in self:
            raise UserError(f"there is no {name!r} among the opened results: {', '.join(self)}")
        values = np.asarray(self[name])
        if values.ndim > 2:
            raise UserError(f"{name!r} has {values.ndim} dimensions; a table has two")
        features = self._features()
        if values.ndim == 2:
            labels = features if values.shape[1] == len(features) else list(map(str, range(values.shape[1])))
            return {label: values[:, k] for k, label in enumerate(labels)}, None
        index = features if values.ndim and len(values) == len(features) else None
        return {_label(name): values.reshape(-1)}, index

    def _main(self) -> tuple[dict[str, Any], list[str] | None]:
        features = self._features()
        groups = self._groups()
        if features and len(features) in groups:
            return groups[len(features)], features
        if groups:
            return max(groups.values(), key=len), None
        return {_label(key): [value] for key, value in self._numbers().items()}, None

    def _features(self) -> list[str]:
        names = self.get("feature_names_in_")
        if names is not None:
            return [str(name) for name in names]
        return [f"x{k}" for k in range(int(self.get("n_features_in_", 0)))]

    def _groups(self) -> dict[int, dict[str, Any]]:
        """Results of one dimension, by their length."""
        found: dict[int, dict[str, Any]] = {}
        for key, value in self.items():
            if key != "feature_names_in_" and not key.startswith("intercept") and np.ndim(value) == 1:
                found.setdefault(len(value), {})[_label(key)] = np.asarray(value)
            elif key == LIMITS and np.shape(value)[1:] == (2,):
                found.setdefault(len(value), {}).update(zip(("lower", "upper"), np.asarray(value).T, strict=True))
        return found

    def _numbers(self) -> dict[str, Any]:
        return {key: value for key, value in self.items() if value is not None and np.ndim(value) == 0}

    def _repr_html_(self) -> str:
        parts: list[Markup] = []
        if numbers := self._numbers():
            parts.append(facts({_label(key): _plain(value) for key, value in numbers.items()}))
        features = self._features()
        for length, group in sorted(self._groups().items(), key=lambda item: item[0] != len(features)):
            rows = features if length == len(features) else range(length)
            columns = [np.asarray(values).tolist() for values in group.values()]
            made = table(["", *group], [[str(rows[k]), *(one[k] for one in columns)] for k in range(length)])
            parts.append(made if length <= MOST_OPEN else folded(f"{', '.join(group)} ({length} values)", made))
        parts += [_matrix(key, value) for key, value in self.items() if np.ndim(value) == 2 and key != LIMITS]
        return panel("Opened results", *parts, note=_origin(self.provenance))


def _matrix(name: str, values: Any) -> Markup:
    array = np.asarray(values)
    width = min(array.shape[1], MOST_COLUMNS)
    headings: Sequence[object] = [_label(name), *range(width), *(["…"] if width < array.shape[1] else [])]
    rows = [[str(k), *row[:width].tolist(), *(["…"] if width < array.shape[1] else [])] for k, row in enumerate(array)]
    return table(headings, rows)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _label(name: str) -> str:
    return name.strip("_")


def _origin(runs: Sequence[dict[str, Any]]) -> str:
    told = ", ".join(f"{run['session'][:8]} ({run['protocol']}, plan {run['plan'][:8]})" for run in runs)
    return f"from run {told}" if told else ""
