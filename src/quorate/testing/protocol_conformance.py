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

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.circuits import compare, convert, divide, logic, root, select
from quorate.crypto.entropy import SeededEntropyForTests, SystemEntropy
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.protocols.registry import protocol_class
from quorate.sharing.share import Arithmetic, Boolean, concatenate
from quorate.sharing.wire import word_type
from quorate.testing.world import Outcome, Program, World

__all__ = ["Configuration", "ProtocolConformance", "integers", "run_counted"]

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
    _require(found == expected, f"cost {found}, but {expected} was predicted")
    _require(len(set(outcome.rounds)) == 1, f"participants differ in rounds: {outcome.rounds}")
    return outcome


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _opened(p: Protocol, at: Scope, share: Any, to: Sequence[int]) -> Step[Any]:
    """Shares, or lists of shares, as the values that participants `to` learn."""
    if isinstance(share, list):
        results = []
        for k, part in enumerate(share):
            results.append((yield from _opened(p, at.child(f"{k}"), part, to)))
        return results
    reveal = p.reveal_bits if isinstance(share, Boolean) else p.reveal
    return (yield from reveal(at, share, to))


def _exact(values: Any) -> Exact:
    return np.asarray(values).astype(object)


def _same(got: Any, expected: Any, within: float | Exact = 0) -> None:
    """`got` has the shape of `expected` and differs by at most `within`."""
    _require(isinstance(got, np.ndarray), f"an opened value is a {type(got).__name__}, not an array")
    _require(got.shape == np.shape(expected), f"shape {got.shape} instead of {np.shape(expected)}")
    wrong = np.abs(_exact(got) - _exact(expected)) > within
    where = np.argwhere(np.asarray(wrong, np.bool_))[:3].tolist()
    _require(not where, f"{np.count_nonzero(wrong)} of {got.size} values are wrong, the first at {where}")


