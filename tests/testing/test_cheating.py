"""The harness of cheating parties: it finds that a semi-honest protocol believes them."""

import numpy as np
import pytest

from quorate.errors import IntegrityError, PeerError
from quorate.testing.cheating import Cheating
from quorate.testing.world import World


def product(p, at):
    x = yield from p.input(at.child("x"), 0, (3,), np.array([1, 2, 3]) if p.me == 0 else None)
    y = yield from p.input(at.child("y"), 1, (3,), np.array([4, 5, 6]) if p.me == 1 else None)
    z = yield from p.mul(at.child("z"), x, y)
    return (yield from p.reveal(at.child("open"), z, range(p.parties)))


def test_a_semi_honest_protocol_believes_cheaters() -> None:
    runs = Cheating(World("rep3", seed=3), product)
    wrong = 0
    for attempt in runs.attempts():
        try:
            runs.check(attempt)
        except AssertionError as error:
            wrong += "accepted a wrong result" in str(error)
    assert wrong > 40


def test_short_and_missing_messages_end_a_run() -> None:
    runs = Cheating(World("rep3", seed=3), product)
    for attempt in runs.attempts():
        if attempt.how in ("drop", "shorten"):
            ends = runs.check(attempt)
            assert any(isinstance(end, PeerError) and not isinstance(end, IntegrityError) for end in ends)
    assert runs.outcomes["other abort"]
    assert not runs.outcomes["check failed"]


def test_only_corrupt_participants_cheat() -> None:
    runs = Cheating(World("rep3", seed=3), product, corrupt=[2])
    assert {message.sender for attempt in runs.attempts() for message in attempt.messages} == {2}


def test_a_program_that_fails_by_itself_is_refused() -> None:
    def refuses(p, at):
        yield from ()
        raise PeerError("no")

    with pytest.raises(AssertionError, match="fails without cheating"):
        Cheating(World("rep3", seed=3), refuses)
