"""Everything that the documentation states about speed, measured in one run on this machine: JSON, and Markdown tables.

    python benchmarks/run.py                                       # all of it, into results.json and results.md
    python benchmarks/run.py --parts wan growth --results mine.json
    python benchmarks/run.py --quick                               # small sizes: a trial, not a measurement
    python benchmarks/run.py --render docs/explanation/performance.md   # no measuring: results.json into the page

Run it with the Python that quorate is installed for, on an otherwise idle machine. The peers are those of
benchmarks/peers/setup.sh. Results are written after every measurement; parts that were not measured anew keep theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
QUICK = 500
RTT, BANDWIDTH = "40ms", "100Mbit"

Record = dict[str, Any]

OURS = (
    "product", "product_steady", "comparison", "comparison_steady", "equality", "matmul", "fixed_product", "division",
    "sqrt", "exp", "sigmoid", "dependent_products", "shuffle", "sort", "sort_table", "group_sum", "logistic_regression",
    "aes",
)  # fmt: skip
JOB = "hospital_job"
OTHERS = (("shamir", 3, 1), ("shamir", 5, 2), ("semi2k", 2, 1))
ADVERSARIES: dict[tuple[str, int, int], dict[str, int]] = {
    ("rep3", 3, 1): {"product": 10**6, "comparison": 10**5, "logistic_regression": 1000},
    ("rep3_malicious", 3, 1): {"product": 10**6, "comparison": 10**5, "logistic_regression": 1000},
    ("shamir", 3, 1): {"product": 10**6, "comparison": 10**5, "logistic_regression": 1000},
    ("shamir_malicious", 3, 1): {"product": 10**6, "comparison": 10**5, "logistic_regression": 1000},
    ("shamir_malicious", 4, 1): {"product": 10**6, "comparison": 10**5},
    ("semi2k", 2, 1): {
        "product": 10**5,
        "product_online": 3 * 10**5,
        "comparison": 10**4,
        "comparison_online": 10**5,
        "logistic_regression": 1000,
    },
    ("semi2k", 3, 2): {"product": 10**5, "product_online": 10**5},
    ("spdz2k", 2, 1): {"product": 2 * 10**4, "product_online": 10**5, "comparison": 10**4, "comparison_online": 10**4},
    ("spdz2k", 3, 2): {"product": 10**4, "product_online": 10**4},
    ("spdz", 2, 1): {"product": 2 * 10**4, "product_online": 10**5, "comparison": 10**4, "comparison_online": 10**4},
    ("spdz", 3, 2): {"product": 10**4, "product_online": 10**4},
}
"""Workloads and sizes that compare adversaries, by (protocol, parties, threshold)."""
JOBS = ("rep3", "rep3_malicious", "shamir", "shamir_malicious", "semi2k")
SOURCES = (("semi2k", 2), ("semi2k", 3), ("spdz2k", 2), ("spdz2k", 3), ("spdz", 2), ("spdz", 3))
OTHERS_RUN = ("product", "comparison", "division")
WAN = {
    "product": 10**5,
    "comparison": 10**5,
    "equality": 10**5,
    "fixed_product": 10**5,
    "division": 10**4,
    "sqrt": 10**4,
    "exp": 10**4,
    "sigmoid": 10**4,
    "shuffle": 10**5,
    "sort": 10**4,
    "group_sum": 10**4,
    "logistic_regression": 128,
    "aes": 10**4,
}
GROWTH = {"product": 7, "comparison": 7, "sigmoid": 6, "sort": 6, "group_sum": 6}
"""Decimal exponents of the largest sizes; the smallest is 10^3."""

PARTS = ("ours", "others", "adversaries", "delivery", "wan", "growth", "peers")
WAYS = ("tls", "durable", "embedded", "nats", "redis", "amqp", "kafka")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--results", type=Path, default=Path("results.json"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} elements")
    parser.add_argument("--peers-in", type=Path, default=HERE.parent, help="the directory given to peers/setup.sh")
    parser.add_argument("--render", type=Path, help="put the tables of the results between the marks of this page")
    options = parser.parse_args()
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    if options.render is None:
        results["machine"] = _machine()
        for part in options.parts:
            _measure(part, results, options)
        options.results.with_suffix(".md").write_text("\n\n".join(_tables(results).values()) + "\n")
        return
    page = options.render.read_text()
    for name, table in _tables(results).items():
        page = _replaced(page, name, table)
    options.render.write_text(page)


# -- measuring ---------------------------------------------------------------------------------------------------------


def _measure(part: str, results: dict[str, Any], options: argparse.Namespace) -> None:
    records: list[Record] = []
    results[part] = records
    for arguments in _commands(part, options):
        print(f"{time.strftime('%H:%M:%S')} {part}: {' '.join(arguments)}", file=sys.stderr, flush=True)
        records += _peers(arguments, options) if part == "peers" else _bench(arguments, options)
        options.results.write_text(json.dumps(results, indent=1) + "\n")


def _commands(part: str, options: argparse.Namespace) -> list[list[str]]:
    size = ["--size", str(QUICK)] if options.quick else []
    both = ["--transport", "tls", "--transport", "plain"]
    if part == "ours":
        small = {"matmul": "64", "dependent_products": "1"}
        return [[name, *(["--size", small.get(name, str(QUICK))] if size else []), *both] for name in OURS] + [[JOB]]
    if part == "others":
        dealt = {"semi2k": ["--dealer"]}
        who = [
            ["--protocol", name, "--parties", str(n), "--threshold", str(t), *dealt.get(name, [])]
            for name, n, t in OTHERS
        ]
        return [[name, *one, *size, *both] for one in who for name in OTHERS_RUN]
    if part == "adversaries":
        return [*_adversaries(quick=options.quick)]
    if part == "wan":
        network = ["--rtt", RTT, "--bandwidth", BANDWIDTH]
        return [[name, "--size", str(QUICK if options.quick else n), *network] for name, n in WAN.items()]
    if part == "growth":
        return [[name, *(size or _sizes(up_to)), "--transport", "tls"] for name, up_to in GROWTH.items()]
    if part == "delivery":
        ways = [text for way in WAYS for text in ("--transport", way)]
        jobs = [text for way in WAYS[:3] for text in ("--transport", way)]
        number = [["--size", str(QUICK)]] if options.quick else [["--size", str(10**6)]]
        return [[name, *number[0], *ways] for name in ("product", "comparison")] + [[JOB, *jobs]]
    return [[peer] for peer in ("spu", "mpyc")]


def _adversaries(*, quick: bool) -> Iterator[list[str]]:
    for (name, n, t), workloads in ADVERSARIES.items():
        who = ["--protocol", name, "--parties", str(n), "--threshold", str(t), "--transport", "tls"]
        for workload, size in workloads.items():
            yield [workload, *who, "--size", str(min(size, QUICK) if quick else size)]
    for name, n in SOURCES:
        yield [
            "tuples",
            "--protocol",
            name,
            "--parties",
            str(n),
            "--transport",
            "tls",
            *(["--size", "500"] if quick else []),
        ]
    for name in () if quick else JOBS:
        yield [JOB, "--protocol", name]


def _sizes(up_to: int) -> list[str]:
    return [text for exponent in range(3, up_to + 1) for text in ("--size", str(10**exponent))]


def _bench(arguments: list[str], options: argparse.Namespace) -> list[Record]:
    command = [sys.executable, "-m", "quorate", "bench", *arguments, "--repeats", str(options.repeats), "--json"]
    return _printed(command)


def _peers(arguments: list[str], options: argparse.Namespace) -> list[Record]:
    (peer,) = arguments
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder, "records.json")
        python = options.peers_in / f".venv-peer-{peer}/bin/python"
        command = [sys.executable, str(HERE / "peers/compare.py"), "--peers", peer, f"--{peer}-python", str(python)]
        command += [
            "--repeats",
            str(options.repeats),
            "--records",
            str(records),
            *(["--quick"] if options.quick else []),
        ]
        finished = subprocess.run(command, check=False, stdout=sys.stderr)
        if finished.returncode:
            print(f"{peer}: stopped with code {finished.returncode}; what was measured is kept", file=sys.stderr)
        return json.loads(records.read_text()) if records.exists() else []


def _printed(command: list[str]) -> list[Record]:
    """The records that a command prints; none, with a word, if it fails: one failure must not cost a night's run."""
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        print(f"  failed: {finished.stderr.strip()[-500:]}", file=sys.stderr)
        return []
    found: list[Record] = json.loads(finished.stdout)
    return found


