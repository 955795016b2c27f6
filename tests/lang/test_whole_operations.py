"""Exact rounding as operations of plans: exact on every protocol, the same each time, within stated ranges."""

import numpy as np
import pytest

import quorate
from quorate.errors import UserError
from quorate.sharing.dtype import fixed
from quorate.testing.operation_conformance import Operand, check_operation

VALUES = [1.5, -1.5, 2.5, 0.25, -0.25, 0.0, 7.0, -7.75, 100.125]
CONFIGURATIONS = (("clear", 1, 0), ("rep3", 3, 1), ("shamir", 3, 1), ("semi2k", 2, 1))


@pytest.mark.parametrize(
    ("kind", "oracle"), [("floor", np.floor), ("ceil", np.ceil), ("trunc", np.trunc), ("round", np.round)]
)
def test_to_whole_numbers(kind, oracle):
    check_operation(kind, [Operand(VALUES, fixed(4))], oracle=oracle, configurations=CONFIGURATIONS)


def test_to_a_coarser_scale():
    check_operation(
        "rescale_floor",
        [Operand(VALUES, fixed(6))],
        {"scale": 1},
        oracle=lambda x: np.floor(x * 2) / 2,
        configurations=CONFIGURATIONS,
    )


@pytest.mark.parametrize("protocol", ["rep3", "shamir"])
def test_rounding_down_is_asked_for_in_astype(protocol):
    @quorate.computation
    def coarser(a):
        return {"down": a.astype(quorate.fixed(2), rounding="floor")}

    values = np.array([1.3, -1.3, 0.24, 2.5])
    assert np.array_equal(coarser.simulate(protocol, a=values)["down"], np.floor(values * 4) / 4)


def test_other_roundings_are_refused():
    with pytest.raises(UserError, match="rounding 'up'; use 'floor'"):
        quorate.computation(lambda a: {"up": a.astype(quorate.fixed(2), rounding="up")}).trace({"a": fixed(16)})
