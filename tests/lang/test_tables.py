"""Order and tables on secrets: sorting along axes, quantiles, groups, merges, choices, all against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import quorate
from quorate.errors import UserError
from quorate.sharing.dtype import INT

I = np.array([3, -1, 0, 7, -5, 3, 3, 8])  # noqa: E741
F = np.array([1.5, -0.25, 2.75, 0.0, -3.125, 0.5, 0.5, 1.0])
K = np.array([2, 1, 2, 2, 0, 1, 0, 2])
B = np.array([True, False, True, True, False, False, True, False])

pytestmark = pytest.mark.parametrize("protocol", ["clear", "rep3"])


def run(function, protocol, **inputs):
    return quorate.computation(function).simulate(protocol, seed=3, **inputs)


def same(function, protocol, tolerance=0.0):
    """The same expressions on secrets and on NumPy's arrays."""

    def secret(i, f, k, b):
        return {str(n): value for n, value in enumerate(function(quorate, i, f, k, b))}

    got = run(secret, protocol, i=I, f=F, k=K, b=B)
    for n, wanted in enumerate(function(np, I, F, K, B)):
        assert got[str(n)].shape == np.shape(wanted), n
        np.testing.assert_allclose(got[str(n)].astype(float), np.asarray(wanted, float), atol=tolerance, err_msg=str(n))


def test_sorting_along_axes(protocol):
    def function(q, i, f, k, b):
        wide = q.concatenate([i, f, k]).reshape(12, 2)
        return [
            q.sort(i),
            q.sort(f),
            q.sort(b),
            q.sort(i.reshape(2, 4), axis=0),
            q.sort(i.reshape(2, 4), axis=1),
            q.sort(i.reshape(2, 4), axis=None),
            q.sort(wide, axis=1),
            q.sort(i[:1]),
            q.sort(i[:0]),
            q.argsort(i, kind="stable"),
            q.argsort(f.reshape(2, 4), axis=1),
            q.argsort(wide, axis=-1, kind="stable"),
            q.argsort(k, kind="stable"),
            q.lexsort((i, k)),
        ]

    same(function, protocol)


def test_quantiles(protocol):
    def function(q, i, f, k, b):
        return [
            q.median(i),
            q.median(f),
            q.median(f.reshape(2, 4), axis=1),
            q.median(i[:3], keepdims=True),
            q.quantile(i, [0, 0.25, 0.1, 1]),
            q.quantile(f, 0.3, method="lower"),
            q.quantile(f, 0.3, method="higher"),
            q.quantile(f, 0.3, method="midpoint"),
            q.percentile(f, [10, 90]),
            q.quantile(f.reshape(2, 4), 0.4, axis=0, keepdims=True),
            q.median(f[:1]),
            q.median(f.reshape(2, 2, 2), axis=(0, 2)),
        ]

    same(function, protocol, 3 * 2**-16)


def test_the_largest_few(protocol):
    def function(i, f):
        wide = quorate.concatenate([i, i, i]).reshape(12, 2)
        return {
            "v": quorate.topk(i, 3)[0],
            "p": quorate.topk(i, 3)[1],
            "s": quorate.topk(f, 2, largest=False)[0],
            "a": quorate.topk(i.reshape(2, 4), 2, axis=1)[0],
            "w": quorate.topk(wide, 1)[0],
        }

    got = run(function, protocol, i=I, f=F)
    assert got["v"].tolist() == [8, 7, 3]
    assert got["p"].tolist() == [7, 3, 0]
    assert got["s"].tolist() == [-3.125, -0.25]
    assert got["a"].tolist() == [[7, 3], [8, 3]]
    assert got["w"].tolist() == np.tile(I, 3).reshape(12, 2).max(1, keepdims=True).tolist()


def test_sorting_tables(protocol):
    def function(t):
        one = quorate.sort_table(t, by="k", descending=True)
        two = quorate.sort_table(
            {"k": t.k, "i": t.i, "wide": quorate.stack([t.f, t.f], 1)}, by=["k", "i"], descending=[False, True]
        )
        return {"k": one.k, "i": one["i"], "f": one.f, "k2": two.k, "i2": two.i, "f2": two.wide[:, 1]}

    got = run(function, protocol, t={"i": I, "k": K, "f": F})
    order = np.argsort(-K, kind="stable")
    for name, column in {"k": K, "i": I, "f": F}.items():
        assert got[name].tolist() == column[order].tolist()
    order = np.lexsort((-I, K))
    assert got["k2"].tolist() == K[order].tolist()
    assert got["i2"].tolist() == I[order].tolist()
    assert sorted(got["f2"].tolist()) == sorted(F.tolist())


