"""Losses of a secret portfolio in scenarios, exact but for one rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.analytics.columns import known, matrix, vector
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["SCALE", "Losses", "given_losses", "portfolio_losses"]

SCALE = 40
"""Bits of a loss: losses are kept as shares of the largest that there may be, in units of 2**-SCALE."""

RETURN_BITS = 22
"""Bits of the largest return."""


class Losses:
    """One loss per scenario: 2**exponent * u, with u in [-1, 1] at scale `SCALE`; gains are negative.

    Attributes:
        u: shape (scenarios,).
        exponent: public.
    """

    def __init__(self, raw: SecretArray, scale: int) -> None:
        bits = max(1, _width(raw))
        if bits > SCALE:
            raw = raw.astype_raw(fixed(bits - SCALE)).astype(fixed(0)).astype_raw(INT)
        else:
            raw = raw << (SCALE - bits)
        self.u = raw.astype_raw(fixed(SCALE)).clip(-1.0, 1.0)
        self.exponent = bits - scale


def portfolio_losses(positions: Any, returns: Any) -> Losses:
    """- returns @ positions.

    Args:
        positions: value held of each asset, secret, shape (assets,); a list of these, or a matrix with one row each,
            are positions of several institutions, which are added up.
        returns: relative change of each asset in each scenario, shape (scenarios, assets): public numbers, or a secret
            matrix or table.

    Raises:
        UserError: shapes that do not fit, or returns that are not finite.
    """
    held = _positions(positions)
    count = _assets(held)
    room = known(held).capacity - 2 - RETURN_BITS - max(0, count - 1).bit_length()
    amounts, amount_scale = _cut(held, room)
    changes: Any
    changes, change_scale = _cut(matrix(returns), RETURN_BITS) if _secret(returns) else _public(returns)
    if len(changes.shape) != 2 or changes.shape[1] != count:
        raise UserError(f"returns of shape {changes.shape} do not fit {count} positions; give one column per asset")
    return Losses(-(changes @ amounts), change_scale + amount_scale)


def given_losses(losses: Any) -> Losses:
    """Losses that each institution found itself, one per scenario: a secret column, or several, which are added up."""
    total = _positions(losses, "losses")
    raw, scale = _cut(total, known(total).capacity - 2)
    return Losses(raw, scale)


def _positions(given: Any, what: str = "positions") -> SecretArray:
    if isinstance(given, SecretArray) and given.ndim == 2:
        total: SecretArray = given.sum(0)
        return total
    if isinstance(given, Sequence) and not isinstance(given, str):
        if not given:
            raise UserError(f"no {what}")
        found = [vector(one, what) for one in given]
        if len({str(one.shape) for one in found}) > 1:
            raise UserError(
                f"the {what} of the institutions differ in length: {', '.join(str(o.shape) for o in found)}"
            )
        stacked: SecretArray = q.stack(found).sum(0)
        return stacked
    return vector(given, what)


def _assets(held: SecretArray) -> int:
    if not isinstance(held.shape[0], int):
        raise UserError("the number of assets has to be known; give positions as one secret number per asset")
    return held.shape[0]


def _secret(returns: Any) -> bool:
    return not isinstance(returns, np.ndarray | list | tuple) and not hasattr(returns, "to_numpy")


def _public(returns: Any) -> tuple[npt.NDArray[np.int64], int]:
    """Public returns as whole numbers of `RETURN_BITS` bits, and their scale."""
    values = np.asarray(returns, np.float64)
    if not np.isfinite(values).all():
        raise UserError("returns that are not finite; leave such scenarios out, or fill them in")
    reach = float(np.abs(values).max(initial=0.0))
    scale = RETURN_BITS - (math.frexp(reach)[1] if reach else 0)
    return np.rint(np.ldexp(values, scale)).astype(np.int64), scale


def _cut(values: SecretArray, bits: int) -> tuple[SecretArray, int]:
    """Raw integers of at most so many bits, and their scale."""
    width, scale = _width(values.astype_raw(INT)), values.dtype.scale
    raw = values.astype_raw(INT)
    if width <= bits:
        return raw, scale
    return raw.astype_raw(fixed(width - bits)).astype(fixed(0)).astype_raw(INT), scale - (width - bits)


def _width(raw: SecretArray) -> int:
    low, high = raw.limits
    return max(int(abs(low)), int(abs(high))).bit_length()
