"""A participant is a function of its seed, its inputs and what it receives, under every protocol."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import quorate
import quorate.circuits.tiles
import quorate.lang.boundary
import quorate.lang.execute
from quorate.circuits.compare import is_zero, less
from quorate.engine.exchange import Exchange, Fork, parallel
from quorate.errors import InternalError, PeerTimeout
from quorate.lang.execute import KEEP, execute
from quorate.preprocessing.cot import Cot
from quorate.preprocessing.vole import FieldVole, RingVole
from quorate.protocols.base import Protocol
from quorate.protocols.registry import PROTOCOLS
from quorate.sharing.dtype import BOOL, INT, fixed
from quorate.testing.correlation_conformance import source_programs
from quorate.testing.determinism import alone, check_determinism, scattered
from quorate.testing.world import World

X, Y = np.array([5, -7, 100, 3], np.int64), np.array([2, 11, -4, 3], np.int64)
FAST = [
    ("clear", 3, 0),
    ("rep3", 3, 1),
    ("shamir", 3, 1),
    ("shamir", 5, 2),
    ("semi2k", 2, 1),
    ("semi2k", 3, 2),
    ("rep3_malicious", 3, 1),
    ("shamir_malicious", 3, 1),
    ("shamir_quorum", 3, 1),
    ("shamir_quorum", 5, 1),
    ("spdz2k", 2, 1),
    ("spdz", 2, 1),
    ("shamir_malicious", 4, 1),
]
WITHOUT_DEALER = [("semi2k", 2), ("semi2k", 3), ("spdz2k", 2), ("spdz", 2), ("spdz2k", 3)]


def everything(p: Protocol, at):
    """Inputs from inside and outside, and every primitive, some beside each other and some in step."""
    outside = len(p.session.participants) - 1
    x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
    y, z = yield Fork(
        [
            p.input(at.child("y"), p.parties - 1, Y.shape, Y if p.me == p.parties - 1 else None),
            p.input(at.child("z"), outside, Y.shape, Y if p.me == outside else None),
        ]
    )
    beside = yield Fork(
        [
            p.mul(at.child("mul"), x, y),
            p.mul(at.child("mul and shift"), x, z, 2),
            p.truncate(at.child("truncate"), y, 1),
            chosen(p, at.child("chosen"), x, y),
            p.dot(at.child("dot"), x, z),
            p.shuffle(at.child("shuffle"), [x, z]),
            p.random(at.child("random"), (3,)),
        ],
        4,
    )
    *rest, (first, second), number = beside
    flag, product = yield from parallel([is_zero(p, at.child("zero"), x), p.mul(at.child("square"), x, x)])
    bits = yield from p.random_bits(at.child("bits"), (9,))
    shares = [*rest, first, second, product]
    steps = [p.reveal(at.child(f"open {k}"), share, (k % p.parties, outside)) for k, share in enumerate(shares)]
    steps.append(p.reveal(at.child("number"), number, (0,)))
    steps.append(p.reveal_bits(at.child("flag"), flag, (1 % p.parties,)))
    steps.append(p.reveal_bits(at.child("drawn"), bits, (0, outside)))
    opened = yield Fork(steps)
    yield from p.checked()
    return [None if values is None else np.asarray(values).tolist() for values in opened]


def chosen(p, at, x, y):
    flag = yield from less(p, at.child("less"), x, y)
    return (yield from p.inject(at.child("inject"), flag, x))


def check(world, program, orders=3):
    transcript = check_determinism(partial(world.programs, program), orders)
    assert len(transcript.messages) > (0 if world.parties == 1 else 10)
    return transcript


@pytest.mark.parametrize(("protocol", "parties", "threshold"), FAST)
def test_primitives_in_any_order(protocol, parties, threshold):
    transcript = check(World(protocol, parties, threshold, outsiders=1, seed=3), everything, 5)
    opened = [values for values in transcript.results if any(one is not None for one in values)]
    assert opened
    assert transcript.results[0][0] == (X * Y).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "parties"), WITHOUT_DEALER)
def test_primitives_without_a_dealer_in_any_order(protocol, parties):
    transcript = check(World(protocol, parties, outsiders=1, seed=3, dealer=False), everything)
    assert transcript.results[0][0] == (X * Y).tolist()


def test_no_protocol_is_forgotten():
    assert {name for name, *_ in FAST} == set(PROTOCOLS)


@pytest.mark.parametrize("source", [Cot, partial(Cot, checked=False), FieldVole, RingVole])
@pytest.mark.parametrize("silent", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_oblivious_transfers_in_any_order(source, silent):
    check_determinism(partial(source_programs, partial(source, silent=silent), (100, 3)), 2)


def test_other_seeds_give_other_messages():
    one, other = (check(World("rep3", outsiders=1, seed=seed), everything, 1).messages for seed in (1, 2))
    assert one.keys() == other.keys()
    assert one != other


# -- plans -------------------------------------------------------------------------------------------------------------

COLUMNS = {"i": INT, "x": fixed(16), "b": BOOL}
ROWS = 9
BOUNDS = {("i", "value"): (-50, 50), ("x", "value"): (-(2**20), 2**20), ("b", "value"): (0, 1)}
OWNERS = {"i": 0, "x": 1, "b": "last"}


@quorate.computation
def report(i, x, b):
    order = quorate.sort(i)
    return {
        "mean": x.mean(where=b),
        "spread": x.std(),
        "sorted": order,
        "larger": (i > 3) & b,
        "kept": x * i,
        "ratio": i / (i * i + 1),
        "best": quorate.maximum(i, 3).sum(),
        "count": i.size,
    }


def planned(world):
    plan = report.trace(COLUMNS, dict.fromkeys(COLUMNS, ROWS)).bind(dict.fromkeys(COLUMNS, ROWS))
    rng = np.random.default_rng(1)
    raw = {key: rng.integers(low, high, ROWS, endpoint=True) for key, (low, high) in BOUNDS.items()}
    last = world.size - 1
    owners = {name: last if owner == "last" else owner for name, owner in OWNERS.items()}
    outputs: dict[str, tuple[int, ...] | str] = dict.fromkeys(plan.outputs, tuple(range(world.parties)))
    outputs |= {"larger": (0, last), "sorted": (last,)}
    if world.protocol not in ("spdz", "spdz2k"):
        outputs["kept"] = KEEP

    def program(p, at):
        mine = {key: values for key, values in raw.items() if owners[key[0]] == p.me}
        return execute(plan, p, at, inputs=mine, owners=owners, outputs=outputs, bounds=BOUNDS)

    return program


@pytest.fixture
def tiny_tiles(monkeypatch):
    for module in (quorate.circuits.tiles, quorate.lang.execute, quorate.lang.boundary):
        monkeypatch.setattr(module, "TILE", 4)


SLOW_PLANS = {"spdz", "spdz2k", "rep3_malicious", "shamir_malicious", "clear"}


@pytest.mark.usefixtures("tiny_tiles")
@pytest.mark.parametrize(
    ("protocol", "parties", "threshold"),
    [
        pytest.param(*facts, marks=[pytest.mark.slow] if facts[0] in SLOW_PLANS or facts[1] == 5 else [])
        for facts in FAST
    ],
)
def test_plans_in_tiles_in_any_order(protocol, parties, threshold):
    world = World(protocol, parties, threshold, outsiders=1, seed=3)
    transcript = check(world, planned(world), 2)
    assert set(transcript.results[world.size - 1].values) >= {"sorted", "larger"}


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "parties"), WITHOUT_DEALER[:4])
def test_plans_without_a_dealer_in_any_order(protocol, parties):
    world = World(protocol, parties, outsiders=1, seed=3, dealer=False)
    check(world, planned(world), 2)


# -- what would be found -----------------------------------------------------------------------------------------------


def beside(*steps):
    return Fork(list(steps), len(steps))


def test_content_that_depends_on_the_order_is_found():
    def program(p, at):
        drawn = []

        def branch(label):
            heard = np.zeros(1, np.uint8)
            other = 1 - p.me
            here = at.child(label)
            yield Exchange(here.step(), {other: [np.ones(1, np.uint8)]}, {other: [heard]})
            drawn.append(label)
            yield Exchange(here.step(), {other: [np.array([len(drawn)], np.uint8)]}, {other: [heard]})

        if p.me < 2:
            yield beside(*(branch(f"{k}") for k in range(6)))

    with pytest.raises(AssertionError, match="has another body"):
        check_determinism(partial(World("rep3", seed=1).programs, program), 6)


def test_names_that_depend_on_the_order_are_found():
    def program(p, at):
        shared = at.child("shared")

        def branch(label):
            other = 1 - p.me
            yield Exchange(at.child(label).step(), {other: [np.ones(1, np.uint8)]}, {other: [np.zeros(1, np.uint8)]})
            sent = {other: [np.array([int(label)], np.uint8)]}
            yield Exchange(shared.step(), sent, {other: [np.zeros(1, np.uint8)]})

        if p.me < 2:
            yield beside(*(branch(f"{k}") for k in range(6)))

    with pytest.raises((AssertionError, InternalError, PeerTimeout)):
        check_determinism(partial(World("rep3", seed=1).programs, program), 6)


def test_a_participant_alone_that_hears_something_else_is_told_apart():
    world = World("rep3", seed=1)
    transcript = scattered(world.programs(everything_inside), 0)
    received = transcript.to(1)
    assert alone(world.programs(everything_inside)[1], 1, received, 1).messages == transcript.of(1)
    changed = {route: bytes(len(body)) for route, body in received.items()}
    assert alone(world.programs(everything_inside)[1], 1, changed, 1).messages != transcript.of(1)
    del received[min(received)]
    with pytest.raises(PeerTimeout, match="waits for"):
        alone(world.programs(everything_inside)[1], 1, received, 1)


def everything_inside(p, at):
    x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
    product = yield from p.mul(at.child("mul"), x, x)
    return (yield from p.reveal(at.child("open"), product, (0, 1, 2)))
