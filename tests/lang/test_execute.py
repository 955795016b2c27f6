"""Every kind of operation under every protocol: NumPy's result within the promised error, at the quoted cost."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

import quorate
from quorate import errors as quorate_errors
from quorate.engine.session import Session
from quorate.lang.boundary import Boundary
from quorate.lang.cost import opening_costs, operation_costs
from quorate.lang.execute import _Execution, execute
from quorate.lang.plan import Operation, Plan
from quorate.lang.ranges import plan_ranges
from quorate.protocols.registry import make
from quorate.sharing.dtype import BOOL, INT
from quorate.testing.world import CONFIGURATIONS, World

RNG = np.random.default_rng(5)
INTS = RNG.integers(-50, 50, 6)
FIXED = np.round(RNG.normal(0, 10, 6) * 2**16) / 2**16
OTHER = np.round(RNG.normal(0, 10, 6) * 2**16) / 2**16
POSITIVE = np.abs(OTHER) + 0.5
FLAGS = INTS > 0
DATA = {"i": INTS, "x": FIXED, "y": OTHER, "d": POSITIVE, "b": FLAGS}

OPERATIONS = {
    "add": lambda q, i, x, y, d, b: x + y,
    "add of int and fixed": lambda q, i, x, y, d, b: i + x,
    "sub": lambda q, i, x, y, d, b: 1.5 - x - i,
    "neg": lambda q, i, x, y, d, b: -x,
    "mul": lambda q, i, x, y, d, b: x * y,
    "mul of ints": lambda q, i, x, y, d, b: i * i,
    "mul by constants": lambda q, i, x, y, d, b: 3 * x * 0.1 + x * np.array([1, 2, 3, 4, 5, 6]) + i * 1e-3,
    "mul by a bool": lambda q, i, x, y, d, b: x * b,
    "power": lambda q, i, x, y, d, b: i**3,
    "dot": lambda q, i, x, y, d, b: x @ y,
    "matmul": lambda q, i, x, y, d, b: x.reshape(2, 3) @ y.reshape(3, 2),
    "matmul of a matrix with itself": lambda q, i, x, y, d, b: i[:4].reshape(2, 2) @ i[:4].reshape(2, 2),
    "matmul by a constant": lambda q, i, x, y, d, b: x.reshape(2, 3) @ np.array([[1, 2], [3, 4], [5, 6]]),
    "vector by matrix": lambda q, i, x, y, d, b: x[:2] @ y.reshape(2, 3),
    "sum": lambda q, i, x, y, d, b: x.reshape(2, 3).sum(1),
    "sum of chosen": lambda q, i, x, y, d, b: x.sum(where=b),
    "finer": lambda q, i, x, y, d, b: x + y / 1.0,
    "lt": lambda q, i, x, y, d, b: x < y,
    "le, gt, ge": lambda q, i, x, y, d, b: q.stack([x <= 3, i > 2, i <= 5, x >= x]),
    "eq": lambda q, i, x, y, d, b: i == i[::-1],
    "ne": lambda q, i, x, y, d, b: b != b[::-1],
    "and": lambda q, i, x, y, d, b: (x < y) & b,
    "or": lambda q, i, x, y, d, b: (x < y) | b,
    "xor": lambda q, i, x, y, d, b: (x < y) ^ b,
    "not": lambda q, i, x, y, d, b: ~b,
    "and with a constant": lambda q, i, x, y, d, b: (b & np.array([True, False] * 3)) | np.array([False] * 5 + [True]),
    "select": lambda q, i, x, y, d, b: q.where(b, x, i),
    "select of constants": lambda q, i, x, y, d, b: q.where(b, 1.5, -2),
    "select of bools": lambda q, i, x, y, d, b: q.where(b, x < y, x < 0),
    "to_int": lambda q, i, x, y, d, b: b.astype(int),
    "bool and int": lambda q, i, x, y, d, b: b + 1,
    "minimum, maximum": lambda q, i, x, y, d, b: q.minimum(x, y) + q.maximum(i, 3),
    "abs": lambda q, i, x, y, d, b: abs(x),
    "div": lambda q, i, x, y, d, b: x / d,
    "div of ints": lambda q, i, x, y, d, b: i / (i * i + 1),
    "div_public": lambda q, i, x, y, d, b: x / 7,
    "div_public by a fraction": lambda q, i, x, y, d, b: i / 3.7,
    "div_public by a negative": lambda q, i, x, y, d, b: x / -3,
    "mean": lambda q, i, x, y, d, b: x.mean(),
    "mean over an axis": lambda q, i, x, y, d, b: i.reshape(3, 2).mean(0),
    "mean of bools": lambda q, i, x, y, d, b: b.mean(),
    "masked_mean": lambda q, i, x, y, d, b: x.mean(where=b),
    "mean_square": lambda q, i, x, y, d, b: x.var(),
    "var with ddof": lambda q, i, x, y, d, b: i.reshape(2, 3).var(1, ddof=1),
    "std": lambda q, i, x, y, d, b: x.std(),
    "sqrt": lambda q, i, x, y, d, b: q.sqrt(d),
    "index": lambda q, i, x, y, d, b: x.reshape(2, 3)[::-1, None, [2, 0]],
    "reshape": lambda q, i, x, y, d, b: x.reshape(3, -1).T.reshape(-1),
    "transpose": lambda q, i, x, y, d, b: b.reshape(2, 3).transpose(1, 0),
    "concat": lambda q, i, x, y, d, b: q.concatenate([x, i, [0.5, 0.25]]),
    "broadcast": lambda q, i, x, y, d, b: x[:, None] * y[None, :2] + i[0],
}


def named(operation):
    return lambda i, x, y, d, b: {"z": operation(quorate, i, x, y, d, b)}


class _Like:
    """NumPy under quorate's names, for what NumPy spells otherwise."""

    sqrt, stack, where, concatenate = np.sqrt, np.stack, np.where, np.concatenate
    minimum, maximum = np.minimum, np.maximum


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}")
def test_all_operations_match_numpy_within_the_promised_error_and_cost(configuration, run_in):
    for name, operation in OPERATIONS.items():
        ran = run_in(configuration, named(operation), DATA)
        wanted = np.asarray(operation(_Like, **DATA))
        got = ran.values["z"]
        assert got.shape == wanted.shape, name
        if wanted.dtype.kind == "b":
            assert got.dtype == np.bool_, name
            assert np.array_equal(got, wanted), name
        else:
            bound = ran.errors["z"]
            assert bound < 0.02 or (name == "std" and bound < 0.5), (name, bound)
            assert np.abs(got - wanted).max() <= bound + 1e-9, (name, np.abs(got - wanted).max(), bound)
            assert wanted.dtype.kind != "i" or got.dtype == np.int64, name
        for values in ran.outcome.values[1 : configuration[1]]:
            assert np.array_equal(values.values["z"], got), name


