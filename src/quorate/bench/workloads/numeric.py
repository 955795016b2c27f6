"""Numeric functions of fixed-point numbers, and division, as plans."""

from __future__ import annotations

import numpy as np

import quorate
from quorate.bench.workloads.plans import Column, OnPlan, Values
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import fixed

__all__ = ["NUMERIC"]

SCALE = 16
UNIT = 2.0**-SCALE
REAL = fixed(SCALE)

Results = dict[str, SecretArray]


def _division(x: SecretArray, y: SecretArray) -> Results:
    return {"quotient": x / y}


def _sqrt(x: SecretArray) -> Results:
    return {"root": quorate.sqrt(x)}


def _exp(x: SecretArray) -> Results:
    return {"result": quorate.exp(x)}


def _logistic(x: SecretArray) -> Results:
    return {"result": quorate.sigmoid(x)}


def _sigmoid(values: Values) -> Values:
    return {"result": 1 / (1 + np.exp(-values["x"]))}


NUMERIC = (
    OnPlan(
        "division",
        _division,
        (Column("x", bits=27), Column("y", bits=27, signed=False, least=1)),
        lambda values: {"quotient": values["x"] / values["y"]},
        (10**5,),
        tolerance=4 * UNIT,
    ),
    OnPlan(
        "sqrt",
        _sqrt,
        (Column("x", REAL, bits=30, signed=False),),
        lambda values: {"root": np.sqrt(values["x"])},
        (10**5,),
        tolerance=4 * UNIT,
    ),
    OnPlan(
        "exp",
        _exp,
        (Column("x", REAL, bits=SCALE + 2),),
        lambda values: {"result": np.exp(values["x"])},
        (10**5,),
        tolerance=64 * UNIT,
    ),
    OnPlan("sigmoid", _logistic, (Column("x", REAL, bits=SCALE + 3),), _sigmoid, (10**5,), tolerance=8 * UNIT),
)
