import json
import os
import subprocess
import sys

import pytest

from quorate.durable.audit import GENESIS, NAME, Audit, chained, session_hash, split
from quorate.durable.audit_check import Tally, audits, entries, verify
from quorate.errors import EnvironmentFault, UserError


def filled(folder, count=5, **options):
    audit = Audit(folder, **options)
    for number in range(count):
        audit.note(
            "message", "s1", direction="out", peer="bob", message=str(number), size=100 + number, carrier="amqps"
        )
        audit.flush()
    return audit


def test_lines_are_chained_over_restarts_and_counted(tmp_path):
    audit = filled(tmp_path)
    audit.note("message", "s1", direction="in", peer="carol", size=7)
    audit.note("connected", "s2", peer="bob", carrier="direct")
    audit.close()
    again = Audit(tmp_path)
    again.note("finished", "s1", note="done")
    again.flush(sync=True)
    found = verify(tmp_path)
    assert (found.sound, found.lines, found.files, found.unfinished, found.after) == (True, 9, 1, False, GENESIS)
    assert found.anchor == again.anchor
    assert found.sessions == {
        session_hash("s1"): {"bob": Tally(messages_out=5, bytes_out=510), "carol": Tally(1, 7)},
        session_hash("s2"): {"bob": Tally()},
    }
    assert [line.what for line in entries(tmp_path, "s1")] == ["message"] * 6 + ["finished"]
    assert list(entries(tmp_path, "s1")) == list(entries(tmp_path / NAME, session_hash("s1")))


def test_identifiers_of_sessions_are_not_written(tmp_path):
    audit = Audit(tmp_path)
    audit.note("message", "the-session-identifier", direction="in")
    audit.close()
    text = (tmp_path / NAME).read_text()
    assert "the-session-identifier" not in text
    assert [json.loads(line)["n"] for line in text.splitlines()] == [1, 2]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def changed(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))


def _other(digit):
    return b"0" if digit == b"f" else b"f"


CHANGES = {
    "a value": lambda lines: [*lines[:3], lines[3].replace(b"102", b"103"), *lines[4:]],
    "the chain": lambda lines: [*lines[:3], lines[3][:-10] + _other(lines[3][-10:-9]) + lines[3][-9:], *lines[4:]],
    "removed": lambda lines: [*lines[:3], *lines[4:]],
    "inserted": lambda lines: [*lines[:3], lines[2], *lines[3:]],
    "exchanged": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "no chain": lambda lines: [*lines[:3], b'{"n":4,"time":1,"what":"message"}\n', *lines[4:]],
    "no entry": lambda lines: [*lines[:3], lines[3].replace(b'"what":"message"', b'"what":7,"messag":0'), *lines[4:]],
    "long": lambda lines: [*lines[:3], b"x" * (1 << 17), *lines[3:]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_first_line_that_was_changed_is_named(tmp_path, change):
    filled(tmp_path, 8).close()
    changed(tmp_path / NAME, CHANGES[change])
    found = verify(tmp_path)
    assert not found.sound
    assert f"{NAME}: line 4: " in found.problem
    assert found.lines == 3


def test_every_flipped_bit_is_noticed(tmp_path):
    filled(tmp_path, 3).close()
    path = tmp_path / NAME
    whole, anchor = path.read_bytes(), verify(tmp_path).anchor
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ (1 << at % 8),)) + whole[at + 1 :])
        assert not verify(tmp_path, [anchor]).sound, at


def test_lines_missing_at_the_end_are_noticed_with_an_anchor(tmp_path):
    audit = filled(tmp_path)
    anchors = [audit.anchor]
    audit.note("lost", "s1")
    audit.close()
    anchors.append(audit.anchor)
    assert verify(tmp_path, anchors).sound
    changed(tmp_path / NAME, lambda lines: lines[:-1])
    assert verify(tmp_path).sound
    assert verify(tmp_path, anchors[:1]).sound
    found = verify(tmp_path, anchors)
    assert (found.sound, found.missing) == (False, (anchors[1],))


@pytest.mark.parametrize("rest", [b"", b"\0" * 10, b"\0" * 70_000])
def test_a_line_that_was_cut_off_anywhere_is_removed_and_a_line_says_so(tmp_path, rest):
    filled(tmp_path, 2).close()
    path = tmp_path / NAME
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(start + (not rest), len(whole), 9):
        path.write_bytes(whole[:cut] + rest)
        assert verify(tmp_path).unfinished or len(rest) > 1 << 16
        audit = Audit(tmp_path)
        audit.note("resumed", "s1")
        audit.flush()
        found = verify(tmp_path)
        assert (found.sound, found.lines, found.repaired, found.unfinished) == (True, 4, 1, False)


def test_a_file_of_which_only_a_part_of_the_first_line_is_there(tmp_path):
    (tmp_path / NAME).write_bytes(b'{"n":1,"ti')
    filled(tmp_path, 1).close()
    found = verify(tmp_path)
    assert (found.sound, found.lines, found.repaired, found.after) == (True, 3, 1, GENESIS)


