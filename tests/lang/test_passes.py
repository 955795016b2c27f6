"""Passes: the same results, never at a higher cost or with a larger error, and what each is for."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import quorate
from quorate.engine.session import Session
from quorate.errors import InternalError, UserError
from quorate.lang.execute import execute
from quorate.lang.passes import PASSES, Facts, Pass, optimise, steps
from quorate.lang.plan import Operation, Plan, Type
from quorate.protocols.registry import make
from quorate.sharing.dtype import BOOL, INT, fixed
from quorate.testing.world import World

SIZE = 6
TYPES = {"i": INT, "j": INT, "x": fixed(12), "y": fixed(12), "b": BOOL, "c": BOOL}
ROWS = dict.fromkeys(TYPES, SIZE)
BOUNDS = {
    (name, "value"): (0, 1) if dtype == BOOL else (-(5 << dtype.scale), 5 << dtype.scale)
    for name, dtype in TYPES.items()
}
PROTOCOLS = {"rep3": 3, "shamir": 3, "semi2k": 2}


@functools.cache
def facts(protocol: str, names: tuple[str, ...] = tuple(TYPES), size: int = SIZE) -> Facts:
    parties = PROTOCOLS[protocol]
    dealer = parties if protocol == "semi2k" else None
    who = tuple("abcdef")[: parties + (dealer is not None)]
    everybody = [make(protocol, Session(me, parties, who, dealer, counting=True)) for me in range(len(who))]
    bounds = {key: range_ for key, range_ in BOUNDS.items() if key[0] in names}
    return Facts(everybody, bounds, dict.fromkeys(names, size), dict.fromkeys(names, 0))


def trace(function, *names: str, size: int | None = SIZE) -> Plan:
    rows = None if size is None else dict.fromkeys(names, size)
    return quorate.computation(function).trace({name: TYPES[name] for name in names}, rows)


def evaluate(plan: Plan, data: dict[str, np.ndarray], protocol: str = "clear", size: int = SIZE):
    """All outputs; constants too."""
    bound = plan.bind(dict.fromkeys(data, size))

    def program(p, at):
        mine = {(name, "value"): TYPES[name].encode(values) for name, values in data.items()} if p.me == 0 else {}
        bounds = {(name, "value"): BOUNDS[name, "value"] for name in data}
        to = dict.fromkeys(plan.outputs, (0,))
        return execute(bound, p, at, inputs=mine, owners=dict.fromkeys(data, 0), outputs=to, bounds=bounds)

    return World(protocol, seed=5).run(program).values[0].values


def data(seed: int) -> dict[str, np.ndarray]:
    source = np.random.default_rng(seed)
    made = {}
    for name, dtype in TYPES.items():
        if dtype == BOOL:
            made[name] = source.integers(0, 2, SIZE).astype(bool)
        else:
            made[name] = source.integers(-(5 << dtype.scale), (5 << dtype.scale) + 1, SIZE) / 2**dtype.scale
    return made


def same(left, right, slack) -> None:
    assert left.keys() == right.keys()
    for name, values in left.items():
        assert values.shape == right[name].shape
        assert np.abs(values.astype(float) - right[name].astype(float)).max(initial=0) <= slack[name], name


# -- random plans -----------------------------------------------------------------------------------------------------

NUMBERS = {
    "add": lambda a, b, f: a + b,
    "sub": lambda a, b, f: a - b,
    "neg": lambda a, b, f: -a,
    "mul": lambda a, b, f: a * b,
    "one": lambda a, b, f: a * 1,
    "zero": lambda a, b, f: b - b + a,
    "scaled": lambda a, b, f: a * 0.3 + b * 0.7,
    "plus a constant": lambda a, b, f: a + 3,
    "where": lambda a, b, f: quorate.where(f, a, b),
    "masked": lambda a, b, f: a * f,
    "sum": lambda a, b, f: (a * b).sum() + a,
    "sum of chosen": lambda a, b, f: a.sum(where=f) - b,
    "reversed": lambda a, b, f: a[::-1],
    "smaller": lambda a, b, f: quorate.minimum(a, b),
    "size": lambda a, b, f: abs(a),
    "finer": lambda a, b, f: a.astype(fixed(20)).astype(fixed(12)) + b,
}
FLAGS = {
    "less": lambda a, b, f, g: a < b,
    "at least": lambda a, b, f, g: a >= b,
    "limit": lambda a, b, f, g: (a > 2) & (a < 3) | (a <= 2),
    "equal": lambda a, b, f, g: a == b,
    "difference": lambda a, b, f, g: a - b < 0,
    "and": lambda a, b, f, g: f & g,
    "or": lambda a, b, f, g: f | ~g,
    "xor": lambda a, b, f, g: f ^ g,
    "not": lambda a, b, f, g: ~f,
    "count": lambda a, b, f, g: (f.astype(int) * g.astype(int)).sum() < 2,
}
STEP = st.tuples(st.sampled_from([*NUMBERS, *FLAGS]), *[st.integers(0, 99)] * 4)


def program(choices):
    """A computation that applies the chosen operations to inputs and earlier results; outputs the last few."""

    def function(i, j, x, y, b, c):
        numbers, flags = [i, j, x, y], [b, c]
        for name, one, other, left, right in choices:
            a, d = numbers[one % len(numbers)], numbers[other % len(numbers)]
            f, g = flags[left % len(flags)], flags[right % len(flags)]
            if name in NUMBERS:
                numbers.append(NUMBERS[name](a, d, f))
            else:
                flags.append(FLAGS[name](a, d, f, g))
        values = numbers[-3:] + flags[-3:]
        return {f"z{k}": value for k, value in enumerate(values)}

    return trace(function, *TYPES)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(STEP, min_size=1, max_size=10), st.sampled_from(sorted(PROTOCOLS)), st.integers(0, 2**32))
def test_random_plans_compute_the_same_and_cost_no_more(choices, protocol, seed):
    holds(choices, protocol, seed)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=1, max_size=16), st.sampled_from(sorted(PROTOCOLS)), st.integers(0, 2**32))
def test_many_random_plans_compute_the_same_and_cost_no_more(choices, protocol, seed):
    holds(choices, protocol, seed)


def holds(choices, protocol, seed):
    """Every pass by itself keeps the results, within the errors that are stated, and neither cost nor errors grow."""
    plan, known = program(choices), facts(protocol)
    try:
        figures = known.figures(plan)
    except UserError:  # values that may not fit
        return
    columns = data(seed)
    results, promised = evaluate(plan, columns), figures.errors
    for applied in steps(plan, known):
        if applied.after is applied.before:
            continue
        after = known.figures(applied.after)
        assert after.no_worse_than(figures), (applied.name, figures, after, applied.before.dump(), applied.after.dump())
        slack = {name: promised[name] + after.errors[name] for name in plan.outputs}
        same(results, evaluate(applied.after, columns), slack)
        figures = after
    again = Plan.from_json(applied.after.to_json())
    assert again.digest == applied.after.digest
    assert [one.type for one in again.operations] == [one.type for one in applied.after.operations]
    assert optimise(plan, known, check=True) == applied.after
    same(results, evaluate(optimise(plan), columns), {name: 2 * error for name, error in promised.items()})


# -- what each pass is for --------------------------------------------------------------------------------------------


def kinds(plan: Plan) -> list[str]:
    return sorted(one.kind for one in plan.operations if one.kind not in ("input", "constant"))


def where_b(x, y, b):
    return {"z": quorate.where(b, x, y), "w": quorate.where(b, y, x), "v": quorate.where(b, x * 2, y)}


# name: (protocol, computation, names of its inputs, passes that change the plan, kinds afterwards)
EXAMPLES = {
    "sum of products": ("rep3", lambda x, y: {"z": (x * y).sum()}, "xy", ["sums"], ["dot"]),
    "sum over two axes": (
        "rep3", lambda x, y: {"z": (x.reshape(2, 3) * y.reshape(2, 3)).sum()}, "xy", ["sums", "tidy"], ["dot"],
    ),
    "sum over the first axis": (
        "rep3", lambda x, y: {"z": (x.reshape(2, 3) * y.reshape(2, 3)).sum(0)}, "xy", ["sums"],
        ["dot", "reshape", "reshape", "transpose", "transpose"],
    ),
    "sum of chosen": ("rep3", lambda x, b: {"z": x.sum(where=b)}, "xb", ["sums"], ["dot", "to_int"]),
    "sum of a choice": ("shamir", lambda x, b: {"z": quorate.where(b, x, 0).sum()}, "xb", ["sums"], ["dot", "to_int"]),
    "products written out": ("rep3", lambda x, y: {"z": x * y + y * y - x * x}, "xy", ["terms"], ["products"]),
    "inner products": ("rep3", lambda x, y: {"z": x @ y - x @ x}, "xy", ["terms"], ["inner_products"]),
    "weighted sum": (
        "rep3", lambda x, y: {"z": x * 0.3 + y * 0.7 + x[::-1] * 0.1}, "xy", ["truncation"],
        ["add", "add", "index", "mul", "mul", "mul", "rescale", "rescale", "rescale"],
    ),
    "sum of scaled": ("rep3", lambda x: {"z": (x * 0.3).sum()}, "x", ["truncation"], ["mul", "rescale", "sum"]),
    "factor made finer": ("rep3", lambda i, x: {"z": i.astype(fixed(12)) * x}, "ix", ["scales"], ["mul"]),
    "finer and back": ("rep3", lambda x: {"z": x.astype(fixed(20)).astype(fixed(12)) + x}, "x", ["scales"], ["add"]),
    "coarser after a product": ("rep3", lambda x, y: {"z": (x * y).astype(fixed(6))}, "xy", ["scales"], ["mul"]),
    "power": ("rep3", lambda i: {"z": i * i * i * i}, "i", ["trees"], ["mul", "mul"]),
    "conjunctions": (
        "rep3", lambda b, c, i: {"z": (b & c & (i[0] < 3) & (i[1] < 2) & (i[2] < 1))}, "bci", ["trees"],
        ["and"] * 4 + ["index"] * 3 + ["lt"] * 3,
    ),
    "comparisons of one value": (
        "rep3", lambda i: {"z": i < 3, "w": i >= 3, "v": i > 2, "u": i <= 2}, "i", ["comparisons", "tidy"],
        ["lt", "not"],
    ),
    "differences": ("rep3", lambda i, j: {"z": i - j < 0, "w": i - j == 0, "v": i - j > 0}, "ij", ["comparisons"],
                    ["eq", "lt", "lt"]),
    "decided by ranges": (
        "rep3", lambda i, b: {"z": quorate.where(i < 100, i, 0), "w": abs(i + 5), "e": i == 9}, "ib",
        ["ranges", "tidy"], ["add", "broadcast"],
    ),
    "count": ("rep3", lambda b, c: {"z": (b.astype(int) * c.astype(int)).sum()}, "bc", ["bits"], ["and", "count"]),
    "opposites": (
        "rep3", lambda b: {"z": b.astype(int), "w": (~b).astype(int)}, "b", ["bits"], ["sub", "to_int"],
    ),
    "several choices": ("shamir", where_b, "xyb", ["choices"], ["blend", "blend", "blend", "mul", "to_int"]),
    "one choice": ("rep3", lambda x, b: {"z": x * b}, "xb", ["choices"], ["select"]),
    "a choice for every column": (
        "semi2k", lambda x, y, b: {"z": quorate.where(b[:, None], x[None], y[None])}, "xyb", ["choices"],
        ["blend", "index", "index", "index", "to_int"],
    ),
    "neutral elements": (
        "rep3", lambda x, b, c: {"z": (x - x + x) * 1 + 0, "w": ~(~b) & (b | ~b), "v": operator.neg(-x), "u": b ^ b},
        "xbc", ["algebra"], ["broadcast"],
    ),
    "shapes changed twice": (
        "rep3", lambda x, y: {"z": x.reshape(2, 3).T.T.reshape(6) + y}, "xy", ["algebra"], ["add"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_pass_does_what_it_is_for(name):
    protocol, function, names, changed, left = EXAMPLES[name]
    plan, known = trace(function, *names), facts(protocol, tuple(names))
    done = list(steps(plan, known, check=True))
    assert [one.name for one in done if one.after is not one.before] == changed
    assert not any(one.refused for one in done)
    after = done[-1].after
    assert kinds(after) == sorted(left)
    before, now = known.figures(plan), known.figures(after)
    assert now.no_worse_than(before)
    columns = {column: values for column, values in data(3).items() if column in names}
    for protocol_ in ("clear", protocol):
        slack = {output: before.errors[output] + now.errors[output] for output in plan.outputs}
        same(evaluate(plan, columns), evaluate(after, columns, protocol_), slack)


def test_row_counts_may_be_open():
    plan = trace(lambda x: {"z": (x[:, None] * (x + 1)[:, None]).sum()}, "x", size=None)
    after = optimise(plan, facts("rep3", ("x",)), check=True)
    assert "dot" in kinds(after)
    assert "mul" not in kinds(after)
    columns = {"x": data(4)["x"]}
    same(evaluate(plan, columns), evaluate(after, columns), {"z": 0.1})


def test_sums_are_not_put_before_truncations_where_they_would_not_fit(monkeypatch):
    monkeypatch.setitem(BOUNDS, ("x", "value"), (-(1 << 29), 1 << 29))
    known = facts.__wrapped__("shamir", ("x",))
    squares = trace(lambda x: {"z": (x * x).sum()}, "x")
    assert kinds(optimise(squares, known)) == ["mul", "sum"]
    known.figures(squares)
    monkeypatch.setitem(BOUNDS, ("x", "value"), (-(1 << 34), 1 << 34))
    known = facts.__wrapped__("shamir", ("x",))
    scaled = trace(lambda x: {"z": (x * 0.3).sum() + (x * 0.7).sum()}, "x")
    assert kinds(optimise(scaled, known)).count("rescale") == 0
    known.figures(scaled)


def test_a_product_that_others_use_is_not_made_a_second_time():
    def function(x):
        square = x * x
        return {"z": square.astype(fixed(20)).astype(fixed(12)).astype(fixed(16)), "w": square + 1}

    plan, known = trace(function, "x"), facts("rep3", ("x",))
    after = optimise(plan, known)
    assert kinds(after).count("mul") == 1
    assert known.figures(after).no_worse_than(known.figures(plan))


def test_a_pass_that_would_make_things_worse_is_refused(monkeypatch):
    def worse(plan, known):
        extra = Operation("mul", (0, 0), {}, plan.operations[0].type)
        return Plan(plan.name, (*plan.operations, extra), {**plan.outputs, "z": len(plan.operations)})

    def too_large(plan, known):
        operations = list(plan.operations)
        for _ in range(6):
            last = len(operations) - 1
            operations.append(Operation("mul", (last, last), {}, operations[0].type))
        return Plan(plan.name, tuple(operations), {"z": len(operations) - 1})

    plan, known = trace(lambda i: {"z": i + i}, "i"), facts("rep3", ("i",))
    for bad, why in ((worse, "cost more"), (too_large, "would not fit")):
        monkeypatch.setattr("quorate.lang.passes.PASSES", (Pass("bad", bad),))
        (applied,) = steps(plan, known, check=True)
        assert why in applied.refused
        assert applied.after is plan
        assert optimise(plan, known, check=True) is plan
    assert optimise(plan, known) is plan  # that values fit is looked at in any case


def test_types_that_do_not_follow_are_noticed():
    plan = trace(lambda i, j: {"z": i + j}, "i", "j")
    wrong = Operation("add", (0, 1), {}, plan.operations[0].type.bundle([plan.operations[0].type]))
    with pytest.raises(InternalError, match=r"operation 2 \(add\) is secret int"):
        optimise(Plan("wrong", (*plan.operations[:2], wrong), {"z": 2}))
    later = Operation("add", (0, 2), {}, plan.operations[2].type)
    with pytest.raises(InternalError, match="do not come before"):
        optimise(Plan("wrong", (*plan.operations[:2], later), {"z": 2}))


def test_constants_are_folded_and_equal_operations_shared():
    plan = trace(lambda i, j: {"z": i * j + j * i, "w": i + j}, "i", "j")
    public = Type(INT, (), False)
    two = [Operation("constant", (), {"values": [k], "shape": [], "dtype": "int"}, public) for k in (3, 4)]
    sum_ = Operation("mul", (2, 3), {}, Type(INT, ()))
    use = Operation("mul", (0, 4), {}, plan.operations[0].type)
    folded = optimise(Plan("p", (*plan.operations[:2], *two, sum_, use), {"z": 5}))
    assert kinds(folded) == ["mul"]
    assert folded.operations[1].attributes["values"] == [12]
    shared = optimise(plan)
    assert kinds(shared).count("mul") <= 1


def test_every_pass_says_in_a_line_what_it_does():
    assert len({one.name for one in PASSES}) == len(PASSES)
    for one in PASSES:
        assert one.summary.endswith("."), one.name


def test_a_fused_sum_is_as_far_from_zero_as_its_terms():
    def sums(x, y):
        x, y = quorate.clip(x, 2, 3), quorate.clip(y, 2, 3)
        return {"sum": x * y + y * y + x * x}

    who, plan = facts("rep3", ("x", "y")), trace(sums, "x", "y")
    fused = optimise(plan, who)
    assert any(operation.kind in ("products", "inner_products") for operation in fused.operations)
    for made in (plan, fused):
        low, high = who.ranges(made)[made.outputs["sum"]]
        assert (12 << 12) - 20 < low < high < (27 << 12) + 20


@pytest.mark.parametrize("protocol", ["rep3_malicious", "shamir_malicious"])
def test_prices_of_one_kind_do_not_meet_what_the_last_one_left_to_check(protocol):
    everybody = [make(protocol, Session(me, 3, ("a", "b", "c"), None, counting=True), 1) for me in range(3)]
    facts = Facts(everybody, {}, {}, {})
    for size in (4, 5, 6):
        facts.price("to_int", [Type(BOOL, (size,))], [(0, 1)], {}, Type(INT, (size,)))
