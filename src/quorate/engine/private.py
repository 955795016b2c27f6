"""What one participant draws for itself, addressed by name under one seed, so that it does not depend on any order.

A participant is thereby a function of its seed, its inputs and the messages it receives, in whatever order these come:
whoever runs it again with the same gets the same messages.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import digest_parts
from quorate.crypto.stream import KEY_BYTES, NullStream, Stream
from quorate.engine.names import Scope
from quorate.errors import InternalError

__all__ = ["SEED_BYTES", "Draws", "Private"]

SEED_BYTES = 32
_DOMAIN = "quorate/private randomness/1"


class Draws:
    """Uniform bytes that belong to one place; every draw takes the next name there. An `Entropy`."""

    __slots__ = ("_at", "_label", "_stream")

    def __init__(self, stream: Stream | NullStream, at: Scope, label: str) -> None:
        self._stream, self._at, self._label = stream, at, label

    def fill(self, out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Overwrite the C-contiguous array `out`; left as it is while counting."""
        self._stream.fill(self._at.aside(self._label), out)
        return out

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes; zeros while counting."""
        return self.fill(np.zeros(count, np.uint8)).tobytes()

    def array(self, count: int, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[Any]:
        """The next `count` numbers of this type; zeros while counting."""
        return self.fill(np.zeros(count, dtype))


class Private:
    """The private randomness of one participant of a session.

    Args:
        seed: `SEED_BYTES` bytes that nobody else knows, for this session alone; None while counting.
        ident: of the session.
    """

    __slots__ = ("_stream",)

    def __init__(self, seed: bytes | None, ident: bytes) -> None:
        self._stream: Stream | NullStream | None = NullStream()
        if seed is not None:
            if len(seed) != SEED_BYTES:
                raise InternalError(f"the seed of a participant has {SEED_BYTES} bytes, not {len(seed)}")
            self._stream = Stream(digest_parts([seed, ident], _DOMAIN)[:KEY_BYTES])

    def at(self, place: Scope, label: str) -> Draws:
        """What is drawn at `place` for the purpose `label`. Raises `InternalError` once it was erased."""
        if self._stream is None:
            raise InternalError("the session is over: its randomness was erased")
        return Draws(self._stream, place, label)

    def erase(self) -> None:
        """Draw nothing any more."""
        if not isinstance(self._stream, NullStream):
            self._stream = None

    def __repr__(self) -> str:
        return "<Private>"

    def __reduce__(self) -> NoReturn:
        raise InternalError("private randomness is not to be stored")
