"""What is known of rows, where two things are known of the same ones: the one that allows less counts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

import quorate as q
from quorate.coordination.aggregates import check_openings, lineage, proven
from quorate.coordination.lineage import Facts, Region, Strand, everywhere, tidy
from quorate.coordination.lineage_moves import reshaped
from quorate.coordination.lineage_step import Step
from quorate.errors import UserError
from quorate.lang.known import reference
from quorate.lang.plan import Plan
from quorate.lang.ranges import plan_ranges
from quorate.sharing.dtype import INT, fixed

ROWS = 100
COLUMNS = {"x": fixed(8), "y": fixed(8), "c": INT, "e": INT}

PLACE = Region(0, 0, 20)
ONE = Strand("d@1", "d", 5, PLACE, count=10, order=2, arranged=True)
OTHER = Strand("d@1", "d", 3, PLACE, count=20, running=True, weighed=True)


def test_of_two_strands_at_one_place_what_allows_less_counts() -> None:
    least = Strand("d@1", "d", 3, PLACE, count=10, order=0, arranged=False, running=True, weighed=True)
    assert tidy([ONE, OTHER]) == tidy([OTHER, ONE]) == {least}


def test_a_strand_elsewhere_is_kept_unless_one_of_no_known_place_rests_on_fewer_rows() -> None:
    lost = ONE.lost()
    few, many = (msgspec.structs.replace(lost, rows=rows) for rows in (1, 9))
    assert tidy([ONE, few]) == {few}
    assert tidy([ONE, many]) == {ONE, many}
    assert tidy([ONE, lost]) == {lost}


def test_too_many_strands_become_one_of_every_data_set() -> None:
    crowd = [ONE.at(Region(0, k, k + 2)) for k in range(30)]
    others = [Strand("e@1", "e", 7, Region(1, k, k + 2)) for k in range(3)]
    assert tidy([*crowd, *others]) == {ONE.lost(), Strand("e@1", "e", 7)}


def test_what_differs_by_choice_differs_along_every_axis_of_two_elements_or_more() -> None:
    assert everywhere((1, 2, 3)) == {Region(1, 0, 2), Region(2, 0, 3)}


def test_row_numbers_that_are_not_followed_any_more_were_chosen() -> None:
    assert Facts(ramps=frozenset({0})).scrambled((4,)).chosen == everywhere((4,))
    assert Facts().scrambled((4,)).chosen == frozenset()


def test_a_sum_after_a_choice_of_weights_is_of_one_row() -> None:
    assert ONE.picked().combined().rows == 5
    assert ONE.picked().weighed
    assert ONE.combined() == Strand("d@1", "d", 50)


def test_where_chosen_values_and_row_numbers_lie_once_a_matrix_is_flat() -> None:
    chosen = Facts(chosen=frozenset({Region(0, 4, 6)}))  # rows 4 and 5 differ, the three elements of a row do not
    assert reshaped(chosen, (10, 3), (30,)).chosen == {Region(0, 14, 16)}
    columns = reshaped(Facts(ramps=frozenset({1})), (10, 3), (30,))  # 0, 1, 2, 0, 1, 2, ...
    assert columns.chosen == {Region(0, 0, 30)}
    assert columns.ramps == frozenset()


# ---- plans, with the ranges that their values have


def traced(function: Callable[..., Any]) -> tuple[Any, dict[tuple[str, str], Facts]]:
    """The plan of a function, and what is known of its inputs: `me` is the author's own, others are data sets."""
    names = list(inspect.signature(function).parameters)
    rows = dict.fromkeys(names, ROWS)
    plan = q.computation(function).trace(dict.fromkeys(names, COLUMNS), rows).bind(rows)
    owners = {name: "analyst" if name == "own" else name for name in names}
    strand = {name: Strand(f"{name}@1", owner, 1, Region(0, 0, ROWS), ROWS) for name, owner in owners.items()}
    sources = {key: Facts(frozenset({strand[key[0]]})) for key in plan.inputs if key[0] != "me"}
    return plan, sources


def refused(function: Callable[..., Any], change: Callable[[Plan], Plan] = lambda plan: plan) -> set[str]:
    """The outputs that may not be opened; data sets called `own` are of the one who learns them."""
    plan, sources = traced(function)
    plan = change(plan)
    ranges = plan_ranges(plan, reference(), dict.fromkeys(plan.inputs, (0, 3)))
    known = lineage(plan, sources, ranges, reader="analyst")
    found = set()
    for name in plan.outputs:
        try:
            check_openings(plan, known, [name], "analyst", 10)
        except UserError:
            found.add(name)
    return found


