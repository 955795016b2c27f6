"""The durable core with journal and fence in the fault laboratory: kills at every point, torn writes, random plans."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import quorate
from quorate.crypto.hashing import digest_parts
from quorate.durable.keys import Hello
from quorate.durable.parcel import DATA, pack, unpack
from quorate.durable.peer import sealed_digest
from quorate.lang.snapshot import Snapshot
from quorate.sharing.dtype import INT
from quorate.testing.faults import (
    Kill,
    Laboratory,
    Network,
    Plan,
    Reproduction,
    kills_everywhere,
    random_plan,
    tears_everywhere,
)
from quorate.testing.faults.durable import DurableCore, DurableRig
from quorate.testing.faults.programs import Given, PlanProgram, ProtocolProgram
from quorate.transport.carrier import Parcel

REPRODUCTIONS = sorted((Path(__file__).parent / "reproductions").glob("*.json"))
NETWORKS = {"broker": Network(), "direct": Network("direct")}


def product(p, at):
    x = yield from p.input(at.child("x"), 0, (3,), np.array([1, 2, 3]) if p.me == 0 else None)
    y = yield from p.input(at.child("y"), 1, (3,), np.array([4, 5, 6]) if p.me == 1 else None)
    z = yield from p.mul(at.child("z"), x, y)
    return (yield from p.reveal(at.child("open"), z, range(p.parties)))


def laboratory(rig: str) -> Laboratory:
    """The rigs that reproductions name: a protocol, and "anew" where every process has another seed at hand."""
    protocol, _, how = rig.partition(" ")
    return Laboratory(DurableRig(ProtocolProgram(protocol, product), fixed_seeds=how != "anew"))


@pytest.mark.parametrize("path", REPRODUCTIONS, ids=lambda path: path.stem)
def test_what_was_found_once_does_not_happen_again(path: Path) -> None:
    kept = Reproduction.load(path)
    laboratory(kept.rig).run(kept.plan)


def test_results_and_messages_are_those_of_the_undisturbed_run() -> None:
    lab = laboratory("rep3")
    outcome = lab.undisturbed()
    assert outcome.states == ["closed"] * 3
    assert all(np.array_equal(result, [4, 10, 18]) for result, _ in outcome.results)
    again = lab.run(Plan(9, Network(jitter=0.2), (Kill(1, 60, power=True), Kill(1, 70), Kill(0, 80, down=9.0))))
    assert again.kills == 3
    assert again.ledger.digest("name") != ""
    assert [transcript for _, transcript in again.results] == [transcript for _, transcript in outcome.results]


@pytest.mark.parametrize("network", NETWORKS)
def test_kills_at_some_points(network) -> None:
    lab = laboratory("rep3 anew")
    kills = [lab.run(plan).kills for plan in list(kills_everywhere(lab, NETWORKS[network]))[3::37]]
    assert len(kills) > 15
    assert set(kills) == {1}


def test_torn_writes_at_some_points() -> None:
    lab = laboratory("rep3 anew")
    assert sum(lab.run(plan).kills for plan in list(tears_everywhere(lab))[5::23]) > 12


def test_random_plans() -> None:
    lab = laboratory("rep3")
    lived = lab.undisturbed().lived
    assert sum(lab.run(random_plan(seed, lived)).kills for seed in range(12)) > 12


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("rig", ["rep3", "semi2k anew"])
def test_kills_at_every_point(rig, network) -> None:
    lab, runs = laboratory(rig), 0
    for plan in kills_everywhere(lab, NETWORKS[network]):
        assert lab.run(plan).kills == 1
        runs += 1
    assert runs > 500


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_torn_writes_at_every_point() -> None:
    lab = laboratory("rep3 anew")
    assert sum(lab.run(plan).kills for plan in tears_everywhere(lab)) > 300


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_random_plans() -> None:
    lab = laboratory("shamir")
    lived = lab.undisturbed().lived
    kills = 0
    for seed in range(1000, 2000):
        kills += lab.run(random_plan(seed, lived, hostile=True)).kills
    assert kills > 1500


# ---- participants that lie, and who carries the messages


class TellsTwoThings(DurableCore):
    """Says a second thing at the place of its first message to participant 1, signed as it should be."""

    lied = False

    def outgoing(self):
        for receiver, parcel in list(super().outgoing()):
            yield receiver, parcel
            header = unpack(parcel.body)
            if header.kind == DATA and receiver == 1 and not self.lied:
                self.lied = True
                yield receiver, self.another(receiver, header)

    def another(self, receiver, header):
        peer, body = self._state.peers[receiver], bytes(header.size)
        place = header.seq.to_bytes(8, "big") + header.piece.to_bytes(4, "big")
        sealed = peer.channel.seal(place, hashlib.sha256(body).digest(), pack(header), body)
        signature = self._state.keys.sign(pack(header), sealed_digest([hashlib.sha256(sealed).digest()]))
        return Parcel("another", pack(header) + sealed + signature)


@pytest.mark.parametrize("network", NETWORKS)
def test_who_tells_two_things_is_convicted(network) -> None:
    lab = laboratory("rep3")
    lab.undisturbed()
    rig, evidence = lab.rig, []
    rig.corrupt = frozenset({0})

    class Honest(DurableCore):
        def fail(self, problem):
            evidence.extend(self.evidence)
            super().fail(problem)

    rig.core = lambda seat, *rest, **facts: (TellsTwoThings if seat.me == 0 else Honest)(seat, *rest, **facts)
    outcome = lab.run(Plan(network=NETWORKS[network]))
    assert outcome.states[1] == "failed"
    assert "sent two different messages at one place" in outcome.failures[1]
    assert outcome.states[2] == "failed"
    assert outcome.states[0] == "failed"
    convicts(rig.certificates[0], evidence[0])


def convicts(certificate, evidence) -> None:
    """Whoever has the certificate can check it, and needs nobody's word."""
    hello = msgspec.msgpack.decode(evidence.hello, type=Hello)
    certificate.public_key().verify(hello.signature, hello.statement(), ec.ECDSA(hashes.SHA256()))
    for said in (evidence.first, evidence.second):
        signed = digest_parts([said.header, said.digest], "quorate/message/1")
        Ed25519PublicKey.from_public_bytes(hello.signing).verify(said.signature, signed)
    first, second = unpack(evidence.first.header), unpack(evidence.second.header)
    assert (first.sender, first.receiver, first.seq) == (second.sender, second.receiver, second.seq) == (0, 1, 1)
    assert evidence.first.digest != evidence.second.digest


