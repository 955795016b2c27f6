"""quorate compile: from the author's Python source to the plan that nodes execute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.common import Json, SpecFile, print_json
from quorate.errors import AgreementError, QuorateError, UserError

if TYPE_CHECKING:
    from quorate.coordination.spec import Spec
    from quorate.lang.computation import Computation
    from quorate.lang.plan import Plan

__all__ = ["compile"]


def compile(
    spec: SpecFile,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the plan file is not what the source gives.")
    ] = False,
    dump: Annotated[bool, typer.Option("--dump", help="Print the plan, one operation per line.")] = False,
    json: Json = False,
) -> None:
    """Trace the source of a spec and write the plan file beside it.

    This runs the author's Python code, on this machine only: nodes execute the plan and never see the source.
    """
    from quorate.coordination.program import check_plan
    from quorate.coordination.spec import load_spec
    from quorate.files import write_atomic

    loaded = load_spec(spec)
    plan = trace(loaded, spec)
    check_plan(loaded, plan)
    target = Path(loaded.plan)
    if check:
        _check_same(target, plan, spec)
    else:
        write_atomic(target, plan.to_json())
    digest = loaded.digest(plan.digest)
    if json:
        document = {"plan": str(target), "plan_digest": plan.digest, "spec_digest": digest}
        print_json({**document, "operations": len(plan.operations), "written": not check})
        return
    if dump:
        print(plan.dump())
    print(f"{target} {'is up to date' if check else 'written'}: {len(plan.operations)} operations")
    print(f"plan digest {plan.digest}\nspec digest {digest}")


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
        return found.trace(columns)
    except UserError as problem:
        raise type(problem)(f"{_place(problem, Path(path))}: {problem}") from problem
    except Exception as problem:
        raise UserError(f"{_place(problem, Path(path))}: {type(problem).__name__}: {problem}") from problem


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
        raise UserError(f"the source {path} does not exist; correct the key 'source' of the spec")
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
