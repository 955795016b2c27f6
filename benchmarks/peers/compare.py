"""quorate and its peers on this machine in one run: a Markdown table of median times and their ratios.

Run it with the Python that quorate is installed for, on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
QUICK = 100
"""Elements in a trial run that only shows that everything works."""
QUIET = 0.05
"""Share of the machine that other programs may take before a measurement is repeated."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A workload of size `n` that `protocol` of quorate and `peer` both run."""

    name: str
    n: int
    protocol: str
    peer: str


ROWS = (
    Row("product", 10**6, "rep3", "spu"),
    Row("product", 10**7, "rep3", "spu"),
    Row("comparison", 10**6, "rep3", "spu"),
    Row("fixed_product", 10**6, "rep3", "spu"),
    Row("matmul", 512, "rep3", "spu"),
    Row("division", 10**5, "rep3", "spu"),
    Row("dependent_products", 10**4, "rep3", "spu"),
    Row("equality", 10**6, "rep3", "spu"),
    Row("exp", 10**5, "rep3", "spu"),
    Row("sigmoid", 10**5, "rep3", "spu"),
    Row("sqrt", 10**5, "rep3", "spu"),
    Row("sort", 10**5, "rep3", "spu"),
    Row("group_sum", 10**4, "rep3", "spu"),
    Row("group_sum", 10**5, "rep3", "spu"),
    Row("logistic_regression", 1000, "rep3", "spu"),
    Row("least_squares", 10**5, "rep3", "spu"),
    Row("kmeans", 10**5, "rep3", "spu"),
    Row("kaplan_meier", 10**5, "rep3", "spu"),
    Row("product", 10**6, "shamir", "mpyc"),
    Row("comparison", 10**4, "shamir", "mpyc"),
    Row("equality", 10**4, "shamir", "mpyc"),
    Row("sort", 10**3, "shamir", "mpyc"),
    Row("fixed_product", 10**4, "shamir", "mpyc"),
    Row("dependent_products", 10**4, "shamir", "mpyc"),
)
SCRIPTS = {"spu": "spu_workloads.py", "mpyc": "mpyc_workloads.py"}
HEADINGS = (
    "workload", "n", "quorate", "TLS, s", "plain, s", "MB sent", "peer", "plain, s", "MB sent",
    "peer ÷ TLS", "peer ÷ plain", "others' CPU",
)  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="workloads; all by default")
    parser.add_argument("--peers", nargs="+", choices=list(SCRIPTS), default=list(SCRIPTS))
    for peer in SCRIPTS:
        default = ROOT / f".venv-peer-{peer}/bin/python"
        parser.add_argument(f"--{peer}-python", default=default, help="default: where setup.sh puts it")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--passes", type=int, default=3, help="measure again on a busy machine, up to so many times")
    parser.add_argument("--quick", action="store_true", help=f"n = {QUICK}: a trial, not a measurement")
    parser.add_argument("--records", type=Path, help="write every record to this file, as JSON")
    options = parser.parse_args()
    if options.repeats < 5:
        parser.error("--repeats: at least 5, or the median says little")
    rows = [row for row in ROWS if row.peer in options.peers and row.name in (options.names or [row.name])]
    if options.quick:
        rows = [row for row in rows if row.name != "dependent_products"]  # its length is fixed
    if not rows:
        parser.error(f"nothing to compare; the workloads are {', '.join(dict.fromkeys(row.name for row in ROWS))}")
    _compare(rows, options)


def _compare(rows: list[Row], options: argparse.Namespace) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores for all parties, Python {platform.python_version()}")
    print(
        f"medians of {options.repeats} repetitions (fastest to slowest); others' CPU: the largest share of the machine"
    )
    print(
        f"that other programs took during one of the row's measurements, above {QUIET:.0%} in the quietest pass too\n"
    )
    print(_line(HEADINGS), _line(["---"] * len(HEADINGS)), sep="\n")
    records: list[Record] = []
    for row in rows:
        n = min(row.n, QUICK) if options.quick else row.n
        try:
            measured = _measure(row, n, options)
        except SystemExit as problem:  # one program that fails must not cost the other rows
            print(_line([row.name, f"{n:,}", row.protocol, "failed", *[""] * (len(HEADINGS) - 4)]), flush=True)
            print(problem, file=sys.stderr)
            continue
        print(_line(_cells(row, n, *measured)), flush=True)
        records += measured
        if options.records:
            options.records.write_text(json.dumps(records, indent=2) + "\n")


def _measure(row: Row, n: int, options: argparse.Namespace) -> tuple[Record, ...]:
    """quorate over TLS, quorate in plain, the peer: one right after the other, each taken from its quietest pass.

    What is kept depends on what other programs did, never on the times, so that nobody gets a lucky run.
    """
    common = [row.name, "--size", str(n), "--repeats", str(options.repeats)]
    quorate = [sys.executable, "-m", "quorate", "bench", *common, "--protocol", row.protocol, "--json", "--transport"]
    peer = [str(getattr(options, f"{row.peer}_python")), str(HERE / SCRIPTS[row.peer]), *common]
    best: dict[int, Record] = {}
    for _ in range(options.passes):
        for which, command in enumerate(([*quorate, "tls"], [*quorate, "plain"], peer)):
            if which not in best or best[which]["others_cpu"] > QUIET:
                again = {"program": "quorate", **_watched(command)}
                best[which] = min(best.get(which, again), again, key=lambda record: float(record["others_cpu"]))
    return tuple(best.values())


def _watched(command: list[str]) -> Record:
    """The record that `command` prints, with the share of the machine that others took meanwhile."""
    start, before = time.perf_counter(), _others_seconds()
    record = _record(command)
    capacity = (time.perf_counter() - start) * (os.cpu_count() or 1)
    return {**record, "others_cpu": max(0.0, _others_seconds() - before) / capacity}


def _others_seconds() -> float:
    """CPU seconds that programs other than this and its children had so far (and, in a guest, that the host took)."""
    user, nice, system, _, _, _, _, stolen, *_ = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own = sum(usage.ru_utime + usage.ru_stime for usage in used)
    return (user + nice + system + stolen) / os.sysconf("SC_CLK_TCK") - own


def _record(command: list[str]) -> Record:
    """The only record that `command` prints.

    Raises:
        SystemExit: it does not start, or fails.
    """
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit(f"there is no {command[0]}; run {HERE / 'setup.sh'}, or name the interpreter") from None
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {finished.stderr.strip()[-2000:]}")
    (record,) = json.loads(finished.stdout)
    return dict(record)


def _cells(row: Row, n: int, tls: Record, plain: Record, peer: Record) -> list[str]:
    ours = f"{row.protocol} ({tls['threshold']}, {tls['parties']})"
    return [
        row.name,
        f"{n:,}",
        ours,
        _seconds(tls),
        _seconds(plain),
        _megabytes(plain),
        f"{peer['program']}, {peer['protocol']}",
        _seconds(peer),
        _megabytes(peer),
        f"{peer['seconds'] / tls['seconds']:,.1f}",
        f"{peer['seconds'] / plain['seconds']:,.1f}",
        f"{max(record['others_cpu'] for record in (tls, plain, peer)):.0%}",
    ]


def _seconds(record: Record) -> str:
    """The median, and the range of the repetitions."""
    return f"{record['seconds']:.4g} ({record['fastest']:.3g}–{record['slowest']:.3g})"


def _megabytes(record: Record) -> str:
    sent = record["bytes_sent_per_party"]
    return "?" if sent is None else f"{sent / 1e6:.3g}"


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
