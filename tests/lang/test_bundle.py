"""Operations with several results: typed, bound, run, quoted and written like any other."""

from __future__ import annotations

import numpy as np
import pytest

import quorate
from quorate.errors import UserError
from quorate.lang.operations.base import _KINDS, Error, Kind
from quorate.lang.plan import BUNDLE, Operation, Plan, Type
from quorate.sharing.dtype import BOOL, INT
from quorate.testing.world import CONFIGURATIONS


def _run(call):
    x, y = call.numbers(0, call.values[0].shape), call.numbers(1, call.values[1].shape)
    product = yield from call.p.mul(call.at.child("product"), x, y)
    return [call.p.add(x, y), product, call.bits(2, call.values[2].shape)]


PAIR = Kind(
    "pair",
    lambda types, attributes, stated: Type.bundle([types[0], types[1], types[2]]),
    lambda call: [(-200, 200), call.fits(-10_000, 10_000), (0, 1)],
    _run,
    operands=3,
    error=lambda step: [Error(1.0), Error(2.0), Error(5.0)],
)


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setitem(_KINDS, "pair", PAIR)


def both(x, y):
    trace = x.trace
    total, product, flag = trace.unpack(trace.record("pair", [x, y, x < y]))
    return {"sum": total[1:], "product": product.sum(), "flag": flag, "again": total * product}


X, Y = np.array([1, -2, 3, 40]), np.array([5, 6, -7, 41])


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_a_bundle_runs_at_its_quoted_cost(configuration, run_in):
    ran = run_in(configuration, both, {"x": X, "y": Y}, bounds=dict.fromkeys("xy", (-100, 100)))
    assert ran.values["sum"].tolist() == (X + Y)[1:].tolist()
    assert ran.values["product"] == (X * Y).sum()
    assert ran.values["flag"].tolist() == (X < Y).tolist()
    assert ran.values["again"].tolist() == ((X + Y) * X * Y).tolist()
    assert ran.errors == {"sum": 1.0, "product": 8.0, "flag": 0.0, "again": 200 * 2 + 10_000 * 1 + 2}


def plan() -> Plan:
    return quorate.computation(lambda x: both(x, x[::-1])).trace({"x": INT})


def test_a_bundle_is_written_as_such_and_its_parts_are_inferred():
    again = Plan.from_json(plan().to_json())
    assert again == plan()
    (bundle,) = [one.type for one in again.operations if one.type.parts]
    assert [str(part) for part in bundle.parts] == [f"secret {kind}[rows(x)]" for kind in ("int", "int", "bool")]
    bound = again.bind({"x": 4})
    assert "bundle(secret int[4], secret int[4], secret bool[4])" in bound.dump()


def test_what_cannot_be_is_refused():
    text = plan().to_json()
    position = next(k for k, one in enumerate(plan().operations) if one.type.parts)
    with pytest.raises(UserError, match="no single value"):
        Plan.from_json(text.replace(b'"outputs":{', b'"outputs":{"all":%d,' % position))
    with pytest.raises(UserError, match="item 3 of bundle"):
        Plan.from_json(text.replace(b'{"index":2}', b'{"index":3}'))
    with pytest.raises(UserError, match="not a data type"):
        Plan.from_json(text.replace(b'"dtype":"int"', b'"dtype":"bundle"'))
    with pytest.raises(UserError, match="of a bundle"):
        _KINDS["neg"].type_of([Type.bundle([Type(INT, ())])], {}, Type(INT, ()))
    with pytest.raises(UserError, match="one or more results"):
        Type.bundle([])
    with pytest.raises(UserError, match="no bundles among"):
        Type.bundle([Type.bundle([Type(BOOL, ())])])

    def one_value(x):
        return {"z": x.trace.unpack(x)[0]}

    with pytest.raises(UserError, match="is one value"):
        quorate.computation(one_value).trace({"x": INT})
    odd = Operation("item", (0,), {"index": 0}, Type(BUNDLE, ()))
    with pytest.raises(UserError, match="item 0 of secret int"):
        _KINDS["item"].type_of([Type(INT, ())], odd.attributes, odd.type)
