"""Agreed column types of inputs: what a data owner's table must hold and how it becomes secret integers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec

from quorate.errors import UserError
from quorate.sharing.dtype import BOOL, INT, DType, fixed, int8, int16, int32

__all__ = [
    "BoolColumn",
    "CategoryColumn",
    "Column",
    "FixedColumn",
    "InputSchema",
    "Int8Column",
    "Int16Column",
    "Int32Column",
    "IntColumn",
    "TimestampColumn",
    "fold",
]

Number = int | float
MissingRule = Literal["reject", "drop", "fill"]

_INT_LIMIT = 2**31
_TIME_LIMIT = 2**40
_RAW_BITS = 62
_WIDEST_DEFAULT_SCALE = 20


def fold(text: str) -> str:
    """The form in which category texts are compared: stripped, without case."""
    return text.strip().casefold()


class _Base(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=False, tag_field="type"
):
    name: str
    missing: MissingRule = "reject"

    @property
    def dtype(self) -> DType:
        """The type of the secret column."""
        return INT

    @property
    def bounds(self) -> tuple[Number, Number]:
        """Smallest and largest value allowed, inclusive, in real units."""
        raise NotImplementedError

    @property
    def fill_number(self) -> Number | None:
        """The value put in place of a missing one, in real units; None without the rule `fill`."""
        raise NotImplementedError

    def problems(self) -> Iterator[tuple[str, str]]:
        """Pairs (key, what is wrong with it and what to do) of everything that is wrong with the column."""
        outer_space = self.name != self.name.strip()
        if not 1 <= len(self.name) <= 128 or outer_space or not self.name.isprintable():
            yield "name", f"{self.name!r} cannot name a column; use 1 to 128 printable characters without outer spaces"
        yield from self._own_problems()

    def _own_problems(self) -> Iterator[tuple[str, str]]:
        yield from self._fill_problems()

    def _fill_problems(self) -> Iterator[tuple[str, str]]:
        given = getattr(self, "fill", None) is not None
        if given != (self.missing == "fill"):
            yield "fill", "give a value here if, and only if, missing is 'fill'"
        elif given:
            yield from self._fill_value_problems()

    def _fill_value_problems(self) -> Iterator[tuple[str, str]]:
        try:
            number = self.fill_number
        except UserError as error:
            yield "fill", str(error)
            return
        low, high = self.bounds
        if number is None or not low <= number <= high:
            yield "fill", f"lies outside the range [{low}, {high}]; choose a value within it"


class _Ranged(_Base, frozen=True, kw_only=True):
    def _own_problems(self) -> Iterator[tuple[str, str]]:
        problems = list(self._range_problems())
        yield from problems or self._fill_problems()

    def _range_problems(self) -> Iterator[tuple[str, str]]:
        low, high = self.bounds
        if not (low == low and high == high):  # NaN compares unequal to itself
            yield "range", "the limits must be numbers"
        elif low > high:
            yield "range", f"the lower limit {low} is above the upper limit {high}; swap them"
        elif max(abs(low), abs(high)) >= math.ldexp(1.0, _RAW_BITS - self.dtype.scale):
            wide = f"[{low}, {high}] needs more than {_RAW_BITS} bits as {self.dtype}"
            yield "range", f"{wide}; narrow it or use a smaller scale"


class CategoryColumn(_Base, frozen=True, kw_only=True, tag="category"):
    """One of k texts, encoded as its position 0 ... k-1; texts match without regard to case and outer spaces."""

    categories: tuple[str, ...]
    fill: str | None = None

    @property
    def bounds(self) -> tuple[int, int]:
        """0 and k-1."""
        return 0, len(self.categories) - 1

    @property
    def codes(self) -> dict[str, int]:
        """Folded category text -> its position."""
        return {fold(text): code for code, text in enumerate(self.categories)}

    @property
    def fill_number(self) -> int | None:
        """Position of the category that replaces missing values; raises `UserError` if it is none of them."""
        if self.fill is None:
            return None
        code = self.codes.get(fold(self.fill))
        if code is None:
            raise UserError(f"{self.fill!r} is none of the categories; use one of {', '.join(self.categories)}")
        return code

    def _own_problems(self) -> Iterator[tuple[str, str]]:
        if not self.categories:
            yield "categories", "is empty; list at least one category"
        seen: dict[str, str] = {}
        for index, text in enumerate(self.categories):
            key = fold(text)
            if not key:
                yield f"categories[{index}]", "is empty; a missing value is not a category (see missing: fill)"
            elif key in seen:
                yield f"categories[{index}]", f"{text!r} equals {seen[key]!r} (case does not matter); remove one"
            seen.setdefault(key, text)
        yield from self._fill_problems()


class FixedColumn(_Ranged, frozen=True, kw_only=True, tag="fixed"):
    """Real numbers as multiples of 2**-scale."""

    scale: int = 16
    range: tuple[float, float] | None = None
    fill: float | None = None

    @property
    def dtype(self) -> DType:
        """fixed(scale); raises `UserError` for a scale out of range."""
        return fixed(self.scale)

    @property
    def bounds(self) -> tuple[float, float]:
        """The declared range, or +-2**31."""
        return self.range or (-float(_INT_LIMIT), float(_INT_LIMIT))

    @property
    def fill_number(self) -> float | None:
        """The value that replaces missing ones."""
        return self.fill

    def _range_problems(self) -> Iterator[tuple[str, str]]:
        try:
            fixed(self.scale)
        except UserError as error:
            yield "scale", str(error)
            return
        if self.range is None and self.scale > _WIDEST_DEFAULT_SCALE:
            yield "range", f"is missing; a scale above {_WIDEST_DEFAULT_SCALE} needs a range, such as [0, 1000]"
        else:
            yield from super()._range_problems()


class IntColumn(_Ranged, frozen=True, kw_only=True, tag="int"):
    """Whole numbers, of 64 bits unless the range says that they are smaller."""

    range: tuple[int, int] = (-_INT_LIMIT, _INT_LIMIT)
    fill: int | None = None

    @property
    def bounds(self) -> tuple[int, int]:
        """The declared range, by default +-2**31."""
        return self.range

    @property
    def fill_number(self) -> int | None:
        """The value that replaces missing ones."""
        return self.fill

    def _range_problems(self) -> Iterator[tuple[str, str]]:
        low, high = self.bounds
        least, most = self.dtype.limits
        if self.dtype != INT and not least <= low <= high <= most:
            yield "range", f"[{low}, {high}] is no range within that of {self.dtype}, [{least}, {most}]"
        else:
            yield from super()._range_problems()


class Int8Column(IntColumn, frozen=True, kw_only=True, tag="int8"):
    """Whole numbers of 8 bits."""

    range: tuple[int, int] = int8.limits

    @property
    def dtype(self) -> DType:
        """int8."""
        return int8


class Int16Column(IntColumn, frozen=True, kw_only=True, tag="int16"):
    """Whole numbers of 16 bits."""

    range: tuple[int, int] = int16.limits

    @property
    def dtype(self) -> DType:
        """int16."""
        return int16


class Int32Column(IntColumn, frozen=True, kw_only=True, tag="int32"):
    """Whole numbers of 32 bits."""

    range: tuple[int, int] = int32.limits

    @property
    def dtype(self) -> DType:
        """int32."""
        return int32


class TimestampColumn(_Ranged, frozen=True, kw_only=True, tag="timestamp"):
    """Points in time as whole seconds since 1970-01-01 UTC (fractions are cut off); without zone means UTC."""

    range: tuple[int, int] = (0, _TIME_LIMIT)
    fill: int | str | None = None

    @property
    def bounds(self) -> tuple[int, int]:
        """The declared range in seconds since 1970, by default 0 ... 2**40."""
        return self.range

    @property
    def fill_number(self) -> int | None:
        """Seconds since 1970 of the replacement; raises `UserError` if its text is no ISO 8601 time."""
        if not isinstance(self.fill, str):
            return self.fill
        try:
            moment = datetime.fromisoformat(self.fill)
        except ValueError as error:
            raise UserError(f"{self.fill!r} is no ISO 8601 time; write it as 2024-05-31T08:30:00Z") from error
        return math.floor((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


class BoolColumn(_Base, frozen=True, kw_only=True, tag="bool"):
    """True or false: true/false, yes/no, t/f, y/n or 1/0 in the data, without regard to case."""

    fill: bool | None = None

    @property
    def dtype(self) -> DType:
        """bool."""
        return BOOL

    @property
    def bounds(self) -> tuple[int, int]:
        """0 and 1."""
        return 0, 1

    @property
    def fill_number(self) -> int | None:
        """0 or 1 in place of missing values."""
        return None if self.fill is None else int(self.fill)


Column = (
    CategoryColumn | FixedColumn | IntColumn | Int8Column | Int16Column | Int32Column | TimestampColumn | BoolColumn
)


class InputSchema(Protocol):
    """What `prepare` needs to know of an input: its columns and how many rows it may have after dropping."""

    @property
    def name(self) -> str:
        """The input's name, for messages."""
        ...

    @property
    def columns(self) -> Sequence[Column]:
        """The columns to take from the table; others are ignored."""
        ...

    @property
    def min_rows(self) -> int:
        """Fewest rows."""
        ...

    @property
    def max_rows(self) -> int:
        """Most rows."""
        ...
