"""Coordinates come back exactly; what is corrupted is dead-lettered; no broker ever holds one in plain."""

from __future__ import annotations

import dataclasses
import hashlib
import struct

import numpy as np
import pytest
from tests.durable import a13
from tests.durable.conftest import SERVERS
from tests.durable.submissions import LIMITS, PARTIES, SHAMIR, Field

from quorate.data.coordinates import TOLERANCE, from_e7, to_e7
from quorate.durable.frames import Fault
from quorate.durable.outbox import Outbox
from quorate.durable.producer import Producer
from quorate.errors import BrokerFault
from quorate.transport.carrier import Parcel, Queue


def drained(field, party, carrier):
    """Take everything that waits for a party."""
    consumer, rejected, silent = field.consumer(party), {}, 0
    while silent < 2:  # once may be too early for a broker
        tally = consumer.take(carrier, 100, 0.5)
        silent = 0 if tally.total else silent + 1
        for reason, count in tally.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
    return consumer, rejected


def test_coordinates_are_reconstructed_within_half_a_unit(broker):
    field = broker.field
    carrier = field.carrier()
    sent = {f"phone-{k}": a13.positions(40, seed=k) for k in range(3)}
    for name, (latitude, longitude) in sent.items():
        a13.submit(field, carrier, name, latitude, longitude)
    recipient = a13.analyst(field)
    for party in PARTIES[:2]:
        consumer, rejected = drained(field, party, carrier)
        assert rejected == {}
        parcels = consumer.passed_on(consumer.entries(), field.ring(party, (a13.ANALYST,)), a13.ANALYST)
        assert recipient.admit([parcel.body for parcel in parcels]) == [True] * 3
    entries = recipient.ready()
    assert [entry.producer for entry in entries] == sorted(sent)
    for entry in entries:
        latitude, longitude = sent[entry.producer]
        opened = recipient.open(entry)
        np.testing.assert_array_equal(opened, to_e7(latitude, longitude))
        assert np.abs(from_e7(opened)[0] - latitude).max() <= TOLERANCE
        assert np.abs(from_e7(opened)[1] - longitude).max() <= TOLERANCE
    carrier.close()


def corruptions(body):
    """Name -> (corrupted frame, the reason that its dead letter should have)."""

    def with_byte(position):
        changed = bytearray(body)
        changed[position] ^= 0x80
        return bytes(changed)

    return {
        "mac": (with_byte(20), Fault.MAC),
        "mac-end": (with_byte(51), Fault.MAC),
        "payload": (with_byte(len(body) - 1), Fault.MAC),
        "index": (body[:16] + struct.pack("<I", 3) + body[20:], Fault.MAC),
        "session": (with_byte(0), Fault.SESSION),
        "no-session": (bytes(16) + body[16:], Fault.SESSION),
        "short": (body[:-1], Fault.MAC),
        "header-only": (body[:52], Fault.LENGTH),
        "tiny": (body[:7], Fault.LENGTH),
        "long": (body + b"\0", Fault.MAC),
    }


def test_what_is_corrupted_becomes_a_dead_letter_and_no_consumer_ends(broker):
    field = broker.field
    carrier = field.carrier()
    a13.submit(field, carrier, "phone-1", *a13.positions(3, seed=1))
    (delivery,) = carrier.consume(field.queue(), 10, 5.0)
    bad = corruptions(bytes(delivery.parcel.body))
    carrier.publish(field.queue(), [Parcel(name, data) for name, (data, _) in bad.items()])
    a13.submit(field, carrier, "phone-2", *a13.positions(3, seed=2))
    carrier.acknowledge([delivery])
    field.consumer().admit([bytes(delivery.parcel.body)])
    consumer, rejected = drained(field, "p1", carrier)
    assert sum(rejected.values()) == len(bad)
    letters = {letter.parcel.ident: letter for letter in carrier.dead(field.queue())}
    assert {name: letter.reason for name, letter in letters.items()} == {
        name: f"rejected: {reason}" for name, (_, reason) in bad.items()
    }
    assert [entry.producer for entry in consumer.entries()] == ["phone-1", "phone-2"]
    assert carrier.depth(field.queue()) == 0
    carrier.close()


def test_neither_storage_nor_logs_of_the_broker_hold_a_coordinate(broker):
    field = broker.field
    carrier = field.carrier()
    latitude, longitude = a13.positions(5, seed=7)
    a13.submit(field, carrier, "phone-1", latitude, longitude)
    waiting = a13.content(broker.home)
    consumer, _ = drained(field, "p1", carrier)
    with pytest.raises(BrokerFault):
        carrier.publish(Queue(field.session, "shares.nobody"), [Parcel("x", b"x")])  # gives the log something to say
    carrier.close()
    assert b"phone-1" in waiting  # the frames are there
    for data in (waiting, a13.content(broker.home), a13.content(field.folder)):
        assert a13.traces(data, latitude, longitude) == []
    assert len(consumer.entries()) == 1


def test_the_search_would_find_coordinates_sent_in_plain(broker):
    """The control of the test above: each form, one parcel each."""
    field = broker.field
    carrier = field.carrier()
    latitude, longitude = a13.positions(5, seed=8)
    forms = a13.needles(latitude, longitude)
    queue = Queue(field.session, "plain")
    carrier.provision(queue, LIMITS)
    carrier.publish(queue, [Parcel(f"n{k}", b"<" + form + b">") for k, form in enumerate(forms)])
    found = a13.traces(a13.content(broker.home), latitude, longitude)
    carrier.remove(queue)
    carrier.close()
    assert found == list(forms.values())
    assert len(found) > 100


def test_the_forms_that_are_searched_for():
    forms = a13.needles(np.array([48.137154, 1.0]), np.array([11.576124, 2.0]))
    texts = {b"48.137154", b"48.1371540", b"481371540", b"115761240"}
    numbers = {
        struct.pack("<d", 48.137154),
        struct.pack(">d", 11.576124),
        struct.pack("<q", 481371540),
        struct.pack("<2f", 48.137154, 11.576124),
        struct.pack(">2i", 481371540, 115761240),
        struct.pack("<2i", 481371540, 10000000),
    }
    assert texts | numbers <= set(forms)
    assert struct.pack("<q", 115761240).hex().encode() in forms


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SERVERS)
def test_members_need_the_rights_of_members_only(scheme, broker_of, tmp_path):
    """Each with its own certificate: parties make and read their queues, a producer only publishes to them."""
    server = broker_of(SERVERS[scheme])
    parties = ("alice", "bob", "carol")
    layout = dataclasses.replace(SHAMIR, parties=parties)
    session = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:32]
    field = Field(tmp_path, layout, session, server.address)
    own = {party: dataclasses.replace(field, credentials=server.credentials(party)) for party in parties}
    carriers = {party: own[party].carrier() for party in parties}
    for party in parties:
        carriers[party].provision(field.queue(party), LIMITS)
    ring = field.ring("sensor", parties)
    producer = Producer(ring, layout, Outbox(tmp_path / "sensor.outbox"))
    producer.submit(to_e7(*a13.positions(2, seed=1)))
    producer.send(dict.fromkeys(parties, carriers["carol"]))
    for party in parties:
        consumer, rejected = drained(own[party], party, carriers[party])
        assert (len(consumer.entries()), rejected) == (1, {})
        carriers[party].close()
