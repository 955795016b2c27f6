"""Indexing and shapes: what moves elements without looking at them, and reading at a place that nobody sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import Any, NoReturn, Self

import numpy as np
import numpy.typing as npt

from quorate.errors import UserError
from quorate.lang.dims import Dim, Shape, Size, text_of
from quorate.lang.operations.structure import reshaped
from quorate.lang.public import as_public
from quorate.lang.recorded import Recorded, axes_of, axis_of, product_of

__all__ = ["Index", "Indexing", "sizes_of"]

Index = int | slice | EllipsisType | None | list[int] | npt.NDArray[Any] | Recorded


class Indexing(Recorded):
    """The part of a secret array about places and shapes; all of it is free, save for reading at secret places."""

    __slots__ = ()

    def __getitem__(self, index: Index | tuple[Index, ...]) -> Self:
        items = _expanded(index if isinstance(index, tuple) else (index,), self.ndim)
        if any(isinstance(item, Recorded) for item in items):
            return self._read(items)
        if lists := [item for item in items if isinstance(item, list | np.ndarray)]:
            return self._gathered(items, [_indices(item) for item in lists])
        return self._indexed([_canonical_item(item) for item in items])

    def __setitem__(self, _: Any, __: Any) -> NoReturn:
        raise UserError(
            "secret arrays cannot be changed; make a new one with quorate.where(mask, value, x), quorate.concatenate, "
            "or quorate.put(x, index, value) where the index is secret"
        )

    def __iter__(self) -> Iterator[Self]:
        return (self[k] for k in range(len(self)))

    def __contains__(self, _: Any) -> NoReturn:
        raise UserError("'in' would show a secret; use (x == value).any(), or quorate.isin for several values")

    def _indexed(self, index: list[Any]) -> Self:
        return self.record("index", index=index)

    def _read(self, items: Sequence[Any]) -> Self:
        """Read along one axis at secret places."""
        place = [axis for axis, item in enumerate(items) if isinstance(item, Recorded)]
        if len(place) > 1 or not all(isinstance(item, Recorded) or _full(item) for item in items):
            raise UserError("a secret index stands alone or among ':'; index with public items in a step of its own")
        return self.take(items[place[0]], place[0])

    def _gathered(self, items: Sequence[Any], lists: Sequence[npt.NDArray[Any]]) -> Self:
        """Index with lists of integers or public masks, of any shape, beside slices and integers."""
        if len(lists) == 1 and lists[0].dtype.kind != "b" and lists[0].ndim == 1:
            return self._indexed([_canonical_item(item) for item in items])
        in_front = all(isinstance(item, list | np.ndarray) for item in items[: len(lists)])
        masks = sum(entries.dtype.kind == "b" for entries in lists)
        if not in_front or not all(_full(item) for item in items[len(lists) :]) or (masks and len(lists) > 1):
            raise UserError(
                "an index takes one list beside slices and integers, or one mask or several lists for the first axes; "
                "index in two steps"
            )
        return self._masked(lists[0]) if masks else self._at(lists)

    def _masked(self, mask: npt.NDArray[Any]) -> Self:
        if mask.shape != self.shape[: mask.ndim]:
            raise UserError(f"a mask of shape {mask.shape} for an array of shape {self.shape}")
        flat = self.reshape(mask.size, *self.shape[mask.ndim :])
        return flat[np.flatnonzero(mask).tolist()]

    def _at(self, lists: Sequence[npt.NDArray[Any]]) -> Self:
        """Elements at these places of the first axes."""
        sizes = _known(self.shape[: len(lists)], "lists of indices")
        try:
            places = np.broadcast_arrays(*lists)
            flat = np.ravel_multi_index(
                [np.where(p < 0, p + n, p) for p, n in zip(places, sizes, strict=True)], tuple(sizes)
            )
        except ValueError as problem:
            raise UserError(f"these lists are no index for an array of shape {self.shape}: {problem}") from None
        merged = self.reshape(int(np.prod(sizes)), *self.shape[len(lists) :])
        return merged[flat.reshape(-1).tolist()].reshape(*flat.shape, *self.shape[len(lists) :])

    def take(self, indices: Any, axis: int | None = None) -> Self:
        """Elements at `indices` along `axis` (default: of the flattened array); the indices may be secret.

        A secret read compares the index with every place: its cost grows with the length of the axis. Secret indices
        must be proven to lie in 0 ... n-1.
        """
        if axis is None:
            return self.reshape(-1).take(indices, 0)
        place = axis_of(axis, self.ndim)
        front = self.moveaxis(place, 0)
        if isinstance(indices, Recorded) and indices.known() is None:
            if indices.dtype.kind == "bool":
                raise UserError(
                    "x[mask] would show how many elements a secret mask chooses; use quorate.where(mask, x, 0), "
                    "x.sum(where=mask) or another reduction with where, or quorate.compact(mask, x), which keeps "
                    "the length"
                )
            chosen, count = front.record("read", indices), indices.ndim
        else:
            entries = as_public(indices.known() if isinstance(indices, Recorded) else indices)
            chosen, count = front[_indices(entries).reshape(-1).tolist()], entries.ndim
            chosen = chosen.reshape(*entries.shape, *front.shape[1:])
        order = [*range(count, count + place), *range(count), *range(count + place, chosen.ndim)]
        return chosen.transpose(order)

    # -- shapes -------------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Self:
        """Another shape for the same elements; one size may be -1."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        return self._reshaped(reshaped(self.shape, [_plain(size) for size in wanted]))

    def _reshaped(self, sizes: Shape) -> Self:
        return self if sizes == self.shape else self.record("reshape", shape=[text_of(size) for size in sizes])

    def ravel(self) -> Self:
        """All elements in one dimension."""
        return self.reshape(-1)

    flatten = ravel

    def transpose(self, *axes: Any) -> Self:
        """Axes in another order; reversed by default."""
        given = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)) else axes
        order = [axis_of(axis, self.ndim) for axis in given] if given else list(range(self.ndim))[::-1]
        return self if order == list(range(self.ndim)) else self.record("transpose", axes=order)

    @property
    def T(self) -> Self:
        """The transpose."""
        return self.transpose()

    @property
    def mT(self) -> Self:
        """The last two axes swapped."""
        if self.ndim < 2:
            raise UserError("the transpose of a matrix needs two dimensions")
        return self.swapaxes(-1, -2)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        """Two axes swapped."""
        order = list(range(self.ndim))
        first, second = axis_of(axis1, self.ndim), axis_of(axis2, self.ndim)
        order[first], order[second] = order[second], order[first]
        return self.transpose(order)

    def moveaxis(self, source: Any, destination: Any) -> Self:
        """Axes moved to other places; the others keep their order."""
        given, wanted = ([end] if not isinstance(end, tuple | list) else end for end in (source, destination))
        if len(given) != len(wanted):
            raise UserError("moveaxis takes as many destinations as sources")
        moves = {axis_of(to, self.ndim): axis_of(axis, self.ndim) for axis, to in zip(given, wanted, strict=True)}
        if len(set(moves.values())) < len(given) or len(moves) < len(given):
            raise UserError(f"moveaxis from {source} to {destination} names an axis twice")
        rest = iter(axis for axis in range(self.ndim) if axis not in moves.values())
        return self.transpose([moves[to] if to in moves else next(rest) for to in range(self.ndim)])

    def squeeze(self, axis: Any = None) -> Self:
        """Without axes of size one: all of them, or those named."""
        ones = [k for k, size in enumerate(self.shape) if size == 1]
        dropped = ones if axis is None else axes_of(axis, self.ndim)
        if any(k not in ones for k in dropped):
            raise UserError(f"axis {axis} of the shape {self.shape} cannot be squeezed; its size is not 1")
        return self._reshaped(tuple(size for k, size in enumerate(self.shape) if k not in dropped))

    def expand_dims(self, axis: Any) -> Self:
        """New axes of size one at these places of the result."""
        given = axis if isinstance(axis, tuple | list) else (axis,)
        places = axes_of(given, self.ndim + len(given))
        sizes = iter(self.shape)
        total = self.ndim + len(places)
        return self._reshaped(tuple(1 if k in places else next(sizes) for k in range(total)))

    def broadcast_to(self, shape: Any) -> Self:
        """Repeated along axes of size one, or new axes in front, to this shape."""
        sizes = sizes_of(shape)
        return self if sizes == self.shape else self.record("broadcast", shape=[text_of(size) for size in sizes])

    def flip(self, axis: Any = None) -> Self:
        """The order of elements reversed along all axes, or those named."""
        reverse = ["slice", None, None, -1]
        places = axes_of(axis, self.ndim)
        return self._indexed([reverse if k in places else ["slice", None, None, None] for k in range(self.ndim)])

    def repeat(self, repeats: int, axis: int | None = None) -> Self:
        """Each element `repeats` times, along `axis` or of the flattened array."""
        if axis is None:
            return self.reshape(-1).repeat(repeats, 0)
        count, place = _count(repeats), axis_of(axis, self.ndim)
        sizes = list(self.shape)
        spread = self.expand_dims(place + 1).broadcast_to([*sizes[: place + 1], count, *sizes[place + 1 :]])
        return spread._reshaped((*sizes[:place], sizes[place] * count, *sizes[place + 1 :]))

    def diagonal(self, offset: int = 0) -> Self:
        """The diagonal of a matrix of known size."""
        rows, columns = _known(self.shape, "a diagonal") if self.ndim == 2 else (0, 0)
        if self.ndim != 2:
            raise UserError("the diagonal is that of a matrix; take it of one matrix after the other")
        first = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0))))
        return self[first - min(offset, 0), first + max(offset, 0)]

    def copy(self) -> Self:
        """The array itself: it never changes."""
        return self


