"""The fault laboratory: it can be repeated, its disks and networks fail as real ones do, it notices broken cores."""

import errno
from pathlib import Path

import numpy as np
import pytest

from quorate.engine.exchange import Exchange
from quorate.engine.names import Scope
from quorate.errors import IntegrityError, UserError
from quorate.testing.faults import (
    Cut,
    FullDisk,
    Kill,
    Laboratory,
    Network,
    Plan,
    Reproduction,
    Violation,
    Wipe,
    kills_everywhere,
    random_plan,
    search,
)
from quorate.testing.faults.disk import SimulatedDisk
from quorate.testing.faults.events import Choices, Timeline
from quorate.testing.faults.ledger import Ledger, Sighting
from quorate.testing.faults.network import Broker, Direct, Link
from quorate.testing.faults.plain import PlainCore, PlainRig
from quorate.testing.faults.programs import ProtocolProgram
from quorate.transport.carrier import Parcel

FILE = Path("data/log")


def product(p, at):
    x = yield from p.input(at.child("x"), 0, (3,), np.array([1, 2, 3]) if p.me == 0 else None)
    y = yield from p.input(at.child("y"), 1, (3,), np.array([4, 5, 6]) if p.me == 1 else None)
    z = yield from p.mul(at.child("z"), x, y)
    return (yield from p.reveal(at.child("open"), z, range(p.parties)))


def laboratory(core=PlainCore) -> Laboratory:
    program = ProtocolProgram("rep3", product)
    return Laboratory(PlainRig(program.size, program, core), patience=60.0)


# ---- time and choices


def test_events_happen_in_order_of_time_then_of_planning() -> None:
    timeline, seen = Timeline(), []
    timeline.after(2.0, "late", lambda: seen.append("late"))
    timeline.after(1.0, "first", lambda: timeline.after(0.0, "then", lambda: seen.append("then")))
    timeline.at(1.0, "second", lambda: seen.append("second"))
    timeline.after(1.5, "never", lambda: seen.append("never")).cancel()
    while timeline.step():
        pass
    assert seen == ["second", "then", "late"]
    assert timeline.now == 2.0
    assert timeline.happened == 4


def test_choices_follow_from_seed_and_label() -> None:
    draws = [Choices(3, "a").bytes(8), Choices(3, "a").bytes(8), Choices(3, "b").bytes(8), Choices(4, "a").bytes(8)]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3
    some = Choices(1, "some")
    assert {some.below(3) for _ in range(100)} == {0, 1, 2}
    assert all(1 <= some.between(1, 2) < 2 for _ in range(100))
    assert 0.5 < sum(some.exponential(1.0) for _ in range(1000)) / 1000 < 2


def test_the_same_plan_gives_the_same_run() -> None:
    plan = Plan(
        5,
        Network(jitter=0.1, lost=0.3, duplicated=0.3, slow={1: 5.0}),
        (Kill(0, 17, power=True, kept=3), Cut(0, 2, 0.0, 1.0), Wipe(0.5), FullDisk(2, 9, 30, 3.0)),
    )
    one, two = laboratory().run(plan), laboratory().run(Plan.read(plan.text()))
    assert (one.seconds, one.counts, one.lived, one.kills) == (two.seconds, two.counts, two.lived, two.kills)
    assert one.ledger.digest("message") == two.ledger.digest("message")
    assert one.kills == 1


def test_a_plan_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="no plan"):
        Plan.read('{"faults": [{"type": "plague"}]}')


# ---- disks


def disk_with(data: bytes) -> SimulatedDisk:
    disk = SimulatedDisk(lambda label: None)
    file = disk.create(FILE)
    file.write(0, data)
    file.sync()
    disk.sync_folder(FILE.parent)
    return disk


@pytest.mark.parametrize(("kept", "left"), [(0, b"old"), (1, b"oldn"), (-1, b"oldne"), (99, b"oldnew")])
def test_power_failures_cut_what_was_not_synchronised(kept, left) -> None:
    disk = disk_with(b"old")
    disk.open(FILE).write(3, b"new")
    assert disk.unsynchronised() == [FILE]
    disk.fail(Kill(0, 0))
    assert disk.open(FILE).read(0, 99) == b"oldnew"
    disk.fail(Kill(0, 0, power=True, kept=kept))
    assert disk.open(FILE).read(0, 99) == left
    assert disk.unsynchronised() == []


