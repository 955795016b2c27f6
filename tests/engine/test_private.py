"""What a participant draws for itself: named, from one seed, and never twice."""

import pickle

import numpy as np
import pytest

from quorate.crypto.entropy import SystemEntropy
from quorate.engine.names import Scope
from quorate.engine.private import SEED_BYTES, Private
from quorate.engine.session import Session
from quorate.errors import InternalError

SEED = bytes(range(SEED_BYTES))
WHO = ("a", "b", "c")


def drawn(session, root, *paths):
    return {path: session.private(root.child(path), "x").bytes(16) for path in paths}


def test_draws_do_not_depend_on_their_order():
    one, other = (Session(0, 3, WHO, seed=SEED) for _ in range(2))
    first, second = drawn(one, Scope.root(), "p", "q", "r"), drawn(other, Scope.root(), "r", "p", "q")
    assert first == second
    assert len(set(first.values())) == 3


def test_purposes_sessions_and_seeds_differ():
    def draws(seed=SEED, ident=b"one", label="x"):
        place = Session(0, 3, WHO, ident=ident, seed=seed).private(Scope.root(), label)
        return [place.bytes(32), place.bytes(32)]

    everything = [*draws(), *draws(seed=bytes(SEED_BYTES)), *draws(ident=b"two"), *draws(label="y")]
    assert len(set(everything)) == 8
    assert draws() == draws()


def test_a_fresh_seed_is_drawn_where_none_is_given():
    one, other = Session(0, 3, WHO), Session(0, 3, WHO)
    assert len(one.seed) == SEED_BYTES
    assert one.seed != other.seed


def test_names_of_messages_are_not_shifted():
    with_draw, without = Scope.root(), Scope.root()
    Session(0, 3, WHO, seed=SEED).private(with_draw, "salt").bytes(8)
    assert with_draw.step() == without.step()


def test_nothing_is_drawn_twice():
    """Two scopes of one path cannot exist below one root; below two, the second draw is refused."""
    session = Session(0, 3, WHO, seed=SEED)
    session.private(Scope.root(), "x").bytes(8)
    with pytest.raises(InternalError, match="used twice"):
        session.private(Scope.root(), "x").bytes(8)


def test_arrays():
    session = Session(0, 3, WHO, seed=SEED)
    numbers = session.private(Scope.root(), "x").array(4, np.uint64)
    assert numbers.dtype == np.uint64
    assert numbers.all()
    other = np.zeros((2, 2), np.uint64)
    Session(0, 3, WHO, seed=SEED).private(Scope.root(), "x").fill(other)
    assert np.array_equal(other.reshape(-1), numbers)


def test_counting_draws_zeros_and_has_no_seed(monkeypatch):
    monkeypatch.setattr(SystemEntropy, "bytes", None)
    session = Session(0, 3, WHO, counting=True, seed=SEED)
    assert session.seed == b""
    assert session.private(Scope.root(), "x").bytes(3) == bytes(3)


def test_erased_is_erased():
    session = Session(0, 3, WHO, seed=SEED)
    place = Scope.root()
    session.erase()
    assert session.seed == b""
    with pytest.raises(InternalError, match="erased"):
        session.private(place, "x")


def test_the_seed_does_not_show():
    session = Session(0, 3, WHO, seed=SEED)
    assert SEED.hex() not in repr(session)
    assert repr(SEED) not in repr(session)
    with pytest.raises(InternalError, match="not to be stored"):
        pickle.dumps(session._private)


@pytest.mark.parametrize("size", [1, 16, 31, 33])
def test_seeds_of_other_lengths_are_refused(size):
    with pytest.raises(InternalError, match="32 bytes"):
        Private(bytes(size), b"")
