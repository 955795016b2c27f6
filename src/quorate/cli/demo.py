"""quorate demo: three hospitals, three nodes and an institute on this machine, over mutual TLS, from CSV to result."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.common import Json, Meter, print_json

if TYPE_CHECKING:
    from quorate.cli.owners import Owner
    from quorate.coordination.federation import Federation
    from quorate.coordination.spec import Input
    from quorate.data.prepare import Prepared
    from quorate.node.approval import Approved
    from quorate.node.client import OnProgress
    from quorate.node.messages import Report

__all__ = ["demo"]

_NODES = 3


def demo(
    copy: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Only write the example's files into this folder, to play with.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Compute under this protocol instead of rep3, such as rep3_malicious.")
    ] = None,
    delivery: Annotated[
        str | None, typer.Option(help="How messages travel: direct (as without this), durable or queued.")
    ] = None,
    json: Json = False,
) -> None:
    """Three hospitals learn what treatments cost on average, and nothing else; checked against the plain truth.

    Starts three nodes and three data owners as processes of this machine, with certificates made for the occasion.
    Ends with exit code 1 if the result is further from the truth than stated.
    """
    if copy is not None:
        _copy(copy, protocol, delivery, as_json=json)
        return
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="quorate-demo-") as folder, Meter(quiet=json) as meter:
        document = _run(Path(folder), protocol, delivery, meter)
    document["total_seconds"] = round(time.perf_counter() - begun, 3)
    if json:
        print_json(document)
    else:
        from quorate.cli.demo_view import show

        show(document)
    if not document["ok"]:
        raise typer.Exit(1)


def _copy(folder: Path, protocol: str | None, delivery: str | None, *, as_json: bool) -> None:
    from quorate.cli.compile import compile_anew
    from quorate.cli.example import COORDINATOR, INPUTS, SPEC, copy_example

    written = copy_example(folder, protocol=protocol, delivery=delivery)
    if protocol is not None:
        compile_anew(folder / SPEC)
    data = " ".join(f"--data {name}={folder / name}.csv" for name in INPUTS.values())
    steps = [
        f"quorate run {folder}/protocol_spec.yaml --simulate {data}",
        f"quorate pki init {folder}/federation.yaml",
        f"quorate up {folder}/federation.yaml",
        *(
            f"quorate join {folder}/protocol_spec.yaml --as {owner} --data {name}={folder / name}.csv"
            for owner, name in INPUTS.items()
        ),
        f"quorate run {folder}/protocol_spec.yaml --as {COORDINATOR}",
    ]
    if as_json:
        print_json({"files": [str(path) for path in written], "next": steps})
        return
    print(f"wrote {len(written)} files to {folder}\nTry it in one process:\n  {steps[0]}")
    print("Or as real processes, each in a terminal of its own:")
    print("\n".join(f"  {step}" for step in steps[1:]))


def _run(folder: Path, protocol: str | None, delivery: str | None, meter: Meter) -> dict[str, Any]:
    """Prepare the folder, run the job, and compare; the document that `--json` prints."""
    from quorate.cli.compile import compile_anew
    from quorate.cli.example import INPUTS, SPEC, copy_example, free_ports, truth
    from quorate.coordination.federation import load_federation
    from quorate.node import launch
    from quorate.node.approval import load

    meter.say("writing three hospitals' files and certificates ...")
    copy_example(folder, free_ports(_NODES), protocol, delivery)
    if protocol is not None:
        meter.say(f"compiling the plan for {protocol} ...")
        compile_anew(folder / SPEC)
    federation = load_federation(folder / "federation.yaml")
    _certify(folder / "pki", federation)
    approved = load(folder / SPEC, federation)
    data = {name: str(folder / f"{name}.csv") for name in INPUTS.values()}
    meter.say("starting three nodes and three data owners ...")
    _preload(approved)
    with launch.up(federation, folder, folder / "state"):
        measured = _session(federation, approved, data, meter)
    expected, clear_seconds = truth(folder)
    return {**_document(approved, expected, *measured), "clear_seconds": clear_seconds}


def _certify(pki: Path, federation: Federation) -> None:
    from quorate.crypto.pki import create_authority, issue

    create_authority(pki, "demo")
    issue(pki, {member.name: None for member in federation.members})


def _preload(approved: Approved) -> None:
    """Do once, before processes are forked, what each would do for itself: imports, and a run on rows of zeros."""
    import pyarrow.csv

    from quorate.coordination.program import Job, session_program
    from quorate.engine.names import Scope
    from quorate.engine.simulate import simulate
    from quorate.node.warm import warm

    del pyarrow
    warm()
    blank = {item.name: _blank(item) for item in approved.spec.inputs}
    jobs = []
    for me in range(len(Job(approved.spec, approved.plan, 0).roster.participants)):
        job = Job(approved.spec, approved.plan, me)
        mine = {name: blank[name] for name, owner in job.roster.owners.items() if owner == me}
        jobs.append(replace(job, inputs=mine))
    simulate([session_program(job, job.session(), Scope.root()) for job in jobs])


def _blank(item: Input) -> Prepared:
    """The fewest rows that the spec allows for an input, all zeros."""
    import numpy as np

    from quorate.crypto.hashing import new_salt
    from quorate.data.commitment import commit
    from quorate.data.prepare import Prepared

    columns = {column.name: np.zeros(item.min_rows, np.int64) for column in item.columns}
    salt = new_salt()
    return Prepared(columns, item.min_rows, 0, 0, commit(columns, salt), salt)


def _session(
    federation: Federation, approved: Approved, data: dict[str, str], meter: Meter
) -> tuple[dict[str, Any], dict[str, Report], float]:
    """Results at the institute, everybody's report, and the seconds that it took from the start signal on."""
    from quorate.cli.example import COORDINATOR, INPUTS
    from quorate.cli.owners import owners
    from quorate.node.coordinator import coordinate
    from quorate.node.identity import Identity
    from quorate.node.results import as_json

    institute = Identity(federation, COORDINATOR)
    identities = {name: Identity(federation, name) for name in INPUTS}
    with owners(approved, identities, data) as hospitals:
        for hospital in hospitals:
            hospital.ready()
        meter.say("computing on shares ...")
        begun = time.perf_counter()
        on_progress: OnProgress = meter.progress
        finished = coordinate(institute, approved, {}, on_progress)
        seconds = time.perf_counter() - begun
        reports = finished.reports | _reports(hospitals, approved.spec.timeouts.round)
    return as_json(finished.values), reports, seconds


