"""SPDZ2k: numbers modulo 2^64 in the ring modulo 2^128; see `quorate.protocols.authenticated` for protocol and costs.

Source: Cramer, Damgard, Escudero, Scholl, Xing, "SPDZ2k: Efficient MPC mod 2^k for Dishonest Majority", CRYPTO 2018,
with k = 64, s = 64. Of a secret the low 64 bits count; whatever is opened has its upper 64 bits masked.

Security: malicious, abort, any n - 1 of n >= 2 parties. A wrong opening passes with probability below 2^-59
(`quorate.preprocessing.mac_check`), a wrong product that the parties made with 2^-50, and what is known of such
products is off from uniform by at most 2^-s for s = `session.security`, 40 at least
(`quorate.preprocessing.ring_triples`). So up to 50 bits can be asked for.
"""

from __future__ import annotations

from typing import ClassVar

from quorate.protocols.authenticated_bits import AuthenticatedBits
from quorate.sharing.domain import RING, Domain

__all__ = ["Spdz2k"]


class Spdz2k(AuthenticatedBits):
    """One participant of SPDZ2k: a party, the dealer if there is one, or an outsider."""

    name: ClassVar[str] = "spdz2k"
    domain: ClassVar[Domain] = RING
    capacity: ClassVar[int] = 62
    most_security: ClassVar[int] = 50
