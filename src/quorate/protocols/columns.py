"""Columns of a table whose rows are shuffled together: what the shuffles of all protocols have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.names import Name
from quorate.engine.session import Session
from quorate.errors import InternalError
from quorate.kernels import permutation
from quorate.protocols.groups import SUM, XOR, Group
from quorate.sharing import wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["arriving", "common_rows", "draw_mask", "draw_order", "full_words", "group_of", "packed", "unpacked"]

Array = npt.NDArray[Any]


def common_rows(columns: Sequence[Share]) -> int:
    """The common number of rows; InternalError unless all columns have one axis at least and equally many rows."""
    shapes = [column.shape for column in columns]
    if any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) != 1:
        raise InternalError(f"columns of shapes {shapes} do not have the same rows")
    return shapes[0][0]


def group_of(column: Share) -> Group:
    """How parts of a column add up in a ring."""
    return SUM if isinstance(column, Arithmetic) else XOR


def width_of(column: Share) -> int:
    """Bits of one element."""
    return column.width if isinstance(column, Boolean) else 64


def full_words(column: Share, words: Array) -> Array:
    """Random words, cut to the column's width in place."""
    width = width_of(column)
    if width != 8 * words.dtype.itemsize:
        words &= words.dtype.type((1 << width) - 1)
    return words


def draw_mask(session: Session, keys: tuple[int, ...], name: Name, column: Share) -> Array:
    """Fresh uniform words of the column's shape, type and width, common to the participants `keys`."""
    like = column.parts[0]
    return full_words(column, session.draw(keys, name, session.blank(like.shape, like.dtype)))


def draw_order(session: Session, keys: tuple[int, ...], name: Name, rows: int) -> permutation.Permutation:
    """A fresh uniform permutation, common to the participants `keys`."""
    words = session.scratch(0, (rows + permutation.SPARE,))
    return permutation.from_random_words(session.draw(keys, name, words))


def packed(column: Share, words: Array) -> Array:
    """Words of the column as they travel."""
    return wire.pack(words, width_of(column))


def arriving(session: Session, column: Share) -> Array:
    """A buffer for words of the column that travel."""
    if width_of(column) == 1:
        return session.blank((wire.packed_size(column.size, 1),), np.uint8)
    return session.blank(column.shape, column.parts[0].dtype)


def unpacked(column: Share, travelled: Array) -> Array:
    """The words that `packed` made travel."""
    return np.asanyarray(wire.unpack(travelled, column.shape, width_of(column)))
