"""Trees that were opened: plain data that predicts for rows in the clear, as text and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from quorate.analytics.axes import Axes
from quorate.analytics.opened import Fitted
from quorate.analytics.trees.bins import candidates
from quorate.errors import DataError, UserError

__all__ = ["OpenedTrees"]

Numbers = npt.NDArray[np.float64]

AXES: Axes = {
    **dict.fromkeys(("splits_", "feature_", "threshold_"), ("tree", "node")),
    "values_": ("tree", "leaf", "output"),
    "baseline_": ("score",),
    "edges_": ("feature", "edge"),
    "feature_importances_": ("feature",),
    "classes_": ("class",),
}

FORMAT = "quorate trees 1"


class OpenedTrees(Fitted):
    """The opened results of trees, by name, and what can be done with them.

    Attributes:
        kind: which method they are of, such as "DecisionTreeRegressor".
    """

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        super().__init__(values, axes=AXES)
        self.kind = kind
        places, thresholds = candidates(self["edges_"])
        splits = np.asarray(self["splits_"])
        self["edges_"] = [list(row) for row in self["edges_"]]
        self["feature_"] = np.array([-1, *places])[splits]
        self["threshold_"] = np.array([np.inf, *thresholds])[splits]

    # -- predictions --------------------------------------------------------------------------------------------------

    def decision(self, X: Any) -> Numbers:
        """The sum of all trees and of the baseline for rows in the clear: (rows, outputs)."""
        rows = self._rows(X)
        outputs = np.stack([self._reached(tree, rows) for tree in range(len(self["splits_"]))])
        if "baseline_" not in self:
            total: Numbers = outputs.sum(0)
            return total
        base = np.atleast_1d(np.asarray(self["baseline_"], np.float64))
        steps = outputs[..., 0].reshape(-1, len(base), len(rows)).sum(0)
        found: Numbers = np.asarray(steps + base[:, None], np.float64).T
        return found

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Values, or labels or names of the likeliest classes, for rows in the clear; shape (rows,)."""
        if "classes_" not in self:
            values: Numbers = self.decision(X)[:, 0]
            return values
        labels: npt.NDArray[Any] = np.asarray(self.get("class_names_") or self["classes_"])
        best: npt.NDArray[Any] = labels[self.predict_proba(X).argmax(1)]
        return best

    def predict_proba(self, X: Any) -> Numbers:
        """Probabilities of the classes, shape (rows, classes). Raises `UserError` for trees of numbers."""
        if "classes_" not in self:
            raise UserError(f"{self.kind} predicts numbers; use predict")
        found = self.decision(X)
        if "baseline_" in self:
            found = _sigmoid(found) if found.shape[1] == 1 else _softmax(found)
        return np.hstack([1 - found, found]) if found.shape[1] == 1 else found

    def _reached(self, tree: int, rows: Numbers) -> Numbers:
        feature, threshold = self["feature_"][tree], self["threshold_"][tree]
        node = np.zeros(len(rows), np.int64)
        inner = len(feature)
        while (node < inner).any():
            own = np.minimum(node, inner - 1)
            right = rows[np.arange(len(rows)), feature[own]] > threshold[own]
            node = np.where(node < inner, 2 * node + 1 + right, node)
        return np.asarray(self["values_"][tree], np.float64)[node - inner]

    def _rows(self, X: Any) -> Numbers:
        names = self.get("feature_names_in_")
        if names is not None and hasattr(X, "keys"):
            missing = [name for name in names if name not in X]
            if missing:
                raise DataError(f"the data have no column {missing[0]!r}")
            X = np.column_stack([self._codes(j, X[name]) for j, name in enumerate(names)])
        rows = np.asarray(X, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self["n_features_in_"]:
            raise DataError(f"rows of shape {rows.shape}; the trees take {self['n_features_in_']} features")
        if np.isnan(rows).any():
            raise DataError("missing values; the trees were fitted to none")
        return rows

    def _codes(self, feature: int, column: Any) -> Numbers:
        """A column as numbers; texts of a feature of categories as its codes."""
        names, values = self._categories(feature), np.asarray(column)
        if names is None or values.dtype.kind not in "OUS":
            return np.asarray(column, np.float64)
        places = {name: float(code) for code, name in enumerate(names)}
        if unknown := [value for value in values.tolist() if str(value) not in places]:
            raise DataError(f"{unknown[0]!r} is none of the categories {', '.join(names)}")
        return np.array([places[str(value)] for value in values.tolist()])

    def _categories(self, feature: int) -> list[str] | None:
        found: list[str] | None = (self.get("feature_categories_") or {feature: None})[feature]
        return found

    # -- text and JSON ------------------------------------------------------------------------------------------------

    def text(self, names: Sequence[str] | None = None) -> str:
        """All trees, a line per node; nodes without a split are leaves."""
        labels = list(names or self.get("feature_names_in_") or [f"x{j}" for j in range(self["n_features_in_"])])
        lines: list[str] = []
        for tree in range(len(self["splits_"])):
            lines += [f"tree {tree}", *self._lines(tree, 0, "  ", labels)]
        return "\n".join(lines)

    def _lines(self, tree: int, node: int, indent: str, labels: list[str]) -> Iterator[str]:
        leaf = self._leaf(tree, node)
        if leaf is not None:
            yield f"{indent}value {', '.join(f'{value:.6g}' for value in leaf)}"
            return
        sides = self._sides(int(self["feature_"][tree][node]), float(self["threshold_"][tree][node]))
        for side, said in enumerate(sides):
            yield f"{indent}{labels[self['feature_'][tree][node]]} {said}"
            yield from self._lines(tree, 2 * node + 1 + side, indent + "  ", labels)

    def _sides(self, feature: int, threshold: float) -> tuple[str, str]:
        """What holds on the left of a threshold, and on the right."""
        names, last = self._categories(feature), math.floor(threshold) + 1
        if names is None:
            return f"<= {threshold:.6g}", f"> {threshold:.6g}"
        return f"in ({', '.join(names[:last])})", f"in ({', '.join(names[last:])})"

    def _leaf(self, tree: int, node: int) -> Numbers | None:
        """The value of a node under which nothing is split; rows in it all go left."""
        inner = len(self["splits_"][tree])
        if node < inner and self["splits_"][tree][node]:
            return None
        while node < inner:
            node = 2 * node + 1
        found: Numbers = np.atleast_1d(np.asarray(self["values_"][tree][node - inner], np.float64))
        return found

    def to_json(self) -> str:
        """Everything as one JSON document; `from_json` reads it."""
        plain = {
            name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            for name, value in self.items()
        }
        for derived in ("feature_", "threshold_"):
            plain.pop(derived)
        return json.dumps({"format": FORMAT, "kind": self.kind, "values": plain})

    @classmethod
    def from_json(cls, document: str) -> Self:
        """What `to_json` wrote. Raises `DataError` for anything else."""
        try:
            read = json.loads(document)
            if read["format"] != FORMAT:
                raise KeyError(read["format"])
            values = {name: _array(name, value) for name, value in read["values"].items()}
            return cls(str(read["kind"]), values)
        except (ValueError, KeyError, TypeError, IndexError) as problem:
            raise DataError(f"this is no document of opened trees: {problem}") from None


def _array(name: str, value: Any) -> Any:
    return np.asarray(value) if name in ("splits_", "values_", "baseline_", "feature_importances_") else value


def _sigmoid(x: Numbers) -> Numbers:
    found: Numbers = 1 / (1 + np.exp(-x))
    return found


def _softmax(x: Numbers) -> Numbers:
    powers = np.exp(x - x.max(1, keepdims=True))
    shares: Numbers = powers / powers.sum(1, keepdims=True)
    return shares
