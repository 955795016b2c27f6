"""What the conformance suite of protocols is made of: inputs with edge values, counted runs, exact comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.entropy import SeededEntropyForTests, SystemEntropy
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.protocols.registry import protocol_class
from quorate.sharing.share import Boolean
from quorate.sharing.wire import word_type
from quorate.testing.world import Outcome, Program, World

__all__ = [
    "SHAPES",
    "WIDTHS",
    "Configuration",
    "Exact",
    "ProtocolChecks",
    "Values",
    "done",
    "exact",
    "integers",
    "nothing",
    "opened_values",
    "require",
    "run_counted",
    "same",
    "with_error",
    "words_of",
]

Configuration = tuple[str, int, int]
"""(protocol, parties, threshold)"""
Values = npt.NDArray[np.int64]
Exact = npt.NDArray[Any]
Operation = Callable[..., Step[Any]]

SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (67,), (2, 3), (3, 0))
WIDTHS = (1, 2, 8, 16, 33, 64)


def integers(seed: int, label: str, shape: tuple[int, ...], bits: int) -> Values:
    """Integers between -2**bits and 2**bits, exclusive (int64), with edge values among them; from the seed alone."""
    size = int(np.prod(shape, dtype=np.int64))
    words = np.frombuffer(SeededEntropyForTests(seed, label).bytes(8 * size), np.int64)
    values = words >> np.int64(63 - bits)
    limit = 2**bits - 1
    edges = [0, 1, -1, limit, -limit, limit // 2, 2 ** max(bits - 1, 0), -(2 ** max(bits - 1, 0)), 2]
    values = values.copy()
    values[::2] = np.resize(np.array(edges, np.int64), values[::2].shape)
    clipped: Values = np.clip(values, -limit, limit).reshape(shape)
    return clipped


def run_counted(world: World, program: Program) -> Outcome:
    """Run the program; its cost must be the same at all participants in rounds, and in all as counted before."""
    print(f"{world.protocol} with {world.parties} parties, seed {world.seed}")
    predicted, outcome = world.count(program), world.run(program)
    found = (outcome.rounds, outcome.sent, outcome.messages)
    expected = (predicted.rounds, predicted.sent, predicted.messages)
    require(found == expected, f"cost {found}, but {expected} was predicted")
    require(len(set(outcome.rounds)) == 1, f"participants differ in rounds: {outcome.rounds}")
    return outcome


def require(condition: bool, message: str) -> None:
    """Raise `AssertionError` unless the condition holds; unlike `assert`, also in optimised Python."""
    if not condition:
        raise AssertionError(message)


def opened_values(p: Protocol, at: Scope, share: Any, to: Sequence[int]) -> Step[Any]:
    """Shares, or lists of shares, as the values that participants `to` learn."""
    if isinstance(share, list):
        results = []
        for k, part in enumerate(share):
            results.append((yield from opened_values(p, at.child(f"{k}"), part, to)))
        return results
    reveal = p.reveal_bits if isinstance(share, Boolean) else p.reveal
    return (yield from reveal(at, share, to))


def exact(values: Any) -> Exact:
    """The values as Python's integers, in an array of objects."""
    return np.asarray(values).astype(object)


def same(got: Any, expected: Any, within: float | Exact = 0) -> None:
    """`got` has the shape of `expected` and differs by at most `within`."""
    require(isinstance(got, np.ndarray), f"an opened value is a {type(got).__name__}, not an array")
    require(got.shape == np.shape(expected), f"shape {got.shape} instead of {np.shape(expected)}")
    wrong = np.abs(exact(got) - exact(expected)) > within
    where = np.argwhere(np.asarray(wrong, np.bool_))[:3].tolist()
    require(not where, f"{np.count_nonzero(wrong)} of {got.size} values are wrong, the first at {where}")


class ProtocolChecks:
    """Runs of a protocol that is given by a fixture `configuration`."""

    def world(self, configuration: Configuration, outsiders: int = 0) -> World:
        protocol, parties, threshold = configuration
        seed = int.from_bytes(SystemEntropy().bytes(4), "big")
        return World(protocol, parties, threshold, outsiders=outsiders, seed=seed)

    def capacity(self, configuration: Configuration) -> int:
        return protocol_class(configuration[0]).capacity

    def run(self, world: World, operation: Operation, *inputs: Values) -> Any:
        """Inputs from the parties in turn, then the operation; the result is opened to all parties, who agree."""
        parties = range(world.parties)

        def program(p: Protocol, at: Scope) -> Step[Any]:
            shares = []
            for k, values in enumerate(inputs):
                owner = k % p.parties
                mine = values if p.me == owner else None
                shares.append((yield from p.input(at.child(f"input {k}"), owner, values.shape, mine)))
            result = yield from operation(p, at.child("operation"), *shares)
            return (yield from opened_values(p, at.child("result"), result, parties))

        outcome = run_counted(world, program)
        for party in parties:
            require(repr(outcome.values[party]) == repr(outcome.values[0]), f"party {party} opened something else")
        for other in outcome.values[world.parties :]:
            require(nothing(other), "a participant that is no recipient learnt a result")
        return outcome.values[0]

    def elementwise(
        self, configuration: Configuration, operation: Operation, expected: Callable[..., Any], bits: Sequence[int]
    ) -> None:
        """Compare with `expected` on arrays of several shapes; one input per entry of `bits`."""
        for shape in SHAPES:
            world = self.world(configuration)
            inputs = [integers(world.seed, f"{k}", shape, width) for k, width in enumerate(bits)]
            got = self.run(world, operation, *inputs)
            same(got, expected(*map(exact, inputs)))

    def near(self, got: list[Exact], wanted: Any, shift: int) -> None:
        """[result, error in 1/4096 units of the last place]: compared without rounding, in units of 2**-shift."""
        result, error = got
        same(np.asarray(exact(result) * 2**shift), wanted, int(error) * 2**shift // 4096)

    def words(self, configuration: Configuration) -> list[tuple[int, list[Exact]]]:
        seed = self.world(configuration).seed
        return [
            (width, [words_of(seed, f"{label} {width}", shape, width) for label in "abc"])
            for width in WIDTHS
            for shape in ((), (0,), (13,), (2, 3))
        ]


def nothing(opened: Any) -> bool:
    """Whether no value was opened: None, or lists of it."""
    return all(map(nothing, opened)) if isinstance(opened, list) else opened is None


def done(result: Any) -> Step[Any]:
    """A step that has nothing left to do."""
    yield from ()
    return result


def with_error(p: Protocol, step: Step[Any]) -> Step[list[Any]]:
    """The step's result, and the protocol's error of truncation in 1/4096 units."""
    result = yield from step
    return [result, p.public(np.asarray(round(4096 * p.truncation_error)))]


def words_of(seed: int, label: str, shape: tuple[int, ...], width: int) -> Exact:
    """Words of `width` bits in their smallest type; from the seed alone."""
    kind = word_type(width)
    words = integers(seed, label, shape, 62).view(np.uint64)
    mixed = words ^ (words << np.uint64(7)) ^ (words >> np.uint64(30))
    return np.asarray(mixed.astype(kind) & kind.type(2**width - 1))
