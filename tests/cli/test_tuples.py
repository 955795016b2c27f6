"""Looking at stocks of tuples, and filling them from the command line."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.node.tuples import Group, Shelf

GROUP = Group(parties=("alder", "birch"), protocol="semi2k", threshold=1, security=40)
GENERATION = "ab" * 16
STOCKS = """
stocks: 1
fence: fence
groups:
  - {parties: [alder, birch], protocol: semi2k, chunk: 64, kinds: {AND words: 64}}
"""


@pytest.fixture
def stocked(example):
    """Alder's stock: 100 words, of which a session took 30."""
    (example / "stocks.yaml").write_text(STOCKS)
    shelf = Shelf(example / "state", "alder", GROUP, example / "fence")
    shelf.begin(GENERATION, [], "0" * 32)
    shelf.add(GENERATION, "0" * 32, "AND words", 0, [np.zeros(100, np.uint64)] * 3, 0.25)
    shelf.claim(GENERATION, "1" * 32, {"AND words": (0, 30)})
    return example


def test_what_is_in_stock(here, stocked):
    told = here("tuples", stocked / "federation.yaml", "--as", "alder", "--json").json()
    (group,) = told["groups"]
    assert (group["parties"], group["protocol"], group["generation"]) == (["alder", "birch"], "semi2k", GENERATION)
    stock = {"left": 70, "wanted": 64, "made": 100, "spent": 30, "per_second": 400.0}
    assert group["kinds"] == {"AND words": stock}
    (session,) = group["sessions"]
    assert (session["session"], session["start"], session["stop"]) == ("1" * 32, 0, 30)


def test_a_table_for_people(here, stocked):
    shown = here("tuples", stocked / "federation.yaml", "--as", "alder").out
    for text in ("semi2k with alder, birch", "AND words", "70", "400", "took 30 AND words from 0 on"):
        assert text in " ".join(shown.split())


def test_looking_changes_nothing_even_without_the_fence(here, stocked):
    (stocked / "stocks.yaml").unlink()
    before = {path: path.read_bytes() for path in (stocked / "state").rglob("*") if path.is_file()}
    told = here("tuples", stocked / "federation.yaml", "--as", "alder", "--json").json()
    assert told["groups"][0]["kinds"]["AND words"]["left"] == 70
    assert {path: path.read_bytes() for path in (stocked / "state").rglob("*") if path.is_file()} == before


def test_nothing_in_stock_says_what_to_do(here, example):
    assert "stocks.yaml" in here("tuples", example / "federation.yaml", "--as", "alder").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--as", "birch", "--produce", "5"), "birch is the first party of no group"),
        (("--as", "alder", "--produce", "0"), "make at least one"),
        (("--as", "alder", "--produce", "5", "--kind", "cubes"), "--kind cubes"),
        (("--as", "alder", "--produce", "5"), "alder"),
    ],
)
def test_production_that_cannot_be(here, stocked, options, message):
    ended = here("tuples", stocked / "federation.yaml", *options)
    assert ended.code != 0
    assert message in ended.err


def test_a_quote_lists_what_is_needed_and_in_stock(here, stocked, edit):
    spec = stocked / "protocol_spec.yaml"
    old = "{name: rep3, adversary: semi-honest, threshold: 1}\nparties: [alder, birch, cedar]"
    edit(spec, old, "{name: semi2k, adversary: semi-honest}\nparties: [alder, birch]")
    rows = ("--rows", "st_mary=150", "--rows", "st_luke=100", "--rows", "st_anna=120")
    quoted = here("quote", spec, *rows, "--json").json()
    assert quoted["tuples"]["AND words"] > 0
    assert quoted["in_stock"] == {"alder": {kind: 70 if kind == "AND words" else 0 for kind in quoted["tuples"]}}
    stocked_quote = here("quote", spec, *rows, "--stocked", "--json").json()
    assert stocked_quote["tuples"] == quoted["tuples"]
    assert stocked_quote["bytes_sent"] < quoted["bytes_sent"]
    shown = here("quote", spec, *rows).out
    assert "made during the session" in shown
    assert "in stock at alder" in shown
