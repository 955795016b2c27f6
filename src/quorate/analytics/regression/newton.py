"""Newton's method for generalised linear models, a public number of steps, with nothing opened on the way.

The largest possible Hessian is known before the first step (Boehning and Lindsay, Monotonicity of quadratic
approximation algorithms, 1988): the weights of the rows are bounded. Its Cholesky factor gives coordinates, the frame,
in which every Hessian lies between 0 and the identity. There each step is solved by squarings of E = I - H:

    H**-1 g = ... (I + E**4) (I + E**2) (I + E) g

whose matrices have no element above 1. Directions that still have a curvature below 2**-SQUARINGS of the largest one
are not followed to their end in one step; the next step goes on. Gradients are exact sums, and rounding in Hessians
costs accuracy of single steps only, not of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.analytics.columns import bits_of, known
from quorate.analytics.linear_algebra import LARGEST, MOST_SHIFT, factorised, gram, normalised
from quorate.analytics.regression.design import Design, product, relabelled
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["Family", "Frame", "Outcome", "Point", "framed", "maximised"]

SCALE = 24
"""Fraction bits of matrices and steps in the frame."""

FRAME_SCALE = 16
"""Fraction bits of the frame itself; any frame near the right one will do."""

LARGEST_BITS = int(LARGEST).bit_length() - 1

SQUARINGS = 11
"""Of each step."""

LAST_SQUARINGS = 12
"""Of the inverse that standard errors are taken from."""

MOST_STEP = 8.0
"""No step moves further than this along one axis of the frame: some 16 in the linear predictor."""

MOST_PLACE = 128.0
"""How far from the start the method goes along one axis of the frame."""

MOST_SLOPE = 128.0
"""Of slopes in units in which the features' root mean square lies between 1/2 and 1."""

HESSIAN_SCALE = 33
"""Fraction bits of Hessians before they are enlarged, or fewer of many unknowns."""

CONVERGED = 2.0**-9
"""A last step shorter than this along every axis of the frame counts as convergence."""

BELOW, ABOVE = 3, 14
"""Hessians are enlarged by secret powers of two from 2**-BELOW to 2**ABOVE."""


@dataclass(frozen=True)
class Point:
    """The model at one place: what the linear predictor makes of the rows.

    Attributes:
        eta: linear predictor.
        mean: expected values of y.
        weight: minus the second derivatives of the rows' log-likelihoods by eta, at least 0.
    """

    eta: SecretArray
    mean: SecretArray
    weight: SecretArray


@dataclass(frozen=True)
class Family:
    """A distribution with its canonical link.

    Attributes:
        weight_bits: weights are below 2**weight_bits, proven.
        scale: fraction bits of expected values.
        x: the features as they meet residuals, with as many digits as these leave room for.
        at: the point for slopes per unit (None at the start).
    """

    weight_bits: int
    scale: int
    x: SecretArray
    at: Callable[[SecretArray | None], Point]


@dataclass(frozen=True)
class Frame:
    """Coordinates in which the largest possible Hessian is the identity.

    Slopes per unit are root * (axes.T @ place). The Hessian in the frame is axes @ (root * H * root / 2**exponent) @
    axes.T.

    Attributes:
        axes: shape (unknowns, unknowns), fixed(FRAME_SCALE).
        root: secret powers of two, int, shape (unknowns,).
        exponent: public.
        penalty: of slopes in units of `root`, shape (unknowns,), or None.
        independent: which unknowns earlier ones do not explain.
    """

    axes: SecretArray
    root: SecretArray
    exponent: int
    penalty: SecretArray | None
    independent: SecretArray

    def slopes(self, place: SecretArray) -> SecretArray:
        """Slopes in units of `root`, from a place in the frame."""
        found = product("matmul", self.axes.T, place[:, None], place.dtype.scale)[:, 0]
        return found.clip(-MOST_SLOPE, MOST_SLOPE)


@dataclass(frozen=True)
class Outcome:
    """Where the method ended.

    Attributes:
        slopes: per unit, shape (unknowns,).
        step: the longest coordinate of the last step, a number.
        inverse: of the last Hessian in the frame, enlarged by `enlarged`: shape (unknowns, unknowns).
        enlarged: by how much, times 2**BELOW, a secret power of two.
        curvature: the trace of the last Hessian, enlarged.
        last: the point from which the last step was taken.
        frame: the coordinates.
    """

    slopes: SecretArray
    step: SecretArray
    inverse: SecretArray
    enlarged: SecretArray
    curvature: SecretArray
    last: Point
    frame: Frame


