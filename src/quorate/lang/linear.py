"""NumPy's products of vectors and matrices. A sum of products costs one element of communication, however long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.numpy_names import first, like_numpy
from quorate.lang.recorded import axis_of, product_of

__all__ = ["dot", "einsum", "inner", "matmul", "outer", "tensordot", "trace", "vdot", "vecdot"]

Array = SecretArray


def _both(x: Any, y: Any) -> tuple[Array, Array]:
    like: Array = first(x, y)
    return like._other(x), like._other(y)


@like_numpy()
def dot(x: Any, y: Any) -> Array:
    """Inner product of vectors, product of matrices; a number multiplies."""
    left, right = _both(x, y)
    return left.dot(right)


@like_numpy()
def matmul(x: Any, y: Any) -> Array:
    """Product of matrices over the last two axes; the others broadcast."""
    left, right = _both(x, y)
    return left @ right


@like_numpy()
def outer(x: Any, y: Any) -> Array:
    """All products of an element of x with one of y."""
    left, right = _both(x, y)
    return left.reshape(-1)[:, None] * right.reshape(-1)[None, :]


@like_numpy()
def inner(x: Any, y: Any) -> Array:
    """Sums of products over the last axes."""
    left, right = _both(x, y)
    return left * right if not left.ndim or not right.ndim else tensordot(left, right, ([-1], [-1]))


@like_numpy()
def vdot(x: Any, y: Any) -> Array:
    """The inner product of the flattened arrays."""
    left, right = _both(x, y)
    return left.reshape(-1) @ right.reshape(-1)


@like_numpy()
def vecdot(x: Any, y: Any, axis: int = -1) -> Array:
    """Inner products along an axis; the others broadcast."""
    left, right = (operand.moveaxis(axis, -1) for operand in _both(x, y))
    return (left[..., None, :] @ right[..., :, None])[..., 0, 0]


@like_numpy()
def tensordot(x: Any, y: Any, axes: Any = 2) -> Array:
    """Sums of products over axes of both: so many last and first ones, or a list of each."""
    left, right = _both(x, y)
    if isinstance(axes, int):
        axes = (list(range(left.ndim - axes, left.ndim)), list(range(axes)))
    first_, second = (
        [axis_of(a, array.ndim) for a in _list(part)] for part, array in zip(axes, (left, right), strict=True)
    )
    if [left.shape[axis] for axis in first_] != [right.shape[axis] for axis in second]:
        raise UserError(f"tensordot of shapes {left.shape} and {right.shape} over axes {axes}; their sizes differ")
    rows = [axis for axis in range(left.ndim) if axis not in first_]
    columns = [axis for axis in range(right.ndim) if axis not in second]
    count = product_of([left.shape[axis] for axis in first_])
    shapes = [left.shape[axis] for axis in rows], [right.shape[axis] for axis in columns]
    a = left.transpose([*rows, *first_]).reshape(product_of(shapes[0]), count)
    b = right.transpose([*second, *columns]).reshape(count, product_of(shapes[1]))
    return (a @ b).reshape(*shapes[0], *shapes[1])


def _list(part: Any) -> list[int]:
    return list(part) if isinstance(part, Sequence) else [part]


@like_numpy()
def trace(x: Any, offset: int = 0) -> Array:
    """The sum of a matrix's diagonal."""
    array: Array = first(x)
    return array.diagonal(offset).sum()


@like_numpy()
def einsum(subscripts: str, *operands: Any) -> Array:
    """Sums of products by letters, such as 'ij,jk->ik': one or two operands, no letter twice in one of them."""
    inputs, wanted = _letters(subscripts, len(operands))
    like: Array = first(*operands)
    arrays = [like._other(operand) for operand in operands]
    for letters, array in zip(inputs, arrays, strict=True):
        if len(letters) != array.ndim or len(set(letters)) < len(letters):
            raise UserError(f"einsum {subscripts!r}: {array.ndim} dimensions take as many letters, none of them twice")
    if len(arrays) == 1:
        return _summed(arrays[0], inputs[0], wanted)
    both = [letter for letter in inputs[0] if letter in inputs[1]]
    shared = [letter for letter in both if letter in wanted]
    gone = [letter for letter in both if letter not in wanted]
    rows, columns = ([letter for letter in letters if letter in wanted and letter not in both] for letters in inputs)
    left = _summed(arrays[0], inputs[0], [*shared, *rows, *gone])
    right = _summed(arrays[1], inputs[1], [*shared, *gone, *columns])
    product = _stacked(left, right, len(shared), len(gone)) if shared else tensordot(left, right, len(gone))
    return _summed(product, [*shared, *rows, *columns], wanted)


def _letters(subscripts: str, operands: int) -> tuple[list[list[str]], list[str]]:
    """Letters of every operand and of the result."""
    given, arrow, result = subscripts.replace(" ", "").partition("->")
    inputs = [list(part) for part in given.split(",")]
    if len(inputs) != operands or not 1 <= operands <= 2 or not given.replace(",", "").isalpha():
        raise UserError(f"einsum {subscripts!r} of {operands} operands; give letters for one or two of them")
    every = [letter for part in inputs for letter in part]
    wanted = list(result) if arrow else sorted(letter for letter in set(every) if every.count(letter) == 1)
    if len(set(wanted)) < len(wanted) or not set(wanted) <= set(every):
        raise UserError(f"einsum {subscripts!r}: the result names letters of the operands, each once")
    return inputs, wanted


def _summed(array: Array, letters: Sequence[str], wanted: Sequence[str]) -> Array:
    """Summed over the letters that are not wanted, with the axes in the order that is wanted."""
    dropped = tuple(axis for axis, letter in enumerate(letters) if letter not in wanted)
    left = [letter for letter in letters if letter in wanted]
    summed = array.sum(dropped, dtype=array.dtype) if dropped else array
    return summed.transpose([left.index(letter) for letter in wanted])


def _stacked(left: Array, right: Array, shared: int, gone: int) -> Array:
    """Matrix products for every place of the shared axes, which come first."""
    rows, columns = left.shape[shared : left.ndim - gone], right.shape[shared + gone :]
    count = product_of(left.shape[left.ndim - gone :])
    stack = left.shape[:shared]
    a = left.reshape(*stack, product_of(rows), count)
    b = right.reshape(*stack, count, product_of(columns))
    return (a @ b).reshape(*stack, *rows, *columns)
