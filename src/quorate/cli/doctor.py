"""quorate doctor: what is wrong with a federation as seen from here, and what to do about it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.common import AsMember, Json, print_json
from quorate.cli.measure import measure_network
from quorate.errors import AgreementError, EnvironmentFault, PeerError, QuorateError, UserError

if TYPE_CHECKING:
    from quorate.coordination.federation import Federation, Member
    from quorate.coordination.measured import Pair
    from quorate.node.control import Control
    from quorate.node.identity import Identity
    from quorate.node.messages import Response

__all__ = ["doctor"]

_EARLIEST = 1_767_225_600
"""Seconds since 1970 at the start of 2026; a clock before that was never set."""
_CLOCKS_APART = 60.0
_PATIENCE = 5.0
_SLOW_MS = 500.0
_PROBES = 3
_RANDOM_BYTES = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One check: of whom, of what, whether it passed, and what to do if not. `ok` None: not checked, and why."""

    subject: str
    check: str
    ok: bool | None
    detail: str
    failure: QuorateError | None = None

    def as_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {**asdict(self), "failure": type(self.failure).__name__ if self.failure else None}


def doctor(
    federation: Annotated[
        Path | None, typer.Argument(metavar="[FEDERATION]", help="The federation file.", show_default=False)
    ] = None,
    name: AsMember = None,
    measure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Measure the network between the members, for 'quorate quote --measured'."),
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure how fast this machine computes, for 'quorate quote'.")
    ] = False,
    json: Json = False,
) -> None:
    """Check clock, randomness, certificates and keys, and, as a member with --as, that nodes answer and are who they
    should be.

    The exit code is that of the first failure.
    """
    from quorate.coordination.federation import load_federation

    if calibrate:
        _calibrate(as_json=json and federation is None)
    if federation is None:
        if calibrate:
            return
        raise UserError("name the federation file, for example: quorate doctor federation.yaml --as NAME")
    loaded = load_federation(federation)
    if name is not None:
        loaded.member(name)
    findings = list(_examine(loaded, name))
    failures = [finding.failure for finding in findings if finding.failure is not None]
    me = name or _only_key(loaded)
    pairs = [] if measure is None or failures else measure_network(loaded, me, measure, _say)
    if json:
        document = {"federation": loaded.name, "ok": not failures, "network": pairs}
        print_json({**document, "checks": [finding.as_dict() for finding in findings]})
    else:
        _show(loaded, findings)
        _show_network(pairs, measure)
    if failures:
        raise typer.Exit(failures[0].exit_code)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _calibrate(*, as_json: bool) -> None:
    from quorate.cli.calibrate import calibrate
    from quorate.coordination.machine import save_machine

    found = calibrate(_say)
    path = save_machine(found)
    if as_json:
        print_json({"file": str(path), "small_percent": found.small_percent, "bulk_percent": found.bulk_percent})
        return
    print(
        f"this machine: small steps take {found.small_percent} %, bulk work {found.bulk_percent} % of the built-in "
        f"figures; kept in {path}"
    )


def _examine(federation: Federation, name: str | None) -> Iterator[Finding]:
    yield _clock()
    yield _randomness()
    for member in federation.members:
        yield _certificate(federation, member)
    me = name or _only_key(federation)
    if me is None:
        yield Finding("nodes", "connection", None, "say who you are with --as NAME to check connections to the nodes")
        return
    key = _key(federation, me)
    yield key
    identity = _identity(federation, me)
    if key.ok and identity is not None:
        for member in federation.members:
            if member.has("compute", "dealer"):
                yield from _node(identity, member)


def _clock() -> Finding:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _EARLIEST:
        return _failed("this machine", "clock", EnvironmentFault(f"the clock says {shown}; set it, for example by NTP"))
    return Finding("this machine", "clock", True, shown)


def _randomness() -> Finding:
    """The health tests of SP 800-90B on a fresh megabyte of the system's source."""
    from quorate.crypto.entropy import examine
    from quorate.crypto.health import MIN_ENTROPY, WINDOW, proportion_cutoff, run_cutoff

    try:
        health = examine(_RANDOM_BYTES)
    except EnvironmentFault as problem:
        return _failed("this machine", "randomness", problem)
    return Finding(
        "this machine",
        "randomness",
        True,
        f"{_RANDOM_BYTES >> 20} MiB passed the tests of SP 800-90B 4.4 for {MIN_ENTROPY} bits per byte: longest run "
        f"{health.longest_run} (alarm at {run_cutoff()}), most in {WINDOW} bytes {health.most_in_window} "
        f"(alarm at {proportion_cutoff()})",
    )


def _certificate(federation: Federation, member: Member) -> Finding:
    from quorate.crypto.pki import check_certificate, load_certificate

    try:
        fingerprint = member.fingerprint
        if not Path(federation.ca).exists():
            raise UserError(f"the authority's certificate {federation.ca} does not exist; get it from the authority")
        check_certificate(Path(member.certificate), Path(federation.ca), name=member.name)
        until = load_certificate(Path(member.certificate)).not_valid_after_utc
    except QuorateError as problem:
        return _failed(member.name, "certificate", problem)
    return Finding(member.name, "certificate", True, f"valid until {until:%Y-%m-%d}, {fingerprint[:23]}...")


