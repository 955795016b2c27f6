"""The methods of quorate.analytics on this machine: seconds, traffic, memory, accuracy, and SPU beside them.

    python benchmarks/analytics.py                                # all methods, a Markdown table
    python benchmarks/analytics.py kmeans gwas --repeats 1
    python benchmarks/analytics.py --spu-python .venv-peer-spu/bin/python

Three parties, rep3, three processes over TLS on this machine. Run it with the Python that quorate is installed for,
with the development tools (plaintext libraries), on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from quorate.bench.runner import Record, run, setting_for
from quorate.bench.workloads import ANALYSIS

PEERS = Path(__file__).resolve().parent / "peers"
SPU = ("least_squares", "kmeans", "kaplan_meier")
HEADINGS = (
    "method", "n", "s", "rounds", "MB/party", "peak MB/party", "difference", "plaintext s", "slowdown", "SPU s",
    "SPU MB/party",
)  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(ANALYSIS)}; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", type=int, help="rows, for a trial")
    parser.add_argument("--spu-python", type=Path, help="the Python of the environment that peers/setup.sh makes")
    parser.add_argument("--no-difference", action="store_true", help="leave the comparison of results out")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores shared by three parties, Python {platform.python_version()}\n")
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
    for name in options.names or ANALYSIS:
        print(_row(name, options), flush=True)


def _row(name: str, options: argparse.Namespace) -> str:
    size = options.size or ANALYSIS[name].sizes[0]
    made = run(name, setting_for("rep3", "tls"), size, options.repeats)
    difference = "" if options.no_difference else f"{max(ANALYSIS[name].differences(size).values()):.1e}"
    peer = _spu(name, size, options) if options.spu_python and name in SPU else None
    cells = [name, f"{size:,}", *_figures(made), difference, f"{made.clear_seconds:.3g}", _slowdown(made)]
    cells += ["", ""] if peer is None else [f"{peer['seconds']:.3g}", f"{peer['bytes_sent_per_party'] / 1e6:.1f}"]
    return f"| {' | '.join(cells)} |"


def _figures(made: Record) -> list[str]:
    sent = made.bytes_sent_per_party / 1e6
    return [f"{made.seconds:.3g}", f"{made.rounds:,}", f"{sent:.1f}", f"{made.peak_mb_per_party:.0f}"]


def _slowdown(made: Record) -> str:
    return f"{made.seconds / made.clear_seconds:.0f}" if made.clear_seconds else ""


def _spu(name: str, size: int, options: argparse.Namespace) -> dict[str, Any]:
    command = [str(options.spu_python), "spu_workloads.py", name, f"--size={size}", f"--repeats={options.repeats}"]
    done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"SPU, {name}: {done.stderr.strip()[-1000:]}")
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("[") :])[0]
    return found


if __name__ == "__main__":
    main()
