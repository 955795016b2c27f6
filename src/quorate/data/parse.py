"""From the unconverted column of a table, batch by batch, to numbers in real units, and to what is wrong with it."""

from __future__ import annotations

import re
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
from quorate.data.times import LATEST, seconds, written
from quorate.data.values import coded, decimals, looked_up, normalised, whole
from quorate.errors import UserError

__all__ = ["Parsed", "Parser"]

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_BOOLS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), 1),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), 0),
}
_BEYOND = 2.0**63
_FRACTION = re.compile(r"[+-]?[0-9]+\.[0-9]+")
_DIGITS = re.compile(r"[0-9]{8}")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+)?(Z|[+-][0-9:]+)?$")
_NO_NUMBER = "; supply a number, or leave it empty if it is missing"
_KINDS = {
    "int": "a whole number",
    "fixed": "a number",
    "bool": "true or false (yes/no, 1/0)",
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
        if not refused.any():
            return
        infinite = refused & work.infinities()
        if infinite.any():
            yield work.fault("infinite", infinite, "is infinite", _NO_NUMBER)
        if (large := refused & ~infinite & work.beyond()).any():
            yield self._outside(work, large, _BEYOND)
        if (rest := refused & ~infinite & ~large).any():
            if isinstance(self.column, CategoryColumn):
                yield work.fault("category", rest, _no_category(self.column), "")
            else:
                yield work.fault("type", rest, f"is not {_KINDS[self.kind]}")

    def _infinite(self, work: _Batch, values: Numbers, converted: Mask) -> Iterator[Fault]:
        infinite = converted & ~np.isfinite(values)
        if infinite.any():
            yield work.fault("infinite", infinite, "is infinite", _NO_NUMBER)

    def _out_of_range(self, work: _Batch, values: Numbers, converted: Mask) -> Iterator[Fault]:
        low, high = self.column.bounds
        out = converted & np.isfinite(values) & ~((values >= low) & (values <= high))
        if out.any():
            yield self._outside(work, out, values[out].max().item())

    def _outside(self, work: _Batch, out: Mask, largest: float) -> Fault:
        are_times = isinstance(self.column, TimestampColumn)
        low, high = map(written if are_times else _plain, self.column.bounds)
        hint = " (times are in seconds, not milliseconds)" if are_times and largest > LATEST else ""
        todo = f"; correct the value or agree on another range{hint}"
        return work.fault("range", out, f"is outside the agreed range [{low}, {high}]", todo)


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

    def beyond(self) -> Mask:
        """Which values are numbers of more than 64 bits, where whole ones are expected."""
        if not isinstance(self.column, IntColumn | TimestampColumn):
            return np.zeros(len(self.array), np.bool_)
        numbers = decimals(self.array, self.is_text).fill_null(0).to_numpy(zero_copy_only=False)
        return np.asarray(np.isfinite(numbers) & ((numbers >= _BEYOND) | (numbers < -_BEYOND)), np.bool_)

    def keys(self) -> Arrow:
        """Keys as texts, null for what cannot be one."""
        import pyarrow as pa

        kind = self.array.type
        if self.is_text or pa.types.is_integer(kind):
            return coded(self.array)
        numbers = pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        return coded(whole(self.finite(), False)) if numbers else pa.nulls(len(self.array), pa.string())

    def _value(self, index: int) -> Any:
        try:
            return self.array[index].as_py()
        except (OverflowError, ValueError):  # a time that the calendar of Python does not have
            return self.array[index].value

    def _shown(self, index: int) -> str:
        return shown(self._value(index))

    def _hint(self, index: int) -> str:
        column, text = self.column, str(self._value(index))
        if isinstance(column, TimestampColumn):
            return _time_hint(text)
        numbers = isinstance(column, FixedColumn | IntColumn)
        if numbers and self.is_text and "," in text:
            return "; write numbers without thousands separators and with a decimal point, such as 1234.5"
        if isinstance(column, IntColumn) and _FRACTION.fullmatch(text):
            return "; agree on type fixed if fractions are meant; a point must not separate thousands"
        return "; correct the value, or leave it empty if it is missing" if self.is_text else "; correct the value"


def _no_category(column: CategoryColumn) -> str:
    listed = ", ".join(column.categories[:20]) + (", ..." if len(column.categories) > 20 else "")
    return f"is none of the agreed categories: {listed}; correct the value or agree on another list"


def _time_hint(text: str) -> str:
    if _DIGITS.fullmatch(text):
        return "; it reads as a date: state how it is written (format: '%Y%m%d') in a source document, or 'unit: s'"
    if _ISO.match(text):
        return "; there is no such day, or no such hour in its time zone; correct the value"
    return "; correct the value, or state how it is written (format: ...) in a source document"


def _plain(number: Any) -> str:
    return str(int(number)) if number == int(number) else str(number)
