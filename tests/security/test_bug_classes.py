"""Mistakes that implementations of such protocols made before, one test for each: none may be possible here.

The list is that of known failures: commitments not bound to who opens them, coins used for two checks, predictable
challenges, values opened before their check, checks that run beside each other, tuples used twice (also after a
restored backup), retries after a failed check, and different messages to different parties taken for a broadcast.
Commitments, coins and comparisons among parties are tested with the engine, stocks with the node.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quorate.circuits.tiles import tiled
from quorate.engine.exchange import parallel
from quorate.errors import IntegrityError, InternalError, QuorateError
from quorate.lang.computation import computation
from quorate.lang.execute import execute
from quorate.preprocessing.stock import Stock
from quorate.protocols import registry
from quorate.protocols.deferred import Deferred
from quorate.sharing.dtype import INT
from quorate.testing.world import World

SOURCES = Path(__file__).parents[2] / "src/quorate"
MALICIOUS = [name for name in registry.PROTOCOLS if registry.protocol_class(name).adversary == "malicious"]


def worlds(name, seed):
    return World(name, seed=seed)


def shared(p, at, count=4):
    """Two shared vectors."""
    values = np.arange(count)
    x = yield from p.input(at.child("x"), 0, (count,), values if p.me == 0 else None)
    y = yield from p.input(at.child("y"), 1, (count,), values + 1 if p.me == 1 else None)
    return x, y


def test_all_malicious_protocols_are_here():
    assert {"rep3_malicious", "shamir_malicious", "spdz", "spdz2k"} <= set(MALICIOUS)


@pytest.mark.parametrize("name", MALICIOUS)
def test_nothing_is_opened_before_its_check(name):
    """A product that a party spoiled never gets past the check, although the program is in a hurry to open it."""
    passed, scopes = [], []

    def program(p, at):
        x, y = yield from shared(p, at)
        scopes.append(at)
        z = yield from p.mul(at.child("product"), x, y)
        yield from p.checked()
        passed.append(p.me)
        return (yield from p.reveal(at.child("open"), z, range(p.parties)))

    done = []

    def spoil(sender, receiver, name_, body):
        """The first message of participant 0 within the product, one unit off."""
        within = any("/product" in scope.describe(name_) for scope in scopes)
        if not within or sender != 0 or (done and done[0] != name_):
            return body
        done.append(name_)
        altered = bytearray(body)
        altered[0] ^= 1
        return bytes(altered)

    world = worlds(name, seed=11)
    honest = world.play(program)
    assert not any(isinstance(end, QuorateError) for end in honest)
    passed.clear()
    scopes.clear()
    ends = world.play(program, spoil)
    assert done, "nothing was spoiled"
    assert not [party for party in passed if 0 < party < world.parties], "a party opened what was spoiled"
    assert any(isinstance(end, IntegrityError) for end in ends[1 : world.parties])
    assert all(isinstance(end, QuorateError) for end in ends[1 : world.parties])


@pytest.mark.parametrize("name", MALICIOUS)
def test_checks_do_not_run_beside_each_other(name, monkeypatch):
    """Openings in lockstep and in tiles side by side: one check at a time, whoever asks."""
    running, most = [0], [0]
    check = Deferred._run

    def counted(self):
        running[0] += 1
        most[0] = max(most[0], running[0])
        yield from check(self)
        running[0] -= 1

    monkeypatch.setattr(Deferred, "_run", counted)

    def one(p, at, x, y):
        z = yield from p.mul(at.child("product"), x, y)
        return (yield from p.reveal(at.child("open"), z, range(p.parties)))

    def program(p, at):
        x, y = yield from shared(p, at)
        opened = yield from parallel([one(p, at.child(f"{k}"), x, y) for k in range(3)])
        return [*opened, *(yield from parallel([_tile(p, at.child(f"tile {k}"), x, y) for k in range(2)]))]

    def _tile(p, at, x, y):
        product = yield from tiled(p, at.child("tiled"), lambda q, here, a, b: q.mul(here, a, b), x, y)
        return (yield from p.reveal(at.child("open"), product, range(p.parties)))

    world = worlds(name, seed=12)
    # All participants of a simulation run in turn in one thread; each of them has one check at most.
    ends = world.play(program)
    for end in ends[: world.parties]:
        for values in end:
            np.testing.assert_array_equal(values, np.arange(4) * np.arange(1, 5))
    assert running == [0]
    assert most[0] <= world.size


@pytest.mark.parametrize("name", MALICIOUS)
def test_after_a_failed_check_the_session_is_over(name):
    """An error of a check goes up through every step: a program cannot even try again within the session."""

    def program(p, at):
        x, y = yield from shared(p, at)
        z = yield from p.mul(at.child("product"), x, y)
        yield from p.reveal(at.child("open"), z, range(p.parties))
        return (yield from p.reveal(at.child("again"), z, range(p.parties)))

    place = [0]

    def spoil(sender, receiver, name_, body):
        place[0] += sender == 0
        return bytes([body[0] ^ 1]) + body[1:] if sender == 0 and place[0] > 3 else body

    ends = worlds(name, seed=13).play(program, spoil)
    assert all(isinstance(end, QuorateError) for end in ends[1:2])


@pytest.mark.parametrize("name", ["rep3_malicious", "shamir_malicious"])
def test_what_is_kept_is_checked_although_nobody_sees_it(name):
    """A session that opens nothing ends with a check, or a later session would open what a party spoiled."""
    plan = computation(lambda a: {"n": a * a}).trace({"a": INT}, {"a": 4}).bind({"a": 4})

    def program(p, at):
        mine = {("a", "value"): np.arange(1, 5)} if p.me == 0 else {}
        results = yield from execute(
            plan, p, at, inputs=mine, owners={"a": 0}, outputs={"n": "keep"}, bounds={("a", "value"): (0, 9)}
        )
        return results.kept["n"]

    sent = []

    def listen(sender, receiver, name_, body):
        sent.append((sender, name_, len(body)))
        return body

    world = World(name, seed=3)
    assert not any(isinstance(end, QuorateError) for end in world.play(program, listen))
    sizes = {name_: size for sender, name_, size in sent if sender == 2}
    chosen = [name_ for name_ in sizes if sizes[name_] == 32]  # four numbers, or a digest
    caught = 0
    for target in chosen:

        def spoil(sender, receiver, name_, body, target=target):
            if sender != 2 or name_ != target:
                return body
            return (np.frombuffer(body, np.uint64) + np.uint64(1000)).tobytes()

        ends = world.play(program, spoil)
        caught += any(isinstance(end, IntegrityError) for end in ends[:2])
        assert all(isinstance(end, QuorateError) for end in ends[:2]), "spoiled shares were kept"
    assert caught


def test_a_tuple_is_handed_out_once():
    stock = Stock()
    stock.put("products", (np.arange(5), np.arange(5)))
    first, second = stock.take("products", 2), stock.take("products", 3)
    assert not set(first[0]) & set(second[0])
    with pytest.raises(InternalError):
        stock.take("products", 1)


def test_randomness_comes_from_one_place():
    """Only `quorate.crypto.entropy` asks the operating system, so every challenge and key passes its health tests."""
    asking = [
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if any(word in path.read_text() for word in ("os.urandom", "os.getrandom", "secrets.token", "SystemRandom"))
    ]
    assert asking == ["crypto/entropy.py"]
