"""Positions as whole numbers: degrees times 10**7, the form in which receivers and maps exchange them.

One unit is 1.1 cm at the equator; encoding and decoding again changes a coordinate by at most half a unit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quorate.errors import DataError

__all__ = ["TOLERANCE", "UNITS", "from_e7", "to_e7"]

UNITS = 10_000_000
"""Per degree."""

TOLERANCE = 0.5 / UNITS + 1e-13
"""Degrees that a coordinate may change: half a unit, and rounding of float64."""


def to_e7(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Positions in degrees (WGS 84), shape (rows,) each, as int64 of shape (rows, 2): latitude, longitude.

    Raises:
        DataError: different shapes, or a coordinate is not finite or out of range; the message names the row.
    """
    degrees = [np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)]
    if degrees[0].ndim != 1 or degrees[0].shape != degrees[1].shape:
        raise DataError(f"{degrees[0].shape} latitudes and {degrees[1].shape} longitudes; give one of each per row")
    for name, values, limit in zip(("latitude", "longitude"), degrees, (90.0, 180.0), strict=True):
        good = np.abs(values) <= limit  # false for NaN
        if not good.all():
            row = int(np.argmin(good))
            raise DataError(f"row {row}: the {name} is not a number from {-limit:g} to {limit:g}; are the two swapped?")
    return np.stack([np.rint(values * UNITS).astype(np.int64) for values in degrees], axis=1)


def from_e7(raw: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The inverse of `to_e7`: latitudes and longitudes in degrees."""
    return raw[:, 0] / UNITS, raw[:, 1] / UNITS
