"""What the peer scripts share: operands, one process per party on loopback, and records shaped like quorate bench's.

It runs inside the peers' own environments, so it needs NumPy only and never quorate.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PARTIES = 3
CHECKED = 1000
FRACTION = 16
DEPENDENT = 10_000
PATIENCE = 3600.0
ATTEMPTS = 3

Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Workload:
    """What quorate bench calls the same, with operands that fit the smallest modulus in use.

    Attributes:
        bits: operands are integers below 2**bits in absolute value; with `scaled`, units of 2**-FRACTION.
        expect: the result in the clear, in the units of the operands.
        scaled: operands are handed to the peer as fixed-point numbers.
        positive: operand 1 is positive; with `unsigned` operand 0 is as well.
        square: operands are n by n.
        whole: a result depends on all rows of the operands.
        slack: units by which a fixed-point result may be off, if that is more than 1 %.
    """

    bits: int
    expect: Callable[[Numbers, Numbers], Numbers]
    scaled: bool = False
    positive: bool = False
    unsigned: bool = False
    square: bool = False
    whole: bool = False
    slack: float = 16

    def operations(self, n: int) -> int:
        """Elementary operations in one repetition."""
        return n**3 if self.square else n


FEATURES, BATCH, EPOCHS, RATE = 50, 128, 10, 0.5
GROUP = 100


def batches(rows: int) -> list[tuple[int, int]]:
    """(first row, row after the last) of each batch."""
    return [(start, min(start + BATCH, rows)) for start in range(0, rows, BATCH)]


def _trained(features: Numbers, labels: Numbers) -> Numbers:
    """Weights, in units, of a logistic regression by gradient descent; operands in units."""
    x, y, weights = features / 2.0**FRACTION, labels / 2.0**FRACTION, np.zeros(FEATURES)
    for _ in range(EPOCHS):
        for first, last in batches(len(y)):
            guess = 1 / (1 + np.exp(-x[first:last] @ weights))
            weights += x[first:last].T @ (y[first:last] - guess) * (RATE / (last - first))
    return weights * 2.0**FRACTION


def _group_sums(keys: Numbers, values: Numbers) -> Numbers:
    """Sums in the order of their keys, and zeros for the rest of the rows."""
    _, inverse = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, inverse, values)
    return sums


COLUMNS, CLUSTERS, ITERATIONS, TIMES = 8, 5, 10, 60
"""Of the methods: features, centres and rounds of k-means, last time of survival data."""


def _least_squares(features: Numbers, target: Numbers) -> Numbers:
    """Intercept and coefficients, in units; operands in units."""
    x = np.column_stack([np.ones(len(target)), features / 2.0**FRACTION])
    return np.asarray(np.linalg.lstsq(x, target / 2.0**FRACTION, rcond=None)[0] * 2.0**FRACTION)


def _k_means(features: Numbers, _: Numbers) -> Numbers:
    """The centres after ITERATIONS steps of Lloyd's from the first rows, in units, row by row."""
    x = features / 2.0**FRACTION
    centres = x[:CLUSTERS]
    for _ in range(ITERATIONS):
        near = np.argmin(((centres**2).sum(1)[None, :] - 2 * x @ centres.T), axis=1)
        centres = np.stack([x[near == k].mean(0) for k in range(CLUSTERS)])
    return centres.ravel() * 2.0**FRACTION


def _kaplan_meier(times: Numbers, events: Numbers) -> Numbers:
    """The share that survives each of the TIMES; all in units."""
    times, events = times / 2.0**FRACTION, events / 2.0**FRACTION
    grid = np.arange(1, TIMES + 1)
    at_risk = np.array([(times >= t).sum() for t in grid])
    died = np.array([((times == t) & (events == 1)).sum() for t in grid])
    return np.asarray(np.cumprod(1 - died / np.maximum(at_risk, 1)) * 2.0**FRACTION)


METHODS = ("least_squares", "kmeans", "kaplan_meier")


def _method_operand(name: str, n: int, which: int) -> Numbers:
    if name == "kaplan_meier":
        return np.abs(_spread(n, which, 30)) % TIMES + 1 if not which else np.abs(_spread(n, which, 30)) % 2
    x = np.stack([_spread(n, k, FRACTION) for k in range(COLUMNS)], axis=1) / 2.0**FRACTION
    return x if not which else np.round((x @ np.arange(1.0, COLUMNS + 1) + 5) * 2**FRACTION) / 2.0**FRACTION


def _unit(function: Callable[[Numbers], Numbers]) -> Callable[[Numbers, Numbers], Numbers]:
    """A function of real numbers on units."""
    return lambda x, y: function(x / 2.0**FRACTION) * 2.0**FRACTION


