"""Order along an axis: sorting, positions, the largest few, quantiles. Nothing about the values or their ties shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NoReturn, Self

import numpy as np

from quorate.errors import UserError
from quorate.lang.dims import Dim, Size
from quorate.lang.operations.rows import METHODS
from quorate.lang.public import LARGEST_DENOMINATOR, as_public
from quorate.lang.recorded import axes_of, axis_of, product_of
from quorate.lang.reductions import Axis, Reductions
from quorate.sharing.dtype import DEFAULT_SCALE

__all__ = ["Ordering"]

FEW = 8
"""So many lanes are sorted one beside the other; more as one long run whose first key is the lane."""


class Ordering(Reductions):
    """The part of a secret array that puts values in order."""

    __slots__ = ()

    def sort(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: NumPy's method changes the array in place."""
        raise UserError("secret arrays cannot be changed; quorate.sort(x) gives a sorted one")

    def sorted(self, axis: int | None = -1, *, descending: bool = False) -> Self:
        """In ascending (or descending) order along an axis, or flattened."""
        return self._ordered(axis, descending, positions=False)[0]

    def argsort(
        self, axis: int | None = -1, *, descending: bool = False, stable: bool = True, kind: Any = None
    ) -> Self:
        """Positions that put the values in order along an axis, or of the flattened array; always stable."""
        return self._ordered(axis, descending, positions=True)[1]

    def largest(self, k: int, axis: int = -1, *, largest: bool = True) -> tuple[Self, Self]:
        """The k largest (or smallest) values along an axis, largest (smallest) first, and their positions."""
        place = axis_of(axis, self.ndim)
        size = self.shape[place]
        if type(k) is not int or k < 1 or (isinstance(size, int) and k > size):
            raise UserError(f"the {k} largest of {size} values; take at least one, and no more than there are")
        found = self._lanes(place, lambda lane: lane.unpacked("top_k", k=k, largest=largest))
        if found is None:
            front = (slice(None),) * place + (slice(k),)
            found = [part[front] for part in self._ordered(place, largest, positions=True)]
        return found[0], found[1]

    def _ordered(self, axis: int | None, descending: bool, positions: bool) -> list[Self]:
        """Sorted values and, if they are wanted, positions."""
        if axis is None:
            return self.reshape(-1)._ordered(0, descending, positions)
        place = axis_of(axis, self.ndim)
        few = self._lanes(place, lambda lane: lane._run([], descending, positions))
        return self._long_run(place, descending, positions) if few is None else few

    def _run(self, before: Sequence[Self], descending: bool, positions: bool) -> list[Self]:
        """Sort one dimension, by keys that come first and then by these values."""
        keys = [*before, self]
        order = [False] * len(before) + [descending]
        sorted_ = keys[0].unpacked("sort", *keys[1:], keys=len(keys), descending=order, order=positions)
        return sorted_[len(before) :]

    def _lanes(self, axis: int, step: Callable[[Self], list[Self]]) -> list[Self] | None:
        """What a step gives for every lane along an axis, each lane by itself, if they are few."""
        if self.ndim == 1:
            return step(self)
        lanes = product_of([size for k, size in enumerate(self.shape) if k != axis])
        if isinstance(lanes, Dim) or not 0 < lanes <= FEW:
            return None
        last = self.moveaxis(axis, -1)
        flat = last.reshape(lanes, last.shape[-1])
        rows = [[part[None] for part in step(flat[k])] for k in range(lanes)]
        joined = [parts[0].record("concat", *parts[1:], axis=0) for parts in zip(*rows, strict=True)]
        return [part.reshape(*last.shape[:-1], part.shape[-1]).moveaxis(-1, axis) for part in joined]

    def _long_run(self, axis: int, descending: bool, positions: bool) -> list[Self]:
        """All lanes in one run, the number of the lane being the first key."""
        last = self.moveaxis(axis, -1)
        length = last.shape[-1]
        lanes = product_of(last.shape[:-1])
        numbers = self.counted(lanes)[:, None].broadcast_to((lanes, length)).reshape(-1)
        found = last.reshape(-1)._run([numbers], descending, positions)
        if positions:
            found[1] = found[1] - numbers * length
        return [part.reshape(*last.shape).moveaxis(-1, axis) for part in found]

    def counted(self, size: Size) -> Self:
        """The public numbers 0 ... size - 1."""
        attribute = size if isinstance(size, int) else {"size": str(size)}
        return type(self)(self.trace, self.trace.record("iota", [], size=attribute).position)

    # -- quantiles ----------------------------------------------------------------------------------------------------

    def quantile(self, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False) -> Self:
        """The value below which the share q (0 to 1, public) of all values lies; between two values, a line.

        Fixed-point, of the scale of the values if they have one.
        """
        shares = as_public(q)
        if shares.dtype.kind == "b" or not np.all((shares >= 0) & (shares <= 1)):
            raise UserError(f"the quantile {q}; q lies between 0 and 1 (quorate.percentile takes 0 to 100)")
        if method not in METHODS:
            raise UserError(f"the method {method!r} of a quantile; use {', '.join(METHODS)}")
        pairs = [Fraction(share).limit_denominator(LARGEST_DENOMINATOR) for share in shares.reshape(-1).tolist()]
        found = self._at_shares([[pair.numerator, pair.denominator] for pair in pairs], axis, method)
        found = found.reshape(*shares.shape, *found.shape[1:])
        if not keepdims:
            return found
        kept = [1 if k in axes_of(axis, self.ndim) else size for k, size in enumerate(self.shape)]
        return found.reshape(*shares.shape, *kept)

    def _at_shares(self, q: list[list[int]], axis: Axis, method: str) -> Self:
        """One row per q."""
        values = self._numbers()._merged(axis)
        if values.shape[0] == 0:
            raise UserError("a quantile of no values is not defined")
        scale = values.dtype.scale if values.dtype.kind == "fixed" else DEFAULT_SCALE
        return values.sorted(0).record("quantile", q=q, scale=max(scale, values.dtype.scale), method=method)
