"""The verification of products: loops against Python's integers, and claims that are false by one element."""

from itertools import product
from random import Random

import numpy as np
import pytest

from quorate.errors import IntegrityError, InternalError
from quorate.kernels import field_verify
from quorate.kernels.ghost import ghost, is_ghost
from quorate.protocols.verification import cube
from quorate.protocols.verification.argument import repetitions
from quorate.protocols.verification.claims import SMALL
from quorate.protocols.verification.field_domain import FieldDomain
from quorate.protocols.verification.scheme import Inner, Matrix, Permuted, Products, Zeros
from quorate.sharing.share import Boolean
from quorate.sharing.wire import word_type
from quorate.testing.protocol_checks import run_counted, words_of
from quorate.testing.world import World

P = 2**61 - 1
DOMAIN = FieldDomain()


def elements(rng, *shape):
    edges = [0, 1, P - 1, P - 2, 2**60]
    values = [rng.choice(edges) if rng.random() < 0.2 else rng.randrange(P) for _ in range(int(np.prod(shape)))]
    return np.array(values, np.uint64).reshape(shape)


def continued(blocks, digits):
    """A multilinear function with these values (lists of ints) at the corners, at a point of {0, 1, infinity}."""
    for digit in digits:
        low, high = blocks[::2], blocks[1::2]
        one = [[(b - a) % P for a, b in zip(*pair, strict=True)] for pair in zip(low, high, strict=True)]
        blocks = (low, high, one)[digit]
    return blocks[0]


@pytest.mark.parametrize(("nu", "m"), [(0, 5), (1, 1), (2, 9), (3, 300), (3, 0), (5, 7)])
@pytest.mark.parametrize("weighted", [True, False])
def test_points_of_the_hypercube(nu, m, weighted):
    rng = Random(nu * 1000 + m)
    left, right = elements(rng, 2**nu, m), elements(rng, 2**nu, m)
    sigma = elements(rng, m) if weighted else None
    got = field_verify.hypercube_products(left, right, sigma)
    weights = [1] * m if sigma is None else sigma.tolist()
    for number, digits in enumerate(product(range(3), repeat=nu)):
        x, y = (continued(side.tolist(), digits[::-1]) for side in (left, right))
        assert int(got[number]) == sum(s * a * b for s, a, b in zip(weights, x, y, strict=True)) % P


@pytest.mark.parametrize(("k", "m"), [(1, 3), (8, 5000), (3, 0), (17, 2)])
def test_sums_of_blocks(k, m):
    rng = Random(k + m)
    blocks, sigma, weights = elements(rng, k, m), elements(rng, m), elements(rng, k)
    numbers = blocks.astype(object)
    assert field_verify.weighted_sums(blocks, sigma).tolist() == ((numbers * sigma.astype(object)).sum(1) % P).tolist()
    combined = (numbers * weights.astype(object)[:, None]).sum(0) % P
    assert field_verify.combine_blocks(blocks, weights).tolist() == np.broadcast_to(combined, (m,)).tolist()


def test_loops_refuse_shapes_that_do_not_fit_and_take_ghosts():
    blocks = np.zeros((4, 3), np.uint64)
    with pytest.raises(InternalError):
        field_verify.hypercube_products(blocks[:3], blocks[:3])
    with pytest.raises(InternalError):
        field_verify.hypercube_products(blocks, blocks, np.zeros(4, np.uint64))
    with pytest.raises(InternalError):
        field_verify.weighted_sums(blocks, np.zeros(4, np.uint64))
    with pytest.raises(InternalError):
        field_verify.combine_blocks(blocks, np.zeros(3, np.uint64))
    assert is_ghost(field_verify.hypercube_products(ghost((4, 3), np.uint64), blocks))
    assert is_ghost(field_verify.weighted_sums(blocks, ghost(3, np.uint64)))
    assert is_ghost(field_verify.combine_blocks(blocks, ghost(4, np.uint64)))


@pytest.mark.parametrize("nu", [1, 2, 4])
def test_values_at_a_point_follow_from_the_points_of_the_hypercube(nu):
    """H(tau) from its 3**nu values is the inner product of the vectors folded at tau."""
    rng = Random(nu)
    x, y, tau = elements(rng, 2**nu, 6), elements(rng, 2**nu, 6), elements(rng, nu)
    lines = cube.line_weights(DOMAIN, tau)
    folded = [DOMAIN.fold(side, lines).astype(object) for side in (x, y)]
    (value,) = cube.weighed(DOMAIN, (DOMAIN.points_over([(x, y)]),), cube.square_weights(DOMAIN, tau))
    assert int(value) == int((folded[0] * folded[1]).sum() % P)


def test_repetitions_reach_the_security_that_is_asked_for():
    assert [repetitions(bits, 60) for bits in (1, 40, 52, 53, 64, 80, 104, 128)] == [1, 1, 1, 2, 2, 2, 2, 3]
    assert [repetitions(bits, 48) for bits in (40, 41, 64, 80, 81)] == [1, 2, 2, 2, 3]


# -- false claims ------------------------------------------------------------------------------------------------------


def shares_of(p, *arrays):
    """Arrays as parts, through sharings of random polynomials so that nothing is trivial."""
    found = []
    for k, values in enumerate(arrays):
        mask = yield from p.random(p.deferred._scope.child(f"mask {k}"), values.shape)
        found.append(p.add(p.sub(mask, mask), p.public(values)))
    return found


def noted(make):
    def program(p, at):
        note = yield from make(p)
        p.deferred.note(at.step(), note, 1 << 10)
        yield from p.checked()
        return True

    return program


