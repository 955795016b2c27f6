"""Commitments: binding, independent of the order of the mapping, useless without the salt."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.data.commitment import commit, verify
from quorate.errors import DataError, UserError

SALT = bytes(range(32))
COLUMNS = {"a": np.array([1, 2, 3], np.int64), "b": np.array([4, 5, 6], np.int64)}


def test_same_data_same_commitment() -> None:
    reordered = {"b": COLUMNS["b"].copy(), "a": np.repeat(COLUMNS["a"], 2)[::2]}
    assert commit(reordered, SALT) == commit(COLUMNS, SALT)
    assert commit(COLUMNS, SALT).rows == 3
    verify(commit(COLUMNS, SALT), reordered, SALT)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": [1, 2, 4], "b": [4, 5, 6]},
        {"a": [4, 5, 6], "b": [1, 2, 3]},
        {"a": [1, 2, 3]},
        {"a": [2, 1, 3], "b": [5, 4, 6]},
        {"x": [1, 2, 3], "b": [4, 5, 6]},
        {"a": [1, 2, 3], "c": [4, 5, 6]},
    ],
)
def test_other_data_is_refused(columns: dict[str, list[int]]) -> None:
    arrays = {name: np.array(values, np.int64) for name, values in columns.items()}
    with pytest.raises(DataError, match="not what was committed to"):
        verify(commit(COLUMNS, SALT), arrays, SALT)


def test_other_salt_and_other_row_count_are_refused() -> None:
    with pytest.raises(DataError, match="the salt"):
        verify(commit(COLUMNS, SALT), COLUMNS, bytes(32))
    with pytest.raises(DataError, match="to 3 rows, the data has 1"):
        verify(commit(COLUMNS, SALT), {"a": np.zeros(1, np.int64)}, SALT)


def test_misuse() -> None:
    with pytest.raises(UserError, match="use 32 random bytes"):
        commit(COLUMNS, b"short")
    with pytest.raises(UserError, match="differ in length"):
        commit({"a": np.zeros(1, np.int64), "b": np.zeros(2, np.int64)}, SALT)
