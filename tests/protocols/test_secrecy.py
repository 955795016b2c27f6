"""What a coalition receives does not depend on the others' inputs.

The secrets are placed where a coalition has no part in them, and nothing else is random about their sharing. All
randomness that the coalition knows is replaced by constants. So only what the operation draws and the coalition does
not know can hide anything: the messages that it receives for two different secrets must have the same distribution,
alone and in combination.
"""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from quorate.circuits import compare, convert, divide
from quorate.engine.exchange import parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels import field
from quorate.protocols.adder import bit_of
from quorate.protocols.base import Bilinear
from quorate.sharing.shamir import lagrange, replicated_weight
from quorate.sharing.share import Arithmetic, Boolean, concatenate
from quorate.sharing.sliced import Sliced
from quorate.testing.world import World

COUNT = 3000
P = 2**61 - 1
SETUP = Scope.root().child("setup").ident
COALITIONS = [
    *(("rep3", 3, 1, (k,)) for k in range(3)),
    *(("rep3_malicious", 3, 1, (k,)) for k in range(3)),
    *(("shamir", 3, 1, (k,)) for k in range(3)),
    *(("shamir", 5, 2, pair) for pair in ((0, 1), (0, 4), (1, 3), (2, 4), (3, 4))),
    *(("shamir_malicious", 3, 1, (k,)) for k in range(3)),
    *(pytest.param("shamir_malicious", 4, 1, (k,), marks=pytest.mark.slow) for k in (0, 3)),
    *(pytest.param("shamir_malicious", 5, 2, pair, marks=pytest.mark.slow) for pair in ((0, 1), (1, 3), (2, 4))),
    *(("shamir_quorum", 3, 1, (k,)) for k in range(3)),
    *(("shamir_quorum", 5, 1, (k,)) for k in (0, 4)),
    *(pytest.param("shamir_quorum", 4, 1, (k,), marks=pytest.mark.slow) for k in (0, 3)),
    # In the views of other pairs two shares differ by one of two constants, for which `distance` is too coarse.
    *(pytest.param("shamir_quorum", 5, 2, pair, marks=pytest.mark.slow) for pair in ((0, 1), (0, 2), (2, 4))),
    *(("semi2k", 2, 1, (k,)) for k in range(2)),
    *(("semi2k", 3, 2, pair) for pair in combinations(range(3), 2)),
]
PUBLIC = 0x1234567
BOTH = Bilinear(np.bitwise_and, lambda a, b: (a, b), lambda both: both)


def checked_product(p, at, x, y, b):
    """Also what a check opens."""
    product = yield from p.mul(at.child("product"), x, y)
    both = yield from p.and_(at.child("and"), b, b)
    yield from p.checked()
    return product, both


OPERATIONS = {
    "checked product": checked_product,
    "mul": lambda p, at, x, y, b: p.mul(at, x, y),
    "mul with shift": lambda p, at, x, y, b: p.mul(at, x, y, 9),
    "dot": lambda p, at, x, y, b: p.dot(at, *(s.map(lambda part: part.reshape(-1, 2)) for s in (x, y))),
    "truncate": lambda p, at, x, y, b: p.truncate(at, x, 7),
    "and": lambda p, at, x, y, b: p.and_(at, b, b),
    "and opened to others": lambda p, at, x, y, b: p.and_open(at, b, b, [p.parties + (p.name == "semi2k")], b),
    "summands": lambda p, at, x, y, b: p.summands(at, x),
    "negative of 16 bits": lambda p, at, x, y, b: p.negative(at, x, 16),
    "zero of 8 bits": lambda p, at, x, y, b: p.zero(at, x, 8),
    "integers": lambda p, at, x, y, b: p.to_arithmetic(at, bit_of(b, 0)),
    "inject": lambda p, at, x, y, b: p.inject(at, bit_of(b, 0), x),
    "bilinear": lambda p, at, x, y, b: p.bilinear(at, full(b), full(b), BOTH, b.shape),
    "known": lambda p, at, x, y, b: p.known(at, x, lambda a, j: np.stack([a.view(np.int64)] * 2), 2),
    "less": lambda p, at, x, y, b: compare.less(p, at, x, y),
    "equal": lambda p, at, x, y, b: compare.equal(p, at, x, y),
    "shuffle": lambda p, at, x, y, b: p.shuffle(at, [x, b, y]),
    "bits": lambda p, at, x, y, b: convert.to_bits(p, at, y, 20),
}


