"""A recipient waits for enough shares, goes on after a restart, and gives up in order."""

from __future__ import annotations

import numpy as np
import pytest
from tests.durable import a13
from tests.durable.submissions import LIMITS, PARTIES, REP3, Field, table

from quorate.durable.opening import Opening, Relay
from quorate.errors import BrokerFault, PeerTimeout
from quorate.transport.carrier import Parcel


@pytest.fixture
def place(tmp_path):
    return Field(tmp_path, REP3)


def relayed(place, carrier, parties, rounds=1):
    """Each party takes and passes on what there is."""
    carrier.provision(a13.analyst(place).seat.queue, LIMITS)
    for party in parties:
        relay = Relay(place.consumer(party), place.ring(party, (a13.ANALYST,)), a13.ANALYST)
        for _ in range(rounds):
            relay.take(carrier, 100, 0.0)
            relay.pass_on(carrier)


def submitted(place, carrier, count=2):
    for number in range(count):
        producer = place.producer(f"phone-{number}")
        producer.submit(table(seed=number))
        place.send(producer, carrier)


def test_it_ends_as_soon_as_enough_are_there(place):
    carrier = place.carrier()
    submitted(place, carrier)
    relayed(place, carrier, PARTIES[1:])
    opening = Opening(a13.analyst(place), 2, 3600.0)
    entries = opening.run(carrier)
    assert [entry.producer for entry in entries] == ["phone-0", "phone-1"]
    assert (opening.tally.taken, opening.tally.rejected) == (4, {})
    for number, entry in enumerate(entries):
        np.testing.assert_array_equal(a13.analyst(place).open(entry), table(seed=number))


def test_after_a_restart_it_knows_what_it_has(place):
    carrier = place.carrier()
    submitted(place, carrier)
    relayed(place, carrier, PARTIES[1:])
    entries = Opening(a13.analyst(place), 2, 3600.0).run(carrier)
    assert Opening(a13.analyst(place), 2, 3600.0).run(carrier) == entries


def test_passing_on_twice_changes_nothing(place):
    carrier = place.carrier()
    submitted(place, carrier)
    relayed(place, carrier, ["p1"], rounds=2)
    assert carrier.depth(a13.analyst(place).seat.queue) == 2
    relayed(place, carrier, ["p1", "p3"])  # p1 was started again
    opening = Opening(a13.analyst(place), 2, 3600.0)
    opening.run(carrier)
    assert opening.tally.rejected == {}
    assert all(a13.analyst(place).holders(entry) == [0, 2] for entry in a13.analyst(place).ready())


def test_garbage_does_not_end_it_and_does_not_count(place):
    carrier = place.carrier()
    submitted(place, carrier)
    analyst = a13.analyst(place)
    relayed(place, carrier, ["p1"])
    carrier.publish(analyst.seat.queue, [Parcel("bad", b"bad" * 40)])
    with pytest.raises(PeerTimeout, match="p2 passed on nothing, p3 passed on nothing"):
        Opening(analyst, 2, 0.0).run(carrier)


def test_who_gives_up_leaves_nothing_behind(place):
    carrier = place.carrier()
    submitted(place, carrier)
    relayed(place, carrier, ["p1"])
    analyst = a13.analyst(place)
    ticks = iter([0.0, *[k * 0.1 for k in range(1000)]])
    opening = Opening(analyst, 2, 1.0, clock=lambda: next(ticks))
    with pytest.raises(PeerTimeout, match="only 0 of 2 submissions can be opened after 1 s: p2 passed on nothing, p3"):
        opening.run(carrier)
    assert analyst.entries(1) == []
    assert analyst.store.fact("closed")
    with pytest.raises(BrokerFault):
        carrier.publish(analyst.seat.queue, [Parcel("late", b"x")])
    content = b"".join(path.read_bytes() for path in place.folder.glob("analyst.shares*"))
    assert b"phone-0" not in content
