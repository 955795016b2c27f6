"""What is known of a trait before any variant: its part that covariates leave unexplained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quorate.analytics.columns import bits_of, columns, known, most_rows, unit, vector
from quorate.analytics.linear_algebra import factorised, gram, gram_bits, normalised
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["Null", "null_model"]

DIRECTION_SCALE = 24


@dataclass(frozen=True)
class Null:
    """Directions among people: columns of length 1 and sum 0, at right angles to each other.

    Attributes:
        directions: those of the covariates and, last, what they leave of the trait, shape (people, covariates + 1),
            fixed(DIRECTION_SCALE); 0 for a covariate that others explain, or a trait that is.
        length: of what is left of the trait, over 2**exponent.
        exponent: public.
        varies: whether there is anything left of the trait.
        rank: how many covariates count, int.
    """

    directions: SecretArray
    length: SecretArray
    exponent: int
    varies: SecretArray
    rank: SecretArray


def null_model(trait: Any, covariates: Any = None) -> Null:
    """Project covariates and the mean out of a trait.

    Raises:
        UserError: columns of different length, or more than 63 covariates.
    """
    aim = vector(trait, "the trait")
    beside = [] if covariates is None else columns(covariates)
    if beside and beside[0].shape != aim.shape:
        raise UserError(f"covariates of {beside[0].shape[0]} people and a trait of {aim.shape[0]}")
    if len(beside) > 63:
        raise UserError(f"{len(beside)} covariates; 63 is the most")
    bits = gram_bits(most_rows(aim), known(aim).capacity, 1)
    units = unit([*beside, aim], bits)
    centred = (units.u - units.u.mean(0)).clip(-2.0, 2.0)
    normal = normalised(gram(centred, centred))
    factor = factorised(normal.matrix)
    half, odd = divmod(normal.exponent, 2)
    raised = centred.astype_raw(INT) * normal.root
    shifted = raised.astype_raw(fixed(min(48, bits + half)))
    places = _combined(shifted.clip(-1.5, 1.5), factor.inverse.T * (0.5**0.5 if odd else 1.0))
    last = len(beside)
    size = (factor.pivots[last] * factor.inverse[last, last]).clip(0.0, 1.0) * normal.inverse_root[last]
    return Null(
        places,
        size * (2**0.5 if odd else 1.0),
        half + int(units.exponent[last]),
        factor.independent[last],
        factor.independent[:last].astype(INT).sum() if last else factor.independent.astype(INT).sum() * 0,
    )


def _combined(columns_: SecretArray, weights: SecretArray) -> SecretArray:
    """columns @ weights, with as many digits of the columns as fit."""
    count = int(str(columns_.shape[1]))
    room = known(columns_).capacity - 3 - bits_of(weights) - count.bit_length()
    made = columns_.astype(fixed(min(columns_.dtype.scale, room))) @ weights
    found: SecretArray = made.astype(fixed(DIRECTION_SCALE)).clip(-1.0, 1.0)
    return found
