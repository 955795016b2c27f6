"""quorate submit, collect and dlq: what counts once, how much may be frozen, and which dead letters are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.cli.submitting import (
    PARTIES,
    SESSION,
    VISITS,
    broker,
    collect,
    dlq,
    enrol,
    kept,
    prepared,
    submit,
)

from quorate.durable.producer import shares_queue
from quorate.node.messages import Failure
from quorate.node.place import Place
from quorate.node.routes import credentials_of, rounds_queue
from quorate.transport import carrier as carriers
from quorate.transport.carrier import Limits, Parcel

COMPUTATION = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def place(example, here):
    return prepared(example, here)


def taken(here, place):
    for party in PARTIES:
        collect(here, place, "take", party, "--for", "0")


def frozen(here, place, *options):
    """Every party freezes; the first ones do not wait for the others, and freeze again."""
    for party in PARTIES:
        collect(here, place, "freeze", party, "--timeout", "0")
    return [collect(here, place, "freeze", party, *options) for party in PARTIES]


def lines(place, name):
    return [json.loads(line) for line in (place / "state/audit" / name / "audit.jsonl").read_text().splitlines()]


# ---- submit


def test_the_order_of_keys_does_not_matter(here, place):
    rings = enrol(here, place, "kiosk")
    command = ["submit", place / "protocol_spec.yaml", "--data", place / "kiosk.csv", "--json"]
    first = here(*command, *rings).json()
    for turned in (rings[2:] + rings[:2], rings[4:] + rings[:4]):
        assert here(*command, *turned).json() == {**first, "sent": 0}
    assert [path.name for path in place.glob("*.outbox")] == ["kiosk.alder.outbox"]


def test_what_is_submitted_is_in_the_audit_if_there_is_a_home(here, place):
    told = submit(here, place, "kiosk").json()
    submit(here, place, "kiosk")
    ours = [(line["what"], line.get("peer", ""), line["message"]) for line in lines(place, "kiosk")[1:]]
    sent = [("share sent", party, f"{told['submission']}.{k + 1}.0") for k, party in enumerate(PARTIES)]
    assert ours == [("submitted", "", told["submission"]), *sent, ("submitted", "", told["submission"])]
    assert [line["note"] for line in lines(place, "kiosk") if line["what"] == "submitted"] == [
        "2 rows",
        "2 rows, known already",
    ]
    assert "48.1371" not in (place / "state/audit/kiosk/audit.jsonl").read_text()


def test_without_a_home_no_audit_is_begun_unless_asked_for(here, place):
    enrol(here, place, "kiosk")
    (place / "state").rename(place / "parties")
    assert submit(here, place, "kiosk").code == 0
    assert not (place / "state").exists()
    assert submit(here, place, "kiosk", "--home", place / "mine", "--again").json()["sent"] == 3
    assert (place / "mine/audit/kiosk/audit.jsonl").exists()


def test_a_ring_of_somebody_with_a_strange_name_is_none(here, place):
    enrol(here, place, "kiosk")
    for party in PARTIES:
        path = place / f"kiosk.{party}.ring"
        path.write_text(path.read_text().replace('"kiosk"', '"../kiosk"'))
    ended = submit(here, place, "kiosk")
    assert ended.code == 2
    assert "not a key ring" in ended.err


@pytest.fixture
def seen(monkeypatch):
    """The credentials with which brokers are met."""
    real, met = carriers.open_carrier, []

    def meet(address, credentials):
        met.append((address, credentials))
        return real(address, credentials)

    monkeypatch.setattr(carriers, "open_carrier", meet)
    monkeypatch.setattr("quorate.node.routes.open_carrier", meet)
    return met


def test_brokers_are_known_by_their_own_authority(here, place, edit, seen):
    edit(place / "federation.yaml", "ca: pki/ca.crt", "ca: pki/ca.crt\nbroker_ca: pki/brokers.crt")
    enrol(here, place, "kiosk")
    seen.clear()
    submit(here, place, "kiosk")
    submit(here, place, "kiosk", "--as", "institute", "--again")
    assert len(seen) == 6
    assert {credentials.authority for _, credentials in seen} == {place / "pki/brokers.crt"}


def test_every_broker_is_met_with_its_own_password(here, place, monkeypatch):
    enrol(here, place, "kiosk")
    asked = []

    def remembered(identity, address=""):
        asked.append(address)
        return credentials_of(identity, address)

    monkeypatch.setattr("quorate.node.routes.credentials_of", remembered)
    submit(here, place, "kiosk", "--as", "institute")
    taken(here, place)
    frozen(here, place)
    collect(here, place, "enrol", "institute", "--producer", "alder", "--output", place / "a.ring")
    assert collect(here, place, "pass-on", "alder", "--to", "institute", "--keys", place / "a.ring").code == 0
    assert dlq(here, place, "list", place / "federation.yaml").code == 0
    assert len(asked) > 20
    assert set(asked) == {f"embedded:{place / 'queues'}"}


# ---- freeze


def test_more_rows_than_the_input_may_have_are_refused_by_all_parties_alike(here, place, edit):
    edit(place / "protocol_spec.yaml", "    columns:", "    max_rows: 2\n    columns:")
    for producer in VISITS:
        submit(here, place, producer)
    taken(here, place)
    ended = frozen(here, place)
    assert {each.code for each in ended} == {3}
    assert len({each.err for each in ended}) == 1
    for text in ("3 rows in 2 submissions", "at most 2", "kiosk (2 rows), tram-7 (1 rows)", "--leave-out"):
        assert text in ended[0].err
    assert not list((place / "state/kept").rglob("*.share"))

    again = [collect(here, place, "freeze", party, "--leave-out", "kiosk").json() for party in PARTIES]
    assert {(each["rows"], each["submissions"], len(each["left_out"])) for each in again} == {(1, 1, 1)}
    assert len({each["origin"] for each in again}) == 1
    np.testing.assert_allclose(kept(place), VISITS["tram-7"], atol=4e-8)


def test_exactly_as_many_rows_as_the_input_may_have_are_kept(here, place, edit):
    edit(place / "protocol_spec.yaml", "    columns:", "    min_rows: 3\n    max_rows: 3\n    columns:")
    for producer in VISITS:
        submit(here, place, producer)
    taken(here, place)
    assert {each.json()["rows"] for each in frozen(here, place)} == {3}


def test_fewer_rows_than_the_input_needs_are_refused(here, place, edit):
    edit(place / "protocol_spec.yaml", "    columns:", "    min_rows: 3\n    columns:")
    submit(here, place, "tram-7")
    taken(here, place)
    ended = frozen(here, place)[0]
    assert ended.code == 3
    assert "needs at least 3" in ended.err


def test_a_single_submission_can_be_left_out_and_parties_that_differ_see_it(here, place):
    told = [submit(here, place, "kiosk", "--name", name).json()["submission"] for name in ("one", "two")]
    taken(here, place)
    whole = frozen(here, place)[0].json()
    some = collect(here, place, "freeze", "alder", "--leave-out", told[1]).json()
    assert (some["submissions"], some["left_out"]) == (1, [told[1]])
    assert some["origin"] != whole["origin"]
    shown = here(
        "collect", "freeze", place / "protocol_spec.yaml", "--as", "alder", "--session", SESSION, "--leave-out", told[0]
    ).out
    assert f"left out, as you asked, {told[0]} of kiosk, 2 rows" in shown
    ended = collect(here, place, "freeze", "alder", "--leave-out", "tram-7")
    assert ended.code == 2
    assert "nothing alike of 'tram-7'" in ended.err


# ---- dead letters


def computation(place, *idents):
    """A computation's queue at alder, with these messages dead."""
    carrier, queue = broker(place), rounds_queue(COMPUTATION, "alder")
    carrier.provision(queue, Limits())
    carrier.publish(queue, [Parcel(ident, b"x" * 9) for ident in idents])
    for delivery in carrier.consume(queue, len(idents), 0.0):
        carrier.reject(delivery, "malformed")
    carrier.close()