LARGE = {
    "mul": lambda i, x: (i * i, x * x),
    "lt": lambda i, x: (x < i, x < 0),
    "eq": lambda i, x: (i == 3,),
    "select": lambda i, x: (quorate.where(x < 0, i, x),),
    "div": lambda i, x: (x / (i * i + 1),),
    "to_int": lambda i, x: ((x < 0).astype(int),),
}


@pytest.mark.parametrize("size", [70_000, 200_000])
@pytest.mark.parametrize("kind", LARGE)
def test_large_arrays_go_in_tiles_and_equal_the_small_path(kind, size, run_in, monkeypatch):
    data = {"i": RNG.integers(-20, 20, size), "x": np.round(RNG.normal(0, 5, size) * 2**16) / 2**16}

    def function(i, x):
        return {str(k): value for k, value in enumerate(LARGE[kind](i, x))}

    tiled = run_in(("rep3", 3, 1), function, data)
    monkeypatch.setattr("quorate.circuits.tiles.TILE", 1 << 30)
    monkeypatch.setattr("quorate.lang.execute.TILE", 1 << 30)
    whole = run_in(("rep3", 3, 1), function, data)
    assert tiled.outcome.messages != whole.outcome.messages
    for name, values in whole.values.items():
        if tiled.errors[name] == 0:
            assert np.array_equal(tiled.values[name], values)
        else:
            assert np.abs(tiled.values[name] - values).max() <= 2 * tiled.errors[name]


