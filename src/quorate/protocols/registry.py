"""The protocols by name. A new protocol is one module and one line here, or one line in the package that brings it.

[project.entry-points."quorate.protocols"]
mine = "my_package.my_module:MyProtocol"
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.protocols.bystander import bystander

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["PLUG_INS", "PROTOCOLS", "default_threshold", "make", "protocol_class"]

PLUG_INS = "quorate.protocols"
"""Entry points of this group name further protocols; they are imported when a spec asks for them."""

PROTOCOLS = {
    "clear": "quorate.protocols.clear:Clear",
    "rep3": "quorate.protocols.rep3:Rep3",
    "rep3_malicious": "quorate.protocols.rep3_malicious:Rep3Malicious",
    "shamir": "quorate.protocols.shamir:Shamir",
    "shamir_malicious": "quorate.protocols.shamir_malicious:ShamirMalicious",
    "shamir_quorum": "quorate.protocols.shamir_quorum:ShamirQuorum",
    "semi2k": "quorate.protocols.semi2k:Semi2k",
    "spdz": "quorate.protocols.spdz:Spdz",
    "spdz2k": "quorate.protocols.spdz2k:Spdz2k",
}


def protocol_class(name: str) -> type[Protocol]:
    """The class of protocol `name`: one of ours, or one that an installed package offers, see `PLUG_INS`.

    Raises:
        UserError: there is none, or what a package offers is of no use.
    """
    if name in PROTOCOLS:
        module, attribute = PROTOCOLS[name].split(":")
        found: type[Protocol] = getattr(import_module(module), attribute)
        return found
    offered = _offered()
    if name not in offered:
        raise UserError(f"there is no protocol {name!r}; choose one of {', '.join([*PROTOCOLS, *sorted(offered)])}")
    return _loaded(offered[name])


def _offered() -> dict[str, EntryPoint]:
    """What installed packages offer. Raises `UserError` if one uses a name of ours, although ours would win."""
    from importlib.metadata import entry_points  # takes a while, and few need it

    offered = {entry.name: entry for entry in entry_points(group=PLUG_INS)}
    for name in PROTOCOLS:
        if name in offered:
            raise UserError(
                f"the package with {offered[name].value} offers a protocol {name!r}, a name of quorate's own; "
                "uninstall it, or have it choose another name"
            )
    return offered


def _loaded(entry: EntryPoint) -> type[Protocol]:
    """The class that a package offers. Raises `UserError` if it cannot be loaded or is no protocol of that name."""
    try:
        found = entry.load()
    except Exception as error:  # whatever the package's own code raises
        raise UserError(f"protocol {entry.name!r} of {entry.value} cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Protocol) and found.name == entry.name):
        raise UserError(f"{entry.value} is not a Protocol with the name {entry.name!r}; correct its package")
    return found


def default_threshold(name: str, parties: int) -> int:
    """Most parties that may be corrupted without learning anything, for the usual choice of parameters.

    Raises:
        UserError: there is no such protocol.
    """
    return {"none": 0, "honest": (parties - 1) // 2, "dishonest": parties - 1}[protocol_class(name).majority]


def make(name: str, session: Session, threshold: int | None = None) -> Protocol:
    """One participant's instance of protocol `name`.

    Raises:
        UserError: unknown protocol, or a number of parties or threshold that it cannot have.
    """
    cls = protocol_class(name)
    chosen = default_threshold(name, session.parties) if threshold is None else threshold
    outside = session.me >= session.parties and session.me != session.dealer
    return bystander(cls, session, chosen) if outside else cls(session, chosen)
