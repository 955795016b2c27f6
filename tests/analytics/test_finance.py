"""Risk and exposures against NumPy on the same data."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

import quorate as q
from quorate.analytics import Concentration, Exposure, HistoricalRisk, NormalRisk
from quorate.errors import UserError
from quorate.testing.method_conformance import Case

LEVELS = [0.9, 0.95, 0.99]
NORMAL = NormalDist()


def shortfall(losses, level):
    """Mean of the worst (1 - level) of the losses, the last of them in part."""
    weights = np.clip(np.arange(len(losses)) + 1 - len(losses) * level, 0, 1)
    return np.sort(losses) @ weights / (len(losses) * (1 - level))


@pytest.fixture(scope="module")
def market():
    """Returns of 20 assets in 250 scenarios, and the positions of three banks, some of them short."""
    rng = np.random.default_rng(7)
    returns = 0.01 * rng.standard_t(4, size=(250, 20)) + 0.005 * rng.normal(size=(250, 1))
    return returns, [rng.uniform(-1e6, 5e6, size=20) for _ in range(3)]


@pytest.fixture(params=["rep3", "shamir", "semi2k"])
def net(request):
    with q.simulate(protocol=request.param, seed=3) as session:
        yield session


@pytest.mark.parametrize("secret_returns", [False, True])
def test_historical_risk_of_the_joint_portfolio(net, market, secret_returns):
    returns, banks = market
    losses = -returns @ sum(banks)
    held = [net.secret(bank, range=(-1e7, 1e7)) for bank in banks]
    found = HistoricalRisk(LEVELS).fit(held, net.secret(returns) if secret_returns else returns).reveal()
    assert found.value_at_risk_ == pytest.approx(np.quantile(losses, LEVELS), rel=1e-4)
    assert found.expected_shortfall_ == pytest.approx([shortfall(losses, level) for level in LEVELS], rel=1e-4)
    assert found.n_scenarios_ == 250


def test_normal_risk_is_that_of_the_covariance_matrix(net, market):
    returns, banks = market
    total = sum(banks)
    std = np.sqrt(total @ np.cov(returns.T) @ total)
    mean = -(returns @ total).mean()
    z = NORMAL.inv_cdf(0.99)
    found = NormalRisk(0.99).fit([net.secret(bank, range=(-1e7, 1e7)) for bank in banks], returns).reveal()
    assert found.std_ == pytest.approx(std, rel=1e-4)
    assert found.mean_ == pytest.approx(mean, abs=1e-4 * std)
    assert found.value_at_risk_ == pytest.approx(mean + z * std, rel=1e-4)
    assert found.expected_shortfall_ == pytest.approx(mean + NORMAL.pdf(z) / 0.01 * std, rel=1e-4)


def test_losses_that_banks_found_themselves_are_added_up():
    rng = np.random.default_rng(5)
    banks = [rng.normal(0, 1e6, size=300) for _ in range(2)]
    with q.simulate(protocol="clear") as session:
        found = HistoricalRisk(0.975).fit([session.secret(bank, range=(-2e7, 2e7)) for bank in banks]).reveal()
    assert found.value_at_risk_ == pytest.approx(np.quantile(sum(banks), 0.975), rel=1e-4)
    assert found.expected_shortfall_ == pytest.approx(shortfall(sum(banks), 0.975), rel=1e-4)


@pytest.mark.parametrize("scenarios", [100, 101, 250, 999])
def test_every_number_of_scenarios(scenarios):
    losses = np.random.default_rng(scenarios).normal(size=scenarios)
    with q.simulate(protocol="clear") as session:
        found = HistoricalRisk(0.99).fit(session.secret(losses, range=(-8, 8))).reveal()
    assert found.value_at_risk_ == pytest.approx(np.quantile(losses, 0.99), abs=1e-5)
    assert found.expected_shortfall_ == pytest.approx(shortfall(losses, 0.99), abs=1e-4)


def test_an_agreed_computation_with_scenarios_of_two_owners():
    rng = np.random.default_rng(5)
    losses = {name: rng.normal(0, 1e4, size=200) for name in ("a", "b")}

    @q.computation
    def joint(a, b):
        one, other = q.align(a, b)
        return {
            "risk": HistoricalRisk(0.95).fit([one.loss, other.loss]),
            "normal": NormalRisk(0.95).fit(one.loss + other.loss),
        }

    opened = joint.simulate(a={"loss": losses["a"]}, b={"loss": losses["b"]})
    total = losses["a"] + losses["b"]
    assert opened["risk"]["value_at_risk_"] == pytest.approx(np.quantile(total, 0.95), rel=1e-4)
    assert opened["risk"]["expected_shortfall_"] == pytest.approx(shortfall(total, 0.95), rel=1e-4)
    assert opened["normal"]["std_"] == pytest.approx(total.std(ddof=1), rel=1e-4)


def test_row_counts_that_are_known_only_when_the_session_starts():
    rng = np.random.default_rng(2)
    losses = {"a": rng.normal(0, 2, 70), "b": rng.normal(0, 1, 70)}
    case = Case(
        lambda: HistoricalRisk([0.9, 0.95]),
        lambda seed: losses,
        {"a": (-10, 10), "b": (-10, 10)},
        lambda model, data: model.fit([data["a"], data["b"]]),
    )
    opened, total = case.run("rep3", 1).values, losses["a"] + losses["b"]
    assert opened["model.value_at_risk_"] == pytest.approx(np.quantile(total, [0.9, 0.95]), abs=1e-3)
    assert opened["model.expected_shortfall_"] == pytest.approx(
        [shortfall(total, 0.9), shortfall(total, 0.95)], abs=1e-3
    )


def test_equal_losses_and_no_positions_at_all():
    with q.simulate(protocol="clear") as session:
        nothing = session.secret(np.zeros(3), range=(0, 1e6))
        returns = np.full((100, 3), -0.01)
        for method in (HistoricalRisk(0.95), NormalRisk(0.95)):
            found = method.fit(nothing, returns).reveal()
            assert (found.value_at_risk_, found.expected_shortfall_) == pytest.approx((0, 0), abs=0.01)
        found = HistoricalRisk(0.95).fit(session.secret([1e5, 0, 0], range=(0, 1e6)), returns).reveal()
        assert (found.value_at_risk_, found.expected_shortfall_) == pytest.approx((1000, 1000), rel=1e-4)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda s: HistoricalRisk(1.0).fit(s.secret([1.0] * 200)), "level 1.0"),
        (lambda s: HistoricalRisk([]).fit(s.secret([1.0] * 200)), "no level"),
        (lambda s: HistoricalRisk(0.99).fit(s.secret([1.0] * 50)), "50 scenarios leave less than one loss"),
        (lambda s: NormalRisk(0.99).fit(s.secret([1.0])), "1 scenario has no standard deviation"),
        (lambda s: HistoricalRisk().fit(s.secret([1.0, 2.0]), np.ones((200, 3))), "do not fit 2 positions"),
        (lambda s: HistoricalRisk().fit(s.secret([1.0, 2.0]), [[0.1, np.nan]] * 200), "not finite"),
        (
            lambda s: HistoricalRisk().fit([s.secret([1.0, 2.0]), s.secret([1.0])], np.ones((200, 2))),
            "differ in length",
        ),
        (lambda s: HistoricalRisk().fit([], np.ones((200, 2))), "no positions"),
        (lambda s: HistoricalRisk().fit([1.0, 2.0], np.ones((200, 2))), "one secret value per row"),
    ],
)
def test_risk_of_what_cannot_be_is_refused(fit, message):
    with q.simulate(protocol="clear") as session, pytest.raises(UserError, match=message):
        fit(session)


@pytest.fixture(scope="module")
def loans():
    """Loans of three banks to six sectors: the last one gets loans of one bank alone."""
    rng = np.random.default_rng(11)
    return [
        pd.DataFrame(
            {
                "sector": rng.integers(0, 5 + (bank == 0), size=120),
                "counterparty": rng.integers(0, 150, size=120) * 7919,
                "amount": rng.lognormal(11, 1.5, size=120).astype(np.int64),
            }
        )
        for bank in range(3)
    ]


RANGES = {"sector": (0, 6), "counterparty": (0, 2**22), "amount": (0, 2**24)}


def secrets(session, loans):
    return [session.secret(bank, range=RANGES) for bank in loans]


def test_exposure_per_sector_hides_cells_of_few_institutions(net, loans):
    found = Exposure(["A", "B", "C", "D", "E", "F", "G"]).fit(secrets(net, loans)).reveal()
    all_ = pd.concat(loans)
    totals = all_.groupby("sector")["amount"].sum()
    frame = found.to_pandas()
    assert found.total_ == all_["amount"].sum()
    assert np.isnan(frame.loc["F", "exposure"])  # one bank alone
    assert np.isnan(frame.loc["G", "exposure"])  # nobody
    hidden = frame.index[frame["exposure"].isna()]
    assert len(hidden) == 3  # and one more, or the total would tell F
    for code, name in enumerate("ABCDE"):
        if name not in hidden:
            assert frame.loc[name, "exposure"] == totals[code]
            assert frame.loc[name, "share"] == pytest.approx(totals[code] / all_["amount"].sum())
            assert frame.loc[name, "rows"] == (all_["sector"] == code).sum()
            assert frame.loc[name, "institutions"] == 3


def test_what_is_hidden_is_not_opened(loans):
    with q.simulate(protocol="clear") as session:
        model = Exposure(7).fit(secrets(session, loans))
        shown, amounts, rows, institutions = session.reveal(
            model.shown_, model.exposure_, model.rows_, model.institutions_
        )
    assert not shown[[5, 6]].any()
    for part in (amounts, rows, institutions):
        assert not part[~shown].any()


def test_concentration_on_counterparties(net, loans):
    found = Concentration(threshold=500_000, top=10).fit(secrets(net, loans)).reveal()
    totals = pd.concat(loans).groupby("counterparty")["amount"].sum()
    shares = totals / totals.sum()
    assert found.herfindahl_ == pytest.approx((shares**2).sum(), rel=1e-4)
    assert found.top_share_ == pytest.approx(shares.nlargest(10).sum(), rel=1e-4)
    assert found.counterparties_ == len(totals)
    assert found.large_ == (totals >= 500_000).sum()


def test_few_counterparties_and_few_large_ones_are_not_shown(loans):
    with q.simulate(protocol="clear") as session:
        tables = secrets(session, loans)
        found = Concentration(threshold=2**23).fit(tables).reveal()
        assert np.isnan(found.large_)
        assert found.counterparties_ > 0
        same = [{"counterparty": table["counterparty"] * 0, "amount": table["amount"]} for table in tables]
        found = Concentration().fit(same).reveal()
        assert np.isnan([found.herfindahl_, found.top_share_, found.counterparties_]).all()
        assert found.large_ is None
        assert Concentration(least=1).fit(same).reveal().herfindahl_ == pytest.approx(1, abs=1e-5)


def test_rows_that_do_not_count_are_left_out(loans):
    with q.simulate(protocol="clear") as session:
        tables = secrets(session, [bank.assign(large=bank["amount"] > 50_000) for bank in loans])
        for table in tables:
            assert "large" in table
        found = Exposure(7, institutions=1, least=0).fit(tables, where="large").reveal()
        concentration = Concentration().fit(tables, where="large").reveal()
    kept = pd.concat(loans)
    kept = kept[kept["amount"] > 50_000]
    assert found.total_ == kept["amount"].sum()
    assert np.nan_to_num(found.rows_).tolist() == np.bincount(kept["sector"], minlength=7).tolist()
    assert concentration.counterparties_ == kept["counterparty"].nunique()


def test_an_agreed_exposure_of_owners(loans):
    @q.computation
    def joint(a, b, c):
        return {"sectors": Exposure(9, institutions=1, least=0).fit([a, b, c]), "names": Concentration().fit([a, b, c])}

    data = {name: {column: bank[column].to_numpy() for column in bank} for name, bank in zip("abc", loans, strict=True)}
    opened = joint.simulate("clear", **data)
    assert opened["sectors"]["total_"] == pytest.approx(sum(bank["amount"].sum() for bank in loans))
    assert opened["names"]["counterparties_"] == pd.concat(loans)["counterparty"].nunique()


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda t: Exposure(7).fit(t[0]), "a list with one table per institution"),
        (lambda t: Exposure(7).fit(t[:2]), "2 institutions; 3 at least"),
        (lambda t: Exposure(0).fit(t), "0 groups"),
        (lambda t: Exposure(3).fit(t), "there are 3 categories"),
        (lambda t: Exposure(7).fit(t, amount="sum"), "no column 'sum'"),
        (lambda t: Exposure(7, least=-1).fit(t), "least=-1"),
        (lambda t: Concentration(top=0).fit(t), "top=0"),
        (lambda t: Concentration().fit([{"counterparty": t[0].sector, "amount": -t[0].amount}]), "not negative"),
    ],
)
def test_exposures_that_cannot_be_are_refused(loans, fit, message):
    with q.simulate(protocol="clear") as session, pytest.raises(UserError, match=message):
        fit(secrets(session, loans))
