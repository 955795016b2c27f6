"""Public arrays: NumPy's own, since they mix with secret ones freely. Those `_like` a secret array are in `shaping`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import UserError
from quorate.lang.dims import Dim
from quorate.lang.recorded import Recorded

__all__ = ["arange", "eye", "full", "linspace", "ones", "zeros"]


def _public(function: Callable[..., Any]) -> Callable[..., npt.NDArray[Any]]:
    """NumPy's function, for sizes and limits that are known."""

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> npt.NDArray[Any]:
        parts = [part for arg in args for part in (arg if isinstance(arg, tuple | list) else [arg])]
        if any(isinstance(part, Recorded) for part in parts):
            raise UserError(
                f"{function.__name__} of a secret: the shape or the steps would show it; use public numbers"
            )
        if any(isinstance(part, Dim) for part in parts):
            raise UserError(
                f"{function.__name__} of a row count, which is not known yet; use quorate.row_numbers(x), "
                "quorate.zeros_like(x) or quorate.full_like(x, value)"
            )
        result: npt.NDArray[Any] = function(*args, **kwargs)
        return result

    return called


arange = _public(np.arange)
linspace = _public(np.linspace)
zeros = _public(np.zeros)
ones = _public(np.ones)
full = _public(np.full)
eye = _public(np.eye)
