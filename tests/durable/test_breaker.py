"""When a circuit breaker lets somebody try."""

import pytest

from quorate.crypto.entropy import SeededEntropyForTests
from quorate.durable.breaker import Breaker


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(3, 30.0, (10.0, 100.0), clock=clock, entropy=SeededEntropyForTests(1))


def fail(breaker, times=1):
    for _ in range(times):
        assert breaker.permit()
        breaker.failure("no route")


def test_it_opens_after_failures_within_the_window(breaker, clock):
    fail(breaker, 2)
    clock.now += 31
    fail(breaker, 2)  # the first two are too long ago
    assert breaker.condition().state == "closed"
    fail(breaker)
    assert breaker.condition() == ("open", 5, "no route", breaker.condition().wait)
    assert 7.5 <= breaker.condition().wait <= 12.5
    assert not breaker.permit()


def test_a_success_closes_it_and_forgets(breaker, clock):
    fail(breaker, 2)
    assert breaker.permit()
    breaker.success()
    fail(breaker, 2)
    assert breaker.condition().state == "closed"
    fail(breaker)
    clock.now += 13
    assert breaker.permit()
    breaker.success()
    assert breaker.condition() == ("closed", 0, "", 0.0)
    assert str(breaker.condition()) == "works"


def test_one_probe_at_a_time(breaker, clock):
    fail(breaker, 3)
    clock.now += 13
    assert breaker.permit()
    assert breaker.condition().state == "half-open"
    assert not breaker.permit()
    breaker.failure("still no route")
    assert not breaker.permit()
    assert "still no route" in str(breaker.condition())
    assert "again in" in str(breaker.condition())


def test_the_cool_down_grows_up_to_its_limit(breaker, clock):
    fail(breaker, 3)
    waits = []
    for _ in range(12):
        waits.append(breaker.condition().wait)
        clock.now += waits[-1] + 0.001
        fail(breaker)
    assert waits[5] > 2 * waits[0]
    assert all(75 <= wait <= 125 for wait in waits[-4:])
    clock.now += 126
    assert breaker.permit()
    breaker.success()
    fail(breaker, 3)
    assert breaker.condition().wait <= 12.5


def test_a_failure_that_began_before_it_opened_does_not_prolong_it(breaker):
    assert breaker.permit()
    fail(breaker, 3)
    wait = breaker.condition().wait
    breaker.failure("late")
    assert breaker.condition().wait == wait


def test_a_probe_that_never_ends_does_not_block_for_ever(breaker, clock):
    fail(breaker, 3)
    clock.now += 13
    assert breaker.permit()
    clock.now += 99
    assert not breaker.permit()
    clock.now += 2
    assert breaker.permit()
