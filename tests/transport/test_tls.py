"""Mutual TLS: only the pinned certificates are accepted, and both sides learn why something else is not."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quorate.crypto.pki import create_authority, fingerprint, issue
from quorate.errors import EnvironmentFault, IdentityError
from quorate.transport.tls import Contexts, describe_refusal, load_contexts, peer_fingerprint, verify_peer


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    create_authority(folder, "hospitals")
    issue(folder, {"alice": None, "bob": None})
    now = datetime.now(UTC)
    issue(folder, {"expired": None}, days=1, now=now - timedelta(days=30))
    issue(folder, {"early": None}, now=now + timedelta(days=30))
    return folder


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign")
    create_authority(folder, "others")
    issue(folder, {"bob": None})
    return folder


def contexts(folder: Path, name: str, authority: Path | None = None) -> Contexts:
    return load_contexts(folder / f"{name}.crt", folder / f"{name}.key", (authority or folder) / "ca.crt")


def shake_hands(dialer: Contexts, acceptor: Contexts) -> tuple[ssl.SSLObject, ssl.SSLObject, list[ssl.SSLError | None]]:
    """Both ends, and why each failed, if it did. A dialer learns at its first read that it was refused."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = dialer.client.wrap_bio(back, there, server_hostname="s.session.quorate")
    server = acceptor.server.wrap_bio(there, back, server_side=True)
    problems: list[ssl.SSLError | None] = [None, None]
    for _ in range(4):
        for side, tls in enumerate((client, server)):
            try:
                if problems[side] is None:
                    tls.do_handshake()
                    tls.read(1)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as problem:
                problems[side] = problem
    return client, server, problems


def refusal(problem: ssl.SSLError | None) -> str:
    assert problem is not None
    described = describe_refusal(problem, "bob")
    assert described is not None
    return str(described)


def test_both_sides_prove_who_they_are(pki: Path) -> None:
    client, server, problems = shake_hands(contexts(pki, "alice"), contexts(pki, "bob"))
    assert problems == [None, None]
    assert client.version() == "TLSv1.3"
    assert peer_fingerprint(server) == fingerprint(pki / "alice.crt")
    verify_peer(client, "bob", fingerprint(pki / "bob.crt"))


def test_certificate_of_same_authority_that_is_not_the_pinned_one(pki: Path) -> None:
    client, _, _ = shake_hands(contexts(pki, "alice"), contexts(pki, "bob"))
    with pytest.raises(IdentityError) as caught:
        verify_peer(client, "carol", fingerprint(pki / "alice.crt"))
    assert fingerprint(pki / "alice.crt") in str(caught.value)
    assert fingerprint(pki / "bob.crt") in str(caught.value)
    assert "carol" in str(caught.value)


@pytest.mark.parametrize(("name", "words"), [("expired", "has expired"), ("early", "is not valid yet")])
def test_acceptor_out_of_its_dates(pki: Path, name: str, words: str) -> None:
    _, _, problems = shake_hands(contexts(pki, "alice"), contexts(pki, name))
    assert f"certificate of bob {words}" in refusal(problems[0])
    assert "bob refused our certificate" in refusal(problems[1])


@pytest.mark.parametrize(("name", "words"), [("expired", "has expired"), ("early", "is not valid yet")])
def test_dialer_out_of_its_dates(pki: Path, name: str, words: str) -> None:
    _, _, problems = shake_hands(contexts(pki, name), contexts(pki, "bob"))
    assert f"certificate of bob {words}" in refusal(problems[1])
    assert "bob refused our certificate" in refusal(problems[0])


def test_another_authority(pki: Path, foreign: Path) -> None:
    _, _, problems = shake_hands(contexts(pki, "alice"), contexts(foreign, "bob", pki))
    assert "another certificate authority" in refusal(problems[0])
    _, _, problems = shake_hands(contexts(foreign, "bob", pki), contexts(pki, "bob"))
    assert "another certificate authority" in refusal(problems[1])
    assert "bob refused our certificate" in refusal(problems[0])


def test_dialer_without_certificate(pki: Path) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(pki / "ca.crt")
    bob = contexts(pki, "bob")
    _, _, problems = shake_hands(Contexts(bare, bob.server), bob)
    assert "showed no certificate" in refusal(problems[1])
    assert "received no certificate from us" in refusal(problems[0])


def test_older_tls_is_refused(pki: Path) -> None:
    old = contexts(pki, "alice")
    old.client.minimum_version = ssl.TLSVersion.TLSv1_2
    old.client.maximum_version = ssl.TLSVersion.TLSv1_2
    _, _, problems = shake_hands(old, contexts(pki, "bob"))
    assert problems[1] is not None
    assert describe_refusal(problems[1], "bob") is None


def test_missing_file(pki: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"nobody\.crt: no such file"):
        contexts(pki, "nobody")


def test_key_of_another_certificate(pki: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot be used together"):
        load_contexts(pki / "alice.crt", pki / "bob.key", pki / "ca.crt")


def test_authority_that_is_none(pki: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot be read as certificates"):
        load_contexts(pki / "alice.crt", pki / "alice.key", pki / "alice.key")


def test_nothing_of_the_contexts_is_shown(pki: Path) -> None:
    assert "SSLContext" not in repr(contexts(pki, "alice")).replace("Contexts", "")
