"""The whole hospital job, from the start of the process to its end: nodes, owners, certificates and all."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from quorate.bench.runner import Record
from quorate.errors import InternalError

__all__ = ["DELIVERIES", "hospital_job"]


DELIVERIES = {"tls": "direct", "durable": "durable", "embedded": "queued"}
"""Transport -> how the messages of the whole job travel, for those that can carry it."""


def hospital_job(repeats: int, protocol: str | None = None, transport: str = "tls") -> Record:
    """Run `quorate demo` as a user would, `repeats` times after one warm-up; under rep3 unless told otherwise.

    `transport` is one of `DELIVERIES`.

    Raises:
        InternalError: a run failed or its result was outside the stated precision.
    """
    seconds, document = [], {}
    for _ in range(repeats + 1):
        start = time.perf_counter()
        chosen = [] if protocol is None else ["--protocol", protocol]
        delivery = ["--delivery", DELIVERIES[transport]]
        command = [sys.executable, "-m", "quorate", "demo", "--json", *delivery, *chosen]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - start)
        if finished.returncode:
            raise InternalError(f"quorate demo failed in the benchmark: {finished.stderr.strip()[-500:]}")
        document = json.loads(finished.stdout)
    seconds = seconds[1:]
    median = statistics.median(seconds)
    parties = [who for who in document["participants"].values() if who["role"] == "node"]
    rows = sum(document["rows"].values())
    return Record(
        name="hospital_job",
        protocol=document["protocol"]["name"],
        n=rows,
        parties=len(parties),
        threshold=document["protocol"]["threshold"],
        transport=transport,
        seconds=median,
        per_second=rows / median,
        bytes_sent_per_party=sum(party["bytes_sent"] for party in parties) / len(parties),
        rounds=document["rounds"],
        peak_mb_per_party=max(party["peak_mb"] for party in parties),
        repetitions=repeats,
        fastest=min(seconds),
        slowest=max(seconds),
        clear_seconds=document["clear_seconds"],
    )
