"""Bars of long runs."""

from __future__ import annotations

from quorate.interactive import meter


def test_short_runs_and_logs_show_nothing(capsys):
    bar = meter.Bar()
    for done in range(1, 11):
        bar(done, 10)
    bar.end()
    assert capsys.readouterr().err == ""


def test_long_runs_show_a_bar_that_goes_away(monkeypatch, capsys):
    monkeypatch.setattr(meter, "PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    bar = meter.Bar()
    bar(1, 10)
    bar(2, 10)
    assert bar._shown is not None
    bar(10, 10)
    assert bar._shown is None
    assert "10" in capsys.readouterr().err


def test_a_run_that_fails_takes_its_bar_away(monkeypatch):
    monkeypatch.setattr(meter, "PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    bar = meter.Bar()
    bar(1, 10)
    bar(2, 10)
    bar.end()
    assert bar._shown is None