def framed(design: Design, weight_bits: int, penalty: npt.NDArray[np.float64]) -> Frame:
    """The frame for weights of the rows up to 2**weight_bits and penalties per squared slope (per unit) / 2.

    About 40 rounds per unknown.
    """
    x = design.x
    weighted = x if design.rows.weight is None else product("mul", x, design.rows.weight[:, None], x.dtype.scale)
    largest = gram(x, weighted)
    largest = largest.astype_raw(fixed(largest.dtype.scale - weight_bits))
    penalised = bool(penalty.any())
    normal = normalised(largest + np.diag(penalty) if penalised else largest)
    factor = factorised(normal.matrix)
    axes = factor.inverse.astype(fixed(FRAME_SCALE)).clip(-LARGEST, LARGEST)
    share = _shares(normal.root, penalty * 2.0**-normal.exponent) if penalised else None
    return Frame(axes, normal.root, normal.exponent, share, factor.independent)


def _shares(root: SecretArray, penalty: npt.NDArray[np.float64]) -> SecretArray:
    """The penalty in units of `root`: root**2 * penalty, at most 1 where it counts."""
    public = np.round(penalty * 2.0**30).astype(np.int64)
    share = (root * root * public).astype_raw(fixed(30))
    return share.clip(0.0, 1.0).astype(fixed(SCALE))


def maximised(design: Design, y: SecretArray, family: Family, frame: Frame, steps: int) -> Outcome:
    """So many steps of Newton's method; about 60 + 10 * SQUARINGS rounds each."""
    taken = _moved(design, y, family, frame, None)
    for _ in range(1, steps):
        taken = _moved(design, y, family, frame, taken)
    longest = taken.step.__abs__().max()
    inverse, curvature = _inverse(taken.rest), (1.0 - taken.rest.diagonal()).sum()
    return Outcome(taken.slopes * frame.root, longest, inverse, taken.enlarged, curvature, taken.point, frame)


@dataclass(frozen=True)
class _Taken:
    """A step: from where, how far, and to where; `rest` is I minus the enlarged Hessian."""

    point: Point
    rest: SecretArray
    enlarged: SecretArray
    step: SecretArray
    place: SecretArray
    slopes: SecretArray


def _moved(design: Design, y: SecretArray, family: Family, frame: Frame, before: _Taken | None) -> _Taken:
    slopes = None if before is None else before.slopes
    point = family.at(_per_unit(design, frame, slopes))
    rest, enlarged = _hessian(design, family, frame, point)
    step = _solved(rest, _gradient(design, family, frame, y, point, slopes, enlarged))
    scale = min(22, known(design.x).capacity - 2 - FRAME_SCALE - LARGEST_BITS - 7 - design.unknowns.bit_length())
    moved = step.astype(fixed(scale))
    place = moved if before is None else _within(before.place + moved, MOST_PLACE)
    return _Taken(point, rest, enlarged, step, place, frame.slopes(place))


def _per_unit(design: Design, frame: Frame, slopes: SecretArray | None) -> SecretArray | None:
    """Slopes per unit, with as many digits as the linear predictor has room for."""
    if slopes is None:
        return None
    wide = slopes * frame.root
    spare = known(wide).capacity - 2 - bits_of(design.x) - design.unknowns.bit_length() - bits_of(wide)
    return wide if spare >= 0 else wide.astype(fixed(wide.dtype.scale + spare))


def _gradient(
    design: Design,
    family: Family,
    frame: Frame,
    y: SecretArray,
    point: Point,
    slopes: SecretArray | None,
    enlarged: SecretArray,
) -> SecretArray:
    """In the frame, as the Hessian enlarged."""
    rest = y.astype(point.mean.dtype) - point.mean
    rest = design.rows.weighted(rest)
    rest = rest.astype(fixed(min(rest.dtype.scale, 48 - family.x.dtype.scale)))
    exact = gram(family.x, rest[:, None])[:, 0]
    wide = relabelled(exact, frame.exponent, MOST_SHIFT, 44) * frame.root
    scale = min(28, known(wide).capacity - 2 - FRAME_SCALE - LARGEST_BITS - 3 - design.unknowns.bit_length())
    wide = wide.clip(-4.0, 4.0)
    if frame.penalty is not None and slopes is not None:
        wide = wide - product("mul", frame.penalty, slopes, SCALE + 2)
    wide = relabelled(wide, 0, BELOW + ABOVE) * enlarged
    wide = relabelled(wide.clip(-8.0 * 2**BELOW, 8.0 * 2**BELOW), BELOW, 1, scale)
    found = product("matmul", frame.axes, wide[:, None], SCALE)[:, 0]
    return found.clip(-MOST_STEP, MOST_STEP)


