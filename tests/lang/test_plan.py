"""Plans: one encoding and digest per computation; nothing malformed gets in; sizes are bound strictly."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quorate
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.lang.plan import Operation, Plan
from quorate.lang.ranges import plan_ranges
from quorate.protocols.registry import make
from quorate.sharing.dtype import BOOL, INT, fixed


def everything(a, b):
    """Uses every kind of operation."""
    cost = quorate.concatenate([a.cost, b.cost])
    sick = quorate.concatenate([a.sick, b.sick])
    table = a.cost[:6].reshape(2, 3)
    return {
        "n": cost.size,
        "mean": cost.mean(),
        "std": cost.std(),
        "masked": cost.mean(where=sick & (cost > 2) | ~sick ^ (cost == 1.0)),
        "quotient": (b.age[:3] - 2) / (1 + b.age[:3] * b.age[:3]),
        "table": (table @ table.T).sum(0) + cost @ cost * 0.25,
        "choice": quorate.where(a.sick, -a.cost, 0.5)[::-1],
        "flags": sick.astype(int),
    }


COLUMNS = {
    "a": {"cost": fixed(12), "sick": BOOL},
    "b": {"cost": fixed(12), "sick": BOOL, "age": INT},
}
PLAN = quorate.computation(everything).trace(COLUMNS)
ROWS = {"a": 8, "b": 5}
BOUNDS = {
    (name, column): (0, 1) if dtype == BOOL else (0, 4000)
    for name, table in COLUMNS.items()
    for column, dtype in table.items()
}


def analysed(plan: Plan) -> None:
    """All that happens to a foreign plan before anything is sent."""
    p = make("rep3", Session(0, 3, ("a", "b", "c"), None, True), 1)
    plan_ranges(plan.bind(ROWS), p, BOUNDS)


def test_the_encoding_reads_back_and_is_canonical():
    data = PLAN.to_json()
    again = Plan.from_json(data)
    assert again.to_json() == data
    assert again.digest == PLAN.digest
    assert again == PLAN
    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    analysed(again)


def test_the_digest_depends_on_content_only():
    moved = replace(PLAN, operations=tuple(replace(one, where="other.py:1") for one in PLAN.operations))
    shuffled = replace(
        PLAN,
        operations=tuple(replace(one, attributes=dict(reversed(one.attributes.items()))) for one in PLAN.operations),
        outputs=dict(reversed(PLAN.outputs.items())),
    )
    assert moved.digest == shuffled.digest == PLAN.digest
    assert moved.to_json() != PLAN.to_json()
    assert len(PLAN.digest) == 64
    assert replace(PLAN, name="x").digest != PLAN.digest
    assert replace(PLAN, outputs={**PLAN.outputs, "n": 0}).digest != PLAN.digest


def test_equal_operations_are_written_once_and_unused_ones_left_out():
    def function(a):
        a * a * 7
        return {"x": a * a, "y": a * a}

    plan = quorate.computation(function).trace({"a": INT})
    assert [one.kind for one in plan.operations] == ["input", "mul"]
    assert plan.outputs == {"x": 1, "y": 1}
    assert all(one.where.startswith("test_plan.py:") for one in plan.operations if one.kind != "input")


STRANGE = [
    None, True, False, -1, 0, 1, 2, 7, 10**6, 2**70, -(2**70), 1.5, 1e300, "", "x", "rows(a)", "rows(a)+rows(b)",
    "fixed(²)", "fixed(--1)", "fixed(999)", "int", "bool", "mul", "index", [], [1], [[]], ["slice", 1.5, None, None],
    ["list", [0.5]], ["list", [True]], ["new"],
    {}, {"size": "rows(a)"}, {"size": 3}, {"size": []}, {"size": "rows(zz)"},
    {"x": 1}, [2**70], [1.5, 2], ["slice", None, None, 0], ["at", 0],
]  # fmt: skip


def places(value, path=()):
    """Every place in a JSON document."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from places(value[index], (*path, index))


DOCUMENT = json.loads(PLAN.to_json())
PLACES = list(places(DOCUMENT))[1:]


def changed(path, new, how):
    document = json.loads(PLAN.to_json())
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    if how == "set":
        parent[path[-1]] = new
    elif how == "delete":
        del parent[path[-1]]
    elif isinstance(parent, dict):
        parent["zz"] = new
    else:
        parent.insert(path[-1], new)
    return json.dumps(document).encode()


def survives(data: bytes) -> bool:
    """Whether the plan is accepted; anything but `UserError` is a failure."""
    try:
        plan = Plan.from_json(data)
        analysed(plan)
        plan.dump()
    except UserError:
        return False
    assert Plan.from_json(plan.to_json()).digest == plan.digest
    return True


def test_every_place_of_a_plan_is_checked():
    """Each place with each strange value in turn (a fixed sample of them, for time)."""
    accepted = 0
    for number, path in enumerate(PLACES):
        for offset in range(0, len(STRANGE), 6):
            accepted += survives(changed(path, STRANGE[(number + offset) % len(STRANGE)], "set"))
        survives(changed(path, None, "delete"))
        survives(changed(path, STRANGE[number % len(STRANGE)], "insert"))
    assert accepted < len(PLACES)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(PLACES), st.sampled_from(STRANGE), st.sampled_from(["set", "delete", "insert"]))
def test_changed_plans_raise_user_errors_only(path, new, how):
    survives(changed(path, new, how))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_garbage_is_a_user_error(data):
    with pytest.raises(UserError):
        Plan.from_json(data)