def _machine() -> dict[str, Any]:
    model = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        if os.path.exists("/proc/cpuinfo")
        else None
    )
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cores": os.cpu_count(),
        "processor": model[1] if model else platform.machine(),
        "python": platform.python_version(),
    }


# -- tables ------------------------------------------------------------------------------------------------------------


def _tables(results: dict[str, Any]) -> dict[str, str]:
    """Markdown by the name of its mark."""
    makers = {"ours": _own, "others": _own, "wan": _wan, "growth": _growth, "peers": _beside}
    tables = {part: make(results[part]) for part, make in makers.items() if results.get(part)}
    if against := results.get("adversaries"):
        tuples = [record for record in against if record["name"].startswith("tuples ")]
        tables["adversaries"] = _against([record for record in against if record not in tuples])
        tables["tuples"] = _sources(tuples)
    if delivered := results.get("delivery"):
        tables["delivery"] = _delivered(delivered)
    return tables


def _delivered(records: list[Record]) -> str:
    """The same work over every transport, and how much longer than over TLS alone."""
    rows = []
    for record in records:
        plain = _twin(records, record, "tls")
        rows.append(
            [
                f"`{record['name']}`",
                f"{record['n']:,}",
                record["transport"],
                _seconds(record),
                f"{record['seconds'] / plain['seconds']:.1f}" if plain else "",
                f"{record['cpu_seconds_per_party']:.3f}" if record["cpu_seconds_per_party"] else "",
                f"{record['rounds']:,}",
                f"{record['peak_mb_per_party']:.0f}",
            ]
        )
    return _markdown(
        ["workload", "elements", "transport", "s", "times TLS", "CPU per party, s", "rounds", "peak MB"], rows, 1
    )


