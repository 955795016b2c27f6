"""The outline of a plan: what shares a box, what takes longest, and where boxes stand in a drawing."""

from __future__ import annotations

import random

from quorate.coordination.breakdown import OperationCost
from quorate.coordination.layout import arrange
from quorate.coordination.outline import critical_path, outline
from quorate.lang.plan import Operation, Plan, Type
from quorate.sharing.dtype import INT


def plan_of(*rows: tuple[str, tuple[int, ...], str]) -> Plan:
    """Rows of (kind, operands, source line); values are secret integers."""
    operations = [
        Operation(kind, operands, {"input": where, "column": "c", "dtype": "int"} if kind == "input" else {}, T, where)
        for kind, operands, where in rows
    ]
    return Plan("p", tuple(operations), {"y": len(operations) - 1})


T = Type(INT, ())
CONSTANT = {"dtype": "int", "values": [7], "shape": []}


def costs_of(plan: Plan, *seconds: float) -> list[OperationCost]:
    return [
        OperationCost(index, operation.kind, "", int(time > 0), 10, time, time / 2)
        for index, (operation, time) in enumerate(zip(plan.operations, seconds, strict=True))
    ]


SMALL = (("input", (), "a"), ("input", (), "b"), ("mul", (0, 1), "f:1"), ("mul", (0, 1), "f:1"), ("add", (2, 3), "f:2"))


def test_few_operations_have_a_box_each() -> None:
    plan = plan_of(*SMALL)
    drawn = outline(plan, costs_of(plan, 1, 1, 2, 2, 0))
    assert [box.members for box in drawn.boxes] == [[0], [1], [2], [3], [4]]
    assert [box.style for box in drawn.boxes] == ["input", "input", "interactive", "interactive", "local"]
    assert drawn.boxes[4].operands == [2, 3]
    assert not drawn.folded


def test_operations_that_do_the_same_share_a_box_and_its_rounds() -> None:
    plan = plan_of(*SMALL)
    drawn = outline(plan, costs_of(plan, 1, 1, 2, 2, 0), most=4)
    assert [box.members for box in drawn.boxes] == [[0], [1], [2, 3], [4]]
    assert drawn.boxes[3].operands == [2]
    assert (drawn.boxes[2].rounds, drawn.boxes[2].bytes_sent, drawn.boxes[2].seconds) == (1, 20, 3)
    assert "do the same" in drawn.folded
    assert drawn.place == {0: 0, 1: 1, 2: 2, 3: 2, 4: 3}


def test_a_long_loop_is_drawn_once() -> None:
    rows: list[tuple[str, tuple[int, ...], str]] = [("input", (), "a")]
    for turn in range(1000):
        rows += [("mul", (2 * turn, 2 * turn), "f:1"), ("add", (2 * turn + 1, 0), "f:2")]
    plan = plan_of(*rows)
    drawn = outline(plan, costs_of(plan, 0, *[1, 0] * 1000))
    assert [(box.kind, len(box.members)) for box in drawn.boxes] == [("input", 1), ("mul", 1000), ("add", 1000)]
    assert drawn.boxes[1].operands == [0, 2]
    assert drawn.boxes[1].rounds == 1000
    assert drawn.boxes[1].seconds == 1000
    assert "source line" in drawn.folded


def test_constants_stand_with_what_uses_them() -> None:
    plan = Plan(
        "p",
        (
            Operation("input", (), {"input": "a", "column": "c", "dtype": "int"}, T, ""),
            Operation("constant", (), CONSTANT, Type(INT, (), secret=False), ""),
            Operation("mul", (0, 1), {}, T, ""),
        ),
        {"y": 2},
    )
    drawn = outline(plan, costs_of(plan, 1, 0, 0))
    assert [box.kind for box in drawn.boxes] == ["input", "mul"]
    assert drawn.boxes[1].constants == ["7"]
    assert drawn.boxes[1].style == "local"


def test_the_longest_chain() -> None:
    plan = plan_of(*SMALL)
    costs = costs_of(plan, 1, 2, 3, 5, 0)
    assert critical_path(plan, costs, 4) == [1, 3]
    assert critical_path(plan, costs, 0) == [0]


def test_boxes_do_not_overlap_and_edges_lead_down() -> None:
    draw = random.Random(5)
    for count in (1, 2, 9, 40):
        widths = [draw.uniform(50, 300) for _ in range(count)]
        edges = sorted(
            {(draw.randrange(max(0, lower - 6), lower), lower) for lower in range(1, count) for _ in range(2)}
        )
        layout = arrange(widths, edges, 20.0)
        assert all(layout.layer[upper] < layout.layer[lower] for upper, lower in edges)
        for one in range(count):
            assert layout.x[one] - widths[one] / 2 + 1e-6 >= 0
            assert layout.x[one] + widths[one] / 2 <= layout.width + 1e-6
            for other in range(one):
                if layout.layer[one] == layout.layer[other]:
                    apart = abs(layout.x[one] - layout.x[other])
                    assert apart >= (widths[one] + widths[other]) / 2 + 20 - 1e-6
        for (upper, lower), path in layout.paths.items():
            assert [layer for _, layer in path] == list(range(layout.layer[upper] + 1, layout.layer[lower]))


def test_a_chain_stands_in_one_column() -> None:
    layout = arrange([100.0] * 5, [(k, k + 1) for k in range(4)], 20.0)
    assert layout.x == [50.0] * 5
    assert layout.layers == 5
