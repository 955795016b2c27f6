"""Packed bits, shared AND, and the carry tree against Python integers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import InternalError
from quorate.kernels import bits as typed
from quorate.kernels.ghost import Ghost, ghost

bits: Any = typed  # wrong arguments are passed on purpose

DTYPES = [np.uint8, np.uint16, np.uint32, np.uint64]
EDGES = [0, 1, 2**63, 2**63 - 1, 2**64 - 1, 0x5555555555555555, 0xAAAAAAAAAAAAAAAA]
words = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**64 - 1))


def some(seed, n, dtype=np.uint64):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, n, dtype, endpoint=True)


@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (8,), (9,), (3, 5), (2, 0), (1000,)])
def test_packing_round_trip(shape):
    x = np.random.default_rng(1).integers(0, 2, shape, np.uint8)
    packed = bits.pack(x)
    assert packed.shape == ((x.size + 7) // 8,)
    assert int.from_bytes(packed.tobytes(), "little") == sum(int(b) << i for i, b in enumerate(x.ravel()))
    assert bits.unpack(packed, shape).tolist() == x.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 129])
def test_and_share(dtype, n):
    rows = [some(i, n, dtype) for i in range(4)]
    xa, xb, ya, yb = rows
    expected = (xa & ya) ^ (xa & yb) ^ (xb & ya)
    got = bits.and_share(*rows)
    assert got.dtype == dtype
    assert got.tolist() == expected.tolist()
    for i in range(4):
        copies = [r.copy() for r in rows]
        assert bits.and_share(*copies, out=copies[i]).tolist() == expected.tolist()


def test_replicated_and_adds_up():
    x, y = ([some(10 * j + i, 100) for i in range(3)] for j in range(2))
    parts = [bits.and_share(x[i], x[i - 1], y[i], y[i - 1]) for i in range(3)]
    total = parts[0] ^ parts[1] ^ parts[2]
    assert (total == (x[0] ^ x[1] ^ x[2]) & (y[0] ^ y[1] ^ y[2])).all()


@pytest.mark.parametrize("width", [8, 16, 32, 64])
@pytest.mark.parametrize("turn", [1, 3])
def test_arrange_and_gray_move_positions(width, turn):
    x = some(3, 50, f"u{width // 8}")
    digits = width.bit_length() - 1

    def moved(word):
        return sum((word >> i & 1) << int(f"{i:0{digits}b}"[::-1], 2) for i in range(width))

    turned = [(w << turn | w >> (width - turn)) % 2**width for w in x.tolist()]
    assert bits.arrange(x, turn).tolist() == [moved(w) for w in turned]
    changes = [((w ^ 2 * w) << (turn - 1)) % 2**width for w in x.tolist()]
    assert bits.gray(x, turn).tolist() == [moved(w) for w in changes]
    assert type(bits.arrange(ghost(5, np.uint64), 1)) is Ghost


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_carries_from_gray_words(width):
    """The maps of `quorate.protocols.adder`: the tree gives what is carried into the top, plus one word's top bit."""
    u, v = some(1, 200, f"u{width // 8}"), some(2, 200, f"u{width // 8}")
    g, p = bits.gray(u, 1), bits.arrange(u ^ v, 1) & ~u.dtype.type(1)
    for positions in (64, 32, 16, 8, 4, 2):
        if positions <= width:
            x, y = bits.carry_level(g, p, positions)
            g, p = bits.carry_combine(g, x & y, positions)
    signs = bits.carry_bits(g, 200) ^ (v >> v.dtype.type(width - 1)).astype(np.uint8)
    assert signs.tolist() == [(int(a) + int(b)) >> (width - 1) & 1 for a, b in zip(u, v, strict=True)]


@pytest.mark.parametrize("positions", [64, 32, 16, 8, 4, 2])
def test_replicated_level_is_level_then_and(positions):
    g, p = ([some(7 * i + j, 33, f"u{max(positions, 8) // 8}") for i in range(2)] for j in (1, 2))
    (xa, ya), (xb, yb) = (bits.carry_level(g[i], p[i], positions) for i in range(2))
    assert (bits.replicated_level(*g, *p, positions) == bits.and_share(xa, xb, ya, yb)).all()


