"""SPDZ over the field p = 2^61 - 1; see `quorate.protocols.authenticated` for the protocol, its sources and costs.

Security: malicious, abort, any n - 1 of n >= 2 parties. A wrong result is accepted with probability below 2^-58 per
check of a session: 2^-59 by the check of openings, 2^-61 by the sacrifice of products. Without a dealer: products are
as good as 2^-s for s = `session.security` (40 at least), see `quorate.preprocessing.authenticated_triples`. So up to 58
bits can be asked for.
"""

from __future__ import annotations

from typing import ClassVar

from quorate.protocols.authenticated_bits import AuthenticatedBits
from quorate.sharing.domain import FIELD, Domain

__all__ = ["Spdz"]


class Spdz(AuthenticatedBits):
    """One participant of SPDZ: a party, the dealer if there is one, or an outsider."""

    name: ClassVar[str] = "spdz"
    domain: ClassVar[Domain] = FIELD
    capacity: ClassVar[int] = 59
    most_security: ClassVar[int] = 58
