"""Salted commitments to data sets: binding for the owner, hiding for everybody else."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import SALT_BYTES, digest_parts
from quorate.errors import DataError, UserError

__all__ = ["Commitment", "commit", "verify"]

Columns = Mapping[str, npt.NDArray[np.int64]]

_DOMAIN = "quorate/data-commitment/1"


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`digest` (64 hexadecimal characters) binds the owner to the columns; without the salt it tells nothing."""

    digest: str
    rows: int


def commit(columns: Columns, salt: bytes) -> Commitment:
    """Commit to raw columns, each int64 of shape (rows,), under a secret `salt` of 32 bytes.

    The order of the mapping does not matter; the order of rows does.

    Raises:
        UserError: the salt has another length, or columns differ in length.
    """
    if len(salt) != SALT_BYTES:
        raise UserError(f"the salt of a commitment has {len(salt)} bytes; use {SALT_BYTES} random bytes (new_salt())")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise UserError("the columns of a commitment differ in length; give every column the same number of rows")
    return Commitment(digest_parts(_parts(columns, salt), _DOMAIN).hex(), lengths.pop() if lengths else 0)


def verify(commitment: Commitment, columns: Columns, salt: bytes) -> None:
    """Check that `commitment` was made from exactly these columns and this salt; `DataError` otherwise."""
    actual = commit(columns, salt)
    if actual.rows != commitment.rows:
        raise DataError(f"the commitment is to {commitment.rows} rows, the data has {actual.rows}; use the same file")
    if not hmac.compare_digest(actual.digest, commitment.digest):
        raise DataError("the data or the salt is not what was committed to; use the file and salt of that session")


def _parts(columns: Columns, salt: bytes) -> Iterator[bytes | memoryview]:
    yield salt
    for name in sorted(columns):
        yield name.encode()
        yield np.ascontiguousarray(columns[name], dtype="<i8").data
