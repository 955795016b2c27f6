"""Consumers are processes, and get killed in the middle of a round: two of three are enough, one is not.

With enough of them the round completes with the same values. With too few it ends when its budget does: the session is
closed, queues are deleted, shares erased, and the error names who was missing.
"""

from __future__ import annotations

import contextlib
import re
import signal
import time

import numpy as np
import pytest
from tests.durable import a13
from tests.durable.submissions import LIMITS, PARTIES

from quorate.data.coordinates import to_e7
from quorate.durable.opening import Opening
from quorate.errors import BrokerFault, PeerTimeout
from quorate.transport.carrier import Parcel

pytestmark = pytest.mark.slow
COUNT = 30


@contextlib.contextmanager
def consumers(field, carrier):
    """Three processes that take shares and pass them on, until they are killed."""
    analyst = a13.analyst(field)
    for queue in [*(field.queue(party) for party in PARTIES), analyst.seat.queue]:
        carrier.provision(queue, LIMITS)
    running = {party: a13.worker(field, party) for party in PARTIES}
    try:
        yield analyst, running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def kill(process):
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def feed(field, sent, first, last):
    """Submissions number `first` to `last`, one after the other."""
    carrier = field.carrier()
    for number in range(first, last):
        sent[f"phone-{number}"] = a13.positions(1, seed=number)
        a13.submit(field, carrier, f"phone-{number}", *sent[f"phone-{number}"])
    carrier.close()


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the round did not come so far"
        time.sleep(0.05)


def check(analyst, entries, sent):
    assert {entry.producer for entry in entries} == set(sent)
    for entry in entries:
        np.testing.assert_array_equal(analyst.open(entry), to_e7(*sent[entry.producer]))


def test_one_of_three_is_killed_and_the_round_completes(broker):
    field, sent = broker.field, {}
    carrier = field.carrier()
    with consumers(field, carrier) as (analyst, running):
        feed(field, sent, 0, COUNT // 3)
        until(lambda: analyst.take(carrier, 10, 0.1) and analyst.entries(2))  # in the middle of the round
        kill(running["p2"])
        feed(field, sent, COUNT // 3, COUNT)
        entries = Opening(analyst, COUNT, 90.0).run(carrier)
        check(analyst, entries, sent)
        assert len(analyst.entries(2)) < COUNT  # the dead one did not pass on everything
        running["p2"] = a13.worker(field, "p2")  # it comes back, and catches up
        until(lambda: analyst.take(carrier, 100, 0.1) is not None and len(analyst.entries(2)) == COUNT)
        assert all(analyst.holders(entry) == [0, 1, 2] for entry in entries)
        assert all(carrier.dead(field.queue(party)) == [] for party in PARTIES)
    carrier.close()


def test_two_of_three_are_killed_and_the_round_is_torn_down(broker):
    field, sent = broker.field, {}
    carrier = field.carrier()
    with consumers(field, carrier) as (analyst, running):
        feed(field, sent, 0, 5)
        until(lambda: analyst.take(carrier, 10, 0.1) and len(analyst.ready()) == 5)
        for party in ("p2", "p3"):
            kill(running[party])
        feed(field, sent, 5, 10)
        until(lambda: analyst.take(carrier, 10, 0.1) is not None and len(analyst.entries(1)) == 10)
        with pytest.raises(PeerTimeout) as ended:
            Opening(analyst, 10, 2.0).run(carrier)
        message = str(ended.value)
        assert "only 5 of 10 submissions" in message
        assert re.search(r"p2 passed on (nothing|\d), p3 passed on (nothing|\d);", message)
        assert "p1 passed on" not in message
        assert field.session in message
        assert analyst.entries(1) == []
        assert analyst.store.fact("closed")
        assert carrier.depth(analyst.seat.queue) == 0
        with pytest.raises(BrokerFault):
            carrier.publish(analyst.seat.queue, [Parcel("late", b"late")])
    carrier.close()
