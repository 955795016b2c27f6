"""The part of the conformance suite that tests primitives on numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.circuits import compare, select
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.protocols.base import Function, Protocol
from quorate.sharing.share import Arithmetic
from quorate.sharing.wire import word_type
from quorate.testing.protocol_checks import (
    SHAPES,
    WIDTHS,
    Configuration,
    Exact,
    ProtocolChecks,
    Values,
    done,
    exact,
    integers,
    nothing,
    require,
    run_counted,
    same,
    with_error,
)

__all__ = ["ArithmeticConformance"]


class ArithmeticConformance(ProtocolChecks):
    """Input, output, and what is done to numbers."""

    # -- input and output ---------------------------------------------------------------------------------------------

    def test_input_from_every_participant(self, configuration: Configuration) -> None:
        """Parties, the dealer and outsiders can be owners; values up to the capacity come back."""
        bits = self.capacity(configuration)
        for owner in range(self.world(configuration, outsiders=1).size):
            for shape in SHAPES:
                world = self.world(configuration, outsiders=1)
                values = integers(world.seed, "values", shape, bits)

                def program(p: Protocol, at: Scope, owner: int = owner, values: Values = values) -> Step[Any]:
                    x = yield from p.input(at.child("x"), owner, values.shape, values if p.me == owner else None)
                    return (yield from p.reveal(at.child("open"), x, range(p.parties)))

                outcome = run_counted(world, program)
                for party in range(world.parties):
                    same(outcome.values[party], values)

    def test_reveal_to_chosen_participants(self, configuration: Configuration) -> None:
        """One, some, all, an outsider, nobody: recipients learn the value and no one else does."""
        world = self.world(configuration, outsiders=2)
        outsider, everyone = world.size - 1, tuple(range(world.size))
        values = integers(world.seed, "values", (9,), self.capacity(configuration))
        words = values.view(np.uint64)
        groups = [(), *((k,) for k in everyone), (0, outsider), (outsider - 1, outsider), everyone]
        for to in groups:

            def program(p: Protocol, at: Scope, to: tuple[int, ...] = to) -> Step[Any]:
                x = yield from p.input(at.child("x"), 0, values.shape, values if p.me == 0 else None)
                opened: list[Any] = [(yield from p.reveal(at.child("open"), x, to))]
                for width in WIDTHS:
                    mask = word_type(width).type(2**width - 1)
                    b = p.public_bits(words.astype(word_type(width)) & mask, width)
                    b = yield from p.and_(at.child(f"and {width}"), b, b)
                    opened.append((yield from p.reveal_bits(at.child(f"bits {width}"), b, to)))
                return opened

            outcome = run_counted(world, program)
            for participant, opened in enumerate(outcome.values):
                require((participant in to) is not nothing(opened), f"participant {participant}, recipients {to}")
                if participant in to:
                    same(opened[0], values)
                    for width, found in zip(WIDTHS, opened[1:], strict=True):
                        same(found, words & np.uint64(2**width - 1))

    def test_outsiders_go_through_everything(self, configuration: Configuration) -> None:
        """An outside owner's value is computed on and goes to an outside recipient, who runs the same program."""
        world = self.world(configuration, outsiders=2)
        owner, recipient = world.size - 2, world.size - 1
        x, y = (integers(world.seed, label, (8,), 20) for label in "xy")

        def program(p: Protocol, at: Scope) -> Step[Any]:
            a = yield from p.input(at.child("a"), owner, x.shape, x if p.me == owner else None)
            b = yield from p.input(at.child("b"), 0, y.shape, y if p.me == 0 else None)
            both = yield from p.mul(at.child("mul"), a, b)
            smaller = yield from compare.less(p, at.child("less"), both, p.add_public(b, np.asarray(3)))
            chosen = yield from select.select(p, at.child("select"), smaller, both, b)
            return (yield from p.reveal(at.child("open"), chosen, [recipient]))

        outcome = run_counted(world, program)
        same(outcome.values[recipient], np.where(x * y < y + 3, x * y, y))
        require(nothing(outcome.values[:recipient]), "somebody else learnt the result")

    # -- local operations ---------------------------------------------------------------------------------------------

    def test_local_arithmetic(self, configuration: Configuration) -> None:
        """add, sub, neg, scale, public, add_public, with broadcasting of public operands."""

        def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
            yield from ()
            total = p.sub(p.scale(p.add(x, y), 5), p.neg(p.scale(y, np.asarray(-3))))
            return p.add(p.add_public(total, np.asarray(-7)), p.public(np.full(x.shape, 11)))

        bits = self.capacity(configuration) - 5
        self.elementwise(configuration, operation, lambda x, y: 5 * (x + y) - 3 * y + 4, [bits, bits])

    def test_sum(self, configuration: Configuration) -> None:
        """Sums over each axis, empty ones included, and running sums of rows."""
        for shape, axis in (((5,), 0), ((4, 3), 0), ((4, 3), 1), ((4, 3), -1), ((0, 3), 0), ((3, 0), 0)):
            world = self.world(configuration)
            x = integers(world.seed, "x", shape, self.capacity(configuration) - 4)
            got, running = self.run(world, lambda p, at, x, axis=axis: done([p.sum(x, axis), p.running_sums(x)]), x)
            same(got, x.sum(axis=axis))
            same(running, x.cumsum(axis=0))

    # -- interactive primitives ---------------------------------------------------------------------------------------

    def test_mul(self, configuration: Configuration) -> None:
        """Products up to the capacity."""
        bits = self.capacity(configuration)
        self.elementwise(configuration, lambda p, at, x, y: p.mul(at, x, y), lambda x, y: x * y, [bits // 2, bits // 2])
        self.elementwise(configuration, lambda p, at, x, y: p.mul(at, x, y), lambda x, y: x * y, [bits - 1, 1])

    def test_mul_into_given_share(self, configuration: Configuration) -> None:
        """`out` receives the product."""

        def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
            out = p.empty(x.shape)
            yield from p.mul(at.child("first"), x, y, out=out)
            return (yield from p.mul(at.child("second"), out, y, out=p.empty(x.shape)))

        self.elementwise(configuration, operation, lambda x, y: x * y * y, [18, 18])

    def test_dot_and_matmul(self, configuration: Configuration) -> None:
        """Inner products and matrix products, empty ones included, also with a shift."""
        for a, b, c in ((2, 3, 4), (1, 1, 1), (3, 0, 2), (0, 3, 2), (5, 40, 1)):
            world = self.world(configuration)
            x, y, z = (
                integers(world.seed, label, s, 20) for label, s in zip("xyz", [(a, b), (b, c), (a, b)], strict=True)
            )
            same(self.run(world, lambda p, at, x, y: p.matmul(at, x, y), x, y), x @ y)
            same(self.run(world, lambda p, at, x, z: p.dot(at, x, z), x, z), (x * z).sum(axis=-1))
            got = self.run(world, lambda p, at, x, z: with_error(p, p.dot(at, x, z, 9)), x, z)
            self.near(got, (x * z).sum(axis=-1), 9)
            got = self.run(world, lambda p, at, x, y: with_error(p, p.matmul(at, x, y, 9)), x, y)
            self.near(got, x @ y, 9)

    def test_truncate(self, configuration: Configuration) -> None:
        """The stated error is never exceeded, for values up to the capacity and every kind of shift."""
        capacity = self.capacity(configuration)
        for shape in (*SHAPES, (2000,)):
            for shift in (1, 2, 16, 31, capacity - 1, capacity):
                world = self.world(configuration)
                x = integers(world.seed, "x", shape, capacity)
                if shape == (2, 3):
                    x[0] = -(1 << capacity)
                got = self.run(world, lambda p, at, x, shift=shift: with_error(p, p.truncate(at, x, shift)), x)
                self.near(got, x, shift)

    def test_truncation_offsets(self, configuration: Configuration) -> None:
        """Truncation differs from rounding down by no more than is stated."""
        for shift in (1, 5, 30):
            world = self.world(configuration)
            x = integers(world.seed, "x", (3000,), self.capacity(configuration))

            def operation(p: Protocol, at: Scope, x: Arithmetic, shift: int = shift) -> Step[list[Arithmetic]]:
                offsets = p.public(np.array(p.truncation_offsets))
                return [(yield from p.truncate(at.child("truncate"), x, shift)), offsets]

            got, (low, high) = self.run(world, operation, x)
            difference = got - (x >> np.int64(shift))
            require(low <= difference.min() and difference.max() <= high, "truncation is off by more than stated")

    def test_mul_with_shift(self, configuration: Configuration) -> None:
        """Fixed-point products within the error of truncation."""
        bits = self.capacity(configuration) // 2
        for shape in (*SHAPES, (500,)):
            world = self.world(configuration)
            x, y = (integers(world.seed, label, shape, bits) for label in "xy")
            got = self.run(world, lambda p, at, x, y: with_error(p, p.mul(at, x, y, 16)), x, y)
            self.near(got, exact(x) * exact(y), 16)

    # -- functions of summands ----------------------------------------------------------------------------------------

    def test_known_summands(self, configuration: Configuration) -> None:
        """What is computed from each summand is shared; the summands themselves add up to the value.

        Protocols without (`summand_count` 0) refuse.
        """

        def function(a: Exact, number: int) -> Exact:
            return np.stack([a.view(np.int64), a.view(np.int64) * 0 + number])

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[list[Arithmetic]]:
            if not p.summand_count:
                return (yield from _refused(p, at, x, function))
            shares = yield from p.known(at.child("known"), x, function, 2)
            require(len(shares) == p.summand_count >= 2, "as many results as summands")
            total = shares[0]
            for share in shares[1:]:
                total = p.add(total, share)
            numbers = sum(range(p.summand_count))
            return [total, p.public(np.full(x.shape, numbers))]

        for shape in SHAPES:
            world = self.world(configuration)
            x = integers(world.seed, "x", shape, self.capacity(configuration))
            opened = self.run(world, operation, x)
            if opened:
                total, numbers = opened
                same(total, np.stack([x, numbers]))

    def test_known_products(self, configuration: Configuration) -> None:
        """The inner product of what is computed from each of two summands."""

        def function(a: Exact, number: int) -> Exact:
            values = np.stack([a.view(np.int64), a.view(np.int64) * 0 + 1])
            return values if number == 0 else values[::-1].copy()

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[list[Any]]:
            if p.summand_count != 2:
                return [x, x, p.public(np.asarray(0))]
            exact = yield from p.known_dot(at.child("exact"), x, function, 2)
            shifted = yield from with_error(p, p.known_dot(at.child("shifted"), x, function, 2, 9))
            return [exact, *shifted]

        for shape in SHAPES:
            world = self.world(configuration)
            x = integers(world.seed, "x", shape, self.capacity(configuration))
            exact, shifted, error = self.run(world, operation, x)
            same(exact, x)
            if error:
                self.near([shifted, error], x, 9)


def _refused(p: Protocol, at: Scope, x: Arithmetic, function: Function) -> Step[list[Arithmetic]]:
    """No results, if functions of summands are refused."""
    try:
        yield from p.known(at.child("known"), x, function, 2)
    except InternalError:
        return []
    raise AssertionError("functions of summands were computed by a protocol that says that it has none")
