"""What a party is sent in an opening says nothing of single inputs, only of what is opened.

A private value is shared by its owner's part alone, and what was subtracted from it was told to everybody. So parts
that were opened as they are would be the owner's value but for what everybody knows.
"""

import numpy as np
import pytest

from quorate.testing.world import World

FIELD = 2**61 - 1
VALUES = np.arange(1000, 1050)


@pytest.mark.parametrize("dealer", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["dealer", "own"])
@pytest.mark.parametrize("recipients", [(0, 1, 2), (1,)], ids=str)
@pytest.mark.parametrize("name", ["spdz", "spdz2k"])
def test_parts_of_a_sum_do_not_show_its_terms(name, recipients, dealer):
    sent, scopes = [], []

    def program(p, at):
        scopes.append(at)
        mine = [VALUES if p.me == owner else None for owner in (0, 1)]
        x = yield from p.input(at.child("x"), 0, VALUES.shape, mine[0])
        y = yield from p.input(at.child("y"), 1, VALUES.shape, mine[1])
        return (yield from p.reveal(at.child("open"), p.add(x, y), recipients))

    def listen(sender, receiver, step, body):
        sent.append((sender, receiver, step, body))
        return body

    ends = World(name, 3, 2, dealer=dealer, seed=5).play(program, listen)
    assert ends[1].tolist() == (2 * VALUES).tolist()
    seen = [(scopes[0].describe(step), np.frombuffer(body, np.uint64)) for s, r, step, body in sent if (s, r) == (0, 2)]
    told = [
        np.frombuffer(body, np.uint64)
        for s, r, step, body in sent
        if (s, r) == (1, 2) and "/y" in scopes[0].describe(step)
    ]
    shares = [words[: VALUES.size] for where, words in seen if "/open" in where and words.size >= VALUES.size]
    differences = [words[: VALUES.size] for words in told if words.size >= VALUES.size]
    assert shares
    assert differences
    modulus = FIELD if name == "spdz" else 2**64
    for share in shares:
        for difference in differences:
            found = (share.astype(object) - difference.astype(object)) % modulus
            assert not (found == VALUES).any()


@pytest.mark.parametrize("times", [1, 6, 7])
def test_a_share_written_otherwise_opens_the_same(times):
    """Words above the order of the field stand for elements, too; whoever opens them must reduce them first."""
    altered = []

    def program(p, at):
        x = yield from p.input(at.child("x"), 2, (500,), np.arange(500) if p.me == 2 else None)
        return (yield from p.reveal(at.child("open"), x, [0]))

    def otherwise(sender, receiver, step, body):
        if (sender, receiver, len(body)) != (1, 0, 4000):
            return body
        altered.append(step)
        return (np.frombuffer(body, np.uint64) + np.uint64(times * FIELD)).tobytes()

    end = World("shamir_malicious", 3, 1, seed=8).play(program, otherwise)[0]
    assert len(altered) == 1
    assert end.tolist() == list(range(500))
