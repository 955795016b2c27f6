"""Results of approved computations as their methods give them: from what was opened, and the author's source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from quorate.author.compiling import Progress, compiled
from quorate.author.notes import note_of, take_note
from quorate.author.source import Source
from quorate.coordination.program import check_plan
from quorate.coordination.spec import Spec, load_spec
from quorate.errors import AgreementError, QuorateError, UserError
from quorate.files import read_bytes
from quorate.interactive.provenance import stamp
from quorate.lang.plan import LARGEST, Plan
from quorate.node.results import default_home

__all__ = ["Finished", "finished_at_once", "read_results", "results"]

_LARGEST = 1 << 30


@dataclass(frozen=True)
class Finished:
    """Results of one session, by the names that the function gave them.

    Attributes:
        values: numbers, arrays, data frames: what `reveal` would give in an interactive session.
        spec, session, plan, protocol, parties, rows: of the run.
    """

    values: dict[str, Any]
    spec: str
    session: str
    plan: str
    protocol: str
    parties: tuple[str, ...]
    rows: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Where the values come from, as plain data."""
        parties = list(self.parties)
        return {"session": self.session, "plan": self.plan, "protocol": self.protocol, "parties": parties}


class _File(msgspec.Struct, frozen=True):
    """What `quorate run --json` prints, and what a node writes for its member."""

    spec: str
    plan: str
    session: str
    results: dict[str, Any]
    rows: dict[str, int]


def results(spec: str | Path, file: str | Path | None = None, home: str | Path | None = None) -> dict[str, Any]:
    """The results of a session of an approved computation, as an interactive session would give them.

    Executes the author's source that the spec names, as `quorate compile` does: use it on your own files.

    Args:
        spec: the spec file; its plan and its source lie where it says.
        file: what `quorate run --json` printed, or a file of the folder `results` of a node; by default the newest of
            this spec in `home`.
        home: by default "state" beside the spec.

    Raises:
        UserError: a file is missing or malformed, or is no result of this spec.
        AgreementError: the results are of another plan, or the source is not the one that the plan was compiled from.
    """
    return read_results(Path(spec), None if file is None else Path(file), None if home is None else Path(home)).values


def read_results(
    file: Path,
    results_file: Path | None = None,
    home: Path | None = None,
    rows: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> Finished:
    """As `results`; `rows` are those that were given to `quorate compile`.

    Without a note of what the plan was compiled from it is compiled anew, which `progress` is told of.
    """
    spec = load_spec(file)
    taken = _taken(results_file or _newest(spec, home or default_home(file)), spec)
    plan = Plan.from_json(read_bytes(Path(spec.plan), LARGEST), spec.plan)
    if taken.plan != plan.digest:
        raise AgreementError(
            f"session {taken.session} ran plan {taken.plan[:16]}, but {spec.plan} is now plan {plan.digest[:16]}; take "
            "spec, plan and source as they were in that session, or name the file of a later one"
        )
    check_plan(spec, plan)
    source = Source(spec, file)
    _check_source(source, plan, file, rows or {}, progress)
    return _finished(source, spec, plan, _values(plan, taken), taken)


def finished_at_once(
    spec: Spec, file: Path, plan: Plan, session: str, values: Mapping[str, Any], rows: Mapping[str, int]
) -> Finished | str:
    """Results of a session that has just ended, or in words why there are none.

    The source is executed only if this user compiled this very file on this machine: who takes part in a computation
    does not run what came with it.
    """
    try:
        source, note = Source(spec, file), note_of(plan.digest)
        if note is None:
            return "this plan was not compiled here"
        if source.digest != note.source or source.traced.plan.digest != note.traced:
            return f"{source.path} has changed since the plan was compiled"
        return _finished(source, spec, plan, values, _File(spec.name, plan.digest, session, {}, dict(rows)))
    except QuorateError as problem:
        return str(problem)
    except Exception as problem:  # whatever a method or the author's code does, the run itself has succeeded
        return f"{type(problem).__name__}: {problem}"


def _check_source(source: Source, plan: Plan, file: Path, rows: Mapping[str, int], progress: Progress | None) -> None:
    """Raises `AgreementError` unless the source gives this plan."""
    note = note_of(plan.digest)
    if note is not None and note.traced == source.traced.plan.digest:
        return
    made = compiled(load_spec(file, spread=False), file, rows, progress)
    if made.plan.digest != plan.digest:
        raise AgreementError(
            f"{source.path} does not give the plan of {file} ({plan.digest[:16]}): it has changed since the plan was "
            "compiled, or that was done with another release or other --rows; take the source that all approved"
        )
    take_note(plan.digest, made.note)


def _finished(source: Source, spec: Spec, plan: Plan, values: Mapping[str, Any], taken: _File) -> Finished:
    made = source.traced.finished(values, taken.rows)
    done = Finished(made, spec.name, taken.session, plan.digest, spec.protocol.name, spec.parties, taken.rows)
    for value in made.values():
        stamp(value, cast(Any, [done]))
    return done


def _taken(path: Path, spec: Spec) -> _File:
    """The file of a session of this spec. Raises `UserError` for any other."""
    try:
        taken = msgspec.json.decode(read_bytes(path, _LARGEST), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise UserError(
            f"{path}: no results ({problem}); give what 'quorate run --json' printed, or a file of the folder "
            "'results' of a node"
        ) from None
    if taken.spec != spec.name:
        raise UserError(f"{path}: results of {taken.spec!r}, but the spec is {spec.name!r}")
    if sorted(taken.rows) != sorted(item.name for item in spec.inputs) or min(taken.rows.values()) < 0:
        raise UserError(f"{path}: rows: names other inputs than the spec; the spec has changed since")
    return taken


def _newest(spec: Spec, home: Path) -> Path:
    """The newest file with results of the spec in a home folder."""
    found = sorted((home / "results").glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        if _names(path, spec.name):
            return path
    raise UserError(
        f"no results of {spec.name!r} lie in {home / 'results'}; name the file that holds what 'quorate run --json' "
        "printed, or the folder with --home"
    )


def _names(path: Path, name: str) -> bool:
    try:
        return msgspec.json.decode(read_bytes(path, _LARGEST), type=_File).spec == name
    except (QuorateError, msgspec.DecodeError, UnicodeDecodeError):
        return False


def _values(plan: Plan, taken: _File) -> dict[str, Any]:
    """Opened values with their types and shapes. Raises `UserError` for what the plan does not compute."""
    if unknown := sorted(taken.results.keys() - plan.outputs.keys()):
        raise UserError(f"the plan has no output {unknown[0]!r}: these are results of another plan")
    return {name: _value(plan, name, value, taken.rows) for name, value in taken.results.items()}


def _value(plan: Plan, name: str, value: Any, rows: Mapping[str, int]) -> Any:
    type_ = plan.operations[plan.outputs[name]].type.bind(rows)
    try:
        array = np.asarray(value)
        if array.size == 0 == math.prod(cast(Sequence[int], type_.shape)):
            array = array.reshape(cast(Sequence[int], type_.shape))
        if array.shape != type_.shape:
            raise UserError(f"shape {array.shape} where the plan has {type_}")
        array = type_.dtype.decode(type_.dtype.encode(array))
    except (ValueError, TypeError, UserError) as problem:
        raise UserError(f"{name}: {problem}; these are results of another plan") from None
    return array if array.ndim else array[()]