def columns(**arrays):
    return {name: np.asarray(values, np.int64) for name, values in arrays.items()}


@pytest.mark.parametrize("configuration", [("rep3", 3, 1), ("shamir", 4, 1), ("semi2k", 2, 1)], ids=str)
def test_results_go_to_those_named_and_outsiders_own_and_receive(configuration, run_in):
    protocol, parties, _ = configuration
    outside = parties + (protocol == "semi2k")
    to = {
        "one": (1,),
        "some": (0, outside),
        "outside": (outside,),
        "flag": (outside, 1),
        "rows": (0, outside),
        "c": (outside,),
    }
    ran = run_in(
        configuration,
        lambda a, b: {
            "one": a + b, "some": a * b, "outside": (a * b).sum(), "flag": a < b, "rows": a.size, "c": a[:0].sum() + 4,
        },
        {"a": np.arange(5), "b": np.arange(5)[::-1]},
        outputs=to, outsiders=1, owners={"a": outside, "b": 0},
    )  # fmt: skip
    got = [sorted(results.values) if results else [] for results in ran.outcome.values]
    wanted = [sorted(name for name, who in to.items() if me in who) for me in range(outside + 1)]
    assert got == wanted
    last = ran.outcome.values[outside].values
    assert last["outside"] == 10
    assert last["rows"] == 5
    assert last["c"] == 4
    assert last["flag"].tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
def test_kept_values_are_shares_that_the_next_plan_reads(protocol):
    first = (
        quorate.computation(lambda a: {"n": a * 2, "f": a > 2, "c": a.size}).trace({"a": INT}, {"a": 4}).bind({"a": 4})
    )
    second = (
        quorate.computation(lambda k: {"z": k.n.sum(where=k.f)})
        .trace({"k": {"n": INT, "f": BOOL}}, {"k": 4})
        .bind({"k": 4})
    )

    def program(p, at):
        mine = {("a", "value"): np.arange(1, 5)} if p.me == 0 else {}
        kept = yield from execute(
            first, p, at.child("1"), inputs=mine, owners={"a": 0}, outputs=dict.fromkeys("nfc", "keep"),
            bounds={("a", "value"): (0, 9)},
        )  # fmt: skip
        assert set(kept.kept) == {"n", "f", "c"}
        assert not kept.values
        stored = {("k", "n"): kept.kept["n"], ("k", "f"): kept.kept["f"]}
        return (
            yield from execute(
                second, p, at.child("2"), inputs={}, owners={"k": "stored"}, outputs={"z": (0, 1)}, stored=stored,
                bounds={("k", "n"): (0, 18), ("k", "f"): (0, 1)},
            )
        )  # fmt: skip

    world = World(protocol, seed=3)
    ran, counted = world.run(program), world.count(program)
    assert ran.values[1].values["z"] == 14
    assert (counted.rounds, counted.sent, counted.messages) == (ran.rounds, ran.sent, ran.messages)


def test_stored_shares_of_another_kind_or_length_are_refused():
    plan = quorate.computation(lambda k: {"z": k * 2}).trace({"k": INT}, {"k": 3}).bind({"k": 3})
    for bad in ("short", "bits"):

        def program(p, at, bad=bad):
            share = p.public(np.arange(2)) if bad == "short" else p.public_bits(np.ones(3, np.uint8))
            yield from execute(
                plan, p, at, inputs={}, owners={"k": "stored"}, outputs={"z": (0,)}, stored={("k", "value"): share},
                bounds={("k", "value"): (0, 9)},
            )  # fmt: skip

        with pytest.raises(quorate_errors.UserError, match="declare the columns"):
            World("rep3", seed=1).run(program)


