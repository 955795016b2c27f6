"""Producers and consumers over a queue: once, in spite of retries and kills; what is wrong becomes a dead letter."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.durable.submissions import LAYOUTS, LIMITS, PARTIES, REP3, SESSION, Field, table

from quorate.durable import frames
from quorate.durable.consumer import Consumer, Seat
from quorate.durable.frames import Fault
from quorate.durable.share_store import ShareStore
from quorate.durable.submission import Content, Envelope, envelope_of, opened, sealed
from quorate.errors import BrokerFault, UserError
from quorate.transport.carrier import Parcel


@pytest.fixture
def place(tmp_path):
    return Field(tmp_path)


def everything(consumer, carrier):
    tallies = []
    while (tally := consumer.take(carrier, 100, 0.0)).total:
        tallies.append(tally)
    return tallies


def values_of(field, entries_of=None):
    layout = field.layout
    consumers = {me: field.consumer(name) for me, name in enumerate(layout.parties)}
    shares = {}
    for me, consumer in consumers.items():
        share = consumer.share(consumer.entries())
        shares[me] = [part.reshape(-1, len(layout.columns)) for part in share.parts]
    return layout.combine(shares)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_what_producers_submit_is_what_consumers_hold(tmp_path, layout):
    field = Field(tmp_path, layout)
    carrier = field.carrier()
    tables = {name: table(5, seed) for seed, name in enumerate(["agency", "phone-1", "phone-2"])}
    for name, values in tables.items():
        producer = field.producer(name)
        assert producer.submit(values).fresh
        assert field.send(producer, carrier) == 3
    for name in PARTIES:
        consumer = field.consumer(name)
        assert sum(tally.taken for tally in everything(consumer, carrier)) == 3
        assert [entry.producer for entry in consumer.entries()] == sorted(tables)
        assert carrier.depth(field.queue(name)) == 0
    np.testing.assert_array_equal(values_of(field), np.concatenate([tables[name] for name in sorted(tables)]))


def test_large_tables_travel_in_several_frames(place):
    carrier, producer = place.carrier(), place.producer()
    values = table(60_000)
    receipt = producer.submit(values)
    assert receipt.frames == 3 * 3
    place.send(producer, carrier)
    for name in PARTIES:
        everything(place.consumer(name), carrier)
    np.testing.assert_array_equal(values_of(place), values)


def test_an_incomplete_submission_is_none(place):
    carrier, producer = place.carrier(), place.producer()
    producer.submit(table(60_000))
    place.send(producer, carrier)
    consumer = place.consumer()
    consumer.take(carrier, 2, 0.0)
    assert consumer.entries() == []
    with pytest.raises(UserError, match="no submission"):
        consumer.share(consumer.entries())
    consumer.take(carrier, 2, 0.0)
    assert len(consumer.entries()) == 1


def test_submitting_again_injects_nothing(place):
    carrier = place.carrier()
    first = place.producer().submit(table(), "morning")
    place.send(place.producer(), carrier)
    again = place.producer().submit(table(), "morning")
    assert (again.fresh, again.submission, again.rows) == (False, first.submission, 3)
    assert place.send(place.producer(), carrier) == 0
    with pytest.raises(UserError, match="with other values"):
        place.producer().submit(table(seed=2), "morning")
    assert place.producer().submit(table(), "evening").fresh


def test_without_a_name_the_same_table_is_submitted_once(place):
    assert place.producer().submit(table()).fresh
    assert not place.producer().submit(table()).fresh
    assert place.producer().submit(table(seed=2)).fresh
    with pytest.raises(UserError, match="no rows"):
        place.producer().submit(table(0))


class Interrupted:
    """A carrier that breaks off after some parcels: taken by the broker, and the confirmation is lost."""

    def __init__(self, carrier, after):
        self.carrier, self.after = carrier, after

    def provision(self, queue, limits):
        self.carrier.provision(queue, limits)

    def publish(self, queue, parcels):
        self.carrier.publish(queue, parcels)
        self.after -= 1
        if self.after < 0:
            raise BrokerFault("the connection broke")


def test_a_lost_confirmation_gives_no_second_share(place):
    producer, carrier = place.producer(), place.carrier()
    producer.submit(table())
    with pytest.raises(BrokerFault):
        place.send(producer, Interrupted(carrier, 1))
    assert producer.unsent() == 2
    carrier.remove(place.queue("p2"))  # also the broker's own memory of what it has seen
    place.send(place.producer(), carrier)
    sent = carrier.consume(place.queue("p2"), 10, 0.0)
    assert len(sent) == 1
    assert place.consumer("p2").admit([sent[0].parcel.body] * 3) == [True, False, False]
    everything(place.consumer("p1"), carrier)
    everything(place.consumer("p2"), carrier)
    everything(place.consumer("p3"), carrier)
    np.testing.assert_array_equal(values_of(place), table())


def test_the_outbox_sends_the_same_bytes_again(place):
    producer, carrier = place.producer(), place.carrier()
    producer.submit(table(), "n")
    place.send(producer, carrier)
    (first,) = carrier.consume(place.queue(), 10, 0.0)
    carrier.remove(place.queue())  # the broker lost everything
    from quorate.durable.outbox import Outbox

    assert Outbox(place.folder / "phone-1.outbox").send_again(SESSION, "n") == 3
    place.send(place.producer(), carrier)
    (second,) = carrier.consume(place.queue(), 10, 0.0)
    assert first.parcel == second.parcel


def test_large_outboxes_are_sent_in_several_calls(place, monkeypatch):
    monkeypatch.setattr("quorate.durable.producer._MOST_BYTES_AT_ONCE", 1)
    producer, carrier = place.producer(), place.carrier()
    for name in "abc":
        producer.submit(table(), name)
    assert place.send(producer, carrier) == 9
    assert len(carrier.consume(place.queue(), 10, 0.0)) == 3
    assert producer.unsent() == 0


def test_nothing_readable_in_files(place):
    values = np.array([[48_137_154, -1_157_561_244]])
    producer, carrier = place.producer(), place.carrier()
    producer.submit(values)
    place.send(producer, carrier)
    everything(place.consumer(), carrier)
    producer.unsent()
    content = b"".join(
        path.read_bytes() for path in place.folder.rglob("*") if path.is_file() and ".key" not in path.name
    )
    for value in values.reshape(-1):
        assert int(value).to_bytes(8, "little", signed=True) not in content
        assert str(value).encode() not in content
    assert len(content) > 10_000


# ---- what is wrong


def forged(field, **change):
    """A frame of an enrolled producer who builds it by hand."""
    layout = field.layout
    made = layout.split(table())
    held = layout.held(0)
    facts = {
        "layout": layout.digest,
        "rows": 3,
        "blocks": 1,
        "manifest": made.manifest,
        "salts": tuple(made.salts[k] for k in held),
        "parts": tuple(np.ascontiguousarray(made.parts[k], "<u8").tobytes() for k in held),
    }
    place = {"id": b"i" * 16, "block": 0, "index": 1, "session": SESSION, "key": "p1"}
    place |= {key: change.pop(key) for key in list(change) if key in place}
    keys = field.ring("phone-1").key_for(place["key"])
    envelope = Envelope("phone-1", place["id"], place["block"])
    return sealed(Content(**{**facts, **change}), envelope, place["session"], place["index"], keys)


def flipped(data, position):
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


BAD = {
    "mac": (lambda f: flipped(forged(f), 30), Fault.MAC),
    "index in the header": (lambda f: flipped(forged(f), 16), Fault.MAC),
    "session in the header": (lambda f: flipped(forged(f), 3), Fault.SESSION),
    "payload": (lambda f: flipped(forged(f), -1), Fault.MAC),
    "cut off": (lambda f: forged(f)[:-1], Fault.MAC),
    "a header only": (lambda f: forged(f)[:52], Fault.LENGTH),
    "nothing": (lambda f: b"", Fault.LENGTH),
    "too long": (lambda f: bytes(frames.MOST_BYTES + 1), Fault.LENGTH),
    "another session": (lambda f: forged(f, session="other"), Fault.SESSION),
    "for another consumer": (lambda f: forged(f, key="p2"), Fault.MAC),
    "another share": (lambda f: forged(f, index=2), Fault.INDEX),
    "share 0": (lambda f: forged(f, index=0), Fault.INDEX),
    "another table": (lambda f: forged(f, layout=bytes(32)), Fault.LAYOUT),
    "a block too many": (lambda f: forged(f, block=1), Fault.LAYOUT),
    "too many blocks": (lambda f: forged(f, blocks=1 << 20), Fault.LAYOUT),
    "rows": (lambda f: forged(f, rows=2), Fault.COMMITMENT),
    "no rows": (lambda f: forged(f, rows=0, parts=(b"", b"")), Fault.COMMITMENT),
    "parts": (lambda f: forged(f, parts=(bytes(48), bytes(48))), Fault.COMMITMENT),
    "too few parts": (lambda f: forged(f, parts=()), Fault.COMMITMENT),
    "plain inside": (lambda f: frames.make(SESSION, 1, b"x" * 90, f.ring("phone-1").key_for("p1").mac), Fault.MAC),
    "hostile inside": (lambda f: rewrapped(f, b"\x91" * 5000), Fault.FORM),
    "no envelope": (lambda f: named_nobody(f), Fault.FORM),
}


def rewrapped(field, body):
    """An authentic frame whose decrypted content is not what it should be."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from quorate.durable import submission

    keys = field.ring("phone-1").key_for("p1")
    prefix = bytes([1, 7]) + b"phone-1" + b"i" * 16 + bytes(4)
    cipher = AESGCM(keys.cipher).encrypt(b"n" * 12, body, submission._bound(SESSION, 1, prefix))
    return frames.make(SESSION, 1, prefix + b"n" * 12 + cipher, keys.mac)


