"""What notebooks show: escaped, complete, and never a secret value."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import quorate as q
from quorate.analytics.opened import Fitted
from quorate.html import Markup, bytes_text, facts, number, panel, table, text

EVIL = '<script>alert("x")</script>&'
VOID = {"br", "hr", "img", "rect", "path", "line", "input", "meta", "link"}


class Checked(HTMLParser):
    """Checks that tags are balanced, and collects them with the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def checked(thing: object) -> Checked:
    """The HTML of something, which must hold no script and load nothing from elsewhere."""
    source = thing if isinstance(thing, str) else thing._repr_html_()
    page = Checked(source)
    assert not page.tags & {"script", "iframe", "object", "link", "img"}
    assert "http" not in source.replace("http://www.w3.org/2000/svg", "")
    return page


@pytest.fixture
def net():
    with q.simulate(protocol="rep3", seed=5) as session:
        yield session


def test_everything_that_comes_in_is_escaped():
    page = checked(panel(EVIL, table([EVIL], [[EVIL]]), facts({EVIL: EVIL}), EVIL, note=EVIL))
    assert page.text.count('<script>alert("x")</script>&') == 7
    assert text(Markup("<b>")) == "<b>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567, "1,234,567"),
        (2.0, "2"),
        (0.1234567, "0.123457"),
        (float("nan"), "–"),
        (True, "True"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_are_short(value, shown):
    assert number(value) == shown


def test_bytes_for_people():
    assert [bytes_text(size) for size in (812, 3_200_000, 5 * 10**12)] == ["812 B", "3.2 MB", "5e+03 GB"]


def test_long_tables_show_both_ends():
    page = checked(table(["row"], [[k] for k in range(1000)]))
    assert {"0", "999", "…"} <= set(page.texts)
    assert "500" not in page.texts


def test_a_secret_array_shows_type_and_shape_and_no_value(net):
    values = np.array([1234.5, 4321.5, 777.5])
    secret = net.secret(values, range=(0, 5000))
    page = checked(secret)
    assert "fixed" in page.text
    assert "(3,)" in page.text
    assert "0 to 5000" in page.text
    assert not [one for one in ("1234", "4321", "777") if one in page.text]
    assert net.runs == []


def test_a_table_names_its_columns(net):
    page = checked(net.secret({EVIL: np.array([17, 18]), "age": np.array([71, 72])}, range=(0, 128)))
    assert EVIL in page.text
    assert "age" in page.text
    assert not [one for one in ("17", "18", "71", "72") if one in page.texts]


def test_an_array_of_a_computation_that_is_written_down_has_a_display_too():
    pages = []

    @q.computation
    def total(a):
        pages.append(checked(a))
        return {"total": a.sum()}

    total.simulate(a=[1, 2, 3])
    assert "rows(a)" in pages[0].text or "(3,)" in pages[0].text


def test_a_session_and_its_runs(net):
    assert "runs so far" in checked(net).text
    net.secret([71, 72, 74]).sum().reveal()
    run = net.last_run
    assert run.session in checked(run).text
    assert run.plan in checked(run).text
    assert f"{run.bytes_by_party[0]:,}" in checked(run).text
    assert run.session[:8] in checked(net).text
    assert "1 run, rep3" in checked(net.receipt()).text


def test_opened_results_are_tables(net):
    rng = np.random.default_rng(1)
    x = pd.DataFrame({"dose": rng.normal(size=30), EVIL: rng.normal(size=30)})
    opened = q.analytics.LinearRegression().fit(net.secret(x), net.secret(x["dose"] * 2)).reveal()
    page = checked(opened)
    assert {"dose", EVIL, "coef"} <= set(page.texts)
    assert net.last_run.session[:8] in page.text


def test_opened_matrices_are_shown_in_part():
    page = checked(Fitted(centres_=np.arange(200.0).reshape(2, 100), inertia_=np.float64(2.5)))
    assert {"centres", "inertia", "2.5", "11", "…"} <= set(page.texts)
    assert "50" not in page.texts


def test_quotes_and_explanations(net):
    x = net.secret(np.linspace(0, 10, 50), range=(0, 10))
    result = (x * x).mean()
    page = checked(net.quote(result))
    assert "computing" in page.text
    assert f"{net.quote(result).rounds:,}" in page.texts
    explained = net.explain(result)
    page = checked(explained)
    assert "svg" in page.tags
    selectors = re.findall(r"(?:^|})([^{}]+){", " ".join(re.findall(r"<style>(.*?)</style>", explained._repr_html_())))
    assert len(selectors) > 10
    assert all(part.strip().startswith((".quorate", ".plan")) for one in selectors for part in one.split(","))
    assert "party" in page.text
    assert str(explained)
    assert repr(explained) == str(explained)
    assert net.runs == []
