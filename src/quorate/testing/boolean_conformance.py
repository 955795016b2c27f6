"""The part of the conformance suite that tests primitives on bits and words of bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quorate.circuits import compare, convert, logic
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Bilinear, Protocol
from quorate.sharing.share import Arithmetic, Boolean
from quorate.sharing.wire import word_type
from quorate.testing.protocol_checks import (
    SHAPES,
    Configuration,
    Exact,
    ProtocolChecks,
    done,
    exact,
    integers,
    nothing,
    require,
    run_counted,
    same,
    words_of,
)

__all__ = ["BooleanConformance"]


class BooleanConformance(ProtocolChecks):
    """What is done to bits, and the ways between numbers and bits."""

    def test_exclusive_or(self, configuration: Configuration) -> None:
        """xor, xor_public, public_bits and not_, for every width."""
        for width, (a, b, _) in self.words(configuration):
            got = self.run(self.world(configuration), lambda p, at, a=a, b=b, width=width: done(_xors(p, a, b, width)))
            same(got, (a ^ a ^ b) ^ word_type(width).type(2**width - 1))

    def test_and(self, configuration: Configuration) -> None:
        """and_ and or_ of words of every width."""
        for width, (a, b, c) in self.words(configuration):

            def operation(p: Protocol, at: Scope, *words: Any, width: int = width) -> Step[Boolean]:
                x, y, z = (p.public_bits(word, width) for word in words)
                both = yield from p.and_(at.child("and"), x, y)
                return (yield from logic.or_(p, at.child("or"), both, z))

            got = self.run(self.world(configuration), lambda p, at, w=(a, b, c), f=operation: f(p, at, *w))
            same(got, (a & b) | c)

    def test_and_open(self, configuration: Configuration) -> None:
        """(a & b) ^ c is opened to chosen participants, outsiders among them, for every width, and to nobody else."""
        parties = configuration[1]
        recipients = [(0,), tuple(range(parties)), (parties - 1, -1), (), (-1,)]
        for k, (width, words) in enumerate(self.words(configuration)):
            self._and_opened(configuration, words, width, plus=k % 2 == 0, to=recipients[k % 5])

    def _and_opened(
        self, configuration: Configuration, words: Sequence[Exact], width: int, *, plus: bool, to: tuple[int, ...]
    ) -> None:
        world = self.world(configuration, outsiders=1)
        recipients = [who % world.size for who in to]

        def program(p: Protocol, at: Scope) -> Step[Any]:
            x, y, z = (p.public_bits(word, width) for word in words)
            return (yield from p.and_open(at.child("open"), x, y, recipients, z if plus else None))

        outcome = run_counted(world, program)
        for participant, opened in enumerate(outcome.values):
            require((participant in recipients) is not nothing(opened), f"participant {participant}, {recipients}")
            if opened is not None:
                same(opened, (words[0] & words[1]) ^ (words[2] if plus else 0))

    def test_bilinear(self, configuration: Configuration) -> None:
        """A product of matrices of words, with exclusive or for addition."""
        for width in (8, 16, 32, 64):
            for a, b, c in ((2, 3, 4), (1, 1, 1), (0, 2, 3)):
                world = self.world(configuration)
                x, y = (words_of(world.seed, label, s, width) for label, s in (("x", (a, b)), ("y", (b, c))))

                def operation(
                    p: Protocol, at: Scope, words: Any = (x, y), width: int = width, shape: Any = (a, c)
                ) -> Step[Boolean]:
                    left, right = (p.public_bits(word, width) for word in words)
                    left = yield from p.and_(at.child("left"), left, left)
                    right = yield from p.and_(at.child("right"), right, right)
                    return (yield from p.bilinear(at.child("both"), left, right, MATRICES, shape))

                same(self.run(world, operation), MATRICES(x, y))

    def test_random(self, configuration: Configuration) -> None:
        """Random values and bits differ between uses, have the right range and no visible bias."""

        def operation(p: Protocol, at: Scope) -> Step[list[Any]]:
            return [
                (yield from p.random(at.child("first"), (400,))),
                (yield from p.random(at.child("second"), (400,))),
                (yield from p.random_bits(at.child("a"), (4, 100))),
                (yield from p.random_bits(at.child("b"), (4, 100))),
                p.public(np.asarray(p.modulus_bits)),
            ]

        first, second, a, b, modulus_bits = self.run(self.world(configuration), operation)
        require(not np.array_equal(first, second) and not np.array_equal(a, b), "two uses gave the same values")
        require(a.shape == (4, 100) and bool(np.isin(a, (0, 1)).all()), "random bits are 0 or 1")
        for fractions in (a, b, *((first >> np.int64(k)) & 1 for k in (0, 20, int(modulus_bits) - 2))):
            require(abs(float(fractions.mean()) - 0.5) < 0.15, "a bit is biased (6 standard deviations)")

    def test_summands(self, configuration: Configuration) -> None:
        """The words add up to the value modulo p or 2**width; `negate_last` turns the last one's sign."""
        for negate_last, width in ((False, 64), (True, 64), (False, 32), (True, 16), (True, 8)):
            world = self.world(configuration)
            x = integers(world.seed, "x", (33,), self.capacity(configuration))

            def operation(
                p: Protocol, at: Scope, x: Arithmetic, negate: bool = negate_last, width: int = width
            ) -> Step[list[Any]]:
                words = yield from p.summands(at.child("words"), x, negate, width)
                require(p.modulus_bits != 64 or words[0].width == width, "words have another width")
                return [p.public(np.asarray(p.modulus_bits)), *words]

            modulus_bits, *words = self.run(world, operation, x)
            modulus = 2**width if modulus_bits == 64 else 2**61 - 1
            signs = [1] * (len(words) - 1) + [-1 if negate_last else 1]
            total = sum(sign * exact(word) for sign, word in zip(signs, words, strict=True))
            same(np.asarray((total - exact(x)) % modulus), np.zeros(33, np.int64))

    def test_bits_to_integers(self, configuration: Configuration) -> None:
        """to_arithmetic of secret bits, and weighted sums of chosen bits of words."""

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[list[Any]]:
            bit = yield from compare.is_negative(p, at.child("sign"), x)
            words = yield from convert.to_bits(p, at.child("bits"), x, 12)
            sign = yield from convert.to_arithmetic(p, at.child("one"), bit)
            flags = convert.bits_at(words, [0, 3, 11])
            return [sign, *(yield from p.weigh(at.child("many"), flags, [[1, 1, 1], [5, 1 << 20, -7]]))]

        for shape in SHAPES:
            world = self.world(configuration)
            x = np.abs(integers(world.seed, "x", shape, 30))
            sign, count, weighted = self.run(world, operation, x)
            same(sign, np.zeros(shape, np.int64))
            chosen = [(x >> k) & 1 for k in (0, 3, 11)]
            same(count, np.asarray(chosen[0] + chosen[1] + chosen[2]))
            same(weighted, np.asarray(5 * chosen[0] + (chosen[1] << 20) - 7 * chosen[2]))

    def test_inject(self, configuration: Configuration) -> None:
        """Numbers where a secret bit is set, else 0."""

        def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[list[Arithmetic]]:
            bit = yield from compare.is_negative(p, at.child("sign"), y)
            public = p.public_bits(np.ones(x.shape, np.uint8))
            return [
                (yield from p.inject(at.child("secret"), bit, x)),
                (yield from p.inject(at.child("public"), public, x)),
            ]

        bits = self.capacity(configuration)
        for shape in SHAPES:
            world = self.world(configuration)
            x, y = (integers(world.seed, label, shape, bits) for label in "xy")
            chosen, everything = self.run(world, operation, x, y)
            same(chosen, np.where(y < 0, x, 0))
            same(everything, x)


def _terms(x: Exact, y: Exact) -> tuple[Exact, Exact]:
    """Of the product of two matrices."""
    shape = (*x.shape, y.shape[1])
    return contiguous(np.broadcast_to(x[:, :, None], shape)), contiguous(np.broadcast_to(y[None], shape))


def _joined(terms: Exact) -> Exact:
    return np.asanyarray(np.bitwise_xor.reduce(terms, axis=1))


MATRICES = Bilinear(lambda x, y: _joined(x[:, :, None] & y[None]), _terms, _joined)


def _xors(p: Protocol, a: Exact, b: Exact, width: int) -> Boolean:
    both = p.xor(p.public_bits(a, width), p.public_bits(a ^ b, width))
    return logic.not_(p, p.xor_public(p.xor(both, both), a ^ a ^ b))
