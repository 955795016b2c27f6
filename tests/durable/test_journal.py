import errno
import itertools
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from quorate.durable import segments
from quorate.durable.journal import Journal, destroy, exists, read_header
from quorate.durable.storage import DISK, Disk
from quorate.errors import EnvironmentFault, InternalError, UserError

KEY = bytes(range(32))


def made(path, *groups):
    journal = Journal.create(path, KEY, b"header")
    for group in groups:
        for kind, body in group:
            journal.append(kind, body)
        journal.commit()
    return journal


class Memory:
    """A file in memory."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.close = self.sync = lambda: None

    def size(self):
        return len(self.data)

    def read(self, offset, count):
        return bytes(self.data[offset : offset + count])

    def write(self, offset, data):
        self.data[offset : offset + len(data)] = data

    def truncate(self, size):
        del self.data[size:]


class Altered(Disk):
    """The journal is in memory, as it was found on an imagined disk; for tests that open one at every byte."""

    def __init__(self, data):
        self.file = Memory(data)

    def open(self, path):
        return super().open(path) if path.name.endswith(".key") else self.file


def altered(path, data):
    """What a journal holds if its file has this content; the file afterwards."""
    disk = Altered(data)
    journal = Journal.open(path, KEY, storage=disk)
    return list(journal.records()), bytes(disk.file.data), journal


def content(path):
    journal = Journal.open(path, KEY)
    try:
        return list(journal.records())
    finally:
        journal.close()


GROUPS = [
    [(1, b"first"), (2, b"")],
    [(3, bytes(700)), (254, b"x" * 33), (0, b"end")],
    [(7, b"last write" * 60), (8, b"!"), (9, b"tail" * 300)],
]
FLAT = [record for group in GROUPS for record in group]


def test_what_is_committed_is_read_in_order_and_more_can_follow(tmp_path):
    path = tmp_path / "deep" / "folder" / "j"
    journal = made(path, *GROUPS)
    assert (list(journal.records()), journal.commits) == (FLAT, 3)
    journal.close()
    again = Journal.open(path, KEY)
    assert (list(again.records()), again.commits, again.header, again.dropped) == (FLAT, 3, b"header", 0)
    again.append(5, b"more", bytearray(b" of"), memoryview(b" it"))
    assert list(again.records()) == FLAT, "not committed yet"
    again.commit()
    assert again.size == path.stat().st_size
    assert again.size % 16 == 0, "so that a part of a tag that happens to be zero is not taken for a missing sector"
    again.close()
    assert content(path) == [*FLAT, (5, b"more of it")]


def test_nothing_in_the_clear_reaches_the_disk(tmp_path):
    made(tmp_path / "j", [(1, b"secret-secret-secret" * 5000)]).close()
    assert all(b"secret-secret" not in file.read_bytes() for file in tmp_path.iterdir())
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_arrays_and_long_records_in_pieces(tmp_path):
    import numpy as np

    long = os.urandom(segments.FLUSH + 12345)
    path = tmp_path / "j"
    journal = Journal.create(path, KEY, b"")
    numbers = np.arange(1000, dtype=np.uint64)
    journal.append(1, numbers.data, b"and")
    numbers[:] = 0
    journal.append(2, memoryview(long)[: segments.FLUSH], long[segments.FLUSH :])
    assert path.stat().st_size > segments.HEAD, "what is long does not stay in memory"
    journal.commit()
    journal.append(3, long)
    journal.close()
    first, second = content(path)
    assert first[1] == np.arange(1000, dtype=np.uint64).tobytes() + b"and"
    assert second == (2, long)


def test_commit_writes_once_and_syncs_once_and_nothing_for_nothing(tmp_path):
    disk = Counting()
    Journal.create(tmp_path / "j", KEY, b"", storage=disk).close()
    disk.calls.clear()
    journal = Journal.open(tmp_path / "j", KEY, storage=disk)
    assert disk.calls == ["sync"], "what is acted upon from now on may be only in the memory of the system"
    disk.calls.clear()
    journal.commit()
    assert disk.calls == []
    for _ in range(16):
        journal.append(1, bytes(65536))
    assert disk.calls == []
    journal.commit()
    assert disk.calls == ["write", "sync"]
    journal.append(1, b"x")
    journal.commit(durable=False)
    journal.commit(durable=False)
    assert disk.calls == ["write", "sync", "write"]
    journal.commit()
    assert disk.calls == ["write", "sync", "write", "sync"], "what was left in the system's memory is made durable"
    journal.close()


# ---- interrupted writes


@pytest.mark.parametrize("filler", [b"", b"\0"])
def test_the_last_write_cut_anywhere_is_dropped(tmp_path, filler):
    """Cut at every byte of the last commit; then the file ends, or goes on with zeros up to its full length."""
    path = tmp_path / "j"
    journal = made(path, *GROUPS[:2])
    start = journal.size
    for kind, body in GROUPS[2]:
        journal.append(kind, body)
    journal.commit()
    journal.close()
    whole, kept = path.read_bytes(), [*GROUPS[0], *GROUPS[1]]
    for cut in range(start, len(whole)):
        data = whole[:cut] + filler * (len(whole) - cut)
        if filler and len(whole) - cut < 16:
            continue  # a sector is partly there, which no disk does, and looks like damage
        records, after, reopened = altered(path, data)
        assert records == kept, cut
        assert after == whole[:start], "the rest is gone from the disk"
        assert (reopened.commits, reopened.dropped) == (2, len(data) - start)


def test_sectors_of_the_last_write_that_never_arrived(tmp_path):
    """Any one sector, and all behind any sector, may still hold zeros."""
    path = tmp_path / "j"
    journal = made(path, GROUPS[0])
    start = journal.size
    journal.append(1, os.urandom(3000))
    journal.append(2, os.urandom(1))
    journal.commit()
    journal.close()
    whole = path.read_bytes()
    sectors = range(start // 512, -(-len(whole) // 512))
    for sector in sectors:
        first, last = max(start, sector * 512), min(len(whole), sector * 512 + 512)
        for end in (last, len(whole)):
            assert altered(path, whole[:first] + bytes(end - first) + whole[end:])[0] == GROUPS[0], (sector, end)


def test_zeros_from_preallocation_are_dropped(tmp_path):
    path = tmp_path / "j"
    made(path, *GROUPS).close()
    with open(path, "ab") as file:
        file.write(bytes(100_000))
    assert content(path) == FLAT


def test_sectors_missing_before_the_last_write_are_damage(tmp_path):
    path = tmp_path / "j"
    journal = made(path, [(1, os.urandom(4000))])
    first = journal.size
    journal.append(2, b"later")
    journal.commit()
    journal.close()
    whole = path.read_bytes()
    for start in (segments.HEAD, 512, 1024, first - first % 512):
        stop = min(first, start + 512 - start % 512)
        path.write_bytes(whole[:start] + bytes(stop - start) + whole[stop:])
        with pytest.raises(EnvironmentFault, match="damaged in commit 1"):
            content(path)


def test_a_later_commit_is_found_wherever_it_begins(tmp_path):
    """Also where its beginning lies across the pieces in which the file is searched."""
    path = tmp_path / "j"
    journal = made(path, [(1, bytes((1 << 20) - 144))], [(2, b"later")])
    journal.close()
    whole = path.read_bytes()
    assert pieces(path)[1] == segments.HEAD + (1 << 20)
    with pytest.raises(EnvironmentFault, match="damaged in commit 1"):
        altered(path, whole[: segments.HEAD] + bytes(512 - segments.HEAD) + whole[512:])


def test_without_durability_a_lost_group_takes_the_later_ones_along(tmp_path):
    """Neither was promised to survive a loss of power."""
    path = tmp_path / "j"
    journal = made(path, GROUPS[0])
    start = journal.size
    for _ in range(2):
        journal.append(1, bytes(600))
        journal.commit(durable=False)
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:start] + bytes(512) + whole[start + 512 :])
    assert content(path) == GROUPS[0]


def test_opening_twice_after_a_torn_write_uses_fresh_keys(tmp_path):
    """The same position and number is written again, with the same content: nothing of the ciphertext repeats."""
    path = tmp_path / "j"
    journal = made(path, GROUPS[0])
    start = journal.size
    journal.close()
    seen = []
    for _ in range(3):
        journal = Journal.open(path, KEY)
        journal.append(1, bytes(4096))
        journal.commit()
        journal.close()
        seen.append(path.read_bytes()[start:])
        os.truncate(path, path.stat().st_size - 1)
    bodies = [data[96 : 96 + 4096] for data in seen]
    assert len(set(bodies)) == 3
    blocks = [body[at : at + 16] for body in bodies for at in range(0, 4096, 16)]
    assert len(set(blocks)) == len(blocks), "a repeated key stream shows, as all that was written is zeros"


def test_no_nonce_is_used_twice_under_one_key(tmp_path, monkeypatch):
    """Also where a write failed, a journal was rewritten, or an opening followed a torn write."""
    used = []
    real = segments.AESGCM

    class Spy:
        def __init__(self, key):
            self.key, self.cipher = key, real(key)
            self.decrypt = self.cipher.decrypt

        def encrypt(self, nonce, data, context):
            used.append((self.key, nonce))
            return self.cipher.encrypt(nonce, data, context)

    monkeypatch.setattr(segments, "AESGCM", Spy)
    path = tmp_path / "j"
    journal = made(path, *GROUPS)
    journal.rewrite((kind, [body]) for kind, body in FLAT)
    journal.append(1, b"x")
    journal.close()
    os.truncate(path, path.stat().st_size - 3)
    with pytest.raises(EnvironmentFault):
        Journal.open(path, KEY)  # what was rewritten was never torn
    path.unlink()
    (tmp_path / "j.key").unlink()
    disk = Full(0)
    made(path, *GROUPS).close()
    for room in (0, 50, 300):
        disk.room = room
        journal = Journal.open(path, KEY, storage=disk)
        journal.append(1, bytes(900))
        with pytest.raises(EnvironmentFault):
            journal.commit()
        journal.close()
    assert len(used) > 20
    assert len(set(used)) == len(used)


# ---- damage


def test_every_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "j"
    made(path, *GROUPS).close()
    whole = path.read_bytes()
    for at in range(len(whole)):
        with pytest.raises(EnvironmentFault):
            altered(path, whole[:at] + bytes((whole[at] ^ (1 << at % 8),)) + whole[at + 1 :])


def test_every_flipped_bit_of_the_key_file_is_noticed(tmp_path):
    path, key = tmp_path / "j", tmp_path / "j.key"
    made(path, GROUPS[0]).close()
    whole = key.read_bytes()
    for at in range(len(whole)):
        key.write_bytes(whole[:at] + bytes((whole[at] ^ 128,)) + whole[at + 1 :])
        with pytest.raises(EnvironmentFault, match=r"j\.key: damaged, or encrypted under another key"):
            content(path)
    key.write_bytes(whole)
    assert content(path) == GROUPS[0]


def pieces(path):
    """Where the segments begin, and where the file ends."""
    journal = Journal.open(path, KEY)
    reader = segments.Reader(journal._file, journal._keys, journal.size)
    ends = [mark.position for mark in reader.survey()]
    journal.close()
    return ends


@pytest.mark.parametrize("change", ["swap", "remove", "repeat", "foreign", "first"])
def test_segments_moved_left_out_or_brought_along_are_noticed(tmp_path, change):
    path, other = tmp_path / "j", tmp_path / "other"
    same = [[(1, b"a" * 50)], [(1, b"b" * 50)], [(1, b"c" * 50)], [(1, b"d" * 50)]]
    made(path, *same).close()
    made(other, *same).close()
    whole, foreign, ends = path.read_bytes(), other.read_bytes(), pieces(path)
    assert ends == pieces(other)
    head, a, b, c, d = whole[: ends[0]], *(whole[x:y] for x, y in itertools.pairwise(ends))
    parts = {
        "swap": (head, a, c, b, d),
        "remove": (head, a, c, d),
        "repeat": (head, a, b, b, c, d),
        "foreign": (head, a, foreign[ends[1] : ends[2]], c, d),
        "first": (head, b, c, d),
    }[change]
    path.write_bytes(b"".join(parts))
    with pytest.raises(EnvironmentFault, match="damaged"):
        content(path)


def test_a_segment_written_in_another_try_does_not_fit(tmp_path):
    """Commit 2 as it was before a rewrite, or in another history of the same journal, is not taken."""
    path = tmp_path / "j"
    made(path, [(1, b"a")]).close()
    fork = {file: file.read_bytes() for file in tmp_path.iterdir()}
    grown = []
    for word in (b"b", b"B"):
        for file, data in fork.items():
            file.write_bytes(data)
        journal = Journal.open(path, KEY)
        for _ in range(2):
            journal.append(1, word)
            journal.commit()
        journal.close()
        grown.append(path.read_bytes())
    ends = pieces(path)
    path.write_bytes(grown[0][: ends[2]] + grown[1][ends[2] :])
    with pytest.raises(EnvironmentFault, match="damaged in commit 3"):
        content(path)


def test_another_key_a_missing_file_and_a_second_creation(tmp_path):
    path = tmp_path / "j"
    with pytest.raises(UserError, match="there is no journal"):
        Journal.open(path, KEY)
    made(path).close()
    with pytest.raises(EnvironmentFault, match="encrypted under another key"):
        Journal.open(path, bytes(32))
    with pytest.raises(UserError, match="there is a journal already"):
        Journal.create(path, KEY, b"")
    with pytest.raises(InternalError):
        Journal.create(tmp_path / "other", KEY, bytes(60_001))
    Journal.create(tmp_path / "other", KEY, bytes(60_000)).close()
    assert read_header(tmp_path / "other") == bytes(60_000)
    path.write_bytes(b"short")
    with pytest.raises(EnvironmentFault, match="not a journal"):
        Journal.open(path, KEY)


def test_the_header_is_readable_without_a_key(tmp_path):
    made(tmp_path / "j").close()
    assert read_header(tmp_path / "j") == b"header"
    (tmp_path / "j.key").write_bytes(b"nonsense")
    with pytest.raises(EnvironmentFault):
        read_header(tmp_path / "j")


class Folders(Disk):
    """Notes which folders were made durable."""

    def __init__(self):
        self.synced = []

    def sync_folder(self, folder):
        self.synced.append(folder)
        super().sync_folder(folder)


def test_opening_makes_the_name_durable_too(tmp_path):
    """Who created or rewrote it may have been killed between renaming and that."""
    made(tmp_path / "j", *GROUPS).close()
    disk = Folders()
    Journal.open(tmp_path / "j", KEY, storage=disk).close()
    assert tmp_path in disk.synced


# ---- rewriting, erasing


def test_rewriting_replaces_everything_in_one_step(tmp_path):
    path = tmp_path / "j"
    journal = made(path, *GROUPS)
    journal.rewrite((kind, (body[:3], body[3:])) for kind, body in journal.records() if kind != 3)
    kept = [record for record in FLAT if record[0] != 3]
    assert (list(journal.records()), journal.commits) == (kept, 4)
    journal.append(9, b"after")
    journal.commit()
    journal.close()
    assert content(path) == [*kept, (9, b"after")]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["j", "j.key"]
    journal = Journal.open(path, KEY)
    journal.append(1, b"")
    with pytest.raises(InternalError):
        journal.rewrite([])
    journal.commit()
    journal.rewrite([])
    assert (list(journal.records()), journal.commits) == ([], 7)
    journal.close()
    assert content(path) == []


def test_a_rewritten_journal_cannot_be_cut_back(tmp_path):
    """It was on disk as a whole before it took its name."""
    path = tmp_path / "j"
    journal = made(path, *GROUPS)
    journal.rewrite([(1, (b"all",))])
    journal.close()
    whole = path.read_bytes()
    for size in range(len(whole)):
        with pytest.raises(EnvironmentFault):
            altered(path, whole[:size])


@pytest.mark.parametrize("room", [0, 60, 200, 5000])
def test_rewriting_on_a_full_disk_keeps_the_old_content(tmp_path, room):
    path, disk = tmp_path / "j", Full(1 << 20)
    made(path, *GROUPS).close()
    journal = Journal.open(path, KEY, storage=disk)
    disk.room = room
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        journal.rewrite([(1, (bytes(9000),))])
    assert not (tmp_path / "j.new").exists()
    assert list(journal.records()) == FLAT
    disk.room = 1 << 20
    journal.append(1, b"goes on")
    journal.commit()
    journal.close()
    assert content(path) == [*FLAT, (1, b"goes on")]


def test_what_a_killed_rewrite_left_is_removed(tmp_path):
    made(tmp_path / "j", *GROUPS).close()
    (tmp_path / "j.new").write_bytes(b"half")
    assert content(tmp_path / "j") == FLAT
    assert not (tmp_path / "j.new").exists()


def test_destroying_erases_the_key_first_and_is_idempotent(tmp_path):
    order = []

    class Watching(Disk):
        def open(self, path):
            order.append(f"open {path.name}")
            return super().open(path)

        def unlink(self, path):
            if path.exists():
                order.append(f"unlink {path.name} {path.read_bytes().count(0) == path.stat().st_size}")
            super().unlink(path)

        def sync_folder(self, folder):
            order.append("durable")
            super().sync_folder(folder)

    path = tmp_path / "j"
    journal = made(path, *GROUPS)
    assert exists(path)
    journal.close()
    destroy(path, Watching())
    assert order == ["open j.key", "unlink j.key True", "durable", "unlink j False", "durable"]
    assert list(tmp_path.iterdir()) == []
    destroy(path)
    assert not exists(path)
    journal = made(path)
    (tmp_path / "j.key").unlink()
    with pytest.raises(UserError, match="its session has ended"):
        Journal.open(path, KEY)
    journal.destroy()
    assert list(tmp_path.iterdir()) == []


# ---- full disks and limits


class Counting(Disk):
    """Counts writes and syncs."""

    def __init__(self):
        self.calls = []

    def create(self, path):
        return self._counted(super().create(path))

    def open(self, path):
        return self._counted(super().open(path))

    def _counted(self, file):
        for name in ("write", "sync"):
            setattr(file, name, self._noting(name, getattr(file, name)))
        return file

    def _noting(self, name, method):
        def call(*arguments):
            self.calls.append(name)
            return method(*arguments)

        return call


class Full(Disk):
    """Takes `room` more bytes, then a part of a write, then nothing."""

    def __init__(self, room):
        self.room = room

    def create(self, path):
        return self._limited(super().create(path))

    def open(self, path):
        return self._limited(super().open(path))

    def _limited(self, file):
        write = file.write

        def limited(offset, data):
            taken = min(self.room, len(data))
            self.room -= taken
            write(offset, data[:taken])
            if taken < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        file.write = limited
        return file


@pytest.mark.parametrize("room", [0, 1, 100, 900])
def test_a_full_disk_leaves_the_journal_as_committed_last(tmp_path, room):
    path, disk = tmp_path / "j", Full(0)
    made(path, *GROUPS).close()
    journal = Journal.open(path, KEY, storage=disk)
    disk.room = room
    journal.append(1, bytes(1000))
    with pytest.raises(EnvironmentFault, match="the disk is full; free some space"):
        journal.commit()
    disk.room = 1 << 20
    for action in (lambda: journal.append(1, b"x"), journal.commit, lambda: journal.rewrite([])):
        with pytest.raises(EnvironmentFault, match="the disk is full"):
            action()
    assert list(journal.records()) == FLAT
    journal.close()
    assert path.stat().st_size == pieces(path)[-1]
    assert content(path) == FLAT


def test_a_disk_that_cannot_sync_is_not_trusted_any_more(tmp_path):
    path = tmp_path / "j"
    journal = made(path, GROUPS[0])

    def sync():
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal._file.sync = sync
    journal.append(1, b"x")
    with pytest.raises(EnvironmentFault, match="Input/output error"):
        journal.commit()
    with pytest.raises(EnvironmentFault, match="Input/output error"):
        journal.append(1, b"x")
    assert (list(journal.records()), journal.commits) == (GROUPS[0], 1)
    journal.close()
    assert content(path) == GROUPS[0]


def test_a_limit_on_the_size_leaves_room_to_say_why(tmp_path):
    journal = Journal.create(tmp_path / "j", KEY, b"", most_bytes=20_000)
    journal.append(1, bytes(10_000))
    assert 0 < journal.room < 10_000
    with pytest.raises(EnvironmentFault, match="larger than 20,000 bytes, its limit"):
        journal.append(1, bytes(12_000))
    journal.append(2, bytes(4000))
    journal.append(2, bytes(4000))
    journal.append(2, bytes(4000))
    journal.commit()
    assert journal.room == 0
    assert [len(body) for _, body in journal.records()] == [10_000, 4000, 4000, 4000]
    while journal.size < 20_000 + (1 << 20) - 5000:
        journal.append(2, bytes(4000))
    journal.append(2, b"")
    with pytest.raises(EnvironmentFault, match="its limit"):
        journal.append(2, bytes(4090))
    journal.close()
    with pytest.raises(InternalError):
        journal.append(1, b"")
    with pytest.raises(InternalError):
        journal.commit()


def test_records_that_do_not_fit_are_refused(tmp_path):
    journal = made(tmp_path / "j")
    for kind in (-1, 255, 256):
        with pytest.raises(InternalError):
            journal.append(kind, b"")
        with pytest.raises(InternalError):
            journal.rewrite([(kind, ())])
    journal.close()


# ---- a killed process

_WRITER = """
import os, sys
from pathlib import Path
from quorate.durable.journal import Journal
path, durable = Path(sys.argv[1]), sys.argv[2] == "1"
key = bytes(range(32))
journal = Journal.open(path, key) if path.exists() else Journal.create(path, key, b"")
number = sum(1 for _ in journal.records())
print(number, flush=True)
while True:
    for _ in range(3):
        journal.append(1, number.to_bytes(8, "big"), bytes(9000))
        number += 1
    journal.commit(durable)
    os.write(1, b"%d\\n" % number)
"""


@pytest.mark.parametrize("durable", ["0", "1"])
def test_kill_9_while_committing_loses_nothing_that_was_committed(tmp_path, durable):
    path = tmp_path / "j"
    script = tmp_path / "writer.py"
    script.write_text(textwrap.dedent(_WRITER))
    for round_ in range(4):
        process = subprocess.Popen([sys.executable, str(script), str(path), durable], stdout=subprocess.PIPE)
        lines = [process.stdout.readline() for _ in range(5 + 3 * round_)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines()
        process.wait()
        process.stdout.close()
        numbers = [int.from_bytes(body[:8], "big") for _, body in content(path)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= int(lines[-1]) > 0
        assert len(numbers) % 3 == 0, "a group counts as a whole or not at all"


def test_locks_are_of_one_process(tmp_path):
    first = DISK.lock(tmp_path / "lock")
    assert DISK.lock(tmp_path / "lock") is None
    first.close()
    second = DISK.lock(Path(tmp_path / "lock"))
    assert second is not None
    second.close()
