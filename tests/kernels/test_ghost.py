"""Ghosts answer every supported operation with the shape and dtype that NumPy gives for real arrays."""

import copy
import pickle
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels.ghost import Ghost, ghost, is_ghost

INDEX = np.array([[0, 1, 2], [2, 1, 0]])
MASK = np.array([True, False, True, True])

SHAPE_RULES = {
    "add": lambda x: x + x,
    "add python int": lambda x: x + 1,
    "compare": lambda x: x > 3,
    "float": lambda x: x / np.float32(2),
    "shift": lambda x: x >> np.uint64(3),
    "broadcast": lambda x: x[:, :1] * x[0],
    "divmod": lambda x: np.divmod(x, 3)[1],
    "outer": lambda x: np.multiply.outer(x[0, 0], x[0, 1]),
    "np.outer": lambda x: np.outer(x[0, 0], x[0, 1]),
    "matmul": lambda x: x @ x.transpose(0, 2, 1),
    "matrix vector": lambda x: x @ x[0, 0],
    "vector matrix": lambda x: x[0, 0] @ x.transpose(0, 2, 1),
    "dot": lambda x: np.dot(x[0], x[0].T),
    "sum": lambda x: x.sum(),
    "sum axis": lambda x: x.sum(axis=1),
    "sum axes": lambda x: np.sum(x, axis=(0, -1), keepdims=True),
    "sum of small": lambda x: x.astype(np.uint8).sum(axis=0),
    "accumulate": lambda x: np.add.accumulate(x, axis=1),
    "cumsum": lambda x: np.cumsum(x),
    "cumsum axis": lambda x: x.cumsum(axis=2),
    "mean": lambda x: np.mean(x, axis=0),
    "std": lambda x: x.std(),
    "max": lambda x: x.max(axis=0),
    "any": lambda x: np.any(x, axis=1),
    "argmax": lambda x: np.argmax(x, axis=1),
    "index int": lambda x: x[1],
    "index element": lambda x: np.asanyarray(x[1, 2, 3]),
    "index slice": lambda x: x[:, ::-2, None, 1:],
    "index ellipsis": lambda x: x[..., 0],
    "index array": lambda x: x[:, INDEX],
    "index arrays apart": lambda x: x[np.array([0, 1]), :, np.array([3, 4])],
    "index arrays around a new axis": lambda x: x[:, np.array([0, 1]), None, np.array([3, 4])],
    "index arrays together": lambda x: x[:, np.array([0, 1]), np.array([3, 4])],
    "index mask": lambda x: x[:, MASK],
    "index mask 2d": lambda x: x[np.ones((3, 4), bool)],
    "index list": lambda x: x[[0, 2]],
    "reshape": lambda x: x.reshape(4, -1),
    "reshape tuple": lambda x: np.reshape(x, (-1,)),
    "ravel": lambda x: x.T.ravel(),
    "flatten": lambda x: x.flatten(),
    "transpose": lambda x: x.T,
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "expand": lambda x: np.expand_dims(x, 1),
    "squeeze": lambda x: np.squeeze(x[:, :1]),
    "astype": lambda x: x.astype(np.float32),
    "view narrower": lambda x: x.view(np.uint8),
    "view wider": lambda x: x.view(np.uint8).view(np.uint32),
    "view same": lambda x: x.view(np.int64),
    "concatenate": lambda x: np.concatenate([x, np.zeros((3, 2, 5), np.uint64)], axis=1),
    "concatenate flat": lambda x: np.concatenate([x, x], axis=None),
    "stack": lambda x: np.stack([x, x], axis=-1),
    "vstack": lambda x: np.vstack([x, x]),
    "split": lambda x: np.array_split(x, 3, axis=1)[2],
    "where": lambda x: np.where(x > 0, x, 1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 4, 5)),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, x[0, 0])[1],
    "take": lambda x: np.take(x, INDEX, axis=1),
    "take flat": lambda x: x.take([1, 2]),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "repeat each": lambda x: x.repeat([1, 0, 3], axis=0),
    "tile": lambda x: np.tile(x, (2, 1)),
    "roll": lambda x: np.roll(x, 1, axis=1),
    "flip": lambda x: np.flip(x, 1),
    "pad": lambda x: np.pad(x, ((0, 0), (1, 2), (0, 0))),
    "diff": lambda x: np.diff(x, axis=1),
    "clip": lambda x: np.clip(x, 0, 1),
    "zeros_like": lambda x: np.zeros_like(x, dtype=np.uint8),
    "full_like": lambda x: np.full_like(x, 7, shape=(2, 2)),
    "empty_like": lambda x: np.empty_like(x),
    "sort": lambda x: np.sort(x),
    "argsort": lambda x: x.argsort(axis=0),
    "packbits": lambda x: np.packbits(x.view(np.uint8), bitorder="little"),
    "unpackbits": lambda x: np.unpackbits(x.view(np.uint8).ravel(), count=13),
    "copy": lambda x: x.copy(),
}


