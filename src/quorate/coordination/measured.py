"""What `quorate doctor --measure` found out about the network, and how a quote uses it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from quorate.coordination.roster import Roster
from quorate.coordination.timeline import Links
from quorate.data.document import convert, parse_json
from quorate.engine.network import Network
from quorate.errors import UserError
from quorate.files import read_bytes, write_atomic

__all__ = ["Measurement", "Pair", "load_measurement", "save_measurement"]

_LIMIT = 1 << 20
_FORMAT = 1


class Pair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from"}):
    """Between two members: microseconds there and back, and bits per second from the first to the second."""

    source: str
    to: str
    rtt_us: int
    bandwidth: int


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measured network: of which federation, when (YYYY-MM-DD), and between whom."""

    measured: int = _FORMAT
    federation: str
    date: str
    pairs: tuple[Pair, ...]

    def links(self, who: Roster) -> Links:
        """The network of a session: pairs that were not measured are taken to be as slow as the slowest that were.

        Raises:
            UserError: no pair of this session was measured, or a figure is impossible.
        """
        known = {name: index for index, name in enumerate(who.participants)}
        pairs = {
            (known[pair.source], known[pair.to]): Network(pair.rtt_us, pair.bandwidth)
            for pair in self.pairs
            if pair.source in known and pair.to in known
        }
        if not pairs:
            raise UserError(
                f"the measurement of {self.federation!r} names no two of {', '.join(who.participants)}; measure again "
                "with 'quorate doctor FEDERATION --measure FILE'"
            )
        slowest = Network(max(n.rtt_us for n in pairs.values()), min(n.bandwidth for n in pairs.values()))
        return Links(slowest, pairs)


def load_measurement(path: Path) -> Measurement:
    """Read a file that `quorate doctor --measure` wrote.

    Raises:
        UserError: no such file, or it is no measurement.
    """
    found = convert(parse_json(read_bytes(path, _LIMIT), str(path)), Measurement, str(path))
    if found.measured != _FORMAT:
        raise UserError(f"{path}: format {found.measured} of measurements is not {_FORMAT}; measure with this version")
    return found


def save_measurement(path: Path, measurement: Measurement) -> None:
    """Write a measurement as JSON; raises as `write_atomic`."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(measurement), indent=1) + b"\n")