class ProtocolConformance:
    """Subclass it and give a fixture `configuration`; see the module."""

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _world(self, configuration: Configuration, outsiders: int = 0) -> World:
        protocol, parties, threshold = configuration
        seed = int.from_bytes(SystemEntropy().bytes(4), "big")
        return World(protocol, parties, threshold, outsiders=outsiders, seed=seed)

    def _capacity(self, configuration: Configuration) -> int:
        return protocol_class(configuration[0]).capacity

    def _run(self, world: World, operation: Operation, *inputs: Values) -> Any:
        """Inputs from the parties in turn, then the operation; the result is opened to all parties, who agree."""
        parties = range(world.parties)

        def program(p: Protocol, at: Scope) -> Step[Any]:
            shares = []
            for k, values in enumerate(inputs):
                owner = k % p.parties
                mine = values if p.me == owner else None
                shares.append((yield from p.input(at.child(f"input {k}"), owner, values.shape, mine)))
            result = yield from operation(p, at.child("operation"), *shares)
            return (yield from _opened(p, at.child("result"), result, parties))

        outcome = run_counted(world, program)
        for party in parties:
            _require(repr(outcome.values[party]) == repr(outcome.values[0]), f"party {party} opened something else")
        for other in outcome.values[world.parties :]:
            _require(_nothing(other), "a participant that is no recipient learnt a result")
        return outcome.values[0]

    def _elementwise(
        self, configuration: Configuration, operation: Operation, expected: Callable[..., Any], bits: Sequence[int]
    ) -> None:
        """Compare with `expected` on arrays of several shapes; one input per entry of `bits`."""
        for shape in SHAPES:
            world = self._world(configuration)
            inputs = [integers(world.seed, f"{k}", shape, width) for k, width in enumerate(bits)]
            got = self._run(world, operation, *inputs)
            _same(got, expected(*map(_exact, inputs)))

    # -- input and output ---------------------------------------------------------------------------------------------

    def test_input_from_every_participant(self, configuration: Configuration) -> None:
        """Parties, the dealer and outsiders can be owners; values up to the capacity come back."""
        bits = self._capacity(configuration)
        for owner in range(self._world(configuration, outsiders=1).size):
            for shape in SHAPES:
                world = self._world(configuration, outsiders=1)
                values = integers(world.seed, "values", shape, bits)

                def program(p: Protocol, at: Scope, owner: int = owner, values: Values = values) -> Step[Any]:
                    x = yield from p.input(at.child("x"), owner, values.shape, values if p.me == owner else None)
                    return (yield from p.reveal(at.child("open"), x, range(p.parties)))

                outcome = run_counted(world, program)
                for party in range(world.parties):
                    _same(outcome.values[party], values)

    def test_reveal_to_chosen_participants(self, configuration: Configuration) -> None:
        """One, some, all, an outsider, nobody: recipients learn the value and no one else does."""
        world = self._world(configuration, outsiders=2)
        outsider, everyone = world.size - 1, tuple(range(world.size))
        values = integers(world.seed, "values", (9,), self._capacity(configuration))
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
                _require((participant in to) is not _nothing(opened), f"participant {participant}, recipients {to}")
                if participant in to:
                    _same(opened[0], values)
                    for width, found in zip(WIDTHS, opened[1:], strict=True):
                        _same(found, words & np.uint64(2**width - 1))

    def test_outsiders_go_through_everything(self, configuration: Configuration) -> None:
        """An outside owner's value is computed on and goes to an outside recipient, who runs the same program."""
        world = self._world(configuration, outsiders=2)
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
        _same(outcome.values[recipient], np.where(x * y < y + 3, x * y, y))
        _require(_nothing(outcome.values[:recipient]), "somebody else learnt the result")

    # -- local operations ---------------------------------------------------------------------------------------------

    def test_local_arithmetic(self, configuration: Configuration) -> None:
        """add, sub, neg, scale, public, add_public, with broadcasting of public operands."""

        def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
            yield from ()
            total = p.sub(p.scale(p.add(x, y), 5), p.neg(p.scale(y, np.asarray(-3))))
            return p.add(p.add_public(total, np.asarray(-7)), p.public(np.full(x.shape, 11)))

        bits = self._capacity(configuration) - 5
        self._elementwise(configuration, operation, lambda x, y: 5 * (x + y) - 3 * y + 4, [bits, bits])

    def test_sum(self, configuration: Configuration) -> None:
        """Sums over each axis, empty ones included."""
        for shape, axis in (((5,), 0), ((4, 3), 0), ((4, 3), 1), ((4, 3), -1), ((0, 3), 0), ((3, 0), 0)):
            world = self._world(configuration)
            x = integers(world.seed, "x", shape, self._capacity(configuration) - 4)
            got = self._run(world, lambda p, at, x, axis=axis: _done(p.sum(x, axis)), x)
            _same(got, x.sum(axis=axis))

    def test_exclusive_or(self, configuration: Configuration) -> None:
        """xor, xor_public, public_bits and not_, for every width."""
        for width, (a, b, _) in self._words(configuration):
            got = self._run(
                self._world(configuration), lambda p, at, a=a, b=b, width=width: _done(_xors(p, a, b, width))
            )
            _same(got, (a ^ a ^ b) ^ word_type(width).type(2**width - 1))

    def _words(self, configuration: Configuration) -> list[tuple[int, list[Exact]]]:
        seed = self._world(configuration).seed
        return [
            (width, [_words_of(seed, f"{label} {width}", shape, width) for label in "abc"])
            for width in WIDTHS
            for shape in ((), (0,), (13,), (2, 3))
        ]

    # -- interactive primitives ---------------------------------------------------------------------------------------

    def test_mul(self, configuration: Configuration) -> None:
        """Products up to the capacity."""
        bits = self._capacity(configuration)
        self._elementwise(
            configuration, lambda p, at, x, y: p.mul(at, x, y), lambda x, y: x * y, [bits // 2, bits // 2]
        )
        self._elementwise(configuration, lambda p, at, x, y: p.mul(at, x, y), lambda x, y: x * y, [bits - 1, 1])

    def test_mul_into_given_share(self, configuration: Configuration) -> None:
        """`out` receives the product."""

        def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
            out = p.empty(x.shape)
            yield from p.mul(at.child("first"), x, y, out=out)
            return (yield from p.mul(at.child("second"), out, y, out=p.empty(x.shape)))

        self._elementwise(configuration, operation, lambda x, y: x * y * y, [18, 18])

    def test_dot_and_matmul(self, configuration: Configuration) -> None:
        """Inner products and matrix products, empty ones included, also with a shift."""
        for a, b, c in ((2, 3, 4), (1, 1, 1), (3, 0, 2), (0, 3, 2), (5, 40, 1)):
            world = self._world(configuration)
            x, y, z = (
                integers(world.seed, label, s, 20) for label, s in zip("xyz", [(a, b), (b, c), (a, b)], strict=True)
            )
            _same(self._run(world, lambda p, at, x, y: p.matmul(at, x, y), x, y), x @ y)
            _same(self._run(world, lambda p, at, x, z: p.dot(at, x, z), x, z), (x * z).sum(axis=-1))
            got = self._run(world, lambda p, at, x, z: _with_error(p, p.dot(at, x, z, 9)), x, z)
            self._near(got, (x * z).sum(axis=-1), 9)
            got = self._run(world, lambda p, at, x, y: _with_error(p, p.matmul(at, x, y, 9)), x, y)
            self._near(got, x @ y, 9)

    def test_truncate(self, configuration: Configuration) -> None:
        """The stated error is never exceeded, for values up to the capacity and every kind of shift."""
        capacity = self._capacity(configuration)
        for shape in (*SHAPES, (2000,)):
            for shift in (1, 2, 16, 31, capacity - 1, capacity):
                world = self._world(configuration)
                x = integers(world.seed, "x", shape, capacity)
                got = self._run(world, lambda p, at, x, shift=shift: _with_error(p, p.truncate(at, x, shift)), x)
                self._near(got, x, shift)

    def test_truncation_offsets(self, configuration: Configuration) -> None:
        """Truncation differs from rounding down by no more than is stated."""
        for shift in (1, 5, 30):
            world = self._world(configuration)
            x = integers(world.seed, "x", (3000,), self._capacity(configuration))

            def operation(p: Protocol, at: Scope, x: Arithmetic, shift: int = shift) -> Step[list[Arithmetic]]:
                offsets = p.public(np.array(p.truncation_offsets))
                return [(yield from p.truncate(at.child("truncate"), x, shift)), offsets]

            got, (low, high) = self._run(world, operation, x)
            difference = got - (x >> np.int64(shift))
            _require(low <= difference.min() and difference.max() <= high, "truncation is off by more than stated")

    def test_mul_with_shift(self, configuration: Configuration) -> None:
        """Fixed-point products within the error of truncation."""
        bits = self._capacity(configuration) // 2
        for shape in (*SHAPES, (500,)):
            world = self._world(configuration)
            x, y = (integers(world.seed, label, shape, bits) for label in "xy")
            got = self._run(world, lambda p, at, x, y: _with_error(p, p.mul(at, x, y, 16)), x, y)
            self._near(got, _exact(x) * _exact(y), 16)

    def _near(self, got: list[Exact], exact: Any, shift: int) -> None:
        """[result, error in 1/4096 units of the last place]: compared without rounding, in units of 2**-shift."""
        result, error = got
        _same(np.asarray(_exact(result) * 2**shift), exact, int(error) * 2**shift // 4096)

    def test_and(self, configuration: Configuration) -> None:
        """and_ and or_ of words of every width."""
        for width, (a, b, c) in self._words(configuration):

            def operation(p: Protocol, at: Scope, *words: Any, width: int = width) -> Step[Boolean]:
                x, y, z = (p.public_bits(word, width) for word in words)
                both = yield from p.and_(at.child("and"), x, y)
                return (yield from logic.or_(p, at.child("or"), both, z))

            got = self._run(self._world(configuration), lambda p, at, w=(a, b, c), f=operation: f(p, at, *w))
            _same(got, (a & b) | c)

    def test_and_open(self, configuration: Configuration) -> None:
        """(a & b) ^ c is opened to chosen participants, outsiders among them, for every width, and to nobody else."""
        for width, (a, b, c) in self._words(configuration):
            for plus in (False, True):
                for to in ((0,), tuple(range(configuration[1])), (configuration[1] - 1, -1), ()):
                    self._and_opened(configuration, (a, b, c), width, plus, to)

    def _and_opened(
        self, configuration: Configuration, words: Sequence[Exact], width: int, plus: bool, to: tuple[int, ...]
    ) -> None:
        world = self._world(configuration, outsiders=1)
        recipients = [who % world.size for who in to]

        def program(p: Protocol, at: Scope) -> Step[Any]:
            x, y, z = (p.public_bits(word, width) for word in words)
            return (yield from p.and_open(at.child("open"), x, y, recipients, z if plus else None))

        outcome = run_counted(world, program)
        for participant, opened in enumerate(outcome.values):
            _require((participant in recipients) is not _nothing(opened), f"participant {participant}, {recipients}")
            if opened is not None:
                _same(opened, (words[0] & words[1]) ^ (words[2] if plus else 0))

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

        first, second, a, b, modulus_bits = self._run(self._world(configuration), operation)
        _require(not np.array_equal(first, second) and not np.array_equal(a, b), "two uses gave the same values")
        _require(a.shape == (4, 100) and bool(np.isin(a, (0, 1)).all()), "random bits are 0 or 1")
        for fractions in (a, b, *((first >> np.int64(k)) & 1 for k in (0, 20, int(modulus_bits) - 2))):
            _require(abs(float(fractions.mean()) - 0.5) < 0.15, "a bit is biased (6 standard deviations)")

    def test_summands(self, configuration: Configuration) -> None:
        """The words add up to the value modulo p or 2**width; `negate_last` turns the last one's sign."""
        for negate_last, width in ((False, 64), (True, 64), (False, 32), (True, 16), (True, 8)):
            world = self._world(configuration)
            x = integers(world.seed, "x", (33,), self._capacity(configuration))

            def operation(
                p: Protocol, at: Scope, x: Arithmetic, negate: bool = negate_last, width: int = width
            ) -> Step[list[Any]]:
                words = yield from p.summands(at.child("words"), x, negate, width)
                _require(p.modulus_bits != 64 or words[0].width == width, "words have another width")
                return [p.public(np.asarray(p.modulus_bits)), *words]

            modulus_bits, *words = self._run(world, operation, x)
            modulus = 2**width if modulus_bits == 64 else 2**61 - 1
            signs = [1] * (len(words) - 1) + [-1 if negate_last else 1]
            total = sum(sign * _exact(word) for sign, word in zip(signs, words, strict=True))
            _same(np.asarray((total - _exact(x)) % modulus), np.zeros(33, np.int64))

    def test_bits_to_integers(self, configuration: Configuration) -> None:
        """to_arithmetic of secret bits, and weighted sums of chosen bits of words."""

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[list[Any]]:
            bit = yield from compare.is_negative(p, at.child("sign"), x)
            words = yield from convert.to_bits(p, at.child("bits"), x, 12)
            sign = yield from convert.to_arithmetic(p, at.child("one"), bit)
            flags = convert.bits_at(words, [0, 3, 11])
            return [sign, *(yield from p.weigh(at.child("many"), flags, [[1, 1, 1], [5, 1 << 20, -7]]))]

        for shape in SHAPES:
            world = self._world(configuration)
            x = np.abs(integers(world.seed, "x", shape, 30))
            sign, count, weighted = self._run(world, operation, x)
            _same(sign, np.zeros(shape, np.int64))
            chosen = [(x >> k) & 1 for k in (0, 3, 11)]
            _same(count, np.asarray(chosen[0] + chosen[1] + chosen[2]))
            _same(weighted, np.asarray(5 * chosen[0] + (chosen[1] << 20) - 7 * chosen[2]))

    def test_inject(self, configuration: Configuration) -> None:
        """Numbers where a secret bit is set, else 0."""

        def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[list[Arithmetic]]:
            bit = yield from compare.is_negative(p, at.child("sign"), y)
            public = p.public_bits(np.ones(x.shape, np.uint8))
            return [
                (yield from p.inject(at.child("secret"), bit, x)),
                (yield from p.inject(at.child("public"), public, x)),
            ]

        bits = self._capacity(configuration)
        for shape in SHAPES:
            world = self._world(configuration)
            x, y = (integers(world.seed, label, shape, bits) for label in "xy")
            chosen, everything = self._run(world, operation, x, y)
            _same(chosen, np.where(y < 0, x, 0))
            _same(everything, x)

    def test_bilinear(self, configuration: Configuration) -> None:
        """A product of matrices of words, with exclusive or for addition."""

        def times(x: Exact, y: Exact) -> Exact:
            return np.bitwise_xor.reduce(x[:, :, None] & y[None], axis=1)

        for width in (8, 16, 32, 64):
            for a, b, c in ((2, 3, 4), (1, 1, 1), (0, 2, 3)):
                world = self._world(configuration)
                x, y = (_words_of(world.seed, label, s, width) for label, s in (("x", (a, b)), ("y", (b, c))))

                def operation(
                    p: Protocol, at: Scope, words: Any = (x, y), width: int = width, shape: Any = (a, c)
                ) -> Step[Boolean]:
                    left, right = (p.public_bits(word, width) for word in words)
                    left = yield from p.and_(at.child("left"), left, left)
                    right = yield from p.and_(at.child("right"), right, right)
                    return (yield from p.bilinear(at.child("both"), left, right, times, shape))

                _same(self._run(world, operation), times(x, y))

    # -- functions of summands ----------------------------------------------------------------------------------------

    def test_known_summands(self, configuration: Configuration) -> None:
        """What is computed from each summand is shared; the summands themselves add up to the value."""

        def function(a: Exact, number: int) -> Exact:
            return np.stack([a.view(np.int64), a.view(np.int64) * 0 + number])

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[list[Arithmetic]]:
            shares = yield from p.known(at.child("known"), x, function, 2)
            _require(len(shares) == p.summand_count >= 2, "as many results as summands")
            total = shares[0]
            for share in shares[1:]:
                total = p.add(total, share)
            numbers = sum(range(p.summand_count))
            return [total, p.public(np.full(x.shape, numbers))]

        for shape in SHAPES:
            world = self._world(configuration)
            x = integers(world.seed, "x", shape, self._capacity(configuration))
            total, numbers = self._run(world, operation, x)
            _same(total, np.stack([x, numbers]))

    def test_known_products(self, configuration: Configuration) -> None:
        """The inner product of what is computed from each of two summands."""

        def function(a: Exact, number: int) -> Exact:
            values = np.stack([a.view(np.int64), a.view(np.int64) * 0 + 1])
            return values if number == 0 else values[::-1].copy()

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[list[Any]]:
            if p.summand_count != 2:
                return [x, x, p.public(np.asarray(0))]
            exact = yield from p.known_dot(at.child("exact"), x, function, 2)
            shifted = yield from _with_error(p, p.known_dot(at.child("shifted"), x, function, 2, 9))
            return [exact, *shifted]

        for shape in SHAPES:
            world = self._world(configuration)
            x = integers(world.seed, "x", shape, self._capacity(configuration))
            exact, shifted, error = self._run(world, operation, x)
            _same(exact, x)
            if error:
                self._near([shifted, error], x, 9)

    # -- shuffling ----------------------------------------------------------------------------------------------------

    def test_shuffle(self, configuration: Configuration) -> None:
        """All columns, of every kind, take the same new order; their rows stay what they were."""
        bits = self._capacity(configuration) - 1
        for rows in (0, 1, 2, 1000):
            world = self._world(configuration)
            numbers = np.arange(rows, dtype=np.int64)
            wide = integers(world.seed, "wide", (rows, 2, 3), bits)
            words = [_words_of(world.seed, f"{width}", (rows,), width) for width in WIDTHS]
            flags = _words_of(world.seed, "flags", (rows, 5), 1)

            def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, b: Any = (words, flags)) -> Step[Any]:
                booleans = [p.public_bits(word, width) for word, width in zip(b[0], WIDTHS, strict=True)]
                columns = [x, p.public_bits(b[1]), y, *booleans]
                return (yield from p.shuffle(at.child("shuffle"), columns))

            order, *others = self._run(world, operation, numbers, wide)
            _same(np.sort(order), numbers)
            _require(rows < 1000 or not np.array_equal(order, numbers), "the order did not change")
            for got, before in zip(others, (flags, wide, *words), strict=True):
                _same(got, before[order])

    def test_shuffles_differ(self, configuration: Configuration) -> None:
        """Two shuffles of one session have different orders; so have two sessions."""

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[list[Any]]:
            first = yield from p.shuffle(at.child("first"), [x])
            second = yield from p.shuffle(at.child("second"), [x])
            return [*first, *second, *(yield from p.shuffle(at.child("nothing"), []))]

        orders = []
        for _ in range(2):
            orders += self._run(self._world(configuration), operation, np.arange(200))
        for k, order in enumerate(orders):
            _require(not any(np.array_equal(order, other) for other in orders[:k]), "an order came twice")

    def test_shuffle_is_uniform(self, configuration: Configuration) -> None:
        """All 24 orders of four rows are equally likely."""
        count = 10 * 24

        def operation(p: Protocol, at: Scope, x: Arithmetic) -> Step[Any]:
            steps = [p.shuffle(at.child(f"{k}"), [x]) for k in range(count)]
            return concatenate([column for (column,) in (yield from parallel(steps))], 0)

        orders = self._run(self._world(configuration), operation, np.arange(4)).reshape(count, 4)
        _, seen = np.unique(orders @ [64, 16, 4, 1], return_counts=True)
        score = float(((seen - 10.0) ** 2 / 10).sum() + 10 * (24 - len(seen)))
        _require(score < 23 + 10 * 46**0.5, f"orders are not equally likely: chi-square {score:.0f}, 23 expected")

    # -- circuits -----------------------------------------------------------------------------------------------------

    def test_comparisons(self, configuration: Configuration) -> None:
        """less and equal are exact for all pairs of values, the edges of the capacity included."""
        bits = self._capacity(configuration)

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
            world = self._world(configuration)
            x, y = (integers(world.seed, label, shape, bits) for label in "xy") if shape is not None else pairs.T.copy()
            y = np.where(integers(world.seed, "same", y.shape, 1) == 1, x, y)
            for got, expected in zip(self._run(world, operation, x, y), (x < y, x == y, x < 0, y == 0), strict=True):
                _same(got, expected.astype(np.int64))

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

            world = self._world(configuration)
            difference = integers(world.seed, "difference", (80,), bits)
            y = integers(world.seed, "y", (80,), self._capacity(configuration) - 1) // 2
            x = y + difference
            expected = (x < y, x == y, x < y, x == y)
            for got, wanted in zip(self._run(world, operation, x, y), expected, strict=True):
                _same(got, wanted.astype(np.int64))

    def test_select(self, configuration: Configuration) -> None:
        """select gives one of two values, up to half the capacity."""

        def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
            smaller = yield from compare.less(p, at.child("less"), x, y)
            return (yield from select.select(p, at.child("select"), smaller, x, y))

        bits = self._capacity(configuration) - 1
        self._elementwise(configuration, operation, np.minimum, [bits, bits])

    def test_to_bits(self, configuration: Configuration) -> None:
        """The bits of values that are not negative, for several widths."""
        for width in (1, 5, 8, 17, 32, 40, self._capacity(configuration)):
            world = self._world(configuration)
            x = np.abs(integers(world.seed, "x", (19,), width))
            got = self._run(world, lambda p, at, x, width=width: convert.to_bits(p, at, x, width), x)
            _same(got, x)

    def test_divide(self, configuration: Configuration) -> None:
        """Within the stated error; 0 for a divisor of 0, within twice that."""
        for shape in ((), (0,), (67,)):
            world = self._world(configuration)
            x, y = integers(world.seed, "x", shape, 20), np.abs(integers(world.seed, "y", shape, 12))

            def operation(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[list[Any]]:
                error = p.public(np.asarray(round(4096 * divide.worst_error(p))))
                return [
                    (yield from divide.divide(p, at, x, y, divisor_bits=12, quotient_bits=20, scale=8)),
                    error,
                ]

            result, error = self._run(world, operation, x, y)
            divisor, zero = np.maximum(y, 1), y == 0
            expected = np.where(zero, 0, x.astype(np.float64) * 256 / divisor)
            allowed = np.where(zero, 2, 1) * int(error) / 4096
            _require(bool((np.abs(result - expected) <= allowed).all()), "a quotient is beyond the stated error")

    def test_sqrt(self, configuration: Configuration) -> None:
        """Within the stated error."""
        for shape in ((), (0,), (67,)):
            world = self._world(configuration)
            x = np.abs(integers(world.seed, "x", shape, 40))
            got, error = self._run(
                world, lambda p, at, x: _with_error(p, root.sqrt(p, at, x, bits=40, shift_in=7, scale=11)), x
            )
            exact = np.sqrt(x / 2.0**7) * 2.0**11
            allowed = int(error) / 4096 * (1 + root.RELATIVE_ERROR * exact)
            _require(bool((np.abs(got - exact) <= allowed).all()), "a square root is beyond the stated error")


def _nothing(opened: Any) -> bool:
    """Whether no value was opened: None, or lists of it."""
    return all(map(_nothing, opened)) if isinstance(opened, list) else opened is None


def _done(result: Any) -> Step[Any]:
    yield from ()
    return result


def _with_error(p: Protocol, step: Step[Any]) -> Step[list[Any]]:
    """The step's result, and the protocol's error of truncation in 1/4096 units."""
    result = yield from step
    return [result, p.public(np.asarray(round(4096 * p.truncation_error)))]


def _xors(p: Protocol, a: Exact, b: Exact, width: int) -> Boolean:
    both = p.xor(p.public_bits(a, width), p.public_bits(a ^ b, width))
    return logic.not_(p, p.xor_public(p.xor(both, both), a ^ a ^ b))


def _words_of(seed: int, label: str, shape: tuple[int, ...], width: int) -> Exact:
    kind = word_type(width)
    words = integers(seed, label, shape, 62).view(np.uint64)
    mixed = words ^ (words << np.uint64(7)) ^ (words >> np.uint64(30))
    return np.asarray(mixed.astype(kind) & kind.type(2**width - 1))
