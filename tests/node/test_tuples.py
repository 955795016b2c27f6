"""The tuple store on disk: encrypted, bound to its place, handed out once whatever crashes, is restored or damaged."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from quorate.errors import EnvironmentFault, InternalError
from quorate.node import tuples
from quorate.node.tuples import Group, Shelf, default_fence, shelves

GROUP = Group(parties=("a", "b"), protocol="semi2k", threshold=1, security=40)
GENERATION = "ab" * 16
SECRETS = [np.array([3, 2**63], np.uint64), np.array(7, np.uint64)]
SESSION = "0" * 32


def parts(start, stop):
    """Recognisable tuples: every number says which position it belongs to."""
    positions = np.arange(start, stop, dtype=np.uint64)
    return [positions * 0x0123456789ABCDEF, np.stack([positions, positions + 1], 1), positions.astype(np.uint8)]


class Place:
    """A data folder and a fence, which can be copied and put back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, self.fence = folder / "home", folder / "fence"

    def shelf(self, member: str = "a", group: Group = GROUP) -> Shelf:
        return Shelf(self.home, member, group, self.fence)

    def copy(self, folder: Path) -> Place:
        shutil.copytree(self.folder, folder)
        return Place(folder)

    def chunks(self) -> list[Path]:
        return sorted(self.home.glob("tuples/a/*/*.chunk"))


@contextlib.contextmanager
def using(shelf: Shelf):
    """A session that ends in order."""
    assert shelf.lease()
    yield shelf
    shelf.put_back()
    shelf.release()


@pytest.fixture
def place(tmp_path):
    """Ten products in two chunks."""
    made = Place(tmp_path / "place")
    with using(made.shelf()) as shelf:
        shelf.begin(GENERATION, SECRETS, SESSION)
        shelf.add(GENERATION, SESSION, "products", 0, parts(0, 6), 0.5)
        shelf.add(GENERATION, SESSION, "products", 6, parts(6, 10), 0.5)
    return made


def claim(place, start, stop):
    return place.shelf().claim(GENERATION, SESSION, {"products": (start, stop)})["products"]


