"""quorate: organisations compute together on data that none of them shows."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from quorate._version import __version__

if TYPE_CHECKING:
    from quorate.lang.array import SecretArray, Table
    from quorate.lang.computation import Computation, computation
    from quorate.lang.functions import (
        concatenate,
        dot,
        matmul,
        maximum,
        mean,
        minimum,
        sqrt,
        stack,
        std,
        sum,
        var,
        where,
    )
    from quorate.lang.plan import Plan
    from quorate.sharing.dtype import BOOL, INT, DType, fixed

__all__ = [
    "BOOL",
    "INT",
    "Computation",
    "DType",
    "Plan",
    "SecretArray",
    "Table",
    "__version__",
    "computation",
    "concatenate",
    "dot",
    "fixed",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "sqrt",
    "stack",
    "std",
    "sum",
    "var",
    "where",
]

_HOMES = {
    "quorate.lang.array": ("SecretArray", "Table"),
    "quorate.lang.computation": ("Computation", "computation"),
    "quorate.lang.plan": ("Plan",),
    "quorate.sharing.dtype": ("BOOL", "INT", "DType", "fixed"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load what is asked for, when it is asked for: importing quorate stays fast."""
    if name not in __all__:
        raise AttributeError(f"module 'quorate' has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "quorate.lang.functions")), name)
