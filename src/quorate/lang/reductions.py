"""Reductions over axes: sums, extremes, quantifiers, moments, running sums."""

from __future__ import annotations

from typing import Any, Self

from quorate.errors import UserError
from quorate.lang.operators import Operators
from quorate.lang.recorded import Recorded, axes_of, axis_of, product_of
from quorate.sharing.dtype import BOOL, DEFAULT_SCALE, INT

__all__ = ["Reductions"]

Axis = int | tuple[int, ...] | None


class Reductions(Operators):
    """The part of a secret array that reduces axes.

    `axis` is one axis, a tuple of axes or None for all; `keepdims` leaves them with size one; `where` is a secret or
    public mask of what counts, which broadcasts against the array.
    """

    __slots__ = ()

    # -- tools --------------------------------------------------------------------------------------------------------

    def _merged(self, axis: Axis) -> Self:
        """The axes to reduce as one, in front."""
        axes = axes_of(axis, self.ndim)
        if axes == [0]:
            return self
        rest = [k for k in range(self.ndim) if k not in axes]
        sizes = [self.shape[k] for k in rest]
        front = self.transpose([*axes, *rest])
        return front._reshaped((product_of([self.shape[k] for k in axes]), *sizes))

    def _kept(self, result: Self, axis: Axis, keepdims: bool) -> Self:
        """The result of a reduction, with the axes again if they are to be kept."""
        return result.expand_dims(tuple(axes_of(axis, self.ndim))) if keepdims and self.ndim else result

    def _reduced(self, kind: str, axis: Axis, keepdims: bool) -> Self:
        """A reduction of the kind that has one axis; over no axis at all, the value itself."""
        axes = axes_of(axis, self.ndim)
        if not axes:
            return self
        if len(axes) == 1:
            return self._kept(self.record(kind, axis=axes[0]), axis, keepdims)
        return self._kept(self._merged(axis).record(kind, axis=0), axis, keepdims)

    def _mask(self, where: Any) -> Self:
        mask = self._other(where)
        if mask.dtype != BOOL:
            raise UserError("where must be bool, such as x > 0; compare numbers first")
        return mask if mask.shape == self.shape else mask.broadcast_to(self.shape)

    # -- sums and products --------------------------------------------------------------------------------------------

    def sum(self, axis: Axis = None, *, dtype: Any = None, keepdims: bool = False, where: Any = None) -> Self:
        """The sum; of integers of any width as int64, unless `dtype` says otherwise."""
        if self.dtype == BOOL and dtype is None and self.ndim and axis != ():
            chosen = self if where is None else self & self._mask(where)
            return chosen._reduced("count", axis, keepdims)
        total = self.astype(INT if self._integers() else self.dtype) if dtype is None else self.astype(dtype)._numbers()
        if where is not None:
            total = total._zeroed(self._mask(where))
        for place in reversed(axes_of(axis, self.ndim)):
            total = total.record("sum", axis=place)
        return self._kept(total, axis, keepdims)

    def _zeroed(self, mask: Self) -> Self:
        """Zero where the mask does not hold."""
        return self * mask.astype(INT)

    def prod(self, axis: Axis = None, *, dtype: Any = None, keepdims: bool = False, where: Any = None) -> Self:
        """The product; of integers of any width as int64, unless `dtype` says otherwise."""
        values = (
            self.astype(INT if self._integers() else self.dtype) if dtype is None else self.astype(dtype)._numbers()
        )
        if where is not None:
            values = values.chosen(self._mask(where), 1)
        return values._reduced("prod", axis, keepdims)

    def cumsum(self, axis: int | None = None, *, dtype: Any = None) -> Self:
        """Running sums along an axis, or over the flattened array."""
        values = (
            self.astype(INT if self._integers() else self.dtype) if dtype is None else self.astype(dtype)._numbers()
        )
        return values._running("cumsum", axis)

    def _running(self, kind: str, axis: int | None) -> Self:
        values = self.reshape(-1) if axis is None else self
        return values.record(kind, axis=axis_of(0 if axis is None else axis, values.ndim))

    # -- quantifiers --------------------------------------------------------------------------------------------------

    def any(self, axis: Axis = None, *, keepdims: bool = False, where: Any = None) -> Self:
        """Whether some value is true (not zero)."""
        flags = self.astype(BOOL)
        return (flags if where is None else flags & self._mask(where))._reduced("any", axis, keepdims)

    def all(self, axis: Axis = None, *, keepdims: bool = False, where: Any = None) -> Self:
        """Whether every value is true (not zero)."""
        flags = self.astype(BOOL)
        return (flags if where is None else flags | ~self._mask(where))._reduced("all", axis, keepdims)

    # -- extremes -----------------------------------------------------------------------------------------------------

    def min(self, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = None) -> Self:
        """The smallest value, at most `initial`; `where` needs an `initial`, for the case that nothing is chosen."""
        return self._least("min", axis, keepdims, initial, where)

    def max(self, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = None) -> Self:
        """The largest value, at least `initial`; `where` needs an `initial`, for the case that nothing is chosen."""
        return self._least("max", axis, keepdims, initial, where)

    def _least(self, kind: str, axis: Axis, keepdims: bool, initial: Any, where: Any) -> Self:
        values = self
        if where is not None:
            if initial is None:
                raise UserError(
                    f"{kind}(where=...) needs initial=, the result where the mask chooses nothing, such as a limit "
                    "that all values keep to"
                )
            values = self.chosen(self._mask(where), initial)
        if initial is None:
            self._refuse_empty(kind, axis)
            return values._reduced(kind, axis, keepdims)
        return values._kept(values._merged(axis)._with(initial).record(kind, axis=0), axis, keepdims)

    def _with(self, initial: Any) -> Self:
        """One more row of this value."""
        rows, value = self._together(initial, numbers=False)
        return rows.record("concat", value.broadcast_to((1, *self.shape[1:])), axis=0)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Self:
        """The position of the first smallest value along an axis, or in the flattened array."""
        return self._position("argmin", axis, keepdims)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Self:
        """The position of the first largest value along an axis, or in the flattened array."""
        return self._position("argmax", axis, keepdims)

    def _position(self, kind: str, axis: int | None, keepdims: bool) -> Self:
        self._refuse_empty(kind, axis)
        values = self._numbers() if axis is not None else self._numbers().reshape(-1)
        found = values.record(kind, axis=axis_of(0 if axis is None else axis, values.ndim))
        return self._kept(found, axis, keepdims)

    def _refuse_empty(self, kind: str, axis: Axis) -> None:
        if any(self.shape[k] == 0 for k in axes_of(axis, self.ndim)):
            raise UserError(f"{kind} of no values is not defined (shape {self.shape}); for min and max give initial=")

    # -- moments ------------------------------------------------------------------------------------------------------

    def mean(self, axis: Axis = None, *, keepdims: bool = False, where: Any = None) -> Self:
        """The mean; with `where` of those for which it holds, 0 if there are none."""
        if where is None:
            count = product_of([self.shape[k] for k in axes_of(axis, self.ndim)])
            return self._kept(self.sum(axis)._over_public(count), axis, keepdims)
        numbers = self._numbers()._merged(axis)
        return self._kept(numbers._masked_mean(self._mask(where)._merged(axis)), axis, keepdims)

    def _masked_mean(self, mask: Recorded) -> Self:
        scale = self.dtype.scale if self.dtype.kind == "fixed" else DEFAULT_SCALE
        return self.record("masked_mean", mask, axis=0, scale=scale)

    def var(self, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False, where: Any = None) -> Self:
        """Variance: the mean of squared distances from the mean, over n - ddof; never negative."""
        values = self._numbers()._merged(axis)
        if where is not None:
            spread = values._masked_variance(self._mask(where)._merged(axis), ddof)
        else:
            mean = values.mean(0)
            centred = values.astype(mean.dtype) - mean[None]
            count = values.shape[0] - ddof
            divisor = count if isinstance(count, int) else {"size": str(count)}
            spread = centred.record("mean_square", axis=0, divisor=divisor, scale=centred.dtype.scale)
        return self._kept(spread, axis, keepdims)

    def _masked_variance(self, mask: Self, ddof: int) -> Self:
        """Over the rows that the mask chooses; 0 where that are ddof or fewer."""
        mean = self._masked_mean(mask)
        centred = self.astype(mean.dtype) - mean[None]
        squares = centred * centred
        if not ddof:
            return squares._masked_mean(mask)._extreme("maximum", 0)
        count = mask.sum(0) - ddof
        return (squares._zeroed(mask).sum(0) / count._extreme("maximum", 0))._extreme("maximum", 0)

    def std(self, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False, where: Any = None) -> Self:
        """Standard deviation: the square root of the variance."""
        return self.var(axis, ddof=ddof, keepdims=keepdims, where=where).sqrt()
