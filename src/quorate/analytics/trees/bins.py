"""Public places at which rows may be split, and on which side of each a row lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import BOOL, INT

__all__ = ["MOST_BINS", "Edges", "candidates", "checked_edges", "equal_bins", "on_the_left"]

MOST_BINS = 256
MOST_CANDIDATES = 16_384

Edges = list[list[float]]
"""For every feature its thresholds in ascending order; rows with x <= threshold go left."""


def equal_bins(columns: Sequence[SecretArray], bins: int) -> Edges:
    """Thresholds that divide the declared range of every column into `bins` parts of equal width.

    An integer column of fewer values gets one part per value. A column whose range is one value has no thresholds.
    """
    return [_equal(column, bins) for column in columns]


def _equal(column: SecretArray, bins: int) -> list[float]:
    low, high = column.limits
    scale = column.dtype.scale
    first, last = round(math.ldexp(low, scale)), round(math.ldexp(high, scale))
    parts = min(bins, last - first + 1)
    if column.dtype.kind == "int" and parts == last - first + 1:
        return [float(value) for value in range(first, last)]
    raw = {first + (last - first) * k // parts for k in range(1, parts)}
    return [math.ldexp(edge, -scale) for edge in sorted(raw) if first <= edge < last]


def checked_edges(edges: Any, features: int) -> Edges:
    """Thresholds that a user gave. Raises `UserError` unless they are ascending numbers, one list per feature."""
    if not isinstance(edges, Sequence | np.ndarray) or len(edges) != features:
        raise UserError(f"edges needs one list of thresholds for each of the {features} features")
    found = [[float(edge) for edge in row] for row in edges]
    for j, row in enumerate(found):
        if not all(math.isfinite(edge) for edge in row) or any(a >= b for a, b in pairwise(row)):
            raise UserError(f"the edges of feature {j} are finite numbers in ascending order, each once")
    return found


def candidates(edges: Edges) -> tuple[list[int], list[float]]:
    """Feature and threshold of every place to split at; place 0 is "no split".

    Raises:
        UserError: there are too many.
    """
    features = [j for j, row in enumerate(edges) for _ in row]
    if len(features) >= MOST_CANDIDATES:
        raise UserError(f"{len(features)} thresholds in all; {MOST_CANDIDATES - 1} is the most; use fewer bins")
    return features, [edge for row in edges for edge in row]


def on_the_left(columns: Sequence[SecretArray], edges: Edges) -> SecretArray:
    """Which rows go left at every place: 0 or 1 as int, shape (places + 1, rows); at place 0 all do.

    Exact. About 12 rounds and 10 bytes per row and threshold with rep3. Reveals nothing.
    """
    every = q.ones_like(columns[0], dtype=BOOL)[None, :]
    rows = [_below(column, row) for column, row in zip(columns, edges, strict=True) if row]
    bits: SecretArray = q.concatenate([every, *rows])
    return bits.astype(INT)


def _below(column: SecretArray, edges: list[float]) -> SecretArray:
    raw = [math.floor(math.ldexp(edge, column.dtype.scale)) + 1 for edge in edges]
    return column.record("thresholds", edges=raw)
