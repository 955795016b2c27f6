"""Opened results as tables that know where they come from."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import quorate as q
from quorate import __version__
from quorate.analytics.opened import Fitted
from quorate.errors import UserError


@pytest.fixture
def net():
    with q.simulate(protocol="rep3", seed=5) as session:
        yield session


def test_a_frame_of_named_results_is_opened_in_one_run_and_knows_it(net):
    x = net.secret({"pay": np.array([1.5, 2.5, 4.0]), "age": np.array([30, 40, 50])})
    frame = net.frame(mean=x.pay.mean(), oldest=x.age.max())
    assert frame.to_dict("records") == [{"mean": pytest.approx(8 / 3, abs=1e-5), "oldest": 50}]
    (run,) = frame.attrs["quorate"]
    assert run["session"] == net.last_run.session
    assert run["plan"] == net.last_run.plan
    assert (run["protocol"], run["parties"], run["software"]) == ("rep3", list(net.backend.parties), __version__)
    assert (run["rounds"], run["bytes_sent"]) == (net.last_run.rounds, net.last_run.bytes_sent)


def test_rows_of_a_grouped_table_that_do_not_count_are_left_out(net):
    stays = net.secret({"ward": np.array([2, 1, 2, 2]), "days": np.array([3.0, 5.0, 4.0, 8.0])})
    frame = net.frame(q.group_by(stays, by="ward", size=3).agg(n="count", days=("days", "sum")))
    assert frame.columns.tolist() == ["ward", "n", "days"]
    assert frame.to_numpy().tolist() == [[1, 1, 5], [2, 3, 15]]


def test_groups_that_had_no_room_stay_visible(net):
    stays = net.secret({"ward": np.array([2, 1, 3]), "days": np.array([3, 5, 4])})
    frame = net.frame(q.group_by(stays, by="ward", size=2).agg(n="count"))
    assert frame["missed"].tolist() == [1, 1]


def test_single_numbers_stand_in_every_row(net):
    x = net.secret([1, 2, 4])
    frame = net.frame(x=x, total=x.sum())
    assert frame["total"].tolist() == [7, 7, 7]


def test_results_of_methods_are_columns_too(net):
    x = net.secret([1.0, 2.0, 4.0], range=(0, 8))
    frame = net.frame(mean=q.analytics.mean(x), largest=x.max())
    assert frame.to_numpy().tolist() == [[pytest.approx(7 / 3), 4]]
    assert len(net.runs) == 1
    assert net.frame(q.analytics.mean(x))["value"].tolist() == [pytest.approx(7 / 3)]
    assert net.frame(q.analytics.mean(x)).attrs["quorate"][0]["session"] == net.runs[0].session
    table = net.frame(q.analytics.grouped(x, net.secret([0, 0, 1]), ["count"], least=0))
    assert table["count"].tolist() == [2, 1]
    assert table.attrs["quorate"][0]["session"] == net.last_run.session
    assert net.arrow(q.analytics.mean(net.secret({"a": [1, 2], "b": [3, 5]}))).column("value").to_pylist() == [1.5, 4]


def test_a_matrix_takes_names(net):
    frame = net.frame(net.secret(np.arange(6).reshape(3, 2)), columns=["a", "b"])
    assert frame.columns.tolist() == ["a", "b"]
    assert frame["b"].tolist() == [1, 3, 5]


def test_an_arrow_table_carries_the_runs_in_its_schema(net, tmp_path):
    import pyarrow.parquet as parquet

    made = net.arrow(total=net.secret([1, 2, 4]).sum())
    parquet.write_table(made, tmp_path / "total.parquet")
    read = parquet.read_table(tmp_path / "total.parquet")
    (run,) = json.loads(read.schema.metadata[b"quorate"])
    assert run["session"] == net.last_run.session
    assert read.column("total").to_pylist() == [7]


def test_a_fitted_method_gives_one_row_per_feature(net):
    rng = np.random.default_rng(1)
    x = pd.DataFrame({"a": rng.normal(size=30), "b": rng.normal(size=30)})
    y = 2 * x["a"] - x["b"] + 0.1 * rng.normal(size=30)
    model = q.analytics.LinearRegression().fit(net.secret(x), net.secret(y))
    opened = model.reveal()
    frame = opened.to_pandas()
    assert frame.index.tolist() == ["a", "b"]
    assert frame.loc["a", "coef"] == pytest.approx(2, abs=0.1)
    assert frame.attrs["quorate"][0]["session"] == net.last_run.session
    assert opened.to_arrow().column("name").to_pylist() == ["a", "b"]
    assert net.frame(model).equals(frame)
    assert b"quorate" in net.arrow(model).schema.metadata


def test_what_comes_of_kept_shares_names_the_run_that_made_them(net):
    x = net.secret([1.0, 2.0, 3.0, 5.0])
    model = q.analytics.LinearRegression().fit(x, x * 2)
    model.coef_.reveal()
    frame = net.frame(predicted=model.predict(x))
    assert [run["session"] for run in frame.attrs["quorate"]] == [run.session for run in net.runs]
    assert len(net.runs) == 2


def test_results_in_several_shapes_are_asked_for_by_name():
    values = {
        "centres_": np.arange(6.0).reshape(2, 3),
        "inertia_": 1.5,
        "n_features_in_": 3,
        "feature_names_in_": ["a", "b", "c"],
    }
    opened = Fitted(values, axes={"centres_": ("cluster", "feature")})
    assert opened.to_pandas("centres_").columns.tolist() == ["a", "b", "c"]
    assert opened.to_pandas()["inertia"].tolist() == [1.5]
    assert opened.to_arrow("centres_").column("c").to_pylist() == [2, 5]
    with pytest.raises(UserError, match="no 'centers_'"):
        opened.to_pandas("centers_")
    with pytest.raises(UserError, match="3 dimensions"):
        Fitted(cube_=np.zeros((2, 2, 2))).to_pandas("cube_")


def test_a_receipt_lists_every_run_and_no_values(net, tmp_path):
    x = net.secret([71, 72, 74])
    assert (x.sum().reveal(), x.max().reveal()) == (217, 74)
    receipt = net.receipt()
    file = tmp_path / "receipt.json"
    assert json.loads(receipt.to_json(file)) == json.loads(file.read_text()) == receipt
    assert [run["session"] for run in receipt["runs"]] == [run.session for run in net.runs]
    assert "values" not in receipt["runs"][0]
    assert json.loads(net.last_run.to_json())["bytes_sent"] == net.last_run.bytes_sent


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda net: net.frame(), "nothing to open"),
        (lambda net: net.frame(3), "int has no secret columns"),
        (lambda net: net.frame(a=3), "'a' is one secret value per row"),
        (lambda net: net.frame(a=net.secret([1, 2]), b=net.secret([1, 2, 3])), "different lengths"),
        (lambda net: net.frame(net.secret([1]), a=q.analytics.cov(net.secret(np.eye(9)))), "table of its own"),
        (lambda net: net.frame(net.secret(np.eye(3)), columns=["a", "b"]), "2 different names for 3 columns"),
        (lambda net: net.frame(net.secret([1, 2]), columns=["a", "b"]), "2 names for one column"),
    ],
)
def test_what_is_no_table_is_refused(net, give, message):
    with pytest.raises(UserError, match=message):
        give(net)


def test_a_missing_package_is_named_with_its_extra():
    from quorate.analytics.opened import needed

    with pytest.raises(UserError, match=r"quorate\[analytics\]"):
        needed("no_such_package_here.at_all")


def test_runs_receipts_and_quotes_fit_into_a_line():
    with q.simulate(protocol="rep3") as net:
        x = net.secret([1, 2, 3], range=(0, 4))
        assert x.sum().reveal() == 6
        shown = [repr(net.last_run), repr(net.receipt()), repr(net.quote(x.max(), rtt="20ms", bandwidth="100Mbit"))]
    assert [text.split(" with rep3")[0].split()[0] for text in shown] == ["<run", "<receipt", "<quote"]
    assert f"{net.last_run.rounds} rounds" in shown[0]
    assert "1 run with rep3" in shown[1]
    assert "with 20ms and 100Mbit" in shown[2]
    assert max(map(len, shown)) < 120
