"""Positions of tuples: no position is handed out twice, whatever happens to whose ledger."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import InternalError
from quorate.preprocessing.ledger import Holding, Ledger, common


def ledger(*chunks, gone=0):
    return Ledger(generation="g", gone={"x": gone}, chunks={"x": chunks})


@pytest.mark.parametrize(
    ("chunks", "gone", "expected"),
    [
        ((), 0, (0, 0, 0)),
        ((), 7, (7, 7, 7)),
        (((0, 5),), 0, (0, 5, 5)),
        (((0, 5), (5, 9)), 2, (2, 9, 9)),
        (((0, 5), (7, 9)), 2, (2, 5, 9)),
        (((0, 5), (7, 9)), 5, (7, 9, 9)),
        (((0, 5), (7, 9)), 6, (7, 9, 9)),
        (((0, 5),), 12, (12, 12, 12)),
    ],
)
def test_what_can_be_handed_out_next(chunks, gone, expected):
    assert ledger(*chunks, gone=gone).holding("x") == Holding(*expected)


def test_left_counts_beyond_gaps():
    assert ledger((0, 5), (7, 9), gone=3).left("x") == 4
    assert Ledger().left("x") == 0


def test_handing_out_raises_the_mark_and_forgets_chunks():
    after = ledger((0, 5), (5, 9)).spent({"x": (0, 6)})
    assert (after.gone, after.chunks) == ({"x": 6}, {"x": ((5, 9),)})
    assert after.spent({"x": (20, 20)}).gone == {"x": 20}


@pytest.mark.parametrize("wrong", [(1, 3), (2, 10), (5, 4), (0, 0)])
def test_what_is_gone_or_absent_is_not_handed_out(wrong):
    with pytest.raises(InternalError, match="cannot be handed out"):
        ledger((0, 9), gone=2).spent({"x": wrong})


def test_new_tuples_are_numbered_behind_all_others():
    assert ledger((0, 5)).added("x", 8, 9).chunks == {"x": ((0, 5), (8, 9))}
    for start in (0, 4, 11):
        with pytest.raises(InternalError, match="numbered"):
            ledger((0, 5), gone=12).added("x", start, start + 1)


def test_marks_only_rise():
    held = ledger((0, 5), (5, 9), gone=6)
    assert held.raised({"x": 3}).gone == {"x": 6}
    assert held.raised({"x": 9, "y": 1}) == Ledger(generation="g", gone={"x": 9, "y": 1})


def test_the_highest_mark_wins_and_the_shortest_stock():
    agreed = common([Holding(0, 10, 10), Holding(4, 8, 20), Holding(2, 9, 9)])
    assert (agreed.start, agreed.available, agreed.end) == (4, 4, 20)
    assert common([Holding(0, 3, 3), Holding(5, 9, 9)]).available == 0


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_nothing_is_handed_out_twice_by_parties_that_are_restored_and_lose_chunks(data):
    """Two parties; at any time one may go back to an earlier ledger of its own, or fail to store a chunk.

    One of them always knows what is gone: if both go back, nothing can tell.
    """
    now = [Ledger(generation="g"), Ledger(generation="g")]
    history = [[now[0]], [now[1]]]
    used: set[int] = set()
    for _ in range(data.draw(st.integers(1, 12))):
        agreed = common([held.holding("x") for held in now])
        action = data.draw(st.sampled_from(["make", "spend", "spend", "restore"]))
        if action == "make":
            size, stored = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([(0, 1), (0,), (1,)]))
            now = [h.added("x", agreed.end, agreed.end + size) if i in stored else h for i, h in enumerate(now)]
        elif action == "spend":
            count = min(agreed.available, data.draw(st.integers(0, 4)))
            fresh = set(range(agreed.start, agreed.start + count))
            assert not fresh & used
            used |= fresh
            now = [held.spent({"x": (agreed.start, agreed.start + count)}) for held in now]
        else:
            who = data.draw(st.sampled_from([i for i in (0, 1) if now[1 - i].gone.get("x", 0) > max(used, default=-1)]))
            now[who] = data.draw(st.sampled_from(history[who]))
        for held, past in zip(now, history, strict=True):
            past.append(held)


def test_who_uses_the_keys_is_kept_whatever_else_changes():
    held = ledger((0, 5), gone=0).used_by("s")
    for later in (held.raised({"x": 3}), held.spent({"x": (0, 2)}), held.added("x", 5, 7)):
        assert later.in_use == "s"
        assert later.used_by("") == msgspec.structs.replace(later, in_use="")


def test_a_ledger_survives_encoding():
    held = ledger((0, 5), (7, 9), gone=3).used_by("s")
    assert msgspec.json.decode(msgspec.json.encode(held), type=Ledger) == held
