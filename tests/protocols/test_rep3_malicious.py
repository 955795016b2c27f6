"""What is particular to rep3_malicious: costs as documented, parts told twice, checks before openings, outsiders."""

import numpy as np
import pytest

from quorate.engine.names import Scope
from quorate.errors import IntegrityError, PeerError
from quorate.testing.world import World

NAME = "rep3_malicious"
COUNT = 512
PARTIES = [0, 1, 2]
SETUP = Scope.root().child("setup").ident


def cost(operation):
    """Bytes per element that each party sends, and rounds, without what the operation leaves to be checked."""

    def program(p, at):
        x, y = p.public(np.arange(COUNT)), p.public(np.arange(COUNT))
        b = p.public_bits(np.zeros(COUNT, np.uint8))
        yield from operation(p, at.child("operation"), x, y, b)

    def nothing(p, at):
        yield from ()

    whole, before = World(NAME).count(program), World(NAME).count(nothing)
    sent = tuple((a - b) / COUNT for a, b in zip(whole.bytes_sent, before.bytes_sent, strict=True))
    return sent, whole.rounds[0] - before.rounds[0]


@pytest.mark.parametrize(
    ("operation", "sent", "rounds"),
    [
        (lambda p, at, x, y, b: p.mul(at, x, y), (8, 8, 8), 1),
        (lambda p, at, x, y, b: p.truncate(at, x, 16), (40, 40, 40), 3),
        (lambda p, at, x, y, b: p.summands(at, x), (0, 0, 0), 0),
        (lambda p, at, x, y, b: p.known(at, x, lambda a, j: a.view(np.int64)[None], 1), (0, 0, 0), 0),
        (lambda p, at, x, y, b: p.to_arithmetic(at, b), (16, 8, 8), 2),
        (lambda p, at, x, y, b: p.inject(at, b, x), (24, 16, 16), 3),
        (lambda p, at, x, y, b: p.negative(at, x), (23.625, 23.625, 23.625), 7),
        (lambda p, at, x, y, b: p.shuffle(at, [x]), (16, 16, 16), 3),
    ],
    ids=["mul", "truncate", "summands", "known", "to_arithmetic", "inject", "negative", "shuffle"],
)
def test_costs(operation, sent, rounds):
    assert cost(operation) == (sent, rounds)


def products(p, at, count, repeat=1):
    x = yield from p.random(at.child("x"), (count,))
    for k in range(repeat):
        x = yield from p.mul(at.child(f"{k}"), x, x)
    yield from p.checked()


def test_checks_send_much_less_than_products():
    world = World(NAME)
    few, many = (world.count(lambda p, at, n=n: products(p, at, n)).bytes_sent[0] for n in (1 << 17, 1 << 20))
    assert (many - few) / (7 * (1 << 17)) == pytest.approx(8, rel=0.05)


def test_more_security_takes_more_runs():
    sent = [World(NAME, security=bits).count(lambda p, at: products(p, at, 100)).bytes_sent[0] for bits in (40, 80)]
    assert sent[1] - sent[0] > 25_000
    World(NAME, seed=1, security=80).run(lambda p, at: products(p, at, 100))


def tampered(program, victim, change, outsiders=0, seed=3):
    """Run with message number `victim` after set-up changed; returns what happened at everybody, between whom that
    message went, and by whom and where messages were sent."""
    count, seen, names = [0], [], set()

    def intercept(sender, receiver, name, body):
        if name[0] == SETUP:
            return body
        names.add((sender, name[0]))
        number = count[0]
        count[0] += 1
        if number != victim:
            return body
        seen.append((sender, receiver))
        return change(body)

    return World(NAME, outsiders=outsiders, seed=seed).play(program, intercept), seen, names


def flipped(body):
    return bytes([body[0] ^ 1]) + body[1:]


@pytest.mark.parametrize("victim", PARTIES)
def test_an_outside_owner_that_deals_different_parts_is_found_out(victim):
    def program(p, at):
        mine = np.arange(5) if p.me == 3 else None
        x = yield from p.input(at.child("x"), 3, (5,), mine)
        return (yield from p.reveal(at.child("open"), x, PARTIES))

    results, seen, _ = tampered(program, victim, flipped, outsiders=1)
    assert seen == [(3, victim)]
    assert all(isinstance(results[holder], IntegrityError) for holder in (victim, (victim + 2) % 3))
    assert all(isinstance(result, PeerError) for result in results[:3])


@pytest.mark.parametrize("recipient", [0, 1, 2, 3])
@pytest.mark.parametrize("victim", range(3))
def test_parts_are_told_twice(recipient, victim):
    """Whatever is changed in what a recipient is told, a part or a digest, it does not accept the value."""

    def program(p, at):
        return (yield from p.reveal(at.child("open"), p.public(np.arange(5)), [recipient]))

    messages = 3 if recipient == 3 else 2
    results, seen, _ = tampered(program, victim % messages, flipped, outsiders=1)
    assert seen[0][1] == recipient
    assert isinstance(results[recipient], IntegrityError)
    assert all(result is None for place, result in enumerate(results) if place != recipient)


def test_an_outsider_gets_uniform_parts():
    parts = {}

    def program(p, at):
        return (yield from p.reveal(at.child("open"), p.public(np.zeros(2000, np.int64)), [3]))

    def listen(sender, receiver, name, body):
        if receiver == 3:
            parts[sender] = np.frombuffer(body[:16000], np.uint64)
        return body

    World(NAME, outsiders=1, seed=5, intercept=listen).run(program)
    assert not (parts[0] + parts[1] + parts[2]).any()
    for part in parts.values():
        ones = np.unpackbits(part.view(np.uint8)).mean()
        assert abs(ones - 0.5) < 0.01
        assert len(np.unique(part)) == 2000


def one_operation(operation):
    def program(p, at):
        x, b = p.public(np.arange(9)), p.public_bits(np.zeros(9, np.uint8))
        place, opening = at.child("operation"), at.child("open")
        square, empty = x.map(lambda part: part.reshape(3, 3)), x.map(lambda part: part[:0].reshape(3, 0))
        if operation == "and":
            b = yield from p.and_(place, b, b)
            return (yield from p.reveal_bits(opening, b, PARTIES))
        if operation == "shuffle":
            (x,) = yield from p.shuffle(place, [x])
            return (yield from p.reveal(opening, x, PARTIES))
        steps = {
            "mul": lambda: p.mul(place, x, x),
            "dot": lambda: p.dot(place, x, x),
            "matmul": lambda: p.matmul(place, square, square),
            "integers": lambda: p.to_arithmetic(place, b),
            "nothing to add up": lambda: p.dot(place, empty, empty),
        }
        result = yield from steps[operation]()
        return (yield from p.reveal(opening, result, PARTIES))

    return program


@pytest.mark.parametrize("operation", ["mul", "dot", "matmul", "and", "integers", "shuffle", "nothing to add up"])
def test_nothing_is_opened_after_a_wrong_message(operation):
    """The check comes before the opening: nobody but the cheater tells anything."""
    opening = Scope.root().child("program").child("open").ident
    results, seen, names = tampered(one_operation(operation), 0, flipped)
    assert all(isinstance(result, IntegrityError) for party, result in enumerate(results) if party != seen[0][0])
    assert not {party for party in PARTIES if (party, opening) in names} - {seen[0][0]}
    _, _, honest = tampered(one_operation(operation), -1, flipped)
    assert {(party, opening) for party in PARTIES} <= honest