def named_nobody(field):
    """What no producer but one called "nobody" can make: authentic, and no envelope inside."""
    return frames.make(SESSION, 1, b"\x09", field.ring("nobody").key_for("p1").mac)


@pytest.mark.parametrize(("make", "fault"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_rejected_with_its_reason(place, make, fault):
    carrier, consumer = place.carrier(), place.consumer()
    carrier.provision(place.queue(), LIMITS)
    carrier.publish(place.queue(), [Parcel("bad", make(place)), Parcel("good", forged(place))])
    tally = consumer.take(carrier, 10, 0.0)
    assert (tally.taken, tally.rejected) == (1, {str(fault): 1})
    (letter,) = carrier.dead(place.queue())
    assert letter.parcel.ident == "bad"
    assert letter.reason == f"rejected: {fault}"
    assert carrier.depth(place.queue()) == 0
    assert len(consumer.entries()) == 1


def test_two_shares_under_one_id_are_no_retry(place):
    consumer = place.consumer()
    first, second = forged(place), forged(place)
    assert consumer.admit([first]) == [True]
    assert consumer.admit([second]) == [Fault.OTHER]
    assert consumer.admit([first, second]) == [False, Fault.OTHER]
    assert consumer.admit([forged(place, id=b"j" * 16)]) == [True]


def test_blocks_of_one_submission_agree_on_their_number(place):
    consumer = place.consumer()
    assert consumer.admit([forged(place, blocks=2)]) == [True]
    assert consumer.admit([forged(place, blocks=3, block=1)]) == [Fault.OTHER]


def recipient_of(field):
    seat = Seat.recipient(SESSION, field.layout, "analyst")
    return Consumer(seat, field.master("analyst"), ShareStore(field.folder / "analyst.shares"))


def submitted(field, carrier, values):
    producer = field.producer()
    producer.submit(values)
    field.send(producer, carrier)
    consumers = [field.consumer(name) for name in PARTIES]
    for consumer in consumers:
        everything(consumer, carrier)
    return consumers


def passed(field, consumer):
    return consumer.passed_on(consumer.entries(), field.ring(consumer.seat.name, ("analyst",)), "analyst")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_recipient_opens_with_enough_shares_and_not_before(tmp_path, layout):
    field = Field(tmp_path, layout)
    values = table(60_000)
    consumers, analyst = submitted(field, field.carrier(), values), recipient_of(field)
    for count, consumer in enumerate(consumers[::-1], 1):
        parcels = passed(field, consumer)
        assert parcels == passed(field, consumer)
        assert analyst.admit([parcel.body for parcel in parcels]) == [True] * len(parcels)
        assert len(analyst.ready()) == (count >= layout.needed)
    (entry,) = analyst.ready()
    assert analyst.holders(entry) == [0, 1, 2]
    np.testing.assert_array_equal(analyst.open(entry), values)


def test_a_recipient_takes_shares_only_from_the_party_they_belong_to(place):
    (first, *_), analyst = submitted(place, place.carrier(), table()), recipient_of(place)
    (parcel,) = passed(place, first)
    keys = place.ring("p1", ("analyst",)).key_for("analyst")
    content = opened(frames.parse(parcel.body), envelope_of(parcel.body[52:]), SESSION, keys)
    assert content is not None
    as_second = sealed(content, Envelope("p1", b"i" * 16, 0), SESSION, 2, keys)
    direct = sealed(msgspec.structs.replace(content, origin=""), Envelope("p1", b"i" * 16, 0), SESSION, 1, keys)
    assert analyst.admit([as_second, direct, parcel.body]) == [Fault.INDEX, Fault.INDEX, True]
    stolen = sealed(content, Envelope("phone-1", b"j" * 16, 0), SESSION, 1, place.ring("phone-1").key_for("p1"))
    assert place.consumer().admit([stolen]) == [Fault.INDEX]


def test_one_cheating_consumer_does_not_keep_the_others_from_being_heard(place):
    consumers, analyst = submitted(place, place.carrier(), table()), recipient_of(place)
    keys = place.ring("p1", ("analyst",)).key_for("analyst")
    (entry,) = consumers[0].entries()
    made = REP3.split(table(seed=9))
    held = REP3.held(0)
    parts = tuple(np.ascontiguousarray(made.parts[k], "<u8").tobytes() for k in held)
    lie = Content(REP3.digest, 3, 1, made.manifest, tuple(made.salts[k] for k in held), parts, entry.producer)
    assert analyst.admit([sealed(lie, Envelope("p1", entry.submission, 0), SESSION, 1, keys)]) == [True]
    for consumer in consumers[1:]:
        assert analyst.admit([parcel.body for parcel in passed(place, consumer)]) == [True]
    assert analyst.ready() == [entry]
    assert analyst.holders(entry) == [1, 2]
    np.testing.assert_array_equal(analyst.open(entry), table())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=250), position=st.integers(0, 400), genuine=st.booleans())
