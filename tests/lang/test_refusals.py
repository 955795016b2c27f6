"""What cannot be done on secrets is refused while the computation is written down, with what to use instead."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import quorate
from quorate.errors import UserError
from quorate.sharing.dtype import BOOL, INT, fixed

REFUSED = {
    "bool()": (lambda q, x, y, m, t: bool(x[0]), "quorate.where"),
    "if": (lambda q, x, y, m, t: 1 if x[0] > 2 else 0, "quorate.where"),
    "and": (lambda q, x, y, m, t: m and m, "& |"),
    "chained comparison": (lambda q, x, y, m, t: 0 < x < 5, "& |"),
    "int()": (lambda q, x, y, m, t: int(x[0]), "return it from the computation"),
    "float()": (lambda q, x, y, m, t: float(x[0]), "return it from the computation"),
    "range()": (lambda q, x, y, m, t: range(x[0]), "public number of steps"),
    "item()": (lambda q, x, y, m, t: x[0].item(), "return it"),
    "tolist()": (lambda q, x, y, m, t: x.tolist(), "return it"),
    "in": (lambda q, x, y, m, t: 3 in x, "(x == value).any()"),
    "max()": (lambda q, x, y, m, t: max(x[0], x[1]), "quorate.maximum"),
    "sorted()": (lambda q, x, y, m, t: sorted(x), "quorate.sort"),
    "sort in place": (lambda q, x, y, m, t: x.sort(), "quorate.sort(x)"),
    "np.asarray": (lambda q, x, y, m, t: np.asarray(x), "functions of quorate"),
    "np.array of secrets": (lambda q, x, y, m, t: np.array([x[0], x[1]]), "functions of quorate"),
    "np.arcsin": (lambda q, x, y, m, t: np.arcsin(x), "not possible on secrets"),
    "np.subtract.reduce": (lambda q, x, y, m, t: np.subtract.reduce(x), "operators or quorate's functions"),
    "np.linalg.inv": (lambda q, x, y, m, t: np.linalg.inv(y.reshape(2, 3)), "not possible on secrets"),
    "np.nonzero": (lambda q, x, y, m, t: np.nonzero(x), "quorate.compact"),
    "np.unique": (lambda q, x, y, m, t: np.unique(x), "quorate.unique"),
    "np.allclose": (lambda q, x, y, m, t: np.allclose(x, 1), "tolerance"),
    "np.put": (lambda q, x, y, m, t: np.put(x, [0], [1]), "quorate.put"),
    "np.sum into": (lambda q, x, y, m, t: np.sum(x, out=np.zeros(())), "unexpected keyword"),
    "where alone": (lambda q, x, y, m, t: q.where(m), "where it holds"),
    "in place": (lambda q, x, y, m, t: np.arange(6).__iadd__(x), "operators"),
    "rows of unknown number": (lambda q, x, y, m, t: list(t.c), "number of rows"),
    "len()": (lambda q, x, y, m, t: len(t.c), "use .shape"),
    "len() of a scalar": (lambda q, x, y, m, t: len(x[0]), "no length"),
    "row count in if": (lambda q, x, y, m, t: 1 if t.c.size else 0, "plan cannot depend"),
    "secret and public index": (lambda q, x, y, m, t: x.reshape(2, 3)[x[0], 1], "step of its own"),
    "secret mask as index": (lambda q, x, y, m, t: x[m], "quorate.compact"),
    "secret in a slice": (lambda q, x, y, m, t: x[: x[0]], "known beforehand"),
    "fraction as index": (lambda q, x, y, m, t: x[1.5], "use integers"),
    "list of fractions as index": (lambda q, x, y, m, t: x[[1.5]], "whole numbers"),
    "public mask of another length": (lambda q, x, y, m, t: x[[True] * 5], "mask of shape (5,)"),
    "lists behind a slice": (lambda q, x, y, m, t: x.reshape(2, 3)[:, [[0], [1]]], "two steps"),
    "lists out of range": (lambda q, x, y, m, t: x.reshape(2, 3)[[0], [3]], "no index"),
    "index beyond": (lambda q, x, y, m, t: x[6], "out of range"),
    "step 0": (lambda q, x, y, m, t: x[::0], "step"),
    "too many indices": (lambda q, x, y, m, t: x[0, 0], "too many"),
    "two ellipses": (lambda q, x, y, m, t: x[..., ...], "one ellipsis"),
    "assignment": (lambda q, x, y, m, t: x.__setitem__(0, 1), "quorate.where"),
    "astype of a name": (lambda q, x, y, m, t: x.astype("float64"), "quorate.fixed"),
    "astype of a list": (lambda q, x, y, m, t: x.astype([]), "quorate.fixed"),
    "division by 0": (lambda q, x, y, m, t: x / 0, "other than zero"),
    "division by 0.0": (lambda q, x, y, m, t: y / np.array([1.0, 0.0] * 3), "other than zero"),
    "division by nan": (lambda q, x, y, m, t: x / math.nan, "finite"),
    "division by tiny": (lambda q, x, y, m, t: x / 1e-12, "reciprocal"),
    "division by huge": (lambda q, x, y, m, t: x / 1e30, "reciprocal"),
    "floor division by 0": (lambda q, x, y, m, t: x // 0, "other than zero"),
    "remainder by less than the scale": (lambda q, x, y, m, t: y % 1e-9, "at this scale by zero"),
    "power beyond": (lambda q, x, y, m, t: x**65, "between -64 and 64"),
    "negative power of an integer": (lambda q, x, y, m, t: x**-1, "astype(float)"),
    "negative base": (lambda q, x, y, m, t: (-2) ** x, "positive number"),
    "shift by a fraction": (lambda q, x, y, m, t: x << 1.5, "whole number of bits"),
    "shapes": (lambda q, x, y, m, t: x + np.arange(5), "do not broadcast"),
    "row counts": (lambda q, x, y, m, t: t.c + x, "do not broadcast"),
    "matrix shapes": (lambda q, x, y, m, t: x.reshape(2, 3) @ y.reshape(2, 3), "matrix product"),
    "vector lengths": (lambda q, x, y, m, t: x @ y[:5], "inner products"),
    "axis": (lambda q, x, y, m, t: x.sum(1), "axis 1"),
    "negative axis": (lambda q, x, y, m, t: x.mean(-2), "axis -2"),
    "an axis twice": (lambda q, x, y, m, t: x.reshape(2, 3).sum((0, -2)), "twice"),
    "a fraction as axis": (lambda q, x, y, m, t: x.sum(0.5), "not a whole number"),
    "squeeze": (lambda q, x, y, m, t: x.squeeze(0), "its size is not 1"),
    "broadcast_to": (lambda q, x, y, m, t: x.broadcast_to((5,)), "do not broadcast"),
    "transpose": (lambda q, x, y, m, t: x.reshape(2, 3).transpose(2, 1), "axis 2"),
    "reshape": (lambda q, x, y, m, t: x.reshape(4, -1), "cannot be reshaped"),
    "negative sizes": (lambda q, x, y, m, t: x.reshape(-2, -3), "whole numbers"),
    "fractional sizes": (lambda q, x, y, m, t: x.reshape(2.0, 3), "whole numbers"),
    "split rows": (lambda q, x, y, m, t: t.c.reshape(2, -1), "cannot be reshaped"),
    "nan": (lambda q, x, y, m, t: y + math.nan, "finite"),
    "infinite factor": (lambda q, x, y, m, t: y * math.inf, "finite"),
    "huge integer": (lambda q, x, y, m, t: x + 2**62, "62 bits"),
    "enormous integer": (lambda q, x, y, m, t: x + 2**80, "62 bits"),
    "text": (lambda q, x, y, m, t: x + "1", "numbers"),
    "None": (lambda q, x, y, m, t: x == None, "numbers"),  # noqa: E711
    "complex": (lambda q, x, y, m, t: x * 1j, "numbers"),
    "ragged": (lambda q, x, y, m, t: x + [[1], [1, 2]], "equal length"),  # noqa: RUF005
    "list of secrets": (lambda q, x, y, m, t: x + [x[0], x[1]], "quorate.stack"),  # noqa: RUF005
    "minus a bool": (lambda q, x, y, m, t: -m, "astype(int)"),
    "difference of bools": (lambda q, x, y, m, t: m - m, "use ^"),
    "bits of fixed point": (lambda q, x, y, m, t: y & 3, "integers"),
    "not of fixed point": (lambda q, x, y, m, t: ~y, "integers"),
    "condition": (lambda q, x, y, m, t: q.where(x, 1, 0), "compare"),
    "public arguments": (lambda q, x, y, m, t: q.sigmoid(4.0), "takes a secret array"),
    "mask of numbers": (lambda q, x, y, m, t: x.sum(where=x), "compare"),
    "mask of another shape": (lambda q, x, y, m, t: x.mean(where=m[:3]), "do not broadcast"),
    "min of a mask alone": (lambda q, x, y, m, t: x.min(where=m), "initial="),
    "min of nothing": (lambda q, x, y, m, t: x[:0].min(), "no values"),
    "quantile beyond": (lambda q, x, y, m, t: q.quantile(x, 1.5), "between 0 and 1"),
    "quantile by a secret": (lambda q, x, y, m, t: q.quantile(x, y[0]), "NumPy array"),
    "quantile of nothing": (lambda q, x, y, m, t: q.median(x[:0]), "no values"),
    "topk of too many": (lambda q, x, y, m, t: q.topk(x, 7), "no more than there are"),
    "bins alone": (lambda q, x, y, m, t: q.histogram(x, 5), "range=(low, high)"),
    "edges out of order": (lambda q, x, y, m, t: q.histogram(x, [1, 0]), "ascending"),
    "arange of rows": (lambda q, x, y, m, t: q.arange(t.rows), "quorate.row_numbers"),
    "arange of a secret": (lambda q, x, y, m, t: q.arange(x[0]), "public numbers"),
    "einsum": (lambda q, x, y, m, t: q.einsum("ii", x.reshape(2, 3)), "none of them twice"),
    "group without keys": (lambda q, x, y, m, t: q.group_by({"k": x}), "by='city'"),
    "unknown aggregate": (lambda q, x, y, m, t: q.group_by(t, by="c").agg(c2=("c", "mode")), "use sum, count"),
    "columns of two inputs": (lambda q, x, y, m, t: q.sort_table({"a": x, "b": t.c}, by="a"), "quorate.align"),
    "directions": (lambda q, x, y, m, t: q.sort_table({"a": x}, by="a", descending=[True, False]), "one for each"),
    "joining shapes": (lambda q, x, y, m, t: q.concatenate([x, x.reshape(2, 3)]), "concatenate"),
    "joining nothing": (lambda q, x, y, m, t: q.concatenate([]), "public values"),
    "stacking shapes": (lambda q, x, y, m, t: q.stack([x, x[:2]]), "one shape"),
    "column": (lambda q, x, y, m, t: t.nothing, "it has c"),
    "column in another case": (lambda q, x, y, m, t: t["C"], "did you mean 'c'?"),
    "copying": (lambda q, x, y, m, t: copy.deepcopy(x), "return it from the computation"),
    "product of row counts": (lambda q, x, y, m, t: (t.c[:, None] * t.c[None, :]).size, "reduce one axis"),
    "rows times rows": (lambda q, x, y, m, t: t.c.size * t.c.size, "whole numbers"),
}  # fmt: skip


def trace(function):
    return quorate.computation(lambda x, y, m, t: {"z": function(quorate, x, y, m, t)}).trace(
        {"x": INT, "y": fixed(16), "m": BOOL, "t": {"c": INT}}, {"x": 6, "y": 6, "m": 6}
    )


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_hint(name):
    function, hint = REFUSED[name]
    with pytest.raises(UserError) as caught:
        trace(function)
    assert hint in str(caught.value)


@pytest.mark.parametrize("result", [None, [], {}, 5, {"z": 1.5}, {"z": None}, {"z": True}, {"z": [1]}])
def test_results_must_be_named_values(result):
    with pytest.raises(UserError, match="return"):
        quorate.computation(lambda x: result).trace({"x": INT})


def test_inputs_must_be_the_parameters():
    with pytest.raises(UserError, match="takes the inputs x"):
        quorate.computation(lambda x: {"z": x}).trace({"y": INT})


def test_secrets_of_one_computation_stay_there():
    kept = []
    quorate.computation(lambda x: kept.append(x) or {"z": x}).trace({"x": INT})
    with pytest.raises(UserError, match="another computation"):
        quorate.computation(lambda x: {"z": x + kept[0]}).trace({"x": INT})


@pytest.mark.parametrize(
    ("inputs", "hint"),
    [
        ({"a": np.zeros((2, 2)), "b": [1]}, "one-dimensional"),
        ({"a": ["x"], "b": [1]}, "numbers or bools"),
        ({"a": [math.nan], "b": [1]}, "finite"),
        ({"a": [1, 2], "b": [1, 2, 3]}, "do not broadcast"),
        ({"a": {"u": [1, 2], "v": [1]}, "b": [1]}, "per row"),
        ({"a": {}, "b": [1]}, "no columns"),
        ({"a": {"w": [1]}, "b": [1]}, r"did you mean 'W'|has no column 'v'; it has w"),
    ],
)
def test_simulation_refuses_bad_data(inputs, hint):
    with pytest.raises(UserError, match=hint):
        quorate.computation(lambda a, b: {"z": (a.v if hasattr(a, "_columns") else a) + b}).simulate(**inputs)


def test_an_array_where_columns_are_expected_says_how_to_give_them():
    with pytest.raises(UserError, match=r"no attribute 'cost'.*give a dictionary or a data frame.*{'cost': \[...\]}"):
        quorate.computation(lambda a: {"z": a.cost.sum()}).simulate(a=[1, 2])
    with pytest.raises(UserError, match="did you mean 'reshape'"):
        quorate.computation(lambda a: {"z": a.Reshape(1)}).simulate(a=[1, 2])
    with pytest.raises(UserError, match="did you mean 'cost'"):
        quorate.computation(lambda a: {"z": a.Cost}).simulate(a={"cost": [1, 2]})


def test_nothing_shows_values():
    shown = []
    quorate.computation(lambda x: shown.append(f"{x} {x!r}") or {"z": x}).simulate("clear", x=[123457])
    assert shown == ["<secret int[1]> <secret int[1]>"]
