"""Interactive sessions with simulated parties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import quorate as q
from quorate.errors import DataError, UserError


@pytest.fixture
def net():
    with q.simulate(protocol="rep3", seed=5) as session:
        yield session


def test_values_are_computed_when_they_are_asked_for(net):
    x = net.secret(np.array([1.5, 2.25, -3.0]))
    total = (x * 2).sum()
    assert net.runs == []
    assert total.reveal() == 1.5
    assert net.last_run.rounds > 0
    assert net.last_run.bytes_sent == sum(net.last_run.bytes_by_party)


def test_what_was_opened_is_not_computed_again(net):
    total = net.secret([1, 2, 3]).sum()
    assert [total.reveal(), total.reveal()] == [6, 6]
    assert len(net.runs) == 1


def test_inputs_are_shared_once(net):
    x = net.secret(np.arange(1000))
    x.sum().reveal()
    first = net.last_run.bytes_sent
    x.max().reveal()
    y = net.secret(np.arange(1000), name="again")
    y.max().reveal()
    assert net.runs[1].bytes_sent < net.runs[2].bytes_sent
    assert first >= 1000 * 8


def test_protocols_that_keep_nothing_share_anew():
    with q.simulate(protocol="spdz2k", parties=2, seed=1) as session:
        x = session.secret([1, 2, 3])
        assert [x.sum().reveal(), x.max().reveal()] == [6, 3]


def test_several_results_in_one_run(net):
    x = net.secret([3, 1, 2])
    assert net.reveal(x.sum(), x.max()) == (6, 3)
    assert len(net.runs) == 1


@pytest.mark.parametrize("protocol", ["clear", "rep3", "shamir", "semi2k", "rep3_malicious"])
def test_fitted_models_are_kept_as_shares(protocol):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(40, 2))
    y = X @ [2.0, -1.0] + 3
    with q.simulate(protocol=protocol, seed=2) as session:
        model = q.analytics.LinearRegression().fit(session.secret(X), session.secret(y))
        assert model.coef_.reveal() == pytest.approx([2.0, -1.0], abs=1e-3)
        long = session.last_run.rounds
        assert model.intercept_.reveal() == pytest.approx(3.0, abs=1e-3)
        assert session.last_run.rounds < long


def test_matrices_have_a_range_for_each_column(net):
    X = net.secret(np.array([[1.0, 1000.0], [2.0, -500.0]]))
    assert X.shape == (2, 2)
    assert q.analytics.LinearRegression().fit_intercept
    from quorate.analytics.columns import columns

    first, second = columns(X)
    assert first.limits == (1.0, 2.0)
    assert second.limits[0] <= -500.0
    assert second.limits[1] >= 1000.0
    np.testing.assert_array_equal(X.reveal(), [[1.0, 1000.0], [2.0, -500.0]])


def test_wide_matrices_are_one_column(net):
    values = np.arange(300).reshape(3, 100) % 3
    X = net.secret(values.astype(np.int8))
    assert X.shape == (3, 100)
    np.testing.assert_array_equal(X.sum(0).reveal(), values.sum(0))


def test_data_frames_are_tables(net):
    table = net.secret(pd.DataFrame({"age": [30, 40], "smoker": [True, False], "cost": [1.5, 2.5]}))
    assert list(table) == ["age", "smoker", "cost"]
    assert table.cost.sum().reveal() == pytest.approx(4.0, abs=1e-5)
    np.testing.assert_array_equal(table.smoker.reveal(), [True, False])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ([1.0, float("nan")], "row 1: the value is nan"),
        ([1.0, float("inf")], "row 1: the value is inf"),
        ([[1, 2], [3]], "ragged"),
        (["a", "b"], "holds texts; for categories give"),
        ([1, None], "row 1: a value is missing"),
        (np.zeros((2, 2, 2)), "3 dimensions"),
        ([], "no rows"),
        ({"a": [1, 2], "b": [1]}, "differ in their number of rows"),
        ({"a": [1, 2], "b": ["x", "y"]}, "secret1.b"),
    ],
)
def test_data_that_cannot_be_shared_is_named(net, data, what):
    with pytest.raises((DataError, UserError), match=what):
        net.secret(data)


def test_declared_ranges_are_enforced(net):
    with pytest.raises(DataError, match=r"row 1: 200 is outside the range \[0, 120\]"):
        net.secret([30, 200], range=(0, 120))
    table = net.secret({"a": [1, 2], "b": [3, 4]}, range={"a": (0, 10)})
    assert table.a.limits == (0.0, 10.0)
    with pytest.raises(UserError, match="range names the column 'c'"):
        net.secret({"a": [1]}, range={"c": (0, 1)})
    with pytest.raises(UserError, match="3 ranges for 2 columns"):
        net.secret([[1, 2]], range=[(0, 1), (0, 1), (0, 1)])


def test_ranges_taken_from_data_show_three_leading_bits(net):
    low, high = net.secret([1234.5, 9876.5]).limits
    assert (low, high) == (1024.0, 10240.0)


def test_a_value_of_another_session_is_refused(net):
    with q.simulate() as other:
        x = other.secret([1, 2])
        with pytest.raises(UserError, match="another session"):
            net.reveal(x)


def test_public_values_cost_nothing(net):
    x = net.secret([1, 2])
    constant = x.trace.constant([1.5], q.fixed(16))
    np.testing.assert_array_equal(constant.reveal(), [1.5])
    assert net.runs == []


def test_nothing_secret_is_shown(net):
    x = net.secret([123456789])
    assert "123456789" not in repr(x) + repr(net) + repr(net._live) + repr(net._live.request([x]))


def test_unknown_protocols_and_counts_are_refused():
    with pytest.raises(UserError, match="there is no protocol"):
        q.simulate(protocol="rep4")
    with pytest.raises(UserError):
        q.simulate(parties=4, protocol="rep3")


def test_models_stay_secret_and_are_loaded_again(tmp_path):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(50, 3))
    y = X @ [1.0, 2.0, 3.0]
    with q.simulate(seed=3) as session:
        model = q.analytics.Ridge(alpha=0.5).fit(session.secret(X), session.secret(y))
        session.keep(model, tmp_path / "model.json")
        assert "coef_" in (tmp_path / "model.json").read_text()
        again = session.load(tmp_path / "model.json")
        assert again.get_params() == {"alpha": 0.5, "fit_intercept": True}
        before = len(session.runs)
        found = again.predict(session.secret(X[:4])).reveal()
        assert session.last_run.rounds < 20
        assert len(session.runs) == before + 1
        np.testing.assert_allclose(found, model.predict(session.secret(X[:4])).reveal(), atol=1e-4)
    with q.simulate(protocol="shamir") as other, pytest.raises(UserError, match="protocol"):
        other.load(tmp_path / "model.json")
    with q.simulate(protocol="spdz2k", parties=2) as other, pytest.raises(UserError, match="keys that end with a run"):
        other.load(tmp_path / "model.json")


def test_a_file_that_is_no_model_is_refused(net, tmp_path):
    (tmp_path / "x.json").write_text('{"quorate_model": 1, "method": "os.system"}')
    with pytest.raises(UserError, match="not a kept model"):
        net.load(tmp_path / "x.json")
    with pytest.raises(UserError, match="not fitted"):
        net.keep(q.analytics.LinearRegression(), tmp_path / "y.json")


def test_simulated_parties_hold_no_data_of_others(net):
    with pytest.raises(UserError, match="no data set 'stays'"):
        net.table("stays")


def test_the_price_is_known_before(net):
    x = net.secret(np.arange(100))
    wanted = (x * x).sum()
    made = net.quote(wanted)
    assert net.runs == []
    wanted.reveal()
    assert made.bytes_sent > net.last_run.bytes_sent  # of a session with an outside owner, and with agreement
    assert made.rounds >= net.last_run.rounds
    slow = net.quote((x * x).max(), rtt="40ms", bandwidth="100Mbit")
    assert slow.seconds > net.quote((x * x).max()).seconds


def test_an_explanation_names_what_is_shown_to_whom(net):
    x = net.secret(np.arange(100))
    found = net.explain(x.sum())
    assert "analyst" in found.document["learns"]
    assert "<svg" in found.svg()
    with pytest.raises(UserError, match="nothing to price"):
        net.explain()


def test_linked_rows_without_a_match_are_not_forgotten(net):
    from quorate.lang.trace import PaddedRowsWarning

    left, right = (
        net.secret({"id": [1, 2, 3], "x": [1.0, 2.0, 3.0]}),
        net.secret({"id": [3, 9, 8], "y": [4.0, 5.0, 6.0]}),
    )
    linked = q.analytics.link(left, right, on="id")
    assert q.analytics.mean(linked.y, where=linked.valid, least=0).reveal() == pytest.approx(4.0)
    with pytest.warns(PaddedRowsWarning, match=r"where=linked\.valid"):
        linked.y.sum().reveal()


def test_new_data_is_taken_by_the_names_of_columns(net):
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=30), rng.normal(size=30)
    model = q.analytics.LinearRegression().fit(net.secret({"a": a, "b": b}), net.secret(3 * a - b))
    found = model.predict(net.secret({"b": b, "other": a, "a": a})).reveal()
    np.testing.assert_allclose(found, 3 * a - b, atol=1e-3)
    mean = model.predict(net.secret({"a": a, "b": b})).mean().reveal()  # there is room for their sum
    assert mean == pytest.approx((3 * a - b).mean(), abs=1e-3)
    with pytest.raises(UserError, match="X has no column 'b'"):
        model.predict(net.secret({"a": a, "c": b}))


def test_tables_give_tables_of_some_columns(net):
    table = net.secret({"a": [1, 2], "b": [3, 4], "c": [5, 6]})
    assert list(table[["c", "a"]]) == ["c", "a"]
    with pytest.raises(UserError, match="rows stay together"):
        table[0]
    with pytest.raises(UserError, match="is a file: give a schema too"):
        net.secret("people.csv")


def test_names_are_there_to_be_found():
    assert "LinearRegression" in dir(q.analytics)
    assert "simulate" in dir(q)
    with pytest.raises(AttributeError, match="did you mean 'LinearRegression'"):
        _ = q.analytics.LinearRegresion


def test_an_owner_is_told_when_rounding_is_coarse(net):
    from quorate.interactive.uploads import CoarseWarning

    with pytest.warns(CoarseWarning, match=r"rounded to multiples of 128, but its values vary by 2.77"):
        net.secret(1.7e9 + 3.0 * np.random.default_rng(1).normal(size=200), range=(0, 2e9))
    net.secret(np.array([1.5, 2.5, 1000.25]))


def test_closed_sessions_run_nothing_more_but_know_what_was_opened():
    net = q.simulate(protocol="clear")
    x = net.secret([1, 2, 3])
    total = x.sum()
    assert total.reveal() == 6
    net.close()
    net.close()
    assert "closed" in repr(net)
    assert total.reveal() == 6
    for ask in (x.max().reveal, lambda: net.secret([1])):
        with pytest.raises(UserError, match=r"this session is closed.*begin a new one"):
            ask()


def test_what_belongs_to_another_session_is_named(net):
    with q.simulate(protocol="clear") as other:
        theirs = other.secret([1, 2])
        with pytest.raises(UserError, match="an array of another session"):
            net.reveal(theirs)
        with pytest.raises(UserError, match="of another computation or session cannot be used here"):
            net.secret([1, 2]) + theirs
    with pytest.raises(UserError, match=r"list is nothing to reveal; .* one by one"):
        net.reveal([theirs])


def test_reprs_say_what_to_do(net):
    x = net.secret(np.arange(20), range=(0, 2**10))
    model = q.analytics.Ridge(alpha=2.0)
    assert repr(model) == "Ridge(alpha=2.0)"
    with pytest.raises(AttributeError, match="Ridge has no result 'coef_': it is not fitted yet; call fit first"):
        model.coef_  # noqa: B018
    assert "no results yet" in model._repr_html_()
    model.fit(x, x)
    with pytest.raises(AttributeError, match="has no result 'p_'; it has coef_"):
        model.p_  # noqa: B018
    assert repr(q.analytics.mean(x)) == "<Answer sum: fixed(0)[]; reveal() opens it>"
    assert "groups by key" in repr(q.group_by(x))
    for show in (float, "{:.2f}".format, np.asarray):
        with pytest.raises(UserError, match=r"call reveal\(\) in a session, or return it"):
            show(x.sum())
