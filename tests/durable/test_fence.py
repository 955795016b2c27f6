import subprocess
import sys

import pytest

from quorate.durable.fence import Fence, default_fence
from quorate.durable.storage import Disk
from quorate.errors import EnvironmentFault, InternalError


def fence(tmp_path, session="s1", member="alice"):
    return Fence(session, member, tmp_path / "fences")


def test_incarnations_rise_with_every_opening(tmp_path):
    seen = []
    for _ in range(4):
        one = fence(tmp_path)
        seen.append(one.enter(0))
        one.leave()
    assert seen == [1, 2, 3, 4]
    other = fence(tmp_path, member="bob")
    assert other.enter(0) == 1
    other.leave()


def test_a_journal_that_was_put_back_is_refused(tmp_path):
    one = fence(tmp_path)
    one.enter(0)
    for commits in (1, 2, 2, 5):
        one.advance(commits)
    with pytest.raises(InternalError):
        one.advance(4)
    one.leave()
    for commits in (0, 4):
        with pytest.raises(EnvironmentFault, match=f"restored from a backup: its journal has {commits} commits, and 5"):
            fence(tmp_path).enter(commits)
    again = fence(tmp_path)
    assert again.enter(5) == 2
    again.leave()
    later = fence(tmp_path)
    assert later.enter(9) == 3, "after a loss of power the fence may lag behind"
    later.leave()
    with pytest.raises(EnvironmentFault, match="restored from a backup"):
        fence(tmp_path).enter(8)


def test_a_journal_from_elsewhere_is_refused(tmp_path):
    with pytest.raises(EnvironmentFault, match="does not know session s1 of alice"):
        fence(tmp_path).enter(1)
    new = fence(tmp_path)
    assert new.enter(0) == 1, "a refusal leaves nothing behind"
    new.leave()


def test_one_process_at_a_time(tmp_path):
    one = fence(tmp_path)
    one.enter(0)
    with pytest.raises(EnvironmentFault, match="another process of this machine runs session s1 of alice"):
        fence(tmp_path).enter(0)
    script = (
        "import sys; from pathlib import Path; from quorate.durable.fence import Fence\n"
        "try: Fence('s1', 'alice', Path(sys.argv[1])).enter(0)\n"
        "except Exception as problem: print(type(problem).__name__, problem)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "fences")]
    refused = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "EnvironmentFault another process" in refused.stdout
    one.leave()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_a_session_that_was_given_up_stays_so(tmp_path):
    one = fence(tmp_path)
    one.enter(0)
    one.advance(3)
    one.give_up()
    one.leave()
    for commits in (3, 7):
        with pytest.raises(EnvironmentFault, match="failed for good"):
            fence(tmp_path).enter(commits)


def test_a_damaged_slot_leaves_the_other_and_two_damaged_ones_nothing(tmp_path):
    path = tmp_path / "fences" / "alice-s1.fence"
    one = fence(tmp_path)
    one.enter(0)
    one.advance(1)
    one.advance(2)
    one.leave()
    whole = path.read_bytes()
    read = []
    for slot in (0, 1):
        data = bytearray(whole)
        data[slot * 512 + 20] ^= 1
        path.write_bytes(data)
        broken = fence(tmp_path)
        broken.enter(2)
        read.append(broken._marks)
        broken.leave()
    assert [marks.incarnation for marks in read] == [2, 2]
    data = bytearray(whole)
    data[20] ^= 1
    data[532] ^= 1
    path.write_bytes(data)
    with pytest.raises(EnvironmentFault, match="damaged"):
        fence(tmp_path).enter(2)


def test_entering_makes_the_name_durable_too(tmp_path):
    synced = []

    class Folders(Disk):
        def sync_folder(self, folder):
            synced.append(folder)

    for _ in range(2):
        one = Fence("s1", "alice", tmp_path, storage=Folders())
        one.enter(0)
        one.leave()
        assert synced == [tmp_path]
        synced.clear()


def test_removing_forgets_the_session(tmp_path):
    one = fence(tmp_path)
    one.enter(0)
    one.advance(1)
    one.remove()
    one.remove()
    assert list((tmp_path / "fences").iterdir()) == []
    with pytest.raises(InternalError):
        one.advance(2)


def test_fences_lie_in_the_state_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_fence() == tmp_path / "quorate" / "fence"
    assert Fence("s", "m").folder == default_fence()