def _reports(hospitals: list[Owner], patience: float) -> dict[str, Report]:
    return {hospital.name: hospital.learned(patience).report for hospital in hospitals}


def _document(
    approved: Approved, expected: dict[str, Any], result: dict[str, Any], reports: dict[str, Report], seconds: float
) -> dict[str, Any]:
    from quorate.cli.stated import stated_errors

    rows = next(iter(reports.values())).rows
    precision = stated_errors(approved.spec, approved.plan, rows)
    difference = {name: abs(result[name] - expected[name]) for name in expected}
    return {
        "ok": all(difference[name] <= precision[name] for name in expected),
        "spec": approved.spec.name,
        "protocol": {
            "name": approved.spec.protocol.name,
            "adversary": approved.spec.protocol.adversary,
            "threshold": approved.spec.threshold,
        },
        "rows": rows,
        "result": result,
        "expected": expected,
        "difference": difference,
        "precision": precision,
        "rounds": max(report.rounds for report in reports.values()),
        "bytes_sent": sum(report.bytes_sent for report in reports.values()),
        "seconds": round(seconds, 3),
        "participants": {name: _participant(name, approved, reports) for name in sorted(reports)},
    }


def _participant(name: str, approved: Approved, reports: dict[str, Report]) -> dict[str, Any]:
    report = reports[name]
    received = sum(other.peers[name].sent for other in reports.values() if name in other.peers)
    return {
        "role": "node" if name in approved.spec.parties else "outside",
        "rounds": report.rounds,
        "messages": report.messages,
        "bytes_sent": report.bytes_sent,
        "bytes_received": received,
        "wire_bytes_sent": sum(peer.wire_out for peer in report.peers.values()),
        "seconds": round(report.seconds, 3),
        "peak_mb": round(report.peak_mb, 1),
        "saw": _saw(name, approved, received),
    }


def _saw(name: str, approved: Approved, received: int) -> str:
    """In words, what reached this participant."""
    spec = approved.spec
    own = [item.name for item in spec.inputs if item.owner == name]
    learns = [output.name for output in spec.outputs if name in spec.recipients(output)]
    if name in spec.parties:
        return f"row counts, commitments and {received:,} random-looking bytes: shares that mean nothing alone"
    before = f"its own file {own[0]}.csv and " if own else ""
    return f"{before}the {len(learns)} results that the spec opens to it, in {received:,} bytes of shares"
