"""Training a logistic regression, as a plan."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import quorate
from quorate.bench.workloads.data import Integral, spread
from quorate.bench.workloads.plans import Column, OnPlan, Values
from quorate.lang.array import SecretArray, Table
from quorate.sharing.dtype import INT, fixed

__all__ = ["LEARNING"]

FEATURES, BATCH, EPOCHS, RATE = 50, 128, 10, 0.5
SCALE = 16
NAMES = [f"f{k}" for k in range(FEATURES)]


def _batches(rows: int) -> list[slice]:
    return [slice(start, min(start + BATCH, rows)) for start in range(0, rows, BATCH)]


def _train(data: Table) -> dict[str, SecretArray]:
    """Gradient descent from zero; the rate is per batch."""
    features, labels = quorate.stack([data[name] for name in NAMES], axis=1), data["label"]
    weights: SecretArray | None = None
    for _ in range(EPOCHS):
        for batch in _batches(int(features.shape[0])):
            rows, wanted = features[batch], labels[batch].astype(fixed(SCALE))
            guess = 0.5 if weights is None else quorate.sigmoid(rows @ weights)
            step = (rows.T @ (wanted - guess)) * (RATE / (batch.stop - batch.start))
            weights = step if weights is None else weights + step
    return {"weights": weights} if weights is not None else {}


def _expected(values: Values) -> Values:
    """The same with NumPy's floats."""
    features = np.stack([values[f"data.{name}"] for name in NAMES], axis=1)
    labels, weights = values["data.label"], np.zeros(FEATURES)
    for _ in range(EPOCHS):
        for batch in _batches(len(labels)):
            guess = 1 / (1 + np.exp(-features[batch] @ weights))
            weights += features[batch].T @ (labels[batch] - guess) * (RATE / (batch.stop - batch.start))
    return {"weights": weights}


def _labels(size: int, start: int, count: int) -> Integral:
    """On which side of a plane the features are."""
    score: npt.NDArray[np.int64] = np.zeros(count, np.int64)
    for k in range(FEATURES):
        score += spread(k, start, count, SCALE) * (k % 7 - 3)
    return (score > 0).astype(np.int64)


LEARNING = (
    OnPlan(
        "logistic_regression",
        _train,
        (
            *(Column(f"data.{name}", fixed(SCALE), bits=SCALE) for name in NAMES),
            Column("data.label", INT, bits=1, signed=False, values=_labels),
        ),
        _expected,
        (1000,),
        tolerance=0.01,
        count=lambda rows: rows * EPOCHS,
    ),
)
