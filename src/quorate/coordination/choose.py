"""`protocol: auto`: the cheapest protocol that protects as stated, and why.

The choice is made once, when the spec is compiled, and written into it: everybody approves a protocol by its name. See
`docs/decisions/0010-auto-is-settled-at-compile-time.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from quorate.coordination.quote import quote
from quorate.coordination.rewrite import Document, member
from quorate.coordination.rules import AUTO, adversary_problems, dropout_problems, plug_ins, protocol_problems
from quorate.coordination.spec import PROTOCOLS, Spec
from quorate.errors import UserError
from quorate.lang.plan import Plan

__all__ = ["Candidate", "Choice", "choose", "write_choice"]


@dataclass(frozen=True)
class Candidate:
    """A protocol that was considered: why it was refused, or what a session would cost.

    `seconds` is predicted for the network of the spec and the built-in figures for machines, so that it is the same
    wherever the spec is compiled.
    """

    protocol: str
    threshold: int
    refused: str | None = None
    seconds: float = 0.0
    rounds: int = 0
    bytes_sent: int = 0

    @property
    def text(self) -> str:
        """One line about it."""
        if self.refused is not None:
            return f"{self.protocol}: no, {self.refused}"
        return (
            f"{self.protocol} (threshold {self.threshold}): {self.seconds:.3g} s predicted, {self.rounds:,} rounds, "
            f"{self.bytes_sent:,} bytes"
        )


@dataclass(frozen=True)
class Choice:
    """What was chosen for `auto`, for which rows and network, and everything that was considered."""

    protocol: str
    rows: dict[str, int]
    network: str
    candidates: tuple[Candidate, ...]

    @property
    def lines(self) -> list[str]:
        """For people: the choice with its reason, and each candidate."""
        rows = ", ".join(f"{name} {count:,}" for name, count in self.rows.items())
        head = f"protocol auto: {self.protocol}, the fastest that protects as stated ({self.network}; rows: {rows})"
        return [head, *(f"  {candidate.text}" for candidate in self.candidates)]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def choose(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> Choice:
    """The fastest protocol for a spec with protocol "auto", at the same time that of the first in order.

    Raises:
        UserError: none can run it; says why for each.
    """
    candidates = tuple(_candidate(spec, plan, rows, name) for name in (*PROTOCOLS, *plug_ins()))
    possible = [candidate for candidate in candidates if candidate.refused is None]
    if not possible:
        reasons = "; ".join(candidate.text for candidate in candidates)
        raise UserError(f"no protocol can run {spec.name!r} with these parties and this threshold: {reasons}")
    best = min(possible, key=lambda candidate: candidate.seconds)
    return Choice(best.protocol, dict(rows), str(spec.network.model), candidates)


def _candidate(spec: Spec, plan: Plan, rows: Mapping[str, int], name: str) -> Candidate:
    trial = spec.settled(name)
    refused = next(_objections(spec, trial), None)
    if refused is not None:
        return Candidate(name, 0, refused)
    try:
        made = quote(trial, plan, rows)
    except UserError as problem:
        return Candidate(name, trial.threshold, str(problem))
    return Candidate(name, trial.threshold, None, made.seconds, made.rounds, made.bytes_sent)


def _objections(spec: Spec, trial: Spec) -> Iterator[str]:
    """Why a protocol does not satisfy what is stated; nothing if it does."""
    asked = trial.protocol
    known = (*PROTOCOLS, *plug_ins())
    for _, what in protocol_problems(asked.name, trial.parties, asked.threshold, trial.dealer, known):
        yield what
    for _, what in adversary_problems(asked.name, asked.adversary, asked.security):
        yield what
    for _, what in dropout_problems(asked.name, trial.abort.on_dropout, lasting=trial.lasting):
        yield what


def write_choice(path: Path, protocol: str, *, write: bool = True) -> bool:
    """Put `choice: PROTOCOL` into the spec file, after `name: auto`; everything else stays as it is.

    Returns whether the file did not say so before. With `write` false nothing is written.

    Raises:
        UserError: the file cannot be read, or is no spec with protocol "auto".
    """
    document = Document(path)
    asked = member(document.root, "protocol")
    if not isinstance(asked, yaml.MappingNode):
        raise UserError(f"{path}: protocol: expected a mapping of keys to values")
    name, choice = member(asked, "name"), member(asked, "choice")
    if name is None or name.value != AUTO:
        raise UserError(f"{path}: protocol.name is not auto; nothing is to be chosen")
    if choice is not None and choice.value == protocol:
        return False
    if write:
        document.put(asked, "choice", protocol, after="name")
        document.save()
    return True
