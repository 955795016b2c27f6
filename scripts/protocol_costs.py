"""Prints the tables of costs of docs/explanation/protocols.md and of the pages of each protocol, in Markdown.

    python scripts/protocol_costs.py                  # all tables
    python scripts/protocol_costs.py overview spdz    # only these
    python scripts/protocol_costs.py --write          # and put them into the pages

Counted, not timed: the protocols run on arrays without content. The set-up of keys is left out. Tuples that parties
make are counted apart from the operations that use them, and so are checks against cheating that are put off.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quorate.circuits import compare, convert, divide, root, select
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.network import LAN, Network
from quorate.kernels.ghost import ghost
from quorate.protocols.base import Protocol
from quorate.protocols.registry import protocol_class
from quorate.testing.world import Outcome, World

N = 1024
"""Elements per operation; bytes are divided by it."""
WAN = Network.parse("40ms", "100Mbit")
PLENTY = {"products": 1 << 16, "squares": 1 << 16, "AND words": 1 << 15, "private words": 3 << 13}
"""Tuples made at a time, by kind, to count what one costs; of other kinds `MANY`."""
MANY = 1 << 17


class Setting(NamedTuple):
    """A protocol among so many parties, of whom `threshold` may be corrupted; with a dealer or without."""

    protocol: str
    parties: int
    threshold: int
    dealer: bool = False

    def __str__(self) -> str:
        dealer = {(True, True): ", dealer", (True, False): ", no dealer"}
        text = dealer.get((protocol_class(self.protocol).dealer_allowed, self.dealer), "")
        return f"{self.protocol} ({self.threshold}, {self.parties}{text})"

    def world(self, network: Network = LAN) -> World:
        """To count in."""
        return World(self.protocol, self.parties, self.threshold, dealer=self.dealer, seed=1, network=network)

    @property
    def stocks(self) -> bool:
        """Whether tuples can be made beforehand."""
        if self.protocol == "shamir_quorum":
            return self.parties <= 3 * self.threshold
        return self.protocol in ("spdz", "spdz2k") or (self.protocol == "semi2k" and not self.dealer)


OVERVIEW = (
    Setting("rep3", 3, 1),
    Setting("shamir", 3, 1),
    Setting("semi2k", 2, 1, dealer=True),
    Setting("semi2k", 2, 1),
    Setting("rep3_malicious", 3, 1),
    Setting("shamir_malicious", 3, 1),
    Setting("spdz2k", 2, 1),
    Setting("spdz", 2, 1),
)
PAGES = {
    "rep3": (Setting("rep3", 3, 1),),
    "shamir": (Setting("shamir", 3, 1), Setting("shamir", 5, 2)),
    "semi2k": tuple(Setting("semi2k", n, n - 1, dealer) for dealer in (True, False) for n in (2, 3)),
    "rep3_malicious": (Setting("rep3_malicious", 3, 1),),
    "shamir_malicious": tuple(Setting("shamir_malicious", n, t) for n, t in ((3, 1), (4, 1), (5, 2))),
    "shamir_quorum": tuple(Setting("shamir_quorum", n, t) for n, t in ((3, 1), (5, 1), (5, 2))),
    "spdz2k": (Setting("spdz2k", 2, 1, dealer=True), Setting("spdz2k", 2, 1), Setting("spdz2k", 3, 2)),
    "spdz": (Setting("spdz", 2, 1, dealer=True), Setting("spdz", 2, 1), Setting("spdz", 3, 2)),
}

Operation = Callable[[Protocol, Scope, Any, Any, Any], Step[Any]]
"""(protocol, scope, two arithmetic shares, bits) -> the step."""


def _input(p: Protocol, at: Scope, x: Any, y: Any, b: Any) -> Step[Any]:
    return p.input(at, 0, (N,), np.zeros(N, np.int64) if p.me == 0 else None)


OPERATIONS: dict[str, Operation] = {
    "input from a party": _input,
    "product": lambda p, at, x, y, b: p.mul(at, x, y),
    "fixed-point product": lambda p, at, x, y, b: p.mul(at, x, y, 16),
    "inner product of 1024": lambda p, at, x, y, b: p.dot(at, x, y),
    "truncation": lambda p, at, x, y, b: p.truncate(at, x, 16),
    "less than": lambda p, at, x, y, b: compare.less(p, at, x, y),
    "less than, values of 15 bits": lambda p, at, x, y, b: compare.less(p, at, x, y, bits=15),
    "equal": lambda p, at, x, y, b: compare.equal(p, at, x, y),
    "equal, values of 16 bits": lambda p, at, x, y, b: compare.equal(p, at, x, y, bits=16),
    "bool to integer": lambda p, at, x, y, b: convert.to_arithmetic(p, at, b),
    "bit times number": lambda p, at, x, y, b: p.inject(at, b, x),
    "and of bits": lambda p, at, x, y, b: p.and_(at, b, b),
    "and of bits, opened": lambda p, at, x, y, b: p.and_open(at, b, b, range(p.parties)),
    "select (`where`)": lambda p, at, x, y, b: select.select(p, at, b, x, y),
    "shuffle of one column": lambda p, at, x, y, b: p.shuffle(at, [x]),
    "division": lambda p, at, x, y, b: divide.divide(p, at, x, y, divisor_bits=20, quotient_bits=20, scale=16),
    "square root": lambda p, at, x, y, b: root.sqrt(p, at, x, bits=40, shift_in=16, scale=16),
    "reveal to one party": lambda p, at, x, y, b: p.reveal(at, x, (0,)),
    "reveal to all parties": lambda p, at, x, y, b: p.reveal(at, x, range(p.parties)),
}


class Cost(NamedTuple):
    """Rounds, bytes that all participants together send, and tuples used up, by kind."""

    rounds: int
    sent: int
    tuples: dict[str, int]

    def __sub__(self, other: Cost) -> Cost:
        tuples = {kind: count - other.tuples.get(kind, 0) for kind, count in self.tuples.items()}
        used = {kind: count for kind, count in tuples.items() if count}
        return Cost(self.rounds - other.rounds, self.sent - other.sent, used)


# -- counting --------------------------------------------------------------------------------------------------------


def counted(setting: Setting, operation: Operation | None, checked: bool = False, size: int = N) -> Cost:
    """The cost of making operands and of an operation on them, tuples being in stock."""

    def work(p: Protocol, at: Scope, needs: dict[str, int] | None) -> Step[dict[str, int]]:
        for kind, count in (needs or {}).items():
            if p.supply is not None:
                p.supply.stock.put(kind, [ghost((count, *s), t) for s, t in layout(setting, kind)[p.session.me]])
        x = yield from p.random(at.child("x"), (size,))
        y = yield from p.random(at.child("y"), (size,))
        b = yield from p.random_bits(at.child("b"), (size,))
        if operation is not None:
            yield from operation(p, at.child("operation"), x, y, b)
        if checked:
            yield from p.checked()
        return {} if p.supply is None else dict(p.supply.used)

    needs = setting.world().count(lambda p, at: work(p, at, None)).values[0] if setting.stocks else {}
    outcome = setting.world().count(lambda p, at: work(p, at, needs))
    return Cost(max(outcome.rounds), sum(outcome.bytes_sent), needs)


@cache
def layout(setting: Setting, kind: str) -> list[list[tuple[tuple[int, ...], Any]]]:
    """Shape of a tuple and dtype, of every part that every participant holds of a kind."""
    made = produced(setting, kind, 1, LAN).values
    return [[(part.shape[1:], part.dtype) for part in parts] for parts in made]


def produced(setting: Setting, kind: str, count: int, network: Network) -> Outcome:
    """Making tuples; with `count` 0 the set-up alone."""

    def work(p: Protocol, at: Scope) -> Step[Any]:
        parts = None
        if p.supply is not None and count:
            parts = yield from p.supply.produce(at, kind, count)
            yield from p.checked()
        return parts

    return setting.world(network).count(work)


@cache
def operand_cost(setting: Setting) -> Cost:
    """What `counted` takes for the operands alone."""
    return counted(setting, None)


@cache
def operation_cost(setting: Setting, label: str) -> Cost:
    """The cost of an operation on N elements."""
    return counted(setting, OPERATIONS[label]) - operand_cost(setting)


@cache
def tuple_cost(setting: Setting, kind: str, network: Network) -> float:
    """Bytes that all participants send for one tuple, where many are made."""
    count = 1 if kind.startswith("shuffles") else PLENTY.get(kind, MANY)
    sent = [sum(produced(setting, kind, some, network).bytes_sent) for some in (0, count)]
    return (sent[1] - sent[0]) / count


def elements(label: str) -> int:
    """Results of an operation."""
    return 1 if label.startswith("inner") else N


# -- tables ----------------------------------------------------------------------------------------------------------


def table(heads: Iterable[object], rows: Iterable[Sequence[object]]) -> str:
    """In Markdown."""
    names = [str(head) for head in heads]
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def figure(value: float) -> str:
    """Rounded up to one decimal, or to a whole number."""
    return f"{math.ceil(value):,}".replace(",", " ") if value >= 1000 else f"{math.ceil(round(value * 10, 6)) / 10:g}"


def operations(settings: Sequence[Setting]) -> str:
    """Rounds and bytes of every operation."""

    def cell(setting: Setting, label: str) -> str:
        cost = operation_cost(setting, label)
        return f"{cost.rounds} / {figure(cost.sent / elements(label))}"

    malicious = any(protocol_class(s.protocol).adversary == "malicious" for s in settings)
    labels = [label for label in OPERATIONS if not (malicious and label.endswith("opened"))]  # that checks all before
    return table(["operation", *settings], ([label, *(cell(s, label) for s in settings)] for label in labels))


def use(setting: Setting) -> str:
    """Which tuples every operation uses up, and what it costs with them."""

    def row(label: str) -> list[str]:
        cost, count = operation_cost(setting, label), elements(label)
        used: dict[str, float] = {}
        for kind, number in sorted(cost.tuples.items()):
            used[plain(kind)] = used.get(plain(kind), 0) + number / count
        making = sum(number * tuple_cost(setting, kind, LAN) for kind, number in cost.tuples.items())
        text = ", ".join(f"{number:.4g} {kind}" for kind, number in used.items())
        return [label, text or "none", figure(cost.sent / count), figure((cost.sent + making) / count)]

    labels = [label for label in OPERATIONS if not label.endswith("opened")]
    return table([str(setting), "tuples", "bytes beside them", "bytes in all"], map(row, labels))


def plain(kind: str) -> str:
    """A kind without its parameters."""
    return re.sub(r" \d.*", "", kind)


def prices(settings: Sequence[Setting]) -> str:
    """What a tuple of each kind costs."""
    used = {s: {kind for label in OPERATIONS for kind in operation_cost(s, label).tuples} for s in settings}
    first = {plain(kind): kind for kind in sorted(set().union(*used.values()), reverse=True)}

    def cell(setting: Setting, kind: str) -> str:
        if kind not in used[setting]:
            return "–"
        far = protocol_class(setting.protocol).majority == "dishonest" and not setting.dealer
        networks = [LAN, WAN] if far else [LAN]
        return " / ".join(figure(tuple_cost(setting, kind, network)) for network in networks)

    return table(
        ["tuple", *settings],
        ([name, *(cell(setting, kind) for setting in settings)] for name, kind in sorted(first.items())),
    )


def checks(settings: Sequence[Setting]) -> str:
    """What the check of so many products costs."""

    def cell(setting: Setting, label: str, size: int) -> str:
        alone, whole = (counted(setting, OPERATIONS[label], checked, size) for checked in (False, True))
        return f"{whole.rounds - alone.rounds} / {figure(whole.sent - alone.sent)}"

    rows = [
        [f"{size:,} {what}".replace(",", " "), *(cell(setting, label, size) for setting in settings)]
        for label, what in (("product", "products"), ("and of bits", "ands of bits"))
        for size in (10, 1000, 10**5, 10**6)
    ]
    return table(["checked together", *settings], rows)


def tables(name: str) -> Iterator[tuple[str, str]]:
    """All tables of a protocol, or of the overview: (name, table)."""
    settings = OVERVIEW if name == "overview" else PAGES[name]
    yield "operations", operations(settings)
    if name != "overview" and protocol_class(name).adversary == "malicious":
        yield "checks", checks(settings)
    stocked = [setting for setting in settings if setting.stocks]
    if stocked:
        yield "tuples", prices(stocked)
    if stocked and name != "overview":
        yield "use", use(next(setting for setting in stocked if not setting.dealer))


def written(name: str, text: str) -> None:
    """Put a table where the pages have one of this name."""
    begin, end = f"<!-- costs: {name} -->\n", "\n<!-- end of costs -->"
    for page in sorted((Path(__file__).parents[1] / "docs" / "explanation").rglob("*.md")):
        old = page.read_text(encoding="utf-8")
        new = re.sub(f"(?s){re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{text}\n{end}", old)
        if new != old:
            page.write_text(new, encoding="utf-8")


def main(wanted: Sequence[str]) -> None:
    """Print the tables."""
    write = "--write" in wanted
    names = [name for name in wanted if name != "--write"] or ["overview", *PAGES]
    if unknown := [name for name in names if name not in ("overview", *PAGES)]:
        sys.exit(f"there is no table {unknown[0]!r}; choose of overview, {', '.join(PAGES)}")
    for name in names:
        for kind, text in tables(name):
            print(f"## {name} {kind}\n\n{text}\n", flush=True)
            if write:
                written(f"{name} {kind}", text)


if __name__ == "__main__":
    main(sys.argv[1:])
