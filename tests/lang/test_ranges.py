"""Ranges: proven before anything is sent, never left by real values, and refused where they may overflow."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quorate
from quorate.circuits.scaling import divide_public, division_error, division_plan
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.lang import execute as execute_module
from quorate.lang.execute import execute
from quorate.protocols.registry import make
from quorate.sharing.dtype import INT, fixed
from quorate.testing.world import World

INTS = {"a": INT, "b": INT}


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda a, b: a * b, "mul"),
        (lambda a, b: (a * 0.5).sum() * (b * 0.5).sum(), "mul"),
        (lambda a, b: a @ b, "dot"),
        (lambda a, b: a[:4].reshape(2, 2) @ b[:4].reshape(2, 2), "matmul"),
        (lambda a, b: a.astype(quorate.fixed(40)), "rescale"),
        (lambda a, b: a / 3, "div_public"),
        (lambda a, b: a**3, "mul"),
        (lambda a, b: b.var(), "mean_square"),
        (lambda a, b: (a - 2**61) < (b + 2**61), "lt"),
    ],
)
def test_overflow_is_refused_with_operation_line_and_hint(function, kind, dry):
    with pytest.raises(UserError) as caught:
        dry(lambda a, b: {"z": function(a, b)}, {"a": (-(2**50), 2**50), "b": (0, 2**31)}, INTS, a=8, b=8)
    message = str(caught.value)
    assert f", {kind} (test_ranges.py:" in message
    assert "declare narrower ranges" in message


def test_nothing_is_sent_before_ranges_are_proven():
    plan = quorate.computation(lambda a: {"z": a * a}).trace({"a": INT}).bind({"a": 1})
    sent = []

    def program(p, at):
        sent.clear()
        return execute(
            plan, p, at, inputs={("a", "value"): np.array([1])} if p.me == 0 else {}, owners={"a": 0},
            outputs={"z": (0,)}, bounds={("a", "value"): (0, 2**40)},
        )  # fmt: skip

    with pytest.raises(UserError, match="mul"):
        World("rep3", seed=1, intercept=lambda *message: sent.append(message) or message[3]).run(program)
    assert not sent


@pytest.mark.parametrize(
    ("function", "range_"),
    [
        (lambda a, b: a * a, (0, 25)),
        (lambda a, b: a * b, (-30, 18)),
        (lambda a, b: a @ a, (0, 100)),
        (lambda a, b: a.reshape(2, 2) @ a.reshape(2, 2), (-30, 50)),
        (lambda a, b: a - b, (-11, 0)),
        (lambda a, b: -a, (-3, 5)),
        (lambda a, b: quorate.where(a < b, a, b), (-5, 6)),
        (lambda a, b: a.sum(), (-20, 12)),
        (lambda a, b: a[1:1].sum(), (0, 0)),
    ],
)
def test_ranges_of_operations(function, range_, dry):
    plan, ranges = dry(lambda a, b: {"z": function(a, b)}, {"a": (-5, 3), "b": (3, 6)}, INTS, a=4, b=4)
    assert ranges[plan.outputs["z"]] == range_


STEPS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: b - a,
    "mul": lambda a, b: a * b,
    "scaled": lambda a, b: a * 0.37 - b,
    "square": lambda a, b: a * a,
    "matrix": lambda a, b: (a.reshape(2, 2) @ a.reshape(2, 2)).reshape(-1),
    "neg": lambda a, b: -a,
    "abs": lambda a, b: abs(a),
    "choice": lambda a, b: quorate.where(a < b, a, b * 2),
    "seventh": lambda a, b: a / -7,
    "quotient": lambda a, b: a / (b * b + 1),
    "mean": lambda a, b: a - a.mean(),
    "masked": lambda a, b: b - a.mean(where=a > b),
    "var": lambda a, b: a + b.var(),
    "std": lambda a, b: a.std() - b,
    "sum": lambda a, b: a.sum() + b,
    "root": lambda a, b: quorate.sqrt(a * a + 0.25) + b,
}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4),
    st.sampled_from([2**3, 2**10, 2**20, 2**26]),
    st.lists(st.sampled_from([-1.0, -0.5, 0.0, 1.0, 1e-4]), min_size=8, max_size=8),
    st.sampled_from(["rep3", "shamir", "semi2k"]),
)
def test_values_never_leave_their_range(steps, size, parts, protocol):
    """Random chains at the ends of their ranges: every intermediate value, opened, lies in the range proven for it."""

    def function(a, b):
        for step in steps:
            a, b = STEPS[step](a, b), a
        return {"z": a}

    raw = np.rint(np.array(parts) * size).astype(np.int64)
    plan = quorate.computation(function).trace({"a": fixed(8), "b": fixed(8)}, {"a": 4, "b": 4}).bind({"a": 4, "b": 4})
    bounds = {("a", "value"): (-size, size), ("b", "value"): (-size, size)}
    everything = {str(k): k for k, one in enumerate(plan.operations) if one.type.dtype.kind != "bool"}
    shown = type(plan)(plan.name, plan.operations, everything)
    proven = []

    def program(p, at):
        proven[:] = execute_module.plan_ranges(shown, p, bounds)
        mine = {("a", "value"): raw[:4], ("b", "value"): raw[4:]} if p.me == 0 else {}
        return execute(
            shown, p, at, inputs=mine, owners={"a": 0, "b": 0}, outputs=dict.fromkeys(everything, (0,)), bounds=bounds
        )

    try:
        results = World(protocol, seed=9).run(program).values[0]
    except UserError as problem:
        assert "declare" in str(problem) or "finer" in str(problem)  # noqa: PT017
        return
    for name, values in results.values.items():
        low, high = proven[int(name)]
        opened = plan.operations[int(name)].type.dtype.encode(values)
        assert low <= opened.min(initial=low), plan.dump()
        assert opened.max(initial=high) <= high, plan.dump()


ADVERSARIAL = [
    (lambda a: {"z": a / 3}, fixed(16), 2**40),
    (lambda a: {"z": a / 3}, INT, 2**40),
    (lambda a: {"z": a / (2**40 - 1)}, fixed(16), 2**59),
    (lambda a: {"z": a / -1023}, fixed(30), 2**55),
    (lambda a: {"z": a / 1.001}, fixed(16), 2**36),
    (lambda a: {"z": a / 0.001}, fixed(16), 2**40),
    (lambda a: {"z": a.mean()}, fixed(48), 2**55),
    (lambda a: {"z": a.mean()}, INT, 2**41),
    (lambda a: {"z": a.var()}, fixed(16), 2**30),
    (lambda a: {"z": a.var()}, fixed(16), 2**37),
    (lambda a: {"z": a.var(ddof=6)}, INT, 2**13),
    (lambda a: {"z": a.var()}, fixed(40), 2**44),
    (lambda a: {"z": a.var()}, fixed(0), 2**28),
    (lambda a: {"z": a.std()}, fixed(16), 2**36),
    (lambda a: {"z": a.mean(where=a > 0)}, fixed(16), 2**30),
    (lambda a: {"z": a / (a * a + 1)}, fixed(16), 2**20),
    (lambda a: {"z": 1 / (a * a + 2**-4)}, fixed(16), 2**20),
    (lambda a: {"z": quorate.sqrt(a * a + 2**-8)}, fixed(16), 2**22),
    (lambda a: {"z": a * 1e-6}, fixed(16), 2**34),
    (lambda a: {"z": a * 12345.678}, fixed(16), 2**30),
]

FACTORS = (18, 19)


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
@pytest.mark.parametrize("case", range(len(ADVERSARIAL)))
def test_wide_ranges_give_right_results_or_a_refusal(case, protocol, run_in):
    function, dtype, size = ADVERSARIAL[case]
    raw = np.array([size, -size, size - 1, 1, 0, -1, size // 3])
    values = dtype.decode(raw)
    configuration = (protocol, {"semi2k": 2}.get(protocol, 3), 1)
    try:
        ran = run_in(configuration, function, {"a": values}, dtypes={"a": dtype})
    except UserError as problem:
        assert "declare" in str(problem) or "finer" in str(problem)  # noqa: PT017
        pytest.skip(f"refused: {problem}")
    x = values.astype(np.longdouble)
    with np.errstate(divide="ignore"):
        wanted = reference(case, x)
    error, bound = np.abs(ran.values["z"] - wanted).max(), ran.errors["z"]
    assert np.isfinite(bound)
    relative = 2.0**-23 if case in FACTORS else 2.0**-50  # the plan keeps about 24 bits of a factor; float64 keeps 53
    assert error <= bound + np.abs(wanted).max() * relative, (error, bound)


def reference(case, x):
    if case == 14:
        return x[x > 0].mean()
    if case == 17:
        return np.sqrt(x * x + 2**-8)
    return np.asarray(ADVERSARIAL[case][0](x)["z"])


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
@pytest.mark.parametrize("limit", [1, 2**30, 2**55, 2**57 + 3, 2**58])
@pytest.mark.parametrize("raised", [-40, -16, 0, 16])
def test_public_division_is_right_to_the_last_place_wherever_it_is_possible(protocol, limit, raised):
    world = World(protocol, seed=3)
    p = make(protocol, Session(0, world.parties, ("a", "b", "c"), world.dealer, True))
    x = np.array([limit, -limit, limit // 3, 0, 1, -(limit // 7)])
    for divisor in (1, 2, 7, 1000, -(2**20) - 7, 2**39 - 1):
        if limit * Fraction(2) ** raised / abs(divisor) * 2 >= 1 << p.capacity:
            continue
        try:
            how = division_plan(p, abs(divisor), raised, limit)
        except UserError:
            assert raised == -40 or limit > 2**57
            continue
        assert len(how.steps) <= 3

        def program(p, at, divisor=divisor):
            share = yield from p.input(at.child("in"), 0, x.shape, x if p.me == 0 else None)
            quotient = yield from divide_public(p, at.child("divide"), share, divisor, raised, limit)
            return (yield from p.reveal(at.child("out"), quotient, (0,)))

        for value, got in zip(x.tolist(), world.run(program).values[0].tolist(), strict=True):
            assert abs(value * Fraction(2) ** raised / divisor - got) <= division_error(p), (divisor, value)
