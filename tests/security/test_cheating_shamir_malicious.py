"""Shamir's protocol against parties that really cheat: nothing wrong is accepted, or, with n > 3t, it is corrected."""

import numpy as np
import pytest

from quorate.errors import IntegrityError, PeerError
from quorate.sharing.share import concatenate
from quorate.testing.cheating import TAMPERS, Cheating
from quorate.testing.world import World

ALTER = {how: TAMPERS[how] for how in ("flip a bit at the start of", "flip the last bit of", "add one to")}
ALTER |= {how: TAMPERS[how] for how in ("replay an earlier message instead of", "send back a message instead of")}


def operands(p, at):
    x = yield from p.random(at.child("x"), (4,))
    y = yield from p.random(at.child("y"), (4,))
    return x, y


def words(p, at):
    a = yield from p.random_bits(at.child("a"), (16,))
    b = yield from p.random_bits(at.child("b"), (16,))
    return a, b


def numbers(p, at):
    """Products of every kind, opened to all parties."""
    x, y = yield from operands(p, at)
    z = yield from p.mul(at.child("mul"), x, y)
    inner = yield from p.dot(at.child("dot"), x, z)
    square = [share.map(lambda part: part.reshape(2, 2)) for share in (y, z)]
    matrix = yield from p.matmul(at.child("matmul"), *square)
    flat = concatenate([z, *(share.map(lambda part: part.reshape(-1)) for share in (inner, matrix))], 0)
    return (yield from p.reveal(at.child("open"), flat, range(p.parties)))


def boolean(p, at):
    a, b = yield from words(p, at)
    both = yield from p.and_(at.child("and"), a, b)
    return (yield from p.reveal_bits(at.child("open"), both, range(p.parties)))


def conversions(p, at):
    """Masked openings, truncation and bits as numbers."""
    x, y = yield from operands(p, at)
    a, _ = yield from words(p, at)
    small = yield from p.truncate(at.child("first"), x, 30)
    scaled = yield from p.mul(at.child("scaled"), x, y, 12)
    bits = yield from p.to_arithmetic(at.child("bits"), a)
    return (yield from p.reveal(at.child("open"), concatenate([small, scaled, bits], 0), [0, 1]))


def to_outsider(p, at):
    x, y = yield from operands(p, at)
    z = yield from p.mul(at.child("mul"), x, y)
    a, b = yield from words(p, at)
    both = yield from p.and_(at.child("and"), a, b)
    first = yield from p.reveal(at.child("number"), z, [p.parties])
    second = yield from p.reveal_bits(at.child("word"), both, [p.parties])
    return None if first is None else [first, second]


def shuffled(p, at):
    """Rows in a new order: whatever a member of a group does with its part, its own order included."""
    x, y = yield from operands(p, at)
    a, _ = yield from words(p, at)
    columns = [x, a.map(lambda part: part.reshape(4, 4)), y]
    rows = yield from p.shuffle(at.child("shuffle"), columns)
    opened = []
    for k, column in enumerate(rows):
        reveal = p.reveal_bits if k == 1 else p.reveal
        opened.append((yield from reveal(at.child(f"open {k}"), column, range(p.parties))))
    return opened


PROGRAMS = {
    "shuffle": shuffled,
    "numbers": numbers,
    "boolean": boolean,
    "conversions": conversions,
    "outsider": to_outsider,
}


def checked(world, program, every, tampers=None):
    runs = Cheating(world, program)
    for attempt in runs.attempts(tampers, every=every):
        runs.check(attempt, tampers)
    return runs.outcomes


@pytest.mark.parametrize("program", PROGRAMS)
def test_cheating_is_found(program):
    """Some of all ways to cheat among three parties."""
    outcomes = checked(World("shamir_malicious", 3, 1, seed=5, outsiders=1), PROGRAMS[program], every=29)
    assert outcomes["check failed"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (4, 1), (5, 2)])
def test_all_cheating_is_found(program, parties, threshold):
    """All ways to cheat among three parties, and many among more."""
    world = World("shamir_malicious", parties, threshold, seed=6, outsiders=1)
    outcomes = checked(world, PROGRAMS[program], every={3: 2, 4: 7, 5: 13}[parties])
    assert outcomes["check failed"] > 50


def named(world, program, part):
    """(sender, receiver, name) of the messages of the scopes that contain `part`, in the honest run."""
    paths = {}

    def watched(p, at):
        paths.setdefault("claimed", at._claimed)
        return (yield from program(p, at))

    runs = Cheating(world, watched)
    return runs, [m for m in runs.messages if part in paths["claimed"].get(m.name[0], "")]


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (5, 2)])
def test_wrong_product_shares_fail_the_check(parties, threshold):
    """An error of the resharing is found by the verification of products, at all honest parties, before any opening."""
    runs, messages = named(World("shamir_malicious", parties, threshold, seed=7), numbers, "program/mul")
    assert messages
    for message in messages:
        same = tuple(m for m in messages if m.sender == message.sender)
        attempts = (a for a in runs.attempts(ALTER) if a.messages == same and a.how == "add one to")
        ends = runs.run(next(attempts), ALTER)
        honest = [end for party, end in enumerate(ends) if party != message.sender]
        assert all(isinstance(end, IntegrityError) for end in honest)
        if message.sender >= parties - threshold:  # else the cheater's own share does not fit what it told the others
            assert all("were not computed as agreed" in str(end) for end in honest)


