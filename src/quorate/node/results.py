"""What a participant takes away from a session: results as a JSON document, kept shares in the vault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.coordination.program import Outcome
from quorate.data.prepare import Prepared
from quorate.files import ensure_folder, write_atomic
from quorate.lang.plan import Plan
from quorate.node.approval import Approved, owner_of
from quorate.node.vault import Vault

__all__ = ["as_json", "default_home", "keep_shares", "results_path", "write_openings", "write_results"]


def as_json(values: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Any]:
    """Opened values by output as numbers, truth values and nested lists of them."""
    return {name: value.tolist() for name, value in values.items()}


def default_home(file: Path) -> Path:
    """The folder "state" beside a federation or spec file."""
    return file.parent / "state"


def results_path(home: Path, member: str, session: str) -> Path:
    """Where a node writes what its member receives in a session."""
    return home / "results" / f"{session}.{member}.json"


def write_results(path: Path, approved: Approved, session: str, outcome: Outcome) -> None:
    """Write the results that were opened to this member, readable for its user alone; nothing if there are none.

    The plan's digest says what they are results of, should the spec be another one some day.

    Raises:
        EnvironmentFault: the disk is full, or this machine refuses the write; no partial file is left.
    """
    if not outcome.values:
        return
    about = {"spec": approved.spec.name, "plan": approved.plan.digest, "session": session}
    document = {**about, "results": as_json(outcome.values), "rows": outcome.rows}
    ensure_folder(path.parent, 0o700)
    write_atomic(path, json.dumps(document, indent=2).encode() + b"\n", 0o600)


def write_openings(home: Path, member: str, session: str, inputs: Mapping[str, Prepared]) -> None:
    """Write what opens the commitments to this member's own inputs, readable for its user alone.

    With the salt, `quorate.data.commitment.verify` shows later that certain data went into the session.

    Raises:
        EnvironmentFault: as `write_results`.
    """
    if not inputs:
        return
    openings = {
        name: {"commitment": item.commitment.digest, "rows": item.rows, "salt": item.salt.hex()}
        for name, item in inputs.items()
    }
    path = home / "commitments" / f"{session}.{member}.json"
    ensure_folder(path.parent, 0o700)
    document = {"session": session, "inputs": openings}
    write_atomic(path, json.dumps(document, indent=2).encode() + b"\n", 0o600)


def keep_shares(vault: Vault, approved: Approved, me: int, session: str, outcome: Outcome) -> None:
    """Put the kept outputs into the vault under the names that the spec gives them; raises as `Vault.save`."""
    names = {output.name: output.keep for output in approved.spec.outputs if output.keep is not None}
    for output, share in outcome.kept.items():
        dtype = _dtype_of(approved.plan, output)
        vault.save(names[output], share, dtype, session, owner_of(approved.spec, me))


def _dtype_of(plan: Plan, output: str) -> str:
    return str(plan.operations[plan.outputs[output]].type.dtype)
