"""What every source of correlated randomness between two parties has to do: run these checks on your own source.

def test_my_source():
    check_cots(MyCot)
    check_voles(MyVole, modulus)

A source is a class with the constructor, `setup` and `extend` of `quorate.preprocessing.cot.Cot`, or of
`quorate.preprocessing.vole.FieldVole`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quorate.crypto.entropy import SeededEntropyForTests
from quorate.engine.count import count
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.engine.private import SEED_BYTES
from quorate.engine.session import Session
from quorate.engine.simulate import Interceptor, simulate
from quorate.errors import InternalError

__all__ = ["SIZES", "Source", "check_cots", "check_voles", "integers", "run_source", "source_programs"]

Source = Callable[[Session, int, int], Any]
"""(session, sender, receiver) -> the source of one ordered pair at this participant."""

SIZES = (0, 1, 2, 63, 64, 65, 1000)
_PARTICIPANTS = 3  # the last one belongs to no pair


@dataclass(frozen=True)
class Made:
    """What came out at one participant: (delta, batches) for the pairs 0 -> 1 and 1 -> 0."""

    deltas: list[Any]
    batches: list[list[Any]]


def run_source(
    source: Source,
    sizes: Sequence[int] = SIZES,
    *,
    security: int = 40,
    seed: int = 1,
    intercept: Interceptor | None = None,
) -> list[Party]:
    """Run both directions between participants 0 and 1 side by side, a third one looking on; the parties' results are
    `Made`. What was counted beforehand must be what it took.

    Raises:
        InternalError: rounds, bytes or messages differ from those counted.
        QuorateError: whatever a participant raises.
    """

    parties = simulate(source_programs(source, sizes, security=security, seed=seed), intercept)
    for me, party in enumerate(parties):
        predicted = count(_program(source, _session(me, security, seed, counting=True), sizes))
        if (party.sent, party.rounds) != (predicted.sent, predicted.rounds):
            raise InternalError(
                f"participant {me} took {party.rounds} rounds and bytes {party.sent}, not {predicted.rounds} and "
                f"{predicted.sent}"
            )
    return parties


def source_programs(
    source: Source, sizes: Sequence[int] = SIZES, *, security: int = 40, seed: int = 1
) -> list[Step[Made]]:
    """What every participant of `run_source` runs."""
    return [_program(source, _session(me, security, seed), sizes) for me in range(_PARTICIPANTS)]


def _session(me: int, security: int, seed: int, *, counting: bool = False) -> Session:
    names = tuple(f"participant {number}" for number in range(_PARTICIPANTS))
    drawn = SeededEntropyForTests(seed, f"source {me}").bytes(SEED_BYTES)
    return Session(me, _PARTICIPANTS, names, None, counting, drawn, ident=b"conformance", security=security)


def _program(source: Source, session: Session, sizes: Sequence[int]) -> Step[Made]:
    root = Scope.root()
    pairs = [source(session, 0, 1), source(session, 1, 0)]
    yield from parallel([pair.setup(root.child(f"setup {number}")) for number, pair in enumerate(pairs)])
    batches: list[list[Any]] = [[], []]
    for turn, size in enumerate(sizes):
        steps = [pair.extend(root.child(f"extend {number} {turn}"), size) for number, pair in enumerate(pairs)]
        for kept, batch in zip(batches, (yield from parallel(steps)), strict=True):
            kept.append(batch)
    return Made([pair.delta for pair in pairs], batches)


def check_cots(source: Source, sizes: Sequence[int] = SIZES, *, security: int = 40, seed: int = 1) -> None:
    """t = q ^ (bit * delta) for every OT, bits are as often 0 as 1 would have it, no block comes twice.

    Raises:
        AssertionError: something is wrong with what came out.
        InternalError: the cost is other than counted.
    """
    made = [party.result for party in run_source(source, sizes, security=security, seed=seed)]
    for pair in (0, 1):
        sender, receiver = made[pair], made[1 - pair]
        rows, chosen = [], []
        for size, sent, got in zip(sizes, sender.batches[pair], receiver.batches[pair], strict=True):
            _expect(sent.q.shape == got.t.shape == (size, 2) and got.bits.shape == (size,), "shapes")
            _expect(bool(np.all(got.bits < 2)), "bits that are none")
            flipped = got.bits.astype(np.uint64)[:, None] * sender.deltas[pair]
            _expect(bool(np.array_equal(got.t, sent.q ^ flipped)), "the correlation does not hold")
            rows.append(sent.q)
            chosen.append(got.bits)
        _check_spread(np.concatenate(rows), np.concatenate(chosen))


def check_voles(
    source: Source, modulus: int, sizes: Sequence[int] = SIZES, *, security: int = 40, seed: int = 1
) -> None:
    """m = k + u delta for every element, all of them reduced, and no u twice.

    Raises:
        AssertionError: something is wrong with what came out.
        InternalError: the cost is other than counted.
    """
    made = [party.result for party in run_source(source, sizes, security=security, seed=seed)]
    for pair in (0, 1):
        delta = int(made[pair].deltas[pair][0])
        factors: list[int] = []
        for size, sent, got in zip(sizes, made[pair].batches[pair], made[1 - pair].batches[pair], strict=True):
            k, u, m = integers(sent.k), integers(got.u), integers(got.m)
            _expect(len(k) == len(u) == len(m) == size, "sizes")
            _expect(all(value < modulus for value in (*k, *u, *m)), "values that are not reduced")
            _expect(
                [(x + y * delta) % modulus for x, y in zip(k, u, strict=True)] == m, "the correlation does not hold"
            )
            factors += u
        _expect(len(set(factors)) == len(factors), "the same number twice")
        middle = sum(value > modulus // 2 for value in factors)
        _expect(abs(2 * middle - len(factors)) <= 8 * len(factors) ** 0.5, "numbers that are not uniform")


def integers(values: Any) -> list[int]:
    """uint64 (count,), or rows (low, high), as Python integers."""
    rows = values.tolist()
    return [low | high << 64 for low, high in rows] if values.ndim == 2 else rows


def _check_spread(rows: Any, bits: Any) -> None:
    _expect(len(np.unique(rows[:, 0])) == len(rows), "the same block twice")
    ones = np.unpackbits(rows.view(np.uint8)).sum(dtype=np.int64)
    for number, of in ((int(bits.sum(dtype=np.int64)), bits.size), (int(ones), rows.size * 64)):
        _expect(abs(2 * number - of) <= 8 * of**0.5, "bits that are not uniform")  # eight standard deviations


def _expect(holds: bool, what: str) -> None:
    """Raises AssertionError, also where Python leaves out assertions."""
    if not holds:
        raise AssertionError(what)
