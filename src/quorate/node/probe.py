"""Measuring the way between two members: round trips of a short message, and a message long enough to fill the line."""

from __future__ import annotations

import threading
import time

from quorate.coordination.agreement import software
from quorate.engine.network import LEAST_BANDWIDTH, LONGEST_RTT, MOST_BANDWIDTH
from quorate.errors import UserError
from quorate.node.control import Control, call, dial
from quorate.node.identity import Identity
from quorate.node.messages import Ballast, Hello, Probed, Response

__all__ = ["Prober", "measure"]

_ROUND_TRIPS = 8
_FIRST, _LARGEST = 1 << 16, 1 << 22
_LONG_ENOUGH = 0.25
"""Seconds that the longest message should take, so that neither its start nor the clock matters."""
_PATIENCE = 60.0


def measure(control: Control[Response]) -> Probed:
    """Measure the way to the node at the other end of a control connection; takes about a second, 6 MiB at most.

    The bandwidth is that of one connection over TLS, as a session has it: on a fast network, what one core encrypts.

    Raises:
        QuorateError: the node does not answer.
    """
    trip = min(_seconds(control, Hello(software=software())) for _ in range(_ROUND_TRIPS))
    size = _FIRST
    while True:
        took = max(_seconds(control, Ballast(body="0" * size)) - trip, 1e-6)
        if took >= _LONG_ENOUGH or size >= _LARGEST:
            break
        size *= 4
    bandwidth = min(max(int(8 * size / took), LEAST_BANDWIDTH), MOST_BANDWIDTH)
    return Probed(rtt_us=min(int(trip * 1e6), LONGEST_RTT), bandwidth=bandwidth)


def _seconds(control: Control[Response], request: Hello | Ballast) -> float:
    begun = time.perf_counter()
    call(control, request, _PATIENCE)
    return time.perf_counter() - begun


class Prober:
    """Measures on behalf of coordinators, one connection at a time."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._busy = threading.Lock()

    def probe(self, name: str) -> Probed:
        """Measure the way to the node of `name`.

        Raises:
            UserError: there is no such node, it is this one, or another measurement is under way.
            QuorateError: the node cannot be reached, or does not answer.
        """
        member = self._identity.federation.member(name)
        if not member.has("compute", "dealer") or name == self._identity.name:
            raise UserError(
                f"{name} has no other node to measure the way to; name a member with role compute or dealer"
            )
        if not self._busy.acquire(blocking=False):
            raise UserError("this node measures for somebody else just now; try again in a few seconds")
        try:
            control = dial(self._identity, member)
            try:
                return measure(control)
            finally:
                control.close()
        finally:
            self._busy.release()
