"""The tests that every protocol has to pass. Run them on your own:

    from quorate.testing.protocol_conformance import ProtocolConformance

    class TestMine(ProtocolConformance):
        @pytest.fixture(params=[("mine", 3, 1)])        # protocol, parties, threshold
        def configuration(self, request):
            return request.param

The protocol must be known to `quorate.protocols.registry`. Every primitive and circuit is compared with Python's
integers; every run must cost what counting predicted, take as many rounds at every participant, and leave no message.
Inputs and randomness come from a seed that is printed: pytest shows it when a test fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.circuits import compare, convert, divide, root, select
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, concatenate
from quorate.testing.arithmetic_conformance import ArithmeticConformance
from quorate.testing.boolean_conformance import BooleanConformance
from quorate.testing.protocol_checks import (
    SHAPES,
    WIDTHS,
    Configuration,
    integers,
    require,
    run_counted,
    same,
    with_error,
    words_of,
)

__all__ = ["Configuration", "ProtocolConformance", "integers", "run_counted"]


class ProtocolConformance(ArithmeticConformance, BooleanConformance):
    """Subclass it and give a fixture `configuration`; see the module."""

    # -- shuffling ----------------------------------------------------------------------------------------------------

    def test_shuffle(self, configuration: Configuration) -> None:
        """All columns, of every kind, take the same new order; their rows stay what they were."""
        bits = self.capacity(configuration) - 1
        for rows in (0, 1, 2, 1000):
            world = self.world(configuration)
            numbers = np.arange(rows, dtype=np.int64)
            wide = integers(world.seed, "wide", (rows, 2, 3), bits)
            words = [words_of(world.seed, f"{width}", (rows,), width) for width in WIDTHS]
            flags = words_of(world.seed, "flags", (rows, 5), 1)

            def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, b: Any = (words, flags)) -> Step[Any]:
                booleans = [p.public_bits(word, width) for word, width in zip(b[0], WIDTHS, strict=True)]
                columns = [x, p.public_bits(b[1]), y, *booleans]
                return (yield from p.shuffle(at.child("shuffle"), columns))

            order, *others = self.run(world, operation, numbers, wide)
            same(np.sort(order), numbers)
            require(rows < 1000 or not np.array_equal(order, numbers), "the order did not change")
            for got, before in zip(others, (flags, wide, *words), strict=True):
                same(got, before[order])

    def test_shuffles_differ(self, configuration: Configuration) -> None:
        """Two shuffles of one session have different orders; so have two sessions."""

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[list[Any]]:
            first = yield from p.shuffle(at.child("first"), [x])
            second = yield from p.shuffle(at.child("second"), [x])
            return [*first, *second, *(yield from p.shuffle(at.child("nothing"), []))]

        orders = []
        for _ in range(2):
            orders += self.run(self.world(configuration), operation, np.arange(200))
        for k, order in enumerate(orders):
            require(not any(np.array_equal(order, other) for other in orders[:k]), "an order came twice")

    def test_shuffle_is_uniform(self, configuration: Configuration) -> None:
        """All 24 orders of four rows are equally likely."""
        count = 10 * 24

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[Any]:
            steps = [p.shuffle(at.child(f"{k}"), [x]) for k in range(count)]
            return concatenate([column for (column,) in (yield from parallel(steps))], 0)

        orders = self.run(self.world(configuration), operation, np.arange(4)).reshape(count, 4)
        _, seen = np.unique(orders @ [64, 16, 4, 1], return_counts=True)
        score = float(((seen - 10.0) ** 2 / 10).sum() + 10 * (24 - len(seen)))
        require(score < 23 + 10 * 46**0.5, f"orders are not equally likely: chi-square {score:.0f}, 23 expected")

    # -- circuits -----------------------------------------------------------------------------------------------------

    def test_comparisons(self, configuration: Configuration) -> None:
        """less and equal are exact for all pairs of values, the edges of the capacity included."""
        bits = self.capacity(configuration)

        def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[list[Boolean]]:
            return [
                (yield from compare.less(p, at.child("less"), x, y)),
                (yield from compare.equal(p, at.child("equal"), x, y)),
                (yield from compare.is_negative(p, at.child("negative"), x)),
                (yield from compare.is_zero(p, at.child("zero"), y)),
            ]

        limit = 2**bits - 1
        edges = [0, 1, -1, limit, -limit, limit - 1, 1 - limit, 2 ** (bits - 1), -(2 ** (bits - 1)), 2**32]
        pairs = np.array([(a, b) for a in edges for b in edges], np.int64)
        for shape in (*SHAPES, None):
            world = self.world(configuration)
            x, y = (integers(world.seed, label, shape, bits) for label in "xy") if shape is not None else pairs.T.copy()
            y = np.where(integers(world.seed, "same", y.shape, 1) == 1, x, y)
            for got, expected in zip(self.run(world, operation, x, y), (x < y, x == y, x < 0, y == 0), strict=True):
                same(got, expected.astype(np.int64))

    def test_comparisons_of_narrow_values(self, configuration: Configuration) -> None:
        """With a promise of few bits, up to the very edge of it."""
        for bits in (1, 2, 7, 8, 15, 16, 31, 32):

            def operation(
                p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, bits: int = bits
            ) -> Step[list[Boolean]]:
                return [
                    (yield from compare.less(p, at.child("less"), x, y, bits)),
                    (yield from compare.equal(p, at.child("equal"), x, y, bits)),
                    (yield from compare.is_negative(p, at.child("negative"), p.sub(x, y), bits)),
                    (yield from compare.is_zero(p, at.child("zero"), p.sub(x, y), bits)),
                ]

            world = self.world(configuration)
            difference = integers(world.seed, "difference", (80,), bits)
            y = integers(world.seed, "y", (80,), self.capacity(configuration) - 1) // 2
            x = y + difference
            expected = (x < y, x == y, x < y, x == y)
            for got, wanted in zip(self.run(world, operation, x, y), expected, strict=True):
                same(got, wanted.astype(np.int64))

    def test_select(self, configuration: Configuration) -> None:
        """select gives one of two values, up to half the capacity."""

        def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
            smaller = yield from compare.less(p, at.child("less"), x, y)
            return (yield from select.select(p, at.child("select"), smaller, x, y))

        bits = self.capacity(configuration) - 1
        self.elementwise(configuration, operation, np.minimum, [bits, bits])

    def test_to_bits(self, configuration: Configuration) -> None:
        """The bits of values that are not negative, for several widths."""
        for width in (1, 5, 8, 17, 32, 40, self.capacity(configuration)):
            world = self.world(configuration)
            x = np.abs(integers(world.seed, "x", (19,), width))
            got = self.run(world, lambda p, at, x, width=width: convert.to_bits(p, at, x, width), x)
            same(got, x)

    def test_divide(self, configuration: Configuration) -> None:
        """Within the stated error; 0 for a divisor of 0, within twice that."""
        for shape in ((), (0,), (67,)):
            world = self.world(configuration)
            x, y = integers(world.seed, "x", shape, 20), np.abs(integers(world.seed, "y", shape, 12))

            def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[list[Any]]:
                error = p.public(np.asarray(round(4096 * divide.worst_error(p))))
                return [
                    (yield from divide.divide(p, at, x, y, divisor_bits=12, quotient_bits=20, scale=8)),
                    error,
                ]

            result, error = self.run(world, operation, x, y)
            divisor, zero = np.maximum(y, 1), y == 0
            expected = np.where(zero, 0, x.astype(np.float64) * 256 / divisor)
            allowed = np.where(zero, 2, 1) * int(error) / 4096
            require(bool((np.abs(result - expected) <= allowed).all()), "a quotient is beyond the stated error")

    def test_sqrt(self, configuration: Configuration) -> None:
        """Within the stated error."""
        for shape in ((), (0,), (67,)):
            world = self.world(configuration)
            x = np.abs(integers(world.seed, "x", shape, 40))
            got, error = self.run(
                world, lambda p, at, x: with_error(p, root.sqrt(p, at, x, bits=40, shift_in=7, scale=11)), x
            )
            exact = np.sqrt(x / 2.0**7) * 2.0**11
            allowed = int(error) / 4096 * (1 + root.RELATIVE_ERROR * exact)
            require(bool((np.abs(got - exact) <= allowed).all()), "a square root is beyond the stated error")