def _hessian(design: Design, family: Family, frame: Frame, point: Point) -> tuple[SecretArray, SecretArray]:
    """I minus the Hessian in the frame, enlarged so that its norm lies between 1/4 and 1; and by how much."""
    weight = design.rows.weighted(point.weight)
    reach = bits_of(weight) - weight.dtype.scale + bits_of(design.x) - design.x.dtype.scale
    scale = min(SCALE, 48 - family.x.dtype.scale, design.rows.room(bits_of(family.x), reach))
    rows = product("mul", design.x, weight.astype(fixed(min(scale, weight.dtype.scale)))[:, None], scale)
    exact = gram(family.x, rows)
    both = frame.root[:, None] * frame.root[None, :]
    own = relabelled(exact, frame.exponent, 2 * MOST_SHIFT + 1, 44) * both
    fine = _hessian_scale(design)
    own = own.clip(-1.0, 1.0).astype(fixed(fine))
    if frame.penalty is not None:
        own = own + _diagonal(frame.penalty)
    half = product("matmul", frame.axes, own, fine).clip(-1.0, 1.0)
    matrix = product("matmul", half, frame.axes.T, fine).clip(-1.0, 1.0)
    enlarged = _enlargement(matrix)
    grown = (matrix * enlarged).astype_raw(fixed(fine + BELOW))
    rest = q.subtract(np.eye(design.unknowns), grown).clip(-1.0, 1.0).astype(fixed(SCALE))
    return rest, enlarged


def _hessian_scale(design: Design) -> int:
    spare = known(design.x).capacity - 4 - FRAME_SCALE - LARGEST_BITS - design.unknowns.bit_length()
    return max(SCALE, min(HESSIAN_SCALE, spare))


def _diagonal(values: SecretArray) -> SecretArray:
    size = int(str(values.shape[0]))
    made: SecretArray = values[:, None] * np.eye(size, dtype=np.int64)
    return made


def _enlargement(matrix: SecretArray) -> SecretArray:
    """The largest power of two, times 2**BELOW, by which the matrix may grow while its Frobenius norm is at most 1."""
    flat = matrix.astype(fixed(20)).reshape(-1)
    norm = flat.astype_raw(INT) @ flat.astype_raw(INT)
    square = norm.astype_raw(fixed(40))
    powers = np.arange(1, BELOW + ABOVE + 1)
    fits = q.unstack((square <= 4.0 ** (BELOW - powers)).astype(INT))
    grown = fits[0] + 1
    for k, flag in enumerate(fits[1:], 1):  # one by one, since each has a range of its own
        grown = grown + (flag << k)
    return grown


def _within(array: SecretArray, limit: float) -> SecretArray:
    """Clipped, unless it is proven to lie within the limits already."""
    low, high = array.limits
    return array if -limit <= low and high <= limit else array.clip(-limit, limit)


def _fit(left: SecretArray, right: SecretArray) -> bool:
    """Whether sums of products, as many as there are unknowns, are proven to fit."""
    reach = [max(-array.limits[0], array.limits[1]) * 2.0**array.dtype.scale for array in (left, right)]
    return int(str(left.shape[0])) * reach[0] * reach[1] < 2.0 ** (known(left).capacity - 1)


def _solved(rest: SecretArray, gradient: SecretArray) -> SecretArray:
    """(I - rest)**-1 @ gradient by squarings, clipped to what it can be where there is no room without."""
    step = gradient.astype(fixed(SCALE))
    for left in reversed(range(SQUARINGS)):
        if not (_fit(rest, rest) and _fit(rest, step)):  # both at once, since these rounds are shared
            rest, step = rest.clip(-1.0, 1.0), step.clip(-MOST_STEP, MOST_STEP)
        step = step + product("matmul", rest, step[:, None], SCALE)[:, 0]
        if left:
            rest = product("matmul", rest, rest, SCALE)
    return step.clip(-MOST_STEP, MOST_STEP)


def _inverse(rest: SecretArray) -> SecretArray:
    """(I - rest)**-1 by squarings, at 16 fraction bits."""
    limit = 2.0**11
    found = (rest + np.eye(int(str(rest.shape[0])))).astype(fixed(16))
    for _ in range(1, LAST_SQUARINGS):
        rest = product("matmul", rest, rest, SCALE).clip(-1.0, 1.0)
        found = (found + product("matmul", rest, found, 16)).clip(-limit, limit)
    return found
