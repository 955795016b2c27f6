"""From the unconverted column of a table to numbers in real units, or an error that names the first bad row.

Conversion is vectorised; the row at fault is searched for only after it failed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from quorate.data.schema import BoolColumn, CategoryColumn, Column, FixedColumn, IntColumn, TimestampColumn, fold
from quorate.data.table import Arrow
from quorate.errors import DataError

__all__ = ["Parsed", "parse_column"]

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Where = Callable[[int], str]

_MISSING = ("", "na", "n/a", "nan", "null")
_BOOLS = {"true": 1, "t": 1, "yes": 1, "y": 1, "1": 1, "false": 0, "f": 0, "no": 0, "n": 0, "0": 0}
_ZONE = r":\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$|T\d{2}(Z|[+-]\d{2}(:?\d{2})?)$"
_KINDS = {
    "int": "a whole number",
    "fixed": "a number",
    "bool": "true or false (yes/no, 1/0)",
    "category": "one of the categories",
    "timestamp": "a time (ISO 8601 as 2024-05-31T08:30:00Z, or seconds since 1970)",
}


@dataclass(frozen=True, slots=True, repr=False)
class Parsed:
    """A column in real units: `values` of shape (rows,), float64 for fixed and int64 otherwise; 0 where `missing`."""

    values: Numbers
    missing: npt.NDArray[np.bool_]


def parse_column(column: Column, array: Arrow, where: Where) -> Parsed:
    """Convert a pyarrow array of any type to the numbers that `column` asks for, all within its bounds.

    Empty values, nulls, NaN and the texts NA, N/A, NaN and null (in any case) are missing, unless they are a category.

    Raises:
        DataError: a value is of the wrong type or out of range; begins with `where(index)`.
    """
    work = _Work(column, *_normalise(column, array), where)
    converted = work.converted()
    missing = converted.is_null().to_numpy(zero_copy_only=False)
    target = "float64" if isinstance(column, FixedColumn) else "int64"
    values = converted.fill_null(0).to_numpy(zero_copy_only=False).astype(target, copy=False)
    work.check_range(values, missing)
    return Parsed(values, missing)


def _normalise(column: Column, array: Arrow) -> tuple[Arrow, bool]:
    """The array with every missing value null, and whether it is text (then stripped)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        array = array.cast(pa.string())
    if pa.types.is_string(array.type):
        text = pc.utf8_trim_whitespace(array)
        tokens = pa.array(sorted(set(_MISSING) - _named(column)))
        return pc.if_else(pc.is_in(pc.utf8_lower(text), tokens), None, text), True
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(array), None, array), False
    return array, False


def _named(column: Column) -> set[str]:
    return set(column.codes) if isinstance(column, CategoryColumn) else set()