def products(size, wrong=None):
    x, y = np.arange(size) + 2, 3 * np.arange(size) - 7
    z = x * y
    if wrong is not None:
        z[wrong] += 1

    def make(p):
        return Products(*((s.parts) for s in (yield from shares_of(p, x, y, z))))

    return noted(make)


def rows(m, k, wrong=None):
    x, y = np.arange(m * k).reshape(m, k), 5 - np.arange(m * k).reshape(m, k)
    z = (x * y).sum(1)
    if wrong is not None:
        z[wrong] -= 1

    def make(p):
        return Inner(*((s.parts) for s in (yield from shares_of(p, x, y, z))))

    return noted(make)


def matrices(a, b, c, wrong=None):
    x, y = np.arange(a * b).reshape(a, b), 9 - np.arange(b * c).reshape(b, c)
    z = x @ y
    if wrong is not None:
        z[wrong] += 1

    def make(p):
        return Matrix(*((s.parts) for s in (yield from shares_of(p, x, y, z))))

    return noted(make)


def zeros(size, wrong=None):
    x = np.zeros(size, np.int64)
    if wrong is not None:
        x[wrong] = 1

    def make(p):
        return Zeros(*((s.parts) for s in (yield from shares_of(p, x))))

    return noted(make)


def ands(shape, width, wrong=None):
    a, b = (words_of(width, label, shape, width) for label in "ab")
    c = a & b
    if wrong is not None:
        c[wrong] ^= c.dtype.type(1 << (width - 1))

    def make(p):
        yield from ()
        shares = [p.public_bits(words, width) for words in (a, b, c)]
        assert all(isinstance(share, Boolean) for share in shares)
        return Products(*(share.parts for share in shares), width=width)

    return noted(make)


def permuted(shape, width=0, wrong=None):
    """Rows in an order that the first two parties know."""
    rows = shape[0]
    order = np.random.default_rng(rows).permutation(rows)
    x = words_of(3, "x", shape, width or 59).astype(np.uint64 if width == 0 else word_type(width))
    y = x[order]
    if wrong is not None:
        y[wrong], y[wrong - 1] = y[wrong - 1].copy(), y[wrong].copy()

    def make(p):
        shares = [p.public_bits(words, width) for words in (x, y)] if width else []
        if not width:
            shares = yield from shares_of(p, x.view(np.int64), y.view(np.int64))
        group = p.groups[0]
        perm = None if p.me not in group else ghost((rows,), np.int64) if p.session.counting else order
        return Permuted(group, perm, shares[0].parts, shares[1].parts, width)

    return noted(make)


RIGHT = [products(1), products(50), products(SMALL + 3), rows(1, 1), rows(3, 5), rows(2, 700), matrices(3, 4, 2)]
RIGHT += [matrices(1, 1, 1), matrices(2, 300, 5), zeros(7), ands((5,), 1), ands((3, 4), 64), ands((700,), 13)]
RIGHT += [permuted((2, 1)), permuted((40, 3)), permuted((9, 2), 64), permuted((30, 1), 1), permuted((5, 4), 33)]


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (4, 1), (5, 2)])
def test_right_notes_pass_at_the_counted_cost(parties, threshold):
    for program in RIGHT:
        assert all(run_counted(World("shamir_malicious", parties, threshold), program).values)


WRONG = [products(1, 0), products(50, 49), products(SMALL + 3, 0), products(SMALL + 3, SMALL + 2), rows(1, 1, 0)]
WRONG += [rows(3, 5, 2), rows(2, 700, 0), matrices(3, 4, 2, (2, 1)), matrices(1, 1, 1, (0, 0)), zeros(7, 6)]
WRONG += [matrices(2, 300, 5, (0, 0)), ands((5,), 1, 4), ands((3, 4), 64, (2, 3)), ands((700,), 13, 0)]
WRONG += [permuted((2, 1), wrong=1), permuted((40, 3), wrong=7), permuted((9, 2), 64, 8), permuted((5, 4), 33, 0)]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_one_wrong_element_is_found(number):
    for result in World("shamir_malicious", 3, 1).play(WRONG[number]):
        assert isinstance(result, IntegrityError)
        assert "were not computed as agreed" in str(result)


@pytest.mark.parametrize("security", [40, 64, 110])
def test_higher_security_repeats_the_check_in_the_same_rounds(security):
    usual = run_counted(World("shamir_malicious", 3, 1), products(50))
    higher = run_counted(World("shamir_malicious", 3, 1, security=security), products(50))
    assert higher.rounds == usual.rounds
    assert repetitions(security, 60) > 1 or higher.bytes_sent == usual.bytes_sent
    for result in World("shamir_malicious", 3, 1, security=security).play(products(50, 3)):
        assert isinstance(result, IntegrityError)


def test_what_is_opened_at_the_end_is_masked():
    """Products of zeros: without masks the folded vectors, and so what is opened, would be zero."""
    opened = []

    def program(p, at):
        scheme = p._numbers
        original = scheme.open

        def spy(place, parts):
            values = yield from original(place, parts)
            opened.append([int(value) for value in values])
            return values

        scheme.open = spy
        zero = p.public(np.zeros(20, np.int64))
        p.deferred.note(at.step(), Products(zero.parts, zero.parts, zero.parts), 20)
        yield from p.checked()

    for seed in range(4):
        World("shamir_malicious", 3, 1, seed=seed).run(program)
    assert all(values[0] == 0 and values[1] * values[2] % P == values[3] for values in opened)
    assert len({tuple(values[1:]) for values in opened}) == 4
    assert all(all(values[1:]) for values in opened)
