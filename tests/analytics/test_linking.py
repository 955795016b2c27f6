"""Rows that belong together, against pandas.merge, under several protocols."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import quorate as q
from quorate.analytics.linking import link
from quorate.engine.simulate import simulate
from quorate.errors import UserError

PROTOCOLS = ["clear", "rep3", "shamir", "semi2k"]


def run(protocol, *frames, **options):
    """The linked frame, all of its rows; inputs are a, b, c, ..."""

    def program(**inputs):
        table = link(*inputs.values(), **options)
        return {name: table[name] for name in table}

    names = "abcdef"[: len(frames)]
    made = q.Computation(program, list(names))
    inputs = {
        name: {column: frame[column].to_numpy() for column in frame} for name, frame in zip(names, frames, strict=True)
    }
    return pd.DataFrame(made.simulate(protocol, **inputs))


def merged(*frames):
    """The same by pandas, in order of keys."""
    result = frames[0]
    for frame in frames[1:]:
        result = result.merge(frame, on="id")
    return result.sort_values("id").reset_index(drop=True)


def check(found, expected, rows):
    assert len(found) == rows
    valid = found["valid"].to_numpy()
    assert valid.tolist() == [True] * len(expected) + [False] * (rows - len(expected))
    pd.testing.assert_frame_equal(found[valid][expected.columns], expected, check_dtype=False, atol=2**-16)
    assert not found[~valid].to_numpy().any()


def frame(ids, **columns):
    made = {"id": np.array(ids, np.int64)}
    return pd.DataFrame(made | {name: np.array(values) for name, values in columns.items()})


def drawn(seed, left, right, universe):
    rng = np.random.default_rng(seed)
    pick = lambda n: rng.choice(universe, n, replace=False).astype(np.int64)  # noqa: E731
    return (
        frame(pick(left), cost=rng.normal(0, 100, left).round(2), young=rng.random(left) < 0.5),
        frame(pick(right), stay=rng.integers(-9, 99, right)),
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_as_pandas_merges(protocol):
    left, right = drawn(1, 23, 31, 50)
    expected = merged(left, right)
    assert 0 < len(expected) < 23
    check(run(protocol, left, right), expected, 23)


@pytest.mark.parametrize("protocol", ["rep3", "shamir"])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([1, 2, 3], [4, 5]),  # nobody in both
        ([5, 1, 3], [3, 5, 1]),  # everybody
        ([0, 7], [0]),  # the key 0, which empty rows have too
        ([-4, 4], [4, -4, 9]),
        ([], [1, 2]),
        ([1], []),
        ([], []),
        ([8], [8]),
        ([(1 << 57) + 1, (1 << 57) + 2], [(1 << 57) + 2, 5]),
    ],
)
def test_edges(protocol, left, right):
    one, other = frame(left, x=np.arange(len(left)) + 1.5), frame(right, y=np.arange(len(right)) + 10)
    check(run(protocol, one, other), merged(one, other), min(len(left), len(right)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_owners_and_a_size(protocol):
    frames = [
        frame([1, 2, 3, 4], x=[1, 2, 3, 4]),
        frame([4, 3, 2], y=[40, 30, 20]),
        frame([9, 2, 3, 4], z=[0, 5, 6, 7]),
    ]
    check(run(protocol, *frames), merged(*frames), 3)
    found = run(protocol, *frames, size=2)
    assert found["missed"].tolist() == [1, 1]
    check(found.drop(columns="missed"), merged(*frames)[:2], 2)
    roomy = run(protocol, *frames, size=20)
    assert roomy["missed"].tolist() == [0] * 20
    check(roomy.drop(columns="missed"), merged(*frames), 20)


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_a_key_that_occurs_twice_is_matched_once(protocol):
    left, right = frame([7, 3, 7], x=[1, 2, 3]), frame([7, 7, 5], y=[10, 20, 30])
    found = run(protocol, left, right)
    check(found, pd.DataFrame({"id": [7], "x": [3], "y": [10]}), 3)


def test_only_one_side_twice_gives_no_false_match():
    check(run("rep3", frame([7, 7], x=[1, 2]), frame([8, 8], y=[1, 2])), pd.DataFrame({"id": [], "x": [], "y": []}), 2)


def test_names():
    left, right = frame([1, 2], x=[1, 2]), frame([2, 3], x=[5, 6])
    found = run("clear", left, right, suffixes=["_left", "_right"])
    check(found, merged(left.rename(columns={"x": "x_left"}), right.rename(columns={"x": "x_right"})), 2)
    for frames, options, says in [
        ((left, right), {}, "two columns 'x'; give suffixes"),
        ((left, right), {"suffixes": ["_a"]}, "1 suffixes for 2 tables"),
        ((left,), {}, "two tables or more"),
        ((left, right), {"on": "key"}, "table 1 of link has no column 'key'"),
        ((left, frame([1], y=[1]).astype({"id": float})), {}, "the key 'id' of table 2 is fixed"),
        ((left, frame([1], valid=[True])), {}, "two columns 'valid'"),
        ((left, frame([1], y=[2])), {"size": -1}, "size -1"),
    ]:
        with pytest.raises(UserError, match=says):
            run("clear", *frames, **options)


def test_row_counts_may_be_unknown_until_the_session_starts():
    @q.computation
    def matched(a, b):
        table = link(a, b)
        return {"n": table.valid.sum(), "cost": (table.cost * table.valid).sum()}

    plan = matched.trace({"a": {"id": q.INT, "cost": q.INT}, "b": {"id": q.INT, "y": q.INT}})
    for rows in ({"a": 3, "b": 5}, {"a": 5, "b": 0}, {"a": 0, "b": 2}, {"a": 0, "b": 0}):
        assert plan.bind(rows).outputs.keys() == {"n", "cost"}
    inputs = {"a": {"id": [3, 1], "cost": [5, 7]}, "b": {"id": [2, 1, 4], "y": [0, 0, 0]}}
    assert matched.simulate(**inputs)["cost"] == 7


def test_ranges_of_columns_stay_their_own():
    """The result of a column must not be taken for as wide as that of another owner."""

    def program(a, b):
        table = link(a, b)
        assert table.small.limits[1] <= 8
        assert table.large.limits[1] >= 2**39
        return {"z": table.small.sum(), "n": table.valid.sum()}

    a = {"id": np.array([1, 2]), "small": np.array([3, 7])}
    b = {"id": np.array([1, 2]), "large": np.array([3, 1 << 39])}
    assert q.computation(program).simulate("rep3", a=a, b=b)["z"] == 10


@pytest.mark.parametrize("protocol", ["rep3", "shamir"])
def test_rounds_and_bytes_depend_on_row_counts_alone(protocol, monkeypatch):
    seen = []

    def watched(programs):
        parties = simulate(programs)
        seen.append([(party.rounds, dict(party.sent)) for party in parties])
        return parties

    monkeypatch.setattr("quorate.lang.simulation.simulate", watched)
    for right in ([1, 2, 3, 4], [11, 12, 13, 14], [1, 1, 1, 1]):
        run(protocol, frame([1, 2, 3, 4, 15], x=[1, 2, 3, 4, 5]), frame(right, y=[1, 2, 3, 4]))
    assert seen[0] == seen[1] == seen[2]