def expired(place, *idents):
    carrier, queue = broker(place), rounds_queue(COMPUTATION, "alder")
    carrier.provision(queue, Limits(ttl=0.0))
    carrier.publish(queue, [Parcel(ident, b"y" * 9) for ident in idents])
    assert carrier.consume(queue, 10, 0.0) == []
    carrier.provision(queue, Limits())
    carrier.close()


def listed(here, place):
    return [row["id"] for row in dlq(here, place, "list", place / "federation.yaml").json()["dead_letters"]]


def test_dead_letters_of_computations_are_listed(here, place):
    computation(place, "odd")
    assert listed(here, place) == []
    told = here("dlq", "list", place / "federation.yaml", "--as", "alder").out
    assert f"alder has no dead letters among its invitations and in 0 sessions known in {place / 'state'}" in told
    assert "--session ID" in told
    (place / "state/sessions/alder" / COMPUTATION).mkdir(parents=True)
    assert listed(here, place) == ["odd"]


def test_dead_replies_to_a_coordinator_are_listed(here, place):
    from quorate.node.invitation import replies_queue

    carrier, queue = broker(place), replies_queue(COMPUTATION, "alder")
    carrier.provision(queue, Limits())
    carrier.publish(queue, [Parcel("forged", b"x")])
    carrier.reject(carrier.consume(queue, 1, 0.0)[0], "not signed")
    carrier.close()
    (place / "state/asked/alder" / COMPUTATION).mkdir(parents=True)
    assert listed(here, place) == ["forged"]
    assert dlq(here, place, "reconcile", place / "federation.yaml").json()["kept"] == 1


