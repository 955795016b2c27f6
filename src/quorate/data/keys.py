"""Keys of rows (texts or whole numbers) as numbers of 58 bits, the same at every owner."""

from __future__ import annotations

import unicodedata

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import digest
from quorate.data.schema import KEY_BITS, KeyColumn

__all__ = ["key_number", "key_numbers"]

_DOMAIN = "quorate/key/1/"
_DIGEST_BITS = 64


def key_number(column: KeyColumn, text: str) -> int:
    """The number of one key.

    The text is stripped, brought to Unicode's form NFC, and with `fold` freed of case. Two different ones among n keys
    get the same number with a probability of at most n**2 / 2**59: 2e-6 for a million.
    """
    text = unicodedata.normalize("NFC", text.strip())
    value = digest((text.casefold() if column.fold else text).encode(), _DOMAIN + column.domain)
    return int.from_bytes(value[: _DIGEST_BITS // 8], "big") >> _DIGEST_BITS - KEY_BITS


def key_numbers(column: KeyColumn, texts: list[str]) -> npt.NDArray[np.int64]:
    """The numbers of many keys, int64 of shape (n,)."""
    return np.array([key_number(column, text) for text in texts], np.int64)
