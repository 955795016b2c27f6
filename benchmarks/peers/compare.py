"""quorate and its peers on this machine in one run: a Markdown table of median times and their ratios.

Run it with the Python that quorate is installed for, on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
QUICK = 100
"""Elements in a trial run that only shows that everything works."""

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
    Row("product", 10**6, "shamir", "mpyc"),
    Row("comparison", 10**4, "shamir", "mpyc"),
    Row("fixed_product", 10**4, "shamir", "mpyc"),
    Row("dependent_products", 10**4, "shamir", "mpyc"),
)
SCRIPTS = {"spu": "spu_workloads.py", "mpyc": "mpyc_products.py"}
HEADINGS = (
    "workload", "n", "quorate", "TLS, s", "plain, s", "MB sent", "peer", "plain, s", "MB sent",
    "peer ÷ TLS", "peer ÷ plain", "load",
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
    print(f"medians of {options.repeats}; load: of the last minute, before the row began and after it\n")
    print(_line(HEADINGS), _line(["---"] * len(HEADINGS)), sep="\n")
    records: list[Record] = []
    for row in rows:
        n = min(row.n, QUICK) if options.quick else row.n
        before = os.getloadavg()[0]
        measured = _measure(row, n, options)
        load = [before, os.getloadavg()[0]]
        print(_line(_cells(row, n, *measured, load)), flush=True)
        records += [{**record, "load": load} for record in measured]
        if options.records:
            options.records.write_text(json.dumps(records, indent=2) + "\n")


def _measure(row: Row, n: int, options: argparse.Namespace) -> tuple[Record, Record, Record]:
    """quorate over TLS, quorate in plain, the peer: one right after the other, so that a machine's drift hits all."""
    common = [row.name, "--size", str(n), "--repeats", str(options.repeats)]
    quorate = [sys.executable, "-m", "quorate", "bench", *common, "--protocol", row.protocol, "--json"]
    peer = [str(getattr(options, f"{row.peer}_python")), str(HERE / SCRIPTS[row.peer]), *common]
    tls, plain = (_record([*quorate, "--transport", transport]) for transport in ("tls", "plain"))
    return {"program": "quorate", **tls}, {"program": "quorate", **plain}, _record(peer)


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


def _cells(row: Row, n: int, tls: Record, plain: Record, peer: Record, load: list[float]) -> list[str]:
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
        " → ".join(f"{value:.1f}" for value in load),
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
