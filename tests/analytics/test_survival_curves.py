"""Kaplan-Meier curves equal those of lifelines; small groups and bad input."""

import numpy as np
import pytest

import quorate as q
from quorate.analytics import link
from quorate.analytics.survival.kaplan_meier import KaplanMeier
from quorate.errors import UserError
from quorate.interactive.net import simulate

lifelines = pytest.importorskip("lifelines")
datasets = pytest.importorskip("lifelines.datasets")

ERROR = 1e-7
"""Largest difference to lifelines, of curves and intervals."""


def reference(durations, events, times):
    fitter = lifelines.KaplanMeierFitter().fit(durations, events)
    index = {"method": "ffill"}
    limits = fitter.confidence_interval_.reindex(times, **index).to_numpy()
    table = fitter.event_table
    return {
        "survival_": fitter.survival_function_at_times(times).to_numpy(),
        "lower_": limits[:, 0],
        "upper_": limits[:, 1],
        "events_": table.observed.reindex(times, fill_value=0).to_numpy(),
        "median_": fitter.median_survival_time_,
    }


def assert_same(opened, expected):
    for name, values in expected.items():
        np.testing.assert_allclose(opened[name], values, rtol=0, atol=ERROR, err_msg=name)


@pytest.fixture(scope="module")
def rossi():
    frame = datasets.load_rossi()
    return frame.week.to_numpy(), frame.arrest.to_numpy()


@pytest.mark.parametrize("protocol", ["clear", "rep3", "shamir", "semi2k"])
def test_rossi_week_by_week(rossi, protocol):
    weeks, arrests = rossi
    with simulate(protocol=protocol) as net:
        model = KaplanMeier(grid=range(1, 53)).fit(net.secret(weeks), net.secret(arrests))
        opened = model.reveal()
    assert_same(opened, reference(weeks, arrests, np.arange(1.0, 53)))
    at_risk = (weeks[:, None] >= np.arange(1, 53)).sum(0)
    np.testing.assert_array_equal(opened.at_risk_, at_risk)
    assert opened.median_ == np.inf


def test_survival_alone_is_opened_as_part_of_the_result(rossi):
    weeks, arrests = rossi
    with simulate(protocol="clear") as net:
        curve = KaplanMeier(grid=[26, 52]).fit(net.secret(weeks), net.secret(arrests)).survival_.reveal()
    expected = lifelines.KaplanMeierFitter().fit(np.where(weeks <= 26, 26, 52), arrests)
    np.testing.assert_allclose(curve, expected.survival_function_at_times([26, 52]), atol=ERROR)


def test_groups_of_two_studies_with_a_mask():
    waltons = datasets.load_waltons()
    times, control = waltons["T"].to_numpy(), (waltons["group"] == "control").to_numpy()
    events = waltons["E"].to_numpy()
    used = times > 9
    with simulate(protocol="rep3") as net:
        halves = [slice(0, 60), slice(60, None)]
        parts = [[net.secret(x[half]) for half in halves] for x in (times, events, control, used)]
        joined = [q.concatenate(part) for part in parts]
        model = KaplanMeier(grid=range(1, 80), least=1).fit(joined[0], joined[1], where=joined[3], by=joined[2])
        opened = model.reveal()
    assert opened.survival_.shape == (2, 79)
    for group in (False, True):
        rows = used & (control == group)
        expected = reference(times[rows], events[rows], np.arange(1.0, 80))
        assert_same({name: opened[name][int(group)] for name in expected}, expected)


def test_compiled_with_columns_of_two_owners(rossi):
    weeks, arrests = (column[:50] for column in rossi)

    @q.computation
    def curve(clinic, court):
        clinic, court = q.align(clinic, court)
        return {"arrests": KaplanMeier(grid=range(1, 53), least=0).fit(clinic.weeks, court.arrest == 1)}

    found = curve.simulate(clinic={"weeks": weeks}, court={"arrest": arrests})
    expected = reference(weeks, arrests, np.arange(1.0, 53))
    np.testing.assert_allclose(found["arrests"]["survival_"], expected["survival_"], atol=ERROR)


def test_linked_rows_of_two_owners(rossi):
    """Who is in both files stays secret; rows without a partner do not count."""
    weeks, arrests = (column[:60] for column in rossi)

    @q.computation
    def curve(clinic, court):
        people = link(clinic, court, on="person")
        model = KaplanMeier(grid=range(1, 53), least=0).fit(people.weeks, people.arrest == 1, where=people.valid)
        return {"arrests": model}

    clinic = {"person": np.arange(60), "weeks": weeks}
    court = {"person": np.arange(79, 19, -1), "arrest": np.append(np.zeros(20, int), arrests[:19:-1])}
    found = curve.simulate(clinic=clinic, court=court)
    expected = reference(weeks[20:], arrests[20:], np.arange(1.0, 53))
    np.testing.assert_allclose(found["arrests"]["survival_"], expected["survival_"], atol=ERROR)


def test_fractions_and_a_coarse_grid_round_up():
    rng = np.random.default_rng(3)
    times, events = rng.exponential(2.0, 200), rng.integers(0, 2, 200).astype(bool)
    grid = np.linspace(0, 4, 41)
    with simulate(protocol="clear") as net:
        opened = KaplanMeier(grid=grid).fit(net.secret(times), net.secret(events)).reveal()
    rounded = np.append(grid, 99.0)[np.searchsorted(grid, times)]
    expected = reference(rounded, events & (times <= 4), grid)
    assert_same(opened, expected)
    assert opened.median_ < np.inf