@pytest.mark.parametrize(
    ("values", "message"), [([1, 2, 10], "outside of its declared range"), ([1, 2], "one value per row")]
)
def test_an_owner_cannot_give_what_was_not_agreed(values, message):
    plan = quorate.computation(lambda a: {"z": a * a}).trace({"a": INT}).bind({"a": 3})

    def program(p, at):
        mine = {("a", "value"): np.array(values)} if p.me == 0 else {}
        return execute(plan, p, at, inputs=mine, owners={"a": 0}, outputs={"z": (0,)}, bounds={("a", "value"): (0, 9)})

    with pytest.raises(quorate_errors.DataError, match=message) as caught:
        World("rep3", seed=1).run(program)
    assert "10" not in str(caught.value)


def only(p, values):
    """Arguments of `execute` for one array `a` of party 0 whose result z goes to it."""
    mine = {("a", "value"): np.asarray(values)} if p.me == 0 else {}
    return {"inputs": mine, "owners": {"a": 0}, "outputs": {"z": (0,)}, "bounds": {("a", "value"): (0, 1)}}


def fan(a):
    """A hundred products of which one is needed at a time, if they are done one after the other."""
    total = a
    for k in range(100):
        total = total + (a * (k + 1))[::-1]
    return {"z": total}


def chain(a):
    for _ in range(100):
        a = (a * a)[::-1]
    return {"z": a}


@pytest.mark.parametrize("function", [chain, fan])
def test_memory_is_freed_at_the_last_use(function):
    size = 50_000
    plan = quorate.computation(function).trace({"a": INT}).bind({"a": size})

    def program(p, at):
        return execute(plan, p, at, **only(p, np.ones(size, np.int64)))

    World("clear", 1, seed=1).run(program)
    tracemalloc.start()
    World("clear", 1, seed=1).run(program)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 14 * 8 * size, peak / 8 / size


def test_values_are_forgotten_after_their_last_use():
    """Also those that nobody uses, and bundles."""
    plan = quorate.computation(chain).trace({"a": INT}).bind({"a": 3})
    extra = Operation("neg", (0,), {}, plan.operations[0].type)
    plan = Plan(plan.name, (*plan.operations, extra), plan.outputs)
    most = [0]

    def program(p, at):
        facts = only(p, [0, 1, 0])
        run = _Execution(
            Boundary(plan, p, at, stored={}, **facts),
            plan_ranges(plan, p, facts["bounds"]),
            lambda done, total: most.__setitem__(0, max(most[0], len(run.values))),
        )
        yield from run.work()
        assert not run.values

    World("clear", 1, seed=1).run(program)
    assert 1 <= most[0] <= 3


# -- rounds -----------------------------------------------------------------------------------------------------------


def uneven(x, y, b):
    """A long chain of small operations beside short ones, which meet late; large ones beside."""
    long = x
    for _ in range(7):
        long = long * y
    short = quorate.where(b, x, y)
    meet = short * (x < y) + long
    return {"meet": meet, "early": x * y, "root": (x < meet).sum(), "bits": b & (x == y)}


def entangled(x, y, b):
    """Many chains of different operations that depend on each other in no regular way."""
    source = np.random.default_rng(11)
    values = [x, y, x - y]
    for k in range(16):
        i, j = (int(source.integers(len(values))) for _ in range(2))
        one, other = values[i], values[j]
        kind = k % 4
        new = one - other if kind == 0 else (one < other) * 1 if kind == 1 else quorate.where(b, one, other)
        values.append(new if kind < 3 else (one < 0) * other)
    return {"z": sum(values[1:], values[0])}