def test_reverse_moves_every_bit_to_its_reversed_position():
    x = np.uint64(1) << np.arange(64, dtype=np.uint64)
    places = [int(f"{i:06b}"[::-1], 2) for i in range(64)]
    assert bits.reverse(x).tolist() == [1 << i for i in places]
    y = some(1, 50)
    assert (bits.reverse(bits.reverse(y)) == y).all()
    assert (bits.reverse(x ^ y[0]) == bits.reverse(x) ^ bits.reverse(y[:1])).all()


def carries(a, b, cheap_end):
    g, p = bits.reverse(a & b), bits.reverse(a ^ b)
    sent = []
    for positions in (64, 32, 16, 8, 4, 2):
        if positions == 2 and cheap_end:
            x, y = bits.carry_last(g, p)
            g = bits.carry_finish(g, x & y)
        else:
            x, y = bits.carry_level(g, p, positions)
            g, p = bits.carry_combine(g, x & y, positions)
        sent.append(x.nbytes)
    return bits.carry_bits(g, a.size), sent


@pytest.mark.parametrize("cheap_end", [False, True])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(words, words), max_size=21))
def test_carry_tree_gives_bit_64_of_the_sum(cheap_end, pairs):
    a, b = (np.array([p[i] for p in pairs], np.uint64) for i in range(2))
    got, _ = carries(a, b, cheap_end)
    assert got.dtype == np.uint8
    assert got.tolist() == [(x + y) >> 64 for x, y in pairs]


def test_carry_tree_traffic_halves_per_level():
    a, b = some(1, 1000), some(2, 1000)
    got, sent = carries(a, b, cheap_end=True)
    assert sent == [8000, 4000, 2000, 1000, 500, 125]
    assert got.tolist() == [(int(x) + int(y)) >> 64 for x, y in zip(a, b, strict=True)]
    assert carries(a, b, cheap_end=False)[1] == [8000, 4000, 2000, 1000, 500, 250]


def test_carry_tree_is_linear_on_shares():
    g, p, m = some(1, 31), some(2, 31), some(3, 31)
    z, mz = some(4, 31), some(5, 31)
    g1, p1 = bits.carry_combine(g ^ m, z ^ mz, 64)
    g2, p2 = bits.carry_combine(m, mz, 64)
    g3, p3 = bits.carry_combine(g, z, 64)
    assert (g1 ^ g2 == g3).all()
    assert (p1 ^ p2 == p3).all()
    for one, two, both in zip(*(bits.carry_level(*v, 64) for v in [(g, p), (m, m), (g ^ m, p ^ m)]), strict=True):
        assert (one ^ two == both).all()


@pytest.mark.parametrize(("shift", "keep"), [(4, 0x0F), (2, 0x33), (1, 0x55)])
@pytest.mark.parametrize("n", [0, 1, 2, 9, 16])
def test_folding_round_trip(shift, keep, n):
    x = some(n, n, np.uint8) & np.uint8(keep)
    folded = bits.fold(x, shift)
    assert folded.shape == ((n + 1) // 2,)
    assert bits.unfold(folded, shift, n).tolist() == x.tolist()


def bad_calls():
    x, b = np.ones(8, np.uint64), np.ones(8, np.uint8)
    yield lambda: bits.pack(x)
    yield lambda: bits.unpack(b, 65)
    yield lambda: bits.and_share(x, x, x, b)
    yield lambda: bits.and_share(b, b, b, b[:1])
    yield lambda: bits.and_share(*[x.astype(float)] * 4)
    yield lambda: bits.reverse(b)
    yield lambda: bits.carry_level(x, x, 32)
    yield lambda: bits.carry_level(x, x, 63)
    yield lambda: bits.carry_combine(x, x[:3], 64)
    yield lambda: bits.unfold(b, 4, 3)
    yield lambda: bits.unfold(b, 3, 16)


@pytest.mark.parametrize("call", list(bad_calls()))
def test_wrong_arguments_raise(call):
    with pytest.raises(InternalError):
        call()


def test_ghosts_propagate():
    n = 1001
    got, sent = carries(ghost(n, np.uint64), some(1, n), cheap_end=True)
    assert (type(got), got.shape, got.dtype) == (Ghost, (n,), np.uint8)
    assert sent == carries(some(2, n), some(1, n), cheap_end=True)[1]
    assert type(bits.and_share(*[some(1, n)] * 3, ghost(n, np.uint64))) is Ghost
    assert bits.pack(ghost((3, 5), np.uint8)).shape == (2,)
    assert bits.unpack(ghost(2, np.uint8), (3, 5)).shape == (3, 5)