def _own(records: list[Record]) -> str:
    """TLS and plain side by side."""
    rows = []
    for tls in (record for record in records if record["transport"] == "tls"):
        plain = _twin(records, tls, "plain")
        rows.append(
            [
                f"`{tls['name']}`",
                _protocol(tls),
                f"{tls['n']:,}",
                _seconds(tls),
                _seconds(plain),
                _rate(tls),
                _rate(plain),
                f"{tls['bytes_sent_per_party'] / tls['n']:,.1f}",
                f"{tls['rounds']:,}",
                f"{tls['peak_mb_per_party']:.0f}",
            ]
        )
    heads = ["workload", "protocol (t, n)", "elements", "TLS, s", "plain, s", "TLS, per s", "plain, per s"]
    return _markdown([*heads, "bytes per element", "rounds", "peak MB"], rows, 2)


KIN = {"rep3_malicious": "rep3", "shamir_malicious": "shamir", "spdz2k": "semi2k", "spdz": "semi2k"}
"""The semi-honest protocol that each malicious one is compared with, at the same number of parties."""


def _against(records: list[Record]) -> str:
    """Every protocol on the same workloads, and how much slower cheating parties make it."""
    rows = [
        [
            f"`{record['name']}`",
            _protocol(record),
            f"{record['n']:,}",
            _seconds(record),
            _rate(record),
            f"{record['bytes_sent_per_party'] / record['n']:,.1f}",
            f"{record['rounds']:,}",
            f"{record['peak_mb_per_party']:.0f}",
            _overhead(record, records),
        ]
        for record in records
    ]
    heads = ["workload", "protocol (t, n)", "elements", "TLS, s", "per s", "bytes per element", "rounds", "peak MB"]
    return _markdown([*heads, "× semi-honest"], rows, 2)


def _overhead(record: Record, records: list[Record]) -> str:
    """By what factor this is slower, per element, than the semi-honest protocol with as many parties."""
    kin = KIN.get(record["protocol"])
    for other in records:
        same = all(other[key] == record[key] for key in ("name", "parties", "threshold"))
        if same and other["protocol"] == kin:
            return f"{other['per_second'] / record['per_second']:.2g}"
    return ""


