"""Bit operations in plans: NumPy's results, ranges that are proven, refusals that say what to do."""

import itertools

import numpy as np
import pytest

import quorate.lang.operations.bitwise as kinds
from quorate.errors import UserError
from quorate.sharing.dtype import INT, fixed
from quorate.testing.world import CONFIGURATIONS

EVERY = pytest.mark.parametrize("configuration", [c for c in CONFIGURATIONS if c != ("clear", 3, 0)])
X = np.array([-(2**40), -77, -1, 0, 1, 6, 2**40 - 1, 12345678901])
Y = np.array([2**30, -5, 0, -(2**20), 7, -8, 2**33, -1])


@EVERY
def test_logic_of_words(configuration, run_in):
    mask = np.array([255, -256, 1, 0, -1, 2**20, 7, 2**41])

    def program(x, y):
        record, public = x.trace.record, x.trace.constant(mask, INT)
        return {
            "and": record("bit_and", [x, y]),
            "or": record("bit_or", [x, public]),
            "xor": record("bit_xor", [public, y]),
            "not": record("bit_not", [x]),
        }

    values = run_in(configuration, program, {"x": X, "y": Y}).values
    expected = {"and": X & Y, "or": X | mask, "xor": mask ^ Y, "not": ~X}
    for name, wanted in expected.items():
        np.testing.assert_array_equal(values[name], wanted, name)


@EVERY
def test_shifts_to_the_left_and_ones(configuration, run_in):
    amount = np.array([0, 1, 2, 3, 4, 5, 6, 11])

    def program(x, n):
        record, public = x.trace.record, x.trace.constant(amount, INT)
        return {
            "by": record("shift_left", [x], by=7),
            "secret": record("shift_left_by", [x, n]),
            "public": record("shift_left_by", [x, public]),
            "both": record("shift_left_by", [public, n]),
            "ones": record("popcount", [n]),
        }

    values = run_in(configuration, program, {"x": X, "n": amount}).values
    np.testing.assert_array_equal(values["by"], X << 7)
    np.testing.assert_array_equal(values["secret"], X << amount)
    np.testing.assert_array_equal(values["public"], X << amount)
    np.testing.assert_array_equal(values["both"], amount << amount)
    np.testing.assert_array_equal(values["ones"], [int(v).bit_count() for v in amount])


@EVERY
def test_shifts_to_the_right(configuration, run_in):
    amount = np.array([0, 1, 2, 3, 4, 5, 6, 41])

    def program(x, n, m):
        record, public = x.trace.record, x.trace.constant(amount, INT)
        return {
            "by": record("shift_right", [x], by=7),
            "few": record("shift_right_by", [x, m]),
            "many": record("shift_right_by", [x, n]),
            "public": record("shift_right_by", [x, public]),
        }

    values = run_in(configuration, program, {"x": X, "n": amount, "m": amount % 7}).values
    np.testing.assert_array_equal(values["by"], X >> 7)
    np.testing.assert_array_equal(values["few"], X >> (amount % 7))
    np.testing.assert_array_equal(values["many"], X >> amount)
    np.testing.assert_array_equal(values["public"], X >> amount)


def test_ranges_hold_every_result():
    """Against all pairs of numbers of four bits and all ranges of them."""
    ends = range(-8, 8)
    spans = [(low, high) for low in ends for high in ends if low <= high]
    table = {(a, b): (a & b, a | b, a ^ b) for a, b in itertools.product(ends, ends)}
    rules = (kinds._and_range, kinds._or_range, kinds._xor_range)
    for x, y in itertools.product(spans[::3], spans[::2]):
        results = [table[a, b] for a in range(x[0], x[1] + 1) for b in range(y[0], y[1] + 1)]
        word = kinds._word((x, y))
        for k, rule in enumerate(rules):
            low, high = rule(x, y)
            assert low <= min(r[k] for r in results), (rule, x, y)
            assert high >= max(r[k] for r in results), (rule, x, y)
        least, most = (-1 << word.width - 1, (1 << word.width - 1) - 1) if word.signed else (0, (1 << word.width) - 1)
        assert all(least <= r[0] <= most for r in results), (x, y)


def test_a_narrow_operand_makes_a_narrow_word():
    assert kinds._word(((-(2**40), 2**40), (0, 7))) == (3, False)
    assert kinds._word(((0, 2**40), (0, 255))) == (8, False)
    assert kinds._word(((0, 0), (-1, 0))) == (1, False)
    assert kinds._word(((-128, 127), (-1, 0))) == (8, True)


@pytest.mark.parametrize(
    ("operation", "attributes", "bounds", "message"),
    [
        ("popcount", {}, [(-1, 5)], r"count those of abs\(x\)"),
        ("shift_left_by", {}, [(0, 5), (-1, 3)], "clip the amount"),
        ("shift_left_by", {}, [(0, 5), (0, 63)], "clip the amount"),
        ("shift_left_by", {}, [(0, 5), (0, 60)], "declare narrower ranges"),
        ("shift_left", {"by": 60}, [(0, 5)], "declare narrower ranges"),
    ],
)
def test_what_ranges_cannot_prove(dry, operation, attributes, bounds, message):
    def of_one(x):
        return {"result": x.trace.record(operation, [x], **attributes)}

    def of_two(x, y):
        return {"result": x.trace.record(operation, [x, y], **attributes)}

    program, names = (of_one, "x") if len(bounds) == 1 else (of_two, "xy")
    with pytest.raises(UserError, match=message):
        dry(program, dict(zip(names, bounds, strict=True)), dict.fromkeys(names, INT), **dict.fromkeys(names, 4))


def test_only_integers(dry):
    with pytest.raises(UserError, match="take integers"):
        dry(lambda x: {"r": x.trace.record("bit_not", [x])}, {"x": (0, 9)}, {"x": fixed(8)}, x=2)
    with pytest.raises(UserError, match="it may be 0 to 62"):
        dry(lambda x: {"r": x.trace.record("shift_left", [x], by=63)}, {"x": (0, 9)}, {"x": INT}, x=2)