def reconciled(here, place):
    told = dlq(here, place, "reconcile", place / "federation.yaml").json()
    return told["retried"], told["dropped"], told["kept"]


def test_messages_of_a_running_computation_are_put_back_and_of_an_ended_one_dropped(here, place):
    computation(place, "odd")
    expired(place, "late-1", "late-2")
    ours = Place(place / "state", "alder", COMPUTATION)
    ours.folder.mkdir(parents=True)
    assert reconciled(here, place) == (0, 0, 3)  # never begun here
    ours.start()
    assert reconciled(here, place) == (2, 0, 1)
    assert listed(here, place) == ["odd"]
    carrier = broker(place)
    assert carrier.depth(rounds_queue(COMPUTATION, "alder")) == 2
    carrier.close()
    ours.note_end(Failure(code="UserError", message="stopped"))
    assert reconciled(here, place) == (0, 1, 0)
    assert listed(here, place) == []


def test_what_is_kept_does_not_hide_what_is_wanted(here, place, monkeypatch):
    monkeypatch.setattr("quorate.durable.dead_letters.AT_ONCE", 2)
    computation(place, *[f"odd-{number}" for number in range(5)])
    expired(place, "late-1", "late-2", "late-3")
    Place(place / "state", "alder", COMPUTATION).folder.mkdir(parents=True)
    Place(place / "state", "alder", COMPUTATION).start()
    assert reconciled(here, place) == (3, 0, 5)


def test_what_stands_in_dead_letters_does_not_steer_a_terminal(here, place):
    enrol(here, place, "kiosk")
    carrier, queue = broker(place), shares_queue(SESSION, "alder")
    carrier.publish(queue, [Parcel("\x1b]0;title\x07\x1b[2J", bytes(80))])
    carrier.close()
    collect(here, place, "take", "alder", "--for", "0")
    shown = here("dlq", "list", place / "federation.yaml", "--as", "alder").out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "]0;title" in shown