def test_no_bytes_end_a_consumer(place, data, position, genuine):
    consumer = place.consumer()
    body = forged(place)
    if genuine:
        data = body[: position % len(body)] + data + body[position % len(body) + len(data) :]
    verdict = consumer.judge(data)
    assert isinstance(verdict, Fault) or data == body


def test_a_store_is_for_one_session_table_and_consumer(place):
    place.consumer()
    other = Seat("other", REP3, "p1", frozenset({1}))
    with pytest.raises(UserError, match="another session"):
        Consumer(other, place.master("p1"), ShareStore(place.folder / "p1.shares"))


def test_an_unknown_producer_costs_no_memory(place):
    consumer = place.consumer()
    for number in range(5000):
        assert consumer.judge(frames.make(SESSION, 1, bytes([1, 8]) + b"%08d" % number + bytes(60), b"")) is Fault.MAC
    assert len(consumer._known) <= 4096


# ---- kills

TAKER = """
import sys
from pathlib import Path
from tests.durable.submissions import Field
field = Field(Path(sys.argv[1]))
consumer, carrier = field.consumer(sys.argv[2]), field.carrier()
while True:
    tally = consumer.take(carrier, 5, 0.2)
    print(tally.taken, flush=True)
"""


def start(field, name):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", TAKER, str(field.folder), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)


