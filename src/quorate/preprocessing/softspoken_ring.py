"""VOLE modulo 2^128 by small trees: see `quorate.preprocessing.softspoken_vole`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.stream import Stream
from quorate.engine.private import Draws
from quorate.kernels import vole
from quorate.preprocessing.softspoken_vole import DIGIT, SoftSpokenVole, tiles

__all__ = ["SoftSpokenRingVole"]

Array = npt.NDArray[Any]


class SoftSpokenRingVole(SoftSpokenVole):
    """VOLE modulo 2^128, with delta below 2^64: see the module."""

    _bits = 64

    @property
    def checks(self) -> int:
        return -(-2 * self._session.security // 8) * 8

    def _valid(self, secret: int) -> bool:
        return secret >= 0

    def _draw_delta(self, drawn: Draws) -> int:
        return int.from_bytes(drawn.bytes(8), "big")

    def _planar(self, count: int) -> tuple[int, ...]:
        return (2, count)

    def shape(self, count: int) -> tuple[int, ...]:
        return (count, 2)

    def _rows(self, planar: Array) -> Array:
        return planar.T.copy()

    def _leaves(self, leaves: Array, out_sum: Array, out_weighted: Array) -> None:
        vole.ring_leaves(leaves, out_sum, out_weighted)

    def _differences(self, sums: Array) -> Array:
        borrow = (sums[:1, 0] < sums[1:, 0]).astype(np.uint64)
        return np.stack([sums[:1, 0] - sums[1:, 0], sums[:1, 1] - sums[1:, 1] - borrow], axis=1)

    def canonical(self, correction: Array) -> Array:
        return correction

    def _add_received(self, total: Array, weighted: Array) -> None:
        vole.ring_receive(total, weighted, DIGIT)

    def _add_sent(self, total: Array, summed: Array, weighted: Array, correction: Array, digit: int) -> None:
        vole.ring_send(total, summed, weighted, correction, digit, DIGIT)

    def combined(self, values: list[Array], seed: Array, count: int) -> list[Array]:
        stream, results = Stream(seed.tobytes()), [value[count:].copy() for value in values]
        for number, (start, width) in enumerate(tiles(count), 1):
            width = min(width, count - start)
            choice = np.empty((self.checks // 8, width), np.uint8)
            stream.fill((0, number), choice)
            for value, result in zip(values, results, strict=True):
                vole.combine_bits(value[start : start + width], choice, result)
        return results

    def plus(self, x: Array, y: Array) -> Array:
        low = x[..., 0] + y[..., 0]
        return np.stack([low, x[..., 1] + y[..., 1] + (low < y[..., 0])], axis=-1)

    def minus(self, x: Array, y: Array) -> Array:
        return np.stack([x[..., 0] - y[..., 0], x[..., 1] - y[..., 1] - (x[..., 0] < y[..., 0])], axis=-1)

    def times_delta(self, x: Array) -> Array:
        return vole.ring_multiply(x, self._secret or 0)
