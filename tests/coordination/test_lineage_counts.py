"""How many rows lie among some elements of a sorted column: what lies at the same positions counts once."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from tests.coordination.test_aggregates import LEAST, ROWS, assert_all, judged, refusals, rests, traced

import quorate as q
from quorate.coordination.aggregates import lineage
from quorate.coordination.lineage import Facts, Region, Strand
from quorate.coordination.lineage_moves import reshaped
from quorate.lang.operations.base import Bounds

WHOLE = Region(0, 0, ROWS)


def test_data_sets_at_the_same_positions_are_no_more_elements():
    def both(d, e):
        added, pooled = q.sort(d.x + e.x), q.sort(q.concatenate([d.x, e.x]))
        return {
            "smallest": added[:1].sum(),
            "middle": added[50:51].sum(),
            "few of the largest": added[1 - LEAST :].sum(),
            "end": q.quantile(d.x + e.x, 0.0),
            "tail": q.quantile(d.x + e.x, 0.05),
            "with nothing": q.quantile(d.x + (e.x > 1000).astype(q.int64), 0.0),
            "top": q.topk(d.x + e.x, 1)[0].sum(),
            "smallest of the smallest": pooled[: 2 * LEAST][:1].sum(),
            "end of the smallest": q.quantile(pooled[: 2 * LEAST], 0.0),
            "few of the smallest": pooled[: 2 * LEAST][: LEAST - 1].sum(),
        }

    assert_all(judged(both), fine=False)

    def many(d, e):
        added, pooled = q.sort(d.x + e.x), q.sort(q.concatenate([d.x, e.x]))
        return {
            "largest": added[-LEAST:].sum(),
            "tail": q.quantile(d.x + e.x, 0.1),
            "top": q.topk(d.x + e.x, LEAST)[0].sum(),
            "smallest of the smallest": pooled[: 2 * LEAST][:LEAST].sum(),
            "median": q.median(q.concatenate([d.x, e.x])),
        }

    assert_all(judged(many), fine=True)


def test_own_values_take_places_that_two_data_sets_do_not_fill():
    def filled(d, e):
        values = q.concatenate([d.x[:50] + e.x[:50], np.full(50, -100.0)])
        return {
            "one row": q.sort(values)[:51].sum(),
            "top": q.topk(-values, 51)[0].sum(),
            "median": q.quantile(values, 0.5),
        }

    assert_all(judged(filled), fine=False)


def test_a_data_set_has_no_more_rows_than_it_has():
    def of_one_row(d, e):
        values = q.concatenate([d.x[:1] * 100, e.x])
        return {
            "top": q.topk(values, LEAST)[0].sum(),
            "end": q.sort(values)[-LEAST:].sum(),
            "median": q.median(values),
        }

    found = judged(of_one_row)
    assert_all(found, fine=False)
    assert all("data set 'd'" in why for why in found.values())

    def of_many(d, e):
        values = q.concatenate([d.x[:LEAST], e.x])
        return {"top": q.topk(values, LEAST)[0].sum(), "end": q.sort(values)[-LEAST:].sum(), "median": q.median(values)}

    assert_all(judged(of_many), fine=True)


def test_a_few_groups_do_not_have_the_rows_of_all():
    def totals(d):
        def groups(size):
            return q.group_by({"k": d.c, "x": d.x}, by="k", size=size).agg(total=("x", "sum"))

        return {
            "one": groups(1)["total"].sum(),
            "key": groups(1)["k"].sum(),
            "few": groups(LEAST - 1)["total"].sum(),
            "smallest": q.sort(groups(LEAST)["total"])[:1].sum(),
            "enough": groups(LEAST)["total"].sum(),
        }

    plan = traced(totals)
    sources = dict.fromkeys(plan.inputs, rests(Strand("d@1", "d", 1, WHOLE, ROWS)))
    ranges: list[Bounds] = [(0, ROWS - 1)] * len(plan.operations)  # as many groups as rows
    assert refusals(plan, lineage(plan, sources, ranges)) == ["one", "key", "few", "smallest"]


def pooled_tail(a: Any, b: Any) -> dict[str, Any]:
    values = q.concatenate([a.x, b.x])
    return {"median": q.median(values), "ends": q.sort(values)[:LEAST].sum(), "top": q.topk(values, LEAST)[0].sum()}


@pytest.mark.parametrize(
    ("source", "owner", "fine"), [("d@2", "d", False), ("d@1", "d", False), ("e@1", "d", True), ("d@1", "e", True)]
)
def test_versions_of_a_data_set_hold_the_same_rows(source, owner, fine):
    plan = traced(pooled_tail)
    strands = {"a": Strand("d@1", "d", 1, WHOLE, ROWS), "b": Strand(source, owner, 1, WHOLE, ROWS)}
    sources = {key: rests(strands[key[0]]) for key in plan.inputs}
    assert refusals(plan, lineage(plan, sources)) == ([] if fine else ["median", "ends", "top"])


@pytest.mark.parametrize(
    ("spans", "elements"),
    [
        ([(0, 60), (40, 100), (60, 100)], 100),  # the first and the last have no position in common
        ([(0, 60), (50, 100)], 60),
        ([(0, 20), (10, 30), (25, 50)], 45),
        ([(0, 10), (0, 90), (80, 100)], 90),
        ([(0, 100), (0, 100)], 100),
    ],
)
def test_of_spans_with_positions_in_common_one_counts(spans, elements):
    strands = [Strand(f"{k}@1", "d", 1, Region(0, *span), span[1] - span[0]) for k, span in enumerate(spans)]
    beside = Strand("flat@1", "d", ROWS)  # rests on the same everywhere
    plan = traced(lambda d: {"x": q.sort(d.x)})
    known = lineage(plan, {("d", "x"): Facts(frozenset([*strands, beside]))})[plan.outputs["x"]]
    assert {strand.padding for strand in known.strands if strand.place} == {ROWS - elements}


def test_values_that_are_repeated_are_sorted_no_more():
    strand = Strand("d@1", "d", 1, WHOLE, ROWS).sorted(0)
    column = reshaped(Facts(frozenset({strand})), (ROWS,), (ROWS, 1))
    assert column.strands == {strand}
    flat = reshaped(column, (ROWS, 5), (ROWS * 5,))
    assert flat.strands == {msgspec.structs.replace(strand, place=Region(0, 0, ROWS * 5), order=0)}

    def repeated(d):
        ordered = q.sort(d.x).reshape(ROWS, 1).broadcast_to((ROWS, 15)).reshape(-1)
        return {"smallest": ordered[:15].sum(), "end": q.quantile(ordered, 0.05)}

    assert_all(judged(repeated), fine=False)


def test_running_extremes_are_one_row_many_times():
    def running(d, e):
        whole = np.zeros(ROWS, bool)
        return {
            "largest": d.x.record("cummax", axis=0)[-LEAST:].sum(),
            "smallest": d.x.record("cummin", axis=0).sum(),
            "largest of runs": q.segmented_scan(d.x, e.x > 3, "max").sum(),
            "first": q.segmented_scan(d.x, whole, "first").sum(),
        }

    assert_all(judged(running), fine=False)

    def sums(d, e):
        columns = q.stack([d.x, d.y], axis=1)
        return {
            "sums": d.x.cumsum()[-LEAST:].sum(),
            "first of runs": q.segmented_scan(d.x, e.x > 3, "first").sum(),
            "of columns": columns.record("cummax", axis=1).sum(axis=0),
        }

    assert_all(judged(sums), fine=True)


def test_a_row_number_may_be_nothing():
    def numbered(d):
        return {
            "few": (d.x[:LEAST] * q.row_numbers(d.x[:LEAST])).sum(),
            "enough": (d.x[: LEAST + 1] * q.row_numbers(d.x[: LEAST + 1])).sum(),
            "added": (d.x[:LEAST] + q.row_numbers(d.x[:LEAST])).sum(),
        }

    assert [name for name, why in judged(numbered).items() if why] == ["few"]