def full(b):
    """Words of 64 bits, whatever the width was."""
    return Boolean(b.scheme, b.parts, 64)


def place(p, coalition, secret):
    """A sharing of `secret` (plus public terms) in which the coalition's parts are public constants."""
    values = np.full(COUNT, secret, np.int64)
    other = np.full(COUNT, PUBLIC, np.int64)
    if p.me > p.parties or (p.me == p.parties and p.name != "semi2k"):
        return p.public(values), p.public_bits(values, 64)
    honest = [party for party in range(p.parties) if party not in coalition]
    if p.name in ("shamir", "shamir_malicious", "shamir_quorum"):
        weight = replicated_weight(tuple(honest), p.parties, p.me) if p.me < p.parties else 0
        word = field.add(field.scale(field.encode_signed(values), weight), field.encode_signed(other))
        bits = tuple((values if group == tuple(honest) else other).view(np.uint64) & np.uint64(P) for group in p.mine)
        return Arithmetic(p.name, (word,)), Boolean(p.name, bits, 61)
    if p.name in ("rep3", "rep3_malicious"):
        hidden = (coalition[0] + 2) % 3
        parts = tuple((values if index % 3 == hidden else other).view(np.uint64) for index in (p.me, p.me + 1))
    else:
        parts = ((values if p.me == honest[0] else other).view(np.uint64),)
    return Arithmetic(p.name, parts), Boolean(p.name, parts, 64)


@pytest.fixture
def known_to_coalition(monkeypatch):
    known: set[int] = set()
    draw, mask = Session.draw, Session.mask

    def constant(group, like):
        return np.full(like.nbytes, (7 * sum(group) + 0x5B) % 256 | 1, np.uint8).view(like.dtype).reshape(like.shape)

    def known_draw(self, group, name, out):
        draw(self, group, name, out)
        if known & set(group):
            out[...] = constant(group, out)
        return out

    def known_mask(self, group, name, data):
        before = data.copy()
        mask(self, group, name, data)
        if known & set(group):
            data[...] = before ^ constant(group, data)

    monkeypatch.setattr(Session, "draw", known_draw)
    monkeypatch.setattr(Session, "mask", known_mask)
    return known


def view(configuration, coalition, operation, secrets, seed, dealer=None):
    """Bodies that the coalition received from others, by sender, receiver and name."""
    bodies = {}

    def listen(sender, receiver, name, body):
        if receiver in coalition and sender not in coalition and name[0] != SETUP:
            bodies[sender, receiver, name] = body
        return body

    def program(p, at):
        (x, b), (y, _) = (place(p, coalition, secret) for secret in secrets)
        yield from operation(p, at.child("operation"), x, y, b)

    World(*configuration, seed=seed, outsiders=1, intercept=listen, dealer=dealer).run(program)
    return bodies


def features(bodies):
    """The messages, and what could cancel a mask: their differences, exclusive ors and sums."""
    arrays = {key: np.frombuffer(body, np.uint8) for key, body in bodies.items()}
    yield from arrays.items()
    words = {key: array.view(np.uint64) for key, array in arrays.items() if array.size == 8 * COUNT}
    for a, b in combinations(words, 2):
        yield (a, b, "-"), (words[a] - words[b]).view(np.uint8)
        yield (a, b, "^"), (words[a] ^ words[b]).view(np.uint8)
        yield (a, b, "+ mod p"), ((words[a] % P + words[b] % P) % P).view(np.uint8)
        yield (a, b, "- mod p"), ((words[a] % P + P - words[b] % P) % P).view(np.uint8)
    rounds: dict[Any, list[Any]] = {}
    for key, array in arrays.items():
        rounds.setdefault((key[1], key[2], array.size), []).append(array)
    for place, group in rounds.items():
        yield (place, "all"), np.bitwise_xor.reduce(group)
        if place[2] % 8 == 0:
            total = sum(array.view(np.uint64) % P for array in group)
            yield (place, "sum mod p"), (total % P).view(np.uint8)
            yield (place, "sum"), np.add.reduce([array.view(np.uint64) for array in group]).view(np.uint8)