def test_a_place_that_is_proven_to_be_one_and_the_same_is_no_decision_of_data() -> None:
    def at_places(d: Any) -> Any:
        ordered = q.sort(d.x)
        count = (d.y > 1).sum()
        chosen = q.clip(count, 3, 3)
        return {
            "chosen": (ordered * (q.row_numbers(d.x) == chosen)).sum(),
            "read": ordered[chosen],
            "of data": (ordered * (q.row_numbers(d.x) == count)).sum(),
        }

    assert refused(at_places) == {"chosen", "read"}


def test_weights_sorted_with_a_total_stay_weights() -> None:
    def sorted_weights(d: Any, me: Any) -> Any:
        table = q.sort_table({"k": me.c, "total": d.x.sum().broadcast_to((ROWS,))}, by="k")
        return {"sum": (table["k"] * d.y).sum(), "total": table["total"].sum()}

    assert "sum" in refused(sorted_weights)


def test_a_list_of_numbers_for_half_of_the_rows_may_be_read_by_codes() -> None:
    def prices(d: Any) -> Any:
        def total(size: int) -> Any:
            return (q.take(np.arange(size) ** 2.0, q.clip(d.c, 0, size - 1)) * d.x).sum()

        return {"few": total(ROWS // 2), "many": total(ROWS // 2 + 1)}

    assert refused(prices) == {"many"}


def test_what_an_unknown_kind_makes_may_have_been_chosen() -> None:
    plan, sources = traced(lambda d: {"x": d.x + d.y})
    known = lineage(plan, sources)
    step = Step(plan, len(plan.operations) - 1, known, {}, None, False, "")
    assert step.unknown().chosen == everywhere((ROWS,))


def test_bools_are_within_their_range_whatever_they_are_made_of() -> None:
    plan, sources = traced(lambda me: {"bool": me.x > 1, "sum": (me.x > 1).sum(), "number": me.x + 1})
    sure = proven(plan, sources)
    assert {name: sure[position] for name, position in plan.outputs.items()} == {
        "bool": True,
        "sum": True,
        "number": False,
    }


def test_rows_of_the_reader_do_not_count_beyond_a_quantile() -> None:
    def quantiles(d: Any, own: Any) -> Any:
        both = q.concatenate([d.x, own.x])
        return {"tail": q.quantile(both, 0.9), "middle": q.quantile(both, 0.5), "alone": q.quantile(d.x, 0.9)}

    assert refused(quantiles) == {"tail", "middle"}  # all values of `own` may lie on one side of those of d


def test_a_quantile_of_rows_that_are_not_sorted_is_a_row() -> None:
    def unsorted(plan: Plan) -> Plan:
        at = next(k for k, operation in enumerate(plan.operations) if operation.kind == "quantile")
        column = next(k for k, operation in enumerate(plan.operations) if operation.kind == "input")
        changed = replace(plan.operations[at], operands=(column,))
        return replace(plan, operations=(*plan.operations[:at], changed, *plan.operations[at + 1 :]))

    def median(d: Any) -> Any:
        return {"median": q.quantile(d.x, 0.5)}

    assert refused(median) == set()
    assert refused(median, unsorted) == {"median"}


def test_groups_by_two_keys_are_as_many_as_pairs_of_their_values() -> None:
    def groups(d: Any) -> Any:
        one = q.group_by({"c": d.c, "x": d.x}, by="c", size=4).agg(n="count")
        two = q.group_by({"c": d.c, "e": d.e}, by=["c", "e"], size=16).agg(n="count")
        return {"one": one["n"], "two": two["n"]}

    assert refused(groups) == {"two"}


def test_pieces_of_one_data_set_may_differ_as_the_author_likes() -> None:
    def pieces(a: Any, b: Any) -> Any:
        zero = a.y - a.y

        def from_row(k: int) -> Any:
            return q.concatenate([zero[:k], zero[k:] + 1])

        mask = from_row(50) - from_row(51)
        both = q.concatenate([a.x, b.x])
        return {"one row": (mask * a.x).sum(), "of two": (q.concatenate([a.y, b.y]) * both).sum()}

    assert refused(pieces) == {"one row"}
