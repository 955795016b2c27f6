"""Prints the table of numeric functions of docs/explanation/precision.md, in Markdown: range, worst error and cost.

    python scripts/numeric_costs.py

Errors are those that plans state, without that of the operands; costs are counted, not timed, with rep3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from quorate.engine.count import count
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels.ghost import ghost
from quorate.lang.operations import kind_of
from quorate.lang.operations.base import Accuracy, Call, Error
from quorate.lang.plan import Operation, Type
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make
from quorate.sharing.dtype import DType, fixed
from quorate.sharing.share import Arithmetic

N = 1000
"""Elements per operation; bytes are divided by it."""

SCALE = 16


class Case(NamedTuple):
    """A row of the table: kind, ranges of the operands in real units, and attributes beside the scale."""

    kind: str
    ranges: Sequence[tuple[float, float]]
    attributes: Mapping[str, Any] = {"scale": SCALE}
    dtype: DType = fixed(SCALE)


UNIT = 2.0**-SCALE
CASES = [
    Case("mul", [(-1000, 1000), (-1000, 1000)], {"shift": SCALE}),
    Case("div", [(-1000, 1000), (1, 1000)]),
    Case("div", [(-1000, 1000), (UNIT, 1000)]),
    Case("reciprocal", [(1, 1000)]),
    Case("sqrt", [(0, 1000)]),
    Case("rsqrt", [(UNIT, 1000)]),
    Case("exp", [(-8, 8)]),
    Case("exp", [(-1000, 0)]),
    Case("exp2", [(-16, 16)]),
    Case("log", [(UNIT, 1000)]),
    Case("log2", [(1, 2)]),
    Case("pow", [(0.5, 8), (-2, 3)]),
    Case("sigmoid", [(-8, 8)]),
    Case("sigmoid", [(-1000, 1000)]),
    Case("tanh", [(-4, 4)]),
    Case("tanh", [(-1000, 1000)]),
    Case("sin", [(-1000, 1000)]),
    Case("atan", [(-1 + UNIT, 1 - UNIT)]),
    Case("atan", [(-1000, 1000)]),
    Case("atan2", [(-1000, 1000), (-1000, 1000)]),
    Case("abs", [(-1000, 1000)], {}),
    Case("sign", [(-1000, 1000)], {}),
    Case("maximum", [(-1000, 1000), (-1000, 1000)], {}),
    Case("clip", [(-1000, 1000)], {"low": -(1 << SCALE), "high": 1 << SCALE}),
]


def call_of(case: Case, p: Protocol, at: Scope) -> Call:
    """The operation on shares without content."""
    kind = kind_of(case.kind)
    types = [Type(case.dtype, (N,)) for _ in case.ranges]
    result = kind.type_of(types, case.attributes, types[0])
    operation = Operation(case.kind, tuple(range(len(types))), dict(case.attributes), result)
    ranges = [tuple(round(end * (1 << SCALE)) for end in range_) for range_ in case.ranges]
    values = [Arithmetic(p.name, (ghost((N,), "uint64"),) * 2) for _ in types]
    return Call(operation, types, ranges, p.capacity, p, at, list(values), (N,))  # type: ignore[arg-type]


def counted(case: Case, me: int) -> tuple[int, int, float]:
    """Rounds and bytes of one party, and the stated error in units."""
    p = make("rep3", Session(me, 3, ("a", "b", "c"), None, True), 1)
    count(p.setup(Scope.root().child("setup")))
    call = call_of(case, p, Scope.root().child("operation"))
    kind = kind_of(case.kind)
    kind.bound(call)
    party = count(kind.run(call))
    sizes = [max(abs(end) for end in range_) for range_ in case.ranges]
    unit = 2.0**-call.operation.type.dtype.scale
    error = kind.error(Accuracy(call, [Error(0.0)] * len(sizes), sizes, unit))
    return party.rounds, sum(party.sent.values()), error.value / unit  # type: ignore[union-attr]


def shown(value: float) -> str:
    """A bound of a range."""
    return "2⁻¹⁶" if value == UNIT else f"{value:.4g}".replace("-", "−")


def main() -> None:
    """Print the table."""
    print("| function | range of operands | worst error in units of 2⁻¹⁶ | rounds | bytes per party |")
    print("|---|---|---|---|---|")
    for case in CASES:
        runs = [counted(case, me) for me in range(3)]
        ranges = ", ".join(f"{shown(low)} … {shown(high)}" for low, high in case.ranges)
        each = sum(sent for _, sent, _ in runs) / 3 / N
        error = "exact" if runs[0][2] == 0 else f"{runs[0][2]:.2f}"
        print(f"| `{case.kind}` | {ranges} | {error} | {runs[0][0]} | {each:.0f} |")


if __name__ == "__main__":
    main()
