"""quorate compile: from the author's Python source to the plan that nodes execute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.approved import Rows, parse_rows
from quorate.cli.common import Json, Meter, SpecFile, print_json
from quorate.errors import AgreementError

if TYPE_CHECKING:
    from quorate.author.compiling import Compiled
    from quorate.lang.plan import Plan

__all__ = ["compile", "compile_anew"]


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
    from quorate.author.compiling import compiled
    from quorate.author.notes import take_note
    from quorate.cli.passes_view import passes_data, show_passes, write_passes
    from quorate.coordination.spec import load_spec
    from quorate.files import write_atomic

    with Meter(quiet=json, wait=0.0) as meter:
        made = compiled(load_spec(spec, settle=False, spread=False), spec, parse_rows(rows or []), meter.progress)
    target = Path(made.spec.plan)
    if check:
        _check_same(target, made.plan, spec)
    else:
        write_atomic(target, made.plan.to_json())
    parts_written = _settle(made, spec, write=not check)
    take_note(made.plan.digest, made.note)
    if dump_passes is not None:
        write_passes(made.passes, dump_passes)
    digest = made.agreed.digest(made.plan.digest)
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
    if parts_written:
        print(f"{spec} now lists the parts of {', '.join(one.name for one in made.spec.outputs if one.parts)}")
    if made.problem:
        print(f"with the most rows that the spec allows this plan cannot run: {made.problem}")
    print(f"{target} {'is up to date' if check else 'written'}: {len(made.plan.operations)} operations")
    print(f"plan digest {made.plan.digest}\nspec digest {digest}")


def compile_anew(spec: Path) -> None:
    """Write the plan of a spec, as `quorate compile` does, without a word.

    Raises:
        UserError: see `quorate.author.compiling.compiled`.
    """
    from quorate.author.compiling import compiled
    from quorate.coordination.spec import load_spec
    from quorate.files import write_atomic

    made = compiled(load_spec(spec, spread=False), spec, {})
    write_atomic(Path(made.spec.plan), made.plan.to_json())


def _settle(made: Compiled, file: Path, *, write: bool) -> bool:
    """Put what was found out into the spec file, or compare it with what is there: protocol, parts of whole results.

    Returns whether parts were written.

    Raises:
        AgreementError: nothing is to be written, and the file says something else.
    """
    from quorate.coordination.choose import write_choice
    from quorate.coordination.whole import write_parts

    wrong = []
    if parts := write_parts(file, made.spec, write=write):
        wrong.append("outputs: the parts of whole results are not those of the source")
    if made.choice is not None and write_choice(file, made.spec.protocol.name, write=write):
        wrong.append(f"protocol.choice is not what would be chosen now ({made.spec.protocol.name})")
    if wrong and not write:
        raise AgreementError(f"{file}: {'; '.join(wrong)}; run 'quorate compile {file}'")
    return parts


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
