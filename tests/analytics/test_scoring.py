"""Accuracy and R squared of secret predictions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import datasets, metrics

from quorate.analytics.scoring import accuracy, enlarged, r_squared
from quorate.errors import UserError
from quorate.interactive.net import simulate
from quorate.interactive.uploads import CoarseWarning
from quorate.sharing.dtype import INT

Y = datasets.load_diabetes(return_X_y=True)[1]
KEEP = np.arange(len(Y)) % 3 > 0


def _score(function, y, found, where=None, protocol="clear", limits=None):
    with simulate(protocol=protocol) as net:
        secret = [net.secret(y, range=limits), net.secret(found)]
        mask = None if where is None else net.secret(where)
        return function(*secret, mask).reveal()


@pytest.mark.parametrize("spread", [1.0, 30.0, 200.0])
@pytest.mark.parametrize("where", [None, KEEP])
def test_r_squared(spread, where):
    found = Y + spread * np.sin(np.arange(len(Y)))
    chosen = slice(None) if where is None else where
    wanted = metrics.r2_score(Y[chosen], found[chosen])
    assert _score(r_squared, Y, found, where) == pytest.approx(wanted, abs=1e-3 * (1 + abs(wanted)))


def test_r_squared_of_a_badly_declared_range():
    found = Y + 30 * np.sin(np.arange(len(Y)))
    wanted = metrics.r2_score(Y, found)
    assert _score(r_squared, Y, found, limits=(-(2**14), 2**14)) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("limits", [(0, 2**12), (-(2.0**20), 2.0**20), (0, 2.0**24)])
@pytest.mark.parametrize("where", [None, KEEP])
def test_r_squared_of_a_range_much_wider_than_y(limits, where):
    y = np.random.default_rng(2).normal(size=len(Y)) + 2000
    found = y + 0.3 * np.sin(np.arange(len(Y)))
    chosen = slice(None) if where is None else where
    with simulate(protocol="clear") as net, warnings.catch_warnings():
        warnings.simplefilter("ignore", CoarseWarning)
        secret = [net.secret(one, range=limits, scale=16) for one in (y, found)]
        score = r_squared(*secret, None if where is None else net.secret(where)).reveal()
    assert score == pytest.approx(metrics.r2_score(y[chosen], found[chosen]), abs=2e-3)


def test_r_squared_at_the_ends():
    assert _score(r_squared, Y, Y) == pytest.approx(1, abs=1e-3)
    assert _score(r_squared, np.full(9, 3.0), np.arange(9.0)) == 0
    assert _score(r_squared, Y / 100 + 100, np.zeros(len(Y)), limits=(0, 128)) == -255


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
def test_under_protocols(protocol):
    found = Y[:50] + 20
    assert _score(r_squared, Y[:50], found, protocol=protocol) == pytest.approx(
        metrics.r2_score(Y[:50], found), abs=2e-3
    )
    labels = np.arange(50) % 3
    assert _score(accuracy, labels, np.zeros(50, int), protocol=protocol) == pytest.approx(0.34, abs=1e-4)


def test_accuracy_of_chosen_rows():
    labels, found = np.arange(12) % 2, np.arange(12) // 6
    assert _score(accuracy, labels, found, np.arange(12) < 3) == pytest.approx(2 / 3, abs=1e-4)
    assert _score(accuracy, labels, found, np.zeros(12, bool)) == 0


def test_a_mask_is_a_column_of_bools():
    with simulate(protocol="clear") as net, pytest.raises(UserError, match="bools"):
        accuracy(net.secret([1, 0, 1]), net.secret([1, 1, 1]), net.secret([1, 1, 0]))


@pytest.mark.parametrize("parts", [[3, 1], [2**39, 2**37], [0, 0], [5, 0]])
def test_few_bits_keep_ratios(parts):
    with simulate(protocol="clear") as net:
        found = enlarged(net.secret(parts, range=(0, 2**40)).astype(INT), 2**41).reveal()
    assert found.max() <= 2**24
    assert found / max(1, found.sum()) == pytest.approx(np.array(parts) / max(1, sum(parts)), abs=1e-6)
