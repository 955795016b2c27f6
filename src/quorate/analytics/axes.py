"""What the axes of opened results stand for, and the labels of their places.

A method states once what the axes of each of its results are (`Estimator.AXES`, `Fitted.axes`); labels follow from
that and never from lengths that happen to be equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["ENDS", "LABELS", "LIMIT", "Axes", "axes_of", "labels_of"]

Axes = Mapping[str, tuple[str, ...]]
"""Result -> names of its axes: "feature", "class", "cluster", "group", "time", "bin" and so on.

A result of fewer dimensions has the last ones, such as `coef_` of two classes, which has no axis of classes.
"""

LIMIT = "limit"
"""The axis of the two ends of an interval."""

ENDS = ("lower", "upper")

LABELS: Mapping[str, tuple[str, ...]] = {
    "feature": ("feature_names_in_",),
    "variant": ("feature_names_in_",),
    "class": ("class_names_", "classes_"),
    "group": ("groups_",),
    "category": ("categories",),
    "bin": ("bin_edges",),
    "time": ("times_",),
}
"""Axis -> the results that say what its places stand for, the first that is there."""


def axes_of(stated: Axes, name: str, dimensions: int) -> tuple[str, ...] | None:
    """Names of the axes of a result; None if the method does not state them."""
    found = stated.get(name)
    if found is None or dimensions > len(found):
        return None
    return found[len(found) - dimensions :]


def labels_of(values: Mapping[str, Any], axis: str, length: int) -> list[Any] | None:
    """Labels along an axis of this length; None where it has none, and places are numbered from 0."""
    if axis == LIMIT:
        return list(ENDS)
    given = next((values[name] for name in LABELS.get(axis, ()) if values.get(name) is not None), None)
    if given is None:
        return [f"x{k}" for k in range(length)] if axis == "feature" else None
    found = _ranges(given) if axis == "bin" else np.asarray(given).tolist()
    return found if len(found) == length else None


def _ranges(edges: Sequence[float]) -> list[str]:
    """Bins as texts: "0 to 20,000"."""
    told = [f"{edge:,.10g}" for edge in np.asarray(edges, np.float64).tolist()]
    return [f"{low} to {high}" for low, high in pairwise(told)]
