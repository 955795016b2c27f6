"""Splitting and combining secrets, their encoding, and what a share refuses to do."""

import copy
import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import InternalError, PeerError, UserError
from quorate.kernels import field
from quorate.sharing import additive, replicated, shamir, wire
from quorate.sharing.dtype import BOOL, INT, DType, fixed, int8, int16, int32, of_numpy, promote
from quorate.sharing.share import Arithmetic, Boolean, concatenate

P = 2**61 - 1
signed = st.lists(st.integers(1 - 2**62, 2**62 - 1), max_size=20)
elements = st.integers(0, P - 1)
words = st.integers(0, 2**64 - 1)


# -- encoding ---------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(signed)
def test_integers_survive(values):
    array = np.array(values, np.int64)
    assert INT.decode(INT.encode(array)).tolist() == values


@settings(max_examples=100, deadline=None)
@given(
    st.integers(-32, 48), st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=10), st.integers(0, 61)
)
def test_fixed_point_is_within_half_a_unit(scale, fractions, size):
    values = np.ldexp(np.array(fractions), size - scale)
    decoded = fixed(scale).decode(fixed(scale).encode(values))
    assert (np.abs(decoded - values) <= np.ldexp(0.5, -scale)).all()


@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        (INT, [2**62], "more than 62 bits"),
        (INT, [-(2**62)], "more than 62 bits"),
        (INT, [1.5], "fraction"),
        (INT, [float("nan")], "finite"),
        (fixed(16), [2.0**46], "more than 62 bits"),
        (fixed(16), [float("inf")], "finite"),
        (BOOL, [2], "0/1"),
        (BOOL, [0.5], "0/1"),
    ],
)
def test_values_that_do_not_fit_are_refused(dtype, values, message):
    with pytest.raises(UserError, match=message):
        dtype.encode(values)


@pytest.mark.parametrize("dtype", [INT, BOOL, fixed(16), fixed(0), fixed(-32), fixed(48)])
def test_types_are_written_and_read(dtype):
    assert DType.parse(str(dtype)) == dtype


@pytest.mark.parametrize("text", ["float", "fixed()", "fixed(x)", "fixed(49)", "fixed(-33)", "int "])
def test_unknown_types_are_explained(text):
    with pytest.raises(UserError, match="fixed"):
        DType.parse(text)


# -- schemes ----------------------------------------------------------------------------------------------------------


@given(words, words, words)
def test_additive_and_replicated_sharings_combine(secret, a, b):
    values, masks = np.array([secret], np.uint64), [np.array([mask], np.uint64) for mask in (a, b)]
    assert additive.combine(additive.split(values, masks)).tolist() == [secret]
    assert replicated.combine(replicated.split(values, masks)).tolist() == [secret]


def test_replicated_parties_with_different_copies_are_found():
    shares = replicated.split(np.arange(3, dtype=np.uint64), [np.ones(3, np.uint64)] * 2)
    for party in range(3):
        for part in range(2):
            broken = [[array.copy() for array in share] for share in shares]
            broken[party][part][1] ^= np.uint64(1)
            with pytest.raises(PeerError, match="different copies of part"):
                replicated.combine([(first, second) for first, second in broken])


@pytest.mark.parametrize(("threshold", "parties"), [(1, 3), (2, 5), (1, 4), (3, 7)])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_threshold_plus_one_shamir_shares_combine(threshold, parties, data):
    secret = data.draw(elements)
    coefficients = np.array(data.draw(st.lists(elements, min_size=threshold, max_size=threshold)), np.uint64)
    shares = shamir.split(np.array([secret], np.uint64), coefficients.reshape(-1, 1), parties)
    for holders in combinations(range(parties), threshold + 1):
        assert shamir.combine([shares[k] for k in holders], holders, threshold).tolist() == [secret]
    assert shamir.combine(list(shares), range(parties), threshold).tolist() == [secret]
    broken = shares.copy()
    broken[-1] = field.add(broken[-1], np.ones(1, np.uint64))
    with pytest.raises(PeerError, match=f"share of party {parties - 1} does not fit"):
        shamir.combine(list(broken), range(parties), threshold)
    with pytest.raises(UserError, match=f"{threshold} shares cannot open"):
        shamir.combine(list(shares[:threshold]), range(threshold), threshold)