@pytest.mark.parametrize("name", SHAPE_RULES)
def test_result_has_numpys_shape_and_dtype(name):
    rule = SHAPE_RULES[name]
    real = rule(np.ones((3, 4, 5), np.uint64))
    fake = rule(ghost((3, 4, 5), np.uint64))
    assert type(fake) is Ghost
    assert (fake.shape, fake.dtype, fake.size, fake.nbytes) == (real.shape, real.dtype, real.size, real.nbytes)


def test_size_costs_no_memory():
    tracemalloc.start()
    x = ghost((10**6, 10**6), np.uint64)
    y = np.stack([x + 1, x.copy()]).astype(np.uint8).reshape(-1)[::2]
    z = x[np.arange(1000)][:, np.arange(5)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (y.size, z.shape) == (10**12, (1000, 5))
    assert x.nbytes == 8 * 10**12
    assert peak < 200_000


def test_writing_does_nothing_after_a_shape_check():
    x = ghost((3, 4), np.uint64)
    x[1] = 5
    x[:, 1] = np.arange(3)
    x[...] = np.zeros((1, 3, 4))
    x += np.uint64(1)
    assert type(x) is Ghost
    with pytest.raises(InternalError, match="not fit"):
        x[1] = np.arange(3)
    with pytest.raises(InternalError):
        x += ghost((5, 3, 4), np.uint64)


def test_real_result_array_is_returned_untouched():
    out = np.full(3, 7, np.uint64)
    assert np.add(ghost(3, np.uint64), np.uint64(1), out=out) is out
    np.copyto(out, ghost(3, np.uint64))
    out += ghost(3, np.uint64)
    assert out.tolist() == [7, 7, 7]
    with pytest.raises(InternalError, match="out has shape"):
        np.add(ghost(2, np.uint64), np.uint64(1), out=out)


NEED_CONTENT: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "index": lambda x: [1, 2][x],
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
    "tobytes": lambda x: x.tobytes(),
    "in": lambda x: 0 in x,
    "pickle": pickle.dumps,
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "repeats": lambda x: np.repeat(x, x),
    "where": lambda x: np.where(x),
    "unique": np.unique,
    "inverse": np.linalg.inv,
}


@pytest.mark.parametrize("name", NEED_CONTENT)
def test_content_is_refused(name):
    with pytest.raises(InternalError, match="ghost"):
        NEED_CONTENT[name](ghost((1,), np.uint64))


def test_iteration_and_copies_stay_ghosts():
    x = ghost((2,), np.uint64)
    assert [type(row) for row in x] == [Ghost, Ghost]
    assert type(copy.deepcopy(x)) is Ghost
    assert repr(x) == str(x) == f"{x}" == "Ghost(shape=(2,), dtype=uint64)"
    assert is_ghost(1, x)
    assert not is_ghost(np.ones(1), None)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x.reshape(5, 5),
        lambda x: x + ghost(5, "u8"),
        lambda x: x @ x,
        lambda x: np.concatenate([x, ghost((3, 5), "u8")]),
        lambda x: np.broadcast_to(x, (3, 5)),
        lambda x: x[:, :3].view(np.dtype("V16")),
        lambda x: x[INDEX, INDEX, INDEX],
    ],
)
def test_shapes_that_do_not_fit_raise(wrong):
    with pytest.raises(InternalError):
        wrong(ghost((3, 4), np.uint64))


def test_module_does_not_import_numba():
    code = "import sys, quorate.kernels.ghost; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