WORKLOADS = {
    "product": Workload(28, np.multiply),
    "comparison": Workload(58, np.less),
    "equality": Workload(58, np.equal),
    "matmul": Workload(24, np.matmul, square=True),
    "fixed_product": Workload(28, lambda x, y: x * y / 2.0**FRACTION, scaled=True),
    "division": Workload(27, lambda x, y: x / y * 2.0**FRACTION, scaled=True, positive=True),
    "dependent_products": Workload(1, lambda x, y: x * y**DEPENDENT),
    "exp": Workload(FRACTION + 2, _unit(np.exp), scaled=True, slack=3.0 * 2**FRACTION),  # SPU is 3 % off at 4
    "sigmoid": Workload(FRACTION + 3, _unit(lambda x: 1 / (1 + np.exp(-x))), scaled=True, slack=256),
    "sqrt": Workload(30, _unit(np.sqrt), scaled=True, unsigned=True),
    "sort": Workload(58, lambda x, y: np.sort(x), whole=True),
    "group_sum": Workload(31, _group_sums, whole=True),
    "logistic_regression": Workload(FRACTION, _trained, scaled=True, whole=True, slack=0.02 * 2**FRACTION),
    "least_squares": Workload(FRACTION, _least_squares, scaled=True, whole=True, slack=0.02 * 2**FRACTION),
    "kmeans": Workload(FRACTION, _k_means, scaled=True, whole=True, slack=0.02 * 2**FRACTION),
    "kaplan_meier": Workload(7, _kaplan_meier, scaled=True, whole=True, slack=0.02 * 2**FRACTION),
}


def operand(name: str, n: int, which: int) -> Numbers:
    """Operand 0 or 1: public, reproducible, spread evenly; int64, or float64 multiples of 2**-FRACTION."""
    workload = WORKLOADS[name]
    if name == "dependent_products":
        return np.full(1, -1, np.int64)  # of order 2, so that no power of it outgrows any type
    if name in METHODS:
        return _method_operand(name, n, which)
    if name == "logistic_regression":
        return _features(n) if not which else _labels(n)
    if name == "group_sum" and not which:
        groups = max(1, n // GROUP)
        return np.abs(_spread(n, 0, 62)) % groups * 0x9E3779B1 & 0x7FFFFFFF
    shape = (n, n) if workload.square else (n,)
    values = _spread(int(np.prod(shape)), which, workload.bits)
    if workload.unsigned:
        values = np.abs(values)
    if workload.positive and which:
        values = np.abs(values) | 1
    if name == "equality" and which:
        values[::4] = _spread(n, 0, workload.bits)[::4]
    return (values / 2.0**FRACTION if workload.scaled else values).reshape(shape)


def _spread(count: int, which: int, bits: int) -> Numbers:
    index = np.arange(count, dtype=np.uint64) * np.uint64(256) + np.uint64(which)
    mixed = (index ^ (index >> np.uint64(7))) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xD1342543DE82EF95)
    mixed ^= mixed >> np.uint64(32)
    values = (mixed >> np.uint64(64 - bits)).astype(np.int64)
    return np.where(mixed & np.uint64(1), values, -values)


def _features(n: int) -> Numbers:
    return np.stack([_spread(n, k, FRACTION) for k in range(FEATURES)], axis=1) / 2.0**FRACTION


def _labels(n: int) -> Numbers:
    """On which side of a plane the features are."""
    return (_features(n) @ [k % 7 - 3 for k in range(FEATURES)] > 0).astype(np.float64)


def max_error(name: str, n: int, result: Numbers) -> float:
    """Largest error of the first results, in units (2**-FRACTION for fixed point).

    Raises:
        SystemExit: whole numbers are wrong, or a fixed-point result is off by more than 1 % and its slack.
    """
    workload = WORKLOADS[name]
    unit = 2.0**FRACTION if workload.scaled else 1
    x, y = (operand(name, n, which) for which in range(2))
    if workload.scaled:
        x, y = x * unit, y * unit
    if not workload.square and not workload.whole:
        x, y = x[:CHECKED], y[:CHECKED]
    wanted = workload.expect(x, y)[: len(result)]
    errors = np.abs(result * unit - wanted)
    if np.any(errors > (np.maximum(workload.slack, np.abs(wanted) / 100) if workload.scaled else 0)):
        raise SystemExit(f"{name}, n={n}: the results are wrong; largest error {errors.max()} units")
    return float(errors.max())


@dataclass(frozen=True)
class Measured:
    """What one party reports: seconds of each repetition, bytes sent in one (None: the peer only prints them)."""

    seconds: list[float]
    peak_mb: float
    bytes_sent: float | None
    error: float

    def report(self, path: Path) -> None:
        """Write it down for the process that started the parties."""
        path.write_text(json.dumps(vars(self)))


