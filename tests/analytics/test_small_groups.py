"""Cells of few rows stay hidden, and cannot be computed from the others."""

import numpy as np
import pytest

import quorate as q
from quorate.analytics.small_groups import LEAST, blanked, protect, shown_cells
from quorate.errors import UserError


def rule(counts, least, exists=None):
    """The rule in the clear."""
    counts = np.asarray(counts)
    exists = np.ones(counts.shape, bool) if exists is None else np.asarray(exists)
    hidden = exists & (counts < least)
    if least > 1 and hidden.any() and counts[hidden].sum() < least and (exists & ~hidden).any():
        flat = np.where(exists & ~hidden, counts, counts.max() + 1).reshape(-1)
        hidden = hidden | (np.arange(counts.size) == flat.argmin()).reshape(counts.shape)
    return exists & (~hidden | (least <= 1))


TABLES = [[9, 4, 7, 12], [9, 4, 3, 12], [9, 2, 1, 12], [5, 5, 5], [0, 20, 6], [1, 0, 2], [4], [30], [6, 3, 6], [2, 8]]


@pytest.mark.parametrize("protocol", ["clear", "rep3", "shamir", "semi2k"])
def test_the_rule(protocol):
    with q.simulate(protocol=protocol) as net:
        found = [shown_cells(net.secret(np.array(table), range=(0, 100))) for table in TABLES]
        opened = net.reveal(*found)
    for table, flags in zip(TABLES, opened, strict=True):
        assert flags.tolist() == rule(table, LEAST).tolist(), table


def test_hidden_cells_never_hold_fewer_rows_than_allowed():
    rng = np.random.default_rng(5)
    tables = [rng.integers(0, 9, 6) for _ in range(30)]
    with q.simulate(protocol="clear") as net:
        opened = net.reveal(*[shown_cells(net.secret(table, range=(0, 9)), 4) for table in tables])
    for table, flags in zip(tables, opened, strict=True):
        hidden = table[~flags]
        assert (table[flags] >= 4).all()
        assert not hidden.size or hidden.sum() >= 4 or flags.sum() == 0


def test_values_of_hidden_cells_are_zero_before_they_are_opened():
    with q.simulate(protocol="rep3") as net:
        counts = net.secret(np.array([[9, 2], [8, 7]]), range=(0, 10))
        values = net.secret(np.arange(8.0)).reshape(2, 2, 2)
        values, shown = net.reveal(*protect(values, counts))
    assert shown.tolist() == [[True, False], [True, False]]
    assert values.tolist() == [[[0, 1], [0, 0]], [[4, 5], [0, 0]]]
    assert np.isnan(blanked(values, shown)[:, 1]).all()
    assert not np.isnan(blanked(values, shown)[:, 0]).any()


def test_without_a_total_one_cell_may_be_hidden_alone():
    with q.simulate(protocol="clear") as net:
        shown = shown_cells(net.secret(np.array([9, 4, 7])), complementary=False)
        assert shown.reveal().tolist() == [True, False, True]


def test_cells_that_are_not_there():
    counts, exists = [9, 0, 7, 3, 4], [True, False, True, True, True]
    with q.simulate(protocol="clear") as net:
        shown = shown_cells(net.secret(np.array(counts)), where=net.secret(np.array(exists)))
        assert shown.reveal().tolist() == rule(counts, LEAST, exists).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("least", [0, 1])
def test_no_protection(least):
    with q.simulate(protocol="clear") as net:
        assert shown_cells(net.secret(np.array([0, 1, 9])), least).reveal().all()


@pytest.mark.parametrize("least", [-1, 2.5, True, "five"])
def test_a_least_size_that_is_none(least):
    with q.simulate(protocol="clear") as net, pytest.raises(UserError, match="least size of a group"):
        shown_cells(net.secret(np.array([1])), least)


def test_values_of_other_cells():
    with q.simulate(protocol="clear") as net, pytest.raises(UserError, match="do not belong"):
        protect(net.secret(np.zeros(3)), net.secret(np.array([1, 2])))


def test_in_a_computation():
    @q.computation
    def sizes(ward):
        counts = (ward[:, None] == np.arange(3)).sum(0)
        values, shown = protect(counts, counts)
        return {"n": values, "shown": shown}

    found = sizes.simulate(ward=np.repeat([0, 1, 2], [9, 3, 6]))
    assert found["n"].tolist() == [9, 0, 0]
    assert found["shown"].tolist() == [True, False, False]
