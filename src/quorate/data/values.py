"""From unconverted Arrow arrays to numbers, value by value: what cannot be converted becomes null, not an error.

Conversion is vectorised. Where it fails, texts are sorted out by patterns first, and what is left is halved until the
values at fault are alone.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from quorate.data.table import Arrow

__all__ = ["attempt", "coded", "decimals", "like", "looked_up", "normalised", "tolerant", "whole"]

_MISSING = frozenset(("", "na", "n/a", "nan", "null"))
_WHOLE = r"^-?\d+$"
_DECIMAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_INFINITE = r"(?i)^[+-]?inf(inity)?$"


def normalised(array: Arrow, words: frozenset[str] = frozenset()) -> tuple[Arrow, bool]:
    """The array with every missing value null, and whether it is text (then stripped).

    Missing are nulls, NaN, empty texts, and NA, N/A, NaN and null in any case, unless they are among `words`.
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
        return tolerant(array, lambda part: part.cast(kind), kind)
    hexadecimal = any(pc.any(pc.match_substring(array, mark)).as_py() for mark in "xX")
    quick = None if hexadecimal else attempt(array, kind)
    return quick if quick is not None else tolerant(like(array, _WHOLE), lambda part: part.cast(kind), kind)


def decimals(array: Arrow, is_text: bool) -> Arrow:
    """float64, infinities included."""
    import pyarrow as pa
    import pyarrow.compute as pc

    quick = attempt(array, pa.float64())
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


def attempt(array: Arrow, kind: Arrow) -> Arrow | None:
    """The array cast to a type; None if that is not possible for every value."""
    import pyarrow as pa

    try:
        return array.cast(kind)
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
    """Without dictionaries and extension types, texts of one kind; nulls of no type are texts."""
    import pyarrow as pa

    if isinstance(array.type, pa.BaseExtensionType):
        uuids = array.type.extension_name == "arrow.uuid"
        array = _uuid_texts(array.storage) if uuids else array.storage
    if pa.types.is_dictionary(array.type):  # some kinds of texts can be decoded only once they are of the usual kind
        array = _plain(array.dictionary).take(array.indices)
    kind = array.type
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    return array


def _uuid_texts(array: Arrow) -> Arrow:
    import pyarrow as pa

    return pa.array([None if value is None else str(UUID(bytes=value)) for value in array.to_pylist()], pa.string())


def like(text: Arrow, pattern: str) -> Arrow:
    """The texts that match, null for the others."""
    import pyarrow.compute as pc

    fits = pc.match_substring_regex(text, pattern)
    return text if pc.all(fits, min_count=0).as_py() else pc.if_else(fits, text, None)
