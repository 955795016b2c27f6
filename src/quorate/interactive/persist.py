"""Models that stay secret: shares at the parties, and a file that says what they are, for a later session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from quorate import analytics
from quorate.analytics.base import Estimator
from quorate.errors import UserError
from quorate.files import read_bytes, write_atomic
from quorate.interactive.backend import Backend, HeldColumn
from quorate.interactive.live import Live
from quorate.lang.array import SecretArray
from quorate.lang.operations.base import concrete
from quorate.sharing.dtype import DType

__all__ = ["keep", "load"]

LIMIT = 1 << 20


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class _Part(_Struct, frozen=True, kw_only=True):
    name: str
    shape: tuple[int, ...]
    dtype: str
    low: int
    high: int


class _File(_Struct, frozen=True, kw_only=True):
    """What a file of a kept model holds: where the shares of its parts are, and nothing secret."""

    quorate_model: Literal[1]
    method: str
    params: dict[str, Any]
    public: dict[str, Any]
    parts: dict[str, _Part]
    protocol: str
    parties: tuple[str, ...]
    threshold: int


def keep(live: Live, backend: Backend, model: Estimator, file: Path, prefix: str) -> None:
    """Have the parties keep a model, and write down where.

    Raises:
        UserError: the protocol keeps no shares, the model is not fitted, or it is none of `quorate.analytics`.
    """
    _check_keeps(backend)
    method = type(model).__name__
    if method not in analytics.__all__ or getattr(analytics, method) is not type(model):
        raise UserError(f"{method} is no method of quorate.analytics; only these can be loaded again")
    parts = dict(model.parts())
    if not parts:
        raise UserError(f"this {method} is not fitted yet; call fit first")
    held = live.keep(parts, {name: f"{prefix}{method}.{name}" for name in parts})
    names = backend.lasting([column.name for column in held.values()])
    made = _File(
        quorate_model=1,
        method=method,
        params=_plain(model.get_params()),
        public=_plain(model.public()),
        parts={name: _part(parts[name], column, names[column.name]) for name, column in held.items()},
        protocol=backend.protocol,
        parties=backend.parties,
        threshold=backend.threshold,
    )
    write_atomic(file, msgspec.json.format(msgspec.json.encode(made)))


def load(live: Live, backend: Backend, file: Path) -> Estimator:
    """The model of a file that `keep` wrote, its parts still secret.

    Raises:
        UserError: no such file, or of other parties or another protocol than this session has.
    """
    _check_keeps(backend)
    try:
        made = msgspec.json.decode(read_bytes(file, LIMIT), type=_File)
    except msgspec.DecodeError as problem:
        raise UserError(f"{file}: not a kept model: {problem}") from None
    _check_same(made, backend, file)
    if made.method not in analytics.__all__:
        raise UserError(f"{file}: this version knows no method {made.method!r}")
    cls = getattr(analytics, made.method)
    if not (isinstance(cls, type) and issubclass(cls, Estimator)):
        raise UserError(f"{file}: {made.method!r} is no model")
    parts = {name: _array(live, f"{made.method} {name}", part) for name, part in made.parts.items()}
    return cls.restored(made.params, made.public, parts)


def _check_keeps(backend: Backend) -> None:
    if not backend.keeps:
        raise UserError(
            f"{backend.protocol} binds shares to keys that end with a run; use another protocol to keep models"
        )


def _check_same(made: _File, backend: Backend, file: Path) -> None:
    here = {"protocol": backend.protocol, "parties": backend.parties, "threshold": backend.threshold}
    for name, value in here.items():
        if (there := getattr(made, name)) != value:
            raise UserError(f"{file}: the model is kept with {name} {there}, this session has {value}")


def _part(array: SecretArray, column: HeldColumn, name: str) -> _Part:
    low, high = column.bounds
    return _Part(name=name, shape=concrete(array.shape), dtype=str(array.dtype), low=low, high=high)


def _array(live: Live, label: str, part: _Part) -> SecretArray:
    rows = int(np.prod(part.shape, dtype=np.int64))
    column = HeldColumn(part.name, rows, DType.parse(part.dtype), (part.low, part.high))
    return live.hold(part.name, label, column).reshape(*part.shape)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Public facts as JSON has them."""
    return {name: _builtin(value) for name, value in values.items()}


def _builtin(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_builtin(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise UserError(f"a {type(value).__name__} cannot be written to the file of a model")
