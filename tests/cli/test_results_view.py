"""Results of every kind as text, JSON and HTML."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from quorate.analytics.opened import Fitted
from quorate.cli.results_view import page, plain, show_results

FRAME = pd.DataFrame({"x[b]": [1.5, np.nan], "<y>": ["p", "q"]}, index=["r", "s"])
RESULTS = {
    "number": np.float64(0.25),
    "long": np.arange(60),
    "cube": np.ones((2, 2, 2)),
    "nobody": np.zeros((0, 2)),
    "frame": FRAME,
    "series": pd.Series([1.0, np.inf], index=["a", "b"]),
    "model": Fitted(
        {"r2_": 0.5, "coef_": np.array([1.0, 2.0]), "feature_names_in_": ["age", "dose"]}, axes={"coef_": ("feature",)}
    ),
    "parts": {"shown": np.array([True, False])},
}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (RESULTS["number"], 0.25),
        (np.array([1.0, np.nan, np.inf, -np.inf]), [1.0, None, "inf", "-inf"]),
        (np.array([True, False]), [True, False]),
        (FRAME, {"index": ["r", "s"], "columns": ["x[b]", "<y>"], "data": [[1.5, "p"], [None, "q"]]}),
        (RESULTS["series"], {"index": ["a", "b"], "data": [1.0, "inf"]}),
        (RESULTS["model"], {"r2_": 0.5, "coef_": [1.0, 2.0], "feature_names_in_": ["age", "dose"]}),
        ((1, None, range(2)), [1, None, [0, 1]]),
    ],
)
def test_plain_data(value, wanted):
    assert plain(value) == wanted
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == wanted


def test_tables_in_the_terminal(capsys):
    show_results(RESULTS)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "number = 0.25" in lines
    assert "20 more …" in lines
    assert "19 19" in lines
    assert "20 20" not in lines
    assert "40 40" in lines
    assert "x[b] <y>" in lines
    assert "r 1.5 p" in lines
    assert "s – q" in lines
    assert "b inf" in lines
    assert "dose 2" in lines
    assert "0 1 1 1 1" in lines


def test_a_page_of_html_escapes_what_it_shows():
    made = page("a < b", RESULTS, "session 1")
    assert "<title>a &lt; b</title>" in made
    assert "&lt;y&gt;" in made
    assert "<y>" not in made
    assert "dose" in made
    assert "session 1" in made
