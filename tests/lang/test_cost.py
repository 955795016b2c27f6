"""What an operation costs by itself is what it sends when it runs."""

from __future__ import annotations

import pytest

import quorate
from quorate.engine.session import Session
from quorate.lang.cost import opening_costs, operation_costs
from quorate.protocols.registry import make
from quorate.sharing.dtype import INT, fixed

ROWS = {"x": 10, "y": 10}
BOUNDS = {(name, "value"): (0, 1000) for name in ROWS}
OWNERS = {"x": 0, "y": 3}  # a party and somebody outside


def protocols(name="rep3", parties=3, dealer=False):
    names = tuple(f"p{k}" for k in range(parties + 1))
    deals = parties if dealer else None
    return [make(name, Session(me, parties, names, deals, counting=True)) for me in range(len(names))]


def costs(function, name="rep3", parties=3, dealer=False, dtype=INT):
    plan = quorate.computation(function).trace(dict.fromkeys(ROWS, dtype), ROWS).bind(ROWS)
    owners = OWNERS if not dealer else {"x": 0, "y": 1}
    found = operation_costs(plan, protocols(name, parties, dealer), BOUNDS, owners)
    by_cost = sorted(zip(plan.operations, found, strict=True), key=lambda pair: pair[1].total)
    return plan, {operation.kind: cost for operation, cost in by_cost}  # the dearest of each kind


def test_a_replicated_product_costs_one_element_per_party_and_one_round():
    _, found = costs(lambda x, y: {"z": x * y})
    assert found["mul"].bytes_sent == (80, 80, 80, 0)
    assert found["mul"].rounds == 1


def test_local_operations_cost_nothing():
    plan, found = costs(lambda x, y: {"z": (x + y * 3 - x)[2:].sum()})
    for kind in ("add", "sub", "index", "sum"):
        assert found[kind].total == found[kind].rounds == 0
    assert {operation.kind for operation in plan.operations} >= {"add", "sub", "index", "sum"}


def test_an_input_from_outside_is_sent_by_its_owner_alone():
    _, found = costs(lambda x, y: {"z": x + y})
    assert found["input"].bytes_sent == (0, 0, 0, 480)  # two parts of three to each of three parties


def test_opening_costs_depend_on_the_recipients():
    plan, _ = costs(lambda x, y: {"z": x + y})
    to_one = opening_costs(plan, protocols(), {"z": (0,)})["z"]
    to_all = opening_costs(plan, protocols(), {"z": (0, 1, 2)})["z"]
    assert to_one.total == 80
    assert to_all.total == 240
    assert opening_costs(plan, protocols(), {}) == {}


def test_a_dealer_is_charged_for_what_it_deals():
    _, found = costs(lambda x, y: {"z": x * y}, "semi2k", 2, dealer=True)
    assert len(found["mul"].bytes_sent) == 3
    assert found["mul"].bytes_sent[2] > 0


@pytest.mark.parametrize(("name", "parties", "dealer"), [("rep3", 3, False), ("shamir", 3, False), ("semi2k", 2, True)])
def test_every_kind_of_operation_has_a_cost(name, parties, dealer):
    def many(x, y):
        chosen = quorate.where((x < y) & ~(x == y) | (y < 3.0), x, y)
        return {"a": chosen * x, "b": x.mean(where=x < y), "c": x.std(), "d": x.dot(y), "e": (x < y).astype(int).sum()}

    plan, found = costs(many, name, parties, dealer, fixed(4))
    for kind in ("lt", "eq", "and", "or", "select", "mul", "masked_mean", "mean_square", "sqrt", "dot", "to_int"):
        assert found[kind].rounds > 0, kind
        assert found[kind].total > 0, kind
    assert len(plan.operations) > len(found)
