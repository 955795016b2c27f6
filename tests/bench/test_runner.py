"""Measurements between real processes: records are complete, predictions and simulated networks are in them."""

import json

import pytest

from quorate.bench.runner import run, setting_for
from quorate.cli.main import main
from quorate.engine.network import Network
from quorate.errors import UserError


@pytest.mark.parametrize("transport", ["tls", "plain", "simulate"])
def test_record(transport):
    record = run("equality", setting_for("rep3", transport), 2000, 5)
    assert (record.n, record.parties, record.threshold, record.repetitions) == (2000, 3, 1, 5)
    assert 0 < record.fastest <= record.seconds <= record.slowest
    assert record.rounds > 1
    assert record.bytes_sent_per_party > 2000
    assert record.peak_mb_per_party > 10
    assert (record.predicted_seconds is not None) == (transport == "tls")
    assert record.rtt is None


@pytest.mark.parametrize("protocol", ["rep3", "semi2k"])
def test_simulated_network(protocol):
    """Of ten round trips of 30 ms, measured time and prediction are within a quarter of each other."""
    setting = setting_for(protocol, "tls", network=Network.parse("30ms", "50Mbit"), dealer=protocol == "semi2k")
    record = run("equality", setting, 5000, 5)
    assert (record.rtt, record.bandwidth) == ("30ms", "50Mbit")
    assert record.predicted_seconds == pytest.approx(record.seconds, rel=0.25)
    assert record.seconds > record.rounds * 0.015


def test_no_network_in_one_process():
    with pytest.raises(UserError, match="choose the transport tls, plain or durable"):
        run("product", setting_for("rep3", "simulate", network=Network.parse("1ms")), 10)


def test_command(capsys):
    with pytest.raises(SystemExit) as finished:
        main(["bench", "product", "--transport", "simulate", "--size", "100", "--json"])
    assert finished.value.code == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["name"] == "product"
    assert record["bytes_sent_per_party"] == 800


def bench(capsys, *arguments):
    with pytest.raises(SystemExit) as finished:
        main(["bench", *arguments, "--transport", "simulate", "--json"])
    assert finished.value.code == 0
    return json.loads(capsys.readouterr().out)


def test_online(capsys):
    """Tuples are made beforehand: what is counted is the opening of two masked values per product."""
    (online,) = bench(capsys, "product_online", "--protocol", "semi2k", "--size", "3000")
    assert (online["bytes_per_operation"], online["rounds"]) == (16, 1)
    (whole,) = bench(capsys, "product", "--protocol", "semi2k", "--size", "3000")
    assert 400 < whole["bytes_per_operation"] < 700
    assert whole["rounds"] > 1


def test_a_dealer_makes_them_instead(capsys):
    (record,) = bench(capsys, "product", "--protocol", "semi2k", "--size", "3000", "--dealer")
    assert (record["bytes_per_operation"], record["rounds"]) == (16, 1)


def test_tuples_of_each_kind(capsys):
    records = bench(capsys, "tuples", "--protocol", "semi2k", "--size", "1000")
    assert {record["name"] for record in records} == {"tuples products", "tuples AND words", "tuples bit conversions"}
    assert all(record["per_second"] > 0 and record["clear_seconds"] == 0 for record in records)


def test_protocols_without_tuples():
    with pytest.raises(UserError, match="rep3 needs no tuples"):
        run("product_online", setting_for("rep3", "simulate"), 10)


def test_unknown_names(capsys):
    with pytest.raises(SystemExit) as finished:
        main(["bench", "product", "products"])
    assert finished.value.code
    assert "no benchmark products" in capsys.readouterr().err
