"""The array API standard (2023.12) on secret arrays: FOR CONFORMANCE TESTS ONLY, since one process holds all values.

    import quorate.testing.array_api as xp
    xp.use_protocol("rep3")
    x = xp.asarray([3, 1, 2])
    print(xp.sort(x))  # three parties were simulated

Every operation is traced, planned and run among simulated parties on its own; values show only on request (`float`,
`int`, `bool`, `numpy.asarray`). float32 and float64 are fixed-point numbers with 12 and 16 binary places. The
documentation lists what is supported, what differs and why (reference, Array API).
"""

from __future__ import annotations

import math

from quorate.testing.array_api import creation, functions, types
from quorate.testing.array_api.arrays import Array, protocol, use_protocol
from quorate.testing.array_api.creation import *  # noqa: F403
from quorate.testing.array_api.functions import *  # noqa: F403
from quorate.testing.array_api.types import *  # noqa: F403

__array_api_version__ = "2023.12"

e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None

__all__ = [
    "Array",
    "__array_api_version__",
    "e",
    "inf",
    "nan",
    "newaxis",
    "pi",
    "protocol",
    "use_protocol",
    *creation.__all__,
    *functions.__all__,
    *types.__all__,
]
