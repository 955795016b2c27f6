"""Gradient descent on small batches of rows, for logistic regression on large data."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from quorate.analytics.regression.design import Design, product
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["descended"]

SCALE = 16
"""Fraction bits of features and probabilities."""

RATE_BITS = 10
"""Significant bits of the learning rate over the batch."""


def descended(
    design: Design, y: SecretArray, penalty: npt.NDArray[np.float64], batch: int, epochs: int, rate: float
) -> SecretArray:
    """Slopes per unit, from 0, after `epochs` passes over all rows in their order; about 13 rounds per batch.

    One step is rate / rows of the batch times the sum of the rows' gradients, and as much of the penalty.

    Raises:
        UserError: parameters that cannot be, or a number of rows that is not known while recording.
    """
    rows = design.x.shape[0]
    if not isinstance(rows, int):
        raise UserError("solver='minibatch' needs the number of rows while the plan is written; give rows to trace")
    if type(batch) is not int or batch < 1 or type(epochs) is not int or epochs < 1 or not 0 < rate <= 64:
        raise UserError(f"batch_size {batch!r}, epochs {epochs!r}, learning_rate {rate!r}; each is a positive number")
    x = design.x.astype(fixed(SCALE))
    slopes: SecretArray | None = None
    for _ in range(epochs):
        for part in _parts(rows, batch):
            slopes = _stepped(design, x, y, part, slopes, rate, penalty / rows)
    if slopes is None:
        raise UserError("there are no rows to learn from")
    return slopes


def _parts(rows: int, batch: int) -> Iterator[slice]:
    for start in range(0, rows, batch):
        yield slice(start, min(start + batch, rows))


def _stepped(
    design: Design,
    x: SecretArray,
    y: SecretArray,
    part: slice,
    slopes: SecretArray | None,
    rate: float,
    penalty: npt.NDArray[np.float64],
) -> SecretArray:
    """The slopes after one batch. The rate goes in as a whole number, so that a step is cut back only once."""
    count, shift = _ratio(rate / (part.stop - part.start))
    rest = y[part].astype(fixed(SCALE)) - (0.5 if slopes is None else (x[part] @ slopes).record("sigmoid", scale=SCALE))
    if design.rows.weight is not None:
        rest = product("mul", rest, design.rows.weight[part], SCALE)
    scaled = (rest.astype_raw(INT) * count).astype_raw(fixed(SCALE + shift))
    moved = product("matmul", x[part].T, scaled[:, None], SCALE)[:, 0]
    if slopes is None:
        return moved
    return slopes + moved - _shrunk(slopes, rate * penalty) if penalty.any() else slopes + moved


def _shrunk(slopes: SecretArray, shares: npt.NDArray[np.float64]) -> SecretArray:
    """Slopes times public shares, of which the largest has RATE_BITS bits."""
    _, shift = _ratio(float(shares.max()))
    counts = np.round(np.ldexp(shares, shift)).astype(np.int64)
    return (slopes.astype_raw(INT) * counts).astype_raw(fixed(SCALE + shift)).astype(fixed(SCALE))


def _ratio(value: float) -> tuple[int, int]:
    """A whole number of at most RATE_BITS bits and a shift, so that number / 2**shift is nearly the value."""
    shift = RATE_BITS - int(np.ceil(np.log2(value)))
    shift = max(0, min(shift, 31))
    count = round(Fraction(value) * 2**shift)
    while count % 2 == 0 and count and shift:
        count, shift = count // 2, shift - 1
    return max(1, count), shift
