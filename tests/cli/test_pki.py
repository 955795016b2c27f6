"""Certificates from the command line."""

from __future__ import annotations

from quorate.coordination.federation import load_federation
from quorate.crypto.pki import check_certificate


def test_init_makes_keys_for_all_members_that_only_their_owner_can_read(here, example):
    ended = here("pki", "init", example / "federation.yaml", "--json")
    assert ended.code == 0
    federation = load_federation(example / "federation.yaml")
    for member in federation.members:
        check_certificate(example / "pki" / f"{member.name}.crt", example / "pki" / "ca.crt", name=member.name)
        assert (example / "pki" / f"{member.name}.key").stat().st_mode & 0o777 == 0o600
    assert len(ended.json()["files"]) == 2 * (1 + len(federation.members))


def test_init_overwrites_nothing_and_leaves_no_half_of_a_set(here, example):
    (example / "pki").mkdir()
    (example / "pki" / "st-anna.key").write_text("precious")
    ended = here("pki", "init", example / "federation.yaml")
    assert ended.code == 2
    assert "st-anna.key already exists and is not overwritten" in ended.err
    assert [path.name for path in (example / "pki").iterdir()] == ["st-anna.key"]
    assert (example / "pki" / "st-anna.key").read_text() == "precious"


def test_init_refuses_a_file_that_places_certificates_elsewhere(here, example, edit):
    edit(example / "federation.yaml", "pki/birch.crt", "certs/b.crt")
    ended = here("pki", "init", example / "federation.yaml")
    assert ended.code == 2
    assert "'birch'" in ended.err
    assert not (example / "pki").exists()


def test_between_organisations_no_key_leaves_its_owner(here, tmp_path):
    authority, member = tmp_path / "authority", tmp_path / "member"
    assert here("pki", "authority", "hospitals", "--folder", authority).code == 0
    assert here("pki", "request", "alder", "--folder", member).code == 0
    assert {path.name for path in member.iterdir()} == {"alder.key", "alder.csr"}
    signed = here("pki", "sign", member / "alder.csr", "alder", "--folder", authority, "--json").json()
    assert {path.name for path in authority.iterdir()} == {"ca.crt", "ca.key", "alder.crt"}
    shown = here("pki", "show", authority / "alder.crt", "--json").json()
    assert shown["subject"] == "CN=alder"
    assert shown["fingerprint"] == signed["fingerprint"]
    assert here("pki", "request", "alder", "--folder", member).code == 2


def test_a_request_of_somebody_else_is_not_signed(here, tmp_path):
    here("pki", "authority", "hospitals", "--folder", tmp_path)
    here("pki", "request", "mallory", "--folder", tmp_path)
    ended = here("pki", "sign", tmp_path / "mallory.csr", "alder", "--folder", tmp_path)
    assert ended.code == 2
    assert "not of 'alder'" in ended.err


def test_show_names_a_file_that_is_no_certificate(here, example):
    ended = here("pki", "show", example / "st_mary.csv", "--json")
    assert ended.code == 2
    assert ended.json()["error"]["code"] == "UserError"
    assert "st_mary.csv" in ended.err
