"""Finding, counting and placing: searches, histograms, one-hot vectors, writing at secret places, distinct values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.categories import codes_of
from quorate.lang.dims import Size
from quorate.lang.numpy_names import first, like_numpy, secrets_only
from quorate.lang.public import Public, as_public
from quorate.lang.recorded import Recorded

__all__ = ["Unique", "digitize", "histogram", "isin", "one_hot", "put", "searchsorted", "unique"]

Array = SecretArray


@like_numpy("isin", "in1d")
def isin(x: Any, values: Any, *, invert: bool = False) -> Array:
    """Whether each element equals one of `values`, public or secret: as many comparisons as there are pairs.

    Public values may be texts, for a column of categories.
    """
    like: Array = first(x, values)
    array = like._other(x)
    wanted = like._other(codes_of(array, values)).reshape(-1)
    found = (array[..., None] == wanted).any(-1)
    return ~found if invert else found


@like_numpy()
def searchsorted(a: Any, v: Any, side: str = "left") -> Array:
    """Where each of `v` would have to go so that the sorted `a` stays sorted: how many of `a` are smaller."""
    like: Array = first(a, v)
    if side not in ("left", "right"):
        raise UserError(f"side {side!r} of searchsorted; use left or right")
    if not isinstance(a, Recorded):
        return _passed(like, as_public(a), side)
    row, values = like._other(a), like._other(v)
    if row.ndim != 1:
        raise UserError("searchsorted looks through one dimension")
    before = row < values[..., None] if side == "left" else row <= values[..., None]
    return before.sum(-1)


@like_numpy()
def digitize(x: Any, bins: Any, right: bool = False) -> Array:
    """The number of the public, ascending bin of each value: 0 below the first edge, len(bins) above the last."""
    return searchsorted(bins, first(x), "left" if right else "right")


def _passed(values: Array, edges: Public, side: str) -> Array:
    """How many public edges lie before each value: below it (left), or below or at it (right)."""
    raw = _raw_edges(values, edges, math_up=side == "right")
    below = values._numbers().record("thresholds", edges=raw)
    return (~below).sum(0)


def _raw_edges(values: Array, edges: Public, *, math_up: bool) -> list[int]:
    """Thresholds t so that raw < t means: below the edge; or, not `math_up`, below or at it."""
    _check_edges(edges)
    scaled = np.ldexp(edges.astype(np.float64), values.dtype.scale)
    whole = np.ceil(scaled) if math_up else np.floor(scaled) + 1
    return [int(edge) for edge in whole]


def _check_edges(edges: Public) -> None:
    if edges.ndim != 1 or not np.isfinite(edges).all() or (np.diff(edges) < 0).any():
        raise UserError("edges are public, finite numbers in ascending order, in one dimension")


@like_numpy()
def histogram(
    x: Any, bins: Any = 10, range: tuple[float, float] | None = None, *, weights: Any = None
) -> tuple[Array, Public]:
    """How many values (or how much secret weight) lie in each public bin; counts and edges.

    Bins hold their lower edge; the last one holds its upper edge too. A number of bins needs a `range`, since the least
    and the largest value are secret.
    """
    array: Array = first(x)
    edges = _edges(bins, range)
    values = array._numbers()
    scaled = np.ldexp(edges.astype(np.float64), values.dtype.scale)
    raw = [*(int(edge) for edge in np.ceil(scaled[:-1])), int(np.floor(scaled[-1]))]
    operands = [] if weights is None else [array._other(weights)]
    return values.record("histogram", *operands, edges=raw), edges


def _edges(bins: Any, range_: tuple[float, float] | None) -> Public:
    if isinstance(bins, int | np.integer) and not isinstance(bins, bool):
        if range_ is None:
            raise UserError(
                "histogram with a number of bins would need the least and largest value; give range=(low, high)"
            )
        if bins < 1 or not range_[0] < range_[1]:
            raise UserError(f"{bins} bins from {range_[0]} to {range_[1]}; use at least one bin, and low below high")
        return np.linspace(*range_, int(bins) + 1)
    edges = as_public(bins)
    _check_edges(edges)
    if edges.size < 2:
        raise UserError("a histogram needs two edges or more")
    return edges


@secrets_only
def one_hot(x: Any, size: Size) -> Array:
    """A new last axis of `size` bools, true at the place that the value names; all false for values beyond it."""
    array: Array = first(x)
    return array.record("one_hot", size=size if isinstance(size, int) else {"size": str(size)})


@secrets_only
def put(x: Any, index: Any, values: Any) -> Array:
    """The array with `values` at secret (or public) places of its first axis; a later value wins over an earlier one.

    Costs a comparison of every index with every place. Indices must be proven to lie in 0 ... n-1.
    """
    like: Array = first(x, index, values)
    array = like._other(x)
    places = array._other(index)
    given = array._other(values, None if isinstance(values, Recorded) else array.dtype).astype(array.dtype)
    return array.record("write", places, given.broadcast_to((*places.shape, *array.shape[1:])))


class Unique(NamedTuple):
    """Distinct values in ascending order and how often each occurs, padded with zeros where `valid` is false.

    `missed` counts the distinct values for which `size` had no room; None without a size, since all have room then.
    """

    values: Array
    counts: Array
    valid: Array
    missed: Array | None


@secrets_only
def unique(x: Any, size: int | None = None) -> Unique:
    """The distinct values, as many rows as the flattened array has (or `size`): their number stays secret."""
    array: Array = first(x).reshape(-1)
    parts = array.unpacked("group", keys=1, aggregates=[["count", -1]], size=size)
    values, counts, valid, *missed = parts
    return Unique(values, counts, valid, missed[0] if missed else None)