def test_groups(protocol):
    def function(t):
        groups = quorate.group_by(t, by="k")
        few = groups.agg(n="count", total=("i", "sum"), mean=("f", "mean"))
        all_ = groups.agg(low=("i", "min"), high=("f", "max"), one=("i", "first"))
        short = quorate.group_by(t, by="k", size=4).sum("i")
        tight = quorate.group_by(t.k, size=2).count("n")
        results = {name: all_[name] for name in all_} | {name: few[name] for name in few}
        return results | {f"s_{name}": short[name] for name in short} | {f"t_{name}": tight[name] for name in tight}

    got = run(function, protocol, t={"i": I, "k": K, "f": F})
    keys = np.unique(K)
    assert got["k"].tolist() == [*keys, *[0] * 5]
    assert got["valid"].tolist() == [True] * 3 + [False] * 5
    assert got["n"][:3].tolist() == [(key == K).sum() for key in keys]
    assert got["total"][:3].tolist() == [I[key == K].sum() for key in keys]
    np.testing.assert_allclose(got["mean"][:3], [F[key == K].mean() for key in keys], atol=1e-3)
    assert got["low"][:3].tolist() == [I[key == K].min() for key in keys]
    assert got["high"][:3].tolist() == [F[key == K].max() for key in keys]
    assert got["one"][:3].tolist() == [I[key == K][0] for key in keys]
    assert got["s_i"].tolist() == [*(I[key == K].sum() for key in keys), 0]
    assert got["s_missed"].tolist() == [0] * 4
    assert got["t_n"].tolist() == [2, 2]
    assert got["t_missed"].tolist() == [1, 1]


def test_distinct_values(protocol):
    def function(k):
        found, few = quorate.unique(k), quorate.unique(k, size=2)
        return {"v": found.values, "c": found.counts, "ok": found.valid, "few": few.values, "missed": few.missed}

    got = run(function, protocol, k=K)
    assert got["v"].tolist() == [0, 1, 2, 0, 0, 0, 0, 0]
    assert got["c"].tolist() == [2, 2, 4, 0, 0, 0, 0, 0]
    assert got["ok"].sum() == 3
    assert got["few"].tolist() == [0, 1]
    assert got["missed"] == 1


def test_merging_picking_out_and_shuffling(protocol):
    def function(a, b, m):
        merged = quorate.merge({"k": a, "v": a * 10}, {"v": b, "k": b}, by="k")
        rows, chosen = quorate.compact(m, a)
        table = quorate.compact(m, {"a": a, "twice": a * 2}).rows
        mixed = quorate.shuffle({"a": a, "twice": a * 2})
        return {
            "k": merged.k, "v": merged.v, "rows": rows, "chosen": chosen, "twice": table.twice, "mixed": mixed.a,
            "with": mixed.twice, "alone": quorate.shuffle(a), "pair": quorate.shuffle([a, a])[1],
        }  # fmt: skip

    a, b, m = np.array([1, 4, 4, 9]), np.array([2, 4, 11]), np.array([False, True, False, True])
    got = run(function, protocol, a=a, b=b, m=m)
    assert got["k"].tolist() == [1, 2, 4, 4, 4, 9, 11]
    assert got["v"].tolist() == [10, 2, 40, 40, 4, 90, 11]
    assert got["rows"].tolist() == [4, 9, 0, 0]
    assert got["twice"].tolist() == [8, 18, 0, 0]
    assert got["chosen"] == 2
    assert got["with"].tolist() == (2 * got["mixed"]).tolist()
    for name in ("mixed", "alone", "pair"):
        assert sorted(got[name].tolist()) == sorted(a.tolist())


def test_tables_whose_rows_are_not_known(protocol):
    def function(t):
        groups = quorate.group_by(t, by="k").mean("f")
        return {
            "median": quorate.median(t.f),
            "f": groups.f,
            "sorted": quorate.sort(t.f),
            "first": quorate.sort_table(t, by="f").k[0],
        }

    plan = quorate.computation(function).trace({"t": {"k": INT, "f": quorate.fixed(8)}})
    assert [str(plan.operations[plan.outputs[name]].type.shape) for name in ("median", "first")] == ["()", "()"]
    for rows in (1, 2, 7):
        plan.bind({"t": rows})
    with pytest.raises(UserError, match="quantile of no values"):
        plan.bind({"t": 0})
    got = run(function, protocol, t={"k": K, "f": F})
    assert abs(got["median"] - np.median(F)) < 1e-4
