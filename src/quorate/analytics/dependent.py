"""Columns with too little of their own, or too little for their declared range: told when a model is opened."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["DependentColumnsWarning", "NarrowColumnsWarning", "warn_of_dependent"]


class DependentColumnsWarning(UserWarning):
    """A column has the coefficient 0 since it is constant or explained by others; the model is that without it."""


class NarrowColumnsWarning(UserWarning):
    """Values that are too close together for the declared range: what is computed of them is not precise."""


def warn_of_dependent(values: Mapping[str, Any], names: Sequence[str] | None, stacklevel: int = 4) -> None:
    """Warn of columns that `independent_` says do not count, in any of several classes."""
    if "independent_" not in values:
        return
    counted = np.asarray(values["independent_"], bool)
    places = np.flatnonzero(~counted.reshape(-1, counted.shape[-1]).all(0)).tolist()
    if places:
        told = ", ".join(str(names[k]) if names is not None else f"x{k}" for k in places)
        warnings.warn(
            f"column{'s' * (len(places) > 1)} {told}: constant, explained by earlier columns, or without rows, "
            "at the accuracy that the declared ranges allow; the coefficient is 0, all others are those of the model "
            "without (narrower declared ranges, or leaving such columns out, make it clear)",
            DependentColumnsWarning,
            stacklevel=stacklevel,
        )
