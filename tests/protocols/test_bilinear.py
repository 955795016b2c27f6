"""Products of words by one and of longer operands: the same results as the products themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quorate.circuits import lookup
from quorate.circuits.aes_products import PRODUCT4, PRODUCT16, SCALE4, SCALE16
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.protocols.base import Bilinear, Protocol, through_ands
from quorate.testing.boolean_conformance import MATRICES
from quorate.testing.protocol_checks import run_counted, words_of
from quorate.testing.world import World

PRODUCTS = [
    (PRODUCT4, (2, 5, 3), (2, 5, 3), 3),
    (PRODUCT16, (4, 16, 9), (4, 16, 9), 9),
    (SCALE4, (4, 16, 2), (2, 16, 2), 6),
    (SCALE16, (8, 16, 70), (4, 16, 70), 18),
    (lookup.COMMON, (5, 7), (3, 7), 5),
    (MATRICES, (4, 3), (3, 2), 4),
    (PRODUCT16, (4, 0), (4, 0), 9),
]


def _words(label: str, shape: tuple[int, ...]) -> Any:
    return words_of(7, label, shape, 8)


@pytest.mark.parametrize(("times", "a", "b", "ands"), PRODUCTS)
def test_and_of_longer_operands(times: Bilinear, a: tuple[int, ...], b: tuple[int, ...], ands: int) -> None:
    """The and of the operands, joined, is the product; they are linear and as many as stated."""
    x, y, z = _words("x", a), _words("y", b), _words("z", a)
    left, right = times.operands(x, y)
    assert left.shape == right.shape
    assert left.shape[0] == ands
    assert np.array_equal(times.join(left & right), times(x, y))
    assert np.array_equal(times.operands(x ^ z, y)[0], left ^ times.operands(z, y)[0])
    assert np.array_equal(times.operands(z, y)[1], right)


@pytest.mark.parametrize("configuration", [("clear", 1, 0), ("rep3", 3, 1), ("shamir", 5, 2), ("semi2k", 2, 1)])
@pytest.mark.parametrize("case", [1, 4])
def test_on_protocols(configuration: tuple[str, int, int], case: int) -> None:
    times, a, b, _ = PRODUCTS[case]
    x, y = _words("x", a), _words("y", b)
    expected = times(x, y)

    def program(p: Protocol, at: Scope) -> Step[Any]:
        left, right = p.public_bits(x, 8), p.public_bits(y, 8)
        product = yield from through_ands(p, at.child("product"), left, right, times, expected.shape)
        return (yield from p.reveal_bits(at.child("open"), product, [0]))

    assert np.array_equal(run_counted(World(*configuration), program).values[0], expected)


def test_another_shape_is_refused() -> None:
    def program(p: Protocol, at: Scope) -> Step[Any]:
        words = p.public_bits(_words("x", (4, 2)), 8)
        return (yield from through_ands(p, at, words, words, PRODUCT16, (4, 3)))

    with pytest.raises(InternalError, match=r"\(4, 2\) instead of \(4, 3\)"):
        World("clear", 1).run(program)
