"""Run one participant's program on arrays without content, to learn its exact cost."""

from __future__ import annotations

from typing import Any

from quorate.engine.exchange import Step
from quorate.engine.party import Party

__all__ = ["count"]


def count(program: Step[Any]) -> Party:
    """The finished party of a program whose session is `counting`: read `rounds`, `sent`, `messages` from it.

    Every awaited message counts as arrived, so participants are counted one at a time.
    """
    party = Party(program)
    while not party.done:
        if not party.advance():
            for peer, name in party.waiting():
                party.filled(peer, name)
        party.outbox.clear()
    return party
