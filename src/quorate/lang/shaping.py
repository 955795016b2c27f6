"""NumPy's functions that join, split and reshape. Except for taking elements at secret places they cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table
from quorate.lang.categories import check_same
from quorate.lang.dims import Dim, Shape, Size
from quorate.lang.indexing import sizes_of
from quorate.lang.numpy_names import first, like_numpy, secrets_only
from quorate.lang.operations.base import broadcast_shapes
from quorate.lang.recorded import Recorded, axis_of
from quorate.sharing.dtype import promote

__all__ = [
    "atleast_1d", "atleast_2d", "broadcast_arrays", "broadcast_to", "column_stack", "concat", "concatenate", "diag",
    "diagonal", "diff", "expand_dims", "flip", "fliplr", "flipud", "full_like", "hstack", "matrix_transpose",
    "moveaxis", "ones_like", "permute_dims", "ravel", "repeat", "reshape", "roll", "row_numbers", "split", "squeeze",
    "stack", "swapaxes", "take", "take_along_axis", "tile", "transpose", "tril", "triu", "unstack", "vstack",
    "zeros_like",
]  # fmt: skip

Array = SecretArray


def _array(x: Any) -> Array:
    found: Array = first(x)
    return found


# -- joining and splitting ---------------------------------------------------------------------------------------------


@overload
def concatenate(arrays: Sequence[Table], axis: int | None = 0) -> Table: ...
@overload
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Array: ...
@like_numpy("concatenate", "concat")
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Join arrays along an existing axis, in the type in which they meet; tables of the same columns by their rows."""
    if any(isinstance(one, Table) for one in arrays):
        return _below(arrays, axis)
    return _joined(arrays, axis)


def _joined(arrays: Sequence[Any], axis: int | None = 0) -> Array:
    parts = _of_one_type(arrays)
    if axis is None:
        parts, axis = [part.reshape(-1) for part in parts], 0
    if parts[0].ndim == 1:
        check_same(parts)
    return parts[0].trace.record("concat", parts, axis=axis_of(axis, parts[0].ndim))


concat = concatenate


def _below(tables: Sequence[Any], axis: int | None) -> Table:
    """The rows of tables below each other."""
    if not all(isinstance(one, Table) for one in tables) or axis != 0:
        raise UserError(
            "tables are joined with tables, by their rows (axis 0); for columns see assign and quorate.align"
        )
    wanted = tables[0].keys()
    for other in tables[1:]:
        if set(other) != set(wanted):
            raise UserError(
                f"tables with the columns {', '.join(wanted)} and {', '.join(other)}; take those that all have, such "
                f"as table[[{wanted[0]!r}]]"
            )
    columns = {name: _joined([one[name] for one in tables]) for name in wanted}
    return Table("table", columns, columns[wanted[0]].shape[0])


def _of_one_type(arrays: Sequence[Any]) -> list[Array]:
    like = _array(list(arrays))
    parts = [like._other(array) for array in arrays]
    common = promote(*(part.dtype for part in parts))
    return [part.converted(common) for part in parts]


@like_numpy()
def stack(arrays: Sequence[Any], axis: int = 0) -> Array:
    """Join arrays of equal shape along a new axis."""
    parts = _of_one_type(arrays)
    if len({part.shape for part in parts}) > 1:
        raise UserError(f"stack takes arrays of one shape, not {' and '.join(str(part.shape) for part in parts)}")
    place = axis_of(axis, parts[0].ndim + 1)
    return _joined([part.expand_dims(place) for part in parts], place)


@like_numpy()
def vstack(arrays: Sequence[Any]) -> Array:
    """Rows on top of one another."""
    return _joined([atleast_2d(part) for part in _of_one_type(arrays)], 0)


@like_numpy()
def hstack(arrays: Sequence[Any]) -> Array:
    """Side by side: along the second axis, of vectors along the first."""
    parts = [atleast_1d(part) for part in _of_one_type(arrays)]
    return _joined(parts, 0 if parts[0].ndim == 1 else 1)


@like_numpy()
def column_stack(arrays: Sequence[Any]) -> Array:
    """Vectors as the columns of a matrix."""
    return _joined([part[:, None] if part.ndim == 1 else part for part in _of_one_type(arrays)], 1)


@like_numpy()
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Parts along an axis: so many of equal length, or cut at the given places."""
    array = _array(x)
    place = axis_of(axis, array.ndim)
    size = array.shape[place]
    if isinstance(indices_or_sections, int):
        if not isinstance(size, int) or indices_or_sections < 1 or size % indices_or_sections:
            raise UserError(f"{size} rows cannot be split into {indices_or_sections} equal parts")
        cuts = list(range(0, size, size // indices_or_sections))[1:] if size else [0] * (indices_or_sections - 1)
    else:
        cuts = [int(cut) for cut in indices_or_sections]
    before = (slice(None),) * place
    return [array[(*before, slice(low, high))] for low, high in zip([0, *cuts], [*cuts, None], strict=True)]


@like_numpy()
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The arrays that make up an axis of known length."""
    return tuple(_array(x).moveaxis(axis, 0))


