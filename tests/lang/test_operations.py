"""Every registered kind passes the conformance suite for operations."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.engine.exchange import Step
from quorate.lang.operations import base
from quorate.lang.operations.base import _KINDS, Error, Kind
from quorate.lang.plan import Type
from quorate.sharing.dtype import BOOL, INT, fixed
from quorate.testing.operation_conformance import Operand, check_operation

F = fixed(12)
I6 = Operand([3, -4, 0, 7, -1, 3])
J6 = Operand([3, 2, -5, 7, 1, 2])
P6 = Operand([3, 4, 0, 7, 1, 3], bounds=(0, 7))
Q6 = Operand([1, 2, 3, 1, 5, 2], bounds=(1, 8))
X6 = Operand([1.5, -2.25, 0.0, 3.75, -0.5, 2.0], F)
Y6 = Operand([0.5, 1.0, 2.5, -1.25, 3.0, 2.0], F)
D6 = Operand([0.5, 1.0, 2.5, 1.25, 3.0, 2.0], F, bounds=(2048, 1 << 14))
B6 = Operand([True, False, True, True, False, False], BOOL)
C6 = Operand([True, True, False, True, False, True], BOOL)
M = Operand([[1, 2, 3], [4, -5, 6]])
S = {"scale": 12}

# (kind, operands, attributes, oracle)
EXAMPLES = [
    ("add", [X6, Y6], {}, lambda a, b: a + b),
    ("sub", [I6, J6], {}, lambda a, b: a - b),
    ("neg", [I6], {}, lambda a: -a),
    ("mul", [I6, J6], {}, lambda a, b: a * b),
    ("mul", [X6, Y6], {"shift": 12}, lambda a, b: a * b),
    ("mul", [X6, Operand(0.75, F, secret=False)], {"shift": 12}, lambda a, b: a * b),
    ("dot", [X6, Y6], {"shift": 12}, np.dot),
    ("matmul", [M, Operand([[1, 2], [0, 3], [5, 6]])], {}, np.matmul),
    ("sum", [M], {"axis": 1}, lambda a: a.sum(1)),
    ("rescale", [X6], {"scale": 6}, lambda a: a),
    ("rescale", [X6], {"scale": 16}, lambda a: a),
    ("div_public", [X6], {"divisor": 7, "scale": 12}, lambda a: a / 7),
    ("mean_square", [X6], {"axis": 0, "divisor": 5, "scale": 12}, lambda a: (a**2).sum() / 5),
    ("div", [X6, D6], S, lambda a, b: a / b),
    ("masked_mean", [X6, B6], {"axis": 0, "scale": 12}, lambda a, b: a[b].mean()),
    ("sqrt", [D6], S, np.sqrt),
    ("products", [X6, Y6, Y6, Y6, X6, X6], {"signs": [1, -1, 1], "shift": 12},
     lambda a, b, c, d, e, f: a * b - c * d + e * f),
    ("inner_products", [X6, Y6, Y6, Y6], {"signs": [1, -1], "shift": 12}, lambda a, b, c, d: a @ b - c @ d),
    ("blend", [Operand([0, 1, 1, 0, 1, 0]), X6, Y6], {}, lambda c, a, b: np.where(c, a, b)),
    ("lt", [X6, Y6], {}, lambda a, b: a < b),
    ("eq", [I6, J6], {}, lambda a, b: a == b),
    ("and", [B6, C6], {}, lambda a, b: a & b),
    ("or", [B6, C6], {}, lambda a, b: a | b),
    ("xor", [B6, C6], {}, lambda a, b: a ^ b),
    ("not", [B6], {}, lambda a: ~a),
    ("select", [B6, X6, Y6], {}, np.where),
    ("select", [Operand(C6.values, BOOL, secret=False), X6, Y6], {}, np.where),
    ("to_int", [B6], {}, lambda a: a.astype(int)),
    ("index", [I6], {"index": [["slice", 4, None, -2]]}, lambda a: a[4::-2]),
    ("reshape", [I6], {"shape": [2, 3]}, lambda a: a.reshape(2, 3)),
    ("transpose", [M], {"axes": [1, 0]}, lambda a: a.T),
    ("concat", [I6, J6], {"axis": 0}, lambda a, b: np.concatenate([a, b])),
    ("broadcast", [I6], {"shape": [2, 6]}, lambda a: np.broadcast_to(a, (2, 6))),
    ("abs", [I6], {}, np.abs),
    ("sign", [X6], {}, np.sign),
    ("minimum", [X6, Y6], {}, np.minimum),
    ("maximum", [I6, J6], {}, np.maximum),
    ("clip", [I6], {"low": -2, "high": 4}, lambda a: a.clip(-2, 4)),
    ("floor_div_public", [I6], {"divisor": 3}, lambda a: a // 3),
    ("mod_public", [I6], {"divisor": 3}, lambda a: a % 3),
    ("floor_div", [I6, Q6], {}, lambda a, b: a // b),
    ("mod", [I6, Q6], {}, lambda a, b: a % b),
    ("bit_and", [P6, Q6], {}, lambda a, b: a & b),
    ("bit_or", [P6, Q6], {}, lambda a, b: a | b),
    ("bit_xor", [P6, Q6], {}, lambda a, b: a ^ b),
    ("bit_not", [P6], {}, lambda a: ~a),
    ("shift_left", [P6], {"by": 3}, lambda a: a << 3),
    ("shift_right", [I6], {"by": 1}, lambda a: a >> 1),
    ("shift_left_by", [P6, Operand([0, 1, 2, 3, 1, 0])], {}, lambda a, b: a << b),
    ("shift_right_by", [P6, Operand([0, 1, 2, 3, 1, 0])], {}, lambda a, b: a >> b),
    ("popcount", [P6], {}, lambda a: np.array([bin(k).count("1") for k in a])),
    ("min", [M], {"axis": 1}, lambda a: a.min(1)),
    ("max", [X6], {"axis": 0}, lambda a: a.max()),
    ("argmin", [M], {"axis": 0}, lambda a: a.argmin(0)),
    ("argmax", [I6], {"axis": 0}, lambda a: a.argmax()),
    ("any", [B6], {"axis": 0}, lambda a: a.any()),
    ("all", [B6], {"axis": 0}, lambda a: a.all()),
    ("count", [B6], {"axis": 0}, lambda a: a.sum()),
    ("prod", [I6], {"axis": 0}, lambda a: a.prod()),
    ("cumsum", [X6], {"axis": 0}, lambda a: a.cumsum()),
    ("cummin", [I6], {"axis": 0}, np.minimum.accumulate),
    ("cummax", [I6], {"axis": 0}, np.maximum.accumulate),
    ("one_hot", [P6], {"size": 8}, lambda a: np.eye(8, dtype=bool)[a]),
    ("read", [I6, Operand([5, 0, 2])], {}, lambda a, b: a[b]),
]  # fmt: skip

WITHOUT_EXAMPLE = {
    "input", "constant", "item", "iota", "aligned",  # in the plan of every example, or without operands
}  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e[0]} {e[2]}")
def test_kinds_conform(example):
    kind, operands, attributes, oracle = example
    check_operation(kind, operands, attributes, oracle=oracle, configurations=[("rep3", 3, 1)])


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e[0]} {e[2]}")
def test_kinds_conform_under_every_protocol(example):
    kind, operands, attributes, oracle = example
    check_operation(kind, operands, attributes, oracle=oracle)


def _double(run=None, **changes):
    def right(call) -> Step:
        return (yield from call.p.mul(call.at, call.numbers(0), call.p.public(np.full(call.shape, 2))))

    facts = {
        "name": "double",
        "infer": lambda types, attributes, stated: Type(INT, types[0].shape),
        "bound": lambda call: call.fits(2 * call.ranges[0][0], 2 * call.ranges[0][1]),
        "run": run or right,
        "elementwise": True,
        "operands": 1,
        "error": lambda step: Error(0.0),
    }
    return Kind(**(facts | changes))


def _opens(call) -> Step:
    yield from call.p.reveal(call.at.child("open"), call.numbers(0), range(call.p.parties))
    return call.p.scale(call.numbers(0), 2)


def _wrong(call) -> Step:
    return (yield from call.p.mul(call.at, call.numbers(0), call.p.public(np.full(call.shape, 3))))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (_double(), None),
        (_double(_wrong), "off by"),
        (_double(bound=lambda call: (-1, 1)), "leaves its proven range"),
        (_double(_opens), "opens states nothing"),
        (_double(_opens, opens="the operand, to all parties"), None),
    ],
    ids=["right", "wrong", "range", "opening", "stated opening"],
)
def test_the_suite_notices_what_is_wrong(kind, message, monkeypatch):
    monkeypatch.setitem(base._KINDS, "double", kind)
    if message is None:
        check_operation("double", [I6], oracle=lambda a: 2 * a, configurations=[("rep3", 3, 1)])
        return
    with pytest.raises(AssertionError, match=message):
        check_operation("double", [I6], oracle=lambda a: 2 * a, configurations=[("rep3", 3, 1)])


ELSEWHERE = {
    "segmented_scan", "write", "thresholds", "histogram", "sort", "merge", "top_k", "group", "compact", "shuffle",
    "quantile", "view", "reciprocal", "rsqrt", "exp", "exp2", "log", "log2", "pow", "sigmoid", "tanh", "sin", "cos",
    "atan", "atan2", "floor", "ceil", "round", "trunc", "unique", "cast", "rescale_floor",
}  # fmt: skip
"""Kinds whose own tests check them, with oracles that take more than a line."""


def test_every_kind_has_an_example():
    assert set(_KINDS) <= {example[0] for example in EXAMPLES} | WITHOUT_EXAMPLE | ELSEWHERE
