"""Data types of the namespace and what the standard asks about them. float32 and float64 are fixed-point types."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

from quorate.sharing.dtype import BOOL, DType, fixed, int8, int16, int32, int64, promote
from quorate.testing.array_api.arrays import Array

__all__ = [
    "__array_namespace_info__",
    "bool",
    "can_cast",
    "finfo",
    "float32",
    "float64",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "isdtype",
    "result_type",
]

bool = BOOL
float32 = fixed(12)
float64 = fixed(16)

_NAMES = {
    "bool": BOOL,
    "int8": int8,
    "int16": int16,
    "int32": int32,
    "int64": int64,
    "float32": float32,
    "float64": float64,
}
_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": (),
    "integral": ("int8", "int16", "int32", "int64"),
    "real floating": ("float32", "float64"),
    "complex floating": (),
    "numeric": ("int8", "int16", "int32", "int64", "float32", "float64"),
}


@dataclass(frozen=True)
class finfo_object:
    """What holds of float32 and float64 as fixed-point numbers: `eps` is the unit everywhere."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True)
class iinfo_object:
    """Limits of an integer type; those of int64 are +-(2**62 - 1)."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype(type_: Any) -> DType:
    found = type_.dtype if isinstance(type_, Array) else type_
    if not isinstance(found, DType):
        raise TypeError(f"{type_!r} is no data type of this namespace")
    return found


def finfo(type: Any, /) -> finfo_object:
    """Facts about a type of numbers with fractions."""
    dtype = _dtype(type)
    if dtype.kind != "fixed":
        raise TypeError(f"{dtype} has no fractions; use iinfo")
    unit, most = 2.0**-dtype.scale, dtype.limits[1] * 2.0**-dtype.scale
    return finfo_object(32 if dtype == float32 else 64, unit, most, -most, unit, dtype)


def iinfo(type: Any, /) -> iinfo_object:
    """Facts about a type of integers."""
    dtype = _dtype(type)
    if dtype.kind != "int":
        raise TypeError(f"{dtype} is no type of integers; use finfo")
    return iinfo_object(dtype.width, dtype.limits[1], dtype.limits[0], dtype)


def isdtype(dtype: DType, kind: Any) -> builtins.bool:
    """Whether a type is of a kind, is another type, or one of several of them."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"unknown kind of data types: {kind!r}")
        return dtype in [_NAMES[name] for name in _KINDS[kind]]
    return dtype == _dtype(kind)


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The type in which values of these types meet. Raises `TypeError` where the standard leaves it open."""
    dtypes = [_dtype(one) for one in arrays_and_dtypes]
    if not dtypes:
        raise ValueError("result_type of nothing")
    if len({dtype.kind for dtype in dtypes}) > 1:
        raise TypeError("the standard does not mix bools, integers and numbers with fractions")
    return promote(*dtypes)


def can_cast(from_: Any, to: DType, /) -> builtins.bool:
    """Whether every value of one type is a value of the other."""
    try:
        return result_type(from_, to) == to
    except TypeError:
        return False


class __array_namespace_info__:
    """What this namespace can do."""

    def capabilities(self) -> dict[str, Any]:
        """No boolean masks as indices, no shapes that depend on data."""
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": None}

    def default_device(self) -> str:
        """The only device."""
        return "cpu"

    def devices(self) -> list[str]:
        """The only device."""
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """Types of results where nothing says which; there are no complex numbers."""
        return {"real floating": float64, "integral": int64, "indexing": int64}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """All data types, or those of a kind."""
        return {name: dtype for name, dtype in _NAMES.items() if kind is None or isdtype(dtype, kind)}
