"""Sizes that are sums of row counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import UserError
from quorate.lang.dims import Dim, bind_size, parse_size, rows_of, text_of

A, B = rows_of("a"), rows_of("b")


def test_equal_expressions_are_equal_and_read_well():
    assert A + B - 1 == B + (A - 1)
    assert str(2 * A + B - 1) == "2*rows(a)+rows(b)-1"
    assert str(3 - A) == "-1*rows(a)+3"
    assert A - A == 0
    assert 5 + A - A == 5
    assert A * 0 == 0


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(-9, 9), st.integers(0, 99), st.integers(0, 99))
def test_binding_follows_arithmetic_and_text_reads_back(x, y, c, rows_a, rows_b):
    size = x * A + B * y - c
    text = text_of(size)
    if isinstance(size, Dim) or size >= 0:
        assert parse_size(text) == size
    number = x * rows_a + y * rows_b - c
    if number >= 0:
        assert bind_size(size, {"a": rows_a, "b": rows_b}) == number
    elif isinstance(size, Dim):
        with pytest.raises(UserError, match="too few rows"):
            size.bind({"a": rows_a, "b": rows_b})


@pytest.mark.parametrize(
    "text",
    ["", "rows(a)+", "rows(b)+rows(a)", "1*rows(a)", "rows(a)+rows(a)", "+rows(a)", "rows(a) ", "rows(a)+0", "07", "5",
     "rows(1)", "rows(a)*2", "2**rows(a)", "٣*rows(a)", "9" * 5000 + "*rows(a)", "rows(a)\n", -1],
)  # fmt: skip
def test_other_texts_are_refused(text):
    with pytest.raises(UserError):
        parse_size(text)


def test_what_depends_on_the_number_is_refused():
    for attempt in (
        lambda: bool(A), lambda: int(A), lambda: range(A), lambda: A * B, lambda: A + 1.5, lambda: A * 0.5,
        lambda: A - "x",
    ):  # fmt: skip
        with pytest.raises(UserError, match=r"rows\(a\)"):
            attempt()
    with pytest.raises(UserError, match="'b' is not known"):
        (A + B).bind({"a": 1})
