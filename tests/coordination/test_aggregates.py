"""What a look at a plan says about the rows that its outputs rest on."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest

import quorate as q
from quorate.coordination.aggregates import check_openings, lineage
from quorate.coordination.lineage import Facts, Region, Strand
from quorate.coordination.lineage_moves import reshaped
from quorate.errors import UserError
from quorate.lang.plan import Operation, Plan, Type
from quorate.node.vault import Note, Shaped
from quorate.sharing.dtype import INT, fixed

ROWS, LEAST = 100, 10
COLUMNS = {"x": fixed(16), "y": fixed(16), "c": INT}


def traced(function: Callable[..., object]) -> Plan:
    names = list(inspect.signature(function).parameters)
    rows = dict.fromkeys(names, ROWS)
    return q.computation(function).trace(dict.fromkeys(names, COLUMNS), rows).bind(rows)


def rests(strand: Strand) -> Facts:
    return Facts(frozenset({strand}))


def judged(function: Callable[..., object], own: Sequence[str] = (), *, mixing: bool = False) -> dict[str, str]:
    """Output -> "", or why it is refused; inputs are data sets of owners of the same name, but for `own` ones."""
    plan = traced(function)
    whole = Region(0, 0, ROWS)
    sources = {
        (name, column): rests(Strand(f"{name}@1", name, 1, whole, ROWS))
        for name, column in plan.inputs
        if name not in own
    }
    ranges = [(0, 3)] * len(plan.operations)
    known = lineage(plan, sources, ranges, mixing=mixing)  # type: ignore[arg-type]
    found = {}
    for output in plan.outputs:
        try:
            check_openings(plan, known, [output], "analyst", LEAST)
            found[output] = ""
        except UserError as problem:
            found[output] = str(problem)
    return found


def refusals(plan: Plan, known: Sequence[Facts]) -> list[str]:
    """Names of the outputs that may not be opened."""
    found = []
    for name in plan.outputs:
        try:
            check_openings(plan, known, [name], "analyst", LEAST)
        except UserError:
            found.append(name)
    return found


def assert_all(found: dict[str, str], *, fine: bool) -> None:
    assert found
    assert {name: not why for name, why in found.items()} == dict.fromkeys(found, fine)


def test_what_combines_rows_may_be_opened():
    def statistics(d):
        centred = d.x - d.x.mean()
        matrix = q.stack([d.x, d.y, np.ones(ROWS)], axis=1)
        return {
            "sum": d.x.sum(),
            "mean": d.x.mean(),
            "var": d.x.var(),
            "std": d.x.std(),
            "where": d.x.mean(where=d.y > 3),
            "share": (d.x > 3).mean(),
            "count": (d.x > 3).sum(),
            "any": (d.x > 3).any(),
            "dot": d.x @ d.y,
            "covariance": (centred * (d.y - d.y.mean())).mean(),
            "gram": matrix.T @ matrix,
            "columns": matrix.mean(axis=0),
            "everything": matrix.mean(),
            "histogram": q.histogram(d.x, [0, 1, 2])[0],
            "groups": q.one_hot(q.clip(d.c, 0, 4), 5).astype(int).sum(axis=0),
            "median": q.median(d.x),
            "quartiles": q.quantile(d.x, [0.25, 0.75]),
            "ranks": (q.row_numbers(d.x) * q.sort(d.x)).sum(),
            "head": d.x[:20].sum(),
        }

    assert_all(judged(statistics), fine=True)


def test_what_shows_single_rows_may_not():
    def rows(d):
        return {
            "all": d.x,
            "one": d.x[5],
            "double": d.x * 2 + 1,
            "few": d.x[:5].sum(),
            "sorted": q.sort(d.x),
            "largest": d.x.max(),
            "where": d.x.argmax(),
            "top": q.topk(d.x, 3)[0],
            "end": q.quantile(d.x, 0.0),
            "tail": q.quantile(d.x, 0.95),
            "running": d.x.cumsum(),
            "product": d.y.prod(),
            "read": d.x[q.clip(d.c, 0, ROWS - 1)],
            "read at a count": d.x[q.clip((d.y > 3).sum(), 0, ROWS - 1)],
            "shuffled": q.shuffle({"x": d.x})["x"],
            "residual": d.x - d.x.mean(),
            "unordered": d.x.reshape(10, 10)[0],
        }

    assert_all(judged(rows), fine=False)


def test_a_message_names_output_data_set_and_line():
    def first(d):
        return {"first": d.x[0]}

    why = judged(first)["first"]
    for part in ("'first'", "data set 'd'", "a single row", "test_aggregates.py:", "combine 10 rows"):
        assert part in why


def test_the_same_row_many_times_is_one_row():
    def repeated(d):
        return {
            "pieces": q.concatenate([d.x[:1]] * ROWS).sum(),
            "list": d.x[[5] * 50].sum(),
            "spread": (d.x[3] + np.zeros(ROWS)).sum(),
            "columns": q.stack([d.x, d.y, d.x + d.y, *[d.x] * 10], axis=1).sum(axis=1),
            "emptied": q.concatenate([d.x[:1], d.x[1:] * 0]).sum(),
            "nothing of others": d.x[3] + (d.y * 0).sum(),
        }

    assert_all(judged(repeated), fine=False)


def test_weights_for_each_row_do_not_count():
    def weighed(d, me):
        d, me = q.align(d, me)
        mask = np.zeros(ROWS)
        mask[3] = 1
        numbers = q.row_numbers(d.x)
        pieces = q.concatenate([np.zeros(3), np.ones(1), np.zeros(ROWS - 4)])
        return {
            "upload": (d.x * me.x).sum(),
            "constant": (d.x * mask).sum(),
            "matrix": mask.reshape(1, -1) @ d.x.reshape(-1, 1),
            "pieces": (d.x * pieces).sum(),
            "number": q.where(numbers == 3, d.x, 0).sum(),
            "squares": (numbers * numbers * d.x).sum(),
            "chosen": d.x.mean(where=me.x > 3),
            "through another": ((d.y * 0 + me.y) * d.x).sum(),
            "through nothing": (q.concatenate([d.y[:9] * 0, d.y[:1] * 0 + 1, d.y[10:] * 0]) * d.x).sum(),
            "grouped": q.group_by({"k": me.c, "x": d.x}, by="k").agg(m=("x", "sum"))["m"],
            "sorted by": q.sort_table({"k": me.c, "x": d.x}, by="k")["x"][:50].sum(),
        }

    found = judged(weighed, own=["me"])
    assert_all(found, fine=False)
    assert all("chose for each row" in why for why in found.values())
    mixed = judged(weighed, own=["me"], mixing=True)
    assert not any(mixed[name] for name in ("upload", "constant", "pieces", "squares", "chosen"))


def test_patterns_of_methods_are_no_weights():
    """What statistics and models do with row numbers, padding and flags of samples."""

    def patterns(a, b):
        x, sample = q.concatenate([a.x, b.x]), np.concatenate([np.zeros(ROWS), np.ones(ROWS)])
        ordered = q.sort_table({"x": x, "sample": sample}, by="x")
        new = q.concatenate([np.array([True]), ordered["x"][1:] != ordered["x"][:-1]])
        place = (x > 3).sum()
        chosen = (q.row_numbers(x) == place).astype(q.int64)
        flat = (q.stack([x, x * 2], axis=1) - x.mean()).reshape(-1)
        table = np.array([1.0, 2.0, 5.0])
        return {
            "runs": new.sum(),
            "rank sum": (q.row_numbers(x) * ordered["sample"]).sum(),
            "runs of a sample": (new.astype(q.int64) * ordered["sample"]).sum(),
            "at a secret place": (ordered["x"] * chosen).sum(),
            "squares": flat @ flat,
            "read at a secret place": ordered["x"][q.clip(place, 0, 2 * ROWS - 1)],
            "prices": q.take(table, q.clip(a.c, 0, 2)).sum(),
        }

    assert_all(judged(patterns), fine=True)


def test_own_data_beside_data_sets_is_free():
    def pooled(d, me):
        x, y = q.concatenate([d.x, me.x]), q.concatenate([d.y, me.y])
        return {
            "own": me.x,
            "mean": x.mean(),
            "variance": x.var(),
            "covariance": ((x - x.mean()) * (y - y.mean())).mean(),
            "own again": x[ROWS:],
            "median": q.quantile(q.concatenate([d.x, me.x[:40]]), 0.5),
            "difference": d.x.mean() - me.x.mean(),
            "start": d.x[0] * 0 + d.x.mean(),
            "weight per column": q.stack([d.x, d.y], axis=1).sum(axis=0) * np.array([2.0, 3.0]),
        }

    assert_all(judged(pooled, own=["me"]), fine=True)


def test_two_owners_each_count_for_themselves():
    def joint(a, b):
        x, y = q.concatenate([a.x, b.x]), q.concatenate([a.y, b.y])
        design = q.stack([x, np.ones(2 * ROWS)], axis=1)
        gram, moments = design.T @ design, design.T @ y
        slope = (gram[1, 1] * moments[0] - gram[0, 1] * moments[1]) / q.abs(gram[0, 0] * gram[1, 1])
        site = np.concatenate([np.zeros(ROWS), np.ones(ROWS)])
        return {
            "mean": x.mean(),
            "slope": slope,
            "residuals": ((y - x * slope) ** 2).mean(),
            "of one site": (x * site).sum(),
            "row of b": a.x.mean() + b.x[3],
        }

    found = judged(joint)
    assert "data set 'b'" in found.pop("row of b")
    assert_all(found, fine=True)


def test_groups_show_totals_and_few_keys_but_no_extremes():
    def grouped(d):
        groups = q.group_by({"k": d.c, "x": d.x}, by="k", size=4).agg(
            n="count", mean=("x", "mean"), total=("x", "sum"), least=("x", "min"), first=("x", "first")
        )
        return {name: groups[name] for name in groups}

    found = judged(grouped)
    assert {name for name, why in found.items() if why} == {"least", "first"}


def test_keys_that_can_be_anything_are_rows():
    def grouped(d):
        return {"k": q.group_by({"k": d.c, "x": d.x}, by="k").agg(n="count")["k"]}

    plan = traced(grouped)
    strand = Strand("d@1", "d", 1, Region(0, 0, ROWS), ROWS)
    known = lineage(plan, {("d", "c"): rests(strand), ("d", "x"): rests(strand)}, [(0, 10**6)] * len(plan.operations))
    with pytest.raises(UserError, match="a single row"):
        check_openings(plan, known, ["k"], "analyst", LEAST)


def test_what_was_kept_still_rests_on_its_rows():
    """No laundering: a share that was kept comes with its strands."""

    def second_run(d):
        return {"values": d.x, "total": d.x.sum(), "coefficients": d.y}

    plan = traced(second_run)
    rows = Strand("stays@1", "hospital", 1, Region(0, 0, ROWS), ROWS)
    model = Strand("stays@1", "hospital", ROWS)
    known = lineage(plan, {("d", "x"): rests(rows), ("d", "y"): rests(model)})
    check_openings(plan, known, ["total", "coefficients"], "analyst", LEAST)
    with pytest.raises(UserError, match="data set 'stays'"):
        check_openings(plan, known, ["values"], "analyst", LEAST)
    check_openings(plan, known, ["values"], "hospital", LEAST)  # its own


def test_matrices_that_are_flattened_keep_their_rows():
    strand = Strand("d@1", "d", 1, Region(0, 0, 6), 6)
    flat = reshaped(Facts(frozenset({strand})), (6, 2), (12,))
    assert flat.strands == {Strand("d@1", "d", 1, Region(0, 0, 12), 6)}
    split = reshaped(flat, (12,), (6, 2))
    assert split.strands == {Strand("d@1", "d", 1)}  # which rows lie where is not followed
    turned = reshaped(Facts(frozenset({strand.at(Region(1, 0, 6))})), (2, 6), (12,))
    assert turned.strands == {Strand("d@1", "d", 1, Region(0, 0, 12), 6)}


def matrix_of(d, shape):
    """Two columns, made flat and given a shape."""
    return q.stack([d.x, d.y], axis=1).reshape(-1).reshape(*shape)


def test_what_was_made_flat_knows_its_rows_when_it_has_its_shape_again():
    def back(d):
        matrix = matrix_of(d, (ROWS, 2))
        return {"sums": matrix.sum(axis=0), "gram": matrix.T @ matrix, "head": matrix[:LEAST].mean(axis=0)}

    def elsewhere(d):
        mask = (np.arange(ROWS) == 3).reshape(ROWS, 1).astype(float)
        matrix = matrix_of(d, (ROWS, 2))
        return {
            "row": matrix[3],
            "few": matrix[1:LEAST].sum(axis=0),
            "picked": (matrix * mask).sum(axis=0),
            "other shape": matrix_of(d, (ROWS // 2, 4)).sum(axis=0),
            "turned": matrix.T.reshape(ROWS, 2).sum(axis=0),
            "changed": (matrix_of(d, (-1,))[::-1]).reshape(ROWS, 2).sum(axis=0),
        }

    assert_all(judged(back), fine=True)
    assert_all(judged(elsewhere), fine=False)


def test_a_kept_matrix_knows_its_rows_when_it_has_its_shape_again():
    plan = traced(lambda d: {"flat": matrix_of(d, (-1,))})
    rows = Region(0, 0, ROWS)
    known = lineage(plan, dict.fromkeys(plan.inputs, rests(Strand("d@1", "d", 1, rows, ROWS))))[plan.outputs["flat"]]
    shape = {"bounds": (0, 1), "strands": tuple(known.strands), "chosen": tuple(known.chosen)}
    note = Note(maker="analyst", made=0.0, form=Shaped.of(known), **shape)
    note = msgspec.json.decode(msgspec.json.encode(note), type=Note)
    assert note.facts("analyst").form == known.form
    assert note.facts("somebody").form is None


def test_kinds_of_other_packages_lose_what_is_known():
    def simple(d):
        return {"x": d.x.sum()}

    plan = traced(simple)
    from quorate.coordination.lineage_step import Step

    known = lineage(plan, {("d", "x"): rests(Strand("d@1", "d", 1, Region(0, 0, ROWS), ROWS))})
    step = Step(plan, len(plan.operations) - 1, known, {}, None, False, "")
    assert {strand.rows for strand in step.unknown().strands} == {1}


# ---- what was tried to get around the rules


def test_running_sums_move_rows_on():
    def moved(d):
        def beyond(k):
            return q.concatenate([d.x[k : k + 1], np.zeros(1)])

        return {
            "one": beyond(3).cumsum()[1],
            "largest": beyond(3).record("cummax", axis=0)[1:],
            "all": q.concatenate([beyond(k).cumsum()[1:] for k in range(20)]),
            "of a segment": q.segmented_scan(beyond(3), np.array([True, False]), "sum")[1:],
        }

    assert_all(judged(moved), fine=False)


def test_row_numbers_by_other_routes():
    """All of these make a mask that is 1 at row 3, from operations that nobody needs for it."""

    def masks(d):
        zero, number = d.c * 0, q.row_numbers(d.x)
        flag = q.put(zero, np.array([3]), np.array([1]))
        groups = q.group_by({"k": zero, "x": zero + 1}, by="k", size=ROWS).agg(n="count", s=("x", "sum"))
        always, place = (d.c > -1).any().astype(int), (d.c > -1).sum() - 97
        product = d.x[:12]
        for k in range(11):
            product = product * (q.row_numbers(d.x[:12]) - k)
        return {
            "put": (flag * d.x).sum(),
            "rest": q.put(d.x, np.arange(1, ROWS), np.zeros(ROWS - 1)).sum(),
            "one hot": (d.x * q.one_hot(d.c.sum() * 0 + 3, ROWS)).sum(),
            "one hot of data": (d.x * q.one_hot(q.clip(place, 0, 3), ROWS)).sum(),
            "order": q.where(q.argsort(zero) == 3, d.x, 0).sum(),
            "histogram": (d.x * q.histogram(zero, list(range(ROWS + 1)))[0]).sum(),
            "running": q.where((zero + 1).cumsum() == 4, d.x, 0).sum(),
            "group flags": (d.x * groups["valid"]).sum(),
            "group counts": (d.x * groups["n"]).sum(),
            "group sums": (d.x * groups["s"]).sum(),
            "secret place": q.where(number == place, d.x, 0).sum(),
            "pieces": (d.x * q.stack([always * 0] * 3 + [always] + [always * 0] * 96)).sum(),
            "padding": (d.x * q.concatenate([d.x[:1] > -1, np.zeros(ROWS - 1, bool)])).sum(),
            "rounded": (d.x * ((number + 1).astype(fixed(8)) / 100).astype(fixed(0))).sum(),
            "powers": product.sum(),
            "running twice": (d.x.cumsum().cumsum() + d.x.cumsum()).sum(),
            "running by number": (d.x.cumsum() * number).sum(),
        }

    assert_all(judged(masks), fine=False)


def test_groups_of_columns_beside_each_other():
    def wide(d):
        table = {"k": d.c[:1], "x": d.x.reshape(1, ROWS)}
        return {"x": q.group_by(table, by="k", size=1).agg(x=("x", "sum"))["x"]}

    assert_all(judged(wide), fine=False)


def test_totals_of_groups_that_may_be_rows():
    def totals(d):
        groups = q.group_by({"k": d.c, "x": d.x}, by="k", size=ROWS).agg(x=("x", "sum"), n="count")
        return {"x": groups["x"], "n": groups["n"], "largest": groups["x"].max(), "all": groups["x"].sum()}

    plan = traced(totals)
    sources = dict.fromkeys(plan.inputs, rests(Strand("d@1", "d", 1, Region(0, 0, ROWS), ROWS)))
    for most, refused in ((9, []), (10, ["x", "n", "largest"])):
        known = lineage(plan, sources, [(0, most)] * len(plan.operations))
        assert refusals(plan, known) == refused


def test_own_rows_do_not_make_extremes_of_quantiles():
    def padded(d, me):
        return {
            "all but one": q.median(q.concatenate([d.x, me.x[:98]])),
            "constants": q.median(q.concatenate([d.x, np.zeros(98)])),
            "nothing": q.median(q.concatenate([d.x, (d.y * 0 - 1000)[:98]])),
        }

    assert_all(judged(padded, own=["me"]), fine=False)

    def pooled(a, b):
        return {"median": q.median(q.concatenate([a.x, b.x]))}

    assert_all(judged(pooled), fine=True)


def test_own_data_sets_are_chosen_by_their_owner():
    plan = traced(lambda d, mine: {"weighed": (d.x * mine.x).sum(), "median": q.median(q.concatenate([d.x, mine.x]))})
    whole = Region(0, 0, ROWS)
    own = Facts(frozenset({Strand("mine@1", "analyst", 1, whole, ROWS)}), frozenset({whole}), sure=False)
    sources = {k: own if k[0] == "mine" else rests(Strand("d@1", "d", 1, whole, ROWS)) for k in plan.inputs}
    known = lineage(plan, sources, reader="analyst")
    for name in plan.outputs:
        with pytest.raises(UserError, match="data set 'd'"):
            check_openings(plan, known, [name], "analyst", LEAST)


def test_declared_ranges_of_uploads_prove_nothing():
    """An upload that is declared to be 0 may be anything, so that keys that it multiplies may be, too."""

    def keys(d, me):
        group = d.c * me.c.sum()
        return {"k": q.group_by({"k": group, "x": d.x}, by="k").agg(n="count")["k"]}

    assert_all(judged(keys, own=["me"]), fine=False)


def test_rows_that_are_taken_more_often_than_others_were_given_weights():
    def repeated(d):
        digits = [row for row in range(16) for _ in range(1 << row)]
        return {"digits": d.x[digits].sum(), "one": d.x[[0] * 1000 + list(range(1, ROWS))].sum()}

    found = judged(repeated)
    assert_all(found, fine=False)
    assert all("chose for each row" in why for why in found.values())
    assert not any(judged(repeated, mixing=True).values())
    assert_all(judged(lambda d: {"twice": d.x[list(range(ROWS)) * 2].sum(), "turned": d.x[::-1].sum()}), fine=True)


def test_data_of_the_reader_decides_no_place_in_sorted_rows():
    def places(d, mine):
        ordered, place = q.sort_table({"x": d.x, "y": d.y}, by="x"), mine.c.sum()
        flag = (q.row_numbers(d.x) == place).astype(q.int64)
        return {"mask": (ordered["y"] * flag).sum(), "read": ordered["x"][q.clip(place, 0, ROWS - 1)]}

    plan, whole = traced(places), Region(0, 0, ROWS)
    for reader, refused in (("analyst", ["mask", "read"]), ("", [])):
        own = rests(Strand("mine@1", "analyst", 1, whole, ROWS))
        sources = {k: own if k[0] == "mine" else rests(Strand("d@1", "d", 1, whole, ROWS)) for k in plan.inputs}
        assert refusals(plan, lineage(plan, sources, reader=reader)) == refused


def test_categories_have_rows_on_average():
    def totals(size):
        return lambda d: {
            "counts": q.one_hot(q.clip(d.c, 0, size - 1), size).astype(int).sum(axis=0),
            "sums": q.one_hot(q.clip(d.c, 0, size - 1), size).astype(int).T @ d.c,
        }

    assert_all(judged(totals(ROWS // LEAST)), fine=True)
    assert_all(judged(totals(ROWS // LEAST + 1)), fine=False)


def test_the_largest_rows_together_are_many():
    def largest(d):
        def top(most):
            return q.topk(d.x, most)[0]

        return {
            "sum": top(LEAST).sum(),
            "few": top(LEAST - 1).sum(),
            "one of them": top(LEAST)[-1],
            "picked": (top(LEAST) * np.arange(LEAST) ** 2).sum(),
            "which": q.topk(d.x, LEAST)[1].sum(),
        }

    found = judged(largest)
    assert {name for name, why in found.items() if not why} == {"sum"}

    def pooled(a, b, me):
        both = q.concatenate([a.x, b.x])
        return {
            "both": q.topk(both, LEAST)[0].sum(),
            "own, too": q.topk(q.concatenate([both, me.x[:5]]), LEAST + 4)[0].sum(),
            "end": q.sort(both)[-LEAST:].sum(),
            "short end": q.sort(both)[1 - LEAST :].sum(),
            "end, own, too": q.sort(q.concatenate([both, me.x[:5]]))[-LEAST - 4 :].sum(),
        }

    found = judged(pooled, own=["me"])
    assert {name for name, why in found.items() if not why} == {"both", "end"}


def test_many_pieces_take_no_time_by_the_square():
    pieces = 20_000
    read = Operation("input", (), {"input": "d", "column": "x", "dtype": "int"}, Type(INT, (ROWS,)))
    blank = Operation("constant", (), {"values": [0], "shape": [1], "dtype": "int"}, Type(INT, (1,), secret=False))
    operands = (1,) * pieces + (0,) * pieces
    long = Operation("concat", operands, {"axis": 0}, Type(INT, (pieces * (ROWS + 1),)))
    before = time.process_time()
    lineage(Plan("p", (read, blank, long)), {("d", "x"): rests(Strand("d@1", "d", 1, Region(0, 0, ROWS), ROWS))})
    assert time.process_time() - before < 10


def test_very_long_arrays_are_not_followed():
    long = Operation("iota", (), {"size": 1 << 25}, Type(INT, (1 << 25,), secret=False))
    with pytest.raises(UserError, match="33554432 elements along an axis"):
        lineage(Plan("test", (long,), {}), {})


@pytest.mark.parametrize(
    "item", [[2, 9, 1], [9, 2, -1], [1, 10, 3], [9, None, -3], [None, None, -1], [7, 7, 1], [5, 6, 1]]
)
def test_slices_are_counted_as_lists_of_positions_are(item):
    from quorate.coordination.lineage_moves import indexed

    strand, taken = Strand("d@1", "d", 1, Region(0, 3, 8), 5), list(range(10)[slice(*item)])
    facts = Facts(frozenset({strand}), frozenset({Region(0, 2, 7)}), frozenset({0}))
    sliced = indexed(facts, (10,), [["slice", *item]], (len(taken),))
    assert sliced == indexed(facts, (10,), [["take", taken]], (len(taken),))
