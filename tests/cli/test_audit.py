"""Checking and reading audits from the command line."""

from __future__ import annotations

import pytest

from quorate.durable.audit import NAME, Audit, session_hash


@pytest.fixture
def homes(tmp_path):
    """A node's home with the audits of two members; the last chain values."""
    anchors = {}
    for member, peer in (("alder", "birch"), ("birch", "alder")):
        audit = Audit(tmp_path / "state" / "audit" / member)
        audit.note("connected", "cafe", peer=peer, carrier="direct")
        audit.note("message", "cafe", direction="out", peer=peer, message="1", size=1000, carrier="direct")
        audit.note("message", "cafe", direction="in", peer=peer, message="1", size=2000, carrier="direct")
        audit.note("finished", "cafe", note="ok")
        audit.close()
        anchors[member] = audit.anchor
    return tmp_path / "state", anchors


def test_sound_audits(here, homes):
    state, anchors = homes
    ended = here("audit", "verify", state, "--anchor", anchors["alder"], "--anchor", anchors["birch"])
    assert ended.code == 0
    assert ended.out.count(": sound, 5 lines in 1 files") == 2
    assert f"session {session_hash('cafe')}" in ended.out
    assert "birch: 1 messages in (2,000 bytes), 1 out (1,000 bytes)" in ended.out
    told = here("audit", "verify", state, "--json").json()
    assert told["sound"]
    assert [each["anchor"] for each in told["audits"]] == list(anchors.values())
    assert told["audits"][0]["sessions"][session_hash("cafe")]["birch"]["bytes_in"] == 2000


def test_a_changed_audit(here, homes):
    state, _ = homes
    path = state / "audit" / "birch" / NAME
    path.write_bytes(path.read_bytes().replace(b":2000,", b":2001,"))
    ended = here("audit", "verify", state)
    assert ended.code == 8
    assert "NOT SOUND" in ended.out
    assert f"{path}: line 4: does not follow from the lines before" in ended.out
    told = here("audit", "verify", state, "--json")
    assert (told.code, told.json()["sound"]) == (8, False)
    assert [each["sound"] for each in told.json()["audits"]] == [True, False]


def test_an_anchor_that_is_gone(here, homes):
    state, anchors = homes
    path = state / "audit" / "birch" / NAME
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert here("audit", "verify", state).code == 0
    ended = here("audit", "verify", state, "--anchor", anchors["birch"])
    assert ended.code == 8
    assert f"anchor {anchors['birch']} is not in it" in ended.out
    assert here("audit", "verify", state, "--anchor", "12").code == 2


def test_one_session(here, homes):
    state, _ = homes
    ended = here("audit", "show", "cafe", state)
    assert ended.code == 0
    assert "message to birch 1 1,000 bytes by direct" in ended.out
    assert "finished (ok)" in ended.out
    told = here("audit", "show", session_hash("cafe"), state / "audit" / "alder", "--json").json()
    assert [line["what"] for line in told["audits"][str(state / "audit" / "alder")]] == [
        "connected",
        "message",
        "message",
        "finished",
    ]
    nothing = here("audit", "show", "beef", state)
    assert nothing.code == 2
    assert "says anything of session beef" in nothing.err


def test_no_audit(here, tmp_path):
    ended = here("audit", "verify", tmp_path)
    assert ended.code == 2
    assert "there is no audit at" in ended.err