def test_large_and_deep_documents_are_refused(monkeypatch):
    with pytest.raises(UserError, match="not a plan"):
        Plan.from_json(b"[" * 100_000)
    monkeypatch.setattr("quorate.lang.plan.LARGEST", 100)
    with pytest.raises(UserError, match="larger"):
        Plan.from_json(PLAN.to_json())


def one(kind, operands, attributes, **changes):
    """A plan of an int input of a's rows, an int constant and one more operation, as JSON."""
    rows = [
        ["input", [], {"input": "a", "column": "value", "dtype": "int"}, "int", ["rows(a)"], True, ""],
        ["constant", [], {"values": [1, 2], "shape": [2], "dtype": "int"}, "int", [2], False, ""],
        [kind, operands, attributes, changes.get("dtype", "int"), changes.get("shape", ["rows(a)"]), True, ""],
    ]
    return json.dumps({"plan": 1, "name": "x", "operations": rows, "outputs": {"z": 2}}).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (one("nothing", [0], {}), "there is no operation 'nothing'"),
        (one("neg", [0, 0], {}), "of 2 operands; it takes 1"),
        (one("add", [0], {}), "of 1 operands; it takes 2"),
        (one("neg", [0], {"extra": 1}), "no attribute extra"),
        (one("neg", [2], {}), "earlier operations"),
        (one("neg", [0], {}, dtype="fixed(3)"), "but it is secret int"),
        (one("neg", [0], {}, shape=[3]), "but it is secret int"),
        (one("mul", [0, 0], {"shift": True}), "whole number"),
        (one("mul", [0, 0], {"shift": 60}), "between 0 and 59"),
        (one("sum", [0], {"axis": 1}, shape=[]), "axis 1"),
        (one("div_public", [0], {"divisor": 0, "scale": 16}, dtype="fixed(16)"), "division by 0"),
        (one("div_public", [0], {"divisor": 2.5, "scale": 16}, dtype="fixed(16)"), "whole number"),
        (one("div_public", [0], {"divisor": "rows(a)", "scale": 16}, dtype="fixed(16)"), "whole number"),
        (one("div", [0, 0], {"scale": 16, "bound": 1}, dtype="fixed(16)"), "no attribute bound"),
        (one("index", [0], {"index": [["list", [True]]]}, shape=[1]), "whole number"),
        (one("constant", [], {"values": [1.5], "shape": [1], "dtype": "int"}, shape=[1]), "integers"),
        (one("constant", [], {"values": [2], "shape": [1], "dtype": "bool"}, dtype="bool", shape=[1]), "0 or 1"),
        (one("concat", [], {"axis": 0}), "one or more"),
        (one("neg", [0], {}, dtype="fixed(²)"), "not a data type"),
    ],
)
def test_what_is_wrong_is_named(data, message):
    with pytest.raises(UserError, match="operation 2") as caught:
        Plan.from_json(data)
    assert message in str(caught.value)


def test_binding_fills_in_every_size():
    bound = PLAN.bind(ROWS)
    assert all(isinstance(size, int) for operation in bound.operations for size in operation.type.shape)
    assert "rows(" not in bound.to_json().decode()
    with pytest.raises(UserError, match="'b' is not known"):
        PLAN.bind({"a": 8})


def traced(function, **columns):
    return quorate.computation(function).trace(columns)


def test_binding_refuses_what_does_not_come_out():
    first = traced(lambda a: {"z": a[:3].mean()}, a=INT)
    assert first.bind({"a": 3})
    with pytest.raises(UserError, match="too few rows"):
        first.bind({"a": 2})
    with pytest.raises(UserError, match="out of range"):
        traced(lambda a: {"z": a[5]}, a=INT).bind({"a": 5})
    with pytest.raises(UserError, match="negative"):
        traced(lambda a: {"z": a[5:]}, a=INT).bind({"a": 4})
    with pytest.raises(UserError, match="mean of no rows"):
        traced(lambda a: {"z": a.mean()}, a=INT).bind({"a": 0})
    with pytest.raises(UserError, match="division by 0"):
        traced(lambda a: {"z": a.var(ddof=1)}, a=INT).bind({"a": 1})
    static = quorate.computation(lambda a: {"z": a + 1}).trace({"a": INT}, {"a": 4})
    assert static.bind({"a": 4})
    with pytest.raises(UserError, match=r"too few rows|another number"):
        static.bind({"a": 5})


def test_slices_of_rows_keep_their_meaning_when_bound():
    function = lambda a: {"head": a[:-1], "tail": a[-3:], "some": a[-3:-1], "rest": a[2:], "back": a[::-1]}  # noqa: E731
    plan = traced(function, a=INT).bind({"a": 6})
    for name, target in plan.outputs.items():
        assert plan.operations[target].type.shape == function(np.arange(6))[name].shape


def test_dump_shows_every_operation():
    text = PLAN.dump()
    lines = text.splitlines()
    assert PLAN.digest in lines[0]
    assert len(lines) == 1 + len(PLAN.operations)
    assert "secret fixed(12)[rows(a)+rows(b)]" in text
    assert all(f"-> {name}" in text for name in PLAN.outputs)
    assert "# test_plan.py:" in text


def test_an_operation_is_data():
    assert isinstance(PLAN.operations[0], Operation)
    assert PLAN.inputs["a", "cost"] == fixed(12)


def test_a_value_that_no_memory_could_hold_is_refused_when_rows_are_known():
    @quorate.computation
    def all_pairs(a, b):
        return {"out": (a[:, None] * b[None, :]).sum()}

    plan = all_pairs.trace({"a": quorate.INT, "b": quorate.INT})
    plan.bind({"a": 100, "b": 100})
    with pytest.raises(UserError, match="more than 4294967296 elements"):
        plan.bind({"a": 1 << 20, "b": 1 << 20})
