"""One-hot vectors, tables and histograms in plans: NumPy's results, indices that are proven to be in range."""

import numpy as np
import pytest

import quorate
from quorate.errors import UserError
from quorate.sharing.dtype import BOOL, INT, fixed
from quorate.testing.world import CONFIGURATIONS

EVERY = pytest.mark.parametrize("configuration", [c for c in CONFIGURATIONS if c != ("clear", 3, 0)], ids=str)
REP3 = ("rep3", 3, 1)
RNG = np.random.default_rng(9)
TABLE = RNG.integers(-(2**30), 2**30, 12)
REAL = np.round(RNG.normal(0, 9, 12) * 2**16) / 2**16
FLAGS = RNG.random(12) < 0.5
INDEX = np.array([0, 5, 2, 5, 4, 3])
DATA = {"t": TABLE, "x": REAL, "b": FLAGS, "i": INDEX}


@EVERY
def test_tables(configuration, run_in):
    public = np.arange(12).reshape(6, 2) * 7

    def program(t, x, b, i):
        record, place = t.trace.record, i.reshape(2, 3)
        tables = {"ints": t, "fixed": x, "bools": b}
        tables = {name: table.reshape(6, 2) for name, table in tables.items()}
        results = {f"read {name}": record("read", [table, place]) for name, table in tables.items()}
        for name, table in tables.items():
            results[f"write {name}"] = record("write", [table, i, table[::-1]])
        results["read public"] = record("read", [t.trace.constant(public, INT), place])
        results["one hot"] = record("one_hot", [place], size=6)
        return results

    ran = run_in(configuration, program, DATA)
    for name, source in {"ints": TABLE, "fixed": REAL, "bools": FLAGS, "public": public}.items():
        table = source.reshape(6, 2)
        np.testing.assert_array_equal(ran.values[f"read {name}"], table[INDEX.reshape(2, 3)], name)
        if name != "public":
            wanted = table.copy()
            for place, row in zip(INDEX, table[::-1], strict=True):
                wanted[place] = row
            np.testing.assert_array_equal(ran.values[f"write {name}"], wanted, name)
    np.testing.assert_array_equal(ran.values["one hot"], np.eye(6, dtype=bool)[INDEX.reshape(2, 3)])


@EVERY
def test_histograms(configuration, run_in):
    edges = [-(2**30), -(10**9), 0, 0, 5, 2**29]

    def program(t, x, b, i):
        record = t.trace.record
        return {
            "counts": record("histogram", [t.reshape(4, 3)], edges=edges),
            "ints": record("histogram", [i, i * 2], edges=[0, 3, 5]),
            "fixed": record("histogram", [t, x], edges=edges),
            "below": record("thresholds", [i.reshape(2, 3)], edges=[5, 0, 3, 9]),
        }

    ran = run_in(configuration, program, DATA)
    np.testing.assert_array_equal(ran.values["counts"], np.histogram(TABLE, edges)[0])
    np.testing.assert_array_equal(ran.values["ints"], np.histogram(INDEX, [0, 3, 5], weights=INDEX * 2)[0])
    sums = np.histogram(TABLE, edges, weights=REAL)[0]
    assert np.abs(ran.values["fixed"] - sums).max() <= ran.errors["fixed"] < 0.01
    np.testing.assert_array_equal(ran.values["below"], [INDEX.reshape(2, 3) < edge for edge in (5, 0, 3, 9)])


def test_an_index_of_no_dimension_and_a_size_that_is_a_number_of_rows(run_in):
    def program(t, i):
        record = t.trace.record
        return {
            "value": record("read", [t, i[1]]),
            "table": record("write", [t, i[1], t[0]]),
            "hot": record("one_hot", [i], size={"size": "rows(t)"}),
        }

    ran = run_in(REP3, program, {"t": TABLE, "i": INDEX})
    assert ran.values["value"] == TABLE[5]
    assert ran.values["table"].tolist() == [*TABLE[:5], TABLE[0], *TABLE[6:]]
    np.testing.assert_array_equal(ran.values["hot"], np.eye(12, dtype=bool)[INDEX])


def test_no_places(run_in):
    def program(t, b, i):
        record = t.trace.record
        return {
            "read": record("read", [t, i[:0]]),
            "bits": record("read", [b, i[:0]]),
            "nothing": record("read", [t[:0], i[:0] * 0]),
            "table": record("write", [t, i[:0], t[:0]]),
            "hot": record("one_hot", [i[:0]], size=6),
            "counts": record("histogram", [t[:0]], edges=[0, 5, 7]),
        }

    values = run_in(REP3, program, {"t": TABLE, "b": FLAGS, "i": INDEX}).values
    assert values["read"].shape == values["bits"].shape == values["nothing"].shape == (0,)
    assert values["table"].tolist() == TABLE.tolist()
    assert values["hot"].shape == (0, 6)
    assert values["counts"].tolist() == [0, 0]


