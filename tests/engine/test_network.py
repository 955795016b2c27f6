"""The network model that participants agree on: texts, units, and the same integers at everybody."""

from __future__ import annotations

import pytest

from quorate.engine.network import BYTE_PICOSECONDS, HANDLING, LAN, Network, parse_bandwidth, parse_rtt
from quorate.engine.session import Session
from quorate.errors import UserError


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("40ms", 40_000),
        ("0.3ms", 300),
        ("200us", 200),
        ("200 µs", 200),
        ("1s", 1_000_000),
        ("0ms", 0),
        ("60s", 6 * 10**7),
    ],
)
def test_round_trip_times(text: str, microseconds: int) -> None:
    assert parse_rtt(text) == microseconds


@pytest.mark.parametrize(
    ("text", "bits"),
    [("100Mbit", 10**8), ("1Gbit", 10**9), ("2.5Gbit/s", 25 * 10**8), ("512kbit", 512_000), ("10 tbit", 10**13)],
)
def test_bandwidths(text: str, bits: int) -> None:
    assert parse_bandwidth(text) == bits


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("40", "with us, ms or s"),
        ("-1ms", "is not a round-trip time"),
        ("1e3ms", "is not a round-trip time"),
        ("nanms", "is not a round-trip time"),
        ("", "is not a round-trip time"),
        ("0.0005ms", "no whole number of microseconds"),
        ("61s", "at most 60s"),
        ("9" * 400 + "ms", "is not a round-trip time"),
    ],
)
def test_what_is_no_round_trip(text: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        parse_rtt(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("100", "with kbit, Mbit or Gbit"),
        ("100MB", "counts bits: 1 MB/s is 8Mbit"),
        ("100MB/s", "counts bits"),
        ("0Mbit", "1kbit to 10Tbit"),
        ("11Tbit", "1kbit to 10Tbit"),
        ("1000.5bit", "no whole number of bits"),
        ("fast", "is not a bandwidth"),
    ],
)
def test_what_is_no_bandwidth(text: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        parse_bandwidth(text)


@pytest.mark.parametrize(("rtt", "bandwidth"), [(0, 1000), (1, 10**13), (1500, 1_000_001), (40_000, 10**8)])
def test_texts_are_read_back(rtt: int, bandwidth: int) -> None:
    network = Network(rtt, bandwidth)
    assert Network.parse(network.rtt, network.rate) == network


def test_defaults() -> None:
    assert Network.parse() == LAN
    assert Network.parse(rtt="40ms") == Network(40_000, LAN.bandwidth)
    assert Session(0, 3, ("a", "b", "c")).network == LAN


@pytest.mark.parametrize(("rtt", "bandwidth"), [(-1, 10**8), (10**9, 10**8), (0, 0), (0, 10**14)])
def test_impossible_networks(rtt: int, bandwidth: int) -> None:
    with pytest.raises(UserError, match="not possible"):
        Network(rtt, bandwidth)


def test_time_on_a_slow_network() -> None:
    slow = Network.parse("40ms", "100Mbit")
    assert slow.nanoseconds(10, 0) == 10 * (20_000_000 + HANDLING)
    assert slow.nanoseconds(0, 10**6) == 80_000_000
    assert isinstance(slow.nanoseconds(3, 10**12), int)


def test_on_a_fast_network_computing_is_slower_than_sending() -> None:
    assert LAN.nanoseconds(0, 10**6) == 10**6 * BYTE_PICOSECONDS // 1000