def test_power_failures_lose_sectors() -> None:
    seen = set()
    for torn in range(1, 60):
        disk = disk_with(b"a" * 700)
        disk.open(FILE).write(700, b"b" * 900)
        disk.fail(Kill(0, 0, power=True, torn=torn))
        content = disk.open(FILE).read(0, 9999)
        assert len(content) == 1600
        assert content[:700] == b"a" * 700
        seen.add(tuple(content[at] for at in (700, 1024, 1599)))
    assert len(seen) == 8


def test_names_are_durable_after_their_folder_was_synchronised() -> None:
    disk = disk_with(b"old")
    file = disk.create(Path("data/new"))
    file.write(0, b"new")
    file.sync()
    disk.rename(Path("data/new"), FILE)
    assert disk.unsynchronised() == [FILE]
    disk.fail(Kill(0, 0, power=True))
    assert disk.open(FILE).read(0, 9) == b"old"


def test_full_disks_take_a_part() -> None:
    disk = disk_with(b"old")
    disk.room = 2
    with pytest.raises(OSError, match="full") as caught:
        disk.open(FILE).write(3, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert disk.open(FILE).read(0, 9) == b"oldne"
    with pytest.raises(OSError, match="full"):
        disk.create(Path("data/other"))


def test_backups_leave_alone_what_they_do_not_cover() -> None:
    disk = disk_with(b"old")
    backup = disk.backup()
    disk.open(FILE).write(0, b"new")
    disk.create(Path("fence/mark")).write(0, b"mark")
    disk.restore(backup, lambda path: path.parent == FILE.parent)
    assert disk.open(FILE).read(0, 9) == b"old"
    assert disk.exists(Path("fence/mark"))
    disk.restore(backup, lambda path: True)
    assert not disk.exists(Path("fence/mark"))


def test_a_flipped_bit_stays() -> None:
    disk = disk_with(bytes(10))
    disk.fail(Kill(0, 0, rot=0.5))
    assert disk.open(FILE).read(0, 99) == bytes(5) + b"\x20" + bytes(4)


# ---- networks


def send(carriage, timeline, count: int = 20) -> list[str]:
    arrived: list[str] = []
    carriage.attach(0, lambda arrival: None, lambda peer: None)
    carriage.attach(1, lambda arrival: arrived.append(arrival.parcel.ident), lambda peer: None)
    for number in range(count):
        carriage.send(Link(0, 1), Parcel(f"p{number}", b"x"), 0.0)
    return arrived


def test_a_broker_delivers_everything_in_some_order_at_least_once() -> None:
    timeline = Timeline()
    broker = Broker(timeline, Network(jitter=0.1, lost=0.3, duplicated=0.3), 1, [])
    arrived = send(broker, timeline)
    assert broker.unconfirmed(0) == 20
    while timeline.step():
        pass
    assert broker.unconfirmed(0) == 0
    assert set(arrived) == {f"p{number}" for number in range(20)}
    assert len(arrived) > 20
    assert arrived != sorted(arrived, key=lambda ident: int(ident[1:]))
    assert broker.counts["delivered again after a loss"]


def test_a_broker_hands_out_again_what_was_not_acknowledged() -> None:
    timeline = Timeline()
    broker = Broker(timeline, Network(), 1, [])
    arrived = send(broker, timeline, 2)
    while timeline.step():
        pass
    broker.acknowledge(1, [1])
    broker.detach(1)
    broker.attach(1, lambda arrival: arrived.append(arrival.parcel.ident), lambda peer: None)
    while timeline.step():
        pass
    assert arrived == ["p0", "p1", "p1"]
    broker.wipe()
    broker.detach(1)
    broker.attach(1, lambda arrival: arrived.append(arrival.parcel.ident), lambda peer: None)
    while timeline.step():
        pass
    assert len(arrived) == 3


def test_what_a_killed_sender_had_not_got_to_the_broker_is_lost() -> None:
    timeline = Timeline()
    broker = Broker(timeline, Network(), 1, [Cut(0, 1, 0.0, 5.0)])
    arrived = send(broker, timeline, 3)
    broker.detach(0)
    while timeline.step():
        pass
    assert arrived == []
    assert broker.counts["lost with its sender"] == 3


@pytest.mark.parametrize("breaks", ["kill", "cut", "wipe"])
def test_connections_lose_what_is_under_way(breaks) -> None:
    timeline = Timeline()
    cuts = [Cut(0, 1, 0.005, 0.02)] if breaks == "cut" else []
    direct = Direct(timeline, Network(jitter=0.0), 1, cuts)
    arrived = send(direct, timeline, 3)
    if breaks == "kill":
        direct.detach(0)
    elif breaks == "wipe":
        direct.wipe()
    while timeline.step():
        pass
    assert arrived == []


def test_connections_keep_the_order() -> None:
    timeline = Timeline()
    direct = Direct(timeline, Network(jitter=1.0), 1, [])
    arrived = send(direct, timeline)
    while timeline.step():
        pass
    assert arrived == [f"p{number}" for number in range(20)]


# ---- the ledger


def test_a_position_has_one_content() -> None:
    ledger = Ledger()
    ledger.note(Sighting("message", (0, 1, 7), b"a"))
    ledger.note(Sighting("message", (0, 1, 7), b"a"))
    ledger.note(Sighting("nonce", (0, 1, 7), b"b"))
    with pytest.raises(Violation, match="message used twice"):
        ledger.note(Sighting("message", (0, 1, 7), b"b"))
    assert (ledger.positions["message"], ledger.repeated["message"]) == (1, 1)


def test_drafts_count_once_committed() -> None:
    ledger = Ledger()
    ledger.draft(0, Sighting("randomness", 1, b"a"))
    ledger.forget(0)
    ledger.draft(0, Sighting("randomness", 1, b"b"))
    ledger.confirm(0)
    ledger.draft(0, Sighting("randomness", 1, b"a"))
    with pytest.raises(Violation, match="randomness used twice"):
        ledger.confirm(0)


# ---- cores that are right, and cores that are not


@pytest.mark.parametrize("network", [Network(), Network("direct")], ids=["broker", "direct"])
def test_a_sound_core_survives_every_kill(network) -> None:
    lab, runs = laboratory(), 0
    for plan in list(kills_everywhere(lab, network))[::5]:
        outcome = lab.run(plan)
        assert outcome.kills == 1
        runs += 1
    assert runs > 50


def test_a_sound_core_survives_random_plans() -> None:
    lab = laboratory()
    lab.patience = 600.0
    lived = lab.undisturbed().lived
    kills = [lab.run(random_plan(seed, lived)).kills for seed in range(60)]
    assert sum(kills) > 60


class ForgetsItsSeed(PlainCore):
    def _open(self, path):
        stored = super()._open(path)
        return [self.place.fresh.bytes(32), *stored[1:]] if stored else stored


class SpeaksEarly(PlainCore):
    def commit(self) -> None:
        if self._records:
            self._write(self._records)
            self._records = []


class NeverRepeats(PlainCore):
    def run(self, now: float) -> None:
        self.wakeup = now + 1.0
        super().run(now)


class DrawsAnew(PlainCore):
    """Only its randomness is fresh, and nothing that it says."""

    def begin(self, now: float) -> None:
        super().begin(now)
        self.place.ledger.draft(self.me, Sighting("randomness", (self.me, "x"), self.place.fresh.bytes(8)))


class ForgetsThatItFailed(PlainCore):
    def _fail(self, problem) -> None:
        self.state, self.failure = "failed", str(problem)


class GetsItWrong(PlainCore):
    def begin(self, now: float) -> None:
        again = self.place.disk.exists(Path("plain/log"))
        super().begin(now)
        self.wrong = again

    def run(self, now: float) -> None:
        super().run(now)
        if self.wrong and self.state == "done":
            self.result = None


@pytest.mark.parametrize(
    ("core", "rule"),
    [
        (ForgetsItsSeed, "randomness used twice"),
        (DrawsAnew, "randomness used twice"),
        (GetsItWrong, "another result"),
    ],
)
def test_broken_cores_are_noticed_when_they_restart(core, rule) -> None:
    with pytest.raises(Violation, match=rule):
        laboratory(core).undisturbed()


def greets(participant, seed, place):
    """Both tell each other what only their seed determines, and nobody writes down what was drawn."""
    at, peer = Scope.root(), 1 - participant
    heard = np.zeros(4, np.uint8)
    for _ in range(3):
        yield Exchange(at.step(), {peer: [np.frombuffer(seed[:4], np.uint8)]}, {peer: [heard]})
    return 1


def test_one_message_with_two_bodies_is_noticed() -> None:
    lab, rules, told = Laboratory(PlainRig(2, greets), 60.0), set(), set()
    lab.undisturbed()
    lab.rig.core = ForgetsItsSeed
    for point in range(30):
        try:
            lab.run(Plan(faults=(Kill(0, point),)))
        except Violation as violation:
            rules.add(violation.rule)
            told.update(note.partition(":")[0] for note in violation.__notes__)
    assert "message used twice" in rules
    assert "plan" in told


def test_speaking_before_the_commit_is_noticed_without_any_kill() -> None:
    with pytest.raises(Violation, match="said too early"):
        laboratory(SpeaksEarly).undisturbed()


def test_a_core_that_never_repeats_is_noticed_and_the_plan_made_smaller() -> None:
    lab = laboratory(NeverRepeats)
    harmless = (Cut(0, 1, 0.0, 0.5), Kill(2, 10_000), FullDisk(1, 10_000, 5, 1.0))
    plan = Plan(1, Network("direct"), (harmless[0], Wipe(0.005), *harmless[1:]))
    with pytest.raises(Violation, match="no progress"):
        lab.run(plan)
    found = search(lab, range(30), most=1)
    assert found
    assert found[0].rule.startswith("no progress")
    assert len(found[0].smallest.faults) <= 1 < len(found[0].plan.faults) + 1
    with pytest.raises(Violation, match="no progress"):
        lab.run(found[0].smallest)


class AcknowledgesLast(PlainCore):
    def outgoing(self):
        return sorted(super().outgoing(), key=lambda pair: pair[1].ident.startswith("ack"))


def test_a_core_without_a_fence_is_rolled_back() -> None:
    lab, rules = laboratory(AcknowledgesLast), set()
    for point in range(10, lab.undisturbed().lived[0]):
        try:
            lab.run(Plan(faults=(Kill(0, point, backup=point - 4),)))
        except Violation as violation:
            rules.add(violation.rule)
    assert "rolled back" in rules
    lab.run(Plan(faults=(Kill(0, 5, backup=4),)))  # nobody had heard anything yet


def failing(participant, seed, place):
    """Participant 1 finds fault with what it hears; its verdict is final."""
    at = Scope.root()
    heard = np.zeros(4, np.uint8)
    peer = 1 - participant
    yield Exchange(at.step(), {peer: [np.ones(4, np.uint8)]}, {peer: [heard]})
    if participant == 1 and not place.disk.exists(Path("forgiven")):
        place.disk.create(Path("forgiven")).sync()
        place.disk.sync_folder(Path())
        raise IntegrityError("peer 0 cheats")
    return 1


def test_a_session_that_comes_back_is_noticed() -> None:
    with pytest.raises(Violation, match="came back"):
        Laboratory(PlainRig(2, failing, ForgetsThatItFailed)).run(Plan())
    with pytest.raises(Violation, match="fails undisturbed"):
        Laboratory(PlainRig(2, failing)).run(Plan())


def test_reproductions_are_files(tmp_path: Path) -> None:
    kept = Reproduction("plain", "a test", Plan(3, Network("direct"), (Kill(0, 5, power=True, torn=2),)))
    kept.save(tmp_path / "one.json")
    assert Reproduction.load(tmp_path / "one.json") == kept
