"""Arrays from public values, as the standard makes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.sharing.dtype import BOOL, DType, int64
from quorate.testing.array_api.arrays import Array, raw_array
from quorate.testing.array_api.types import float64

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "full", "full_like", "linspace", "meshgrid", "ones", "ones_like",
    "zeros", "zeros_like",
]  # fmt: skip


def _default(values: Any) -> DType:
    """The type of public values where none is asked for."""
    return {"b": BOOL, "i": int64, "u": int64}.get(np.asarray(values).dtype.kind, float64)


def _checked(device: Any) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f"there is no device {device!r}, only 'cpu'")


def _made(values: Any, dtype: DType | None, device: Any = None) -> Array:
    _checked(device)
    kind = _default(values) if dtype is None else dtype
    return raw_array(kind.encode(np.asarray(values).astype(bool) if kind == BOOL else values), kind)


def asarray(obj: Any, /, *, dtype: DType | None = None, device: Any = None, copy: bool | None = None) -> Array:
    """An array of these values, which may be arrays without dimensions in nested lists."""
    if isinstance(obj, Array):
        if dtype is None or dtype == obj.dtype:
            _checked(device)
            return raw_array(obj._raw.copy() if copy else obj._raw, obj.dtype)
        from quorate.testing.array_api.functions import astype

        return astype(obj, dtype, device=device)
    if copy is False:
        raise ValueError("values have to be copied to become an array")
    return _made(_plain(obj), dtype, device)


def _plain(obj: Any) -> Any:
    """Nested lists with arrays without dimensions as numbers."""
    if isinstance(obj, list | tuple):
        return [_plain(one) for one in obj]
    return np.asarray(obj).tolist() if isinstance(obj, Array) else obj


def full(shape: Any, fill_value: Any, *, dtype: DType | None = None, device: Any = None) -> Array:
    """One value everywhere."""
    sizes = shape if isinstance(shape, tuple) else (shape,)
    return _made(np.full(sizes, fill_value), _default(fill_value) if dtype is None else dtype, device)


def zeros(shape: Any, *, dtype: DType | None = None, device: Any = None) -> Array:
    """Zeros."""
    return full(shape, 0, dtype=float64 if dtype is None else dtype, device=device)


def ones(shape: Any, *, dtype: DType | None = None, device: Any = None) -> Array:
    """Ones."""
    return full(shape, 1, dtype=float64 if dtype is None else dtype, device=device)


def empty(shape: Any, *, dtype: DType | None = None, device: Any = None) -> Array:
    """Zeros: nothing is left to chance."""
    return zeros(shape, dtype=dtype, device=device)


def full_like(x: Array, /, fill_value: Any, *, dtype: DType | None = None, device: Any = None) -> Array:
    """One value everywhere, of the shape and type of another array."""
    return full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype, device=device)


def zeros_like(x: Array, /, *, dtype: DType | None = None, device: Any = None) -> Array:
    """Zeros of the shape and type of another array."""
    return full_like(x, 0, dtype=dtype, device=device)


def ones_like(x: Array, /, *, dtype: DType | None = None, device: Any = None) -> Array:
    """Ones of the shape and type of another array."""
    return full_like(x, 1, dtype=dtype, device=device)


def empty_like(x: Array, /, *, dtype: DType | None = None, device: Any = None) -> Array:
    """Zeros of the shape and type of another array."""
    return zeros_like(x, dtype=dtype, device=device)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: DType | None = None, device: Any = None) -> Array:
    """Numbers from `start` up to `stop`, `step` apart; or from 0 up to `start`."""
    values = np.arange(start, step=step) if stop is None else np.arange(start, stop, step)
    return _made(values, dtype, device)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: DType | None = None, device: Any = None, endpoint: bool = True
) -> Array:
    """Equally many steps between two numbers."""
    return _made(np.linspace(start, stop, num, endpoint=endpoint), float64 if dtype is None else dtype, device)


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DType | None = None, device: Any = None
) -> Array:
    """Ones on a diagonal, zeros elsewhere."""
    return _made(np.eye(n_rows, n_cols, k=k), float64 if dtype is None else dtype, device)


def meshgrid(*arrays: Array, indexing: str = "xy") -> list[Array]:
    """Coordinates of a grid from those of its axes."""
    grids = np.meshgrid(*[array._raw for array in arrays], indexing=indexing)  # type: ignore[call-overload]
    return [raw_array(grid, array.dtype) for grid, array in zip(grids, arrays, strict=True)]
