"""What may be shared, with categories, and how a session says what may not."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import quorate as q
from quorate.errors import DataError, QuorateError, UserError

WARDS = ["surgery", "medicine", "maternity"]
TEXTS = ["medicine", "surgery", "medicine"]


@pytest.fixture
def net():
    with q.simulate(protocol="clear") as session:
        yield session


@pytest.mark.parametrize(
    ("data", "categories"),
    [
        ({"ward": pd.Categorical(TEXTS, WARDS)}, None),
        (pd.DataFrame({"ward": pd.Categorical(TEXTS, WARDS)}), None),
        (pl.DataFrame({"ward": TEXTS}, schema={"ward": pl.Enum(WARDS)}), None),
        (pd.DataFrame({"ward": [" Medicine", "SURGERY", "medicine"]}), {"ward": WARDS}),
        (pa.table({"ward": TEXTS}), {"ward": WARDS}),
        ({"ward": [1, 0, 1]}, {"ward": WARDS}),
        ({"ward": np.array([1.0, 0.0, 1.0])}, {"ward": WARDS}),
    ],
    ids=["dictionary", "pandas", "polars", "texts", "arrow", "codes", "floats"],
)
def test_categories_become_codes_of_a_public_list(net, data, categories):
    ward = net.secret(data, categories=categories).ward
    assert ward.categories == tuple(WARDS)
    assert ward.limits == (0, 2)
    assert ward.reveal().tolist() == [1, 0, 1]
    assert (ward == "medicine").reveal().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("values", "listed"),
    [
        (np.array([1.0, 2.0, 3.0]), ["1", "2", "3", "4"]),
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], ["1.0", "2.0", "3.0"]),
        (pd.Categorical([1.0, 2.0, 3.0]), None),
    ],
)
def test_numbers_are_no_codes_where_categories_are_numbers(net, values, listed):
    found = net.secret({"k": values}, categories=None if listed is None else {"k": listed}).k
    assert [float(found.categories[code]) for code in found.reveal()] == [1, 2, 3]


def test_all_columns_that_cannot_be_shared_are_named_at_once(net):
    frame = pd.DataFrame({"a": [1, np.nan], "b": ["x", "y"], "c": pd.to_datetime(["2020-01-01"] * 2), "d": [1, 2]})
    with pytest.raises(DataError, match=r"3 columns of own .*\n  own\.a, row 1: .*\n  own\.b, .*\n  own\.c holds"):
        net.secret(frame, name="own")


def test_a_table_does_not_become_a_frame_of_its_names(net):
    table = net.secret({"a": [1, 2], "b": [3, 4]})
    for wrong in (pd.DataFrame, np.asarray):
        with pytest.raises(UserError, match=r"net\.frame\(table\)"):
            wrong(table)
    assert list(table) == ["a", "b"]


def test_a_single_column_of_categories(net):
    for given in (net.secret(TEXTS, categories=WARDS), net.secret(pd.Series(TEXTS).astype(pd.CategoricalDtype(WARDS)))):
        assert given.categories == tuple(WARDS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1.0, np.nan], "a, row 1: the value is nan; leave such rows out"),
        (pd.array([1, None], dtype="Int64"), "a, row 1: the value is nan"),
        (np.array([1, None], dtype=object), "a, row 1: a value is missing"),
        (pd.to_datetime(["2020-01-01"]), r"holds times \(datetime64\[ns\]\); share numbers, such as days"),
        ([datetime.date(2020, 1, 1)], "a, row 0: a date is no number"),
        (TEXTS, r"give categories=\{'a': \['medicine', 'surgery'\]\}, the same list for all owners"),
        (pd.Series([2, "x"]), "a, row 1: 'x' is a text, not a number"),
        ([[1, 2], [3]], "ragged"),
        (pl.Series(TEXTS, dtype=pl.Categorical), "is a text, not a number"),
        ([1j], "complex128, not numbers"),
        ([2**70], "of at most 64 bits"),
        (pd.Categorical(["x", None]), "a, row 1: a value is missing"),
    ],
    ids=[
        "nan",
        "pandas",
        "none",
        "times",
        "date",
        "texts",
        "mixed",
        "ragged",
        "polars",
        "complex",
        "large",
        "category",
    ],
)
def test_what_is_no_number(net, data, message):
    with pytest.raises(DataError, match=message):
        net.secret({"a": data}, name="own")
    assert net.secret([1], name="own").shape == (1,)  # what was refused takes no name


@pytest.mark.parametrize(
    ("data", "said", "message"),
    [
        (pd.DataFrame(), {}, "has no columns"),
        (pd.DataFrame({"a": []}), {}, "own.a has no rows"),
        (pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]), {}, "has 2 columns 'a'; rename them"),
        ({1: [1], "1": [2]}, {}, "has 2 columns '1'"),
        ({"a": [1], "b": [1, 2]}, {}, "differ in their number of rows"),
        ({"a": 1}, {}, "own.a is of type int; a column has one value per row"),
        (None, {}, "NoneType is no type of a column"),
        ([1], {"range": (0, "x")}, "is no pair of numbers"),
        ({"a": [1]}, {"range": {"b": (0, 1)}}, "range names the column 'b'; the columns are a"),
        ({"a": TEXTS}, {"categories": WARDS}, r"give a dictionary, such as \{'a': \[...\]\}"),
        ({"a": TEXTS}, {"categories": {"b": WARDS}}, "categories names the column 'b'"),
        ({"a": TEXTS}, {"categories": {"a": ["x", "X"]}}, "'X' is there twice|'x' is there twice"),
        ({"a": TEXTS}, {"categories": {"a": "medicine"}}, "is a list of texts"),
        ({"a": TEXTS}, {"categories": {"a": WARDS}, "range": (0, 1)}, "its range is that of the list"),
        (np.ones((2, 2)), {"categories": WARDS}, "categories belong to columns by name"),
        ({"a": TEXTS}, {"categories": {"a": ["medicine"]}}, "row 1: 'surgery' is none of the categories medicine"),
        ({"a": [0, 3]}, {"categories": {"a": WARDS}}, "row 1: 3 is none of the categories"),
        ({"a": [1, 0]}, {"categories": {"a": ["1", "2"]}}, "row 1: 0 is none of the categories 1, 2"),
        ({"a": [True]}, {"categories": {"a": ["no", "yes"]}}, "row 0: True is none of the categories"),
    ],
)
def test_what_does_not_fit(net, data, said, message):
    with pytest.raises(QuorateError, match=message):
        net.secret(data, name="own", **said)


def test_a_secret_is_not_shared_again(net):
    table = net.secret({"a": [1]})
    for secret in (table, table.a):
        with pytest.raises(UserError, match="is secret already"):
            net.secret(secret)


def test_labels_may_be_numbers(net):
    table = net.secret(pd.DataFrame([[1, 2], [3, 4]]))
    assert table.keys() == ["0", "1"]
    assert table["1"].reveal().tolist() == [2, 4]


def test_owners_have_one_list(net):
    first, second = net.secret(TEXTS, categories=WARDS), net.secret(TEXTS, categories=["medicine", "surgery"])
    with pytest.raises(UserError, match="owners agree on one list"):
        q.concatenate([first, second])


def test_tables_are_joined_by_their_rows(net):
    first = net.secret({"ward": TEXTS, "days": [1, 2, 3]}, categories={"ward": WARDS})
    second = net.secret({"days": [4], "ward": ["maternity"]}, categories={"ward": WARDS})
    joined = q.concatenate([first, second])
    assert joined.rows == 4
    assert net.frame(joined).to_dict("list") == {"ward": [*TEXTS, "maternity"], "days": [1, 2, 3, 4]}
    with pytest.raises(UserError, match=r"columns ward, days and days; take those that all have"):
        q.concatenate([first, second[["days"]]])
    for wrong in (lambda: q.concatenate([first, second.days]), lambda: q.concatenate([first, second], axis=1)):
        with pytest.raises(UserError, match="tables are joined with tables, by their rows"):
            wrong()


@pytest.mark.parametrize(
    "time",
    [
        pd.Timestamp("2026-06-01"),
        pd.Timestamp("2026-06-01", tz="UTC"),
        np.datetime64("2026-06-01"),
        datetime.date(2026, 6, 1),
        datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC),
        "2026-06-01",
    ],
)
def test_times_are_told_in_seconds(net, time):
    admitted = net.secret([1780272000, 0])
    for compared in (lambda: admitted >= time, lambda: admitted == time):
        with pytest.raises(UserError, match=r"compare them with 1780272000, which is int\(ts\.timestamp\(\)\)"):
            compared()
    assert (admitted >= 1780272000).reveal().tolist() == [True, False]


def test_what_is_no_time_gets_no_seconds(net):
    for other in (pd.NaT, "noon"):
        with pytest.raises(UserError, match="use numbers, bools or arrays of them"):
            net.secret([1]) >= other  # noqa: B015


def test_tables_complete_names_of_columns(net):
    table = net.secret({"ward": TEXTS, "two words": [1, 2, 3]}, categories={"ward": WARDS})
    assert "ward" in dir(table)
    assert "two words" not in dir(table)
    assert "surgery, medicine, maternity" in table._repr_html_()
    assert not hasattr(table, "wrad")
    with pytest.raises(UserError, match="did you mean 'ward'"):
        table.wrad  # noqa: B018


def test_tables_get_columns_by_assign(net):
    table = net.secret({"days": [1, 2], "cost": [10.0, 30.0]})
    more = table.assign(daily=table.cost / table.days, days=table.days + 1)
    assert more.keys() == ["days", "cost", "daily"]
    assert np.allclose(more.daily.reveal(), [10.0, 15.0], atol=1e-3)
    assert more.days.reveal().tolist() == [2, 3]
    assert table.keys() == ["days", "cost"]
    for wrong in ([1, 2], net.secret([1, 2, 3])):
        with pytest.raises(UserError, match="'x' is no secret column of 2 rows"):
            table.assign(x=wrong)
    with pytest.raises(UserError, match=r"write table = table\.assign\(cost=\.\.\.\)"):
        table["cost"] = table.days
    with pytest.raises(UserError, match=r"write table = table\.assign\(cost=\.\.\.\)"):
        table.cost = table.days


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("groupby", r"use quorate\.group_by\(table"),
        ("describe", r"quorate\.analytics\.describe"),
        ("head", r"its rows are secret; net\.frame\(table\) opens all of it"),
        ("reveal", r"its rows are secret; net\.frame\(table\) opens all of it"),
        ("mean", r"take a column first, such as table\['age'\]\.mean\(\)"),
    ],
)
def test_what_pandas_has_is_told_by_its_name_here(net, name, instead):
    table = net.secret({"age": [1, 2]})
    with pytest.raises(AttributeError, match=f"a secret table has no '{name}': .*{instead}"):
        getattr(table, name)


def test_functions_are_told_by_their_names(net):
    age = net.secret([1, 2])
    with pytest.raises(AttributeError, match=r"a secret array has no 'isin': use quorate\.isin\(x, \.\.\.\)"):
        age.isin  # noqa: B018
    with pytest.raises(UserError, match="X is a secret matrix or table, not a DataFrame"):
        q.analytics.LinearRegression().fit(pd.DataFrame({"a": [1]}), age)
    with pytest.raises(UserError, match="y is one secret value per row, not of type Series"):
        q.analytics.LinearRegression().fit(age, pd.Series([1, 2]))
