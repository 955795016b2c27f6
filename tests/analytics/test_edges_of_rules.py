"""Rules at their edges: where one row more or less, or one flag, decides."""

from __future__ import annotations

import numpy as np

import quorate as q
from quorate import analytics as a
from quorate.analytics.linking import link
from quorate.analytics.small_groups import shown_cells


def shown(counts: list[int], least: int, most: int) -> list[bool]:
    with q.simulate(protocol="clear") as net:
        found: np.ndarray = shown_cells(net.secret(np.array(counts), range=(0, most)), least).reveal()
    return found.tolist()


def test_a_least_size_of_two_hides_single_rows() -> None:
    assert shown([1, 1, 9], 2, 20) == [False, False, True]
    assert shown([1, 2, 9], 2, 20) == [False, False, True]


def test_a_cell_of_all_rows_is_hidden_with_the_empty_one_before_it() -> None:
    """The smallest other cell is as large as a cell can be at all."""
    assert shown([0, 6], 5, 6) == [False, False]
    assert shown([6, 0], 5, 6) == [False, False]


def test_keys_of_which_no_row_counts_do_not_occur() -> None:
    key, counted = np.repeat([3, 5, 7], 6), np.repeat([True, False, True], 6)
    with q.simulate(protocol="clear") as net:
        values, keys, mask = net.secret(np.arange(18.0)), net.secret(key), net.secret(counted)
        every = a.grouped_by_key(values, keys, ["count"], size=4, where=mask, least=0).reveal()
        large = a.grouped_by_key(values, keys, ["count"], size=4, where=mask).reveal()
    assert every.index.tolist() == large.index.tolist() == [3, 7]
    assert every["count"].tolist() == [6, 6]


def test_a_row_below_of_another_key_is_no_match() -> None:
    """Of three tables, the row that is two below has to have the key as well."""
    with q.simulate(protocol="clear") as net:
        tables = [net.secret({"id": np.array([key]), f"x{k}": np.array([7])}) for k, key in enumerate([1, 1, 2])]
        assert link(*tables).valid.reveal().tolist() == [False]
        tables[2] = net.secret({"id": np.array([1]), "x3": np.array([7])})
        assert link(*tables).valid.reveal().tolist() == [True]


def test_weights_of_rows_that_are_masked_do_not_count() -> None:
    rng = np.random.default_rng(3)
    x, weight, counted = rng.uniform(-1, 1, 60), rng.uniform(0.5, 2, 60), np.arange(60) % 3 > 0
    y = 2 * x + np.where(counted, 0, 5) + rng.normal(0, 0.1, 60)
    with q.simulate(protocol="clear") as net:
        secret = [net.secret(one) for one in (x, y, weight)]
        both = a.LinearRegression().fit(secret[0], secret[1], where=net.secret(counted), sample_weight=secret[2])
        alone = [net.secret(one[counted]) for one in (x, y, weight)]
        expected = a.LinearRegression().fit(alone[0], alone[1], sample_weight=alone[2])
        assert abs(float(both.coef_.reveal()[0]) - float(expected.coef_.reveal()[0])) < 1e-3
        assert abs(float(both.intercept_.reveal()) - float(expected.intercept_.reveal())) < 1e-3
