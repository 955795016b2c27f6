"""Plans in stages: at the quoted cost, and whoever goes on from the end of a stage says what it would have said."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import numpy as np
import pytest

import quorate
from quorate.errors import EnvironmentFault
from quorate.lang.execute import KEEP, execute
from quorate.lang.snapshot import Snapshot
from quorate.lang.stages import LEAST, Stages, _cuts, stages_of
from quorate.sharing.dtype import BOOL, INT, fixed
from quorate.sharing.share import Arithmetic, Boolean
from quorate.sharing.stored import content_of, form_of
from quorate.testing.determinism import alone, scattered
from quorate.testing.world import World

RESUMABLE = [
    ("clear", 3, 0),
    ("rep3", 3, 1),
    ("shamir", 3, 1),
    ("shamir", 5, 2),
    ("semi2k", 2, 1),
    pytest.param("shamir_quorum", 5, 1, marks=pytest.mark.slow),
    ("rep3_malicious", 3, 1),
    ("shamir_malicious", 3, 1),
]
DTYPES = {"i": INT, "x": fixed(16), "y": fixed(16), "d": fixed(16), "b": BOOL}
ROWS = 6
BOUNDS = {
    ("i", "value"): (-50, 50),
    ("x", "value"): (-(2**20), 2**20),
    ("y", "value"): (-(2**20), 2**20),
    ("d", "value"): (2**15, 2**20),
    ("b", "value"): (0, 1),
}


def chain(i, x, y, d, b):
    """Few levels of many operations each: numbers, bits, public values and bundles are live between them."""
    flag = (x < y) ^ b
    less = quorate.where(flag, x, y)
    ordered, place = quorate.sort(i), quorate.argsort(i)
    total = (less * d).sum()
    ratio = less / d
    return {
        "flag": flag,
        "less": less,
        "spread": ratio.std(),
        "mean": ratio.mean(where=flag),
        "ordered": ordered * 2,
        "place": place,
        "kept": quorate.maximum(ordered, quorate.sqrt(d).astype(int)),
        "root": quorate.sqrt(total * total + 1),
        "size": i.size,
    }


def simple(i, x, y, d, b):
    product = i * i
    for _ in range(3):
        product = quorate.where(product > 20, product - 17, product * 2)
    return {"product": product, "first": (x * y), "flag": b & (product > 5)}


class Runs:
    """A plan in a world, in stages of `least` levels; what was saved, by participant and stage."""

    def __init__(self, world, function, least=1, outside=False):
        rows = dict.fromkeys(DTYPES, ROWS)
        self.world, self.least = world, least
        self.plan = quorate.computation(function).trace(DTYPES, rows).bind(rows)
        rng = np.random.default_rng(1)
        self.raw = {key: rng.integers(low, high, ROWS, endpoint=True) for key, (low, high) in BOUNDS.items()}
        last = world.size - 1 if outside else world.parties - 1
        self.owners = {name: place % world.parties for place, name in enumerate(DTYPES)} | {"y": last}
        self.outputs: dict[str, tuple[int, ...] | str] = dict.fromkeys(self.plan.outputs, tuple(range(world.parties)))
        name = next(iter(self.plan.outputs))
        self.outputs[name] = (last,)
        if "kept" in self.outputs:
            self.outputs["kept"] = KEEP
        self.saved = {}

    def stages(self, me, restored):
        def save(stage, snapshot):
            self.saved[me, stage] = snapshot.encode()

        return Stages(save, restored, self.least) if self.least else None

    def program(self, p, at, restored=()):
        mine = {key: values for key, values in self.raw.items() if self.owners[key[0]] == p.me}
        before = dict(restored).get(p.me)
        snapshot = None if before is None else Snapshot.decode(before, "test")
        stages = self.stages(p.me, snapshot)
        facts = {"inputs": mine, "owners": self.owners, "outputs": self.outputs, "bounds": BOUNDS, "stages": stages}
        return execute(self.plan, p, at, **facts)

    def programs(self, restored=()):
        return self.world.programs(partial(self.program, restored=tuple(dict(restored).items())))

    @property
    def last(self):
        return max((stage for _, stage in self.saved), default=-1)


def shown(results):
    kept = {name: (form_of(share), content_of(share.parts)) for name, share in results.kept.items()}
    return {name: np.asarray(values).tolist() for name, values in results.values.items()}, kept


@pytest.mark.parametrize("function", [simple, chain])
@pytest.mark.parametrize(("protocol", "parties", "threshold"), RESUMABLE)
def test_the_quote_in_stages_is_exact(protocol, parties, threshold, function):
    runs = Runs(World(protocol, parties, threshold, seed=5, outsiders=1), function, outside=True)
    counted, ran = runs.world.count(runs.program), runs.world.run(runs.program)
    assert (counted.rounds, counted.sent, counted.messages) == (ran.rounds, ran.sent, ran.messages)
    assert runs.last >= 2


@pytest.mark.parametrize("function", [simple, pytest.param(chain, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("protocol", "parties", "threshold"), RESUMABLE)
def test_everybody_goes_on_from_every_stage(protocol, parties, threshold, function):
    runs = Runs(World(protocol, parties, threshold, seed=5), function)
    first = scattered(runs.programs(), 1)
    saved = dict(runs.saved)
    inside = range(parties + (runs.world.dealer is not None))
    assert runs.last >= 2
    for stage in range(runs.last + 1):
        runs.saved = {}
        again = scattered(runs.programs({me: saved[me, stage] for me in inside}), 2 + stage)
        assert set(again.messages) < set(first.messages)
        assert all(first.messages[route] == body for route, body in again.messages.items())
        assert list(map(shown, again.results)) == list(map(shown, first.results))
        assert runs.saved == {key: value for key, value in saved.items() if key[1] > stage}


@pytest.mark.parametrize("function", [simple, pytest.param(chain, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("protocol", "parties", "threshold"), RESUMABLE)
def test_one_alone_goes_on_with_what_it_received(protocol, parties, threshold, function):
    runs = Runs(World(protocol, parties, threshold, seed=5, outsiders=1), function, outside=True)
    first = scattered(runs.programs(), 1)
    saved = dict(runs.saved)
    for (me, stage), state in saved.items():
        again = alone(runs.programs({me: state})[me], me, first.to(me), 2 + stage, spare=True)
        assert all(first.messages[route] == body for route, body in again.messages.items())
        assert shown(again.results[0]) == shown(first.results[me])
        assert len(again.messages) < len(first.of(me)) or protocol == "clear"  # where nothing is said but openings
    assert {me for me, _ in saved} == set(range(parties + (runs.world.dealer is not None)))


def test_the_last_stage_alone_says_little():
    """What finished stages said is not said again: a restart costs no more than what is left."""
    runs = Runs(World("rep3", seed=5), simple)
    first = scattered(runs.programs(), 1)
    sizes = []
    for stage in range(runs.last + 1):
        again = alone(runs.programs({0: runs.saved[0, stage]})[0], 0, first.to(0), 1, spare=True)
        sizes.append(len(again.messages))
    assert len(first.of(0)) > sizes[0]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_without_stages_nothing_changes():
    runs = Runs(World("rep3", seed=5), chain, least=0)
    plain = runs.world.run(runs.program)
    many = Runs(World("rep3", seed=5), chain, least=100)
    assert plain.rounds == many.world.run(many.program).rounds
    assert not many.saved


@pytest.mark.parametrize(("protocol", "dealer"), [("semi2k", False), ("spdz2k", True)])
def test_protocols_that_carry_tuples_along_have_one_stage(protocol, dealer):
    runs = Runs(World(protocol, seed=5, dealer=dealer), simple)
    counted, ran = runs.world.count(runs.program), runs.world.run(runs.program)
    assert counted.rounds == ran.rounds
    assert not runs.saved


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example():
    runs = Runs(World("rep3", seed=5), simple)
    scattered(runs.programs(), 1)
    return runs


def test_a_snapshot_comes_back_as_it_was(example):
    for data in example.saved.values():
        assert Snapshot.decode(data, "test").encode() == data


def test_the_snapshot_of_another_is_refused(example):
    with pytest.raises(EnvironmentFault, match="another plan, session or participant"):
        alone(example.programs({0: example.saved[1, 0]})[0], 0, scattered(example.programs(), 1).to(0), 1, spare=True)


def changed(data, **facts):
    snapshot = Snapshot.decode(data, "test")
    given = {name: getattr(snapshot, name) for name in snapshot.__dataclass_fields__} | facts
    return Snapshot(**given).encode()


def test_a_snapshot_that_does_not_fit_the_plan_is_refused(example):
    received = scattered(example.programs(), 1).to(0)
    good = Snapshot.decode(example.saved[0, 1], "test")
    index, value = next((index, value) for index, value in good.values.items() if isinstance(value, Arithmetic))
    bits = Boolean(value.scheme, tuple(part.astype(np.uint8) for part in value.parts))
    for values in (
        {},
        {**good.values, 1000: value},
        {**good.values, index: value.map(lambda part: part[:1])},
        {**good.values, index: [value]},
        {**good.values, index: bits},
    ):
        state = changed(example.saved[0, 1], values=values)
        with pytest.raises(EnvironmentFault, match="does not fit its plan"):
            alone(example.programs({0: state})[0], 0, received, 1, spare=True)
    state = changed(example.saved[0, 1], stage=0)
    with pytest.raises(EnvironmentFault, match="does not fit its plan"):
        alone(example.programs({0: state})[0], 0, received, 1, spare=True)
    state = changed(example.saved[0, 1], progress=(3,))
    with pytest.raises(EnvironmentFault, match="not one of rep3"):
        alone(example.programs({0: state})[0], 0, received, 1, spare=True)


def test_every_damage_is_refused_or_harmless(example):
    """Cut anywhere, and with any bit of the header changed: an error with a name, or another valid snapshot."""
    data = example.saved[0, 1]
    header = 20 + int.from_bytes(data[16:20], "big")
    for size in [*range(0, header, 7), len(data) - 1]:
        with pytest.raises(EnvironmentFault, match=r"^there: "):
            Snapshot.decode(data[:size], "there")
    with pytest.raises(EnvironmentFault, match="bytes too many"):
        Snapshot.decode(data + b"x", "there")
    refused = 0
    for place in range(header):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with suppress(EnvironmentFault):
            Snapshot.decode(damaged, "there")
            continue
        refused += 1
    assert refused > header / 2


# -- where cuts lie ----------------------------------------------------------------------------------------------------


def test_cuts_lie_where_little_is_live():
    assert _cuts([9, 9, 9, 1, 9, 9, 9], 2) == [3]
    assert _cuts([5] * 9, 4) == [4]
    assert _cuts([5] * 8, 4) == []
    assert _cuts([5] * 10, 1) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert _cuts([0], 1) == []


def test_operations_beside_each_other_are_in_one_stage():
    """A thousand products of inputs are one level, however they are written down."""

    def wide(i, x, y, d, b):
        return {f"{k}": i * k * i for k in range(200)}

    def long(i, x, y, d, b):
        value = i
        for _ in range(3 * LEAST):
            value = quorate.where(b, value, value - 1)
        return {"value": value}

    rows = dict.fromkeys(DTYPES, ROWS)
    plans = [quorate.computation(function).trace(DTYPES, rows).bind(rows) for function in (wide, long)]
    assert set(stages_of(plans[0], 1)) == {0}
    assert max(stages_of(plans[1], LEAST)) in (1, 2)
    for plan in plans:
        stages = stages_of(plan, 2)
        for index, operation in enumerate(plan.operations):
            assert all(stages[operand] <= stages[index] for operand in operation.operands)
            assert operation.kind != "input" or stages[index] == 0