def test_what_somebody_changed_is_not_repaired(tmp_path):
    filled(tmp_path).close()
    changed(tmp_path / NAME, lambda lines: [*lines, b"changed by hand\n"])
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(EnvironmentFault, match="somebody changed it"):
        filled(tmp_path)
    assert (tmp_path / NAME).read_bytes() == before
    (tmp_path / NAME).write_bytes(b"\xff" * 100_000)
    with pytest.raises(EnvironmentFault, match="holds no lines"):
        filled(tmp_path)


def test_large_files_are_put_aside_and_the_chain_goes_on(tmp_path):
    filled(tmp_path, 20, most_bytes=1000).close()
    names = sorted(path.name for path in tmp_path.glob("*.jsonl"))
    assert len(names) > 4
    assert names[0] == "audit-000001.jsonl"
    filled(tmp_path, 1).close()
    found = verify(tmp_path)
    assert (found.sound, found.files) == (True, len(list(tmp_path.glob("*.jsonl"))))
    assert len(list(entries(tmp_path, "s1"))) == 21
    one = verify(tmp_path / names[1])
    assert one.sound
    assert one.after != GENESIS
    (tmp_path / names[2]).unlink()
    assert "a file is missing" in verify(tmp_path).problem
    (tmp_path / names[0]).unlink()
    (tmp_path / names[1]).unlink()
    later = verify(tmp_path)
    assert later.sound
    assert later.after != GENESIS, "earlier files may be archived elsewhere, and it shows"


def test_a_full_disk_keeps_the_lines_for_later(tmp_path, monkeypatch):
    audit = filled(tmp_path)
    real = os.write
    audit.note("lost", "s1")
    before = (tmp_path / NAME).read_bytes()
    monkeypatch.setattr(os, "write", Partly(real))
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        audit.flush()
    assert (tmp_path / NAME).read_bytes() == before
    monkeypatch.setattr(os, "write", real)
    audit.close()
    found = verify(tmp_path)
    assert (found.sound, found.lines, found.repaired) == (True, 7, 0)


class Partly:
    """Writes ten bytes, then nothing."""

    def __init__(self, write):
        self.write, self.left = write, 10

    def __call__(self, descriptor, data):
        if not self.left:
            raise OSError(28, "No space left on device")
        taken, self.left = self.left, 0
        return self.write(descriptor, data[:taken])


def test_two_writers_in_turn_share_one_chain(tmp_path):
    writers = [Audit(tmp_path, most_bytes=3000) for _ in range(2)]
    for number in range(40):
        writers[number % 2].note("message", "s1", direction="in", peer="ab"[number % 2])
        writers[number % 2].flush()
    found = verify(tmp_path)
    assert found.sound
    assert found.files > 2
    assert {peer: tally.messages_in for peer, tally in found.sessions[session_hash("s1")].items()} == {"a": 20, "b": 20}


def test_a_line_with_a_wrong_number_is_noticed(tmp_path):
    """Even if its chain value is right."""
    filled(tmp_path, 3).close()

    def renumbered(lines):
        (body, _), (_, before) = (split(line) or (b"", "") for line in (lines[-1], lines[-2]))
        body = body.replace(b'"n":4', b'"n":9')
        return [*lines[:-1], body + b',"chain":"' + chained(before, body).encode() + b'"}\n']

    changed(tmp_path / NAME, renumbered)
    assert "line 4: has number 9 after 3" in verify(tmp_path).problem


_BUSY = """
import sys
from pathlib import Path
from quorate.durable.audit import Audit
audit = Audit(Path(sys.argv[1]), most_bytes=20_000)
for _ in range(100):
    audit.note("message", sys.argv[2], direction="out", peer=sys.argv[2])
    audit.flush()
audit.close()
"""


def test_several_processes_share_one_chain(tmp_path):
    workers = [subprocess.Popen([sys.executable, "-c", _BUSY, str(tmp_path), name]) for name in ("a", "b", "c")]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    found = verify(tmp_path)
    assert found.sound
    assert found.files > 2
    assert {peer: tally.messages_out for peers in found.sessions.values() for peer, tally in peers.items()} == {
        "a": 100,
        "b": 100,
        "c": 100,
    }


def test_audits_are_found_below_a_home(tmp_path):
    for member in ("alice", "bob"):
        filled(tmp_path / "state" / "audit" / member).close()
    assert audits(tmp_path) == [tmp_path / "state" / "audit" / "alice", tmp_path / "state" / "audit" / "bob"]
    with pytest.raises(UserError, match="there is no audit"):
        audits(tmp_path / "nowhere")


def test_nothing_waits_nothing_is_written(tmp_path):
    audit = Audit(tmp_path / "folder")
    audit.flush()
    audit.close()
    assert not (tmp_path / "folder").exists()
