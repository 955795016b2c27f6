"""The kinds of operations that plans consist of, by module; importing this package registers them."""

from quorate.lang.operations import arithmetic, division, io, logic, structure
from quorate.lang.operations.base import Call, Kind, kind_of, register

__all__ = ["Call", "Kind", "arithmetic", "division", "io", "kind_of", "logic", "register", "structure"]
