"""What is left of a run, and what differs between two."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from quorate.durable.audit_check import audits, entries, verify
from quorate.testing.chaos.havoc import Blow
from quorate.testing.chaos.site import Job, Site
from quorate.testing.chaos.tap import Findings, examine

__all__ = ["Remains", "Round", "Summary", "collect", "first_message", "judge", "summary"]


class Remains(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left behind.

    Attributes:
        seconds: from the start of the session to its end everywhere.
        failure: why it failed, as its coordinator was told; None if it did not.
        results: member -> what it learned.
        transcripts: member -> hash over all its messages.
        incarnations: member -> how many processes ran the session.
        sealed: the ledgers of all that was encrypted.
        audits: whether the chains of all audits are whole.
    """

    seconds: float
    failure: str | None
    results: dict[str, Any]
    transcripts: dict[str, str]
    incarnations: dict[str, int]
    sealed: Findings
    audits: bool


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """A disturbed run: what was done to it, what it left, and in words what is not as it should be."""

    kills: list[Blow]
    remains: Remains
    problems: list[str]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Everything; `ok`: nothing differs, after as many kills as were wanted.

    Recovery is in seconds, from the start of a process to its first message.
    """

    spec: str
    protocol: str
    transport: str
    seed: int
    session: str
    ok: bool
    wanted: int
    kills: int
    restarts: int
    recovery: dict[str, float]
    undisturbed: Remains
    rounds: list[Round]


def collect(site: Site, job: Job, session: str, seconds: float) -> Remains:
    """Read what the processes of a run have written."""
    ended: dict[str, Any] = _document(site.folder / "ended.json")
    failure = ended.get("failure")
    reports = {name: _document(site.home / "sessions" / name / session / "ended.json") for name in job.members}
    told = {name: found.get("report", {}) for name, found in reports.items()}
    results = {name: _document(site.home / "results" / f"{session}.{name}.json").get("results") for name in job.members}
    folders = audits(site.home) if (site.home / "audit").exists() else []
    return Remains(
        seconds=round(seconds, 3),
        failure=f"{failure['code']}: {failure['message']}" if failure else None,
        results={name: found for name, found in results.items() if found is not None},
        transcripts={name: report["transcript"] for name, report in told.items() if report.get("transcript")},
        incarnations={name: report["incarnation"] for name, report in told.items() if "incarnation" in report},
        sealed=examine([site.tap(name) for name in job.members]),
        audits=all(verify(folder).sound for folder in folders),
    )


def _document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return found


def first_message(site: Site, session: str, member: str, moment: float) -> float | None:
    """When the first message of a member left after a moment (Unix time), by its audit; None: none did."""
    folder = site.home / "audit" / member
    if not folder.exists():
        return None
    lines = entries(folder, session)
    return next((line.time for line in lines if line.direction == "out" and line.time >= moment), None)


def judge(calm: Remains, disturbed: Remains, *, lasting: bool) -> list[str]:
    """In words, what is not as in the undisturbed run although it should be."""
    problems = [f"used twice: {position}" for position in disturbed.sealed.twice]
    if not lasting:
        return problems  # what it draws is fresh, so results differ in the last digits, if there are any
    if disturbed.failure is not None:
        problems.append(f"the session failed: {disturbed.failure}")
    for what, one, other in (
        ("result", calm.results, disturbed.results),
        ("transcript", calm.transcripts, disturbed.transcripts),
    ):
        problems += [
            f"another {what} at {name}"
            for name in sorted(one.keys() | other.keys())
            if one.get(name) != other.get(name)
        ]
    if calm.sealed.content != disturbed.sealed.content:
        problems.append("other messages were encrypted")
    if not disturbed.audits:
        problems.append("the chain of an audit is broken")
    return problems


def summary(
    job: Job,
    wanted: int,
    facts: tuple[str, int, str],
    calm: Remains,
    rounds: Sequence[Round],
    problems: Sequence[str],
) -> Summary:
    """All of it; `facts` are transport, seed and session, `problems` those of the undisturbed run."""
    transport, seed, session = facts
    blows = [blow for one in rounds for blow in one.kills]
    times = sorted(blow.recovered for blow in blows if blow.recovered is not None)
    recovery = {}
    if times:
        recovery = {
            "fastest": round(times[0], 3),
            "median": round(statistics.median(times), 3),
            "slowest": round(times[-1], 3),
        }
    return Summary(
        spec=job.spec.name,
        protocol=job.spec.protocol.name,
        transport=transport,
        seed=seed,
        session=session,
        ok=not problems and not any(one.problems for one in rounds) and len(blows) == wanted,
        wanted=wanted,
        kills=len(blows),
        restarts=sum(blow.what == "all" for blow in blows),
        recovery=recovery,
        undisturbed=calm,
        rounds=list(rounds),
    )
