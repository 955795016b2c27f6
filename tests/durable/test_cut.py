"""Parties agree on what they compute on: the same set everywhere, from signed statements that nobody can change."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from tests.durable.submissions import LIMITS, PARTIES, SESSION, Field, table

from quorate.crypto.pki import MemberKey, create_authority, issue, load_certificate
from quorate.durable import cut as cuts
from quorate.durable.cut import Cut, Page, sets_queue
from quorate.errors import BrokerFault, IntegrityError, UserError
from quorate.transport.carrier import Parcel


@pytest.fixture
def place(tmp_path):
    create_authority(tmp_path / "pki", "test")
    issue(tmp_path / "pki", dict.fromkeys([*PARTIES, "stranger"]))
    return Field(tmp_path)


def cut_of(place, name, cut="geo"):
    certificates = {party: load_certificate(place.folder / "pki" / f"{party}.crt") for party in PARTIES}
    return Cut(place.consumer(name), cut, MemberKey(place.folder / "pki" / f"{name}.key"), certificates)


def submit(place, carrier, name, values, to=PARTIES):
    producer = place.producer(name)
    producer.submit(values)
    producer.send(dict.fromkeys(to, carrier), LIMITS)


def take_all(place, carrier):
    for name in PARTIES:
        carrier.provision(place.queue(name), LIMITS)
        place.consumer(name).take(carrier, 100, 0.0)


def routes(carrier, name):
    return {party: carrier for party in PARTIES if party != name}


def exchanged(place, carrier):
    for name in PARTIES:
        carrier.provision(sets_queue(SESSION, name), LIMITS)
    for name in PARTIES:
        cut_of(place, name).publish(routes(carrier, name))
    outcomes = []
    for name in PARTIES:
        cut = cut_of(place, name)
        assert cut.agreed() is None
        cut.take(carrier, 0.0)
        outcomes.append(cut.agreed())
    return outcomes


def test_all_parties_get_the_same_set_and_what_is_not_everywhere_is_left_out(place):
    carrier = place.carrier()
    submit(place, carrier, "phone-1", table(2, 1))
    submit(place, carrier, "phone-2", table(2, 2))
    submit(place, carrier, "phone-3", table(2, 3), PARTIES[:2])
    take_all(place, carrier)
    first, *others = exchanged(place, carrier)
    assert all(other == first for other in others)
    assert [entry.producer for entry in first.entries] == ["phone-1", "phone-2"]
    assert (first.partial, first.disputed) == (1, ())
    shares = {me: place.consumer(name).share(first.entries).parts for me, name in enumerate(PARTIES)}
    np.testing.assert_array_equal(place.layout.combine(shares), np.concatenate([table(2, 1), table(2, 2)]))


def test_a_statement_is_made_once(place):
    carrier = place.carrier()
    submit(place, carrier, "phone-1", table())
    take_all(place, carrier)
    before = exchanged(place, carrier)[0]
    submit(place, carrier, "phone-2", table(2, 2))
    take_all(place, carrier)
    cut_of(place, "p1").publish(routes(carrier, "p1"))
    assert cut_of(place, "p1").agreed() == before
    assert len(place.consumer("p1").entries()) == 2


def test_a_producer_that_tells_parties_different_things_is_named(place, monkeypatch):
    carrier = place.carrier()
    producer = place.producer("liar")
    monkeypatch.setattr("quorate.durable.outbox.new_id", lambda *_: b"i" * 16)
    producer.submit(table())
    producer.send({"p1": carrier, "p2": carrier}, LIMITS)
    (place.folder / "liar.outbox").unlink()
    second = place.producer("liar")
    second.submit(table(seed=5))
    second.send({"p3": carrier}, LIMITS)
    take_all(place, carrier)
    first, *others = exchanged(place, carrier)
    assert first.entries == ()
    assert first.disputed == ("liar",)
    assert all(other == first for other in others)


def test_the_origin_depends_on_the_set(place):
    carrier = place.carrier()
    submit(place, carrier, "phone-1", table())
    take_all(place, carrier)
    (entry,) = place.consumer("p1").entries()
    said = {party: [entry] for party in PARTIES}
    origin = cuts._agreed(SESSION, place.layout.digest, said).origin
    changed = entry._replace(digest=bytes(32))
    assert cuts._agreed(SESSION, place.layout.digest, {party: [changed] for party in PARTIES}).origin != origin
    assert cuts._agreed(SESSION, place.layout.digest, {**said, "p3": []}).origin != origin
    assert cuts._agreed("other", place.layout.digest, said).origin != origin


def pages_of(place, name):
    cut = cut_of(place, name)
    return [msgspec.msgpack.decode(parcel.body, type=Page) for parcel in cut._ours()]


def test_who_states_two_things_is_caught(place):
    carrier = place.carrier()
    submit(place, carrier, "phone-1", table())
    take_all(place, carrier)
    (page,) = pages_of(place, "p2")
    other = msgspec.structs.replace(page, entries=())
    signed = msgspec.structs.replace(
        other, signature=MemberKey(place.folder / "pki" / "p2.key").sign(other.statement())
    )
    carrier.provision(sets_queue(SESSION, "p1"), LIMITS)
    bodies = [msgspec.msgpack.encode(each) for each in (page, signed)]
    carrier.publish(sets_queue(SESSION, "p1"), [Parcel(f"x{k}", body) for k, body in enumerate(bodies)])
    with pytest.raises(IntegrityError, match="p2 has signed two different statements"):
        cut_of(place, "p1").take(carrier, 0.0)
    with pytest.raises(IntegrityError, match="p2 has signed two different statements"):
        cut_of(place, "p1")  # also after a restart
    assert set(bodies) <= set(place.consumer("p1").store.pages("geo"))


def test_what_is_no_statement_becomes_a_dead_letter(place):
    carrier = place.carrier()
    (page,) = pages_of(place, "p2")
    bad = {
        "garbage": (b"\xff" * 30, "no statement"),
        "another cut": (msgspec.structs.replace(page, name="other"), "other submissions"),
        "another session": (msgspec.structs.replace(page, session="other"), "other submissions"),
        "not a party": (msgspec.structs.replace(page, party="stranger"), "other submissions"),
        "another table": (msgspec.structs.replace(page, table=b""), "another table"),
        "page": (msgspec.structs.replace(page, number=1), "no statement"),
        "changed": (msgspec.structs.replace(page, pages=2), "not signed by p2"),
        "as another": (msgspec.structs.replace(page, party="p3"), "not signed by p3"),
    }
    carrier.provision(sets_queue(SESSION, "p1"), LIMITS)
    for number, (body, _) in enumerate(bad.values()):
        data = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
        carrier.publish(sets_queue(SESSION, "p1"), [Parcel(f"x{number}", data)])
    tally = cut_of(place, "p1").take(carrier, 0.0)
    assert tally.taken == 0
    letters = carrier.dead(sets_queue(SESSION, "p1"))
    assert len(letters) == len(bad)
    for letter, (_, reason) in zip(letters, bad.values(), strict=True):
        assert reason in letter.reason


def test_long_statements_have_pages(place, monkeypatch):
    monkeypatch.setattr(cuts, "_MOST_ENTRIES", 2)
    carrier = place.carrier()
    for number in range(5):
        submit(place, carrier, f"phone-{number}", table(1, number))
    take_all(place, carrier)
    assert len(pages_of(place, "p1")) == 3
    first = exchanged(place, carrier)[0]
    assert len(first.entries) == 5


def test_while_a_page_is_missing_there_is_no_agreement(place, monkeypatch):
    monkeypatch.setattr(cuts, "_MOST_ENTRIES", 1)
    carrier = place.carrier()
    for number in range(2):
        submit(place, carrier, f"phone-{number}", table(1, number))
    take_all(place, carrier)
    cut = cut_of(place, "p1")
    with pytest.raises(BrokerFault):
        cut.publish({"p2": Broken()})
    assert cut.missing == ["p2", "p3"]
    carrier.provision(sets_queue(SESSION, "p1"), LIMITS)
    for name in ("p2", "p3"):
        carrier.publish(sets_queue(SESSION, "p1"), cut_of(place, name)._ours()[: 2 if name == "p2" else 1])
    cut.take(carrier, 0.0)
    assert cut.missing == ["p3"]
    assert cut.agreed() is None


class Broken:
    def publish(self, *_):
        raise BrokerFault("away")


def test_all_certificates_are_needed(place):
    with pytest.raises(UserError, match="certificate of p2, p3"):
        Cut(place.consumer(), "geo", MemberKey(place.folder / "pki" / "p1.key"), {"p1": None})
