"""VOLE over p = 2^61 - 1 by small trees: see `quorate.preprocessing.softspoken_vole`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.stream import Stream
from quorate.engine.private import Draws
from quorate.kernels import field, vole
from quorate.preprocessing.softspoken_vole import DIGIT, SoftSpokenVole, tiles

__all__ = ["SoftSpokenFieldVole"]

Array = npt.NDArray[Any]


class SoftSpokenFieldVole(SoftSpokenVole):
    """VOLE over p = 2^61 - 1: see the module."""

    _bits = 61

    @property
    def checks(self) -> int:
        return -(-2 * self._session.security // 61)

    def _valid(self, secret: int) -> bool:
        return 0 <= secret < field.P

    def _draw_delta(self, drawn: Draws) -> int:
        while (secret := int.from_bytes(drawn.bytes(8), "big") >> 3) == field.P:
            pass
        return secret

    def _planar(self, count: int) -> tuple[int, ...]:
        return (count,)

    shape = _planar

    def _rows(self, planar: Array) -> Array:
        return planar

    def _leaves(self, leaves: Array, out_sum: Array, out_weighted: Array) -> None:
        vole.field_leaves(leaves, out_sum, out_weighted)

    def _differences(self, sums: Array) -> Array:
        return np.stack([field.sub(sums[0], other) for other in sums[1:]])

    def canonical(self, correction: Array) -> Array:
        return field.reduce(correction)

    def _add_received(self, total: Array, weighted: Array) -> None:
        vole.field_receive(total, weighted, DIGIT)

    def _add_sent(self, total: Array, summed: Array, weighted: Array, correction: Array, digit: int) -> None:
        vole.field_send(total, summed, weighted, correction, digit, DIGIT)

    def combined(self, values: list[Array], seed: Array, count: int) -> list[Array]:
        stream, results = Stream(seed.tobytes()), [value[count:].copy() for value in values]
        for number, (start, width) in enumerate(tiles(count), 1):
            width = min(width, count - start)
            coefficients = np.empty((self.checks, width), np.uint64)
            stream.fill((0, number), coefficients)
            field.from_random_words(coefficients, coefficients)
            for value, result in zip(values, results, strict=True):
                for check in range(self.checks):
                    part = field.dot(coefficients[check : check + 1], value[None, start : start + width])
                    result[check : check + 1] = field.add(result[check : check + 1], part)
        return results

    def plus(self, x: Array, y: Array) -> Array:
        return field.add(x, y)

    def minus(self, x: Array, y: Array) -> Array:
        return field.sub(x, y)

    def times_delta(self, x: Array) -> Array:
        return field.scale(field.reduce(x), self._secret or 0)
