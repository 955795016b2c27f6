"""The kinds of operations that plans consist of, by module; importing this package registers them."""

from quorate.lang.operations import arithmetic, bundle, division, io, logic, structure
from quorate.lang.operations.base import Accuracy, Call, Error, Kind, kind_of, register

__all__ = [
    "Accuracy",
    "Call",
    "Error",
    "Kind",
    "arithmetic",
    "bundle",
    "division",
    "io",
    "kind_of",
    "logic",
    "register",
    "structure",
]
