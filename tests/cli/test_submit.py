"""quorate submit, collect and dlq: from a table outside to an input of a spec, on files of one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
    freeze_later,
    kept,
    prepared,
    submit,
)

from quorate.durable.layout import SCHEMES
from quorate.durable.producer import shares_queue
from quorate.durable.share_store import ShareStore
from quorate.errors import BrokerFault
from quorate.node.submissions import store_path
from quorate.protocols.registry import protocol_class
from quorate.transport.carrier import Limits, Parcel
from quorate.transport.embedded import EmbeddedCarrier


@pytest.fixture
def place(example, here):
    return prepared(example, here)


def test_tables_of_producers_become_an_input(here, place):
    for producer in VISITS:
        told = submit(here, place, producer).json()
        assert (told["rows"], told["sent"]) == (len(VISITS[producer]), 3)
        assert submit(here, place, producer).json()["sent"] == 0
    assert submit(here, place, "kiosk", "--again").json()["sent"] == 3
    for party in PARTIES:
        told = collect(here, place, "take", party, "--for", "0").json()
        assert (told["submissions"], told["rows"], told["rejected"]) == (2, 3, 0)
    before = collect(here, place, "freeze", "alder", "--timeout", "0")
    assert before.code == 6
    assert "birch, cedar did not state" in before.err
    told = [freeze_later(here, place, party) for party in PARTIES]
    assert {(each["rows"], each["submissions"], each["origin"]) for each in told[-1:]} == {(3, 2, told[-1]["origin"])}
    again = [collect(here, place, "freeze", party).json() for party in PARTIES]
    assert {each["origin"] for each in again} == {told[-1]["origin"]}
    np.testing.assert_allclose(kept(place), [row for producer in sorted(VISITS) for row in VISITS[producer]], atol=4e-8)
    audits = "".join(path.read_text() for path in (place / "state" / "audit").rglob("*.jsonl"))
    assert "share taken" in audits
    assert "48.1371" not in audits


@pytest.mark.slow
@pytest.mark.timeout(400)  # without a dealer, parties make their tuples themselves
@pytest.mark.parametrize("protocol", sorted(SCHEMES))
def test_nodes_compute_on_what_was_submitted(here, place, edit, protocol):
    adversary = protocol_class(protocol).adversary
    edit(place / "protocol_spec.yaml", "rep3, adversary: semi-honest", f"{protocol}, adversary: {adversary}")
    assert here("compile", place / "protocol_spec.yaml").code == 0
    from quorate.coordination.federation import load_federation
    from quorate.node.launch import up

    for producer in VISITS:
        submit(here, place, producer)
    for party in PARTIES:
        collect(here, place, "take", party, "--for", "0")
    for party in PARTIES:
        freeze_later(here, place, party)
    for party in PARTIES:
        assert collect(here, place, "freeze", party).code == 0
    with up(load_federation(place / "federation.yaml"), place, place / "state", {}, PARTIES):
        told = here("run", place / "protocol_spec.yaml", "--as", "institute", "--json")
    assert told.code == 0, told.err
    results = told.json()["results"]
    assert (results["visits"], results["north"]) == (3, 2)
    assert results["mean_lat"] == pytest.approx(np.mean([lat for rows in VISITS.values() for lat, _ in rows]), abs=1e-6)


def test_dead_letters_are_shown_without_content_put_back_and_deleted(here, place):
    submit(here, place, "kiosk")
    carrier, queue = broker(place), shares_queue(SESSION, "alder")
    assert len(carrier.consume(queue, 10, 0.0)) == 1
    carrier.publish(queue, [Parcel("bad-1", b"secret content" * 9), Parcel("bad-2", bytes(10))])
    carrier.close()
    federation = place / "federation.yaml"
    assert collect(here, place, "take", "alder", "--for", "0").json()["rejected"] == 2
    told = dlq(here, place, "list", federation)
    rows = told.json()["dead_letters"]
    assert [(row["id"], row["bytes"], row["box"]) for row in rows] == [
        ("bad-1", 126, "shares.alder"),
        ("bad-2", 10, "shares.alder"),
    ]
    assert rows[0]["reason"] == "rejected: of another session"
    assert "secret" not in told.out
    shown = here("dlq", "list", federation, "--as", "alder").out
    assert "bad-1" in shown
    assert "too short" in " ".join(shown.split())
    assert dlq(here, place, "list", federation, "--session", "other").json()["dead_letters"] == []
    assert dlq(here, place, "list", federation, party="birch").json()["dead_letters"] == []

    assert dlq(here, place, "retry", federation, "bad-1").json()["retried"] == 1
    assert len(dlq(here, place, "list", federation).json()["dead_letters"]) == 1
    assert collect(here, place, "take", "alder", "--for", "0").json()["rejected"] == 1
    assert dlq(here, place, "drop", federation, "--reason", "rejected: of another").json()["dropped"] == 1
    assert dlq(here, place, "drop", federation, "--all").json()["dropped"] == 1
    assert dlq(here, place, "list", federation).json()["dead_letters"] == []
    audits = [json.loads(line) for line in (place / "state/audit/alder/audit.jsonl").read_text().splitlines()]
    assert [line["what"] for line in audits if line["what"] in ("retried", "dropped")] == [
        "retried",
        "dropped",
        "dropped",
    ]
    assert [line["message"] for line in audits if line["what"] == "retried"] == ["bad-1"]


def test_which_dead_letters_must_be_said(here, place):
    federation = place / "federation.yaml"
    for options in ([], ["--all", "--reason", "x"], ["bad-1", "--all"]):
        ended = dlq(here, place, "drop", federation, *options)
        assert ended.code == 2
        assert "say which" in ended.err
    assert "no dead letter 'bad-9'" in dlq(here, place, "retry", federation, "bad-9").err


def test_reconciliation_puts_back_what_is_wanted_and_drops_what_was_taken(here, place):
    submit(here, place, "kiosk")
    carrier, queue = broker(place), shares_queue(SESSION, "alder")
    collect(here, place, "take", "alder", "--for", "0")
    taken = next(iter(_frames(place)))
    carrier.provision(queue, Limits(ttl=0.0))
    enrol(here, place, "tram-7")  # provisions the queue
    carrier.provision(queue, Limits(ttl=0.0))
    submit(here, place, "tram-7")
    carrier.publish(queue, [Parcel("copy", taken), Parcel("garbage", b"x" * 99)])
    assert carrier.consume(queue, 10, 0.0) == []
    assert {letter.reason for letter in carrier.dead(queue)} == {"expired"}
    carrier.provision(queue, Limits(ttl=600.0))
    carrier.close()
    told = dlq(here, place, "reconcile", place / "federation.yaml").json()
    assert (told["retried"], told["dropped"], told["kept"]) == (1, 1, 1)
    assert collect(here, place, "take", "alder", "--for", "0").json()["submissions"] == 2
    rows = dlq(here, place, "list", place / "federation.yaml").json()["dead_letters"]
    assert [row["id"] for row in rows] == ["garbage"]
    lines = (place / "state/audit/alder/audit.jsonl").read_text()
    for text in ("still wanted", "taken already", "unusable"):
        assert text in lines


def _frames(place):
    import sqlite3

    with sqlite3.connect(store_path(place / "state", "alder", SESSION)) as db:
        return [body for (body,) in db.execute("SELECT body FROM frames")]


def test_a_closed_session_takes_nothing_any_more(here, place):
    submit(here, place, "kiosk")
    enrol(here, place, "tram-7")
    collect(here, place, "take", "alder", "--for", "0")
    assert len(_frames(place)) == 1
    assert collect(here, place, "close", "alder").json()["closed"]
    assert _frames(place) == []
    assert broker(place).depth(shares_queue(SESSION, "alder")) == 0
    ended = submit(here, place, "tram-7", "--timeout", "0")
    assert ended.code == 10
    assert "was never made there, or is removed" in ended.err
    assert "was closed at alder" in collect(here, place, "take", "alder").err


def test_what_is_left_of_a_closed_session_is_dropped(here, place):
    enrol(here, place, "kiosk")
    carrier, queue = broker(place), shares_queue(SESSION, "alder")
    carrier.provision(queue, Limits(ttl=0.0))
    submit(here, place, "kiosk")
    assert carrier.consume(queue, 10, 0.0) == []
    ShareStore(store_path(place / "state", "alder", SESSION)).erase()  # and then the broker could not be reached
    told = dlq(here, place, "reconcile", place / "federation.yaml").json()
    assert (told["retried"], told["dropped"], told["kept"]) == (0, 1, 0)


@pytest.mark.parametrize(
    ("edit_from", "edit_to", "message"),
    [
        ("    stored: visits-march\n", "    owner: st-mary\n", "its stored inputs: none"),
        ("{name: lat, type: fixed, scale: 24, range: [-90, 90]}", "{name: lat, type: int}", "have the types"),
        ("rep3, adversary: semi-honest", "spdz2k, adversary: malicious", "stored"),
    ],
)
def test_specs_that_take_no_submissions(here, place, edit, edit_from, edit_to, message):
    rings = enrol(here, place, "kiosk")
    edit(place / "protocol_spec.yaml", edit_from, edit_to)
    ended = here("submit", place / "protocol_spec.yaml", "--data", place / "kiosk.csv", *rings)
    assert ended.code == 2
    assert message in ended.err


def test_data_that_does_not_fit_is_named(here, place):
    (place / "kiosk.csv").write_text("lat,lon\n1,2\n91,3\n")
    ended = submit(here, place, "kiosk")
    assert ended.code == 3
    assert "row 3, column 'lat'" in ended.err


def test_without_all_keys_nothing_is_submitted(here, place):
    rings = enrol(here, place, "kiosk")[:4]
    ended = here("submit", place / "protocol_spec.yaml", "--data", place / "kiosk.csv", *rings)
    assert ended.code == 2
    assert "no key for cedar" in ended.err


def test_a_recipient_opens_what_enough_parties_pass_on(here, place):
    for producer in VISITS:
        submit(here, place, producer)
    for party in PARTIES[:2]:
        collect(here, place, "take", party, "--for", "0")
        ring = place / f"{party}.institute.ring"
        assert collect(here, place, "enrol", "institute", "--producer", party, "--output", ring).code == 0
        told = collect(here, place, "pass-on", party, "--to", "institute", "--keys", ring).json()
        assert told["submissions"] == 2
    output = place / "opened.csv"
    assert "is a party" in collect(here, place, "open", "alder", "--expect", "2", "--output", output).err
    told = collect(here, place, "open", "institute", "--expect", "2", "--output", output).json()
    assert (told["submissions"], told["rows"]) == (2, 3)
    header, *lines = output.read_text().splitlines()
    assert header == "producer,lat,lon"
    opened = [(line.split(",")[0], *map(float, line.split(",")[1:])) for line in lines]
    expected = [(producer, *row) for producer in sorted(VISITS) for row in VISITS[producer]]
    assert [row[0] for row in opened] == [row[0] for row in expected]
    np.testing.assert_allclose([row[1:] for row in opened], [row[1:] for row in expected], atol=2**-25)


def test_with_too_few_shares_the_session_is_torn_down(here, place):
    submit(here, place, "kiosk")
    collect(here, place, "take", "birch", "--for", "0")
    ring = place / "birch.institute.ring"
    collect(here, place, "enrol", "institute", "--producer", "birch", "--output", ring)
    collect(here, place, "pass-on", "birch", "--to", "institute", "--keys", ring)
    ended = collect(
        here, place, "open", "institute", "--expect", "1", "--budget", "0.5", "--output", place / "opened.csv"
    )
    assert ended.code == 6
    assert "alder passed on nothing, cedar passed on nothing" in ended.err
    assert "was closed at institute" in collect(here, place, "take", "institute").err
    assert not (place / "opened.csv").exists()


def test_shares_do_not_leave_the_region_of_a_spec(here, place, edit):
    rings = enrol(here, place, "kiosk")
    edit(place / "protocol_spec.yaml", "spec: 1\n", "spec: 1\nregion: eu\n")
    edit(place / "federation.yaml", "name: alder, ", "name: alder, region: us-east, ")
    for ended in (
        here("submit", place / "protocol_spec.yaml", "--data", place / "kiosk.csv", *rings),
        collect(here, place, "take", "birch"),
    ):
        assert ended.code == 2
        assert "the inbox of alder lies in 'us-east'" in ended.err


def test_a_broker_that_fails_is_tried_again_and_the_others_are_served(here, place, monkeypatch):
    rings = enrol(here, place, "kiosk")
    real, calls = EmbeddedCarrier.publish, []

    def failing(self, queue, parcels):
        calls.append(queue.box)
        if queue.box == "shares.birch" and calls.count("shares.birch") < 3:
            raise BrokerFault("the broker is away")
        real(self, queue, parcels)

    monkeypatch.setattr(EmbeddedCarrier, "publish", failing)
    ended = here("submit", place / "protocol_spec.yaml", "--data", place / "kiosk.csv", *rings)
    assert ended.code == 0
    assert "birch: the broker is away; trying again" in ended.err
    assert calls == ["shares.alder", "shares.birch", "shares.cedar", "shares.birch", "shares.birch"]


def test_a_killed_producer_goes_on_where_it_was(here, place):
    rings = [str(item) for item in enrol(here, place, "kiosk")]
    before = (
        "import os\nfrom quorate.transport.embedded import EmbeddedCarrier as E\nreal = E.publish\n"
        "def publish(self, queue, parcels):\n    real(self, queue, parcels)\n"
        "    if 'birch' in queue.box: os.kill(os.getpid(), 9)\nE.publish = publish\n"
    )
    command = ["submit", str(place / "protocol_spec.yaml"), "--data", str(place / "kiosk.csv"), *rings]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = before + "from quorate.cli.main import main; main()"
    killed = subprocess.run([sys.executable, "-c", program, *command], env=environment, timeout=60)
    assert killed.returncode == -9
    assert submit(here, place, "kiosk").json()["sent"] == 2  # birch again, and cedar
    for party in PARTIES:
        told = collect(here, place, "take", party, "--for", "0").json()
        assert (told["taken"], told["known"], told["rejected"]) == (1, 0, 0)
    assert Path(place / "kiosk.alder.outbox").stat().st_mode & 0o777 == 0o600