@pytest.mark.parametrize(("threshold", "parties"), [(1, 3), (2, 5), (3, 7)])
def test_threshold_shamir_shares_fit_every_secret(threshold, parties):
    """For each secret exactly one polynomial goes through given t shares: so they say nothing about it."""
    rng = np.random.default_rng(1)
    coefficients = rng.integers(0, P, (threshold, 1), dtype=np.uint64)
    shares = shamir.split(np.array([42], np.uint64), coefficients, parties)
    for holders in combinations(range(parties), threshold):
        seen = set()
        for secret in (0, 1, 42, P - 1):
            other = polynomial_through(secret, {k + 1: int(shares[k][0]) for k in holders})
            again = shamir.split(np.array([secret], np.uint64), np.array(other, np.uint64).reshape(-1, 1), parties)
            assert all(again[k].tolist() == shares[k].tolist() for k in holders)
            seen.add(tuple(other))
        assert len(seen) == 4


def polynomial_through(secret, points):
    """Coefficients 1 ... t of the polynomial of degree t with f(0) = secret and f(x) = y; Gauss modulo p."""
    rows = [[pow(x, k + 1, P) for k in range(len(points))] + [(y - secret) % P] for x, y in points.items()]
    for i in range(len(rows)):
        inverse = pow(rows[i][i], -1, P)
        rows[i] = [v * inverse % P for v in rows[i]]
        for j in range(len(rows)):
            if j != i:
                rows[j] = [(v - rows[j][i] * w) % P for v, w in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]


def test_incomplete_additive_parts_fit_every_secret():
    masks = [np.array([3], np.uint64), np.array([2**63 + 5], np.uint64)]
    for secret in (0, 1, 2**64 - 1):
        parts = additive.split(np.array([secret], np.uint64), masks)
        assert [part.tolist() for part in parts[:2]] == [[3], [2**63 + 5]]
        for known in (0, 1):  # the last part and one other fit every secret with another mask
            wanted = np.array([99], np.uint64)
            rest = np.array([secret], np.uint64) - parts[known] - wanted
            pair = [parts[known], rest] if known == 0 else [rest, parts[known]]
            assert additive.split(np.array([secret], np.uint64), pair)[2].tolist() == [99]


@pytest.mark.parametrize(
    ("threshold", "parties", "message"),
    [(0, 3, "at least 1"), (2, 4, r"need 2t\+1 = 5 parties; lower the threshold to 1"), (7, 15, "groups of parties")],
)
def test_impossible_thresholds_are_explained(threshold, parties, message):
    with pytest.raises(UserError, match=message):
        shamir.check_threshold(threshold, parties)


@pytest.mark.parametrize(("threshold", "parties"), [(1, 3), (1, 4), (2, 5), (3, 7)])
def test_replicated_weights_turn_group_parts_into_shamir_shares(threshold, parties):
    groups = list(combinations(range(parties), parties - threshold))
    parts = {group: 1000 + 7 * k for k, group in enumerate(groups)}
    shares = [
        sum(shamir.replicated_weight(g, parties, holder) * parts[g] for g in groups if holder in g) % P
        for holder in range(parties)
    ]
    arrays = [np.array([share], np.uint64) for share in shares]
    assert shamir.combine(arrays, range(parties), threshold).tolist() == [sum(parts.values())]


# -- shares -----------------------------------------------------------------------------------------------------------


def share(value=1234567):
    return Arithmetic("rep3", (np.full((2, 3), value, np.uint64), np.full((2, 3), value, np.uint64)))


