"""quorate compile: from the author's Python source to the plan that nodes execute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.approved import Rows, parse_rows
from quorate.cli.common import Json, SpecFile, print_json
from quorate.errors import AgreementError, QuorateError, UserError

if TYPE_CHECKING:
    from quorate.coordination.choose import Choice
    from quorate.coordination.spec import Spec
    from quorate.lang.computation import Computation
    from quorate.lang.known import Known
    from quorate.lang.passes import Applied, Facts
    from quorate.lang.plan import Plan

__all__ = ["compile", "compile_anew"]


@dataclass(frozen=True)
class Compiled:
    """A spec with a protocol by name, its plan after all passes, and what there is to say about it.

    Attributes:
        passes: what each pass did.
        choice: for protocol "auto", what was considered.
        problem: why the plan cannot run with the most rows that the spec allows; empty if it can.
    """

    spec: Spec
    plan: Plan
    passes: Sequence[Applied]
    choice: Choice | None = None
    problem: str = ""


def compile(
    spec: SpecFile,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the plan file is not what the source gives.")
    ] = False,
    dump: Annotated[bool, typer.Option("--dump", help="Print the plan, one operation per line.")] = False,
    passes: Annotated[bool, typer.Option("--passes", help="Print what every pass of the planner did.")] = False,
    dump_passes: Annotated[
        Path | None,
        typer.Option("--dump-passes", metavar="DIR", help="Write the plan before and after every pass to DIR."),
    ] = None,
    rows: Rows = None,
    json: Json = False,
) -> None:
    """Trace the source of a spec, make the plan cheaper, and write the plan file beside the spec.

    This runs the author's Python code, on this machine only: nodes execute the plan and never see the source.
    """
    from quorate.cli.passes_view import passes_data, show_passes, write_passes
    from quorate.coordination.spec import load_spec
    from quorate.files import write_atomic

    made = _compiled(load_spec(spec, settle=False), spec, rows or [])
    target = Path(made.spec.plan)
    if check:
        _check_same(target, made.plan, spec)
    else:
        write_atomic(target, made.plan.to_json())
    _settle(made, spec, write=not check)
    if dump_passes is not None:
        write_passes(made.passes, dump_passes)
    digest = made.spec.digest(made.plan.digest)
    if json:
        document = {"plan": str(target), "plan_digest": made.plan.digest, "spec_digest": digest}
        choice = None if made.choice is None else made.choice.as_dict()
        more = {"passes": passes_data(made.passes), "choice": choice, "problem": made.problem or None}
        print_json({**document, "operations": len(made.plan.operations), "written": not check, **more})
        return
    if dump:
        print(made.plan.dump())
    if passes:
        show_passes(made.passes)
    for line in [] if made.choice is None else made.choice.lines:
        print(line)
    if made.problem:
        print(f"with the most rows that the spec allows this plan cannot run: {made.problem}")
    print(f"{target} {'is up to date' if check else 'written'}: {len(made.plan.operations)} operations")
    print(f"plan digest {made.plan.digest}\nspec digest {digest}")


def compile_anew(spec: Path) -> None:
    """Write the plan of a spec, as `quorate compile` does, without a word.

    Raises:
        UserError: see `trace` and `check_plan`.
    """
    from quorate.coordination.spec import load_spec
    from quorate.files import write_atomic

    made = _compiled(load_spec(spec), spec, [])
    write_atomic(Path(made.spec.plan), made.plan.to_json())


def _compiled(spec: Spec, file: Path, rows: Sequence[str]) -> Compiled:
    """The plan of the source after all passes; for protocol "auto", with the protocol that suits it.

    Raises:
        UserError: see `trace` and `check_plan`; or no protocol can run the plan.
    """
    from quorate.coordination.choose import choose
    from quorate.coordination.program import check_plan
    from quorate.coordination.quote import assumed_rows
    from quorate.coordination.rules import AUTO

    traced, counts = trace(spec, file), assumed_rows(spec, parse_rows(rows))
    check_plan(spec, traced)
    if spec.protocol.name != AUTO:
        return _improved(spec, traced, counts)
    choice = choose(spec, traced, counts)
    made = _improved(spec.settled(choice.protocol), traced, counts)
    for _ in choice.candidates:  # the best protocol for the plan that was improved for it
        again = choose(spec, made.plan, counts)
        if again.protocol == choice.protocol:
            return replace(made, choice=again)
        choice, made = again, _improved(spec.settled(again.protocol), traced, counts)
    return replace(made, choice=choice)


def _improved(spec: Spec, traced: Plan, rows: Mapping[str, int]) -> Compiled:
    """The plan after all passes, for these row counts if it can run with them."""
    from quorate.lang.passes import steps

    problem = ""
    try:
        done = list(steps(traced, _facts(spec, traced, rows), check=True))
    except UserError as found:
        problem = str(found)
        done = list(steps(traced))
    return Compiled(spec, done[-1].after, done, problem=problem)


def _facts(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> Facts:
    from quorate.coordination.breakdown import counting_protocols
    from quorate.coordination.program import raw_bounds
    from quorate.coordination.roster import roster
    from quorate.lang.execute import STORED
    from quorate.lang.passes import Facts

    owners: dict[str, int | str] = {item.name: roster(spec).owners.get(item.name, STORED) for item in spec.inputs}
    return Facts(counting_protocols(spec, plan, rows), raw_bounds(spec), rows, owners)


def _settle(made: Compiled, file: Path, *, write: bool) -> None:
    """Put the choice of protocol into the spec file, or compare it with what is there.

    Raises:
        AgreementError: nothing is to be written, and the file says something else.
    """
    from quorate.coordination.choose import write_choice

    if made.choice is None:
        return
    if write_choice(file, made.spec.protocol.name, write=write) and not write:
        raise AgreementError(
            f"{file}: protocol.choice is not what would be chosen now ({made.spec.protocol.name}); run "
            f"'quorate compile {file}'"
        )


def trace(spec: Spec, file: Path) -> Plan:
    """The plan of the spec's source.

    Raises:
        UserError: the spec names no source, it cannot be loaded, or it computes something that cannot be.
    """
    if spec.source is None:
        raise UserError(f"{file}: the key 'source' is missing; add 'source: FILE.py:FUNCTION' to compile")
    path, _, name = spec.source.rpartition(":")
    if not path or not name:
        raise UserError(f"{file}: source: {spec.source!r} is not FILE.py:FUNCTION")
    columns = {item.name: {column.name: column.dtype for column in item.columns} for item in spec.inputs}
    found = _computation(Path(path), name)
    try:
        return found.trace(columns, known=_known(spec))
    except UserError as problem:
        raise type(problem)(f"{_place(problem, Path(path))}: {problem}") from problem
    except Exception as problem:
        raise UserError(f"{_place(problem, Path(path))}: {type(problem).__name__}: {problem}") from problem


def _known(spec: Spec) -> Known:
    """Declared ranges and row limits; for protocol "auto", what fits all of ours."""
    from quorate.coordination.program import raw_bounds
    from quorate.coordination.rules import AUTO
    from quorate.lang.known import Known, reference

    name = "shamir" if spec.protocol.name == AUTO else spec.protocol.name
    rows = {item.name: item.max_rows for item in spec.inputs}
    return Known(raw_bounds(spec), rows, reference(name, len(spec.parties), spec.protocol.threshold))


def _computation(path: Path, name: str) -> Computation:
    from quorate.lang.computation import Computation

    module = _load(path)
    found = getattr(module, name, None)
    if not isinstance(found, Computation):
        there = [key for key, value in vars(module).items() if isinstance(value, Computation)]
        hint = f"it has {', '.join(there)}" if there else "put @quorate.computation above a function"
        raise UserError(f"{path}: has no computation called {name!r}; {hint}")
    return found


def _load(path: Path) -> Any:
    """The module in the file `path`, executed."""
    from importlib import util

    if not path.is_file():
        raise UserError(
            f"the source {path} does not exist on this machine; compile where the author's file is, or correct the key "
            "'source' of the spec ('quorate explain' shows a plan without its source)"
        )
    found = util.spec_from_file_location(f"quorate_source_{path.stem}", path)
    if found is None or found.loader is None:
        raise UserError(f"the source {path} is not a Python file; its name has to end in .py")
    module = util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except QuorateError:
        raise
    except Exception as problem:
        raise UserError(f"{_place(problem, path)}: {type(problem).__name__}: {problem}") from problem
    return module


def _place(problem: Exception, path: Path) -> str:
    """File and line of the author's source where it failed."""
    import traceback

    if isinstance(problem, SyntaxError):
        return f"{path}, line {problem.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if Path(frame.filename) == path]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _check_same(target: Path, plan: Plan, spec: Path) -> None:
    from quorate.lang.plan import Plan as Loaded

    if not target.exists():
        raise AgreementError(f"{target} does not exist; run 'quorate compile {spec}'")
    held = Loaded.from_json(target.read_bytes(), str(target))
    if held.digest != plan.digest:
        raise AgreementError(
            f"{target} is not what the source gives (digest {held.digest[:16]} in the file, {plan.digest[:16]} from "
            f"the source); run 'quorate compile {spec}' and have all parties approve the new plan"
        )
