"""Log-rank tests equal those of lifelines."""

import numpy as np
import pytest

import quorate as q
from quorate.analytics.survival.logrank import logrank_test
from quorate.errors import UserError
from quorate.interactive.net import simulate

statistics = pytest.importorskip("lifelines.statistics")
datasets = pytest.importorskip("lifelines.datasets")

ERROR = 1e-5
"""Largest relative difference of statistics to lifelines."""


def leukemia():
    frame = datasets.load_leukemia()
    return frame.t.to_numpy(int), frame.status.to_numpy(), frame.Rx.to_numpy()


def rossi():
    frame = datasets.load_rossi()
    return frame.week.to_numpy(), frame.arrest.to_numpy(), np.minimum(frame.prio.to_numpy(), 3)


def assert_same(opened, columns, weights, error=ERROR):
    durations, events, groups = columns
    kind = None if weights == "logrank" else weights
    expected = statistics.multivariate_logrank_test(durations, groups, events, weightings=kind)
    assert opened.statistic == pytest.approx(expected.test_statistic, rel=error)
    assert opened.p_value == pytest.approx(expected.p_value, rel=20 * error)
    assert opened.degrees_of_freedom == expected.degrees_of_freedom


@pytest.mark.parametrize("weights", ["logrank", "wilcoxon", "tarone-ware"])
@pytest.mark.parametrize("data", [leukemia, rossi])
def test_as_lifelines(data, weights):
    columns = data()
    with simulate(protocol="clear") as net:
        test = logrank_test(*map(net.secret, columns), grid=range(1, 53), weights=weights)
        assert_same(test.reveal(), columns, weights)


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
def test_protocols(protocol):
    columns = leukemia()
    with simulate(protocol=protocol) as net:
        secrets = [q.concatenate([net.secret(column[:20]), net.secret(column[20:])]) for column in columns]
        assert_same(logrank_test(*secrets).reveal(), columns, "logrank")


def test_compiled_with_a_mask():
    durations, events, groups = rossi()
    used = np.arange(432) % 3 > 0

    @q.computation
    def compare(court, clinic):
        court, clinic = q.align(court, clinic)
        arm = q.minimum(clinic.prio, 3)
        return {"test": logrank_test(court.week, court.arrest == 1, arm, range(1, 53), where=clinic.used)}

    columns = {"prio": datasets.load_rossi().prio.to_numpy(), "used": used}
    found = compare.simulate(court={"week": durations, "arrest": events}, clinic=columns, protocol="clear")
    expected = statistics.multivariate_logrank_test(durations[used], groups[used], events[used])
    assert found["test"].statistic == pytest.approx(expected.test_statistic, rel=ERROR)
    assert found["test"].degrees_of_freedom == 3


def test_many_rows_and_few_events():
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 2, 5000)
    durations, events = rng.integers(1, 21, 5000), rng.random(5000) < 0.004
    with simulate(protocol="clear") as net:
        columns = durations, events, groups
        assert_same(logrank_test(*map(net.secret, columns), grid=range(1, 21)).reveal(), columns, "logrank", 1e-3)


def test_a_group_that_is_empty_does_not_count():
    durations, events, groups = leukemia()
    with simulate(protocol="clear") as net:
        arm = net.secret(groups * 2, range=(0, 3))
        opened = logrank_test(net.secret(durations), net.secret(events), arm).reveal()
    assert_same(opened, (durations, events, groups), "logrank")


def test_one_group_alone_or_no_events_is_no_number():
    durations, events, groups = leukemia()
    with simulate(protocol="clear") as net:
        time, arm = net.secret(durations), net.secret(groups)
        calm = logrank_test(time, net.secret(events * 0), arm).reveal()
        alone = logrank_test(time, net.secret(events), arm, where=arm == 1).reveal()
    for opened in (calm, alone):
        assert np.isnan(opened.statistic)
        assert np.isnan(opened.p_value)
        assert opened.degrees_of_freedom == 0


def test_a_small_group_hides_the_outcome():
    durations, events, groups = leukemia()
    few = groups * (np.cumsum(groups) <= 4)
    with simulate(protocol="clear") as net:
        secrets = [net.secret(column) for column in (durations, events, few)]
        hidden = logrank_test(*secrets)
        opened, raw = hidden.reveal(), hidden.statistic_.reveal()
        shown = logrank_test(*secrets, least=4).reveal()
    assert not opened.shown
    assert np.isnan(opened.p_value)
    assert raw == 0
    assert shown.p_value > 0


def test_refused():
    durations, events, groups = leukemia()
    with simulate(protocol="clear") as net:
        time, event, arm = net.secret(durations), net.secret(events), net.secret(groups)
        with pytest.raises(UserError, match="weights 'gehan'"):
            logrank_test(time, event, arm, weights="gehan")
        with pytest.raises(UserError, match="two or more"):
            logrank_test(time, event, arm * 0)
        with pytest.raises(UserError, match="groups are whole numbers"):
            logrank_test(time, event, arm - 1)
