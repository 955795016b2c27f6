"""Loops of OT extension, VOLE and silent correlations against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels import lpn, oblivious, vole
from quorate.kernels.field import P

RNG = np.random.default_rng(4)


def words(*shape):
    return RNG.integers(0, 2**64, shape, dtype=np.uint64)


def carryless(x: int, y: int) -> int:
    total = 0
    for bit in range(64):
        if y >> bit & 1:
            total ^= x << bit
    return total


def whole(rows) -> list[int]:
    return [int(low) | int(high) << 64 for low, high in rows]


@pytest.mark.parametrize("depth", [1, 2, 4, 5])
def test_fold_leaves(depth: int) -> None:
    leaves, summed, planes = words(1 << depth, 24), words(24), words(depth, 24)
    oblivious.fold_leaves(leaves, summed, planes)
    assert np.array_equal(summed, np.bitwise_xor.reduce(leaves))
    for bit in range(depth):
        chosen = [x for x in range(1 << depth) if x >> bit & 1]
        assert np.array_equal(planes[bit], np.bitwise_xor.reduce(leaves[chosen]))


@pytest.mark.parametrize(("columns", "rows"), [(1, 64), (8, 512), (9, 570), (24, 1500), (3, 0)])
def test_interleave(columns: int, rows: int) -> None:
    planes, out = words(128, columns), words(rows, 2)
    oblivious.interleave(planes, out)
    expected = np.unpackbits(planes.view(np.uint8), axis=1, bitorder="little").T[:rows]
    assert np.array_equal(np.unpackbits(out.view(np.uint8), axis=1, bitorder="little"), expected)


def test_interleave_refuses_more_rows_than_there_are() -> None:
    with pytest.raises(InternalError, match="interleave"):
        oblivious.interleave(words(128, 1), words(65, 2))


def test_hash_columns() -> None:
    columns, coefficients = words(3, 16), words(16)
    expected = [0, 0, 0]
    for number, column in enumerate(columns):
        for x, c in zip(column, coefficients, strict=True):
            expected[number] ^= carryless(int(x), int(c))
    assert whole(oblivious.hash_columns(columns, coefficients)) == expected


def test_reduce_products() -> None:
    products = words(50, 2)
    modulus = 1 << 64 | 0b11011
    for product, reduced in zip(whole(products), oblivious.reduce_products(products), strict=True):
        value = product
        for bit in reversed(range(64, 128)):
            if value >> bit & 1:
                value ^= modulus << (bit - 64)
        assert value == int(reduced)


def test_hash_rows() -> None:
    rows, coefficients, out = words(24, 2), words(24), np.zeros((2, 2), np.uint64)
    lpn.hash_rows(rows, coefficients, out)
    places = lpn.hash_places(np.arange(24))
    assert sorted(places) == list(range(24))
    for half in range(2):
        total = 0
        for row, place in enumerate(places):
            total ^= carryless(int(rows[row, half]), int(coefficients[place]))
        assert whole(out)[half] == total


def test_finish_level() -> None:
    children, parents, sums = words(6, 5, 2), words(3, 5, 2), words(2, 5, 2)
    expected = children ^ np.concatenate([parents, parents])
    lpn.finish_level(children, parents, sums)
    assert np.array_equal(children, expected)
    assert np.array_equal(sums, np.bitwise_xor.reduce(expected.reshape(2, 3, 5, 2), axis=1))


def coded(table: list[int], indices) -> list[list[int]]:
    return [[table[int(index) * len(table) >> 32] for index in row] for row in indices]


def test_codes() -> None:
    indices = RNG.integers(0, 2**32, (40, lpn.WEIGHT), dtype=np.uint32)
    indices[0] = 0
    indices[1] = 2**32 - 1
    blocks, table = words(40, 2), words(33, 2)
    start, terms = whole(blocks), coded(whole(table), indices)
    xored, added = blocks.copy(), blocks.copy()
    lpn.encode_blocks(xored, table, indices)
    assert whole(xored) == [
        x ^ np.bitwise_xor.reduce(np.array(row, object)) for x, row in zip(start, terms, strict=True)
    ]
    lpn.encode_ring(added, table, indices)
    assert whole(added) == [(x + sum(row)) % 2**128 for x, row in zip(start, terms, strict=True)]
    bits, some = RNG.integers(0, 2, 40).astype(np.uint8), RNG.integers(0, 2, 33).astype(np.uint8)
    expected = [(int(x) + sum(row)) % 2 for x, row in zip(bits, coded(some.tolist(), indices), strict=True)]
    lpn.encode_bits(bits, some, indices)
    assert bits.tolist() == expected


@pytest.mark.parametrize("value", [None, 0, P - 1])
def test_code_over_the_field(value) -> None:
    indices = RNG.integers(0, 2**32, (40, lpn.WEIGHT), dtype=np.uint32)
    out, table = words(40) % np.uint64(P), words(33) % np.uint64(P)
    if value is not None:
        out[:], table[:] = value, value
    expected = [(int(x) + sum(row)) % P for x, row in zip(out, coded(table.tolist(), indices), strict=True)]
    lpn.encode_field(out, table, indices)
    assert out.tolist() == expected


def test_numbers_of_leaves() -> None:
    leaves, out, sums, pairs = words(7, 5, 2), words(7, 5), words(5), words(5, 2)
    leaves[0, 0, 0] = P
    lpn.field_values(leaves, out, sums)
    expected = (leaves[..., 0] & np.uint64(P)) % np.uint64(P)
    assert np.array_equal(out, expected)
    assert sums.tolist() == [sum(int(x) for x in column) % P for column in expected.T]
    lpn.ring_sums(leaves, pairs)
    assert whole(pairs) == [sum(whole(leaves[:, tree])) % 2**128 for tree in range(5)]


@pytest.mark.parametrize("value", [None, 0, 2**64 - 1, P])
def test_field_vole(value) -> None:
    leaves, summed, weighted = words(16, 24), words(24), words(24)
    if value is not None:
        leaves[:] = value
    vole.field_leaves(leaves, summed, weighted)
    columns = [[int(x) & P for x in column] for column in leaves.T]
    assert summed.tolist() == [sum(column) % P for column in columns]
    assert weighted.tolist() == [sum(x * leaf for x, leaf in enumerate(column)) % P for column in columns]
    total, correction = words(24) % np.uint64(P), words(24) % np.uint64(P)
    received, sent = total.copy(), total.copy()
    vole.field_receive(received, weighted, 4)
    assert received.tolist() == [(16 * int(t) + int(v)) % P for t, v in zip(total, weighted, strict=True)]
    vole.field_send(sent, summed, weighted, correction, 13, 4)
    expected = [
        16 * int(t) + int(v) - 13 * (int(u) + int(c))
        for t, v, u, c in zip(total, weighted, summed, correction, strict=True)
    ]
    assert sent.tolist() == [x % P for x in expected]


@pytest.mark.parametrize("value", [None, 0, 2**64 - 1])
def test_ring_vole(value) -> None:
    leaves, summed, weighted = words(16, 2, 24), words(2, 24), words(2, 24)
    if value is not None:
        leaves[:] = value
    vole.ring_leaves(leaves, summed, weighted)
    columns = [whole(leaves[:, :, i]) for i in range(24)]
    assert whole(summed.T) == [sum(column) % 2**128 for column in columns]
    assert whole(weighted.T) == [sum(x * leaf for x, leaf in enumerate(column)) % 2**128 for column in columns]
    total, correction = words(2, 24), words(2, 24)
    received, sent = total.copy(), total.copy()
    vole.ring_receive(received, weighted, 4)
    assert whole(received.T) == [(16 * t + v) % 2**128 for t, v in zip(whole(total.T), whole(weighted.T), strict=True)]
    vole.ring_send(sent, summed, weighted, correction, 15, 4)
    parts = zip(whole(total.T), whole(weighted.T), whole(summed.T), whole(correction.T), strict=True)
    assert whole(sent.T) == [(16 * t + v - 15 * (u + c)) % 2**128 for t, v, u, c in parts]


def test_products_and_combinations_of_the_ring() -> None:
    rows = words(50, 2)
    for factor in (0, 1, 2**64 - 1, 0x123456789ABCDEF0):
        assert whole(vole.ring_multiply(rows, factor)) == [x * factor % 2**128 for x in whole(rows)]
    choice = RNG.integers(0, 256, (3, 50)).astype(np.uint8)
    out = np.ones((24, 2), np.uint64)
    vole.combine_bits(rows, choice, out)
    for number, value in enumerate(whole(out)):
        chosen = [x for x, octet in zip(whole(rows), choice[number // 8], strict=True) if octet >> number % 8 & 1]
        assert value == (1 + (1 << 64) + sum(chosen)) % 2**128