# -- places of axes ----------------------------------------------------------------------------------------------------


@like_numpy()
def reshape(x: Any, shape: Any, order: str = "C") -> Array:
    """See `SecretArray.reshape`."""
    if order != "C":
        raise UserError(f"order {order!r}: elements are counted with the last axis fastest; transpose first")
    return _array(x).reshape(shape if isinstance(shape, tuple | list) else (shape,))


@like_numpy()
def ravel(x: Any) -> Array:
    """All elements in one dimension."""
    return _array(x).ravel()


@like_numpy("transpose", "permute_dims")
def transpose(x: Any, axes: Any = None) -> Array:
    """Axes in another order; reversed by default."""
    return _array(x).transpose(axes)


permute_dims = transpose


@like_numpy()
def matrix_transpose(x: Any) -> Array:
    """The last two axes swapped."""
    return _array(x).mT


@like_numpy()
def moveaxis(x: Any, source: Any, destination: Any) -> Array:
    """See `SecretArray.moveaxis`."""
    return _array(x).moveaxis(source, destination)


@like_numpy()
def swapaxes(x: Any, axis1: int, axis2: int) -> Array:
    """Two axes swapped."""
    return _array(x).swapaxes(axis1, axis2)


@like_numpy()
def squeeze(x: Any, axis: Any = None) -> Array:
    """See `SecretArray.squeeze`."""
    return _array(x).squeeze(axis)


@like_numpy()
def expand_dims(x: Any, axis: Any) -> Array:
    """See `SecretArray.expand_dims`."""
    return _array(x).expand_dims(axis)


@like_numpy()
def atleast_1d(x: Any) -> Array:
    """With one dimension or more."""
    array = _array(x)
    return array if array.ndim else array.reshape(1)


@like_numpy()
def atleast_2d(x: Any) -> Array:
    """With two dimensions or more; a vector becomes one row."""
    array = atleast_1d(x)
    return array if array.ndim > 1 else array[None, :]


@like_numpy()
def broadcast_to(x: Any, shape: Any) -> Array:
    """See `SecretArray.broadcast_to`."""
    return _array(x).broadcast_to(shape)


@like_numpy()
def broadcast_arrays(*arrays: Any) -> tuple[Array, ...]:
    """All arrays in the shape to which they broadcast."""
    like = _array(list(arrays))
    parts = [like._other(array) for array in arrays]
    shape = broadcast_shapes(*(part.shape for part in parts))
    return tuple(part.broadcast_to(shape) for part in parts)


# -- places of elements ------------------------------------------------------------------------------------------------


@like_numpy()
def flip(x: Any, axis: Any = None) -> Array:
    """The order of elements reversed along all axes, or those named."""
    return _array(x).flip(axis)


@like_numpy()
def flipud(x: Any) -> Array:
    """Reversed along the first axis."""
    return _array(x).flip(0)


@like_numpy()
def fliplr(x: Any) -> Array:
    """Reversed along the second axis."""
    return _array(x).flip(1)


@like_numpy()
def roll(x: Any, shift: Any, axis: Any = None) -> Array:
    """Elements moved on by a public number of places along axes, or in the flattened array; what leaves comes back."""
    array = _array(x)
    if axis is None:
        return roll(array.reshape(-1), shift, 0).reshape(array.shape)
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    shifts = shift if isinstance(shift, tuple | list) else (shift,) * len(axes)
    for by, place in zip(shifts, axes, strict=True):
        array = _rolled(array, by, axis_of(place, array.ndim))
    return array


def _rolled(array: Array, by: Any, axis: int) -> Array:
    if isinstance(by, Recorded | Dim):
        raise UserError("roll by a number that is not known beforehand; read at secret places with x[index]")
    size = array.shape[axis]
    cut = -by % size if isinstance(size, int) and size else -by
    before = (slice(None),) * axis
    return _joined([array[(*before, slice(cut, None))], array[(*before, slice(None, cut))]], axis) if cut else array


@like_numpy()
def repeat(x: Any, repeats: int, axis: int | None = None) -> Array:
    """See `SecretArray.repeat`."""
    return _array(x).repeat(repeats, axis)


@like_numpy()
def tile(x: Any, reps: Any) -> Array:
    """The whole array repeated `reps` times along each axis."""
    array = _array(x)
    counts = [_count(size) for size in sizes_of(reps)]
    array = array.reshape(*[1] * (len(counts) - array.ndim), *array.shape)
    counts = [1] * (array.ndim - len(counts)) + counts
    for axis, count in enumerate(counts):
        array = _joined([array] * count, axis) if count else array[(slice(None),) * axis + (slice(0),)]
    return array


