"""The fused loops of comparisons against the loops that work on any sharing."""

import numpy as np
import pytest

from quorate.kernels import bits
from quorate.kernels import replicated as fused
from quorate.kernels.ghost import Ghost, ghost

KINDS = [np.uint8, np.uint16, np.uint32, np.uint64]


def words(seed, kind=np.uint64):
    return np.random.default_rng(seed).integers(0, 2**64, 301, dtype=np.uint64).astype(kind)


def started(start_dealer, start_holder, kind):
    """What the dealer and both holders have, and v, u."""
    x, y, u, mask = words(1), words(2), words(3), words(4, kind)
    rest, *dealer = start_dealer(x, y, mask)
    assert rest.dtype == kind
    return rest ^ mask, dealer, start_holder(rest, u, True), start_holder(mask, u, False), (x + y).astype(kind), u


@pytest.mark.parametrize("kind", KINDS)
def test_carry_tree_starts_and_goes_on(kind):
    arranged, (z0, g0), (z1, g1), (z2, g2), v, u = started(fused.carry_dealer, fused.carry_holder, kind)
    width = 8 * np.dtype(kind).itemsize
    assert (arranged == bits.arrange(v, 1)).all()
    u = u.astype(kind)
    g, t = bits.gray(u, 1), bits.arrange(u ^ v, 1) & ~kind(1)
    g = g ^ (v >> kind(width - 1)) << kind(width - 1)
    x, y = bits.carry_level(g, t, width)
    assert (z0 ^ z1 ^ z2 == x & y).all()
    for one, other in ((g0[1], g1[0]), (g1[1], g2[0]), (g2[1], g0[0])):
        assert (one == other).all()
    level, pairs = width, (g0, g1, g2)
    while level > 8:
        g, t = bits.carry_combine(g, x & y, level)
        shares = [words(10, x.dtype), words(11, x.dtype)]
        shares.append(x & y ^ shares[0] ^ shares[1])
        both = [(shares[k], shares[(k + 1) % 3]) for k in range(3)]
        parts, pairs = zip(*(fused.carry_next(z, pair) for z, pair in zip(both, pairs, strict=True)), strict=True)
        level //= 2
        x, y = bits.carry_level(g, t, level)
        assert (parts[0] ^ parts[1] ^ parts[2] == x & y).all()
        if level == 8:
            assert (pairs[0][0] ^ pairs[1][0] ^ pairs[2][0] == g).all()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_tree_of_ones_starts_and_goes_on(kind):
    v_again, (z0,), z1, z2, v, u = started(fused.ones_dealer, fused.ones_holder, kind)
    half = 4 * np.dtype(kind).itemsize
    assert (v_again == v).all()
    same = u.astype(kind) ^ v
    expected = ((same >> kind(half)) & same).astype(z0.dtype)
    assert z0.dtype.itemsize * 8 == half
    assert (z0 ^ z1 ^ z2 == expected).all()
    if half > 8:
        shares = [z0, z1, z2]
        parts = [fused.ones_next((shares[k], shares[(k + 1) % 3])) for k in range(3)]
        again = ((expected >> expected.dtype.type(half // 2)) & expected).astype(parts[0].dtype)
        assert (parts[0] ^ parts[1] ^ parts[2] == again).all()


@pytest.mark.parametrize("kind", KINDS)
def test_ghosts_have_the_shapes_of_results(kind):
    x, mask = words(1), words(4, kind)
    nothing = ghost(x.shape, np.uint64)
    real = [*fused.carry_dealer(x, x, mask)[:2], *fused.carry_holder(mask, x, True)[1], *fused.ones_dealer(x, x, mask)]
    some = [
        *fused.carry_dealer(nothing, x, mask)[:2],
        *fused.carry_holder(mask, nothing, True)[1],
        *fused.ones_dealer(nothing, x, mask),
    ]
    assert [a.dtype for a in some] == [a.dtype for a in real]
    assert all(type(a) is Ghost for a in (*some, fused.ones_holder(mask, nothing, True)))
    if kind != np.uint8:
        pair = (mask, ghost(x.shape, kind))
        z, g = fused.carry_next(pair, fused.carry_holder(mask, x, True)[1])
        assert z.dtype == g[0].dtype or z.dtype.itemsize == 2 * g[0].dtype.itemsize
        assert fused.ones_next(pair).dtype == z.dtype
