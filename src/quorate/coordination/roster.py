"""Who takes part in the sessions of a spec, in which order, and in which roles."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.coordination.spec import Spec
from quorate.errors import UserError

__all__ = ["Roster", "roster"]


@dataclass(frozen=True, slots=True)
class Roster:
    """The participants of a session, by index: parties first, then the dealer, then outside owners and recipients.

    Attributes:
        participants: member names in order.
        parties: number of compute parties.
        dealer: index of the dealer, or None.
        owners: input -> index of its owner; stored inputs are absent.
        recipients: output -> indices to which it is opened; kept outputs are absent.
    """

    participants: tuple[str, ...]
    parties: int
    dealer: int | None
    owners: dict[str, int]
    recipients: dict[str, tuple[int, ...]]

    def index(self, member: str) -> int:
        """The index of a member. Raises `UserError` if it does not take part."""
        if member not in self.participants:
            raise UserError(f"{member!r} takes no part in this spec; it names {', '.join(self.participants)}")
        return self.participants.index(member)

    def links(self, index: int) -> list[int]:
        """The participants with which `index` has a connection: all, but outsiders only with the parties."""
        inside = range(self.parties)
        others = range(len(self.participants)) if index < self.parties else inside
        return [other for other in others if other != index]


def roster(spec: Spec) -> Roster:
    """The roster of a checked spec; the same at everybody who holds the same spec."""
    names = list(spec.parties)
    if spec.dealer is not None:
        names.append(spec.dealer)
    for member in [item.owner for item in spec.inputs if item.owner is not None]:
        names += [member] if member not in names else []
    for output in spec.outputs:
        names += [member for member in sorted(spec.recipients(output)) if member not in names]
    position = {name: index for index, name in enumerate(names)}
    return Roster(
        tuple(names),
        len(spec.parties),
        None if spec.dealer is None else position[spec.dealer],
        {item.name: position[item.owner] for item in spec.inputs if item.owner is not None},
        {
            output.name: tuple(sorted(position[member] for member in spec.recipients(output)))
            for output in spec.outputs
            if output.keep is None
        },
    )
