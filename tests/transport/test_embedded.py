"""Queues in a folder: the conformance of carriers, and what is particular to files."""

import contextlib
import os
import shutil
import signal
import sqlite3
import stat
import threading
import time

import pytest

from quorate.errors import BrokerFault, QueueFull, UserError
from quorate.testing.carrier_conformance import CarrierConformance, Site
from quorate.testing.carrier_lab import Lab, idents, parcels
from quorate.transport import embedded, queue_file
from quorate.transport.carrier import CHUNK, Credentials, Limits, Parcel, Queue, open_carrier
from quorate.transport.embedded import EmbeddedCarrier, _file_system

QUEUE = Queue("0123456789abcdef" * 2, "rounds.alice")


class TestConformance(CarrierConformance):
    @pytest.fixture
    def site(self, tmp_path):
        self.folder = tmp_path / "queues"
        return Site(f"embedded:{self.folder}", Credentials())

    def listed(self, site):
        return {path.name.removesuffix(".queue") for path in self.folder.iterdir()}

    def expected(self, queue):
        return {queue.name}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "queues"


@pytest.fixture
def site(folder):
    """Opens carriers; all are closed in the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(EmbeddedCarrier(folder)))


@pytest.fixture
def carrier(site):
    made = site()
    made.provision(QUEUE, Limits())
    return made


def path_of(folder, queue=QUEUE):
    return folder / f"{queue.name}.queue"


def drain(carrier, queue=QUEUE):
    got = carrier.consume(queue, 10_000, 0.0)
    carrier.acknowledge(got)
    return idents(got)


def test_only_the_owner_may_read(folder, carrier):
    carrier.publish(QUEUE, parcels(3))
    carrier.consume(QUEUE, 1, 0.0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert len(modes) == 5  # the queue, its two companions, and two locks
    assert set(modes.values()) == {0o600}


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_carrier("embedded:some/queues", Credentials()).close()
    assert (tmp_path / "some" / "queues").is_dir()
    open_carrier(f"embedded:{tmp_path}/others", Credentials()).close()
    assert (tmp_path / "others").is_dir()
    for address in ("embedded:", "embedded://host/queues", "embedded:queues?x=1", "embedded:queues#x"):
        with pytest.raises(UserError, match="write embedded:FOLDER"):
            open_carrier(address, Credentials())


def test_folders_that_cannot_hold_queues(tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    with pytest.raises(UserError, match="everybody may write to the folder"):
        EmbeddedCarrier(tmp_path)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(embedded, "_file_system", lambda folder: "nfs4")
    with pytest.raises(UserError, match=r"network file system \(nfs4\)"):
        EmbeddedCarrier(tmp_path)


def test_the_file_system_of_a_folder(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
        "40 22 0:38 / /net/a\\040b rw - nfs4 server:/export rw\n"
        "41 22 0:39 / /net/plain rw shared:2 master:1 - tmpfs tmpfs rw\n"
        "not a mount\n"
    )
    for folder, kind in (("/net/a b/queues", "nfs4"), ("/net/a", "ext4"), ("/net/plain", "tmpfs"), ("/", "ext4")):
        assert _file_system(tmp_path.__class__(folder), mounts) == kind
    assert _file_system(tmp_path, tmp_path / "nothing") == ""


def test_a_parcel_that_was_acknowledged_is_known_for_ever(site, carrier):
    carrier.publish(QUEUE, parcels(2))
    assert drain(carrier) == ["a-0", "a-1"]
    site().publish(QUEUE, parcels(3))
    assert drain(carrier) == ["a-2"]
    carrier.remove(QUEUE)
    carrier.provision(QUEUE, Limits())
    carrier.publish(QUEUE, parcels(1))
    assert drain(carrier) == ["a-0"]


def test_copies_need_no_room(carrier):
    carrier.provision(QUEUE, Limits(most_bytes=250))
    carrier.publish(QUEUE, parcels(2))
    carrier.publish(QUEUE, parcels(2))
    with pytest.raises(QueueFull, match="holds 250 bytes"):
        carrier.publish(QUEUE, parcels(3))
    assert drain(carrier) == ["a-0", "a-1"]
    carrier.publish(QUEUE, [Parcel("large", bytes(1000))])  # an empty queue takes everything
    assert drain(carrier) == ["large"]


def test_a_second_consumer_waits_for_the_first_to_leave(site, carrier):
    carrier.publish(QUEUE, parcels(4))
    assert idents(carrier.consume(QUEUE, 2, 0.0)) == ["a-0", "a-1"]
    second = site()
    assert second.consume(QUEUE, 10, 0.1) == []
    timer = threading.Timer(0.2, carrier.close)
    timer.start()
    got = second.consume(QUEUE, 10, 20.0)
    timer.join()
    assert [(delivery.parcel.ident, delivery.attempt) for delivery in got] == [
        ("a-0", 2),
        ("a-1", 2),
        ("a-2", 1),
        ("a-3", 1),
    ]


@pytest.mark.parametrize("content", [b"this is no database, however long it is looked at" * 1000, b""])
def test_a_damaged_file(folder, site, carrier, content):
    carrier.publish(QUEUE, parcels(3))
    carrier.close()
    path_of(folder).write_bytes(content)
    for action in (
        lambda: site().publish(QUEUE, parcels(1)),
        lambda: site().consume(QUEUE, 1, 0.0),
        lambda: site().provision(QUEUE, Limits()),
        lambda: site().dead(QUEUE),
    ):
        with pytest.raises(BrokerFault, match=r"rounds\.alice\.queue is damaged"):
            action()
    site().remove(QUEUE)
    fresh = site()
    fresh.provision(QUEUE, Limits())
    fresh.publish(QUEUE, parcels(1))
    assert drain(fresh) == ["a-0"]


def test_damage_in_the_middle(folder, site, carrier):
    carrier.publish(QUEUE, parcels(20, 20_000))
    carrier.close()
    size = path_of(folder).stat().st_size
    with open(path_of(folder), "r+b") as file:
        file.seek(16_384)
        file.write(b"\xff" * (size - 16_384))
    with pytest.raises(BrokerFault, match="damaged"):
        site().consume(QUEUE, 20, 0.0)


def test_a_folder_that_vanishes(folder, site, carrier):
    other, third = site(), site()
    carrier.publish(QUEUE, parcels(1))
    third.publish(QUEUE, parcels(1))
    shutil.rmtree(folder)
    for action in (lambda: other.provision(QUEUE, Limits()), lambda: carrier.consume(QUEUE, 1, 0.0)):
        with pytest.raises(BrokerFault, match=str(folder)):
            action()
    with pytest.raises(BrokerFault, match="was deleted from outside"):
        third.publish(QUEUE, parcels(1, sender="b"))


def test_a_full_disk(carrier):
    carrier.publish(QUEUE, parcels(3))
    db = carrier._files[QUEUE]._db
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(BrokerFault, match="disk is full; free some space"):
        carrier.publish(QUEUE, parcels(10, 50_000, "b"))
    carrier.publish(QUEUE, parcels(10, 50_000, "c"))  # after the fault the file was opened anew: there is room again
    assert drain(carrier) == [*(f"a-{k}" for k in range(3)), *(f"c-{k}" for k in range(10))]


def test_a_queue_that_is_locked_for_long(folder, site, carrier, monkeypatch):
    monkeypatch.setattr(queue_file, "BUSY_SECONDS", 0.1)
    holder = sqlite3.connect(path_of(folder), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(BrokerFault, match="locked by another process"):
        site().publish(QUEUE, parcels(1))
    holder.execute("ROLLBACK")
    holder.close()
    site().publish(QUEUE, parcels(1))


def test_a_removal_that_was_cut_off(folder, site, carrier):
    """The process died between telling everybody and deleting the file."""
    carrier.publish(QUEUE, parcels(3))
    carrier._files[QUEUE].remove()
    for someone in (carrier, site()):
        with pytest.raises(BrokerFault, match="was removed"):
            someone.publish(QUEUE, parcels(1))
        assert someone.depth(QUEUE) == 0
        assert someone.dead(QUEUE) == []
    fresh = site()
    fresh.provision(QUEUE, Limits())
    assert fresh.depth(QUEUE) == 0
    carrier.publish(QUEUE, parcels(1))
    assert drain(fresh) == ["a-0"]


def test_a_creation_that_was_cut_off(folder, site):
    folder.mkdir(mode=0o700)
    path_of(folder).with_suffix(".new").write_bytes(b"half of a file")
    carrier = site()
    assert carrier.depth(QUEUE) == 0
    carrier.provision(QUEUE, Limits())
    carrier.publish(QUEUE, parcels(1))
    assert drain(carrier) == ["a-0"]


@pytest.mark.parametrize("again", [True, False])
def test_whoever_knew_a_removed_queue_learns_of_it(site, carrier, again):
    """Nothing is written to a file that is deleted, also if there is a new one of that name."""
    carrier.publish(QUEUE, parcels(2))
    carrier.consume(QUEUE, 1, 0.0)
    other = site()
    other.remove(QUEUE)
    if again:
        other.provision(QUEUE, Limits())
    with pytest.raises(BrokerFault, match="was removed"):
        carrier.publish(QUEUE, parcels(1, sender="b"))
    carrier.provision(QUEUE, Limits())
    carrier.publish(QUEUE, parcels(1, sender="c"))
    assert other.depth(QUEUE) == 1
    assert drain(carrier) == ["c-0"]


def test_one_who_makes_and_one_who_removes_at_the_same_time(site):
    stop = time.monotonic() + 1.0
    problems = []

    def work(action):
        carrier = site()
        try:
            while time.monotonic() < stop:
                with contextlib.suppress(BrokerFault):
                    action(carrier)
        except BaseException as problem:
            problems.append(problem)

    actions = [
        lambda carrier: carrier.provision(QUEUE, Limits()),
        lambda carrier: carrier.remove(QUEUE),
        lambda carrier: carrier.publish(QUEUE, [Parcel("x", b"y")]),
        lambda carrier: carrier.acknowledge(carrier.consume(QUEUE, 1, 0.01)),
    ]
    threads = [threading.Thread(target=work, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    fresh = site()
    fresh.provision(QUEUE, Limits())
    fresh.publish(QUEUE, parcels(1))
    assert "a-0" in idents(fresh.consume(QUEUE, 10, 5.0))


_BATCHES = """
for k in range(100_000):
    carrier.publish(queue, [Parcel(f"p-{k}-{j}", bytes(20_000)) for j in range(20)])
    print(k, flush=True)
