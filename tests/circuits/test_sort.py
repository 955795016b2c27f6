"""Sorting: right and stable for every kind of key on every protocol, at the counted cost, and silent about the keys."""

import itertools
from functools import partial

import numpy as np
import pytest

from quorate.circuits import order as ordering
from quorate.circuits import sort as sorting
from quorate.circuits.lexical import Key, comparable, fields_of, greater, packed, same, word_sizes
from quorate.circuits.order import order_of
from quorate.circuits.prices import Price
from quorate.circuits.radix import by_digits
from quorate.circuits.rank import pairs_bound, plan
from quorate.circuits.sort import sort
from quorate.circuits.top import _way, first_rows
from quorate.engine.network import LAN, Network
from quorate.errors import InternalError
from quorate.testing.circuit_conformance import check_circuit, run_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS, World

RANGES = [(0, 0), (-3, 4), (-1000, 1), (-(2**58), 2**58 - 1)]
WIDE = Network(40_000, 10**8)


def values(low, high, count, seed=1):
    """Values with edges and repetitions among them."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(low, high, count, endpoint=True)
    drawn[::3] = rng.choice([low, high], drawn[::3].shape)
    return drawn


def expected_order(*keys):
    return np.lexsort(keys[::-1])


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 70])
def test_sort_by_several_keys_with_payload(configuration, count):
    low, high = RANGES[2]
    k, b, v = values(low, high, count), values(0, 1, count).astype(bool), np.arange(2 * count).reshape(count, 2)
    o = expected_order(b, -k)

    def circuit(p, at, k, b, v):
        return sort(p, at, [Key(b, 0, 1), Key(k, low, high, descending=True)], [k, b, v])

    check_circuit(configuration, circuit, [k, b, v], [k[o], b[o], v[o]], opens=True)


@pytest.mark.parametrize(
    "configuration", [("clear", 1, 0), ("rep3", 3, 1), ("shamir", 3, 1), ("semi2k", 2, 1)], ids=str
)
@pytest.mark.parametrize("range_", RANGES, ids=str)
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable_at_all_edges(configuration, range_, descending):
    low, high = range_
    k = values(low, high, 40)
    o = np.argsort(-k if descending else k, kind="stable")

    def circuit(p, at, k):
        rows = p.public(np.arange(40))
        return sort(p, at, [Key(k, low, high, descending)], [k, rows])

    check_circuit(configuration, circuit, [k], [k[o], o], opens=range_ != (0, 0))


@pytest.mark.parametrize("configuration", [("rep3", 3, 1), ("semi2k", 2, 1)], ids=str)
def test_full_range_of_the_ring(configuration):
    limit = 2**62 - 1
    k = np.array([limit, -limit, 0, -1, 1, limit, -limit, limit - 1, 1 - limit])
    o = np.argsort(k, kind="stable")
    check_circuit(configuration, lambda p, at, k: sort(p, at, [Key(k, -limit, limit)], [k]), [k], [k[o]], opens=True)


@pytest.mark.parametrize("configuration", [("rep3", 3, 1), ("shamir", 3, 1)], ids=str)
def test_many_keys_take_several_words(configuration):
    rng = np.random.default_rng(2)
    columns = [rng.integers(-(2**57), 2**57, 30) for _ in range(3)]
    columns[0][:] = columns[0][0]
    columns[1][::2] = columns[1][0]
    o = expected_order(*columns)

    def circuit(p, at, *columns):
        return sort(p, at, [Key(c, -(2**57), 2**57) for c in columns], columns)

    check_circuit(configuration, circuit, columns, [c[o] for c in columns], opens=True)


def test_public_keys():
    """Alone they sort in the clear; beside a secret one they take part."""
    public, k = np.array([3, -1, 3, 0, -1]), np.array([5, 4, 1, 2, 4])
    o, both = np.argsort(public, kind="stable"), expected_order(public, k)
    check_circuit(
        ("rep3", 3, 1), lambda p, at, k: _silent(sort(p, at, [Key(public, -1, 3)], [k])), [k], [k[o]], opens=False
    )

    def circuit(p, at, k):
        return sort(p, at, [Key(public, -1, 3), Key(k, 1, 5)], [k])

    check_circuit(("rep3", 3, 1), circuit, [k], [k[both]], opens=True)


def _silent(step):
    """Fails if the step communicates."""
    try:
        request = step.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError(f"{request} was asked for")
    yield


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize(("width", "digit"), [(1, 1), (3, 2), (5, 3)])
def test_digits(configuration, width, digit):
    k = values(0, 2**width - 1, 50)
    o = np.argsort(k, kind="stable")

    def circuit(p, at, k):
        fields = yield from fields_of(p, at.child("keys"), [Key(k, 0, 2**width - 1)])
        words, rows = yield from by_digits(p, at.child("sort"), packed(fields)[0], width, digit, [k])
        opened = p.public(np.arange(50) - 10)
        return [rows[0], p.sub(opened, opened)] if words.shape == (50,) else []

    check_circuit(configuration, circuit, [k], [k[o], np.zeros(50)], opens=True)


def test_digits_are_chosen_for_short_keys_and_comparisons_for_long_ones():
    def program(p, at):
        yield from ()
        return [sorting._best_digit(p, 100_000, width, ((0, ()),)) for width in (1, 2, 40)]

    one, two, forty = World("rep3").run(program).values[0]
    assert one == 1
    assert two in (1, 2)
    assert forty == 0


# -- comparisons of words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize("widths", [(3,), (9,), (40,), (58, 10), (58, 50, 58, 40)], ids=str)
def test_comparisons_of_packed_keys(configuration, widths):
    """Every pair of keys that differ in one bit, or in all."""
    rng = np.random.default_rng(3)
    base = [rng.integers(0, 2**width, 6) for width in widths]
    columns = [np.concatenate([c, c ^ (1 << (w - 1)), c ^ 1]) for c, w in zip(base, widths, strict=True)]
    rows = list(zip(*(c.tolist() for c in columns), strict=True))
    pairs = [(a, b) for a, b in itertools.permutations(range(len(rows)), 2) if rows[a] != rows[b]]
    left, right = (np.array(side, np.int32) for side in zip(*pairs, strict=True))

    def circuit(p, at, *columns):
        keys = [Key(c, 0, 2**width - 1) for c, width in zip(columns, widths, strict=True)]
        fields = yield from fields_of(p, at.child("fields"), keys)
        words = packed(fields)
        assert [word.width for word in words] == word_sizes(sum(widths))
        opened = yield from greater(p, at.child("greater"), comparable(p, words), left, right, range(p.parties))
        side = [[word.map(partial(np.take, indices=i)) for word in words] for i in (left, right)]
        equal = yield from same(p, at.child("same"), *side)
        if opened is None:
            opened = p.session.blank(left.shape, np.uint8)
        return [p.public_bits(opened), equal]

    larger = np.array([rows[a] > rows[b] for a, b in pairs])
    check_circuit(configuration, circuit, columns, [larger, np.zeros(len(pairs))], opens=True)


# -- the plan ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [LAN, WIDE], ids=str)
def test_plans_hang_together(network):
    for rows in (0, 1, 2, 3, 100, 1023, 1024, 10**4, 10**6, 2**20):
        levels = plan(rows, Price(6, 256 * 16), network)
        before = 0
        for level in levels:
            assert level.before == before == (1 << sum(level.digits)) - 1
            before = level.after
        assert before == (rows if rows > 1 else 0)


def test_distance_decides_between_rounds_and_bytes():
    near, far = (plan(1000, Price(6, 256 * 16), network) for network in (LAN, WIDE))
    assert sum(level.steps for level in far) <= 3 < sum(level.steps for level in near)
    million = plan(10**6, Price(6, 256 * 16), LAN)
    assert sum(level.comparisons for level in million) < 10**6 * 20.5


@pytest.mark.parametrize(("before", "after"), [(1, 3), (7, 63), (63, 500), (1023, 4095), (4095, 5000)])
def test_gaps_never_hold_more_pairs_than_the_bound(before, after):
    """Far from it: 1000 draws of an event of probability 2**-45, and the bound is no wild guess either."""
    rng, most = np.random.default_rng(4), 0
    for _ in range(1000):
        sample = np.sort(rng.choice(after, before, replace=False))
        sizes = np.diff(np.concatenate([[-1], sample, [after]])) - 1
        most = max(most, int((sizes * (sizes - 1) // 2).sum()))
    bound = pairs_bound(before, after)
    assert most <= bound <= (after - before) * (after - before - 1) // 2
    if before > 1000:
        assert bound < 3 * most


def test_too_many_pairs_stop_the_run():
    """Rows that are not in random order, and all fall into one gap."""
    k = np.concatenate([np.arange(4096), np.full(2000, 2000)]) * 2**20 + np.arange(6096)

    def circuit(p, at, k):
        fields = yield from fields_of(p, at.child("keys"), [Key(k, 0, 2**40)])
        order = yield from order_of(p, at.child("order"), comparable(p, packed(fields)), 6096)
        return p.public(order.astype(np.int64))

    with pytest.raises(InternalError, match="run the computation again"):
        run_circuit(("clear", 1, 0), circuit, k, opens=True)


# -- the first few -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize(("count", "k"), [(1, 1), (5, 0), (5, 5), (60, 3)])
def test_first_rows(configuration, count, k):
    v = values(-50, 50, count)
    o = np.argsort(-v, kind="stable")[:k]

    def circuit(p, at, v):
        return first_rows(p, at, [Key(v, -50, 50, descending=True)], [v, p.public(np.arange(count))], k)

    check_circuit(configuration, circuit, [v], [v[o], o], opens=k > 0 and count > 1)


@pytest.mark.parametrize("configuration", [("rep3", 3, 1), ("semi2k", 2, 1)], ids=str)
@pytest.mark.parametrize("same", [False, True])
def test_first_rows_of_many(configuration, same):
    v = np.full(6000, 7) if same else values(-(2**40), 2**40, 6000)
    o = np.argsort(v, kind="stable")[:4]

    def circuit(p, at, v):
        return first_rows(p, at, [Key(v, -(2**40), 2**40)], [v, p.public(np.arange(6000))], 4)

    outcome = check_circuit(configuration, circuit, [v], [v[o], o], opens=True)
    everything = run_circuit(configuration, lambda p, at, v: sort(p, at, [Key(v, -(2**40), 2**40)], [v]), v, opens=True)
    assert sum(outcome.bytes_sent) < sum(everything[1].bytes_sent)


def test_the_bar_leaves_enough_rows_and_not_too_many():
    for rows, sample, count in ((10**6, 8191, 10), (10**4, 255, 5), (10**6, 2**14 - 1, 1000)):
        way = _way(rows, sample, count)
        assert way is not None
        assert count < way.room < rows
        found = np.random.default_rng(5).negative_binomial(way.rank, sample / rows, 10_000) + way.rank - 1
        assert count <= found.min()
        assert found.max() <= way.room


@pytest.mark.parametrize("rows", [300, 6000, 10**5, 10**6])
def test_every_way_has_room_for_what_is_usual(rows):
    for percent in (1, 2, 5, 10, 20, 30, 45, 60, 75, 90, 99):
        count = max(1, rows * percent // 100)
        for bits in range(2, min(rows.bit_length(), 16)):
            sample = (1 << bits) - 1
            way = _way(rows, sample, count)
            if way is not None:
                usual = way.rank * (rows - sample) / (sample + 1) + way.rank - 1
                assert count < usual < way.room


def test_most_of_the_rows():
    v = values(-(2**40), 2**40, 3000)
    o = np.argsort(v, kind="stable")[:2250]
    check_circuit(
        ("rep3", 3, 1),
        lambda p, at, v: first_rows(p, at, [Key(v, -(2**40), 2**40)], [v], 2250),
        [v],
        [v[o]],
        opens=True,
    )


# -- what is opened ----------------------------------------------------------------------------------------------------


def openings_of(keys, seed):
    """All outcomes that a sort opens, and the sizes of all messages."""
    seen, sizes = [], []

    def intercept(sender, receiver, name, body):
        sizes.append((sender, receiver, len(body)))
        return body

    def program(p, at):
        k = yield from p.input(at.child("in"), 0, keys.shape, keys if p.me == 0 else None)
        if p.me == 0:
            inner = p.and_open

            def watched(*arguments, **options):
                opened = yield from inner(*arguments, **options)
                seen.append(opened.copy())
                return opened

            p.and_open = watched
        yield from sort(p, at.child("sort"), [Key(k, 0, 2**30)], [k])

    World("rep3", seed=seed, intercept=intercept).run(program)
    return seen, sizes


def test_what_is_opened_does_not_depend_on_the_keys():
    """The opened outcomes of all-equal and of distinct keys are those of a uniformly random order of four rows."""
    columns = [np.zeros(4, np.int64), np.array([9, 1, 4, 2**29])]
    counts = [{}, {}]
    sizes = set()
    runs = 240
    for seed in range(runs):
        for k, keys in enumerate(columns):
            seen, messages = openings_of(keys, seed)
            outcomes = tuple(np.concatenate([part.reshape(-1) for part in seen]).tolist())
            counts[k][outcomes] = counts[k].get(outcomes, 0) + 1
            sizes.add(tuple(messages))
    assert len(sizes) == 1
    for found in counts:
        assert len(found) == 24  # one pattern per order
        chi = sum((n - runs / 24) ** 2 / (runs / 24) for n in found.values())
        assert chi < 62.2  # 23 degrees of freedom: exceeded once in 50 000; the seeds are fixed


def test_messages_of_a_long_sort_do_not_depend_on_keys():
    rng = np.random.default_rng(6)
    every = {tuple(openings_of(keys, 1)[1]) for keys in (np.zeros(700, np.int64), rng.integers(0, 2**30, 700))}
    assert len(every) == 1


def test_tiles(monkeypatch):
    """Searches and gaps in many tiles give the same."""
    monkeypatch.setattr(ordering, "TILE", 2048)
    k = values(-1000, 1000, 500)
    o = np.argsort(k, kind="stable")
    check_circuit(("rep3", 3, 1), lambda p, at, k: sort(p, at, [Key(k, -1000, 1000)], [k]), [k], [k[o]], opens=True)
