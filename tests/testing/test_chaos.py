"""The harness that kills real processes: its ledger, its judgement, its processes; slow: real nodes of the example."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from quorate.durable.keys import Channel
from quorate.durable.parcel import DATA, STATUS, Header, pack
from quorate.errors import EnvironmentFault, UserError
from quorate.testing.chaos.brokers import SERVERS, delivery_of, missing
from quorate.testing.chaos.crew import Crew, Hand, surroundings
from quorate.testing.chaos.havoc import Blow, Havoc
from quorate.testing.chaos.play import Chaos
from quorate.testing.chaos.report import Remains, judge
from quorate.testing.chaos.site import SPEC, Site, make_keys, read_job
from quorate.testing.chaos.tap import Findings, examine, install
from quorate.testing.faults import Kill, Laboratory, Plan
from quorate.testing.faults.durable import DurableRig
from quorate.testing.faults.events import Choices
from quorate.testing.faults.programs import ProtocolProgram

KEY = b"k" * 32
SLEEPS = [sys.executable, "-c", "import os, time; os.fork(); time.sleep(60)"]


# ---- the ledger


class Sealing:
    """Seals as it is told, under any nonce: what a channel must not do."""

    def seal(self, nonce: bytes, header: bytes, body: bytes) -> bytes:
        return nonce + hashlib.sha256(nonce + body).digest()

    seal_control = seal


@pytest.fixture
def sealing(tmp_path, monkeypatch):
    """(seal, findings): what is sealed goes to a ledger."""
    for name in ("seal", "seal_control"):
        monkeypatch.setattr(Channel, name, Sealing.seal)
    install(tmp_path / "a.tap", KEY)
    seal = Channel.seal
    return (lambda *facts: seal(None, *facts)), (lambda: examine([tmp_path / "a.tap", tmp_path / "none.tap"]))


def header(seq: int = 1, name=(5, 1), kind: int = DATA) -> bytes:
    return pack(Header(kind, 0, 1, bytes(16), seq, name, size=3))


def test_what_is_sealed_again_is_a_repetition(sealing) -> None:
    seal, findings = sealing
    seal(b"n" * 12, header(), b"one")
    seal(b"n" * 12, header(), b"one")
    seal(b"m" * 12, header(2, (5, 2)), b"two")
    found = findings()
    assert (found.sealed, found.repeated, found.positions, found.twice) == (3, 1, 2, ())


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ((b"n" * 12, header(), b"one"), (b"n" * 12, header(2, (5, 2)), b"two"), "nonce"),
        ((b"n" * 12, header(), b"one"), (b"m" * 12, header(), b"two"), "message"),
        ((b"n" * 12, header(), b"one"), (b"m" * 12, header(2), b"one"), "place"),
        ((b"n" * 12, header(kind=STATUS), b"one"), (b"n" * 12, header(2, kind=STATUS), b"two"), "nonce"),
    ],
)
def test_what_is_used_twice_is_found(sealing, first, second, what) -> None:
    seal, findings = sealing
    seal(*first)
    assert findings().twice == ()
    seal(*second)
    assert {text.split()[0] for text in findings().twice} == {what}


def test_ledgers_can_be_compared_and_end_anywhere(sealing, tmp_path) -> None:
    seal, findings = sealing
    seal(b"n" * 12, header(), b"one")
    before = findings()
    with open(tmp_path / "a.tap", "ab") as file:
        file.write(b'["cut o')
    assert findings() == before
    install(tmp_path / "a.tap", KEY)
    (tmp_path / "b.tap").write_bytes((tmp_path / "a.tap").read_bytes())
    assert examine([tmp_path / "b.tap"]).content == before.content
    seal(b"m" * 12, header(2, (5, 2)), b"two")
    assert findings().content != before.content


def test_real_channels_seal_one_content_under_one_nonce(tmp_path, monkeypatch) -> None:
    for name in ("seal", "seal_control"):
        monkeypatch.setattr(Channel, name, getattr(Channel, name))
    install(tmp_path / "a.tap", KEY)
    core = Laboratory(DurableRig(ProtocolProgram("rep3", opened)))
    core.run(Plan(faults=(Kill(0, 70), Kill(1, 80, power=True))))
    found = examine([tmp_path / "a.tap"])
    assert found.repeated > 0
    assert found.sealed > 40


def opened(p, at):
    x = yield from p.input(at.child("x"), 0, (3,), np.array([1, 2, 3]) if p.me == 0 else None)
    return (yield from p.reveal(at.child("open"), x, range(p.parties)))


# ---- the judgement


def sealed(**facts) -> Findings:
    return Findings(**{"sealed": 5, "repeated": 0, "positions": 5, "twice": (), "content": "c", **facts})


def remains(**facts) -> Remains:
    usual = {"seconds": 1.0, "failure": None, "results": {"a": 1}, "transcripts": {"a": "t", "b": "u"}}
    return Remains(**{**usual, "incarnations": {"a": 1}, "sealed": sealed(), "audits": True, **facts})


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"results": {"a": 2}}, "another result at a"),
        ({"results": {}}, "another result at a"),
        ({"transcripts": {"a": "t", "b": "x"}}, "another transcript at b"),
        ({"failure": "PeerError: gone"}, "the session failed: PeerError: gone"),
        ({"audits": False}, "the chain of an audit is broken"),
        ({"sealed": sealed(content="d")}, "other messages were encrypted"),
        ({"sealed": sealed(twice=("x 1",))}, "used twice: x 1"),
    ],
)
def test_every_difference_is_a_problem(facts, problem) -> None:
    assert judge(remains(), remains(), lasting=True) == []
    assert judge(remains(), remains(**facts), lasting=True) == [problem]


def test_sessions_without_journals_may_fail() -> None:
    assert judge(remains(), remains(failure="PeerError: gone", results={}, transcripts={}), lasting=False) == []


# ---- processes and kills


def hand(folder: Path, name: str = "a", command=None, serves: bool = True) -> Hand:
    return Hand(name, command or SLEEPS, surroundings(folder), folder / f"{name}.log", serves)


def until(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_kill_takes_the_whole_family(tmp_path) -> None:
    with Crew([hand(tmp_path)]) as crew:
        one = crew.hands[0]
        one.start()
        until(one.workers)
        worker = one.workers()[0]
        one.kill_worker(worker)
        until(lambda: worker not in one.workers())
        assert one.alive
        one.kill()
        assert not one.alive
        one.start()
        until(one.workers)
        family = [one.process.pid, *one.workers()]
    for pid in family:
        until(lambda pid=pid: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


def test_an_end_that_nobody_asked_for_is_noticed(tmp_path) -> None:
    fails = [sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"]
    for serves in (True, False):
        one = hand(tmp_path, "fails", fails, serves)
        one.start()
        one.process.wait()
        with pytest.raises(EnvironmentFault, match="exit code 3: no such thing"):
            one.check()
    done = hand(tmp_path, "done", [sys.executable, "-c", "pass"], serves=False)
    done.start()
    done.process.wait()
    done.check()
    assert done.over


def test_kills_follow_from_the_seed(tmp_path) -> None:
    class Fake(Hand):
        alive = True

        def start(self) -> None:
            self.starts.append(time.time())

        def kill(self) -> None:
            pass

        def workers(self) -> list[int]:
            return []

    def victims(seed: int) -> list[str]:
        hands = [Fake(name, [], {}, tmp_path / name, True) for name in "abc"]
        havoc = Havoc(hands, Choices(seed, "kills"), mean=1e-9, most=4)
        until(lambda: havoc.turn() or len(havoc.blows) == 4)
        havoc.turn()
        assert len(havoc.blows) == 4
        havoc.restore()
        assert sum(len(one.starts) for one in hands) == 4
        return [blow.member for blow in havoc.blows]

    assert victims(1)[:2] == victims(1)[:2]
    assert len({tuple(victims(seed)[:3]) for seed in range(6)}) > 1


def test_recovery_is_counted_from_the_last_restart(tmp_path) -> None:
    havoc = Havoc([], Choices(1, "x"), mean=1.0, most=3)
    for member, moment in (("a", 10.0), ("b", 10.5), ("a", 11.0)):
        havoc.blows.append(Blow(member=member, what="all", after=1.0, down=0.0))
        havoc.restarts.append((len(havoc.blows) - 1, moment))
    found = havoc.recovered(lambda member, moment: {"a": 12.5, "b": None}[member])
    assert [one.recovered for one in found] == [None, None, 1.5]


# ---- the job


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    """The example of the hospitals, copied out."""
    folder = tmp_path_factory.mktemp("chaos") / "example"
    command = [sys.executable, "-m", "quorate", "demo", "--copy", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return folder


def test_jobs_are_laid_out_anew(example, tmp_path) -> None:
    job = read_job(example / "protocol_spec.yaml", None, {})
    assert job.hosts == ("alder", "birch", "cedar")
    assert job.owners == ("st-mary", "st-luke", "st-anna")
    assert job.coordinator == "institute"
    assert job.data_of("st-luke") == {"st_luke": str(example / "st_luke.csv")}
    make_keys(tmp_path / "pki", job.members)
    ports = dict.fromkeys(job.members, 0) | {name: 20_000 + k for k, name in enumerate(job.members)}
    site = Site.lay(tmp_path / "run", job, "direct", tmp_path / "pki", None, ports)
    again = read_job(site.folder / SPEC, None, dict(job.data))
    assert again.spec.delivery == "durable"
    assert [member.address for member in again.federation.members][:3] == [f"127.0.0.1:{20_000 + k}" for k in range(3)]
    assert again.federation.member("alder").fingerprint


def test_jobs_that_cannot_be_run_are_refused(example, tmp_path) -> None:
    with pytest.raises(UserError, match="no input"):
        read_job(example / "protocol_spec.yaml", None, {"st_peter": "x.csv"})
    with pytest.raises(UserError, match="there is no file"):
        read_job(example / "protocol_spec.yaml", None, {"st_mary": str(tmp_path / "none.csv")})
    with pytest.raises(UserError, match="no transport"):
        delivery_of("pigeon")
    job = read_job(example / "protocol_spec.yaml", None, {})
    with pytest.raises(UserError, match="--pki"):
        Chaos(job, tmp_path, "amqp", 1, broker="amqps://localhost:5671")


# ---- real nodes


def chaos(example: Path, folder: Path, transport: str, seed: int) -> Chaos:
    (folder / "chaos").mkdir()
    return Chaos(read_job(example / "protocol_spec.yaml", None, {}), folder / "chaos", transport, seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("transport", "kills"), [("direct", 20), ("embedded", 20), *((name, 10) for name in SERVERS)])
def test_nothing_differs_when_nodes_are_killed(example, tmp_path, transport, kills) -> None:
    if reason := missing(transport):
        pytest.skip(reason)
    found = chaos(example, tmp_path, transport, 1).run(kills)
    assert [one.problems for one in found.rounds] == [[]] * len(found.rounds)
    assert found.ok
    assert found.kills == kills
    assert found.undisturbed.results["institute"]["patients"] == 30_000
    assert len(found.undisturbed.transcripts) == 7
    assert max(max(one.remains.incarnations.values()) for one in found.rounds) > 1
    assert 0 < found.recovery["fastest"] <= found.recovery["slowest"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sessions_without_journals_say_that_they_failed(example, tmp_path) -> None:
    found = chaos(example, tmp_path, "live", 2).run(2)
    assert found.ok
    assert any(one.remains.failure is not None for one in found.rounds if one.kills)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_difference_is_told(example, tmp_path, monkeypatch) -> None:
    """Other randomness in the disturbed run: the same result of another computation."""
    disturbed = chaos(example, tmp_path, "direct", 3)
    play = disturbed._play

    def another(blows):
        disturbed.seed += blows is not None
        return play(blows)

    monkeypatch.setattr(disturbed, "_play", another)
    found = disturbed.run(1)
    assert not found.ok
    assert "other messages were encrypted" in found.rounds[0].problems
    assert any("another transcript" in problem for problem in found.rounds[0].problems)
