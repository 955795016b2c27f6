"""`quorate check-data`: an owner's data against an agreed schema, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.common import Json, Meter, print_json
from quorate.errors import DataError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorate.data.report import Problem, Report, Summary
    from quorate.data.schema import InputSchema
    from quorate.data.source import Opened

__all__ = ["check_data"]


def check_data(
    schema: Annotated[
        Path | None, typer.Argument(metavar="SCHEMA", help="A schema document, or a spec; left out with --suggest.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="CSV, Parquet, Arrow, or a source document (.yaml); or use --sql."),
    ] = None,
    given: Annotated[
        str | None, typer.Option("--input", metavar="NAME", help="Of a spec with several inputs, the one to check.")
    ] = None,
    sql: Annotated[str | None, typer.Option(help="Check the result of this query over local files.")] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where to run the query: postgresql://..., or $NAME of a variable with it."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="How many places to show of each problem; all are counted.")] = 20,
    suggest: Annotated[bool, typer.Option("--suggest", help="Print a schema that fits FILE, to agree on.")] = False,
    as_json: Json = False,
) -> None:
    """Tell everything that is wrong with your data, or sum it up if it fits. Nothing leaves this machine."""
    if suggest:
        if file is not None:
            raise UserError("--suggest takes FILE alone: quorate check-data --suggest FILE")
        _suggest(schema, sql, database)
        return
    if schema is None:
        raise UserError("name the schema and the file: quorate check-data SCHEMA FILE")
    from quorate.coordination.schemas import load_agreed
    from quorate.data.source import is_table

    if is_table(schema):
        usage = "quorate check-data SCHEMA FILE, or for a first draft of a schema: quorate check-data --suggest FILE"
        raise UserError(f"{schema} is a table, and no schema; give the schema first: {usage}")
    agreed = load_agreed(schema, given)
    report = _checked(_opened(file, sql, database), agreed, most, quiet=as_json)
    if as_json:
        print_json({"schema": agreed.name, "fine": report.fine, **_plain(report)})
    else:
        print("\n".join(_lines(report, agreed.name)))
    if not report.fine:
        raise typer.Exit(DataError.exit_code)  # what was printed says it all


def _suggest(file: Path | None, sql: str | None, database: str | None) -> None:
    from quorate.data.suggest import suggest

    source = _opened(file, sql, database)
    with Meter(quiet=False) as meter:
        text = suggest(source, "table" if file is None else file.stem, progress=_shown(meter))
    print(text)


def _opened(file: Path | None, sql: str | None, database: str | None) -> Opened:
    from quorate.data.source import Opened, open_source, open_sql

    if (file is None) == (sql is None):
        raise UserError("name a file, or give a query with --sql, not both or none")
    if sql is not None:
        return Opened(open_sql(sql, database))
    if database is not None:
        raise UserError("--database needs --sql, the query to run there")
    return open_source(file)


def _checked(source: Opened, agreed: InputSchema, most: int, *, quiet: bool) -> Report:
    from quorate.data.prepare import check

    with Meter(quiet=quiet) as meter:
        return check(source, agreed, most=most, progress=_shown(meter))


def _shown(meter: Meter) -> Callable[[int, int], None]:
    """Shows how far a table has been read."""

    def show(done: int, total: int) -> None:
        if total:
            meter.progress("reading", done, total)

    return show


def _plain(report: Report) -> dict[str, object]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(report)
    for problem in found["problems"]:
        for example in problem["examples"]:
            if "todo" in example:
                example["todo"] = example["todo"].strip("; ")
    return found


def _lines(report: Report, name: str) -> list[str]:
    if report.fine:
        return _summary(report, name)
    total = sum(problem.count for problem in report.problems)
    counted = f"{_plural(total, 'problem')} in {_plural(report.rows, 'row')}"
    head = f"{report.source} does not fit {name!r}: {counted}"
    return [head, *(line for problem in report.problems for line in _problem(problem))]


def _problem(problem: Problem) -> list[str]:
    place = "table" if problem.column is None else f"column {problem.column!r}"
    times = f", {problem.count} times" if problem.count > 1 else ""
    lines = [f"{place}: {problem.rule}{times}: {problem.what}"]
    for example in problem.examples:
        value = f": {example.value}" if example.value else ""
        lines.append(f"  row {example.row}{value}{example.todo}")
    more = problem.count - len(problem.examples)
    return [*lines, f"  and {more} more"] if problem.examples and more else lines


def _summary(report: Report, name: str) -> list[str]:
    dropped = f", {report.dropped} dropped for missing values" if report.dropped else ""
    filled = f", {_plural(report.filled, 'value')} filled" if report.filled else ""
    head = f"{report.source} fits {name!r}: {_plural(report.kept, 'row')}{dropped}{filled}"
    width = max((len(summary.column) for summary in report.columns), default=0)
    return [head, *(f"  {summary.column:<{width}}  {_of(summary)}" for summary in report.columns)]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _of(summary: Summary) -> str:
    from quorate.data.times import written

    parts = [summary.type]
    if summary.low is not None and summary.high is not None:
        ends = (summary.low, summary.high)
        parts.append(" to ".join(written(end) if summary.type == "timestamp" else f"{end:.10g}" for end in ends))
    if summary.distinct is not None:
        parts.append("1 category occurs" if summary.distinct == 1 else f"{summary.distinct} categories occur")
    if summary.missing:
        parts.append(f"{summary.missing} missing")
    return ", ".join(parts)
