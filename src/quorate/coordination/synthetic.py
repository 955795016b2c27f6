"""Data for rehearsals: random values of the declared types and ranges, from nobody's files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from quorate.coordination.spec import Input, Spec
from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.hashing import new_salt
from quorate.crypto.stream import KEY_BYTES, Stream
from quorate.data.commitment import commit
from quorate.data.prepare import Prepared
from quorate.data.schema import Column
from quorate.engine.names import Scope
from quorate.errors import UserError

__all__ = ["check_rows", "synthetic"]


def synthetic(item: Input, rows: int) -> Prepared:
    """An input of `rows` rows whose columns are uniform over their declared ranges."""
    stream, at = Stream(SystemEntropy().bytes(KEY_BYTES)), Scope.root("rehearsal")
    columns = {column.name: _column(column, rows, stream, at.child(column.name)) for column in item.columns}
    salt = new_salt()
    return Prepared(columns, rows, 0, 0, commit(columns, salt), salt)


def _column(column: Column, rows: int, stream: Stream, at: Scope) -> npt.NDArray[np.int64]:
    low, high = column.raw_bounds
    drawn = np.empty(rows, np.uint64)
    stream.fill(at.step(), drawn)
    result: npt.NDArray[np.int64] = (drawn % np.uint64(high - low + 1)).view(np.int64) + low
    return result


def check_rows(spec: Spec, rows: Mapping[str, int]) -> dict[str, int]:
    """The row counts of a rehearsal, if they are for exactly the inputs of `spec` and what it allows.

    Raises:
        UserError: an input is missing, unknown, or has a number of rows that the spec forbids.
    """
    if set(rows) != {item.name for item in spec.inputs}:
        raise UserError(f"a rehearsal of {spec.name!r} needs a number of rows for each input, and for nothing else")
    for item in spec.inputs:
        if not item.min_rows <= rows[item.name] <= item.max_rows:
            raise UserError(
                f"a rehearsal with {rows[item.name]} rows of {item.name!r} is outside of what the spec allows: "
                f"{item.min_rows} to {item.max_rows}"
            )
    return dict(rows)
