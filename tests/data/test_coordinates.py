"""Coordinates as whole numbers, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.data.coordinates import TOLERANCE, from_e7, to_e7
from quorate.errors import DataError


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=20))
def test_there_and_back(positions):
    latitude, longitude = np.array(positions).T
    back = from_e7(to_e7(latitude, longitude))
    assert np.abs(back[0] - latitude).max() <= TOLERANCE
    assert np.abs(back[1] - longitude).max() <= TOLERANCE


def test_known_values():
    np.testing.assert_array_equal(to_e7([48.1371540], [-11.5761240]), [[481371540, -115761240]])
    np.testing.assert_array_equal(to_e7([90, -90], [180, -180]), [[900000000, 1800000000], [-900000000, -1800000000]])


@pytest.mark.parametrize(
    ("latitude", "longitude", "message"),
    [
        ([1.0, 90.1], [0.0, 0.0], "row 1: the latitude"),
        ([1.0], [float("nan")], "row 0: the longitude"),
        ([1.0], [-181], "row 0: the longitude"),
        ([1.0, 2.0], [1.0], "one of each"),
        ([[1.0]], [[1.0]], "one of each"),
    ],
)
def test_what_is_no_position(latitude, longitude, message):
    with pytest.raises(DataError, match=message):
        to_e7(latitude, longitude)
