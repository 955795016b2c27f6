"""How values of outside producers are shared: as the protocol keeps them, so that a later session computes on them.

A submission is a table of whole numbers (raw values of one data type, see `quorate.sharing.dtype`), cut into parts.
Additive sharing has one part for each consumer, Shamir's one share, replicated sharing three parts of which consumer i
holds number i and i + 1. Every consumer learns commitments to all parts, and can compare them with others.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.hashing import digest, digest_parts
from quorate.errors import IntegrityError, PeerError, UserError
from quorate.kernels import field
from quorate.sharing import additive, shamir
from quorate.sharing.dtype import DType
from quorate.sharing.share import Arithmetic

__all__ = ["SCHEMES", "Block", "Layout"]

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

SCHEMES = {
    "semi2k": "additive",
    "rep3": "replicated",
    "rep3_malicious": "replicated",
    "shamir": "shamir",
    "shamir_malicious": "shamir",
    "shamir_quorum": "shamir",
}
"""Protocols that compute on submitted shares, and how they share."""

_SALT_BYTES = 16
_WORD_BYTES = 8
_FIELD_LIMIT = 1 << 60


class Block(NamedTuple):
    """All parts of some rows: uint64 of shape (rows, columns) each, their salts and commitments."""

    parts: tuple[Array, ...]
    salts: tuple[bytes, ...]
    manifest: tuple[bytes, ...]


@dataclass(frozen=True)
class Layout:
    """What both sides must mean alike: who computes with which protocol and threshold, and the columns of a table.

    Attributes:
        parties: the consumers, in the order of the spec; share i + 1 is that of parties[i].
        threshold: so many consumers together learn nothing.
        dtype: of all columns, such as "int" or "fixed(24)".
        columns: names, in order.
    """

    protocol: str
    parties: tuple[str, ...]
    threshold: int
    dtype: str
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.protocol not in SCHEMES:
            known = ", ".join(SCHEMES)
            raise UserError(f"shares cannot be submitted to {self.protocol}; use one of the protocols {known}")
        if DType.parse(self.dtype).kind == "bool":
            raise UserError("columns of type bool cannot be submitted; declare them as int, with range [0, 1]")
        if not self.columns:
            raise UserError("there are no columns to submit; name at least one")
        self._check_parties()

    def _check_parties(self) -> None:
        count = len(self.parties)
        if self.scheme == "shamir":
            shamir.check_threshold(self.threshold, count)
        elif self.scheme == "replicated" and (count, self.threshold) != (3, 1):
            raise UserError(f"{self.protocol} has 3 parties and threshold 1, not {count} and {self.threshold}")
        elif self.scheme == "additive" and (count < 2 or self.threshold != count - 1):
            raise UserError(f"{self.protocol} has at least 2 parties, and all of them are needed to open a value")

    @property
    def scheme(self) -> str:
        """additive, replicated or shamir."""
        return SCHEMES[self.protocol]

    @property
    def document(self) -> bytes:
        """All of it as JSON."""
        return msgspec.json.encode(self, order="sorted")

    @classmethod
    def read(cls, document: bytes) -> Layout:
        """The inverse of `document`; raises `UserError` for anything else."""
        try:
            return msgspec.json.decode(document, type=cls)
        except msgspec.MsgspecError:
            raise UserError("the description of the shared table is damaged; restore the file from a backup") from None

    @property
    def digest(self) -> bytes:
        """SHA-256 over all of it."""
        return digest(self.document, "quorate/submission/layout/1")

    @property
    def needed(self) -> int:
        """Consumers whose shares together give the values."""
        return self.threshold + 1

    def held(self, me: int) -> tuple[int, ...]:
        """The parts that consumer `me` (from 0) holds, in the order of its share."""
        return (me, (me + 1) % 3) if self.scheme == "replicated" else (me,)

    def split(self, values: Integers) -> Block:
        """Fresh shares of `values`, int64 raw values of shape (rows, columns).

        Raises:
            UserError: another shape, or a value is out of range for the protocol.
        """
        self._check_values(values)
        count = len(self.parties)
        if self.scheme == "shamir":
            coefficients = np.stack([field.from_random_words(_words(values.shape)) for _ in range(self.threshold)])
            parts = tuple(shamir.split(field.encode_signed(values), coefficients, count))
        else:
            masks = [_words(values.shape) for _ in range(count - 1)]
            parts = tuple(additive.split(values.view(np.uint64), masks))
        salts = tuple(SystemEntropy().bytes(_SALT_BYTES) for _ in parts)
        manifest = tuple(commitment(salt, dump(part)) for salt, part in zip(salts, parts, strict=True))
        return Block(parts, salts, manifest)

    def _check_values(self, values: Integers) -> None:
        if values.dtype != np.int64 or values.ndim != 2 or values.shape[1] != len(self.columns):
            raise UserError(f"values to submit are int64 of shape (rows, {len(self.columns)}), not {values.shape}")
        least, most = DType.parse(self.dtype).limits
        if self.scheme == "shamir":
            least, most = max(least, 1 - _FIELD_LIMIT), min(most, _FIELD_LIMIT - 1)
        if values.size and not least <= int(values.min()) <= int(values.max()) <= most:
            raise UserError(
                f"a value to submit is out of range for {self.dtype} in {self.protocol}; use a smaller scale"
            )

    def genuine(
        self, me: int, rows: int, manifest: Sequence[bytes], salts: Sequence[bytes], parts: Sequence[bytes]
    ) -> bool:
        """Whether this is a share that consumer `me` may hold: right sizes, and what the commitments say."""
        held = self.held(me)
        size = rows * len(self.columns) * _WORD_BYTES
        if not len(parts) == len(salts) == len(held) or len(manifest) != len(self.parties) or rows < 1:
            return False
        if any(len(part) != size for part in parts) or any(len(salt) != _SALT_BYTES for salt in salts):
            return False
        found = [commitment(salt, part) for salt, part in zip(salts, parts, strict=True)]
        wanted = [manifest[position] for position in held]
        if not all(hmac.compare_digest(a, b) for a, b in zip(found, wanted, strict=True)):
            return False
        return self.scheme != "shamir" or all(bool((np.frombuffer(part, "<u8") < field.P).all()) for part in parts)

    def array(self, part: bytes) -> Array:
        """One part as uint64 of shape (rows, columns)."""
        return np.frombuffer(part, "<u8").astype(np.uint64).reshape(-1, len(self.columns))

    def share(self, parts: Sequence[Array]) -> Arithmetic:
        """The share of a party as its protocol holds it; of shape (rows,) for a single column."""
        flat = len(self.columns) == 1
        return Arithmetic(self.protocol, tuple(part[:, 0].copy() if flat else part for part in parts))

    def combine(self, shares: Mapping[int, Sequence[Array]]) -> Integers:
        """The raw values from the parts of consumers (by their place, from 0): int64 of shape (rows, columns).

        Raises:
            UserError: too few consumers.
            IntegrityError: shares do not fit together.
        """
        if len(shares) < self.needed:
            raise UserError(f"the shares of {len(shares)} consumers do not give the values; {self.needed} are needed")
        if self.scheme == "shamir":
            return self._from_points(shares)
        parts: dict[int, Array] = {}
        for me, held in sorted(shares.items()):
            for position, part in zip(self.held(me), held, strict=True):
                if not np.array_equal(parts.setdefault(position, part), part):
                    raise IntegrityError(f"consumers hold different copies of part {position}; who sent it cheated")
        return additive.combine([parts[position] for position in sorted(parts)]).view(np.int64)

    def _from_points(self, shares: Mapping[int, Sequence[Array]]) -> Integers:
        holders = sorted(shares)
        try:
            secret = shamir.combine([shares[me][0] for me in holders], holders, self.threshold)
        except PeerError as problem:
            raise IntegrityError(f"{problem}; who sent them cheated, or a consumer did") from None
        return field.decode_signed(secret)


def commitment(salt: bytes, part: bytes) -> bytes:
    """Binds whoever sent it to a part, and shows nothing of it."""
    return digest_parts([salt, part], "quorate/submission/part/1")


def dump(part: Array) -> bytes:
    """A part as it travels: 64-bit words, little endian."""
    return np.ascontiguousarray(part, "<u8").tobytes()


def _words(shape: tuple[int, ...]) -> Array:
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(SystemEntropy().bytes(count * _WORD_BYTES), np.uint64).reshape(shape).copy()
