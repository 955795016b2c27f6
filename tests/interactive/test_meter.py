"""Bars of long plans and runs, in terminals and in notebooks."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import quorate as q
from quorate.errors import UserError
from quorate.interactive import meter


class Notebook:
    """What IPython has in a kernel: remembers what each display was last, and how often it was drawn."""

    def __init__(self):
        self.shown: list[str] = []
        self.drawn: list[str] = []

    def display(self, pictures, raw, display_id):
        assert raw
        assert display_id
        self.shown.append("")
        place = len(self.shown) - 1

        def update(pictures, raw):
            self.shown[place] = pictures["text/html"]
            self.drawn.append(pictures["text/html"])

        update(pictures, raw)
        return SimpleNamespace(update=update)


@pytest.fixture
def notebook(monkeypatch):
    made = Notebook()
    shell = SimpleNamespace(kernel=object(), compile=SimpleNamespace(format_code_name=lambda name: None))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=made.display))
    monkeypatch.setattr(meter, "PAUSE", 0.0)
    return made


def run_ten(bar):
    bar.begin(10)
    for done in range(1, 11):
        bar(done, 10)


def test_short_runs_show_nothing(notebook, capsys):
    run_ten(bar := meter.Bar())
    bar.end()
    assert notebook.shown == []
    assert capsys.readouterr().err == ""


def test_logs_show_nothing(monkeypatch, capsys):
    monkeypatch.setattr(meter, "PATIENCE", -1.0)
    run_ten(bar := meter.Bar())
    bar.end()
    assert capsys.readouterr().err == ""


def test_terminals_show_a_bar_that_goes_away(monkeypatch, capsys):
    monkeypatch.setattr(meter, "PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    run_ten(bar := meter.Bar())
    assert bar._display is not None
    bar.end()
    assert bar._display is None
    assert "10/10" in capsys.readouterr().err


def test_notebooks_show_a_bar_that_goes_away(notebook, monkeypatch):
    monkeypatch.setattr(meter, "PATIENCE", -1.0)
    run_ten(bar := meter.Bar())
    assert '<progress value="10" max="10"></progress> 10 of 10 operations' in notebook.shown[0]
    bar.end()
    assert notebook.shown == [""]


def test_large_plans_say_at_once_that_they_are_made(notebook):
    bar = meter.Bar()
    bar.begin(meter.MANY)
    assert "planning 1,000 operations" in notebook.shown[0]
    assert "max=" not in notebook.shown[0]
    bar(1, 900)
    assert "1 of 900" in notebook.shown[0]
    bar.end()
    assert notebook.shown == [""]


def test_a_bar_is_drawn_only_so_often(notebook, monkeypatch):
    monkeypatch.setattr(meter, "PATIENCE", -1.0)
    monkeypatch.setattr(meter, "PAUSE", 60.0)
    run_ten(meter.Bar())
    assert len(notebook.drawn) == 1


def test_sessions_show_it_while_they_plan_run_and_quote(notebook, monkeypatch):
    monkeypatch.setattr(meter, "PATIENCE", -1.0)
    monkeypatch.setattr(meter, "MANY", 1)
    with q.simulate(protocol="clear") as net:
        x = net.secret(np.arange(5), range=(0, 10))
        for ask in (lambda: x.sum().reveal(), lambda: net.quote(x.max()), lambda: net.explain(x.max())):
            before = len(notebook.shown)
            ask()
            assert notebook.shown[before:] == [""]
        assert any("planning" in picture for picture in notebook.drawn)
        assert any("max=" in picture for picture in notebook.drawn)
        with pytest.raises(UserError):
            (net.secret([1], range=(0, 2**40)) ** 2).reveal()
        assert not any(notebook.shown)


def test_progress_of_the_caller_takes_its_place(notebook, monkeypatch):
    monkeypatch.setattr(meter, "PATIENCE", -1.0)
    seen = []
    with q.simulate(protocol="clear", progress=lambda done, total: seen.append((done, total))) as net:
        net.secret(np.arange(5)).sum().reveal()
    assert seen[-1][0] == seen[-1][1]
    assert notebook.shown == []
