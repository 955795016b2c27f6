"""Names of categories: public, kept while rows only move, and lost where values change."""

from __future__ import annotations

import numpy as np
import pytest

import quorate as q
from quorate.errors import UserError
from quorate.lang.array import Trace
from quorate.lang.known import Known, reference
from quorate.sharing.dtype import INT

WARDS = ("surgery", "medicine", "maternity")


@pytest.fixture
def table():
    columns = ("ward", "other", "turned", "days")
    known = Known({("stays", name): (0, 2) for name in columns}, {"stays": 6}, reference())
    known.categories |= {
        ("stays", "ward"): WARDS,
        ("stays", "other"): ("a", "b", "c"),
        ("stays", "turned"): WARDS[::-1],
    }
    trace = Trace("test", known)
    return {name: trace.input("stays", name, INT, 6) for name in columns}


def test_they_follow_rows_that_move(table):
    ward = table["ward"]
    moved = [
        ward,
        ward[2:],
        ward.reshape(2, 3),
        q.sort(ward),
        q.concatenate([ward, ward]),
        q.concatenate([ward, q.zeros_like(ward)])[:4],
        q.sort_table(table, "days")["ward"],
        q.merge(table, table, "days")["ward"],
        q.compact(table["days"] > 1, table).rows["ward"],
        q.shuffle(table)["ward"],
        q.group_by(table, by="ward").count()["ward"],
        q.analytics.link(table, {"days": table["days"], "more": ward}, on="days")["more"],
    ]
    assert [one.categories for one in moved] == [WARDS] * len(moved)


def test_what_is_computed_has_none(table):
    ward, days = table["ward"], table["days"]
    computed = [days, ward + 1, ward == 1, q.concatenate([ward, days]), q.column_stack([ward, table["other"]])]
    grouped = q.group_by(table, by="ward").agg(n="count", least=("other", "min"))
    assert [one.categories for one in (*computed, grouped["n"], grouped["least"], q.sort(days))] == [None] * 8


def test_arrays_of_which_nothing_is_known_have_none():
    trace = Trace("test")
    assert trace.input("stays", "ward", INT, 3).categories is None


def test_differing_lists_are_not_put_below_each_other(table):
    with pytest.raises(UserError, match="surgery, medicine, maternity, another a, b, c, so their codes differ"):
        q.concatenate([table["ward"], table["other"]])


@pytest.mark.parametrize(
    "meet",
    [
        lambda a, b: a == b,
        lambda a, b: a != b,
        lambda a, b: a < b,
        lambda a, b: a >= b,
        q.maximum,
        q.isin,
        lambda a, b: q.where(a == 1, a, b),
        lambda a, b: q.merge({"k": a}, {"k": b}, "k"),
        lambda a, b: q.analytics.link({"k": a}, {"k": b}, on="k"),
        q.analytics.accuracy_score,
        q.analytics.confusion_matrix,
    ],
)
def test_codes_of_differing_lists_do_not_meet(table, meet):
    meet(table["ward"], table["ward"])
    meet(table["ward"], table["days"])
    for other in ("other", "turned"):
        with pytest.raises(UserError, match="so their codes differ; owners agree on one list in one order"):
            meet(table["ward"], table[other])


def test_the_same_texts_in_another_order_are_called_that(table):
    with pytest.raises(UserError, match="another maternity, medicine, surgery, the same in another order, so"):
        table["ward"] == table["turned"]  # noqa: B015


def test_codes_are_asked_for_by_astype(table):
    ward = table["ward"]
    assert ward.astype(int).categories is None
    assert ward.astype(int).limits == (0, 2)
    assert ward.categories == WARDS
    assert table["days"].astype(int).position == table["days"].position


def test_comparisons_take_texts(table):
    ward = table["ward"]
    assert (ward == " Medicine").position == (ward == 1).position
    assert (ward != "maternity").position == (ward != 2).position
    assert q.isin(ward, ["surgery", "maternity"]).position == q.isin(ward, [0, 2]).position
    assert (ward == np.array("medicine")).position == (np.array(1) == ward).position
    with pytest.raises(UserError, match="'legal' is none of the categories surgery, medicine, maternity"):
        ward == "legal"  # noqa: B015
    with pytest.raises(UserError, match=r"'surgery' is a text, and .* has no categories"):
        table["days"] == "surgery"  # noqa: B015
