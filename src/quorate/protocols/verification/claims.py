"""From noted products to one claim about an inner product over E: the first level of the verification."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from quorate.kernels.ghost import contiguous
from quorate.protocols.verification import cube, permuted
from quorate.protocols.verification.domain import Array, Domain
from quorate.protocols.verification.scheme import Inner, Matrix, Note, Parts, Permuted, Products, Scheme, Zeros

__all__ = ["Claim", "First", "Gathered"]

FEW = 128
"""Up to so many products, bits counted, are claims about elements of the extension from the start: a level less."""
SMALL = 1 << 13
"""Notes of fewer items are put together before they are cut into blocks."""
PIECE = 1 << 17
"""Items of a batch at most, so that what is made of it on the way stays in memory that is used again."""
MULTIPLE = 8
"""Blocks of the first level have a multiple of so many items."""


Sides = tuple[Parts, Parts, Parts]
"""x, y and z of noted products."""


class Claim(NamedTuple):
    """The inner product of left and right (count, *tail) is `value` (*tail); all shared."""

    left: Parts
    right: Parts
    value: Parts

    @property
    def length(self) -> int:
        """Of the vectors."""
        return len(self.left[0])


class Batch(NamedTuple):
    """Products of blocks (2**nu, m) of items. `z` are blocks too; or blocks (2**(nu - inner), k) of sums, each of which
    stands for `repeat` positions next to each other in 2**inner blocks. Positions of zeros may follow."""

    x: Parts
    y: Parts
    z: Parts
    repeat: int = 1

    @property
    def items(self) -> int:
        """Items of a block."""
        return int(self.x[0].shape[1])

    @property
    def weights(self) -> int:
        """Weights to draw for them."""
        return int(self.z[0].shape[1])


class Group(NamedTuple):
    """Batches that share one polynomial H: blocks for nu variables. The first `inner` of them are within an inner
    product; the others have weights of their own."""

    nu: int
    inner: int
    batches: list[Batch]


class Gathered:
    """All notes of a check, cut into blocks. `coins`: how many challenges the first level wants, array by array."""

    def __init__(self, scheme: Scheme, notes: Sequence[Note]) -> None:
        self.domain = scheme.domain
        self.zeros = [_of(self.domain, note.x, 0) for note in notes if isinstance(note, Zeros)]
        self.matrices = [note for note in notes if isinstance(note, Matrix)]
        self.permuted = [note for note in notes if isinstance(note, Permuted)]
        products = [_product_items(self.domain, note) for note in notes if isinstance(note, Products)]
        self.few = _together(products) if sum(len(x[0]) for x, _, _ in products) * self.domain.lanes <= FEW else None
        self.groups = [self._products(products)] if products and self.few is None else []
        self.groups += self._rows([note for note in notes if isinstance(note, Inner)])
        self.coins = [len(parts[0]) for parts in self.zeros]
        self.coins += [size for note in self.matrices for size in (note.z[0].shape[0], note.z[0].shape[1])]
        self.coins += [size for note in self.permuted for size in note.x[0].shape]
        self.coins += [] if self.few is None else [len(self.few[0][0])]
        for group in self.groups:
            self.coins += [1 << (group.nu - group.inner), *(batch.weights for batch in group.batches)]

    def _products(self, products: list[Sides]) -> Group:
        """Large notes are cut without copying them; what is left of them goes with the small ones."""
        nu = self.domain.variables(sum(len(x[0]) for x, _, _ in products), first=True)
        whole = MULTIPLE << nu
        piece = -(-PIECE // whole) * whole
        batches, rests = list[Batch](), list[Sides]()
        for entry in products:
            count = len(entry[0][0])
            end = count // whole * whole if count >= SMALL else 0
            for start in range(0, end, piece):
                batches.append(_batch(_cut(entry, start, min(start + piece, end)), nu))
            if end < count:
                rests.append(_cut(entry, end, count))
        rest = _together(rests)
        if rest is not None:
            starts = range(0, len(rest[0][0]), piece)
            batches += [_batch(_cut(rest, start, start + piece), nu) for start in starts]
        return Group(nu, 0, batches)

    def _rows(self, notes: list[Inner]) -> list[Group]:
        """Rows are cut into pieces, or if they are short, several of them make up the blocks."""
        nu = self.domain.variables(sum(note.x[0].size for note in notes), first=True)
        groups: dict[int, list[Batch]] = {}
        for x, y, z in _by_length(notes):
            rows, length = x[0].shape
            inner, step = min(nu, (length - 1).bit_length()), max(1, PIECE // length)
            for start in range(0, rows, step):
                groups.setdefault(inner, []).append(_row_batch(_cut((x, y, z), start, start + step), nu, inner))
        return [Group(nu, inner, groups[inner]) for inner in sorted(groups)]


def _together(entries: list[Sides]) -> Sides | None:
    """All of them one after the other; None if there are none."""
    if not entries:
        return None
    x, y, z = (tuple(map(_joined, zip(*side, strict=True))) for side in zip(*entries, strict=True))
    return x, y, z


def _by_length(notes: list[Inner]) -> list[Sides]:
    """Rows of all notes, those of small ones of one length together."""
    found, small = list[Sides](), dict[int, list[Sides]]()
    for note in notes:
        entry = (note.x, note.y, note.z)
        if note.x[0].size < SMALL:
            small.setdefault(note.x[0].shape[1], []).append(entry)
        else:
            found.append(entry)
    for length in sorted(small):
        x, y, z = (tuple(map(_joined, zip(*side, strict=True))) for side in zip(*small[length], strict=True))
        found.append((x, y, z))
    return found


def _of(domain: Domain, parts: Parts, width: int) -> Parts:
    return tuple(domain.items(part, width) for part in parts)


def _product_items(domain: Domain, note: Products) -> Sides:
    return _of(domain, note.x, note.width), _of(domain, note.y, note.width), _of(domain, note.z, note.width)


def _cut(entry: Sides, start: int, stop: int) -> Sides:
    x, y, z = (tuple(part[start:stop] for part in side) for side in entry)
    return x, y, z


def _batch(entry: Sides, nu: int) -> Batch:
    x, y, z = (tuple(cube.blocks_of(part, nu, MULTIPLE) for part in side) for side in entry)
    return Batch(x, y, z)


def _row_batch(entry: Sides, nu: int, inner: int) -> Batch:
    """Inner products of rows (rows, length), z (rows,): see `Batch`."""
    rows, length = entry[0][0].shape
    piece, outer = -(-length >> inner), -(-rows >> (nu - inner))
    x, y = (tuple(_row_blocks(part, nu, inner, (outer, piece)) for part in side) for side in entry[:2])
    z = tuple(_padded(part, 0, outer << (nu - inner)).reshape(-1, outer) for part in entry[2])
    return Batch(x, y, z, repeat=piece)


def _row_blocks(part: Array, nu: int, inner: int, sizes: tuple[int, int]) -> Array:
    """Rows as blocks: `sizes` are how many rows go into a block, and how many elements of each."""
    outer, piece = sizes
    part = _padded(_padded(part, 0, outer << (nu - inner)), 1, piece << inner)
    blocks = contiguous(np.moveaxis(part.reshape(1 << (nu - inner), outer, 1 << inner, piece), 1, 2))
    return _filled_up(blocks.reshape(1 << nu, outer * piece), 1)


def _padded(array: Array, axis: int, length: int) -> Array:
    """With zeros at the end, so many along `axis` in all."""
    missing = length - array.shape[axis]
    if not missing:
        return array
    shape = (*array.shape[:axis], missing, *array.shape[axis + 1 :])
    return np.concatenate([array, np.zeros_like(array, shape=shape)], axis=axis)


def _filled_up(array: Array, axis: int) -> Array:
    """With zeros at the end, so that the length along `axis` is a multiple of `MULTIPLE`."""
    return _padded(array, axis, -(-array.shape[axis] // MULTIPLE) * MULTIPLE)


class _Vectors:
    """Both sides of a claim, put together piece by piece."""

    def __init__(self, left: Parts, right: Parts) -> None:
        self.left = left
        self.right = right
        self._end = 0

    def take(self, count: int) -> tuple[Parts, Parts]:
        """The next elements, so many, of both sides, to be written."""
        start, self._end = self._end, self._end + count
        left, right = (tuple(part[start : self._end] for part in side) for side in (self.left, self.right))
        return left, right


class First:
    """The first level, once its weights are known."""

    def __init__(self, scheme: Scheme, gathered: Gathered, drawn: list[Array]) -> None:
        self.scheme = scheme
        self.domain = scheme.domain
        self.groups = gathered.groups
        weights = iter(drawn)
        self.zeros = [self._weighed(parts, next(weights)) for parts in gathered.zeros]
        self.matrices = [self._matrix(note, next(weights), next(weights)) for note in gathered.matrices]
        for note in gathered.permuted:
            self.matrices.append(Claim(*permuted.claim(scheme, note, next(weights), next(weights))))
        if gathered.few is not None:
            self.matrices.append(self._few(gathered.few, next(weights)))
        self.rho: list[Array] = []
        self.sigma: list[list[Array]] = []
        for group in self.groups:
            self.rho.append(next(weights))
            self.sigma.append([next(weights) for _ in group.batches])

    @property
    def empty(self) -> bool:
        """Whether no products were noted at all."""
        return not self.groups and not self.matrices

    def _weighed(self, parts: Parts, weights: Array) -> Parts:
        return tuple(self.domain.weigh(part[None], weights)[0] for part in parts)

    def _matrix(self, note: Matrix, u: Array, v: Array) -> Claim:
        """The claim that (u^T X) (Y v) = u^T Z v."""
        left = tuple(self.domain.fold(contiguous(part), u) for part in note.x)
        right = tuple(self.domain.fold(contiguous(part.T), v) for part in note.y)
        rows = [self.domain.fold(contiguous(part), u) for part in note.z]
        return Claim(left, right, cube.weighed(self.domain, tuple(rows), v))

    def _few(self, entry: Sides, sigma: Array) -> Claim:
        """The claim about few products, each weighed by itself."""
        x, y, z = entry
        left = tuple(self.domain.scale(self.domain.lifted(part), sigma) for part in x)
        return Claim(left, tuple(map(self.domain.lifted, y)), self._weighed(z, sigma))

    # -- H -------------------------------------------------------------------------------------------------------------

    def points(self) -> Array:
        """Our sums of local products at the points of all groups, one group after the other."""
        return np.concatenate([self._points(k) for k in range(len(self.groups))])

    def _points(self, k: int) -> Array:
        sums = []
        for batch, sigma in zip(self.groups[k].batches, self.sigma[k], strict=True):
            pairs = self.scheme.pairs(batch.x, batch.y, self.domain.base_add)
            if not pairs:
                blank = np.zeros_like(batch.x[0], shape=(3 ** self.groups[k].nu, *self.domain.tail), dtype=np.uint64)
                return blank
            sums.append(self.domain.points(pairs, _positions(sigma, batch)))
        return reduce(self.domain.add, sums)

    def _slices(self) -> list[slice]:
        ends = np.cumsum([3**group.nu for group in self.groups]).tolist()
        return [slice(end - 3**group.nu, end) for end, group in zip(ends, self.groups, strict=True)]

    def differences(self, shared: Parts) -> list[Parts]:
        """For every group the claimed sum less the weighted sum of H over the corners: sharings of zero."""
        found = []
        for k, place in enumerate(self._slices() if self.groups else []):
            group = self.groups[k]
            corners = [cube.corner_number(a, group.nu) for a in range(1 << group.nu)]
            values = tuple(part[place][corners] for part in shared)
            sums = cube.weighed(self.domain, values, np.repeat(self.rho[k], 1 << group.inner, axis=0))
            found.append(tuple(map(self.domain.sub, self._claimed(k), sums)))
        return found

    def _claimed(self, k: int) -> Parts:
        """The weighted sum of the noted results of a group."""
        found = [
            tuple(self.domain.weigh(part, sigma) for part in batch.z)
            for batch, sigma in zip(self.groups[k].batches, self.sigma[k], strict=True)
        ]
        sums = tuple(reduce(self.domain.add, parts) for parts in zip(*found, strict=True))
        return cube.weighed(self.domain, sums, self.rho[k])

    # -- the next claim ------------------------------------------------------------------------------------------------

    def folded(self, shared: Parts, tau: Array, gamma: Array) -> Claim:
        """All groups at their points, and the matrix products: each weighed by its gamma, in one claim."""
        vectors = self._vectors()
        values = list[Parts]()
        start = 0
        for k, place in enumerate(self._slices() if self.groups else []):
            point = tau[start : start + self.groups[k].nu]
            start += self.groups[k].nu
            squares = cube.square_weights(self.domain, point)
            value = cube.weighed(self.domain, tuple(part[place] for part in shared), squares)
            values.append(self._times(value, gamma[k]))
            self._fold(k, cube.line_weights(self.domain, point), gamma[k], vectors)
        for claim in self.matrices:
            left, right = vectors.take(claim.length)
            for out, part in zip((*left, *right), (*claim.left, *claim.right), strict=True):
                out[...] = part
            if not self.groups:  # weighed independently of each other as they are
                values.append(claim.value)
                continue
            for out in left:
                out[...] = self.domain.mul(out, gamma[-1])
            values.append(self._times(claim.value, gamma[-1]))
        return Claim(
            vectors.left, vectors.right, tuple(reduce(self.domain.add, row) for row in zip(*values, strict=True))
        )

    def _vectors(self) -> _Vectors:
        """Room for the vectors of all batches and matrices."""
        sizes = [self.domain.lanes * batch.items for group in self.groups for batch in group.batches]
        sizes += [claim.length for claim in self.matrices]
        like = self.groups[0].batches[0].x if self.groups else self.matrices[0].left
        shape = (sum(sizes), *self.domain.tail)
        sides = [tuple(np.empty_like(part, shape=shape, dtype=np.uint64) for part in like) for _ in range(2)]
        return _Vectors(sides[0], sides[1])

    def _fold(self, k: int, lines: Array, gamma: Array, vectors: _Vectors) -> None:
        """The batches of a group at a point."""
        scaled = self.domain.mul(lines, gamma)
        for batch, sigma in zip(self.groups[k].batches, self.sigma[k], strict=True):
            weights = _positions(sigma, batch)
            left, right = vectors.take(self.domain.lanes * batch.items)
            for out, part in zip(left, batch.x, strict=True):
                self.domain.fold_into(out, part, scaled, weights)
            for out, part in zip(right, batch.y, strict=True):
                self.domain.fold_into(out, part, lines)

    def _times(self, value: Parts, factor: Array) -> Parts:
        return tuple(self.domain.mul(part[None], factor)[0] for part in value)


def _positions(sigma: Array, batch: Batch) -> Array:
    """The weights of the positions of a batch, where all positions of a row have one."""
    if batch.items == batch.weights:
        return sigma
    return _padded(np.repeat(sigma, batch.repeat, axis=0), 0, batch.items)


def _joined(arrays: tuple[Array, ...]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
