"""The kinds of operations that plans consist of, by module; importing this package registers them.

Kinds of other packages are found by their entry points in the group `quorate.operations`, when a plan names one.
"""

from quorate.lang.operations import (
    arithmetic,
    bitwise,
    bundle,
    division,
    elementary,
    extremes,
    fused,
    io,
    logic,
    lookup,
    numeric,
    order,
    quotient,
    rows,
    structure,
    whole,
)
from quorate.lang.operations.base import Accuracy, Call, Error, Kind, kind_of, register

__all__ = [
    "Accuracy",
    "Call",
    "Error",
    "Kind",
    "arithmetic",
    "bitwise",
    "bundle",
    "division",
    "elementary",
    "extremes",
    "fused",
    "io",
    "kind_of",
    "logic",
    "lookup",
    "numeric",
    "order",
    "quotient",
    "register",
    "rows",
    "structure",
    "whole",
]
