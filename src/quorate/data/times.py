"""Points in time as whole seconds since 1970-01-01 UTC: from ISO 8601, another format, typed times, or numbers."""

from __future__ import annotations

import math
import zoneinfo
from datetime import UTC, date, datetime, time
from typing import NamedTuple

import numpy as np

from quorate.data.conversion import TICKS
from quorate.data.table import Arrow
from quorate.data.values import attempt, like, tolerant, whole
from quorate.errors import UserError

__all__ = ["LATEST", "Times", "moment", "seconds", "written"]

_EARLIEST = -62_135_596_800
LATEST = 253_402_300_799
"""The end of the year 9999, after which no time is written in ISO 8601."""

_NUMBER = r"^[+-]?\d+(\.0)?$"
_DATE = r"^\d{4}-\d{2}-\d{2}"
_ZONE = r":\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$|T\d{2}(Z|[+-]\d{2}(:?\d{2})?)$"


class Times(NamedTuple):
    """Seconds (int64), null where a value is missing or no time; which values stated a zone, and which lacked one."""

    seconds: Arrow
    zoned: Arrow
    naive: Arrow


def written(number: float) -> str:
    """Seconds since 1970 in ISO 8601, or as the number they are where that has no way to write them."""
    if not _EARLIEST <= number <= LATEST:
        return str(int(number))
    return datetime.fromtimestamp(int(number), UTC).isoformat().replace("+00:00", "Z")


def moment(text: int | str, zone: str | None, *, end: bool = False) -> int:
    """Seconds since 1970, at the `end` of a date alone; raises `UserError` for a text that is no ISO 8601 time."""
    if not isinstance(text, str):
        return text
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"{text!r} is no ISO 8601 time; write it as 2024-05-31 or 2024-05-31T08:30:00Z") from error
    if end and _is_date(text):
        found = datetime.combine(found, time(23, 59, 59))
    place = UTC if zone is None else zoneinfo.ZoneInfo(zone)
    return math.floor((found if found.tzinfo else found.replace(tzinfo=place)).timestamp())


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def seconds(array: Arrow, is_text: bool, zone: str | None, unit: str | None, form: str | None) -> Times:
    """The times in an array.

    Args:
        is_text: whether the array holds texts.
        zone: of times that state none; None: UTC. An hour that a clock shows twice is taken as the earlier one; an
            hour that it skips is no time.
        unit: of numbers; None: seconds, but then a number that reads as a date (20240531) is no time.
        form: how texts and whole numbers are written, as of strptime; None: ISO 8601.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = pa.nulls(len(array), pa.bool_()).fill_null(False)
    if not is_text and form is not None and pa.types.is_integer(array.type):  # 20240531
        array, is_text = array.cast(pa.string()), True
    if is_text and form is None:
        return _of_texts(array, zone, unit)
    if is_text:
        found = pc.strptime(array, format=form, unit="s", error_is_null=True)
        return Times(_floor(_placed(found, zone)), nothing, pc.is_valid(found))
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return Times(_floor(array), pc.is_valid(array), nothing)
    if pa.types.is_date(kind):
        array = array.cast(pa.timestamp("s" if pa.types.is_date32(kind) else "ms"))
    if pa.types.is_timestamp(array.type):
        return Times(_floor(_placed(array, zone)), nothing, pc.is_valid(array))
    if pa.types.is_floating(kind):
        array = pc.floor(array)
    return Times(_of_numbers(whole(array, False), unit), nothing, nothing)


def _of_texts(array: Arrow, zone: str | None, unit: str | None) -> Times:
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = pa.nulls(len(array), pa.bool_()).fill_null(False)
    utc, plain = pa.timestamp("us", "UTC"), pa.timestamp("us")
    if (all_zoned := attempt(array, utc)) is not None:  # the usual case: every value is written in the same way
        return Times(_floor(all_zoned), pc.is_valid(array), nothing)
    numeric = pc.fill_null(pc.match_substring_regex(array, _NUMBER), False)
    if pc.all(numeric, min_count=0).as_py():
        return Times(_of_numbers(whole(array, True), unit), nothing, nothing)
    array = pc.if_else(numeric, array, like(array, _DATE))
    stated = pc.fill_null(pc.match_substring_regex(array, _ZONE), False)
    zoned = tolerant(pc.if_else(stated, array, None), lambda part: part.cast(utc), utc)
    rest = pc.if_else(pc.or_(stated, numeric), None, array)
    naive = tolerant(rest, lambda part: part.cast(plain), plain)
    numbers = _of_numbers(whole(pc.if_else(numeric, array, None), True), unit)
    found = pc.coalesce(_floor(zoned), _floor(_placed(naive, zone)), numbers)
    return Times(found, pc.is_valid(zoned), pc.is_valid(naive))


def _placed(naive: Arrow, zone: str | None) -> Arrow:
    """Times without zone, as those of a zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if zone is None:
        return naive
    kind = pa.timestamp(naive.type.unit, zone)
    return tolerant(naive, lambda part: pc.assume_timezone(part, zone, ambiguous="earliest"), kind)


def _of_numbers(numbers: Arrow, unit: str | None) -> Arrow:
    """Numbers that read as a date, such as 20240531, are none, unless their unit is stated."""
    import pyarrow.compute as pc

    if unit is None:
        return pc.if_else(_are_dates(numbers), None, numbers)
    return numbers if TICKS[unit] == 1 else _divided(numbers, TICKS[unit])


def _are_dates(numbers: Arrow) -> Arrow:
    import pyarrow as pa
    import pyarrow.compute as pc

    eight = pc.and_(pc.greater_equal(numbers, 19000101), pc.less_equal(numbers, 21001231))
    if not pc.any(eight).as_py():
        return pa.nulls(len(numbers), pa.bool_()).fill_null(False)
    digits = pc.if_else(eight, numbers, None).cast(pa.string())
    return pc.is_valid(pc.strptime(digits, format="%Y%m%d", unit="s", error_is_null=True))


def _floor(times: Arrow) -> Arrow:
    """Typed times as whole seconds."""
    import pyarrow as pa

    return _divided(times.cast(pa.int64()), TICKS[times.type.unit])


def _divided(numbers: Arrow, ticks: int) -> Arrow:
    import pyarrow as pa

    whole_ = np.floor_divide(numbers.fill_null(0).to_numpy(zero_copy_only=False), ticks)
    return pa.array(whole_, mask=numbers.is_null().to_numpy(zero_copy_only=False))