def distance(a, b):
    """Two-sample chi-square of the bytes at every position of a word, in standard deviations; the worst."""
    lanes = 8 if a.size % (8 * COUNT) == 0 else 1
    worst = 0.0
    for x, y in zip(a.reshape(-1, lanes).T, b.reshape(-1, lanes).T, strict=True):
        first, second = np.bincount(x, minlength=256), np.bincount(y, minlength=256)
        both = first + second
        used = both > 0
        freedom = max(1, int(np.count_nonzero(used)) - 1)
        score = ((first - second)[used] ** 2 / both[used]).sum()
        worst = max(worst, (score - freedom) / np.sqrt(2 * freedom))
    return worst


@pytest.mark.parametrize(("protocol", "parties", "threshold", "coalition"), COALITIONS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_view_does_not_depend_on_secrets(known_to_coalition, protocol, parties, threshold, coalition, name):
    known_to_coalition.update(coalition)
    configuration = (protocol, parties, threshold)
    views = [
        dict(features(view(configuration, coalition, OPERATIONS[name], secrets, seed)))
        for seed, secrets in ((1, (0, 0)), (2, (-12345677, 987655)))
    ]
    assert views[0].keys() == views[1].keys()
    for key, first in views[0].items():
        assert distance(first, views[1][key]) < 8, key


@pytest.mark.parametrize(
    ("parties", "coalition"),
    [(2, (0,)), (2, (1,)), *(pytest.param(3, pair, marks=pytest.mark.slow) for pair in ((0, 2), (1, 2)))],
)
@pytest.mark.parametrize("name", ["mul", "truncate", "and", "integers", "shuffle"])
def test_view_without_a_dealer(known_to_coalition, parties, coalition, name):
    """Nor do the messages of oblivious transfers, and what is opened under tuples that were made with them."""
    known_to_coalition.update(coalition)
    configuration = ("semi2k", parties, parties - 1)
    views = [
        dict(features(view(configuration, coalition, OPERATIONS[name], secrets, seed, dealer=False)))
        for seed, secrets in ((1, (0, 0)), (2, (-12345677, 987655)))
    ]
    assert views[0].keys() == views[1].keys()
    for key, first in views[0].items():
        assert distance(first, views[1][key]) < 8, key


def test_masked_openings_do_not_show_whether_honest_shares_fit(known_to_coalition):
    """Two cheaters who made what honest parties hold differ do not see by how much, before that is found."""
    coalition, honest = (3, 4), (0, 1, 2)
    known_to_coalition.update(coalition)
    sent = {}

    def listen(sender, receiver, name, body):
        if receiver in coalition and sender in honest and name[0] != SETUP and len(body) == 8 * COUNT:
            sent[sender] = np.frombuffer(body, np.uint64)
        return body

    def program(p, at):
        values = np.full(COUNT, PUBLIC + 5 * (p.me == 1), np.int64)
        yield from p.summands(at.child("words"), Arithmetic(p.name, (field.encode_signed(values),)))

    World("shamir_malicious", 5, 2, seed=6, intercept=listen).run(program)
    assert len(sent) > 1
    for one, other in combinations(sorted(sent), 2):
        for factors in ((1, 1), [lagrange(honest)[party] for party in (one, other)]):  # plain, or as contributions
            unmasked = [
                field.scale(sent[party], pow(factor * replicated_weight(honest, 5, party), -1, P))
                for party, factor in zip((one, other), factors, strict=True)
            ]
            assert len(np.unique(field.sub(*unmasked))) > COUNT // 2


@pytest.mark.parametrize("name", ["mul", "and"])
def test_products_are_opened_on_polynomials_that_tell_nothing_else(known_to_coalition, name):
    """A mask of degree t does not hide that of degree 2t: what is left when it is removed has to be random too."""
    coalition, honest = (0,), (1, 2, 3, 4)
    known_to_coalition.update(coalition)
    bodies = view(("shamir_quorum", 5, 1), coalition, OPERATIONS[name], (77, 78), 6)
    sent = {sender: np.frombuffer(body, np.uint64) for (sender, _, _), body in bodies.items()}
    assert sorted(sent) == list(honest)
    sliced = Sliced(5)

    def unscaled(party):
        if name == "mul":
            return field.scale(sent[party], pow(replicated_weight(honest, 5, party), -1, P))
        inverse = sliced.power(sliced.replicated_weight(honest, party), 2**sliced.bits - 2)
        return sliced.combination([inverse], [sliced.rows(sent[party])])

    for one, other in combinations(honest, 2):
        left = field.sub(unscaled(one), unscaled(other)) if name == "mul" else unscaled(one) ^ unscaled(other)
        assert len(np.unique(left)) > COUNT // 2


@pytest.mark.parametrize(("protocol", "parties", "threshold", "coalition"), COALITIONS)
def test_order_is_unknown_to_a_coalition(known_to_coalition, protocol, parties, threshold, coalition):
    """With all that the coalition knows held fixed, every order of four rows remains equally likely."""
    known_to_coalition.update(coalition)
    count = 24 * 10

    def program(p, at):
        x = p.public(np.arange(4))
        shuffled = yield from parallel([p.shuffle(at.child(f"{k}"), [x]) for k in range(count)])
        return (yield from p.reveal(at.child("open"), concatenate([column for (column,) in shuffled], 0), [0]))

    orders = World(protocol, parties, threshold, seed=9).run(program).values[0].reshape(count, 4)
    _, seen = np.unique(orders @ [64, 16, 4, 1], return_counts=True)
    assert ((seen - 10) ** 2 / 10).sum() + 10 * (24 - len(seen)) < 23 + 10 * np.sqrt(46)


def test_dealer_receives_nothing():
    received = []

    def listen(sender, receiver, name, body):
        if receiver == 3 and name[0] != SETUP:
            received.append(name)
        return body

    def program(p, at):
        x = yield from p.input(at.child("x"), 0, (5,), np.arange(5) if p.me == 0 else None)
        y = yield from divide.divide(p, at.child("y"), x, x, divisor_bits=4, quotient_bits=4, scale=4)
        (y,) = yield from p.shuffle(at.child("z"), [y])
        return (yield from p.reveal(at.child("open"), y, [1]))

    World("semi2k", 3, 2, seed=1, intercept=listen).run(program)
    assert received == []


def open_values(p, at, to):
    return p.reveal(at, p.public(np.zeros(COUNT, np.int64)), to)


def open_ands(p, at, to):
    word = p.public_bits(np.zeros(COUNT, np.uint64), 64)
    return p.and_open(at, word, word, to, word)


@pytest.mark.parametrize("configuration", [("rep3", 3, 1), ("semi2k", 3, 2)])
@pytest.mark.parametrize("opening", [open_values, open_ands])
def test_outsider_sees_a_fresh_sharing_of_the_result(configuration, opening):
    """Whatever the parts were before, an outside recipient gets uniform ones with the same sum."""
    messages = []
    world = World(*configuration, outsiders=1, seed=4)
    outsider = world.size - 1

    def listen(sender, receiver, name, body):
        if receiver == outsider:
            messages.append(np.frombuffer(body, np.uint8))
        return body

    world.intercept = listen

    def program(p, at):
        return (yield from opening(p, at, [outsider]))

    world.run(program)
    assert len(messages) == 3
    for array in messages:
        histogram = np.bincount(array, minlength=256)
        expected = array.size / 256
        assert abs(((histogram - expected) ** 2 / expected).sum() - 255) < 8 * np.sqrt(2 * 255)
