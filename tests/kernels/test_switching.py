"""Permutation networks: every order can be made, by as many switches and layers as stated."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels.ghost import ghost, is_ghost
from quorate.kernels.switching import control_bits, depth, layers, switches


def _switched(rows: int, bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    x = np.arange(rows)
    for layer in layers(rows):
        swap = bits[layer.place] == 1
        first, second = x[layer.first], x[layer.second]
        x[layer.first], x[layer.second] = np.where(swap, second, first), np.where(swap, first, second)
    return x


@pytest.mark.parametrize("rows", range(8))
def test_every_order_of_few_rows(rows: int) -> None:
    for order in permutations(range(rows)):
        bits = control_bits(np.array(order, np.int64))
        assert np.array_equal(_switched(rows, bits), order)


@pytest.mark.parametrize("rows", [8, 9, 15, 16, 17, 31, 33, 100, 1000, 1023, 1024, 1025])
@pytest.mark.parametrize("kind", [np.uint32, np.int64])
def test_orders_of_many_rows(rows: int, kind: type[Any]) -> None:
    order = np.random.default_rng(rows).permutation(rows)
    for perm in (order, np.arange(rows), np.arange(rows)[::-1], np.roll(np.arange(rows), 1)):
        bits = control_bits(perm.astype(kind))
        assert set(np.unique(bits)) <= {0, 1}
        assert np.array_equal(_switched(rows, bits), perm)


def test_sizes() -> None:
    """Waksman's number of switches for powers of two, and the layers that use them all, no row twice in one."""
    for k in range(12):
        n = 1 << k
        assert switches(n) == n * k - n + 1
    for rows in (0, 1, 2, 3, 5, 6, 7, 12, 77):
        found = list(layers(rows))
        assert len(found) == depth(rows) == max(0, 2 * (rows - 1).bit_length() - 1 if rows > 1 else 0)
        assert sum(len(layer.first) for layer in found) == switches(rows)
        for layer in found:
            both = np.concatenate([layer.first, layer.second])
            assert len(np.unique(both)) == len(both)
            assert both.max() < rows


def test_what_is_no_permutation_is_refused() -> None:
    for wrong in ([0, 0], [0, 2], [1, 2, 3]):
        with pytest.raises(InternalError, match="not a permutation"):
            control_bits(np.array(wrong))


def test_ghosts() -> None:
    bits = control_bits(ghost((9,), np.uint32))
    assert is_ghost(bits)
    assert bits.shape == (switches(9),)
