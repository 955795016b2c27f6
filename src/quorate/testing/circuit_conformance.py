"""What every circuit has to keep to, on every protocol. Run it on your own:

    from quorate.testing.circuit_conformance import check_circuit
    from quorate.testing.world import CONFIGURATIONS

    @pytest.mark.parametrize("configuration", CONFIGURATIONS)
    def test_swap(configuration):
        check_circuit(configuration, swap, [condition, x, y], expected)

A circuit is a step `circuit(p, at, *shares) -> share` (or a list of shares). Its inputs are int64 arrays, shared as
numbers, or bool arrays, shared as bits. It must give what is expected, cost exactly what counting predicted, take as
many rounds at every participant, leave no message behind, and open nothing unless that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.circuits.convert import to_boolean
from quorate.crypto.entropy import SystemEntropy
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Boolean, Share
from quorate.testing.protocol_conformance import Configuration, run_counted
from quorate.testing.world import Outcome, World

__all__ = ["Circuit", "check_circuit", "run_circuit", "watch_openings"]

Circuit = Callable[..., Step[Any]]
"""(protocol, scope, *shares) -> a share, or a list or tuple of shares."""

OPENINGS = ("reveal", "reveal_bits", "and_open")


def check_circuit(
    configuration: Configuration,
    circuit: Circuit,
    inputs: Sequence[npt.ArrayLike],
    expected: Any,
    *,
    within: float = 0,
    opens: bool = False,
    seed: int | None = None,
) -> Outcome:
    """Run the circuit and compare what it gives (or each of the list it gives) with `expected`.

    Args:
        within: by how much results may differ, in raw units.
        opens: whether the circuit may open values on its way.

    Raises:
        AssertionError: it does not keep to one of the rules; the note names the seed.
    """
    opened, outcome = run_circuit(configuration, circuit, *inputs, opens=opens, seed=seed)
    several = isinstance(opened, list)
    for k, (got, wanted) in enumerate(zip(opened, expected, strict=True) if several else [(opened, expected)]):
        _compare(f"result {k}" if several else "the result", got, np.asarray(wanted), within)
    return outcome


def run_circuit(
    configuration: Configuration,
    circuit: Circuit,
    *inputs: npt.ArrayLike,
    opens: bool = False,
    seed: int | None = None,
) -> tuple[Any, Outcome]:
    """What the circuit gives, opened to party 0, and the outcome with its costs; see the module for what is checked."""
    arrays = [np.asarray(values) for values in inputs]
    protocol, parties, threshold = configuration
    seed = int.from_bytes(SystemEntropy().bytes(4), "big") if seed is None else seed

    def program(p: Protocol, at: Scope) -> Step[Any]:
        shares = []
        for k, values in enumerate(arrays):
            shares.append((yield from _input(p, at.child(f"input {k}"), k % p.parties, values)))
        used = watch_openings(p)
        result = yield from circuit(p, at.child("circuit"), *shares)
        if used and not opens:
            raise AssertionError(f"the circuit opens values on its way ({', '.join(sorted(used))}) and does not say so")
        for name in OPENINGS:
            vars(p).pop(name, None)
        return (yield from _opened(p, at.child("open"), result))

    outcome = run_counted(World(protocol, parties, threshold, seed=seed), program)
    return outcome.values[0], outcome


def _input(p: Protocol, at: Scope, owner: int, values: npt.NDArray[Any]) -> Step[Share]:
    raw = values.astype(np.int64) if p.me == owner else None
    share = yield from p.input(at.child("numbers"), owner, values.shape, raw)
    return share if values.dtype != np.bool_ else (yield from to_boolean(p, at.child("bits"), share))


def watch_openings(p: Protocol) -> set[str]:
    """The names of the opening primitives that this instance uses from now on; filled as they are used."""
    used: set[str] = set()

    def noted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            used.add(name)
            return method(*arguments, **options)

        return call

    for name in OPENINGS:
        if hasattr(p, name):
            setattr(p, name, noted(name, getattr(p, name)))
    return used


def _opened(p: Protocol, at: Scope, result: Any) -> Step[Any]:
    if isinstance(result, list | tuple):
        values = []
        for k, part in enumerate(result):
            values.append((yield from _opened(p, at.child(f"{k}"), part)))
        return values
    return (yield from (p.reveal_bits if isinstance(result, Boolean) else p.reveal)(at, result, [0]))


def _compare(what: str, got: Any, wanted: npt.NDArray[Any], within: float) -> None:
    if np.shape(got) != wanted.shape:
        raise AssertionError(f"{what} has shape {np.shape(got)} instead of {wanted.shape}")
    wrong = np.abs(np.asarray(got).astype(object) - wanted.astype(object)) > within
    where = np.argwhere(np.asarray(wrong, np.bool_))
    if len(where):
        first = tuple(int(k) for k in where[0])
        raise AssertionError(
            f"{what}: {len(where)} of {wanted.size} are wrong, at {first} {got[first]} instead of {wanted[first]}"
        )
