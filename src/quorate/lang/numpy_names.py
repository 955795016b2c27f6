"""NumPy's names: which function stands for which of NumPy's, so that np.sum(secret) is quorate.sum(secret)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

import numpy as np

from quorate.errors import UserError
from quorate.lang.array import SecretArray

__all__ = ["call_function", "call_ufunc", "first", "like_numpy", "names", "secrets_only"]

P = ParamSpec("P")
R = TypeVar("R")

_STANDS_FOR: dict[str, Callable[..., Any]] = {}

_REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "minimum": "min",
    "maximum": "max",
    "logical_and": "all",
    "logical_or": "any",
}
"""What ufunc.reduce of a ufunc is; its default axis is 0."""

_SHOWS = "would show a secret: the length of its result depends on the values; "

_INSTEAD = {
    "nonzero": _SHOWS + "use a mask with quorate.where, sum(where=) or quorate.compact",
    "flatnonzero": _SHOWS + "use a mask with quorate.where, sum(where=) or quorate.compact",
    "argwhere": _SHOWS + "use a mask with quorate.where, sum(where=) or quorate.compact",
    "extract": _SHOWS + "use quorate.compact(mask, x), which keeps the length",
    "compress": _SHOWS + "use quorate.compact(mask, x), which keeps the length",
    "unique": _SHOWS + "use quorate.unique(x), which keeps the length and says which rows count",
    "unique_values": _SHOWS + "use quorate.unique(x), which keeps the length and says which rows count",
    "put": "changes its argument; use quorate.put(x, index, values), which gives a new array",
    "copyto": "changes its argument; use quorate.where, which gives a new array",
    "putmask": "changes its argument; use quorate.where, which gives a new array",
    "place": "changes its argument; use quorate.where, which gives a new array",
    "array_equal": "opens a comparison; use (x == y).all(), which stays secret",
    "allclose": "opens a comparison; use (abs(x - y) <= tolerance).all(), which stays secret",
    "isclose": "is not there; use abs(x - y) <= tolerance",
    "save": "would write a secret; return it from the computation",
}


def like_numpy(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The decorated function is NumPy's of these names, by default of its own; public values alone go to NumPy."""

    def made(function: Callable[P, R]) -> Callable[P, R]:
        known = names or (function.__name__,)
        public = getattr(np, known[0])

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            if _secret_in([*args, *kwargs.values()]):
                return function(*args, **kwargs)
            try:
                result: R = public(*args, **kwargs)
            except (TypeError, ValueError) as problem:
                raise UserError(f"quorate.{function.__name__} of public values: {problem}") from problem
            return result

        _STANDS_FOR.update(dict.fromkeys(known, called))
        return called

    return made


def secrets_only(function: Callable[P, R]) -> Callable[P, R]:
    """The decorated function has no counterpart in NumPy. It raises `UserError` if none of its arguments is secret."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        if not _secret_in([*args, *kwargs.values()]):
            raise UserError(f"quorate.{function.__name__} of public values only; it takes a secret array")
        return function(*args, **kwargs)

    return called


def first(*values: Any) -> Any:
    """The first secret array among the values, looking into lists. Raises `UserError` if there is none."""
    for value in values:
        if isinstance(value, SecretArray):
            return value
        if isinstance(value, list | tuple) and _secret_in(value):
            return first(*value)
    raise UserError("none of the operands is a secret array")


def _secret_in(values: Sequence[Any]) -> bool:
    return any(
        isinstance(value, SecretArray)
        or getattr(value, "_columns", None) is not None
        or (isinstance(value, list | tuple) and _secret_in(value))
        or (isinstance(value, Mapping) and _secret_in(list(value.values())))
        for value in values
    )


def names() -> list[str]:
    """The NumPy functions that work on secret arrays."""
    _load()
    return sorted(_STANDS_FOR)


def _load() -> None:
    import_module("quorate.lang.functions")


def call_function(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What NumPy's function of this name gives on secret arrays. Raises `UserError` for what is not possible."""
    _load()
    if name in _INSTEAD:
        raise UserError(f"numpy.{name} {_INSTEAD[name]}")
    if name not in _STANDS_FOR:
        raise UserError(
            f"numpy.{name} is not possible on secrets; the functions and operators that are, are those of quorate"
        )
    try:
        return _STANDS_FOR[name](*args, **_without_defaults(kwargs))
    except TypeError as problem:
        raise UserError(f"numpy.{name} on secrets: {problem}; see quorate.{name} for what it takes") from problem


def call_ufunc(name: str, method: str, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """What a ufunc gives on secret arrays; of its methods reduce and outer, and accumulate of add."""
    if method == "reduce" and name in _REDUCTIONS:
        return call_function(_REDUCTIONS[name], inputs, {"axis": 0, **options})
    if method == "accumulate" and name == "add":
        return call_function("cumsum", inputs, {"axis": 0, **options})
    if method == "outer" and len(inputs) == 2:
        left, right = (x if isinstance(x, SecretArray) else np.asarray(x) for x in inputs)
        return call_ufunc(name, "__call__", (left.reshape(*left.shape, *[1] * right.ndim), right), options)
    if method != "__call__":
        raise UserError(f"numpy.{name}.{method} is not possible on secrets; use operators or quorate's functions")
    if options.get("out") is not None:
        raise UserError("secret arrays cannot be written into an array; use operators without = in them, such as a + b")
    return call_function(name, inputs, options)


def _without_defaults(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments that say nothing are left out."""
    novalue = getattr(np, "_NoValue", None)
    return {key: value for key, value in kwargs.items() if value is not None and value is not novalue}