def _only_key(federation: Federation) -> str | None:
    """The member whose key is here, if it is only one: on a real member's machine that is who we are."""
    here = [member.name for member in federation.members if _key_path(member).exists()]
    return here[0] if len(here) == 1 else None


def _key_path(member: Member) -> Path:
    return Path(member.certificate).with_name(f"{member.name}.key")


def _key(federation: Federation, name: str) -> Finding:
    """Whether our key is there, private, and the one of our certificate."""
    from quorate.transport.tls import load_contexts

    member = federation.member(name)
    path = _key_path(member)
    try:
        if not path.exists():
            raise UserError(f"the private key {path} does not exist; only {name} can check connections as {name}")
        if path.stat().st_mode & 0o077:
            raise EnvironmentFault(f"{path} can be read by other users of this machine; run: chmod 600 {path}")
        load_contexts(Path(member.certificate), path, Path(federation.ca))
    except QuorateError as problem:
        return _failed(name, "key", problem)
    return Finding(name, "key", True, f"{path} belongs to the certificate and is readable for its owner alone")


def _identity(federation: Federation, name: str) -> Identity | None:
    from quorate.node.identity import Identity

    try:
        return Identity(federation, name)
    except QuorateError:
        return None  # the certificate's finding says why


def _node(identity: Identity, member: Member) -> Iterator[Finding]:
    """Port, handshake, release, clock and latency of one node; ends at the first failure."""
    from quorate.node.control import dial

    try:
        control = dial(identity, member, _PATIENCE)
    except EnvironmentFault as problem:
        found = str(problem).partition("; ")[0]
        text = f"{found}; start it with 'quorate node', or check the address, the name service and the firewall"
        yield _failed(member.name, "port", EnvironmentFault(text))
        return
    except QuorateError as problem:
        yield Finding(member.name, "port", True, f"{member.endpoint} is open")
        yield _failed(member.name, "handshake", problem)
        return
    yield Finding(member.name, "port", True, f"{member.endpoint} is open")
    try:
        yield from _greet(control, member)
    except QuorateError as problem:
        yield _failed(member.name, "handshake", problem)
    finally:
        control.close()


def _greet(control: Control[Response], member: Member) -> Iterator[Finding]:
    from quorate.coordination.agreement import software
    from quorate.node.control import call
    from quorate.node.messages import Hello, Welcome

    times = []
    answer: Response | None = None
    for _ in range(_PROBES):
        begun = time.perf_counter()
        answer = call(control, Hello(software=software()), _PATIENCE)
        times.append((time.perf_counter() - begun) * 1000)
    if not isinstance(answer, Welcome) or answer.member != member.name:
        raise PeerError(f"{member.name} gave an answer that does not fit the question; compare releases")
    yield Finding(member.name, "handshake", True, "mutual TLS 1.3 with the pinned certificate")
    yield _release(member.name, answer.software, software())
    yield _apart(member.name, answer.time - time.time())
    yield _latency(member.name, min(times))


def _release(name: str, theirs: str, ours: str) -> Finding:
    if theirs != ours:
        text = f"{name} runs {theirs!r}, we run {ours!r}; install the same release on both"
        return _failed(name, "release", AgreementError(text))
    return Finding(name, "release", True, ours)


def _apart(name: str, seconds: float) -> Finding:
    if abs(seconds) > _CLOCKS_APART:
        text = f"its clock is {seconds:+.0f} s from ours; one of the two is wrong: set it by NTP"
        return _failed(name, "its clock", EnvironmentFault(text))
    return Finding(name, "its clock", True, f"{seconds:+.1f} s from ours")


def _latency(name: str, milliseconds: float) -> Finding:
    hint = "; every round waits that long, expect slow sessions" if milliseconds > _SLOW_MS else ""
    return Finding(name, "latency", True, f"{milliseconds:.1f} ms there and back{hint}")


def _failed(subject: str, check: str, problem: QuorateError) -> Finding:
    return Finding(subject, check, False, str(problem), problem)


def _show_network(pairs: list[Pair], file: Path | None) -> None:
    for pair in pairs:
        trip, rate = pair.rtt_us / 1000, pair.bandwidth / 1e6
        print(f"{pair.source} to {pair.to}: {trip:.2f} ms there and back, {rate:,.0f} Mbit/s")
    if pairs:
        print(f"written to {file}; use it with: quorate quote SPEC --measured {file}")


def _show(federation: Federation, findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    marks = {True: "[green]ok[/green]", False: "[bold red]FAILED[/bold red]", None: "[yellow]skipped[/yellow]"}
    table = Table(title=f"federation {federation.name}", title_justify="left")
    for heading in ("who", "check", "", "found, and what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(finding.subject, finding.check, marks[finding.ok], escape(finding.detail))
    Console(highlight=False).print(table)
