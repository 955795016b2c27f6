"""Certificates: what is written, with which permissions, and which certificates are refused and why."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from quorate.crypto import pki
from quorate.errors import EnvironmentFault, IdentityError, UserError

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pki")
    pki.create_authority(path, "hospitals", now=NOW)
    pki.issue(path, {"st-mary": "127.0.0.1", "st-luke": "node.st-luke.example", "st-anna": "::1"}, now=NOW)
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("other")
    pki.create_authority(path, "hospitals", now=NOW)  # the same name, another key
    pki.issue(path, {"st-mary": None}, now=NOW)
    return path


def test_keys_are_private_and_certificates_are_checked(folder: Path) -> None:
    for name in ("ca", "st-mary", "st-luke", "st-anna"):
        assert stat.S_IMODE((folder / f"{name}.key").stat().st_mode) == 0o600
    pki.check_certificate(folder / "st-mary.crt", folder / "ca.crt", NOW, "st-mary")
    pki.check_certificate((folder / "st-mary.crt").read_bytes(), (folder / "ca.crt").read_bytes(), NOW)


def test_contents_of_a_member_certificate(folder: Path) -> None:
    cert = pki.load_certificate(folder / "st-anna.crt")
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["st-anna.quorate.internal"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["::1"]
    uses = set(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert uses == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    assert cert.not_valid_after_utc == NOW + timedelta(days=397)
    luke = pki.load_certificate(folder / "st-luke.crt")
    names = luke.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "node.st-luke.example" in names.get_values_for_type(x509.DNSName)


def _shake_hands(folder: Path) -> str | None:
    """The TLS version agreed between st-luke (client) and st-mary (server), in memory."""
    sides = []
    for purpose, name in ((ssl.PROTOCOL_TLS_SERVER, "st-mary"), (ssl.PROTOCOL_TLS_CLIENT, "st-luke")):
        context = ssl.SSLContext(purpose)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "ca.crt")
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        sides.append(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = sides[0].wrap_bio(to_server, to_client, server_side=True)
    client = sides[1].wrap_bio(to_client, to_server, server_hostname=pki.dns_name("st-mary"))
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return server.version() if server.getpeercert() else None


def test_certificates_serve_mutual_tls(tmp_path: Path) -> None:
    pki.create_authority(tmp_path, "hospitals")
    pki.issue(tmp_path, {"st-mary": "127.0.0.1", "st-luke": None})
    assert _shake_hands(tmp_path) == "TLSv1.3"


@pytest.mark.parametrize(
    ("when", "text"),
    [(timedelta(days=398), "expired on 2031-06-02"), (timedelta(days=-1), "not valid before 2030-05-01")],
)
def test_certificate_outside_its_time(folder: Path, when: timedelta, text: str) -> None:
    with pytest.raises(IdentityError, match=rf"st-mary\.crt: {text}"):
        pki.check_certificate(folder / "st-mary.crt", folder / "ca.crt", NOW + when)


def test_clock_five_minutes_behind_is_accepted(folder: Path) -> None:
    pki.check_certificate(folder / "st-mary.crt", folder / "ca.crt", NOW - timedelta(minutes=4))


def test_certificate_of_another_authority(folder: Path, other: Path) -> None:
    with pytest.raises(IdentityError, match=r"st-mary\.crt: issued by another authority"):
        pki.check_certificate(other / "st-mary.crt", folder / "ca.crt", NOW, "st-mary")


def test_certificate_of_another_member(folder: Path) -> None:
    with pytest.raises(IdentityError, match="certificate of 'st-luke', not of 'st-mary'"):
        pki.check_certificate(folder / "st-luke.crt", folder / "ca.crt", NOW, "st-mary")


def test_authority_is_no_member_and_member_no_authority(folder: Path) -> None:
    with pytest.raises(IdentityError, match="an authority's certificate was given"):
        pki.check_certificate(folder / "ca.crt", folder / "ca.crt", NOW)
    with pytest.raises(IdentityError, match="another authority"):
        pki.check_certificate(folder / "st-luke.crt", folder / "st-mary.crt", NOW)


def test_nothing_is_overwritten(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=r"ca\.key already exists"):
        pki.create_authority(folder, "hospitals")
    with pytest.raises(UserError, match=r"st-mary\.key already exists"):
        pki.issue(folder, {"new": None, "st-mary": None})
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_request_path_keeps_the_key_with_its_owner(folder: Path, tmp_path: Path) -> None:
    pki.create_request(tmp_path, "st-jude")
    assert stat.S_IMODE((tmp_path / "st-jude.key").stat().st_mode) == 0o600
    signed = pki.sign_request(folder, tmp_path / "st-jude.csr", "st-jude", host="10.0.0.7", now=NOW)
    pki.check_certificate(signed, folder / "ca.crt", NOW, "st-jude")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, tmp_path / "st-jude.key")  # raises if the key is another one
    assert not (folder / "st-jude.key").exists()
    first = pki.fingerprint(signed)
    pki.sign_request(folder, tmp_path / "st-jude.csr", "st-jude", now=NOW)  # a renewal
    assert pki.fingerprint(signed) != first
    with pytest.raises(UserError, match=r"st-jude\.key already exists"):
        pki.create_request(tmp_path, "st-jude")


def test_request_of_another_name_or_damaged_is_refused(folder: Path, tmp_path: Path) -> None:
    pki.create_request(tmp_path, "st-jude")
    with pytest.raises(UserError, match="request of 'st-jude', not of 'st-mary'"):
        pki.sign_request(folder, tmp_path / "st-jude.csr", "st-mary")
    (tmp_path / "bad.csr").write_text("hello")
    with pytest.raises(UserError, match=r"bad\.csr: not a certificate request"):
        pki.sign_request(folder, tmp_path / "bad.csr", "bad")


def test_fingerprint_is_that_of_openssl(folder: Path) -> None:
    import hashlib

    der = ssl.PEM_cert_to_DER_cert((folder / "st-mary.crt").read_text())
    assert pki.fingerprint(folder / "st-mary.crt") == "sha256:" + hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("name", ["", "St-Mary", "a.b", "../x", "-a", "a-", "a" * 64, "a\n"])
def test_bad_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot name a member"):
        pki.create_request(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_bad_hosts_and_files(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="without a port"):
        pki.issue(folder, {"zoe": "10.0.0.1:7101"})
    assert not (folder / "zoe.key").exists()
    (tmp_path / "x.crt").write_text("hello")
    with pytest.raises(UserError, match=r"x\.crt: not a certificate"):
        pki.fingerprint(tmp_path / "x.crt")
    with pytest.raises(UserError, match="no such file"):
        pki.issue(tmp_path / "nowhere", {"a": None})


def test_authority_with_a_foreign_key(folder: Path, other: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes((folder / "ca.crt").read_bytes())
    (tmp_path / "ca.key").write_bytes((other / "ca.key").read_bytes())
    with pytest.raises(UserError, match="not the key of"):
        pki.Authority.load(tmp_path)


def test_no_key_in_reprs(folder: Path) -> None:
    authority = pki.Authority.load(folder)
    number = authority.key.private.private_numbers().private_value
    assert str(number) not in repr(authority)
    assert f"{number:x}" not in repr(authority)


def test_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("quorate.files.os.fsync", full)
    with pytest.raises(EnvironmentFault, match=r"ca\.key: the disk is full"):
        pki.create_authority(tmp_path, "hospitals")
    assert list(tmp_path.iterdir()) == []
