"""Prints the table of costs per operation and protocol of docs/explanation/protocols.md, in Markdown.

    python scripts/protocol_costs.py

Counted, not timed: the protocols run on arrays without content. The set-up of keys is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from quorate.circuits import compare, convert, divide, root, select
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.testing.world import World

N = 1000
"""Elements per operation; bytes are divided by it."""

CONFIGURATIONS = (("rep3", 3, 1), ("shamir", 3, 1), ("shamir", 5, 2), ("semi2k", 2, 1), ("semi2k", 3, 2))
"""(protocol, parties, threshold)."""

Operation = Callable[[Protocol, Scope, Any, Any, Any], Step[Any]]
"""(protocol, scope, two arithmetic shares, bits) -> the step."""


OPERATIONS: dict[str, Operation] = {
    "input from a party": lambda p, at, x, y, b: p.input(at, 0, (N,), np.zeros(N, np.int64) if p.me == 0 else None),
    "product": lambda p, at, x, y, b: p.mul(at, x, y),
    "fixed-point product": lambda p, at, x, y, b: p.mul(at, x, y, 16),
    "inner product of 1000": lambda p, at, x, y, b: p.dot(at, x, y),
    "truncation": lambda p, at, x, y, b: p.truncate(at, x, 16),
    "less than": lambda p, at, x, y, b: compare.less(p, at, x, y),
    "less than, values of 15 bits": lambda p, at, x, y, b: compare.less(p, at, x, y, bits=15),
    "equal": lambda p, at, x, y, b: compare.equal(p, at, x, y),
    "equal, values of 16 bits": lambda p, at, x, y, b: compare.equal(p, at, x, y, bits=16),
    "bool to integer": lambda p, at, x, y, b: convert.to_arithmetic(p, at, b),
    "bit times number": lambda p, at, x, y, b: p.inject(at, b, x),
    "and of bits, opened": lambda p, at, x, y, b: p.and_open(at, b, b, range(p.parties)),
    "select (`where`)": lambda p, at, x, y, b: select.select(p, at, b, x, y),
    "shuffle of one column": lambda p, at, x, y, b: p.shuffle(at, [x]),
    "division": lambda p, at, x, y, b: divide.divide(p, at, x, y, divisor_bits=20, quotient_bits=20, scale=16),
    "square root": lambda p, at, x, y, b: root.sqrt(p, at, x, bits=40, shift_in=16, scale=16),
    "reveal to one party": lambda p, at, x, y, b: p.reveal(at, x, (0,)),
    "reveal to all parties": lambda p, at, x, y, b: p.reveal(at, x, range(p.parties)),
}


def cost(configuration: tuple[str, int, int], operation: Operation | None) -> tuple[int, int]:
    """Rounds, and bytes that all participants together send; with no operation, those of the set-up."""

    def program(p: Protocol, at: Scope) -> Step[Any]:
        x = yield from p.random(at.child("x"), (N,))
        y = yield from p.random(at.child("y"), (N,))
        b = yield from p.random_bits(at.child("b"), (N,))
        if operation is not None:
            yield from operation(p, at.child("operation"), x, y, b)

    outcome = World(*configuration).count(program)
    return max(outcome.rounds), sum(outcome.bytes_sent)


def cell(configuration: tuple[str, int, int], operation: Operation, elements: int) -> str:
    """One entry of the table: rounds / bytes per element."""
    (rounds, sent), (setup_rounds, setup_sent) = cost(configuration, operation), cost(configuration, None)
    each = (sent - setup_sent) / elements
    return f"{rounds - setup_rounds} / {math.ceil(each * 10) / 10:g}"


def main() -> None:
    """Print the table."""
    heads = [f"{name} ({threshold}, {parties})" for name, parties, threshold in CONFIGURATIONS]
    print(f"| operation | {' | '.join(heads)} |")
    print(f"|---|{'---|' * len(heads)}")
    for label, operation in OPERATIONS.items():
        elements = 1 if label.startswith("inner") else N
        print(f"| {label} | {' | '.join(cell(entry, operation, elements) for entry in CONFIGURATIONS)} |")


if __name__ == "__main__":
    main()
