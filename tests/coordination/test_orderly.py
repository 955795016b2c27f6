"""Why any end but success destroys keys: who hangs up in the middle of a check knows an honest party's MAC key."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.coordination.production import Production, production_program
from quorate.coordination.stock import orderly
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.engine.simulate import play, simulate
from quorate.errors import IntegrityError, PeerTimeout
from quorate.node.tuples import Group, Shelf
from quorate.protocols.registry import make

PARTIES = ("a", "b")
P = (1 << 61) - 1


@pytest.fixture
def stores(tmp_path):
    """Tuples under the MAC keys of one generation, leased to the test."""
    group = Group(parties=PARTIES, protocol="spdz", threshold=1, security=40)
    made = [Shelf(tmp_path / name, name, group, tmp_path / "fence") for name in PARTIES]
    jobs = [
        Production("first", PARTIES, "spdz", 1, 40, [("products", 4)], me, store)
        for me, store in enumerate(made)
        if store.lease()
    ]
    with orderly(made[0]), orderly(made[1]):
        simulate([production_program(job, job.engine_session(), Scope.root()) for job in jobs])
    return made


def opening(me, store, root, sums):
    """A session that opens 77 + 5 under the keys of the stock."""
    session = Session(me, 2, PARTIES, ident=b"second")
    session.stock_keys = store.secrets(store.ledger().generation, "second")
    p = make("spdz", session)
    yield from p.setup(root.child("setup"))
    x = yield from p.input(root.child("x"), 0, (1,), np.array([77]) if me == 0 else None)
    y = yield from p.input(root.child("y"), 1, (1,), np.array([5]) if me == 1 else None)
    sums[me] = p.add(x, y)
    return (yield from p.reveal(root.child("open"), sums[me], [0, 1]))


class Cheat:
    """Party 1 adds 1 to what it opens, listens to party 0's part of the check, and then is gone (`leaves`) or not."""

    def __init__(self, roots, leaves):
        self.roots, self.leaves = roots, leaves
        self.opened, self.heard = False, []

    def __call__(self, sender, peer, name, body):
        step = self.roots[sender].describe(name)
        if sender == 1 and step.startswith("session/open/"):
            self.opened = True
            return ((np.frombuffer(body, np.uint64) + np.uint64(1)) % np.uint64(P)).tobytes()
        if self.opened and step.endswith("numbers/tags, step 2"):
            if sender == 0:
                self.heard = np.frombuffer(body[:16], np.uint64).tolist()
            elif self.leaves:
                return None
        return body


def attacked(stores, leaves):
    """What ends party 0's session, and its part of the MAC key as party 1 can work it out."""
    roots, sums = [Scope.root(), Scope.root()], {}
    cheat = Cheat(roots, leaves)
    end = play([opening(me, store, roots[me], sums) for me, store in enumerate(stores)], cheat)[0]
    rest, value = cheat.heard
    alpha, tag, opened = int(stores[1].secrets(stores[1].ledger().generation, "")[0][0]), int(sums[1].parts[1][0]), 82
    weight = value * pow(opened + 1, -1, P)
    return end, (weight * (alpha * opened - tag) - rest) * pow(weight, -1, P) % P


@pytest.mark.parametrize(("leaves", "noticed"), [(True, PeerTimeout), (False, IntegrityError)])
def test_who_hangs_up_in_the_middle_of_a_check_knows_a_key_that_is_not_used_again(stores, leaves, noticed):
    generation = stores[0].ledger().generation
    secret = int(stores[0].secrets(generation, "")[0][0])
    end, found = attacked(stores, leaves)
    assert found == secret
    with pytest.raises(noticed), orderly(stores[0]):
        raise end
    assert stores[0].ledger().generation == ""
    assert not [*stores[0].folder.glob("*.sealed"), *stores[0].folder.glob("*.chunk")]
