"""What all agreed columns have: a name and its aliases, rules for missing values, a range, units."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import numpy as np

from quorate.data.conversion import Conversion
from quorate.errors import UserError
from quorate.sharing.dtype import INT, DType

__all__ = ["LATER", "BaseColumn", "Number", "RangedColumn", "UnitColumn", "content_of", "fold"]

Number = int | float
MissingRule = Literal["reject", "drop", "fill"]

_RAW_BITS = 62
LATER = ("aliases", "unique", "most_missing", "unit", "units", "synonyms", "zone")
"""Fields that came later: where they have their default value, what is agreed does not mention them."""


def fold(text: str) -> str:
    """The form in which names and category texts are compared: stripped, without case, in Unicode's form NFC."""
    return unicodedata.normalize("NFC", text.strip()).casefold()


def content_of(column: msgspec.Struct) -> dict[str, Any]:
    """A column as builtins, as it enters digests: the fields of `LATER` only where they say something."""
    silent = {f.encode_name for f in msgspec.structs.fields(column) if getattr(column, f.name) == f.default}
    silent |= {name for name in ("units", "synonyms") if not getattr(column, name, None)}
    content: dict[str, Any] = msgspec.to_builtins(column)
    return {key: value for key, value in content.items() if key not in LATER or key not in silent}


class BaseColumn(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=False, tag_field="type"
):
    """An agreed column.

    Attributes:
        name: its name in computations, and in the owner's data unless an alias stands there.
        missing: what happens to missing values.
        aliases: other names that it may have in owners' data; case and outer spaces do not matter.
        unique: whether no two rows of an owner may have the same value.
        most_missing: the largest share of an owner's rows, 0 to 1, in which the value may be missing.
    """

    name: str
    missing: MissingRule = "reject"
    aliases: tuple[str, ...] = ()
    unique: bool = False
    most_missing: float | None = None

    @property
    def dtype(self) -> DType:
        """The type of the secret column."""
        return INT

    @property
    def bounds(self) -> tuple[Number, Number]:
        """Smallest and largest value allowed, inclusive, in real units."""
        raise NotImplementedError

    @property
    def raw_bounds(self) -> tuple[int, int]:
        """`bounds` as the raw integers that are shared."""
        low, high = self.dtype.encode(np.array(self.bounds))
        return int(low), int(high)

    @property
    def fill_number(self) -> Number | None:
        """The value put in place of a missing one, in real units; None without the rule `fill`."""
        raise NotImplementedError

    def problems(self) -> Iterator[tuple[str, str]]:
        """Pairs (key, what is wrong with it and what to do) of everything that is wrong with the column."""
        for key, name in [("name", self.name), *((f"aliases[{k}]", text) for k, text in enumerate(self.aliases))]:
            if not 1 <= len(name) <= 128 or name != name.strip() or not name.isprintable():
                yield key, f"{name!r} cannot name a column; use 1 to 128 printable characters without outer spaces"
        yield from self._share_problems()
        yield from self._own_problems()

    def _share_problems(self) -> Iterator[tuple[str, str]]:
        if self.most_missing is None:
            return
        if not 0 <= self.most_missing <= 1:
            yield "most_missing", f"{self.most_missing} is no share of the rows; use a number from 0 to 1, such as 0.2"
        elif self.missing == "reject":
            yield (
                "most_missing",
                "allows nothing with missing: reject; use drop or fill, or remove it",
            )

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


class RangedColumn(BaseColumn, frozen=True, kw_only=True):
    """A column of numbers with a range."""

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


class UnitColumn(RangedColumn, frozen=True, kw_only=True):
    """A column of numbers with an agreed unit.

    Attributes:
        unit: in which all values are meant.
        units: other units that owners may have, and what makes the agreed one of them.
    """

    unit: str | None = None
    units: dict[str, Conversion] = msgspec.field(default_factory=dict)

    def conversion(self, unit: str) -> Conversion | None:
        """What makes the agreed unit of `unit`; None if it is that. Raises `UserError` if nothing is agreed."""
        if unit == self.unit:
            return None
        if unit not in self.units:
            known = ", ".join([self.unit, *self.units] if self.unit else [])
            agreed = f"agreed are {known}" if known else "the schema states no unit"
            raise UserError(f"the unit {unit!r} of column {self.name!r} is not agreed: {agreed}")
        return self.units[unit]

    def _own_problems(self) -> Iterator[tuple[str, str]]:
        yield from self._unit_problems()
        yield from super()._own_problems()

    def _unit_problems(self) -> Iterator[tuple[str, str]]:
        if self.units and self.unit is None:
            yield "unit", "is missing; state the unit that the conversions in 'units' lead to"
        if self.unit is not None and not self.unit.strip():
            yield "unit", "is empty; write the unit, such as kg, or remove it"
        for unit, conversion in self.units.items():
            if unit == self.unit:
                yield "units", f"{unit!r} is the agreed unit itself; remove its conversion"
            try:
                _ = conversion.line
            except UserError as error:
                yield "units", f"{unit}: {error}"
