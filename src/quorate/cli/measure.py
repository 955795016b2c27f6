"""Measuring the network between the members of a federation, for `quorate quote --measured`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.errors import EnvironmentFault, PeerError, QuorateError, UserError

if TYPE_CHECKING:
    from quorate.coordination.federation import Federation, Member
    from quorate.coordination.measured import Pair
    from quorate.node.identity import Identity

__all__ = ["measure_network"]

_PATIENCE = 90.0


def measure_network(federation: Federation, name: str | None, file: Path, say: Callable[[str], None]) -> list[Pair]:
    """Measure the way from us to every node and, as a coordinator, between all nodes; write it to `file`.

    What cannot be measured is said and left out.

    Raises:
        UserError: it is not clear who we are.
        EnvironmentFault: no pair at all could be measured, or the file cannot be written.
    """
    from quorate.coordination.measured import Measurement, save_measurement
    from quorate.node.identity import Identity

    if name is None:
        raise UserError("say who you are with --as NAME to measure the network: nodes answer to members only")
    pairs = list(_pairs(Identity(federation, name), say))
    if not pairs:
        raise EnvironmentFault("nothing could be measured, see above; start the nodes, and try again")
    date = time.strftime("%Y-%m-%d", time.gmtime())
    save_measurement(file, Measurement(federation=federation.name, date=date, pairs=tuple(pairs)))
    return pairs


def _pairs(identity: Identity, say: Callable[[str], None]) -> Iterator[Pair]:
    nodes = [member for member in identity.federation.members if member.has("compute", "dealer")]
    others = [node for node in nodes if node.name != identity.name]
    for node in others:
        say(f"measuring {identity.name} to {node.name} ...")
        yield from _tried(lambda node=node: _own(identity, node), say)  # type: ignore[misc]
    if not identity.member.has("coordinator"):
        say(f"{identity.name} lacks the role coordinator; the ways between nodes are measured for coordinators only")
        return
    for node in others:
        for other in nodes:
            if other.name != node.name:
                say(f"measuring {node.name} to {other.name} ...")
                yield from _tried(lambda node=node, other=other: _between(identity, node, other), say)  # type: ignore[misc]


def _tried(action: Callable[[], Pair], say: Callable[[str], None]) -> Iterator[Pair]:
    try:
        yield action()
    except QuorateError as problem:
        say(f"  left out: {problem}")


def _own(identity: Identity, node: Member) -> Pair:
    from quorate.coordination.measured import Pair
    from quorate.node.control import dial
    from quorate.node.probe import measure

    control = dial(identity, node)
    try:
        found = measure(control)
    finally:
        control.close()
    return Pair(source=identity.name, to=node.name, rtt_us=found.rtt_us, bandwidth=found.bandwidth)


def _between(identity: Identity, node: Member, other: Member) -> Pair:
    from quorate.coordination.measured import Pair
    from quorate.node.control import call, dial
    from quorate.node.messages import Probe, Probed

    control = dial(identity, node)
    try:
        found = call(control, Probe(member=other.name), _PATIENCE)
    finally:
        control.close()
    if not isinstance(found, Probed):
        raise PeerError(f"{node.name} gave an answer that does not fit the question; compare releases")
    return Pair(source=node.name, to=other.name, rtt_us=found.rtt_us, bandwidth=found.bandwidth)