def longest_chain(plan, protocol, parties, threshold, bounds):
    """Rounds of the longest chain, from what every operation takes by itself."""
    dealer = parties if protocol == "semi2k" else None
    names = tuple("abcdefgh")[: parties + (dealer is not None)]
    everybody = [
        make(protocol, Session(me, parties, names, dealer, counting=True), threshold) for me in range(len(names))
    ]
    owners = dict.fromkeys(dict.fromkeys(name for name, _ in bounds), 0)
    costs = operation_costs(plan, everybody, bounds, owners)
    ends: list[int] = []
    for operation, cost in zip(plan.operations, costs, strict=True):
        ends.append(max((ends[operand] for operand in operation.operands), default=0) + cost.rounds)
    opened = opening_costs(plan, everybody, dict.fromkeys(plan.outputs, (0,)))
    return max(ends[target] + opened[name].rounds for name, target in plan.outputs.items())


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
@pytest.mark.parametrize("function", [uneven, entangled])
def test_a_plan_takes_the_rounds_of_its_longest_chain(function, configuration, monkeypatch):
    protocol, parties, threshold = configuration
    if protocol == "shamir_quorum" and parties <= 3 * threshold:
        pytest.skip("without `prepare` it makes tuples whenever they run out, in rounds that operations share")
    size = 20
    plan = quorate.computation(function).trace({"x": INT, "y": INT, "b": BOOL}, dict.fromkeys("xyb", size))
    plan = plan.bind(dict.fromkeys("xyb", size))
    bounds = {("x", "value"): (-3, 3), ("y", "value"): (-2, 2), ("b", "value"): (0, 1)}

    def program(p, at):
        outputs = dict.fromkeys(plan.outputs, (0,))
        zeros = {key: np.zeros(size, np.int64) for key in bounds} if p.me == 0 else {}
        owners = dict.fromkeys("xyb", 0)
        return execute(plan, p, at, inputs=zeros, owners=owners, outputs=outputs, bounds=bounds)

    def nothing(p, at):
        yield from ()

    world = World(protocol, parties, threshold, seed=1)
    chain = longest_chain(plan, protocol, parties, threshold, bounds)
    before = world.count(nothing).rounds
    whole = world.count(program)
    assert max(whole.rounds) - max(before) == chain
    assert max(whole.messages) - max(world.count(nothing).messages) <= 2 * parties * chain
    # The same with all operations in tiles, which go on beside.
    monkeypatch.setattr("quorate.circuits.tiles.TILE", 8)
    monkeypatch.setattr("quorate.lang.execute.TILE", 8)
    monkeypatch.setattr("quorate.lang.boundary.TILE", 8)
    tiled = world.count(program)
    assert max(tiled.rounds) - max(before) == chain
    whole_bytes, tiled_bytes = sum(whole.bytes_sent), sum(tiled.bytes_sent)
    if protocol == "shamir_quorum":  # bits of masks are packed tile by tile
        assert whole_bytes <= tiled_bytes < 1.1 * whole_bytes
    else:
        assert tiled_bytes == whole_bytes
    if protocol == "rep3":
        ran = world.run(program)
        assert (tiled.rounds, tiled.sent, tiled.messages) == (ran.rounds, ran.sent, ran.messages)


def test_a_chain_of_ten_thousand_products(capsys):
    def function(a):
        for _ in range(10_000):
            a = a * a
        return {"z": a}

    start = time.perf_counter()
    plan = quorate.computation(function).trace({"a": INT}).bind({"a": 1})
    traced = time.perf_counter() - start

    def program(p, at):
        mine = {("a", "value"): np.array([1])} if p.me == 0 else {}
        return execute(plan, p, at, inputs=mine, owners={"a": 0}, outputs={"z": (0,)}, bounds={("a", "value"): (0, 1)})

    start = time.perf_counter()
    ran = World("clear", 1, seed=1).run(program)
    took = time.perf_counter() - start
    with capsys.disabled():
        print(f"\n10^4 products: traced in {traced:.2f} s, run at {took / 1e4 * 1e6:.1f} µs per operation")
    assert ran.values[0].values["z"].tolist() == [1]
    assert len(plan.operations) == 10_001
