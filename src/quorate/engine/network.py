"""How far apart the participants of a session are: what circuits and quotes weigh rounds against bytes with.

A session has one `Network`, agreed with its spec, so that every participant makes the same choices. It is a model:
nothing measures it during a run, and results never depend on it. Integers only: floats could round differently on two
machines, and participants that choose differently could not compute together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from quorate.errors import UserError

__all__ = ["LAN", "Network", "parse_bandwidth", "parse_rtt"]

HANDLING = 40_000
"""Nanoseconds that a round takes beside the way through the network: system calls, TLS, waking up."""
BYTE_PICOSECONDS = 2_000
"""Picoseconds that making, encrypting and reading one byte takes; it overlaps with sending."""
LONGEST_RTT = 60_000_000
LEAST_BANDWIDTH, MOST_BANDWIDTH = 1_000, 10**13

_NUMBER = r"(\d{1,15}(?:\.\d{1,9})?)"
_TIMES = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000}
_RATES = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9, "tbit": 10**12}


@dataclass(frozen=True, slots=True)
class Network:
    """The connections between participants, all taken to be alike.

    Attributes:
        rtt_us: microseconds to a peer and back, 0 to 60 s.
        bandwidth: bits per second that each participant can send in all, and at the same time receive in all.
    """

    rtt_us: int
    bandwidth: int

    def __post_init__(self) -> None:
        if not 0 <= self.rtt_us <= LONGEST_RTT:
            raise UserError(f"a round trip of {self.rtt_us} us is not possible here; use 0 to 60 s")
        if not LEAST_BANDWIDTH <= self.bandwidth <= MOST_BANDWIDTH:
            raise UserError(f"a bandwidth of {self.bandwidth} bit/s is not possible here; use 1 kbit to 10 Tbit")

    @classmethod
    def parse(cls, rtt: str | None = None, bandwidth: str | None = None) -> Network:
        """From texts such as "40ms" and "100Mbit"; what is not given is that of `LAN`. Raises `UserError`."""
        return cls(
            LAN.rtt_us if rtt is None else parse_rtt(rtt),
            LAN.bandwidth if bandwidth is None else parse_bandwidth(bandwidth),
        )

    def nanoseconds(self, rounds: int, size: int) -> int:
        """The time of `rounds` dependent rounds in which each party sends `size` bytes in all.

        Half a round trip and the handling per round; per byte the slower of sending it and computing on it.
        """
        wire = size * 8_000_000_000_000 // self.bandwidth
        return rounds * (self.rtt_us * 500 + HANDLING) + max(wire, size * BYTE_PICOSECONDS) // 1000

    @property
    def rtt(self) -> str:
        """The round trip as a text that `parse` reads, in the largest unit that gives a whole number: "40ms"."""
        return _shown(self.rtt_us, {"s": 1_000_000, "ms": 1_000, "us": 1})

    @property
    def rate(self) -> str:
        """The bandwidth as a text that `parse` reads, in the largest unit that gives a whole number: "100Mbit"."""
        return _shown(self.bandwidth, {"Gbit": 10**9, "Mbit": 10**6, "kbit": 10**3, "bit": 1})

    def __str__(self) -> str:
        return f"{self.rtt} round trip, {self.rate}/s"


LAN = Network(200, 10**10)
"""What a session has unless its spec says otherwise: machines of one data centre."""


def parse_rtt(text: str) -> int:
    """Microseconds of "40ms", "0.3ms", "200us" or "1s".

    Raises:
        UserError: anything else, parts of a microsecond, or more than 60 s.
    """
    found = re.fullmatch(_NUMBER + r"\s*(us|µs|ms|s)", text.strip())
    if not found:
        raise UserError(f"{text[:40]!r} is not a round-trip time; write a number with us, ms or s, such as 40ms")
    result = _whole(Fraction(found[1]) * _TIMES[found[2]], text, "microseconds")
    if result > LONGEST_RTT:
        raise UserError(f"a round trip of {text!r} is not possible here; use at most 60s")
    return result


def parse_bandwidth(text: str) -> int:
    """Bits per second of "100Mbit", "1Gbit", "2.5Gbit/s" or "512kbit".

    Raises:
        UserError: anything else (bytes instead of bits included), or outside 1 kbit to 10 Tbit.
    """
    found = re.fullmatch(_NUMBER + r"\s*([kmgt]?bit)(?:/s)?", text.strip(), re.IGNORECASE)
    if not found:
        bytes_meant = re.search(r"(?<![a-zA-Z])[kKMGT]i?B(?:yte|ps)?s?(?:/s)?$", text.strip())
        hint = "; bandwidth counts bits: 1 MB/s is 8Mbit" if bytes_meant else ""
        raise UserError(
            f"{text[:40]!r} is not a bandwidth; write a number with kbit, Mbit or Gbit, such as 100Mbit{hint}"
        )
    result = _whole(Fraction(found[1]) * _RATES[found[2].lower()], text, "bits")
    if not LEAST_BANDWIDTH <= result <= MOST_BANDWIDTH:
        raise UserError(f"a bandwidth of {text!r} is not possible here; use 1kbit to 10Tbit")
    return result


def _whole(value: Fraction, text: str, unit: str) -> int:
    if value.denominator != 1:
        raise UserError(f"{text[:40]!r} is no whole number of {unit}; write fewer decimals")
    return value.numerator


def _shown(value: int, units: dict[str, int]) -> str:
    unit = next((unit for unit, size in units.items() if value and value % size == 0), list(units)[-1])
    return f"{value // units[unit]}{unit}"