def test_ranges(dry):
    def program(t, i):
        record = t.trace.record
        return {
            "read": record("read", [t, i]),
            "write": record("write", [t, i, i]),
            "hot": record("one_hot", [i], size=6),
            "counts": record("histogram", [t], edges=[0, 5]),
            "weights": record("histogram", [i, i - 2], edges=[0, 5]),
        }

    plan, ranges = dry(program, {"t": (-7, 3), "i": (0, 5)}, {"t": INT, "i": INT}, t=6, i=4)
    found = {name: ranges[target] for name, target in plan.outputs.items()}
    assert found == {"read": (-7, 3), "write": (-7, 5), "hot": (0, 1), "counts": (0, 6), "weights": (-8, 12)}


@pytest.mark.parametrize("bounds", [(0, 6), (-1, 5), (-6, -1)])
@pytest.mark.parametrize("kind", ["read", "write", "one_hot"])
def test_an_index_that_may_be_out_of_range_is_refused(kind, bounds, dry):
    def program(t, i):
        operands = {"read": [t, i], "write": [t, i, i], "one_hot": [i]}[kind]
        return {"z": t.trace.record(kind, operands, **({"size": 6} if kind == "one_hot" else {}))}

    with pytest.raises(
        UserError, match=rf"from {bounds[0]} to {bounds[1]}, but positions are 0 to 5.*clip\(index, 0, 5\)"
    ):
        dry(program, {"t": (0, 9), "i": bounds}, {"t": INT, "i": INT}, t=6, i=4)
    dry(program, {"t": (0, 9), "i": (0, 5)}, {"t": INT, "i": INT}, t=6, i=4)


REFUSED = {
    "index": (lambda t, x, b: t.trace.record("read", [t, x]), "an index is int, not fixed"),
    "bool index": (lambda t, x, b: t.trace.record("one_hot", [b], size=2), "an index is int, not bool"),
    "no table": (lambda t, x, b: t.trace.record("read", [t[0], t]), "rows along its first axis"),
    "nothing to write to": (lambda t, x, b: t.trace.record("write", [t[0], t, t]), "rows along its first axis"),
    "types": (lambda t, x, b: t.trace.record("write", [t, t, x]), "cannot write fixed"),
    "values": (lambda t, x, b: t.trace.record("write", [t, t[:2], t]), "do not broadcast"),
    "size": (lambda t, x, b: t.trace.record("one_hot", [t], size=-1), "-1 positions"),
    "no size": (lambda t, x, b: t.trace.record("one_hot", [t], size="many"), "must be a whole number"),
    "few edges": (lambda t, x, b: t.trace.record("histogram", [t], edges=[1]), "takes 2 or more"),
    "no edges": (lambda t, x, b: t.trace.record("thresholds", [t], edges=[]), "takes 1 or more"),
    "wild edges": (lambda t, x, b: t.trace.record("thresholds", [t], edges=[2**62]), "62 bits"),
    "falling edges": (lambda t, x, b: t.trace.record("histogram", [t], edges=[1, 0]), "must not decrease"),
    "weights": (lambda t, x, b: t.trace.record("histogram", [t, x[:2]], edges=[0, 1]), "one weight per value"),
    "operands": (lambda t, x, b: t.trace.record("histogram", [t, t, t], edges=[0, 1]), "perhaps weights"),
    "bools": (lambda t, x, b: t.trace.record("histogram", [b], edges=[0, 1]), "convert a bool"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_to_do(name, dry):
    function, message = REFUSED[name]
    dtypes = {"t": INT, "x": fixed(4), "b": BOOL}
    with pytest.raises(UserError, match=message):
        dry(lambda t, x, b: {"z": function(t, x, b)}, {"t": (0, 3), "x": (0, 3), "b": (0, 1)}, dtypes, t=4, x=4, b=4)


def test_large_tables_and_many_values_next_to_other_work(run_in):
    """Operations that go in strips share the wave with others."""
    n = 70_000
    data = {"t": np.arange(n) % 251, "i": np.array([5, n - 1, 40_000])}

    def program(t, i):
        record = t.trace.record
        return {
            "read": record("read", [t, i]),
            "max": record("max", [t], axis=0),
            "where": record("argmax", [t], axis=0),
            "any": record("any", [t < 0], axis=0),
            "counts": record("histogram", [t], edges=[0, 5, 100, 250]),
            "product": (t * t)[-1],
        }

    values = run_in(REP3, program, data).values
    assert values["read"].tolist() == data["t"][data["i"]].tolist()
    assert (values["max"], values["where"], values["any"]) == (250, 250, False)
    assert values["counts"].tolist() == np.histogram(data["t"], [0, 5, 100, 250])[0].tolist()
    assert values["product"] == data["t"][-1] ** 2


def test_the_language_says_how_to_clip():
    assert callable(quorate.clip)
