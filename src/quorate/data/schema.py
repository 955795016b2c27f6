"""Agreed column types of inputs: what a data owner's table must hold and how it becomes secret integers."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import msgspec

from quorate.data.column import BaseColumn, RangedColumn, UnitColumn, fold
from quorate.data.times import moment
from quorate.errors import UserError
from quorate.sharing.dtype import BOOL, INT, DType, fixed, int8, int16, int32

__all__ = [
    "KEY_BITS",
    "BoolColumn",
    "CategoryColumn",
    "Column",
    "FixedColumn",
    "InputSchema",
    "Int8Column",
    "Int16Column",
    "Int32Column",
    "IntColumn",
    "KeyColumn",
    "TimestampColumn",
    "column_problems",
    "row_problems",
]

KEY_BITS = 58
"""Bits of the numbers that stand for keys: what every protocol holds, and the difference of two as well."""

MOST_ROWS = 2**40

_INT_LIMIT = 2**31
_TIME_LIMIT = 2**40
_WIDEST_DEFAULT_SCALE = 20


class CategoryColumn(BaseColumn, frozen=True, kw_only=True, tag="category"):
    """One of k texts, encoded as its position 0 ... k-1; texts match without regard to case and outer spaces.

    `synonyms` are other texts that mean a category, by category.
    """

    categories: tuple[str, ...]
    fill: str | None = None
    synonyms: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)

    @property
    def bounds(self) -> tuple[int, int]:
        """0 and k-1."""
        return 0, len(self.categories) - 1

    @property
    def codes(self) -> dict[str, int]:
        """Folded text of a category or synonym -> the position of the category."""
        codes = {fold(text): code for code, text in enumerate(self.categories)}
        return codes | {fold(word): codes[fold(text)] for text, words in self.synonyms.items() for word in words}

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
        problems = list(self._synonym_problems(set(seen)))
        yield from problems or self._fill_problems()

    def _synonym_problems(self, seen: set[str]) -> Iterator[tuple[str, str]]:
        categories = frozenset(seen)
        for text, words in self.synonyms.items():
            if fold(text) not in categories:
                yield "synonyms", f"{text!r} is none of the categories; use one of {', '.join(self.categories)}"
            for word in words:
                if not fold(word) or fold(word) in seen:
                    yield "synonyms", f"{word!r} of {text!r} is empty, a category, or a synonym already; remove it"
                seen.add(fold(word))


class FixedColumn(UnitColumn, frozen=True, kw_only=True, tag="fixed"):
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


class IntColumn(UnitColumn, frozen=True, kw_only=True, tag="int"):
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


class TimestampColumn(RangedColumn, frozen=True, kw_only=True, tag="timestamp"):
    """Points in time as whole seconds since 1970-01-01 UTC (fractions are cut off).

    `zone` (such as "Europe/Paris") is that of times which state none. Without it they are in UTC, and must not be mixed
    with times that state one.

    `range` may be written as ISO 8601 times, and becomes seconds since 1970; a date alone as its end is that whole day.
    """

    range: tuple[int | str, int | str] = (0, _TIME_LIMIT)
    fill: int | str | None = None
    zone: str | None = None

    def __post_init__(self) -> None:
        # one form for what is agreed, however it was written; what cannot be read stays for `problems` to name
        if zone_problem(self.zone) is None and not list(self._unread_limits()):
            low, high = self.range
            agreed = moment(low, self.zone), moment(high, self.zone, end=True)
            msgspec.structs.force_setattr(self, "range", agreed)

    @property
    def bounds(self) -> tuple[int, int]:
        """The declared range in seconds since 1970, by default 0 ... 2**40."""
        return cast("tuple[int, int]", self.range)

    @property
    def fill_number(self) -> int | None:
        """Seconds since 1970 of the replacement; raises `UserError` if its text is no ISO 8601 time."""
        return None if self.fill is None else moment(self.fill, self.zone)

    def _own_problems(self) -> Iterator[tuple[str, str]]:
        if problem := zone_problem(self.zone):
            yield "zone", problem
        else:
            yield from super()._own_problems()

    def _range_problems(self) -> Iterator[tuple[str, str]]:
        unread = list(self._unread_limits())
        yield from unread or super()._range_problems()

    def _unread_limits(self) -> Iterator[tuple[str, str]]:
        for limit in self.range:
            try:
                moment(limit, None)
            except UserError as error:
                yield "range", str(error)


class BoolColumn(BaseColumn, frozen=True, kw_only=True, tag="bool"):
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


class KeyColumn(BaseColumn, frozen=True, kw_only=True, tag="key"):
    """Texts or whole numbers that name what a row is about, as numbers of `KEY_BITS` bits, so that rows can be joined.

    The number is cut from the SHA-256 of the text, under the agreed text `domain`. Two different ones of n keys get the
    same number with a probability of at most n**2 / 2**59. With `fold`, case does not matter.
    """

    domain: str
    fold: bool = False

    @property
    def bounds(self) -> tuple[int, int]:
        """0 ... 2**58 - 1."""
        return 0, (1 << KEY_BITS) - 1

    @property
    def fill_number(self) -> None:
        """Keys are not made up."""
        return

    def _own_problems(self) -> Iterator[tuple[str, str]]:
        if not 1 <= len(self.domain.strip()) <= 256:
            yield (
                "domain",
                "is empty, or longer than 256 characters; write one that all owners use, such as 'registry 2026'",
            )
        if self.missing == "fill":
            yield "missing", "a key cannot be made up; use reject or drop"


Column = (
    CategoryColumn
    | FixedColumn
    | IntColumn
    | Int8Column
    | Int16Column
    | Int32Column
    | TimestampColumn
    | BoolColumn
    | KeyColumn
)


def zone_problem(zone: str | None) -> str | None:
    """What is wrong with the name of a time zone; None if nothing is."""
    try:
        if zone is not None:
            zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return f"{zone!r} is no time zone that this machine knows; use a name such as Europe/Paris, or UTC"
    return None


def column_problems(columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """Pairs (path, what is wrong) of a list of columns; paths begin with "columns"."""
    if not columns:
        yield "columns", "is empty; list at least one column"
    names: set[str] = set()  # specs come from other members too: no work that grows with the square of their size
    meant = {fold(column.name): column.name for column in columns}
    for index, column in enumerate(columns):
        if column.name in names:
            yield f"columns[{index}].name", f"{column.name!r} occurs twice; names must be unique"
        names.add(column.name)
        yield from ((f"columns[{index}].{key}", what) for key, what in column.problems())
        for alias in column.aliases:
            if (other := meant.setdefault(fold(alias), column.name)) != column.name:
                yield f"columns[{index}].aliases", f"{alias!r} names {other!r} too; remove it from one of them"


def row_problems(min_rows: int, max_rows: int) -> Iterator[tuple[str, str]]:
    """Pairs (key, what is wrong) of the limits of an input's rows."""
    if min_rows < 0:
        yield "min_rows", f"{min_rows} is too few; use at least 0"
    if max_rows > MOST_ROWS:
        yield "max_rows", f"is more than quorate can count; use at most {MOST_ROWS}"
    if max_rows < max(1, min_rows):
        yield "max_rows", f"{max_rows} is below min_rows ({min_rows}); raise it"


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