def _count(size: Size) -> int:
    if not isinstance(size, int):
        raise UserError(f"tile by {size}; repeat by a number that is known beforehand")
    return size


@like_numpy()
def take(x: Any, indices: Any, axis: int | None = None) -> Array:
    """Elements at public or secret indices; see `SecretArray.take`."""
    like = _array([x, indices])
    return like._other(x).take(indices, axis)


@like_numpy()
def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Array:
    """Elements at secret indices that belong to each lane, as argsort and argmax give them."""
    like = _array([x, indices])
    array, places = like._other(x), like._other(indices)
    place = axis_of(axis, array.ndim)
    if array.ndim != places.ndim:
        raise UserError(f"indices of {places.ndim} dimensions into an array of {array.ndim}; they take equally many")
    if array.ndim == 1:
        return array.take(places, 0)
    values, wanted = array.moveaxis(place, -1), places.moveaxis(place, -1)
    length = values.shape[-1]
    flat = values.reshape(-1, length)
    rows = flat.shape[0]
    if isinstance(rows, Dim) or isinstance(length, Dim) or wanted.shape[:-1] != values.shape[:-1]:
        raise UserError("take_along_axis needs known sizes and equal shapes beside the axis")
    chosen = [flat[k].take(wanted.reshape(rows, -1)[k], 0) for k in range(rows)]
    return stack(chosen).reshape(wanted.shape).moveaxis(-1, place)


@like_numpy()
def diagonal(x: Any, offset: int = 0) -> Array:
    """See `SecretArray.diagonal`."""
    return _array(x).diagonal(offset)


@like_numpy()
def diag(x: Any, k: int = 0) -> Array:
    """The diagonal of a matrix, or the matrix with this diagonal."""
    array = _array(x)
    if array.ndim != 1:
        return array.diagonal(k)
    wide = array[:, None] * np.eye(len(array), len(array) + abs(k), max(k, 0), dtype=np.int8)
    zeros = zeros_like(wide, shape=(abs(k), wide.shape[1]))
    return _joined([wide, zeros] if k >= 0 else [zeros, wide]) if k else wide


@like_numpy()
def tril(x: Any, k: int = 0) -> Array:
    """Zero above the k-th diagonal of the last two axes."""
    return _triangle(_array(x), k, lower=True)


@like_numpy()
def triu(x: Any, k: int = 0) -> Array:
    """Zero below the k-th diagonal of the last two axes."""
    return _triangle(_array(x), k, lower=False)


def _triangle(array: Array, k: int, lower: bool) -> Array:
    if array.ndim < 2 or not all(isinstance(size, int) for size in array.shape[-2:]):
        raise UserError("a triangle is that of a matrix of known size")
    ones: Any = np.ones(array.shape[-2:], np.bool_)
    kept = np.tril(ones, k) if lower else np.triu(ones, k)
    return array.__and__(kept) if array.dtype.kind == "bool" else array * kept.astype(np.int8)


@like_numpy()
def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    """Differences of neighbours along an axis, n times."""
    array = _array([x, prepend, append])._other(x)
    place = axis_of(axis, array.ndim)
    ends = [end for end in (prepend, array, append) if end is not None]
    if len(ends) > 1:
        one: Shape = (*array.shape[:place], 1, *array.shape[place + 1 :])
        parts = [array._other(end) for end in ends]
        array = _joined([part if part.ndim else part.broadcast_to(one) for part in parts], place)
    before = (slice(None),) * place
    for _ in range(n):
        later, earlier = array[(*before, slice(1, None))], array[(*before, slice(None, -1))]
        array = later ^ earlier if array.dtype.kind == "bool" else later - earlier
    return array


# -- public arrays of a shape that is not known yet --------------------------------------------------------------------


@like_numpy()
def full_like(x: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Array:
    """A public array of one value, of the shape (unless given) and type of another."""
    array = _array(x)
    filled = array.constant(
        fill_value, array.dtype if dtype is None else array.constant(0, array.dtype).astype(dtype).dtype
    )
    return filled.broadcast_to(array.shape if shape is None else shape)


@like_numpy()
def zeros_like(x: Any, dtype: Any = None, *, shape: Any = None) -> Array:
    """Public zeros of the shape and type of another array."""
    return full_like(x, 0, dtype, shape=shape)


@like_numpy()
def ones_like(x: Any, dtype: Any = None, *, shape: Any = None) -> Array:
    """Public ones of the shape and type of another array."""
    return full_like(x, 1, dtype, shape=shape)


@secrets_only
def row_numbers(x: Any) -> Array:
    """The public numbers 0 ... n-1 of the rows of an array, also where n is not known yet."""
    array = _array(x)
    if not array.ndim:
        raise UserError("a value without dimensions has no rows")
    return array.counted(array.shape[0])
