"""The one way to compile a loop: ``@kernel`` for a function that Python calls, ``@device`` for one that kernels call.

Kernels release the GIL, divide as C does and check no bounds: the wrapper around a kernel checks shapes first. They are
compiled at their first call and kept in Numba's cache, next to the source or, where that cannot be written, in a cache
of the user; with neither they are compiled in every process. The cache notices a change of the file that holds the
kernel, not of other files it takes ``@device`` functions from: after such an edit remove ``__pycache__``.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.core.errors import NumbaError

from quorate.errors import InternalError
from quorate.kernels.ghost import Ghost, ghost

__all__ = ["Array", "Kernel", "Words", "device", "elementwise", "flat_result", "kernel", "result"]

P = ParamSpec("P")
R = TypeVar("R")
Array = npt.NDArray[Any]
Words = npt.NDArray[np.uint64]

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}


class Kernel(Generic[P, R]):
    """A lazily compiled loop over arrays and numbers.

    Parameters named ``out...`` are results: contiguous, writable arrays. All other array parameters are only read; one
    that is not contiguous or not aligned is copied first. There is one compiled form per combination of dtypes and
    numbers of dimensions, whether or not inputs are writable.
    """

    def __init__(self, function: Callable[P, R], dtype: npt.DTypeLike | None = None) -> None:
        self._function = function
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._signature = inspect.signature(function)
        self._lock = threading.Lock()
        self._compiled: Callable[..., R] = self._first_call
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return self._compiled(*args, **kwargs)
        except (TypeError, NumbaError):  # no compiled form fits these arguments as they are
            pass
        return self._first_call(*args, **kwargs)

    @property
    def stats(self) -> tuple[int, int]:
        """How many compiled forms came from the cache, and how many had to be compiled, in this process."""
        if self._compiled == self._first_call:
            return 0, 0
        stats = cast(Any, self._compiled).stats
        return sum(stats.cache_hits.values()), sum(stats.cache_misses.values())

    def _first_call(self, *args: Any, **kwargs: Any) -> R:
        given = self._signature.bind(*args, **kwargs).arguments
        ready = {name: self._conform(name, x) for name, x in given.items()}
        kinds = tuple(_type_of(name, x) for name, x in ready.items())
        with self._lock:
            dispatcher = _dispatcher(self._function) if self._compiled == self._first_call else self._compiled
            self._compile(dispatcher, kinds)
        return self._compiled(*ready.values())

    def _conform(self, name: str, x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        if (self._dtype is not None and x.dtype != self._dtype) or not x.dtype.isnative or type(x) is Ghost:
            raise InternalError(f"{self.__name__}: array {name} is a {type(x).__name__} of dtype {x.dtype}")
        if name.startswith("out"):
            if not (x.flags.c_contiguous and x.flags.writeable and x.flags.aligned):
                raise InternalError(f"{self.__name__}: result array {name} must be contiguous, aligned and writable")
            return x
        return np.require(x, requirements=["C", "A"])

    def _compile(self, dispatcher: Any, kinds: tuple[Any, ...]) -> None:
        if kinds not in dispatcher.overloads:
            dispatcher.disable_compile(False)
            try:
                dispatcher.compile(kinds)
            except Exception:  # a full disk or a damaged cache must not stop the computation
                dispatcher = numba.njit(**_OPTIONS)(self._function)
                dispatcher.compile(kinds)
            dispatcher.disable_compile(True)
        self._compiled = dispatcher


@overload
def kernel(function: Callable[P, R], /) -> Kernel[P, R]: ...
@overload
def kernel(*, dtype: npt.DTypeLike) -> Callable[[Callable[P, R]], Kernel[P, R]]: ...
def kernel(function: Any = None, /, *, dtype: npt.DTypeLike | None = None) -> Any:
    """Make a function a :class:`Kernel`; with ``dtype`` an array of another dtype raises InternalError."""
    return Kernel(function, dtype) if function is not None else lambda f: Kernel(f, dtype)


def device(function: Callable[P, R]) -> Callable[P, R]:
    """A function that only kernels call; it is compiled into each of them."""
    return cast(Callable[P, R], numba.njit(**_OPTIONS)(function))


def elementwise(loop: Kernel[..., Any], out: Array | None, *arrays: Array, constants: tuple[Any, ...] = ()) -> Array:
    """Run ``loop(out, *arrays, *constants)`` over flat views of arrays of one shape and dtype and return ``out``.

    ``out`` is new, or a contiguous array of that shape, which may be one of ``arrays``. If any is a ghost nothing runs.
    Raises InternalError if shapes differ: nothing is broadcast, so that no mask is ever used for two elements.
    """
    first = arrays[0]
    shape = first.shape
    for x in arrays:
        if x.shape != shape:
            raise InternalError(f"{loop.__name__}: shapes {[x.shape for x in arrays]} differ")
    if Ghost in map(type, arrays) or type(out) is Ghost:
        return result(out, shape, first.dtype)
    if out is None:
        out = np.empty(shape, first.dtype)
        loop(out if out.ndim == 1 else out.reshape(-1), *[x.ravel() for x in arrays], *constants)
        return out
    if out.dtype != first.dtype:
        raise InternalError(f"{loop.__name__}: out has dtype {out.dtype}, the operands {first.dtype}")
    loop(flat_result(loop, out, shape), *[x.ravel() for x in arrays], *constants)
    return out


def flat_result(loop: Kernel[..., Any], out: Array, shape: tuple[int, ...]) -> Array:
    """A flat view of ``out``; InternalError unless it has this shape and is contiguous."""
    if out.shape != shape or not out.flags.c_contiguous:
        raise InternalError(f"{loop.__name__}: out has shape {out.shape}; it must be contiguous and of shape {shape}")
    return out.reshape(-1)


def result(out: Array | None, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """What a kernel returns without work when an argument is a ghost: ``out``, or a ghost of this shape and dtype."""
    if out is None:
        return ghost(shape, dtype)
    if out.shape != shape:
        raise InternalError(f"out has shape {out.shape}, the result has shape {shape}")
    return out


def _type_of(name: str, x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        return cast(Any, numba).typeof(x)
    return types.Array(numba.from_dtype(x.dtype), x.ndim, "C", readonly=not name.startswith("out"))


def _dispatcher(function: Callable[..., Any]) -> Any:
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no directory can be written, not even the user's cache
        return numba.njit(**_OPTIONS)(function)
