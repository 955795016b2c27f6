"""What the doctor finds."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from quorate.coordination.federation import load_federation
from quorate.crypto.pki import create_authority, issue
from quorate.errors import IdentityError, UserError
from quorate.node.control import call, dial
from quorate.node.identity import Identity
from quorate.node.launch import up
from quorate.node.messages import Probe, Probed


@pytest.fixture
def certified(here, example):
    here("pki", "init", example / "federation.yaml")
    return example


def failed(ended):
    return {(found["subject"], found["check"]): found for found in ended.json()["checks"] if found["ok"] is False}


def test_a_sound_federation_whose_nodes_run(here, certified):
    file = certified / "federation.yaml"
    with up(load_federation(file), certified, certified / "state", members=["alder", "birch", "cedar"]):
        ended = here("doctor", file, "--as", "institute", "--json")
    assert ended.code == 0
    assert ended.json()["ok"]
    checks = {(found["subject"], found["check"]) for found in ended.json()["checks"]}
    assert {
        (node, check) for node in ("alder", "birch", "cedar") for check in ("port", "handshake", "release")
    } < checks
    assert here("doctor", file, "--as", "institute").code == 8  # they are gone now


def test_without_a_member_connections_are_not_checked_and_that_is_said(here, certified):
    ended = here("doctor", certified / "federation.yaml", "--json")
    assert ended.code == 0
    assert [found["check"] for found in ended.json()["checks"] if found["ok"] is None] == ["connection"]


def test_a_port_where_something_else_listens(here, certified):
    address = load_federation(certified / "federation.yaml").member("alder").endpoint
    with socket.create_server(address) as server:
        server.settimeout(0.1)
        ended = here("doctor", certified / "federation.yaml", "--as", "institute", "--json")
    found = failed(ended)
    assert set(found) == {("alder", "handshake"), ("birch", "port"), ("cedar", "port")}
    assert "quorate node" in found["birch", "port"]["detail"]


def test_certificates_that_are_expired_foreign_or_missing(here, certified, tmp_path):
    pki = certified / "pki"
    for name in ("birch", "cedar"):
        (pki / f"{name}.crt").unlink()
        (pki / f"{name}.key").unlink()
    (pki / "st-mary.crt").unlink()
    issue(pki, {"birch": None}, days=1, now=datetime.now(UTC) - timedelta(days=9))
    create_authority(tmp_path / "other", "other")
    issue(tmp_path / "other", {"cedar": None})
    (pki / "cedar.crt").write_bytes((tmp_path / "other" / "cedar.crt").read_bytes())
    ended = here("doctor", certified / "federation.yaml", "--json")
    found = failed(ended)
    assert ended.code == 7
    assert "expired" in found["birch", "certificate"]["detail"]
    assert "another authority" in found["cedar", "certificate"]["detail"]
    assert "does not exist" in found["st-mary", "certificate"]["detail"]
    assert len(found) == 3


def test_a_key_of_another_certificate_or_open_to_others(here, certified):
    pki = certified / "pki"
    key = pki / "institute.key"
    key.chmod(0o644)
    run = lambda: here("doctor", certified / "federation.yaml", "--as", "institute", "--json")  # noqa: E731
    assert "chmod 600" in failed(run())["institute", "key"]["detail"]
    key.write_bytes((pki / "alder.key").read_bytes())
    key.chmod(0o600)
    ended = run()
    assert ("institute", "key") in failed(ended)
    assert "PRIVATE" not in ended.out


def test_an_unknown_member_and_a_missing_file(here, certified):
    ended = here("doctor", certified / "federation.yaml", "--as", "institut")
    assert ended.code == 2
    assert "did you mean 'institute'" in ended.err
    assert here("doctor", certified / "nothing.yaml").code == 2


def test_the_network_is_measured_and_a_quote_uses_it(here, certified, tmp_path):
    file, found = certified / "federation.yaml", tmp_path / "network.json"
    with up(load_federation(file), certified, certified / "state", members=["alder", "birch", "cedar"]):
        ended = here("doctor", file, "--as", "institute", "--measure", found, "--json")
        assert ended.code == 0, ended.err
        other = tmp_path / "own.json"
        assert here("doctor", file, "--as", "st-mary", "--measure", other).code == 0
    pairs = {(pair["from"], pair["to"]) for pair in ended.json()["network"]}
    nodes = ("alder", "birch", "cedar")
    assert pairs == {(a, b) for a in ("institute", *nodes) for b in nodes if a != b}
    assert all(pair["rtt_us"] < 1_000_000 and pair["bandwidth"] > 10**6 for pair in ended.json()["network"])
    assert [pair["from"] for pair in json.loads(other.read_text())["pairs"]] == ["st-mary"] * 3
    rows = [part for name in ("st_mary", "st_luke", "st_anna") for part in ("--rows", f"{name}=100")]
    quoted = here("quote", certified / "protocol_spec.yaml", *rows, "--measured", found, "--json").json()
    assert quoted["network"]["measured"]
    assert quoted["seconds"] > 0


def test_measuring_without_nodes_writes_nothing(here, certified, tmp_path):
    ended = here("doctor", certified / "federation.yaml", "--as", "st-mary", "--measure", tmp_path / "x.json")
    assert ended.code == 8
    assert not (tmp_path / "x.json").exists()


def test_only_coordinators_have_nodes_measure(certified):
    federation = load_federation(certified / "federation.yaml")
    with up(federation, certified, certified / "state", members=["alder", "birch"]):
        control = dial(Identity(federation, "st-mary"), federation.member("alder"))
        with pytest.raises(IdentityError, match="coordinator"):
            call(control, Probe(member="birch"), 10)
        control.close()
        control = dial(Identity(federation, "institute"), federation.member("alder"))
        for name in ("alder", "st-mary"):
            with pytest.raises(UserError, match="no other node"):
                call(control, Probe(member=name), 10)
        with pytest.raises(UserError, match="is no member"):
            call(control, Probe(member="nobody"), 10)
        assert isinstance(call(control, Probe(member="birch"), 30), Probed)
        control.close()


def test_a_federation_is_needed(here):
    ended = here("doctor")
    assert ended.code == 2
    assert "name the federation file" in ended.err


def test_a_calibration_is_kept_and_used_by_quotes(here, example, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec, rows = example / "protocol_spec.yaml", [f"--rows={name}=100" for name in ("st_mary", "st_luke", "st_anna")]
    before = here("quote", spec, *rows, "--json").json()
    assert before["machine"] == "built-in"
    times = {"dependent_products": 30.0, "product": 4.0, "comparison": 2.0, "division": 3.0}
    monkeypatch.setattr("quorate.bench.runner.run", lambda name, *_: SimpleNamespace(seconds=times[name]))
    monkeypatch.setattr("quorate.bench.runner.predicted", lambda *_: 1.0)
    told = here("doctor", "--calibrate", "--json").json()
    assert (told["small_percent"], told["bulk_percent"]) == (3000, 300)
    after = here("quote", spec, *rows, "--json").json()
    assert after["machine"] != "built-in"
    assert after["computing_seconds"] > 5 * before["computing_seconds"]
    assert after["bytes_sent"] == before["bytes_sent"]