def assert_parts(found, start, stop):
    for array, expected in zip(found, parts(start, stop), strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


def test_what_was_stored_comes_back_once(place):
    assert_parts(claim(place, 0, 2), 0, 2)
    assert_parts(claim(place, 2, 8), 2, 8)
    assert len(place.chunks()) == 1
    assert place.shelf().holdings(GENERATION, ["products", "squares"]) == {
        "products": tuples.Holding(8, 10, 10),
        "squares": tuples.Holding(),
    }
    assert place.shelf().ledger().left("products") == 2
    assert_parts(claim(place, 9, 10), 9, 10)
    assert place.chunks() == []


def test_secrets_come_back(place):
    with using(place.shelf()) as shelf:
        for found, expected in zip(shelf.secrets(GENERATION, SESSION), SECRETS, strict=True):
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
            np.testing.assert_array_equal(found, expected)


def test_files_are_private_and_encrypted(place):
    words = parts(0, 10)[0]
    files = [path for path in place.home.rglob("*") if path.is_file()]
    assert {"ledger.sealed", "secrets.sealed", "journal.jsonl"} <= {path.name for path in files}
    for path in files:
        if path.name != "group.json":
            assert path.stat().st_mode & 0o077 == 0, path
        content = path.read_bytes()
        assert words[3].tobytes() not in content
        assert SECRETS[0].tobytes() not in content
    assert (place.home / "a.tuples.key").stat().st_size == 32


def test_the_journal_says_who_made_and_spent_what(place):
    claim(place, 0, 3)
    place.shelf().destroy("a check failed")
    told = [(e.what, e.kind, e.start, e.stop) for e in place.shelf().journal.events()]
    assert told == [
        ("made", "products", 0, 6),
        ("made", "products", 6, 10),
        ("spent", "products", 0, 3),
        ("destroyed", "", 0, 0),
    ]


def test_stocks_are_listed(place):
    place.shelf(group=Group(parties=("a", "c"), protocol="semi2k", threshold=1, security=40)).begin(
        "cd" * 16, [], SESSION
    )
    assert sorted(shelf.group.parties for shelf in shelves(place.home, "a", place.fence)) == [("a", "b"), ("a", "c")]
    assert shelves(place.home, "b", place.fence) == []


class Snapshots:
    """Copies a place before and after everything that a call writes or removes: what a crash there would leave."""

    def __init__(self, place: Place, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.target, self.taken = place, target, []
        for owner, name in ((tuples, "write_atomic"), (tuples.Journal, "note"), (Path, "unlink"), (Shelf, "_read")):
            self._watch(owner, name, monkeypatch)

    def _watch(self, owner, name, monkeypatch):
        real = getattr(owner, name)

        def watched(*arguments, **options):
            self.take(name)
            result = real(*arguments, **options)
            self.take(f"after {name}")
            return result

        monkeypatch.setattr(owner, name, watched)

    def take(self, label):
        self.taken.append((label, self.place.copy(self.target / str(len(self.taken)))))


def test_a_crash_at_any_step_of_a_claim_hands_nothing_out_twice(place, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        snapshots = Snapshots(place, tmp_path / "crashes", patched)
        claim(place, 0, 7)
    labels = [label for label, _ in snapshots.taken]
    assert {"write_atomic", "after write_atomic", "note", "_read", "after _read", "unlink"} <= set(labels)
    marks = []
    for label, left in snapshots.taken:
        holding = left.shelf().holdings(GENERATION, ["products"])["products"]
        marks.append(holding.start)
        assert holding.start in (0, 7), label
        if label in ("_read", "after _read", "unlink", "after unlink"):  # from here on somebody may know them
            assert holding.start == 7, label
        if holding.start < holding.stop:
            assert_parts(claim(left, holding.start, 10), holding.start, 10)
        assert left.shelf().holdings(GENERATION, ["products"])["products"].start == 10
    assert all(earlier <= later for earlier, later in pairwise(marks))


def test_a_crash_at_any_step_of_storing_leaves_a_stock_that_works(place, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        snapshots = Snapshots(place, tmp_path / "crashes", patched)
        place.shelf().add(GENERATION, SESSION, "products", 10, parts(10, 12), 0.1)
    for label, left in snapshots.taken:
        stop = left.shelf().holdings(GENERATION, ["products"])["products"].stop
        assert stop in (10, 12), label
        assert_parts(claim(left, 0, stop), 0, stop)
        assert left.chunks() == []


@pytest.mark.parametrize("what", ["begin", "destroy"])
def test_a_crash_while_a_generation_ends_leaves_all_of_it_or_nothing(place, tmp_path, monkeypatch, what):
    with monkeypatch.context() as patched:
        snapshots = Snapshots(place, tmp_path / "crashes", patched)
        if what == "begin":
            with using(place.shelf()) as shelf:
                shelf.begin("cd" * 16, SECRETS, SESSION)
        else:
            place.shelf().destroy("a check failed")
    for _, left in snapshots.taken:
        ledger = left.shelf().ledger()
        if ledger.generation == GENERATION:
            assert_parts(claim(left, 0, 10), 0, 10)
        else:
            assert ledger.chunks == {}
            assert left.chunks() == []


def test_a_restored_backup_is_brought_up_to_the_fence(place, tmp_path, caplog):
    shutil.copytree(place.home, tmp_path / "backup")
    claim(place, 0, 7)
    shutil.rmtree(place.home)
    shutil.copytree(tmp_path / "backup", place.home)
    holding = place.shelf().holdings(GENERATION, ["products"])["products"]
    assert (holding.start, holding.stop) == (7, 10)
    assert "restored backup" in caplog.text
    with pytest.raises(tuples.QuorateError):
        claim(place, 0, 3)


def test_a_backup_of_a_destroyed_generation_stays_destroyed(place, tmp_path):
    shutil.copytree(place.home, tmp_path / "backup")
    place.shelf().destroy("a check failed", GENERATION)
    assert not (place.home / "tuples/a" / GROUP.ident / "secrets.sealed").exists()
    shutil.rmtree(place.home)
    shutil.copytree(tmp_path / "backup", place.home)
    assert place.shelf().ledger().generation == ""
    assert place.chunks() == []


def test_a_lost_fence_is_not_trusted(place, caplog):
    shutil.rmtree(place.fence)
    assert place.shelf().ledger().generation == ""
    assert "the fence" in caplog.text


def test_a_restored_fence_does_not_lower_marks(place, tmp_path):
    shutil.copytree(place.fence, tmp_path / "backup")
    claim(place, 0, 7)
    shutil.rmtree(place.fence)
    shutil.copytree(tmp_path / "backup", place.fence)
    assert place.shelf().holdings(GENERATION, ["products"])["products"].start == 7


def test_only_the_named_generation_is_destroyed(place):
    place.shelf().destroy("a check failed", "cd" * 16)
    assert place.shelf().ledger().generation == GENERATION


@pytest.mark.parametrize("position", [0, 16, 20, 60, -1])
@pytest.mark.parametrize("name", ["ledger.sealed", "secrets.sealed", "chunk"])
def test_a_changed_byte_destroys_the_stock(place, name, position, caplog):
    path = place.chunks()[0] if name == "chunk" else next(place.home.rglob(name))
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    if name == "ledger.sealed":
        assert place.shelf().ledger().generation == ""
    elif name == "secrets.sealed":
        with using(place.shelf()) as shelf, pytest.raises(EnvironmentFault, match="damaged"):
            shelf.secrets(GENERATION, SESSION)
    else:
        with pytest.raises(EnvironmentFault, match="damaged"):
            claim(place, 0, 2)
    assert place.shelf().ledger().generation == ""
    assert place.chunks() == []
    assert "the stock is destroyed" in caplog.text


def test_chunks_do_not_change_places(place):
    first, second = place.chunks()
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    with pytest.raises(EnvironmentFault, match="holds other tuples"):
        claim(place, 0, 2)


def test_a_chunk_of_another_group_or_member_is_refused(place):
    other = place.shelf(group=Group(parties=("b", "a"), protocol="semi2k", threshold=1, security=40))
    with using(other):
        other.begin(GENERATION, SECRETS, SESSION)
        other.add(GENERATION, SESSION, "products", 0, parts(0, 6), 0.5)
    target = place.home / "tuples/a" / GROUP.ident
    for path in other.folder.glob("*.chunk"):
        shutil.copy(path, target)
    with pytest.raises(EnvironmentFault, match="damaged"):
        claim(place, 0, 2)


@pytest.mark.parametrize("key", [bytes(32), b"short", None])
def test_a_wrong_key_opens_nothing(place, key):
    path = place.home / "a.tuples.key"
    path.unlink()
    if key is not None:
        path.write_bytes(key)
        path.chmod(0o600)
    if key == b"short":
        with pytest.raises(EnvironmentFault, match="not a key"):
            place.shelf().ledger()
    else:
        assert place.shelf().ledger().generation == ""


def test_a_key_that_others_may_read_is_refused(place):
    (place.home / "a.tuples.key").chmod(0o644)
    with pytest.raises(EnvironmentFault, match="chmod 600"):
        place.shelf().ledger()


def test_a_generation_that_went_away_cannot_be_used(place):
    place.shelf().begin("cd" * 16, [], SESSION)
    for use in (
        lambda: claim(place, 0, 2),
        lambda: place.shelf().secrets(GENERATION, SESSION),
        lambda: place.shelf().add(GENERATION, SESSION, "products", 10, parts(10, 12), 0.1),
    ):
        with pytest.raises(EnvironmentFault, match="destroyed"):
            use()


def _spend(home, fence, count, results):
    shelf = Shelf(home, "a", GROUP, fence)
    got = []
    while len(got) < count:
        start = shelf.holdings(GENERATION, ["products"])["products"].start
        try:
            found = shelf.claim(GENERATION, SESSION, {"products": (start, start + 1)})
        except tuples.QuorateError:  # another process was faster
            continue
        got.append(int(found["products"][1][0, 0]))
    results.put(got)


def test_processes_share_a_stock_without_handing_anything_out_twice(place):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_spend, args=(place.home, place.fence, 5, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    got = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(position for some in got for position in some) == list(range(10))


def test_a_stock_is_leased_to_one_session_at_a_time(place):
    first, second = place.shelf(), place.shelf()
    assert first.lease()
    assert not second.lease(0.1)
    assert second.lease_production()
    assert not first.lease_production()
    first.release()
    assert second.lease()
    second.release()
    assert first.lease_production()
    first.release()


def test_keys_are_handed_out_to_who_has_the_lease(place):
    with pytest.raises(InternalError, match="without its lease"):
        place.shelf().secrets(GENERATION, SESSION)
    assert place.shelf().ledger().left("products") == 10


def test_a_stock_in_use_stays_while_its_user_lives_and_after_an_orderly_end(place):
    with using(place.shelf()) as shelf:
        shelf.secrets(GENERATION, SESSION)
        assert shelf.in_use
        for look in (place.shelf().look, place.shelf().ledger, shelf.ledger):
            assert look().in_use == SESSION
            assert look().left("products") == 10
    assert not shelf.in_use
    assert place.shelf().ledger().in_use == ""
    assert_parts(claim(place, 0, 10), 0, 10)


@pytest.mark.parametrize("who", ["anybody", "the next session", "the same process"])
def test_keys_that_were_not_put_back_are_destroyed_with_their_tuples(place, caplog, who):
    shelf = place.shelf()
    shelf.lease()
    shelf.secrets(GENERATION, SESSION)
    shelf.release()
    following = shelf if who == "the same process" else place.shelf()
    if who != "anybody":
        assert following.lease()
    assert place.shelf().look().left("products") == (10 if following.leased else 0)  # the lease's holder decides
    assert following.ledger().generation == ""
    assert "did not end in order" in caplog.text
    assert not [*place.home.rglob("*.sealed"), *place.home.rglob("*.chunk")]
    following.release()


@pytest.mark.parametrize("what", ["secrets", "begin", "put_back"])
def test_a_crash_with_keys_in_use_destroys_them(place, tmp_path, monkeypatch, what):
    """What a crash leaves at each step of handing keys out, or of taking them back."""
    with using(place.shelf()) as shelf:
        if what == "put_back":
            shelf.secrets(GENERATION, SESSION)
        with monkeypatch.context() as patched:
            snapshots = Snapshots(place, tmp_path / "crashes", patched)
            if what == "begin":
                shelf.begin("cd" * 16, SECRETS, SESSION)
            else:
                shelf.secrets(GENERATION, SESSION) if what == "secrets" else shelf.put_back()
            snapshots.take("end")
    left_over = [left.shelf().ledger().generation for _, left in snapshots.taken]
    before, after = (GENERATION, "") if what != "put_back" else ("", GENERATION)
    assert (left_over[0], left_over[-1]) == (before, after)
    assert sorted(left_over, key=[before, after].index) == left_over


def _die(home, fence):
    shelf = Shelf(home, "a", GROUP, fence)
    shelf.lease()
    shelf.secrets(GENERATION, SESSION)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_with_keys_in_use_takes_the_generation_along(place):
    process = multiprocessing.get_context("spawn").Process(target=_die, args=(place.home, place.fence))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert place.shelf().ledger().generation == ""


@pytest.mark.parametrize("restored", ["home", "fence"])
def test_neither_place_can_be_put_back_to_before_keys_were_in_use(place, tmp_path, restored):
    shutil.copytree(place.folder / restored, tmp_path / "backup")
    shelf = place.shelf()
    shelf.lease()
    shelf.secrets(GENERATION, SESSION)
    shelf.release()
    shutil.rmtree(place.folder / restored)
    shutil.copytree(tmp_path / "backup", place.folder / restored)
    assert place.shelf().ledger().generation == ""


def test_without_keys_a_crash_keeps_the_stock(place):
    shelf = place.shelf()
    shelf.lease()
    shelf.begin("cd" * 16, [], SESSION)
    shelf.add("cd" * 16, SESSION, "products", 0, parts(0, 6), 0.5)
    assert shelf.secrets("cd" * 16, SESSION) == ()
    assert not shelf.in_use
    shelf.release()
    assert place.shelf().ledger().left("products") == 6


def test_the_fence_is_in_the_users_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_fence() == tmp_path / "quorate" / "fence"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_fence() == tmp_path / ".local" / "state" / "quorate" / "fence"