def _sources(records: list[Record]) -> str:
    rows = [
        [
            record["name"].removeprefix("tuples "),
            _protocol(record),
            f"{record['n']:,}",
            _rate(record),
            f"{record['bytes_per_operation']:,.0f}",
            f"{record['rounds']:,}",
            f"{record['cpu_seconds_per_party'] / record['n'] * 1e6:,.2f}",
        ]
        for record in records
    ]
    heads = ["tuples", "protocol (t, n)", "made at once", "per s, TLS", "bytes per tuple and party", "rounds"]
    return _markdown([*heads, "µs of CPU per tuple and party"], rows, 2)


def _wan(records: list[Record]) -> str:
    rows = [
        [
            f"`{record['name']}`",
            f"{record['n']:,}",
            f"{record['rounds']:,}",
            f"{record['bytes_sent_per_party'] / 1e6:.2f}",
            _seconds(record),
            f"{record['predicted_seconds']:.3g}",
            f"{record['predicted_seconds'] / record['seconds'] - 1:+.0%}",
        ]
        for record in records
    ]
    return _markdown(
        ["workload", "elements", "rounds", "MB sent per party", "measured, s", "predicted, s", "off by"], rows, 1
    )


def _growth(records: list[Record]) -> str:
    rows = [
        [
            f"`{record['name']}`",
            f"{record['n']:,}",
            _seconds(record),
            f"{record['seconds'] / record['n'] * 1e9:,.0f}",
            f"{record['rounds']:,}",
            f"{record['peak_mb_per_party']:.0f}",
        ]
        for record in records
    ]
    return _markdown(["workload", "elements", "TLS, s", "ns per element", "rounds", "peak MB"], rows, 1)


def _beside(records: list[Record]) -> str:
    """quorate over TLS, plain, and the peer: three records in a row each."""
    rows = []
    for tls, plain, peer in zip(records[::3], records[1::3], records[2::3], strict=True):
        rows.append(
            [
                f"`{tls['name']}`",
                f"{tls['n']:,}",
                _protocol(tls),
                _seconds(tls),
                _seconds(plain),
                f"{peer['program']} ({peer['protocol']})",
                _seconds(peer),
                f"{peer['seconds'] / tls['seconds']:,.1f}",
                f"{peer['seconds'] / plain['seconds']:,.1f}",
                f"{plain['peak_mb_per_party']:.0f} / {peer['peak_mb_per_party']:.0f}",
                f"{max(one['others_cpu'] for one in (tls, plain, peer)):.0%}",
            ]
        )
    heads = ["workload", "n", "quorate", "TLS, s", "plain, s", "peer", "plain, s", "peer ÷ TLS", "peer ÷ plain"]
    return _markdown([*heads, "peak MB, ours / peer", "others' CPU"], rows, 1)


def _twin(records: list[Record], like: Record, transport: str) -> Record | None:
    same = ("name", "n", "protocol", "parties", "threshold")
    found = [one for one in records if one["transport"] == transport and all(one[key] == like[key] for key in same)]
    return found[0] if found else None


def _protocol(record: Record) -> str:
    return f"{record['protocol']} ({record['threshold']}, {record['parties']})"


def _seconds(record: Record | None) -> str:
    return "–" if record is None else f"{record['seconds']:.4g}"


def _rate(record: Record | None) -> str:
    if record is None:
        return "–"
    rate = record["per_second"]
    return f"{rate / 1e6:,.1f} M" if rate >= 1e5 else f"{rate / 1e3:,.1f} k" if rate >= 1e3 else f"{rate:,.1f}"


def _markdown(heads: list[str], rows: list[list[str]], left: int) -> str:
    """A table whose first columns are text, the others numbers."""
    rule = ["---" if column < left else "---:" for column in range(len(heads))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def _replaced(page: str, name: str, table: str) -> str:
    """The page with the table between its marks `<!-- NAME -->` and `<!-- end NAME -->`.

    Raises:
        SystemExit: the page has no such marks.
    """
    start, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    if start not in page or end not in page:
        raise SystemExit(f"the page has no marks {start} and {end}")
    before, rest = page.split(start, 1)
    return f"{before}{start}\n{table}\n{end}{rest.split(end, 1)[1]}"


if __name__ == "__main__":
    main()