def sizes_of(shape: Any) -> Shape:
    """A shape that a user gave: sizes, or one size. Raises `UserError` for anything else."""
    given = shape if isinstance(shape, tuple | list) else (shape,)
    sizes = tuple(_plain(size) for size in given)
    if any(not isinstance(size, Dim) and (type(size) is not int or size < 0) for size in sizes):
        raise UserError(f"the shape {shape} is no list of sizes")
    return sizes


def _plain(size: Any) -> Any:
    """NumPy's integers as Python's."""
    return int(size) if isinstance(size, np.integer) else size


def _known(sizes: Sequence[Size], what: str) -> list[int]:
    product_of([size for size in sizes if isinstance(size, int)])
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) < len(sizes):
        raise UserError(f"{what} of an array whose number of rows is not known yet; only slices can be taken of it")
    return known


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise UserError(f"{value!r} is no number of repetitions that is known beforehand")
    return int(value)


def _expanded(items: Sequence[Any], ndim: int) -> list[Any]:
    """The index with its ellipsis written out."""
    if sum(item is Ellipsis for item in items) > 1:
        raise UserError("an index can have one ellipsis")
    used = sum(_axes_used(item) for item in items)
    result: list[Any] = []
    for item in items:
        result += [slice(None)] * max(0, ndim - used) if item is Ellipsis else [item]
    return result


