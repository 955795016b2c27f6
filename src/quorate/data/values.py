"""From unconverted Arrow arrays to numbers, value by value: what cannot be converted becomes null, not an error.

Conversion is vectorised. Where it fails, texts are sorted out by patterns first, and what is left is halved until the
values at fault are alone.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from quorate.data.table import Arrow

__all__ = ["attempt", "coded", "decimals", "like", "looked_up", "normalised", "tolerant", "whole"]

_MISSING = frozenset(("", "na", "n/a", "#n/a", "nan", "nat", "none", "null", "<na>"))
"""What CSV files of R, pandas and spreadsheets have in place of a missing value."""
_WHOLE = r"^[+-]?[0-9]+(\.0)?$"
"""With the one decimal that pandas gives whole numbers beside missing ones; 1.000 may be a thousand."""
_DECIMAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_INFINITE = r"(?i)^[+-]?inf(inity)?$"


def normalised(array: Arrow, words: frozenset[str] = frozenset()) -> tuple[Arrow, bool]:
    """The array with every missing value null, and whether it is text (then stripped).

    Missing are nulls, NaN, empty texts, and those of `_MISSING` in any case, unless they are among `words`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    array = _plain(array)
    kind = array.type
    if pa.types.is_string(kind):
        text = pc.utf8_trim_whitespace(array)
        tokens = pa.array(sorted(_MISSING - words))
        return pc.if_else(pc.is_in(pc.utf8_lower(text), tokens), None, text), True
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(array), None, array), False
    return array, False


def whole(array: Arrow, is_text: bool) -> Arrow:
    """int64. Hexadecimal texts are refused: in a data file they are more likely codes or mistakes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.int64()
    if not is_text:
        return tolerant(array, lambda part: part.cast(kind), kind) if _is_number(array) else pa.nulls(len(array), kind)
    hexadecimal = any(pc.any(pc.match_substring(array, mark)).as_py() for mark in "xX")
    quick = None if hexadecimal else attempt(array, kind)
    if quick is not None:
        return quick
    digits = pc.replace_substring_regex(like(array, _WHOLE), r"^\+|\.0$", "")
    return tolerant(digits, lambda part: part.cast(kind), kind)


def decimals(array: Arrow, is_text: bool) -> Arrow:
    """float64, infinities included."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_text and not _is_number(array):
        return pa.nulls(len(array), pa.float64())
    # a whole number of more than 53 bits becomes the nearest that there is, as in a text
    quick = attempt(array, pa.float64(), safe=not pa.types.is_integer(array.type))
    if quick is not None:
        return quick
    text = like(array, _DECIMAL) if is_text else array
    numbers = tolerant(text, lambda part: part.cast(pa.float64()), pa.float64())
    if not is_text or numbers.null_count == array.null_count:
        return numbers
    infinite = pc.fill_null(pc.match_substring_regex(array, _INFINITE), False)
    return pc.if_else(infinite, float("inf"), numbers)


def looked_up(array: Arrow, code: Callable[[str], int | None]) -> Arrow:
    """int64 codes of texts, each distinct text being looked up once."""
    import pyarrow as pa

    encoded = array.dictionary_encode()
    codes = pa.array([code(text) for text in encoded.dictionary.to_pylist()], pa.int64())
    return codes.take(encoded.indices)


def coded(array: Arrow) -> Arrow:
    """The values as texts; whole numbers without a fraction, whatever their type. Null for lists and the like."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = whole(array, False)
        if numbers.null_count == array.null_count:
            array = numbers
    return tolerant(array, lambda part: part.cast(pa.string()), pa.string())


def _is_number(array: Arrow) -> bool:
    """Whether values are of a numeric type: times and the like count something in a unit that only their type tells."""
    import pyarrow as pa

    kind, is_ = array.type, pa.types
    return bool(is_.is_integer(kind) or is_.is_floating(kind) or is_.is_decimal(kind) or is_.is_boolean(kind))


def attempt(array: Arrow, kind: Arrow, *, safe: bool = True) -> Arrow | None:
    """The array cast to a type; None if that is not possible for every value."""
    import pyarrow as pa

    try:
        return array.cast(kind, safe=safe)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None


def tolerant(array: Arrow, convert: Callable[[Arrow], Arrow], kind: Arrow) -> Arrow:
    """`convert` (to the type `kind`) of every value for which that is possible, null for the others."""
    import pyarrow as pa

    try:
        return convert(array)
    except pa.ArrowNotImplementedError:  # not for any value of this type
        return pa.nulls(len(array), kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        middle = len(array) // 2
    if not middle:
        return pa.nulls(len(array), kind)
    return pa.concat_arrays([tolerant(half, convert, kind) for half in (array.slice(0, middle), array.slice(middle))])


def _plain(array: Arrow) -> Arrow:
    """Without dictionaries, runs and extension types that mean no more than what they are stored as; texts of one kind.

    Nulls of no type are texts. Other extension types, such as periods of pandas, stay, and fit no column.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array.type, pa.BaseExtensionType):
        if array.type.extension_name == "arrow.uuid":
            array = _uuid_texts(array.storage)
        elif array.type.extension_name == "arrow.bool8" or _is_text(array.type.storage_type):
            array = array.storage
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    if pa.types.is_dictionary(array.type):  # some kinds of texts can be decoded only once they are of the usual kind
        array = _plain(array.dictionary).take(array.indices)
    kind = array.type
    return array.cast(pa.string()) if pa.types.is_null(kind) or _is_text(kind) else array


def _is_text(kind: Arrow) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _uuid_texts(array: Arrow) -> Arrow:
    import pyarrow as pa

    return pa.array([None if value is None else str(UUID(bytes=value)) for value in array.to_pylist()], pa.string())


def like(text: Arrow, pattern: str) -> Arrow:
    """The texts that match, null for the others."""
    import pyarrow.compute as pc

    fits = pc.match_substring_regex(text, pattern)
    return text if pc.all(fits, min_count=0).as_py() else pc.if_else(fits, text, None)