def test_a_time_equal_to_a_grid_point_belongs_to_it():
    with simulate(protocol="clear") as net:
        times = net.secret(np.array([0.1, 0.1, 0.2, 0.3]))
        opened = KaplanMeier(grid=[0.1, 0.2, 0.3], least=0).fit(times, net.secret(np.ones(4, int))).reveal()
    np.testing.assert_array_equal(opened.events_, [2, 1, 1])
    np.testing.assert_array_equal(opened.at_risk_, [4, 2, 1])
    assert opened.median_ == 0.1  # exactly one half counts as reached


def test_everybody_dies():
    with simulate(protocol="rep3") as net:
        opened = KaplanMeier(least=0).fit(net.secret(np.array([1, 2, 2, 4])), net.secret(np.ones(4, int))).reveal()
    np.testing.assert_allclose(opened.survival_[:4], [0.75, 0.25, 0.25, 0.0], atol=ERROR)
    assert opened.lower_[3] == opened.upper_[3] == opened.variance_[3] == 0.0
    assert opened.median_ == 2


def test_nobody_has_an_event_and_nobody_counts():
    with simulate(protocol="clear") as net:
        weeks, none = net.secret(np.arange(1, 21)), net.secret(np.zeros(20, int))
        calm = KaplanMeier(least=0).fit(weeks, none).reveal()
        nobody = KaplanMeier().fit(weeks, none, where=weeks > 30).reveal()
    assert (calm.survival_ == 1).all()
    assert (calm.lower_ == 1).all()
    assert (calm.upper_ == 1).all()
    assert calm.median_ == np.inf
    assert np.isnan(nobody.survival_).all()
    assert nobody.median_ == np.inf


def test_steps_with_few_people_are_not_opened():
    weeks, events = np.repeat(np.arange(1, 11), 2), np.ones(20, int)
    with simulate(protocol="clear") as net:
        model = KaplanMeier(grid=range(1, 11), least=6).fit(net.secret(weeks), net.secret(events))
        opened = model.reveal()
        raw = model.survival_.reveal()
    np.testing.assert_array_equal(opened.shown_, np.arange(20, 0, -2) >= 6)
    assert (raw[8:] == 0).all()
    assert np.isnan(opened.at_risk_[8:]).all()
    assert not np.isnan(opened.at_risk_[:8]).any()


@pytest.mark.parametrize("least", [2, 3, 5])
def test_steps_with_few_events_are_joined(least):
    rng = np.random.default_rng(least)
    weeks, events = rng.integers(1, 31, 150), rng.integers(0, 2, 150)
    with simulate(protocol="clear") as net:
        durations, ended = net.secret(weeks, range=(0, 31)), net.secret(events)
        opened = KaplanMeier(grid=range(1, 31), least=0, least_events=least).fit(durations, ended).reveal()
    carried, shown, counts = 0, [], []
    for week in range(1, 31):
        carried += int(events[weeks == week].sum())
        shown.append(carried >= least)
        counts.append(carried)
        carried = 0 if carried >= least else carried
    np.testing.assert_array_equal(opened.shown_, shown)
    np.testing.assert_array_equal(opened.events_[shown], np.array(counts)[shown])
    curve = reference(weeks, events, np.arange(1.0, 31))["survival_"]
    np.testing.assert_allclose(opened.survival_[shown], curve[shown], atol=ERROR)


def test_data_frame(rossi):
    pytest.importorskip("pandas")
    weeks, arrests = rossi
    with simulate(protocol="clear") as net:
        arms = net.secret(np.arange(len(weeks)) % 2)
        model = KaplanMeier(grid=range(1, 53)).fit(net.secret(weeks), net.secret(arrests), by=arms)
        opened = model.reveal()
    frame = opened.table(["placebo", "drug"])
    assert list(frame.columns) == ["group", "time", "at_risk", "events", "survival", "variance", "lower", "upper"]
    assert len(frame) == 104
    assert not frame.isna().any().any()
    with pytest.raises(UserError, match="3 labels for 2 groups"):
        opened.table([1, 2, 3])


@pytest.mark.parametrize(
    ("options", "columns", "message"),
    [
        ({}, {"durations": np.array([-1, 4])}, "as low as"),
        ({}, {"durations": np.array([0.5, 4])}, "no whole numbers"),
        ({}, {"events": np.array([0, 2])}, "events are 1 or 0"),
        ({}, {"events": np.array([0, 1, 1])}, "one value per row"),
        ({}, {"where": np.array([0, 1])}, "one secret bool"),
        ({}, {"by": np.array([0, 999])}, "groups are whole numbers"),
        ({"grid": [2, 1]}, {}, "ascending"),
        ({"grid": [1, np.nan]}, {}, "ascending"),
        ({"grid": []}, {}, "0 times"),
        ({"grid": ["soon"]}, {}, "give public times"),
        ({"grid": 7}, {}, "give public times"),
        ({"grid": range(2000)}, {}, "2000 times"),
        ({"alpha": 1.5}, {}, "alpha"),
        ({"least": -1}, {}, "least"),
    ],
)
def test_refused(options, columns, message):
    given = {"durations": np.array([3, 4]), "events": np.array([0, 1]), **columns}
    with simulate(protocol="clear") as net, pytest.raises(UserError, match=message):
        KaplanMeier(**options).fit(**{name: net.secret(values) for name, values in given.items()})
