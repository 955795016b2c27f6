"""The protocols by name. A new protocol is one module and one line here."""

from __future__ import annotations

from importlib import import_module

from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.protocols.bystander import bystander

__all__ = ["PROTOCOLS", "default_threshold", "make", "protocol_class"]

PROTOCOLS = {
    "clear": "quorate.protocols.clear:Clear",
    "rep3": "quorate.protocols.rep3:Rep3",
    "shamir": "quorate.protocols.shamir:Shamir",
    "semi2k": "quorate.protocols.semi2k:Semi2k",
}


def protocol_class(name: str) -> type[Protocol]:
    """The class of protocol `name`. Raises `UserError` for an unknown name."""
    if name not in PROTOCOLS:
        raise UserError(f"there is no protocol {name!r}; choose one of {', '.join(PROTOCOLS)}")
    module, attribute = PROTOCOLS[name].split(":")
    found: type[Protocol] = getattr(import_module(module), attribute)
    return found


def default_threshold(name: str, parties: int) -> int:
    """Most parties that may be corrupted without learning anything, for the usual choice of parameters."""
    return {"clear": 0, "rep3": 1, "semi2k": parties - 1}.get(name, (parties - 1) // 2)


def make(name: str, session: Session, threshold: int | None = None) -> Protocol:
    """One participant's instance of protocol `name`.

    Raises:
        UserError: unknown protocol, or a number of parties or threshold that it cannot have.
    """
    cls = protocol_class(name)
    chosen = default_threshold(name, session.parties) if threshold is None else threshold
    outside = session.me >= session.parties and session.me != session.dealer
    return bystander(cls, session, chosen) if outside else cls(session, chosen)
