"""How good a split is, in whole numbers: what a squared mean, times the weight of its rows, leaves to choose from.

A side of a split with the sum of gradients G and the weight H (rows, or hessians, and a penalty) scores G**2 / H: the
decrease of the loss by giving its rows the value m = G / H (Chen and Guestrin, XGBoost, 2016, equation 6; for H = rows
it is the decrease of the squared error, and summed over classes that of the Gini impurity). It is computed from a
quotient m of moderate precision as m * (2 G - H m) = G**2 / H - H (m - G / H)**2, without further rounding, so an
error of m counts only by its square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.circuits.divide import worst_error
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.protocols.base import Protocol
from quorate.sharing.dtype import INT, fixed

__all__ = ["Digits", "Flags", "Sides", "digits_for", "scored"]

Flags = npt.NDArray[np.bool_]

MEAN_SCALE = 20
"""Most fraction bits of values of leaves."""

WEIGHT_SCALE = 10
"""Most fraction bits of hessians and penalties."""

LEAST_SCALE = 8

LEAST_HESSIAN = 2.0**-4
"""Sums of hessians and penalty below this count as this."""


@dataclass(frozen=True)
class Digits:
    """Public scales and bounds, chosen from declared ranges and the largest number of rows.

    Attributes:
        rows: most rows.
        gradient, weight, mean: fraction bits.
        most_gradient, most_weight: bounds of one row's.
        most_mean: values of leaves are kept within it.
        penalty: added to weights, a multiple of 2**-weight.
        noise: by how much rounding may set equal scores apart, as a multiple of the node's weight.
    """

    rows: int
    gradient: int
    weight: int
    mean: int
    most_gradient: float
    most_weight: float
    most_mean: float
    penalty: float
    noise: int


def digits_for(
    protocol: Protocol,
    rows: int,
    *,
    most_gradient: float,
    most_mean: float,
    outputs: int = 1,
    penalty: float = 0.0,
    hessians: bool = False,
) -> Digits:
    """The finest scales at which everything fits.

    Raises:
        UserError: there are too many rows for the protocol.
    """
    capacity = protocol.capacity
    fewest = next((w for w in range(WEIGHT_SCALE) if math.ldexp(float(penalty), w).is_integer()), WEIGHT_SCALE)
    weight = WEIGHT_SCALE if hessians else fewest
    most_weight = 257 / 1024 if hessians else 1.0  # hessians are at most 1/4, and rounded
    penalty = math.ldexp(round(math.ldexp(float(penalty), weight)), -weight)
    reach = rows * (2 * most_gradient + most_weight * most_mean) + penalty * most_mean
    room = capacity - 3 - math.ceil(math.log2(reach * most_mean * 2 * outputs))
    mean = min(MEAN_SCALE, (room - weight) // 2)
    lowest = max(penalty, LEAST_HESSIAN) if weight else max(penalty, 1.0)
    total = math.ceil(math.log2(rows * most_weight + penalty + 1))
    quotient = math.ceil(math.log2(rows * most_gradient / lowest)) + 1
    gradient = min(mean + weight, capacity - 5 - quotient - total)
    mean = min(mean, capacity - 4 - quotient)
    if min(gradient, mean) < LEAST_SCALE:
        raise UserError(f"trees over up to {rows} rows do not fit the protocol; use fewer rows, or a ring protocol")
    noise = math.ceil(worst_error(protocol) ** 2) + 1
    return Digits(rows, gradient, weight, mean, most_gradient, most_weight, most_mean, penalty, noise)


@dataclass(frozen=True)
class Sides:
    """Both sides of every candidate split of every node.

    Attributes:
        scores: int, shape (places, nodes); 0 where a split is not allowed.
        means: values of the sides, fixed(digits.mean), shape (places, 2, outputs, nodes).
    """

    scores: SecretArray
    means: SecretArray


def scored(
    counts: SecretArray,
    gradients: SecretArray,
    weights: SecretArray | None,
    least: int,
    d: Digits,
    permitted: Flags | None = None,
) -> Sides:
    """Scores from sums over the rows of each side.

    Of splits that are equally good, the first is to win wherever rounding was at work, so early places get a bonus of
    a few units in the last place, in proportion to the weight of the node. About 38 rounds.

    Args:
        counts: rows, int, shape (places, 2, 1, nodes).
        gradients: fixed(d.gradient), shape (places, 2, outputs, nodes).
        weights: fixed(d.weight), of the shape of `counts`; None where they are the rows.
        least: fewest rows on each side.
        d: see `Digits`.
        permitted: public, which places may be chosen at which node, shape (places, nodes); by default all.
    """
    outputs = int(str(gradients.shape[2]))
    plain = counts.astype(fixed(d.weight)) if weights is None else weights
    heavy = _divisors(plain, d)
    wide = heavy.broadcast_to(gradients.shape)
    means = gradients.record("div", wide, scale=d.mean).clip(-d.most_mean, d.most_mean)
    scores = _of_means(means, gradients, wide, d).sum((1, 2))
    places = int(str(scores.shape[0]))
    bonus = d.noise * outputs * np.arange(places, 0, -1)
    everything = heavy[0, 0, 0].astype_raw(INT)
    scores = scores + everything[None, :] * bonus[:, None]
    return Sides(_allowed(scores, counts, least, permitted), means)


def _divisors(weights: SecretArray, d: Digits) -> SecretArray:
    """Weights with the penalty; of hessians at least `LEAST_HESSIAN`."""
    if d.weight and d.penalty < LEAST_HESSIAN:
        return (weights + d.penalty).clip(LEAST_HESSIAN, d.rows * d.most_weight + LEAST_HESSIAN)
    return weights + d.penalty if d.penalty else weights


def _of_means(means: SecretArray, gradients: SecretArray, weights: SecretArray, d: Digits) -> SecretArray:
    """m * (2 G - H m) as raw integers of scale 2 * d.mean + d.weight."""
    m, g, h = (x.astype_raw(INT) for x in (means, gradients, weights))
    return m * (g * (2 << (d.mean + d.weight - d.gradient)) - h * m)


def _allowed(scores: SecretArray, counts: SecretArray, least: int, permitted: Flags | None) -> SecretArray:
    """0 where a side has too few rows or a place is not permitted; place 0, which does not split, always is."""
    if int(str(scores.shape[0])) == 1:
        return scores
    split = scores[1:]
    if permitted is not None:
        split = split * permitted[1:].astype(np.int64)
    if least > 1:
        enough = counts[1:, :, 0] >= least
        split = q.where(enough[:, 0] & enough[:, 1], split, 0)
    made: SecretArray = q.concatenate([scores[:1], split])
    return made
