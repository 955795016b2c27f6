"""All functions on secret arrays, gathered; users write `quorate.NAME`."""

from __future__ import annotations

from quorate.lang import creation, elementwise, grouping, linear, searching, shaping, statistics, tables
from quorate.lang.creation import *  # noqa: F403
from quorate.lang.elementwise import *  # noqa: F403
from quorate.lang.grouping import *  # noqa: F403
from quorate.lang.linear import *  # noqa: F403
from quorate.lang.searching import *  # noqa: F403
from quorate.lang.shaping import *  # noqa: F403
from quorate.lang.statistics import *  # noqa: F403
from quorate.lang.tables import *  # noqa: F403

_MODULES = (creation, elementwise, grouping, linear, searching, shaping, statistics, tables)

__all__ = sorted(name for module in _MODULES for name in module.__all__)
