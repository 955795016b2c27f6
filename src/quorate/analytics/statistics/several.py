"""Several samples to compare: columns of their own, or one column and a secret column that says where rows belong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import quorate.lang.functions as q
from quorate.analytics.columns import known, most_rows, vector
from quorate.analytics.small_groups import checked_least
from quorate.analytics.statistics.samples import Labels, grouped_by, mask
from quorate.analytics.statistics.scatter import bits_for, within
from quorate.analytics.statistics.spread import Piece, centred, joined_flags
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT

__all__ = ["Rows", "Samples", "rows_of", "samples_of"]


@dataclass(frozen=True)
class Rows:
    """The rows of several samples.

    Attributes:
        pieces: one per sample, or a single one for all of them.
        members: of a single piece, bools of shape (rows, samples).
        sizes: secret or public.
        shown: whether all secret sizes are large enough; None if all are public.
    """

    pieces: list[Piece]
    members: SecretArray | None
    sizes: list[Any]
    shown: SecretArray | None

    def parts(self) -> dict[str, SecretArray]:
        """The sizes that are not known yet; 0 for secret ones if one of them is too small."""
        trace, found = self.pieces[0].values.trace, {}
        for k, size in enumerate(self.sizes):
            if isinstance(size, SecretArray) and self.shown is not None:
                found[f"n{k}"] = size * self.shown.astype(INT)
            elif not isinstance(size, int):
                found[f"n{k}"] = trace.rows(size)
        return found

    def opened(self, values: Mapping[str, Any]) -> list[float]:
        """The sizes."""
        return [float(values[f"n{k}"] if f"n{k}" in values else size) for k, size in enumerate(self.sizes)]  # noqa: SIM401


def rows_of(samples: Sequence[Any], by: Any, groups: Labels, where: Any, least: int | None, smallest: int) -> Rows:
    """The rows of samples.

    Raises:
        UserError: neither several columns nor one column with `by`, or masks that do not fit.
    """
    if by is not None:
        return _by_column(samples, by, groups, where, least, smallest)
    if len(samples) < 2:
        raise UserError("one sample; give two columns or more, or one column and by=, which says where rows belong")
    values = [vector(sample, "a sample") for sample in samples]
    masks = [None] * len(values) if where is None else where
    if not isinstance(masks, Sequence) or len(masks) != len(values):
        raise UserError(f"where is one mask (or None) for each of the {len(values)} samples, in a list")
    pieces = [Piece(one, mask(flags, one)) for one, flags in zip(values, masks, strict=True)]
    sizes = [one.values.shape[0] if one.counted is None else one.counted.sum() for one in pieces]
    return Rows(pieces, None, sizes, _large(sizes, least, smallest))


def _by_column(samples: Sequence[Any], by: Any, groups: Labels, where: Any, least: int | None, smallest: int) -> Rows:
    if len(samples) != 1:
        raise UserError("by= divides one column into samples; give a single column with it")
    values = vector(samples[0], "a")
    found = grouped_by(by, groups, mask(where, values))
    if found.members.shape[0] != values.shape[0]:
        raise UserError(f"by has {found.members.shape[0]} rows and the column has {values.shape[0]}")
    if len(found.labels) < 2:
        raise UserError("one group; there is nothing to compare it with")
    counts = found.counts
    sizes = q.unstack(counts)
    shown = (counts >= max(checked_least(least), smallest)).all()
    return Rows([Piece(values, found.members.any(1))], found.members, list(sizes), shown)


def _large(sizes: Sequence[Any], least: int | None, smallest: int) -> SecretArray | None:
    wanted = max(checked_least(least), smallest)
    flags = [size >= wanted for size in sizes if isinstance(size, SecretArray)]
    if not flags:
        return None
    large: SecretArray = q.stack(flags).all()
    return large


@dataclass(frozen=True)
class Samples(Rows):
    """Samples about one common middle, in common units.

    Attributes:
        u: all values, shape (n,).
        counted: which of them count; None for all.
        sums: of u, per sample.
        squares: of distances from the sample's mean, per sample.
        exact: see `Centred`.
    """

    u: SecretArray
    counted: SecretArray | None
    sums: list[SecretArray]
    squares: list[SecretArray]
    exact: bool


def samples_of(
    samples: Sequence[Any], by: Any, groups: Labels, where: Any, least: int | None, smallest: int
) -> Samples:
    """Samples, centred; see `rows_of`."""
    rows = rows_of(samples, by, groups, where, least, smallest)
    most = sum(most_rows(piece.values) for piece in rows.pieces)
    found = centred(rows.pieces, bits_for(most, known(rows.pieces[0].values).capacity))
    flags = [piece.counted for piece in rows.pieces]
    if rows.members is not None:
        sums = list(q.unstack(found.u[0] @ rows.members.astype(INT)))
        inside = list(q.unstack(within(found.u[0], rows.members, found.exact)))
    else:
        sums = [u.sum() for u in found.u]
        inside = [within(u, mask_, found.exact) for u, mask_ in zip(found.u, flags, strict=True)]
    u = q.concatenate(found.u) if len(found.u) > 1 else found.u[0]
    return Samples(**vars(rows), u=u, counted=joined_flags(rows.pieces), sums=sums, squares=inside, exact=found.exact)