def test_who_carries_messages_can_forge_none() -> None:
    lab = laboratory("rep3")
    quiet = lab.undisturbed()
    for seed in range(6):
        outcome = lab.run(Plan(seed, Network(forged=0.5, jitter=0.05)))
        assert outcome.counts["forged"] > 5
        assert [one for _, one in outcome.results] == [one for _, one in quiet.results]


# ---- plans in stages, saved at the end of each


def decide(i, j):
    product = i * j
    for _ in range(3):
        product = quorate.where(product > 20, product - 17, product * 2)
    return {"product": product, "first": i * i, "flag": product > 5}


def staged(protocol: str) -> Laboratory:
    """Journals are thinned out after every level of the plan."""
    first = Given(0, INT, np.array([1, -4, 7, 9]), (-50, 50))
    second = Given(1, INT, np.array([3, 8, -2, 5]), (-50, 50))
    return Laboratory(DurableRig(PlanProgram(protocol, decide, {"i": first, "j": second})))


@pytest.mark.parametrize("protocol", ["rep3", pytest.param("semi2k", marks=pytest.mark.slow)])
def test_plans_go_on_where_they_were_saved(protocol, monkeypatch) -> None:
    lab, restored = staged(protocol), []
    quiet = lab.undisturbed()
    assert quiet.results[0][0]["first"] == [1, 16, 49, 81]
    decode = Snapshot.decode.__func__
    monkeypatch.setattr(Snapshot, "decode", classmethod(lambda cls, *data: restored.append(1) or decode(cls, *data)))
    for number, plan in enumerate(kills_everywhere(lab, NETWORKS["direct"])):
        if number % 131 == 77:
            assert lab.run(plan).kills == 1
    assert restored


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("network", NETWORKS)
def test_plans_are_killed_at_every_point(network) -> None:
    lab = staged("rep3")
    kills = sum(lab.run(plan).kills for plan in kills_everywhere(lab, NETWORKS[network]))
    assert kills > 2000


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_plans_under_random_plans_of_faults() -> None:
    lab = staged("rep3")
    lived = lab.undisturbed().lived
    assert sum(lab.run(random_plan(seed, lived, hostile=True)).kills for seed in range(300)) > 500
