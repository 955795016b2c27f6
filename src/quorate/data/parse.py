"""From the unconverted column of a table, batch by batch, to numbers in real units, and to what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from quorate.data.column import fold
from quorate.data.conversion import TICKS, Conversion, nearly_whole
from quorate.data.fault import Fault, Rows, Rule, shown
from quorate.data.keys import key_number
from quorate.data.schema import (
    BoolColumn,
    CategoryColumn,
    Column,
    FixedColumn,
    IntColumn,
    KeyColumn,
    TimestampColumn,
)
from quorate.data.source import Local
from quorate.data.table import Arrow
from quorate.data.times import seconds
from quorate.data.values import coded, decimals, looked_up, normalised, whole
from quorate.errors import UserError

__all__ = ["Parsed", "Parser"]

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_BOOLS = {"true": 1, "t": 1, "yes": 1, "y": 1, "1": 1, "false": 0, "f": 0, "no": 0, "n": 0, "0": 0}
_NO_NUMBER = "; supply a number, or leave it empty if it is missing"
_KINDS = {
    "int": "a whole number",
    "fixed": "a number",
    "bool": "true or false (yes/no, 1/0)",
    "category": "one of the categories",
    "timestamp": "a time (ISO 8601 as 2024-05-31T08:30:00Z, or seconds since 1970)",
    "key": "a key: a text or a whole number",
}


@dataclass(frozen=True, slots=True, repr=False)
class Parsed:
    """A batch of a column in real units.

    Attributes:
        values: (rows,), float64 for fixed and int64 otherwise; 0 where `missing`, or where a value is at fault.
        missing: which values are missing.
        faults: what is wrong with others; a value is in one of them at most.
    """

    values: Numbers
    missing: Mask
    faults: list[Fault]


class Parser:
    """One agreed column of one owner, as its batches come."""

    def __init__(self, column: Column, local: Local | None = None) -> None:
        """`local` is how the owner has it. Raises `UserError` for a unit, format or zone that does not fit."""
        self.column = column
        self._local = local or Local()
        self._conversion = self._agreed_conversion()
        self._rows = 0
        self.zoned: int | None = None
        self.naive: int | None = None

    @cached_property
    def kind(self) -> str:
        """The kind of values that are expected, as a spec names it; narrow integers are "int"."""
        return "int" if isinstance(self.column, IntColumn) else str(self.column.__struct_config__.tag)

    def parse(self, array: Arrow) -> Parsed:
        """Convert the next batch, a pyarrow array of any type."""
        named = frozenset(self.column.codes) if isinstance(self.column, CategoryColumn) else frozenset[str]()
        work = _Batch(self.column, *normalised(array, named))
        given = np.asarray(work.array.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        found = self._converted(work)
        converted = np.asarray(found.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        target = "float64" if isinstance(self.column, FixedColumn) or self._conversion else "int64"
        values: Numbers = found.fill_null(0).to_numpy(zero_copy_only=False).astype(target, copy=True)
        faults = [*self._refused(work, given & ~converted), *self._infinite(work, values, converted)]
        values, broken = self._in_agreed_unit(work, values, converted)
        faults += [*broken, *self._out_of_range(work, values, converted)]
        for fault in faults:
            values[fault.rows] = 0
        self._rows += len(values)
        return Parsed(values if isinstance(self.column, FixedColumn) else values.astype(np.int64), ~given, faults)

    # -- conversion ---------------------------------------------------------------------------------------------------

    def _agreed_conversion(self) -> Conversion | None:
        column, local = self.column, self._local
        if isinstance(column, TimestampColumn):
            if local.unit not in (None, *TICKS):
                raise UserError(f"times of column {column.name!r} as numbers have the unit {', '.join(TICKS)}")
            return None
        if local.format is not None or local.zone is not None:
            raise UserError(f"column {column.name!r} has no times; remove its format and zone")
        if local.unit is None:
            return None
        if not isinstance(column, FixedColumn | IntColumn):
            raise UserError(f"column {column.name!r} has no numbers with a unit; remove it")
        return column.conversion(local.unit)

    def _converted(self, work: _Batch) -> Arrow:
        """int64 or float64, null where a value is missing or of a wrong type."""
        column, array = self.column, work.array
        if isinstance(column, CategoryColumn):
            codes = column.codes
            return looked_up(coded(array), lambda text: codes.get(fold(text)))
        if isinstance(column, KeyColumn):
            return looked_up(work.keys(), lambda text: key_number(column, text))
        if isinstance(column, BoolColumn) and work.is_text:
            return looked_up(array, lambda text: _BOOLS.get(fold(text)))
        if isinstance(column, TimestampColumn):
            return self._times(work, column)
        if isinstance(column, FixedColumn) or self._conversion:
            return decimals(array, work.is_text)
        return whole(work.finite(), work.is_text)

    def _times(self, work: _Batch, column: TimestampColumn) -> Arrow:
        local = self._local
        times = seconds(work.array, work.is_text, local.zone or column.zone, local.unit, local.format)
        if self.zoned is None:
            self.zoned = self._first(times.zoned)
        if self.naive is None and not (local.zone or column.zone):
            self.naive = self._first(times.naive)
        return times.seconds

    def _first(self, mask: Arrow) -> int | None:
        index = int(mask.index(True).as_py())
        return None if index < 0 else self._rows + index

    def _in_agreed_unit(self, work: _Batch, values: Numbers, converted: Mask) -> tuple[Numbers, list[Fault]]:
        if self._conversion is None:
            return values, []
        with np.errstate(over="ignore", invalid="ignore"):
            agreed = self._conversion.apply(cast("npt.NDArray[np.float64]", values))
        if isinstance(self.column, FixedColumn):
            return agreed, []
        good = nearly_whole(agreed) | ~np.isfinite(agreed)
        unit = getattr(self.column, "unit", "")
        broken = converted & ~good
        what = f"is no whole number of {unit}"
        faults = [work.fault("unit", broken, what, "; agree on type fixed")] if broken.any() else []
        return np.where(good, np.rint(agreed), 0), faults

    # -- faults -------------------------------------------------------------------------------------------------------

    def _refused(self, work: _Batch, refused: Mask) -> Iterator[Fault]:
        infinite = refused & work.infinities()
        if infinite.any():
            yield work.fault("infinite", infinite, "is infinite", _NO_NUMBER)
        if (refused & ~infinite).any():
            rule: Rule = "category" if self.kind == "category" else "type"
            yield work.fault(rule, refused & ~infinite, f"is not {_KINDS[self.kind]}")

    def _infinite(self, work: _Batch, values: Numbers, converted: Mask) -> Iterator[Fault]:
        infinite = converted & ~np.isfinite(values)
        if infinite.any():
            yield work.fault("infinite", infinite, "is infinite", _NO_NUMBER)

    def _out_of_range(self, work: _Batch, values: Numbers, converted: Mask) -> Iterator[Fault]:
        low, high = self.column.bounds
        out = converted & np.isfinite(values) & ~((values >= low) & (values <= high))
        if not out.any():
            return
        hint = " (times are in seconds, not milliseconds)" if isinstance(self.column, TimestampColumn) else ""
        todo = f"; correct the value or agree on another range{hint}"
        yield work.fault("range", out, f"is outside the agreed range [{_plain(low)}, {_plain(high)}]", todo)


@dataclass(frozen=True)
class _Batch:
    """A batch under conversion; `array` has nulls for missing values."""

    column: Column
    array: Arrow
    is_text: bool

    def fault(self, rule: Rule, mask: Mask, what: str, todo: str | None = None) -> Fault:
        rows: Rows = np.flatnonzero(mask).astype(np.int64)
        return Fault(rule, rows, self._shown, what, self._hint if todo is None else lambda _: todo)

    def finite(self) -> Arrow:
        """The array with nulls for infinities, which would make every conversion to whole numbers fail."""
        import pyarrow as pa
        import pyarrow.compute as pc

        return (
            pc.if_else(pc.is_inf(self.array), None, self.array) if pa.types.is_floating(self.array.type) else self.array
        )

    def infinities(self) -> Mask:
        """Which values say that they are infinite, where that is no number of the column's type."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if isinstance(self.column, CategoryColumn | KeyColumn | BoolColumn):
            return np.zeros(len(self.array), np.bool_)
        if self.is_text:
            found = pc.match_substring_regex(self.array, r"(?i)^[+-]?inf(inity)?$")
        elif pa.types.is_floating(self.array.type):
            found = pc.is_inf(self.array)
        else:
            return np.zeros(len(self.array), np.bool_)
        return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)

    def keys(self) -> Arrow:
        """Keys as texts, null for what cannot be one."""
        import pyarrow as pa

        kind = self.array.type
        if self.is_text or pa.types.is_integer(kind):
            return coded(self.array)
        numbers = pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        return coded(whole(self.finite(), False)) if numbers else pa.nulls(len(self.array), pa.string())

    def _shown(self, index: int) -> str:
        return shown(self.array[index].as_py())

    def _hint(self, index: int) -> str:
        text = str(self.array[index].as_py())
        if isinstance(self.column, CategoryColumn):
            return f" agreed: {', '.join(self.column.categories[:20])}; correct the value or agree on another list"
        if "," in text and isinstance(self.column, FixedColumn | IntColumn):
            return "; write numbers without thousands separators and with a decimal point, such as 1234.5"
        if isinstance(self.column, IntColumn) and "." in text:
            return "; agree on type fixed if fractions are meant"
        return "; correct the value"


def _plain(number: Any) -> str:
    return str(int(number)) if number == int(number) else str(number)