def test_shares_have_no_truth_value_no_pickle_and_no_array():
    for refused in (bool, pickle.dumps, np.asarray, copy.deepcopy):
        with pytest.raises(UserError):
            refused(share())
    with pytest.raises(UserError, match=r"quorate\.where"):
        assert share()


def test_shares_do_not_print_their_content():
    for text in (repr(share()), str(share()), f"{share()}", repr([share()]), repr(Boolean("rep3", share().parts, 64))):
        assert "1234567" not in text
        assert "shape (2, 3)" in text


def test_shares_of_different_schemes_do_not_mix():
    other = Arithmetic("shamir", share().parts)
    with pytest.raises(InternalError, match="cannot combine") as caught:
        share().same_scheme(other)
    assert "1234567" not in str(caught.value)
    with pytest.raises(InternalError, match="cannot combine"):
        share().same_scheme(Boolean("rep3", share().parts, 64))
    with pytest.raises(InternalError, match="cannot combine"):
        concatenate([share(), other], 0)


def test_parts_are_arrays_even_without_dimensions():
    scalar = Arithmetic("rep3", (np.uint64(1), np.uint64(2)))  # type: ignore[arg-type]
    assert all(isinstance(part, np.ndarray) for part in scalar.parts)
    assert scalar.shape == ()


def test_joined_shares_keep_their_kind():
    joined = concatenate([share(1), share(2)], 0)
    assert joined.shape == (4, 3)
    assert isinstance(joined, Arithmetic)
    narrow = Boolean("rep3", (np.ones(3, np.uint8),), 5)
    assert concatenate([narrow, narrow], 0).width == 5


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([1, 2, 8, 13, 16, 32, 33, 64]), st.sampled_from([(), (0,), (1,), (9,), (3, 5)]), st.integers(0, 99)
)
def test_words_survive_the_wire_at_their_size(width, shape, seed):
    kind = wire.word_type(width)
    drawn = np.random.default_rng(seed).integers(0, 2**width - 1, shape, np.uint64, endpoint=True)
    values = np.asarray(drawn).astype(kind)
    packed = wire.pack(values, width)
    assert packed.nbytes == wire.packed_size(values.size, width)
    assert wire.unpack(packed, shape, width).tolist() == values.tolist()
    assert kind.itemsize * 8 >= width
    assert kind.itemsize == 1 or kind.itemsize * 4 < width


@pytest.mark.parametrize(
    ("types", "together"),
    [
        ((int8, int16), int16),
        ((int16, int8), int16),
        ((int32, INT), INT),
        ((BOOL, int8), int8),
        ((BOOL, BOOL), BOOL),
        ((int8, fixed(4)), fixed(4)),
        ((INT, fixed(-3)), fixed(0)),
        ((fixed(8), BOOL, fixed(16)), fixed(16)),
    ],
)
def test_types_meet_as_in_numpy(types, together):
    assert promote(*types) == together
    assert DType.parse(str(together)) == together


@pytest.mark.parametrize("dtype", [int8, int16, int32])
def test_narrow_integers_never_wrap_around(dtype):
    low, high = dtype.limits
    assert dtype.decode(dtype.encode([low, high])).tolist() == [low, high]
    assert str(dtype.decode(dtype.encode([low]))[:].dtype) == str(dtype)
    dtype.check_range(low, high)
    for values in ([low - 1], [high + 1], [0, float(high + 1)]):
        with pytest.raises(UserError, match=rf"{dtype} holds {low} to {high}; convert with astype\(quorate.int"):
            dtype.encode(values)


def test_numpy_types_have_a_secret_type_that_holds_them():
    for name, dtype in {"uint8": int16, "uint64": INT, "int16": int16, "bool": BOOL, "float32": fixed(16)}.items():
        assert of_numpy(np.dtype(name)) == dtype
    with pytest.raises(UserError, match="complex128 is no type"):
        of_numpy(np.dtype(complex))
