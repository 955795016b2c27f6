"""Pauses between tries."""

from quorate.crypto.entropy import SeededEntropyForTests
from quorate.transport.backoff import Backoff, jittered


def test_pauses_grow_up_to_the_longest():
    pauses = Backoff(0.1, 2.0, SeededEntropyForTests(3))
    given = [pauses.pause() for _ in range(100)]
    assert 0.075 <= given[0] <= 0.125
    assert all(0.75 * 0.1 * 1.6**k <= given[k] <= 1.25 * 0.1 * 1.6**k for k in range(6))
    assert all(1.5 <= pause <= 2.5 for pause in given[7:])
    assert pauses.tries == 100
    pauses.reset()
    assert pauses.pause() <= 0.125


def test_pauses_differ_between_those_who_failed_together():
    assert len({Backoff(1.0, 10.0, SeededEntropyForTests(seed)).pause() for seed in range(50)}) > 30
    assert len({jittered(1.0) for _ in range(50)}) > 30