@dataclass(frozen=True)
class _Work:
    """One column under conversion; `array` has nulls for missing values."""

    column: Column
    array: Arrow
    is_text: bool
    where: Where

    @cached_property
    def kind(self) -> str:
        """The kind of values that are expected, as a spec names it; narrow integers are "int"."""
        return "int" if isinstance(self.column, IntColumn) else str(self.column.__struct_config__.tag)

    def converted(self) -> Arrow:
        """pyarrow array int64 or float64 in real units, nulls where values are missing."""
        column = self.column
        if isinstance(column, CategoryColumn):
            return self._by_table(column.codes)
        if isinstance(column, BoolColumn) and self.is_text:
            return self._by_table(_BOOLS)
        try:
            return self._numbers(self.array)
        except _refusals():
            self._fail(self._first_refused())

    def check_range(self, values: Numbers, missing: npt.NDArray[np.bool_]) -> None:
        """Raise `DataError` for the first present value outside the column's bounds."""
        low, high = self.column.bounds
        good = (values >= low) & (values <= high)
        good |= missing
        if not good.all():
            index = int(np.argmin(good))
            raise DataError(
                f"{self._place(index)}: {self._shown(index)} is outside the agreed range "
                f"[{_plain(low)}, {_plain(high)}]; correct the value or agree on another range{self._unit_hint()}"
            )

    def _numbers(self, array: Arrow) -> Arrow:
        import pyarrow as pa

        if isinstance(self.column, FixedColumn):
            return array.cast(pa.float64())
        if isinstance(self.column, TimestampColumn):
            return _seconds(array, self.is_text)
        return _whole_numbers(array) if self.is_text else array.cast(pa.int64())

    def _by_table(self, codes: dict[str, int]) -> Arrow:
        """Look every text up in `codes`, once per distinct text."""
        import pyarrow as pa

        try:
            encoded = self.array.cast(pa.string()).dictionary_encode()
        except _refusals() as error:
            wrong = f"values of type {self.array.type} are not {_KINDS[self.kind]}"
            raise DataError(f"{self._place(0)}: {wrong}") from error
        found = [codes.get(fold(text)) for text in encoded.dictionary.to_pylist()]
        if None in found:  # distinct texts come in the order of their first row
            self._fail(encoded.indices.index(found.index(None)).as_py())
        return pa.array(found, pa.int64()).take(encoded.indices)

    def _first_refused(self) -> int:
        """Index of the first value whose conversion fails: the shortest failing prefix, by bisection."""
        low, high = 0, len(self.array)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                self._numbers(self.array.slice(low, middle - low))
                low = middle
            except _refusals():
                high = middle
        return low

    def _fail(self, index: int) -> NoReturn:
        raise DataError(f"{self._place(index)}: {self._shown(index)} is not {_KINDS[self.kind]}{self._hint(index)}")

    def _place(self, index: int) -> str:
        return f"{self.where(index)}, column {self.column.name!r}"

    def _shown(self, index: int) -> str:
        text = repr(self.array[index].as_py())
        return text if len(text) <= 60 else text[:57] + "..."

    def _hint(self, index: int) -> str:
        text = str(self.array[index].as_py())
        if isinstance(self.column, CategoryColumn):
            return f" agreed: {', '.join(self.column.categories[:20])}; correct the value or agree on another list"
        if "," in text:
            return "; write numbers without thousands separators and with a decimal point, such as 1234.5"
        if self.kind == "int" and "." in text:
            return "; agree on type fixed if fractions are meant"
        return "; correct the value"

    def _unit_hint(self) -> str:
        return " (times are in seconds, not milliseconds)" if isinstance(self.column, TimestampColumn) else ""


def _refusals() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    return (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)


def _whole_numbers(text: Arrow) -> Arrow:
    """int64 of decimal texts. Arrow reads 0x10 as 16; in a data file it is more likely a code or a mistake."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = text.cast(pa.int64())
    if any(pc.any(pc.match_substring(text, mark)).as_py() for mark in "xX"):
        raise pa.ArrowInvalid("hexadecimal number")
    return numbers


def _seconds(array: Arrow, is_text: bool) -> Arrow:
    """int64 seconds since 1970 UTC of times, dates, ISO 8601 texts or epoch numbers."""
    import pyarrow as pa

    if is_text:
        return _seconds_of_text(array)
    if pa.types.is_timestamp(array.type):
        return _floor_seconds(array.cast(pa.timestamp("us", array.type.tz), safe=False))
    if pa.types.is_date(array.type):
        return _floor_seconds(array.cast(pa.timestamp("us")))
    return array.cast(pa.int64())


def _seconds_of_text(array: Arrow) -> Arrow:
    import pyarrow as pa
    import pyarrow.compute as pc

    utc, naive = pa.timestamp("us", "UTC"), pa.timestamp("us")
    with contextlib.suppress(pa.ArrowInvalid):
        return _whole_numbers(array)
    for kind in (utc, naive):  # the usual cases: every value is written in the same way
        with contextlib.suppress(pa.ArrowInvalid):
            return _floor_seconds(array.cast(kind))
    zoned = pc.match_substring_regex(array, _ZONE)
    with_zone = pc.if_else(zoned, array, None).cast(utc)
    without = pc.if_else(zoned, None, array).cast(naive)
    return pc.coalesce(_floor_seconds(with_zone), _floor_seconds(without))


def _floor_seconds(times: Arrow) -> Arrow:
    import pyarrow as pa

    micros = times.cast(pa.int64())
    seconds = np.floor_divide(micros.fill_null(0).to_numpy(zero_copy_only=False), 1_000_000)
    return pa.array(seconds, mask=micros.is_null().to_numpy(zero_copy_only=False))


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