def _full(item: Any) -> bool:
    return isinstance(item, slice) and item == slice(None)


def _axes_used(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else 1


def _indices(item: Any) -> npt.NDArray[Any]:
    """A list in an index: whole numbers, or truth values for a public mask."""
    entries = as_public(item)
    if entries.dtype.kind not in "iub" and entries.size:
        raise UserError("a list as an index holds whole numbers, or truth values for a public mask")
    return entries if entries.size or entries.dtype.kind == "b" else entries.astype(np.int64)


def _canonical_item(item: Any) -> Any:
    if item is None:
        return ["new"]
    if isinstance(item, slice):
        stop = {"size": str(item.stop)} if isinstance(item.stop, Dim) else _bound(item.stop)
        return ["slice", _bound(item.start), stop, _bound(item.step)]
    if isinstance(item, list | np.ndarray):
        return ["list", [int(entry) for entry in _indices(item)]]
    if isinstance(item, int | np.integer) and not isinstance(item, bool):
        return int(item)
    raise UserError(f"an index of type {type(item).__name__}; use integers, slices, None, ... or lists of integers")


def _bound(value: Any) -> int | None:
    """One of the three parts of a slice."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise UserError(f"a slice with a {type(value).__name__} in it; use whole numbers that are known beforehand")
    return int(value)
