"""From a data owner's table to the raw integers that are shared, with every agreed check done first."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import new_salt
from quorate.data.commitment import Commitment, commit
from quorate.data.report import Problem, Report
from quorate.data.scan import Progress, scan
from quorate.data.schema import InputSchema
from quorate.data.source import open_source
from quorate.errors import DataError

__all__ = ["Prepared", "check", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An owner's input, ready to share; its repr shows counts only.

    `columns` holds raw int64 arrays of shape (rows,) by column name, in the order of the schema; large ones lie in
    temporary files (see `quorate.data.spool`). `dropped` counts rows left out and `filled` single values replaced for
    being missing. `salt` stays with the owner.
    """

    columns: dict[str, npt.NDArray[np.int64]] = field(repr=False)
    rows: int
    dropped: int
    filled: int
    commitment: Commitment
    salt: bytes = field(repr=False)


def prepare(
    source: object, schema: InputSchema, *, salt: bytes | None = None, progress: Progress | None = None
) -> Prepared:
    """Read `source` (see `open_source`), check it against `schema` and encode its columns.

    The source is read once, in batches, so that it may be larger than memory.

    Args:
        source: path, source document (.yaml), data frame (pandas, Polars), Arrow data or a `Table`.
        schema: the agreed input: columns, `min_rows`, `max_rows`.
        salt: 32 bytes for the commitment; fresh ones by default.
        progress: called with how much is done and how much there is (0: not known).

    Raises:
        DataError: the data does not fit the schema; the message names file, row and column of the first problem, and
            how many there are.
        UserError, EnvironmentFault: see `open_source`.
    """
    found = scan(open_source(source), schema, progress=progress)
    report = found.report
    if not report.fine:
        raise DataError(_first(report))
    used_salt = new_salt() if salt is None else salt
    commitment = commit(found.columns, used_salt)
    return Prepared(found.columns, report.kept, report.dropped, report.filled, commitment, used_salt)


def check(source: object, schema: InputSchema, *, most: int = 20, progress: Progress | None = None) -> Report:
    """Read `source` as `prepare` does, and tell everything that is wrong with it, or sum it up.

    Args:
        most: how many places to name of each problem; all are counted.

    Raises:
        DataError: there is no table in it at all, such as for an empty file.
        UserError, EnvironmentFault: see `open_source`.
    """
    return scan(open_source(source), schema, most=most, keep=False, progress=progress).report


def _first(report: Report) -> str:
    text = report.problems[0].sentence(report.source)
    total = sum(problem.count for problem in report.problems)
    return text if total == 1 else f"{text} ({_counted(report.problems)}; 'quorate check-data' lists them)"


def _counted(problems: tuple[Problem, ...]) -> str:
    total = sum(problem.count for problem in problems)
    return f"{total} problems of {len(problems)} kinds" if len(problems) > 1 else f"{total} such problems"