def test_members_told_different_things_find_out():
    """With n > 2t + 1, and for words always, a part that one member got and another did not get is found."""
    for program, part, world in (
        (numbers, "program/mul", World("shamir_malicious", 4, 1, seed=8)),
        (boolean, "program/and", World("shamir_malicious", 3, 1, seed=8)),
    ):
        runs, messages = named(world, program, part)
        single = [a for a in runs.attempts(ALTER) if len(a.messages) == 1 and a.messages[0] in messages]
        assert single
        for attempt in single:
            receiver = attempt.messages[0].receiver
            ends = runs.check(attempt, ALTER)
            if attempt.messages[0].sender not in (0, 1):
                assert isinstance(ends[receiver], PeerError)


def owner_deals(p, at, owner=0):
    values = np.arange(3) if p.me == owner else None
    x = yield from p.input(at.child("input"), owner, (3,), values)
    return (yield from p.reveal(at.child("open"), x, range(p.parties)))


@pytest.mark.parametrize(("parties", "threshold", "owner"), [(5, 2, 0), (4, 1, 3), (3, 1, 3), (5, 2, 5)])
def test_inconsistent_inputs_are_refused(parties, threshold, owner):
    """An owner, a party or not, that gives one member another part than the others."""
    world = World("shamir_malicious", parties, threshold, seed=9, outsiders=1)
    runs, messages = named(world, lambda p, at: owner_deals(p, at, owner), "program/input")
    assert len(messages) >= parties - threshold - 1
    found = 0
    for attempt in runs.attempts(ALTER):
        if len(attempt.messages) == 1 and attempt.messages[0] in messages:
            ends = runs.run(attempt, ALTER)
            honest = [end for party, end in enumerate(ends) if party not in (owner, parties)]
            assert all(isinstance(end, PeerError) for end in honest)
            found += any(isinstance(end, IntegrityError) and "was sent something else" in str(end) for end in honest)
    assert found


@pytest.mark.parametrize("recipients", [[0], [0, 1, 2], [3]])
def test_wrong_openings_are_refused(recipients):
    """Among three parties a wrong share is not accepted by anybody who gets it."""

    def program(p, at):
        x, _ = yield from operands(p, at)
        a, _ = yield from words(p, at)
        number = yield from p.reveal(at.child("number"), x, recipients)
        word = yield from p.reveal_bits(at.child("word"), a, recipients)
        return None if number is None else [number, word]

    for part in ("program/number", "program/word"):
        runs, messages = named(World("shamir_malicious", 3, 1, seed=10, outsiders=1), program, part)
        for attempt in runs.attempts(ALTER):
            if len(attempt.messages) == 1 and attempt.messages[0] in messages:
                ends = runs.check(attempt, ALTER)
                assert isinstance(ends[attempt.messages[0].receiver], IntegrityError)


@pytest.mark.parametrize(("parties", "threshold"), [(4, 1), (7, 2)])
def test_wrong_openings_are_corrected_and_named(parties, threshold):
    """With n > 3t everybody gets the right values whatever t parties send, and knows who cheated."""
    recipients = [0, parties - 1, parties]
    wanted = {}
    findings = {}

    def program(p, at):
        x, _ = yield from operands(p, at)
        a, _ = yield from words(p, at)
        number = yield from p.reveal(at.child("number"), x, recipients)
        word = yield from p.reveal_bits(at.child("word"), a, recipients)
        findings[p.me] = list((p._real if hasattr(p, "_real") else p).session.findings)
        return None if number is None else [number, word]

    cheaters = list(range(1, 1 + threshold))
    world = World("shamir_malicious", parties, threshold, seed=11, outsiders=1)
    runs, messages = named(world, program, "program/number")
    _, more = named(World("shamir_malicious", parties, threshold, seed=11, outsiders=1), program, "program/word")
    targets = {(m.sender, m.receiver, m.name): m for m in messages + more if m.sender in cheaters}
    assert targets
    wanted = runs._honest

    def intercept(sender, receiver, name, body):
        if (sender, receiver, name) not in targets:
            return body
        garbled = bytearray(body)
        garbled[0] ^= 1 + receiver
        return bytes(garbled)

    ends = world.play(program, intercept)
    for who in range(parties + 1):
        if who in cheaters:
            continue
        assert repr(ends[who]) == repr(wanted[who])
        named_here = {int(text.split("peer ")[1].split()[0]) for text in findings[who]}
        assert named_here == (set(cheaters) if who in recipients else set())
