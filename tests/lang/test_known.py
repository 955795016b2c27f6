"""Ranges that are known while a computation is being written down, and results of several parts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import quorate as q
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.known import Known, reference
from quorate.lang.result import Result
from quorate.sharing.dtype import INT, fixed


def _seen(function, inputs, bounds, rows, protocol="clear"):
    found = {}

    @q.computation
    def watched(a):
        found.update(function(a))
        return {"total": a.sum()}

    watched.trace(inputs, known=Known(bounds, rows, reference(protocol)))
    return found


def test_limits_follow_declared_ranges_and_the_most_rows():
    bounds = {("a", "value"): (-8, 20)}
    watched = {"a": INT}, bounds, {"a": 10}
    found = _seen(lambda a: {"x": a.limits, "sum": a.sum().limits, "product": (a * a).limits}, *watched)
    assert found == {"x": (-8.0, 20.0), "sum": (-80.0, 200.0), "product": (0.0, 400.0)}


def test_limits_are_in_real_units():
    bounds = {("a", "value"): (0, 3 << 4)}
    assert _seen(lambda a: {"x": a.limits}, {"a": fixed(4)}, bounds, {"a": 5})["x"] == (0.0, 3.0)


def test_a_range_that_is_not_declared_is_named():
    with pytest.raises(UserError, match="no range is declared for column 'value' of input 'a'"):
        _seen(lambda a: {"x": a.limits}, {"a": INT}, {}, {"a": 5})


def test_without_known_ranges_limits_are_refused_with_advice():
    @q.computation
    def asks(a):
        return {"x": a.limits}

    with pytest.raises(UserError, match=r"give bounds to Computation\.trace"):
        asks.trace({"a": INT})


def test_what_does_not_fit_is_refused_while_recording():
    bounds = {("a", "value"): (0, 1 << 40)}
    with pytest.raises(UserError, match="may reach"):
        _seen(lambda a: {"x": (a * a).limits}, {"a": INT}, bounds, {"a": 1})


def test_simulate_knows_the_ranges_of_its_data():
    @q.computation
    def scaled(a):
        _, high = a.limits
        return {"x": a * (1.0 / high)}

    assert scaled.simulate(a=np.array([1.0, 2.0, 3.0]))["x"][-1] == pytest.approx(0.75, abs=1e-3)  # of at most 4


class _Pair(Result):
    def __init__(self, x: SecretArray) -> None:
        self.x = x

    def parts(self) -> Mapping[str, SecretArray]:
        return {"total": self.x.sum(), "largest": self.x.max()}


class _Mean(_Pair):
    """Of the first part; and a public fact."""

    def __init__(self, x: SecretArray) -> None:
        super().__init__(x)
        self.rows = x.shape[0]

    def finished(self, values):
        return values["total"] / self.rows, self.rows


@q.computation
def _both(a):
    return {"pair": _Pair(a), "mean": _Mean(a), "rows": a.shape[0]}


def test_a_result_of_several_parts_gives_an_output_for_each_and_is_finished():
    assert sorted(_both.trace({"a": INT}).outputs) == [
        "mean.largest", "mean.total", "pair.largest", "pair.total", "rows"
    ]  # fmt: skip
    found = _both.simulate(a=np.array([3, 1, 2]))
    assert found == {"pair": {"total": 6, "largest": 3}, "mean": (2, 3), "rows": 3}


def test_a_part_and_a_result_of_its_name_do_not_replace_each_other():
    twice = q.computation(lambda a: {"m": _Mean(a), "m.total": a.sum()})
    with pytest.raises(UserError, match=r"returns 'm.total' twice"):
        twice.trace({"a": INT})


def test_rows_that_were_not_known_while_recording_are_known_to_finished_results():
    made = _both.traced({"a": INT})
    opened = {"mean.total": 10, "mean.largest": 4, "pair.largest": 4}
    assert made.finished(opened, {"a": 5}) == {"mean": (2, 5), "pair": {"largest": 4}}
    assert made.finished(opened, {"a": 2})["mean"] == (5, 2)


def test_reveal_is_for_interactive_sessions():
    @q.computation
    def opens(a):
        return {"x": a.sum().reveal()}

    with pytest.raises(UserError, match="in a computation, return the value"):
        opens.trace({"a": INT})


def test_a_public_number_over_a_row_count_waits_for_the_count():
    @q.computation
    def share(a):
        return {"x": a.trace.constant(3.0, fixed(16)) / a.shape[0]}

    plan = share.trace({"a": INT})
    assert plan.bind({"a": 4}).operations[-1].attributes["divisor"] == 4
