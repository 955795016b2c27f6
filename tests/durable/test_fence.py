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


def damaged(path, *slots):
    """The file with slots of which a write left only a part."""
    data = bytearray(path.read_bytes())
    for slot in slots:
        data[slot * 512 + 20 : slot * 512 + 512] = bytes(492)
    return bytes(data)


@pytest.mark.parametrize("openings", [1, 2, 3])
@pytest.mark.parametrize("advances", [1, 2, 3])
def test_advancing_puts_nothing_at_risk_that_was_durable(tmp_path, openings, advances):
    path = tmp_path / "fences" / "alice-s1.fence"
    for _ in range(openings):
        one = fence(tmp_path)
        one.enter(0)
        one.leave()
    one = fence(tmp_path)
    one.enter(0)
    durable = path.read_bytes()[:1024]
    for commits in range(1, advances + 1):
        one.advance(commits)
    one.leave()
    assert path.read_bytes()[:1024] == durable
    path.write_bytes(damaged(path, 2, 3))
    again = fence(tmp_path)
    assert again.enter(3) == openings + 2, "all that was not durable is lost, and nothing else"
    again.leave()


@pytest.mark.parametrize("openings", [1, 2, 3, 4])
def test_one_damaged_slot_and_all(tmp_path, openings):
    path = tmp_path / "fences" / "alice-s1.fence"
    for commits in range(openings):
        one = fence(tmp_path)
        one.enter(commits)
        one.advance(commits + 1)
        one.leave()
    whole = path.read_bytes()
    for slot in range(4):
        path.write_bytes(damaged(path, slot))
        again = fence(tmp_path)
        assert again.enter(openings) == openings + 1, "what is passing is also in the newest"
        again.leave()
        path.write_bytes(whole)
    path.write_bytes(damaged(path, 0, 1))
    with pytest.raises(EnvironmentFault, match="damaged"):
        fence(tmp_path).enter(openings)


def test_an_interrupted_entering_keeps_what_was_known(tmp_path):
    path = tmp_path / "fences" / "alice-s1.fence"
    for _ in range(3):
        one = fence(tmp_path)
        one.enter(0)
        one.leave()
    before = path.read_bytes()
    one = fence(tmp_path)
    assert one.enter(0) == 4
    one.leave()
    after = path.read_bytes()
    changed = {at // 512 for at in range(2048) if before[at] != after[at]}
    assert len(changed) == 1
    path.write_bytes(damaged(path, *changed))
    again = fence(tmp_path)
    assert again.enter(0) == 4
    again.leave()


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
