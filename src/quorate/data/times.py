"""Points in time as whole seconds since 1970-01-01 UTC: from ISO 8601, another format, typed times, or numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quorate.data.conversion import TICKS
from quorate.data.table import Arrow
from quorate.data.values import attempt, like, tolerant, whole

__all__ = ["Times", "seconds"]

_NUMBER = r"^-?\d+$"
_DATE = r"^\d{4}-\d{2}-\d{2}"
_ZONE = r":\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$|T\d{2}(Z|[+-]\d{2}(:?\d{2})?)$"


class Times(NamedTuple):
    """Seconds (int64), null where a value is missing or no time; which values stated a zone, and which lacked one."""

    seconds: Arrow
    zoned: Arrow
    naive: Arrow


def seconds(array: Arrow, is_text: bool, zone: str | None, unit: str | None, form: str | None) -> Times:
    """The times in an array.

    Args:
        is_text: whether the array holds texts.
        zone: of times that state none; None: UTC. An hour that a clock shows twice is taken as the earlier one; an
            hour that it skips is no time.
        unit: of numbers; None: seconds.
        form: how texts are written, as of strptime; None: ISO 8601.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = pa.nulls(len(array), pa.bool_()).fill_null(False)
    if is_text and form is None:
        return _of_texts(array, zone, unit)
    if is_text:
        found = pc.strptime(array, format=form, unit="s", error_is_null=True)
        return Times(_floor(_placed(found.cast(pa.timestamp("us")), zone)), nothing, pc.is_valid(found))
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return Times(_floor(array.cast(pa.timestamp("us", kind.tz), safe=False)), pc.is_valid(array), nothing)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        placed = _placed(array.cast(pa.timestamp("us"), safe=False), zone)
        return Times(_floor(placed), nothing, pc.is_valid(array))
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
    kind = pa.timestamp("us", zone)
    return tolerant(naive, lambda part: pc.assume_timezone(part, zone, ambiguous="earliest"), kind)


def _of_numbers(numbers: Arrow, unit: str | None) -> Arrow:
    ticks = TICKS[unit or "s"]
    return numbers if ticks == 1 else _floor(numbers, ticks)


def _floor(times: Arrow, ticks: int = TICKS["us"]) -> Arrow:
    import pyarrow as pa

    numbers = times.cast(pa.int64())
    whole_ = np.floor_divide(numbers.fill_null(0).to_numpy(zero_copy_only=False), ticks)
    return pa.array(whole_, mask=numbers.is_null().to_numpy(zero_copy_only=False))
