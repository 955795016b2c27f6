"""From requests of interactive sessions to specs and plans."""

from __future__ import annotations

import numpy as np
import pytest

import quorate as q
from quorate.coordination.program import check_plan
from quorate.errors import UserError
from quorate.interactive.backend import HeldColumn, Request, Uploaded
from quorate.interactive.composing import column_of, compose
from quorate.sharing.dtype import BOOL, INT, DType, fixed, int8

TWO = {"me": "analyst", "parties": ("a", "b", "c"), "protocol": "rep3"}


def request(**inputs: dict[str, DType]) -> Request:
    """Ten rows of each input, whose columns are added up; "held" is held, all else is uploaded."""

    def function(**tables):
        return {"total": sum(table[label].sum() for name, table in tables.items() for label in inputs[name])}

    plan = q.Computation(function, list(inputs)).trace(inputs, dict.fromkeys(inputs, 10))
    uploads, held = {}, {}
    for (name, label), dtype in plan.inputs.items():
        if name == "held":
            held[name, label] = HeldColumn(f"kept.{label}", 10, dtype, (0, 100))
        else:
            uploads[name, label] = Uploaded(np.arange(10), dtype, (0, 100))
    return Request(plan, uploads, held, ["total"], {"total": "kept.total"})


def test_spec_and_plan_fit_each_other():
    found = compose(
        request(x={"value": INT}, held={"u": INT, "v": INT}),
        session="a" * 32,
        held_name=lambda name: name.replace(".", "-"),
        **TWO,
    )
    found.spec.check()
    check_plan(found.spec, found.plan)
    assert [(i.name, i.owner, i.stored) for i in found.spec.inputs] == [
        ("x", "analyst", None),
        ("held_u", None, "kept-u"),
        ("held_v", None, "kept-v"),
    ]
    assert [(o.name, o.to, o.keep) for o in found.spec.outputs] == [
        ("total", ("analyst",), None),
        ("total (kept)", None, "a" * 32 + "-0"),
    ]
    assert found.plan.outputs["total"] == found.plan.outputs["total (kept)"]
    assert found.inputs()["x"].rows == 10
    assert found.kept_ranges()["total"][1] >= 3000


def test_names_that_a_spec_cannot_have_are_replaced():
    labels = {"Gewicht (kg)": INT, " padded ": INT, "x" * 200: INT}
    found = compose(request(**{"von mir": labels, "von_mir": {"value": INT}, "class": {"value": INT}}), **TWO)
    found.spec.check()
    check_plan(found.spec, found.plan)
    assert len({item.name for item in found.spec.inputs}) == 3
    assert "Gewicht (kg)" in {column.name for item in found.spec.inputs for column in item.columns}


@pytest.mark.parametrize("bounds", [(0, 1), (-5, 7), (-(2**60) - 1, 2**60 + 1), (2**55 + 1, 2**55 + 3)])
@pytest.mark.parametrize("dtype", [INT, fixed(16), fixed(-3), fixed(48)])
def test_declared_ranges_hold_the_real_ones(bounds, dtype):
    column = column_of("x", dtype, bounds)
    assert not list(column.problems())
    low, high = column.dtype.encode(np.array(column.bounds)).tolist()
    assert low <= bounds[0] <= bounds[1] <= high
    assert high - low <= (bounds[1] - bounds[0]) * (1 + 2**-50) + 2**9


def test_narrow_types_stay_narrow():
    assert column_of("x", int8, (-3, 4)).dtype == int8
    assert column_of("x", BOOL, (0, 1)).dtype == BOOL


def test_inputs_without_rows_are_refused():
    asked = request(x={"value": INT})
    empty = Request(asked.plan, {("x", "value"): Uploaded(np.arange(0), INT, (0, 1))}, {}, ["total"], {})
    with pytest.raises(UserError, match="'x' has no rows"):
        compose(empty, **TWO)


def test_a_new_version_is_another_input():
    """The same name with other rows must not be taken for the same values."""
    net = q.simulate()
    old = net._live.hold("stays", "age", HeldColumn("old", 60, fixed(8), (0, 30720)))
    assert old.mean().shape == ()
    again = net._live.hold("stays", "age", HeldColumn("old", 60, fixed(8), (0, 30720)))
    assert again.position == old.position
    new = net._live.hold("stays", "age", HeldColumn("new", 30, fixed(8), (0, 30720)))
    plan = net._live.request([new.mean()]).plan
    assert [operation.attributes["divisor"] for operation in plan.operations if operation.kind == "div_public"] == [30]
    with pytest.raises(UserError, match="already"):
        net._live.upload("stays", "age", Uploaded(np.arange(3), fixed(8), (0, 3)))
