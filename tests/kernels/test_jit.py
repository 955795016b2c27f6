"""Kernels compile once per machine, take any kind of array, and survive an unusable cache."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import quorate
from quorate.errors import InternalError
from quorate.kernels import field, ring
from quorate.kernels._jit import elementwise, kernel

USE_KERNELS = """
import numpy as np
from quorate.kernels import bits, field, permutation, ring
kernels = [v for m in (bits, field, permutation, ring) for v in vars(m).values() if isinstance(v, field.Kernel)]
assert len(kernels) > 15 and all(k.stats == (0, 0) for k in kernels), "compiled at import"
x = np.arange(1, 17, dtype=np.uint64)
ring.replicated_product(x, x, x, x, x, x)
field.mul(x, x)
bits.and_share(*[x.view(np.uint8)] * 4)
permutation.invert(x[::-1].astype(np.int64) - 1)
print([sum(s) for s in zip(*(k.stats for k in kernels))])
"""


def run(cache: str, source: Path, **more: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(source), "NUMBA_CACHE_DIR": cache, **more}
    env = {k: v for k, v in env.items() if v}
    done = subprocess.run([sys.executable, "-c", USE_KERNELS], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_second_process_compiles_nothing(tmp_path):
    source = Path(quorate.__path__[0]).parent
    assert run(str(tmp_path), source) == "[0, 4]"
    assert run(str(tmp_path), source) == "[4, 0]"


def test_damaged_cache_is_no_obstacle(tmp_path):
    source = Path(quorate.__path__[0]).parent
    run(str(tmp_path), source)
    for index in tmp_path.rglob("*.nbi"):
        index.write_bytes(b"damaged")
    for data in tmp_path.rglob("*.nbc"):
        data.write_bytes(b"damaged")
    run(str(tmp_path), source)


def test_sources_that_cannot_be_written_use_the_users_cache(tmp_path):
    shutil.copytree(
        Path(quorate.__path__[0]), tmp_path / "site" / "quorate", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "site/quorate/kernels/__pycache__").write_text("a file where the directory would be")
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home/.cache")}
    assert run("", tmp_path / "site", **home) == "[0, 4]"
    assert run("", tmp_path / "site", **home) == "[4, 0]"


def test_without_any_cache_kernels_still_work(monkeypatch):
    def no_locator(*args: Any, **options: Any) -> Any:
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return original(*args, **options)

    original: Any = numba.njit
    monkeypatch.setattr(numba, "njit", no_locator)

    @kernel
    def double(out, x):
        for i in range(out.size):
            out[i] = x[i] + x[i]

    assert elementwise(double, None, np.arange(4)).tolist() == [0, 2, 4, 6]


@kernel
def _copy(out, x):
    for i in range(out.size):
        out[i] = x[i]


def test_one_compiled_form_for_writable_read_only_and_strided_inputs():
    x = np.arange(10, dtype=np.uint16)
    frozen = x.copy()
    frozen.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint16, 10, offset=1)
    for y in (x, frozen, x[::2], unaligned):
        out = np.empty(len(y), np.uint16)
        _copy(out, y)
        assert out.tolist() == y.tolist()
    assert sum(_copy.stats) == 1
    _copy(out=np.empty(10), x=np.arange(10.0))
    assert sum(_copy.stats) == 2


@pytest.mark.parametrize("out", [np.zeros(8)[::2], np.frombuffer(bytes(32))])
def test_result_arrays_are_never_copied(out):
    with pytest.raises(InternalError, match="result array out"):
        _copy(out, np.ones(4))


def test_dtype_is_enforced():
    with pytest.raises(InternalError, match="dtype"):
        ring._dot(np.empty(1, np.int64), np.ones((1, 1), np.int64), np.ones((1, 1), np.int64))


def test_first_calls_from_many_threads():
    fresh = kernel(dtype=np.uint64)(field._mul._function)
    x = np.full(100, field.P - 1, np.uint64)
    outs = [np.zeros(100, np.uint64) for _ in range(4)]
    threads = [threading.Thread(target=fresh, args=(out, x, x)) for out in outs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all((out == 1).all() for out in outs)
