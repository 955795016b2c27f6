"""Protocols of other packages are found by their entry points."""

from importlib import metadata
from importlib.metadata import EntryPoint

import pytest

from quorate.errors import UserError
from quorate.protocols import registry
from quorate.protocols.rep3 import Rep3


class Mine(Rep3):
    name = "mine"


def offer(monkeypatch, **offers):
    entries = [EntryPoint(name, value, registry.PLUG_INS) for name, value in offers.items()]
    monkeypatch.setattr(metadata, "entry_points", lambda group: entries if group == registry.PLUG_INS else [])


def test_offered_protocols_are_found(monkeypatch):
    offer(monkeypatch, mine=f"{__name__}:Mine")
    assert registry.protocol_class("mine") is Mine
    assert registry.protocol_class("rep3") is Rep3


def test_unknown_names_list_what_there_is(monkeypatch):
    offer(monkeypatch, mine=f"{__name__}:Mine")
    with pytest.raises(UserError, match=r"no protocol 'other'; choose one of .*shamir_malicious.*, mine"):
        registry.protocol_class("other")


@pytest.mark.parametrize(
    ("offers", "message"),
    [
        ({"mine": f"{__name__}:Mine", "rep3": f"{__name__}:Mine"}, "'rep3', a name of quorate's own"),
        ({"mine": "no_such_module:Mine"}, "cannot be loaded"),
        ({"mine": f"{__name__}:offer"}, "is not a Protocol with the name 'mine'"),
        ({"yours": f"{__name__}:Mine"}, "is not a Protocol with the name 'yours'"),
    ],
)
def test_bad_offers_are_refused(monkeypatch, offers, message):
    offer(monkeypatch, **offers)
    with pytest.raises(UserError, match=message):
        registry.protocol_class(next(iter(offers)))