def peak_mb() -> float:
    """Largest resident size of this process so far, in MB of 10**6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


@dataclass(frozen=True)
class Peer:
    """A program to compare with, at its three parties; `prints` is the pattern by which it logs its bytes sent."""

    program: str
    protocol: str
    sizes: dict[str, int]
    party: Callable[[str, int, int, int, int], Measured]
    prints: str = ""


def main(peer: Peer) -> None:
    """Command line of a peer script: measure workloads, print records as JSON."""
    parser = argparse.ArgumentParser(description=f"{peer.program}: workloads of quorate bench, {PARTIES} processes")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(peer.sizes)}; all by default")
    parser.add_argument("--size", type=int, help="number of elements; by default one for each workload")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(peer.sizes):
        parser.error(f"no such workload: {', '.join(sorted(unknown))}; choose from {', '.join(peer.sizes)}")
    names = arguments.names or list(peer.sizes)
    if arguments.rank is not None:
        size = arguments.size or peer.sizes[names[0]]
        peer.party(names[0], size, arguments.repeats, arguments.rank, arguments.port).report(arguments.report)
        return
    records = [_measure(peer, name, arguments.size or peer.sizes[name], arguments.repeats) for name in names]
    print(json.dumps(records, indent=2))


def _measure(peer: Peer, name: str, n: int, repeats: int) -> dict[str, Any]:
    """The record of one workload: median over repetitions of the slowest party's seconds."""
    command = [sys.executable, sys.argv[0], name, "--size", str(n), "--repeats", str(repeats)]
    parties = _parties(command, peer.prints)
    seconds = [max(times) for times in zip(*(party["seconds"] for party in parties), strict=True)]
    sent = [party["bytes_sent"] for party in parties]
    median = statistics.median(seconds)
    return {
        "name": name,
        "program": peer.program,
        "protocol": peer.protocol,
        "n": n,
        "parties": PARTIES,
        "threshold": 1,
        "transport": "plain",
        "seconds": median,
        "per_second": (DEPENDENT if name == "dependent_products" else WORKLOADS[name].operations(n)) / median,
        "bytes_sent_per_party": None if None in sent else sum(sent) / PARTIES,
        "rounds": None,
        "peak_mb_per_party": max(party["peak_mb"] for party in parties),
        "repetitions": repeats,
        "fastest": min(seconds),
        "slowest": max(seconds),
        "max_error_units": max(party["error"] for party in parties),
    }


def _parties(command: list[str], prints: str) -> list[dict[str, Any]]:
    """Run a process per party; a port may be taken between choosing and using it, so that is tried again.

    Raises:
        SystemExit: a party failed, or none finished in PATIENCE seconds.
    """
    problem = ""
    for _ in range(ATTEMPTS):
        answers, problem = _attempt([*command, "--port", str(_free_ports())], prints)
        if answers:
            return answers
        if "address" not in problem.lower():
            break
    raise SystemExit(f"{' '.join(command[1:])} failed: {problem}")


def _attempt(command: list[str], prints: str) -> tuple[list[dict[str, Any]], str]:
    """What the parties report, or what the first that failed printed."""
    with tempfile.TemporaryDirectory() as folder:
        reports, logs = ([Path(folder, f"{kind}-{rank}") for rank in range(PARTIES)] for kind in ("report", "log"))
        parties = []
        try:
            for rank in range(PARTIES):
                with logs[rank].open("wb") as log:
                    own = [*command, "--rank", str(rank), "--report", str(reports[rank])]
                    parties.append(subprocess.Popen(own, stdout=log, stderr=subprocess.STDOUT))
            failed = _first_failure(parties)
        finally:
            for party in parties:
                party.kill()  # a peer's party waits for a dead one, MPyC's forever
                party.wait()
        said = [log.read_text(errors="replace") for log in logs]
        if failed is None:
            return [_report(path, log, prints) for path, log in zip(reports, said, strict=True)], ""
        code = parties[failed].returncode
    return (
        [],
        f"party {failed} ended with code {code} (-9: stopped after {PATIENCE:.0f} s): {said[failed].strip()[-2000:]}",
    )


def _report(path: Path, log: str, prints: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text())
    if prints and (found := re.findall(prints, log)):
        report["bytes_sent"] = float(found[-1])
    return report


def _first_failure(parties: list[subprocess.Popen[bytes]]) -> int | None:
    """Wait for all; the rank of the first that failed or was late."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        codes = [party.poll() for party in parties]
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed or None not in codes:
            return failed[0] if failed else None
        time.sleep(0.05)
    return 0


def _free_ports() -> int:
    """A port with PARTIES - 1 free ones after it."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            start: int = first.getsockname()[1]
            try:
                for port in range(start + 1, start + PARTIES):
                    with socket.socket() as other:
                        other.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
        return start
