"""Protocols without functions of summands, to test the circuits that do without: the usual ones, shorn of them.

They are not in the registry; a test that wants them puts them there:

    monkeypatch.setitem(registry.PROTOCOLS, "rep3-bare", BARE["rep3-bare"])
"""

from __future__ import annotations

from typing import ClassVar

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.protocols.base import Function, Protocol
from quorate.protocols.clear import Clear
from quorate.protocols.rep3 import Rep3
from quorate.protocols.semi2k import Semi2k
from quorate.protocols.shamir import Shamir
from quorate.sharing.share import Arithmetic

__all__ = ["BARE", "BareClear", "BareRep3", "BareSemi2k", "BareShamir"]


class _Bare(Protocol):
    """`known` and `known_dot` are refused."""

    @property
    def summand_count(self) -> int:
        return 0

    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        raise InternalError(f"{self.name} has no functions of summands")

    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        raise InternalError(f"{self.name} has no functions of summands")


class BareClear(_Bare, Clear):
    """The plaintext protocol."""

    name: ClassVar[str] = "clear-bare"


class BareRep3(_Bare, Rep3):
    """Three parties, ring."""

    name: ClassVar[str] = "rep3-bare"


class BareShamir(_Bare, Shamir):
    """Any number of parties, field."""

    name: ClassVar[str] = "shamir-bare"


class BareSemi2k(_Bare, Semi2k):
    """Two parties or more with a dealer, ring."""

    name: ClassVar[str] = "semi2k-bare"


BARE = {cls.name: f"{__name__}:{cls.__name__}" for cls in (BareClear, BareRep3, BareShamir, BareSemi2k)}
"""By name, as in `registry.PROTOCOLS`."""
