"""Arrays of the array API standard whose every operation runs among simulated parties, one operation at a time.

FOR CONFORMANCE TESTS ONLY: one process holds all values. An array keeps its values as raw integers; an operation traces
a computation of its own, plans it, runs all parties of a protocol on fresh shares and takes what they open.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.computation import Computation
from quorate.lang.simulation import Simulation
from quorate.sharing.dtype import BOOL, DType

__all__ = ["Array", "apply", "protocol", "raw_array", "use_protocol"]

Raw = npt.NDArray[np.int64]

_CHOSEN = {"protocol": os.environ.get("QUORATE_ARRAY_API_PROTOCOL", "clear")}
SEED = 1


def use_protocol(name: str) -> None:
    """Which protocol runs every operation from now on: "clear" (the default), "rep3", "shamir" or "semi2k"."""
    _CHOSEN["protocol"] = name


def protocol() -> str:
    """The protocol that runs operations."""
    return _CHOSEN["protocol"]


def raw_array(raw: Any, dtype: DType) -> Array:
    """An array of these raw integers."""
    made = object.__new__(Array)
    made._raw = np.asarray(raw, np.int64)
    made._dtype = dtype
    return made


def apply(function: Callable[..., Any], *operands: Any) -> Any:
    """What a function of secret arrays gives on these operands, computed by the parties; scalars stay public.

    Returns:
        an array, or a list of them if the function gives several.
    """
    arrays = {f"x{index}": operand for index, operand in enumerate(operands) if isinstance(operand, Array)}
    several: list[bool] = []

    def traced(**inputs: SecretArray) -> dict[str, SecretArray]:
        secrets = [
            inputs[f"x{index}"].reshape(operand.shape) if isinstance(operand, Array) else operand
            for index, operand in enumerate(operands)
        ]
        results = function(*secrets)
        several.append(isinstance(results, list | tuple))
        given = list(results) if several[-1] else [results]
        return {f"z{index}": result for index, result in enumerate(given)}

    opened = _opened(traced, arrays)
    return opened if several[-1] else opened[0]


def _opened(function: Callable[..., Any], arrays: dict[str, Array]) -> list[Array]:
    computation = Computation(function, list(arrays))
    rows = {name: array.size for name, array in arrays.items()}
    plan = computation.trace({name: array.dtype for name, array in arrays.items()}, rows)
    raw = {(name, "value"): array._raw.reshape(-1) for name, array in arrays.items()}
    bounds = {(name, "value"): _bounds(array) for name, array in arrays.items()}
    values = Simulation(_CHOSEN["protocol"], seed=SEED).run(plan.bind(rows), raw, bounds).values
    types = {name: plan.operations[target].type.dtype for name, target in plan.outputs.items()}
    return [raw_array(types[f"z{k}"].encode(values[f"z{k}"]), types[f"z{k}"]) for k in range(len(values))]


def _bounds(array: Array) -> tuple[int, int]:
    """The range of the values; of none that of one value which every function takes."""
    if array.size:
        return int(array._raw.min()), int(array._raw.max())
    one = 1 << array.dtype.scale if array.dtype.kind == "fixed" else 0
    return one, one


def _unary(name: str) -> Callable[[Array], Array]:
    def method(self: Array) -> Array:
        return cast(Array, apply(lambda x: getattr(x, name)(), self))

    return method


def _binary(name: str) -> Callable[[Array, Any], Array]:
    def method(self: Array, other: Any) -> Array:
        if not isinstance(other, Array | bool | int | float):
            return cast(Array, NotImplemented)
        if isinstance(other, float) and self.dtype.kind != "fixed":
            raise TypeError("a number with a fraction and an array without; the standard does not mix them")
        return cast(Array, apply(lambda x, y: getattr(x, name)(y), self, other))

    return method


class Array:
    """An array of the standard. Values show only on request: float(), int(), bool(), numpy.asarray."""

    _raw: Raw
    _dtype: DType
    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        raise TypeError("arrays are made by asarray and the other creation functions")

    # -- facts --------------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> DType:
        """One of int8 to int64, bool, float32 and float64; the last two are fixed-point numbers."""
        return self._dtype

    @property
    def device(self) -> str:
        """The only device."""
        return "cpu"

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""
        return self._raw.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._raw.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._raw.size

    @property
    def T(self) -> Array:
        """The transpose of a matrix."""
        if self.ndim != 2:
            raise ValueError("T is for matrices; use permute_dims or mT")
        return cast(Array, apply(lambda x: x.T, self))

    @property
    def mT(self) -> Array:
        """The last two axes swapped."""
        return cast(Array, apply(lambda x: x.mT, self))

    def __len__(self) -> int:
        return len(self._raw)

    def __iter__(self) -> Iterator[Array]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"Array({self._dtype.decode(self._raw)!r}, dtype={self._dtype})"

    # -- values -------------------------------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._dtype.decode(self._raw), dtype)

    def _scalar(self) -> Any:
        if self.ndim:
            raise TypeError("only arrays without dimensions are numbers")
        return self._dtype.decode(self._raw).item()

    def __bool__(self) -> bool:
        return bool(self._scalar())

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        if self._dtype.kind != "int":
            raise TypeError("only integers are indices")
        return int(self._scalar())

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The module `quorate.testing.array_api`."""
        if api_version not in (None, "2021.12", "2022.12", "2023.12"):
            raise ValueError(f"version {api_version} of the standard; this is 2023.12")
        import quorate.testing.array_api as namespace

        return namespace

    def to_device(self, device: Any, /, *, stream: Any = None) -> Array:
        """The array itself: there is one device."""
        if device != "cpu" or stream is not None:
            raise ValueError("the only device is 'cpu', without streams")
        return self

    # -- places -------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Array:
        items = key if isinstance(key, tuple) else (key,)
        if any(isinstance(item, Array) and item.dtype == BOOL for item in items):
            raise UserError("x[mask] would show how many elements a secret mask chooses; use where")
        plain = tuple(int(item) if isinstance(item, Array) and not item.ndim else item for item in items)
        used = sum(item is not None and item is not Ellipsis for item in plain)
        if Ellipsis not in [item if item is Ellipsis else None for item in plain] and used < self.ndim:
            raise IndexError(f"{used} indices for {self.ndim} dimensions; write ... for the others")
        return cast(Array, apply(lambda x: x[plain], self))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise UserError("secret arrays cannot be changed; make a new one with where or concat")

    # -- operators ----------------------------------------------------------------------------------------------------

    __abs__, __neg__, __pos__, __invert__ = (_unary(f"__{name}__") for name in ("abs", "neg", "pos", "invert"))
    __add__, __radd__ = _binary("__add__"), _binary("__radd__")
    __sub__, __rsub__ = _binary("__sub__"), _binary("__rsub__")
    __mul__, __rmul__ = _binary("__mul__"), _binary("__rmul__")
    __truediv__, __rtruediv__ = _binary("__truediv__"), _binary("__rtruediv__")
    __floordiv__, __rfloordiv__ = _binary("__floordiv__"), _binary("__rfloordiv__")
    __mod__, __rmod__ = _binary("__mod__"), _binary("__rmod__")
    __pow__, __rpow__ = _binary("__pow__"), _binary("__rpow__")
    __matmul__, __rmatmul__ = _binary("__matmul__"), _binary("__rmatmul__")
    __and__, __rand__ = _binary("__and__"), _binary("__rand__")
    __or__, __ror__ = _binary("__or__"), _binary("__ror__")
    __xor__, __rxor__ = _binary("__xor__"), _binary("__rxor__")
    __lshift__, __rlshift__ = _binary("__lshift__"), _binary("__rlshift__")
    __rshift__, __rrshift__ = _binary("__rshift__"), _binary("__rrshift__")
    __lt__, __le__, __gt__, __ge__ = (_binary(f"__{name}__") for name in ("lt", "le", "gt", "ge"))
    __eq__, __ne__ = _binary("__eq__"), _binary("__ne__")  # type: ignore[assignment]
