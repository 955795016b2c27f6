"""What the extensions of one ordered pair have in common: the sender's secret in digits, a tree of seeds for each.

Source: Roy, "SoftSpokenOT: Quieter OT Extension from Small-Field Silent VOLE in the Minicrypt Model", CRYPTO 2022,
sections 3 and 6. The sender's secret delta is sum of 2^(k c) delta_c with digits delta_c of k bits. The receiver owns a
puncturable tree of 2^k seeds for every digit; the sender knows all seeds but number delta_c.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.stream import Stream
from quorate.engine.exchange import Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import InternalError
from quorate.kernels import fixed_aes, leaves, oblivious
from quorate.preprocessing.trees import own, puncture, stand_by

__all__ = ["ByChunks", "Chunks"]

Array = npt.NDArray[Any]


class Chunks:
    """The seeds of one ordered pair at one participant.

    Args:
        session: of this participant.
        sender: holds the secret.
        receiver: owns the trees.
        bits: of a digit, k.
        count: of digits.
    """

    def __init__(self, session: Session, sender: int, receiver: int, bits: int, count: int) -> None:
        if sender == receiver:
            raise InternalError(f"participant {sender} needs no oblivious transfers with itself")
        self.session = session
        self.sender, self.receiver = sender, receiver
        self.bits, self.count = bits, count
        self.digits: list[int] = [0] * count
        self._keys: Array | None = None

    @property
    def sends(self) -> bool:
        """Whether this participant is the sender."""
        return self.session.me == self.sender

    @property
    def receives(self) -> bool:
        """Whether this participant is the receiver."""
        return self.session.me == self.receiver

    @property
    def works(self) -> bool:
        """Whether there is anything to compute: a party of the pair, in earnest."""
        return (self.sends or self.receives) and not self.session.counting

    def setup(self, at: Scope, secret: int) -> Step[None]:
        """Base OTs and trees; `secret` matters at the sender only. See `quorate.preprocessing.trees` for the cost.

        Raises:
            IntegrityError: the other one cheated.
        """
        if self._keys is not None:
            raise InternalError("these oblivious transfers are set up already")
        if self.sends:
            mask = (1 << self.bits) - 1
            self.digits = [secret >> (self.bits * c) & mask for c in range(self.count)]
            keys = yield from puncture(self.session, at, self.receiver, self.digits, self.bits)
        elif self.receives:
            keys = yield from own(self.session, at, self.sender, self.count, self.bits)
        else:
            yield from stand_by(at)
            return
        self._keys = keys

    @cached_property
    def _streams(self) -> list[list[Stream | None]]:
        return [[self._stream(chunk, leaf) for leaf in range(1 << self.bits)] for chunk in range(self.count)]

    def _stream(self, chunk: int, leaf: int) -> Stream | None:
        return None if self.sends and leaf == self.digits[chunk] else Stream(self._known_keys[chunk, leaf].tobytes())

    @property
    def _fused(self) -> bool:
        return fixed_aes.available and 1 << self.bits == leaves.LEAVES

    @property
    def _known_keys(self) -> Array:
        if self._keys is None:
            raise InternalError("these oblivious transfers are not set up yet")
        return self._keys

    @cached_property
    def _schedules(self) -> Array:
        """Key schedules (count, 2^k, 88), leaf x in row x ^ digit."""
        rows = np.arange(1 << self.bits) ^ np.array(self.digits)[:, None]
        keys = np.take_along_axis(self._known_keys, rows[:, :, None], axis=1)
        return fixed_aes.round_keys(keys.reshape(-1, 2)).reshape(*rows.shape, fixed_aes.SCHEDULE)

    def fold(self, name: Name, sums: Array, planes: Array, scratch: Array) -> None:
        """For every chunk the sum of its leaves, and for every bit that of the leaves x whose x ^ digit has it.

        Args:
            sums: (count, width), overwritten; without the one that the sender lacks.
            planes: (count k, width), overwritten.
            scratch: (2^k, width), overwritten.
        """
        blocks = leaves.counters(name, sums.shape[1]) if self._fused else None
        for chunk, digit in enumerate(self.digits):
            out = planes[self.bits * chunk : self.bits * (chunk + 1)]
            if blocks is not None:
                leaves.fold_streams(blocks, self._schedules[chunk], self.sends, sums[chunk], out)
            else:
                self.fill(name, chunk, scratch, digit)
                oblivious.fold_leaves(scratch, sums[chunk], out)

    def fill(self, name: Name, chunk: int, out: Array, turn: int = 0) -> None:
        """Leaf x of this chunk into row x ^ turn of `out` (2^k, ...), C-contiguous; zeros for what the sender lacks."""
        if self._fused:
            rows, digit = out.reshape(1 << self.bits, -1), self.digits[chunk]
            blocks = leaves.counters(name, rows.shape[1])
            leaves.fill_streams(blocks, self._schedules[chunk], turn ^ digit, turn ^ digit if self.sends else -1, rows)
            return
        for leaf, stream in enumerate(self._streams[chunk]):
            if stream is None:
                out[leaf ^ turn] = 0
            else:
                stream.fill(name, out[leaf ^ turn])


class ByChunks:
    """What is made from the chunks of one ordered pair: who does what in it."""

    _chunks: Chunks

    @property
    def sender(self) -> int:
        """Who holds delta."""
        return self._chunks.sender

    @property
    def receiver(self) -> int:
        """Who gets the results."""
        return self._chunks.receiver

    @property
    def sends(self) -> bool:
        """Whether this participant is the sender."""
        return self._chunks.sends

    @property
    def receives(self) -> bool:
        """Whether this participant is the receiver."""
        return self._chunks.receives

    @property
    def works(self) -> bool:
        """Whether there is anything to compute here."""
        return self._chunks.works
