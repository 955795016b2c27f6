"""The program `quorate`: finds the command, and turns every error into one line and an exit code.

A new command is one module with a function of the same name (see `cli.node`), and one line in `COMMANDS`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import typer

from quorate._version import __version__
from quorate.errors import EnvironmentFault, InternalError, QuorateError
from quorate.node.process import forbid_core_dumps

__all__ = ["COMMANDS", "application", "main"]

COMMANDS = {
    "demo": "Three hospitals compute an average on this machine: see it work.",
    "run": "Run a computation as its coordinator, on the nodes or, to try it out, in this process.",
    "results": "Show results with p-values, intervals and names, from what a session opened.",
    "status": "Say how a session stands whose participants are not online together.",
    "join": "Take part in a computation as an outside data owner or recipient.",
    "place": "Share a table with the nodes, which keep it for analysts to compute on.",
    "submit": "Leave a table, split into shares, for parties that compute on it later.",
    "collect": "Take submitted shares as a party, and make an input of them.",
    "check-data": "Tell an owner what is wrong with data, before anything is shared.",
    "dlq": "Show, put back and delete messages that nobody could use.",
    "node": "Run the node of one member of a federation.",
    "up": "Run all nodes of a federation as processes of this machine.",
    "tuples": "Show and fill the stocks of correlated randomness at a node.",
    "audit": "Check and show what a node recorded of what it received and sent.",
    "replay": "Run the schedule of a session again, to find out why it came to a halt.",
    "chaos": "Kill the nodes of a computation on this machine, and see whether anything differs.",
    "bench": "Measure how fast this machine computes.",
    "compile": "Trace the source of a spec to the plan that nodes execute.",
    "quote": "Say what a session will cost, before anybody runs it.",
    "explain": "Show a computation: operations, cost, precision, and who learns what.",
    "doctor": "Check clocks, certificates, ports and versions of a federation.",
    "pki": "Make certificates: of a test federation, or each by its owner.",
}
"""Command -> what it does, in the order of the help.

Its code is the function (or `Typer` of sub-commands) of that name in its module, `_` standing for `-`.
"""

INTERRUPTED = 128 + signal.SIGINT
PIPE_CLOSED = 128 + signal.SIGPIPE


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program with `arguments` (by default those of the process) and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # The workers' arithmetic does not use the linear algebra library, whose threads would only be in the way of forks.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    forbid_core_dumps()
    code = _run(given)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.exit(code)


def application(chosen: str | None) -> typer.Typer:
    """The program with all its commands, of which only the chosen one is imported."""
    app = typer.Typer(
        help="Organisations compute together on data that none of them shows.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name, summary in COMMANDS.items():
        if name == chosen:
            function = name.replace("-", "_")
            command = getattr(import_module(f"quorate.cli.{function}"), function)
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name)
            else:
                app.command(name)(command)
        else:
            app.command(name, help=summary)(_stub)
    return app


def _stub() -> None:
    """Stands for a command that was not chosen, on the help page."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"quorate {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=_show_version
    ),
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks and log details."),
) -> None:
    del version, debug  # the one has its callback, the other is read before anything else, see `_run`


def _run(given: Sequence[str]) -> int:
    before = _before_command(given)
    chosen = given[len(before)] if len(before) < len(given) else None
    debug = "--debug" in before or bool(os.environ.get("QUORATE_DEBUG"))
    try:
        result: Any = typer.main.get_command(application(chosen))(
            list(given) or ["--help"], prog_name="quorate", standalone_mode=False
        )
    except BaseException as problem:
        if debug and not isinstance(problem, SystemExit):
            raise
        return _explain(problem, "--json" in given)
    if result == INTERRUPTED:
        print("quorate: interrupted", file=sys.stderr)
    return result if isinstance(result, int) else 0


def _before_command(given: Sequence[str]) -> list[str]:
    """The options before the name of the command."""
    options = []
    for argument in given:
        if not argument.startswith("-"):
            break
        options.append(argument)
    return options


def _explain(problem: BaseException, as_json: bool) -> int:
    """Say what went wrong; the exit code."""
    if isinstance(problem, SystemExit):
        return problem.code if isinstance(problem.code, int) else 1
    if isinstance(problem, KeyboardInterrupt) or type(problem).__name__ == "Abort":
        print("quorate: interrupted", file=sys.stderr)
        return INTERRUPTED
    if isinstance(problem, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    show: Callable[[], None] | None = getattr(problem, "show", None)
    if show is not None:  # a mistake in the command line; the class differs between versions of typer
        show()
        return int(getattr(problem, "exit_code", 2))
    known = _known(problem)
    print(f"quorate: {known}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"code": type(known).__name__, "message": str(known)}}))
    return known.exit_code


def _known(problem: BaseException) -> QuorateError:
    if isinstance(problem, QuorateError):
        return problem
    if isinstance(problem, MemoryError):
        return EnvironmentFault("out of memory; use a machine with more, or fewer rows")
    return InternalError(f"{type(problem).__name__}; run 'quorate --debug ...' for details, and please report this")