"""


def test_a_killed_sender_leaves_all_or_nothing_of_a_batch(folder):
    with Lab(Site(f"embedded:{folder}", Credentials()), 30.0) as lab:
        queue = lab.queue()
        for _ in range(3):
            with lab.process(_BATCHES, queue) as process:
                process.stdout.readline()
                time.sleep(0.05)
                process.send_signal(signal.SIGKILL)
        assert lab.open().depth(queue) % 20 == 0
        assert lab.open().depth(queue) >= 20


def test_the_limit_counts_what_waits(folder, site, carrier):
    """Whatever happens to parcels, the counters say what is in the queue."""
    carrier.provision(QUEUE, Limits(most_deliveries=1, ttl=0.4))
    carrier.publish(QUEUE, parcels(10, 100))
    got = carrier.consume(QUEUE, 6, 0.0)
    carrier.acknowledge(got[:2])
    carrier.acknowledge(got[:2])
    carrier.reject(got[2], "bad")
    carrier.reject(got[2], "bad")
    time.sleep(0.5)
    assert [letter.reason for letter in carrier.dead(QUEUE)] == ["rejected: bad", *["expired"] * 4]
    carrier.close()
    again = site()
    assert again.consume(QUEUE, 10, 0.0) == []  # the three that were handed out once, which is the limit
    assert [letter.reason for letter in again.dead(QUEUE)][5:] == ["undeliverable"] * 3
    again.provision(QUEUE, Limits())
    again.retry(QUEUE, again.dead(QUEUE)[:2])
    again.drop(QUEUE, again.dead(QUEUE)[:1])
    db = again._files[QUEUE]._db
    assert db.execute("SELECT bytes, parcels FROM facts").fetchone() == (200, 2)
    assert db.execute("SELECT count(*) FROM bodies").fetchone() == (7,)
    assert db.execute("SELECT count(*) FROM idents").fetchone() == (10,)
    assert drain(again) == ["a-2", "a-6"]
    assert db.execute("SELECT bytes, parcels FROM facts").fetchone() == (0, 0)


def test_publishing_waits_for_the_disk(carrier):
    """What is confirmed survives a power failure; what consumers note need not."""
    carrier.publish(QUEUE, parcels(1))
    db = carrier._files[QUEUE]._db
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    got = carrier.consume(QUEUE, 1, 0.0)
    assert db.execute("PRAGMA synchronous").fetchone() == (1,)
    carrier.acknowledge(got)
    carrier.publish(QUEUE, parcels(1, sender="b"))
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_the_file_does_not_grow_with_what_went_through(folder, carrier):
    for k in range(100):
        carrier.publish(QUEUE, [Parcel(f"p-{k}", os.urandom(CHUNK))])
        carrier.acknowledge(carrier.consume(QUEUE, 1, 5.0))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 64 << 20