@pytest.mark.slow
def test_a_consumer_killed_again_and_again_takes_every_share_once(place):
    carrier, producer = place.carrier(), place.producer()
    tables = [table(2, seed) for seed in range(150)]
    for seed, values in enumerate(tables):
        producer.submit(values, f"t{seed}")
    place.send(producer, carrier)
    for _ in range(6):
        process = start(place, "p1")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    for name in PARTIES:
        everything(place.consumer(name), carrier)
    assert carrier.dead(place.queue()) == []
    assert len(place.consumer().entries()) == 150
    np.testing.assert_array_equal(values_of(place), np.concatenate(tables))


def test_a_kill_between_store_and_acknowledgement_is_a_known_share(place):
    carrier, producer = place.carrier(), place.producer()
    producer.submit(table())
    place.send(producer, carrier)
    (delivery,) = carrier.consume(place.queue(), 5, 0.0)
    assert place.consumer().admit([delivery.parcel.body]) == [True]
    carrier.close()  # killed here
    carrier = place.carrier()
    tally = place.consumer().take(carrier, 5, 0.0)
    assert (tally.taken, tally.known, tally.rejected) == (0, 1, {})
    assert carrier.depth(place.queue()) == 0


def test_a_kill_before_the_store_loses_nothing(place, monkeypatch):
    carrier, producer = place.carrier(), place.producer()
    producer.submit(table())
    place.send(producer, carrier)
    consumer = place.consumer()
    monkeypatch.setattr(ShareStore, "put", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("killed")))
    with pytest.raises(sqlite3.OperationalError):
        consumer.take(carrier, 5, 0.0)
    monkeypatch.undo()
    carrier.close()
    assert place.consumer().take(place.carrier(), 5, 0.0).taken == 1
