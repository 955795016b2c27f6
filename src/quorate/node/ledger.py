"""How many numbers each analyst has opened of each data set at a node, in all sessions so far."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from quorate.coordination.lineage import Facts
from quorate.errors import EnvironmentFault, UserError
from quorate.files import read_bytes, write_atomic
from quorate.lang.operations.base import concrete
from quorate.lang.plan import Plan
from quorate.node.locked import locked
from quorate.node.messages import Opened

__all__ = ["Ledger", "numbers_opened"]

_Count = Annotated[int, msgspec.Meta(ge=0)]


def numbers_opened(plan: Plan, known: Sequence[Facts], opened: Sequence[str], reader: str) -> dict[str, int]:
    """OWNER/NAME of a data set -> how many of the opened numbers rest on it; those of `reader` do not count.

    Args:
        plan: all sizes are numbers.
        known: of all operations, see `quorate.coordination.aggregates.lineage`.
        opened: names of outputs.
    """
    found: Counter[str] = Counter()
    for name in opened:
        target = plan.outputs[name]
        strands = [strand for strand in known[target].strands if strand.owner != reader]
        for data_set in {f"{strand.owner}/{strand.source.partition('@')[0]}" for strand in strands}:
            found[data_set] += math.prod(concrete(plan.operations[target].type.shape))
    return dict(found)


@dataclass(frozen=True)
class Ledger:
    """What analysts have opened at the node of `member`: one file for each, below HOME/interactive/openings/MEMBER.

    A data set that is placed anew, in whatever version, goes on with the count of its name. Files are replaced in one
    step and on disk before the session goes on: a crash may count what was not opened, and never the other way round.
    """

    folder: Path
    member: str

    @property
    def _place(self) -> Path:
        return self.folder / "openings" / self.member

    def counts(self, who: str) -> dict[str, int]:
        """OWNER/NAME of a data set -> how many numbers `who` has opened of it.

        Raises:
            EnvironmentFault: the file is damaged or cannot be read; it never counts as empty.
        """
        path = self._place / f"{who}.json"
        if not path.exists():
            return {}
        try:
            return msgspec.json.decode(read_bytes(path), type=dict[str, _Count])
        except msgspec.MsgspecError:
            raise EnvironmentFault(
                f"{path}: damaged; restore it from a backup, or write the counts anew, such as {{}} for none"
            ) from None

    def told(self, caller: str, most: int | None) -> tuple[Opened, ...]:
        """What `caller` may know: what it has opened itself, and what others have opened of its data sets."""
        found = []
        for analyst in sorted(path.stem for path in self._place.glob("*.json")):
            with contextlib.suppress(EnvironmentFault):  # the next session of that analyst says so
                for key, numbers in self.counts(analyst).items():
                    owner, _, name = key.partition("/")
                    if caller in (owner, analyst):
                        found.append(Opened(data_set=name, owner=owner, analyst=analyst, numbers=numbers, most=most))
        return tuple(found)

    def check(self, who: str, opened: Mapping[str, int], most: int | None) -> dict[str, int]:
        """The counts with `opened` added.

        Raises:
            UserError: `who` would have opened more than `most` numbers of a data set.
            EnvironmentFault: as `counts`.
        """
        before = self.counts(who)
        for data_set, more in sorted(opened.items()):
            had = before.get(data_set, 0)
            if most is not None and had + more > most:
                raise UserError(
                    f"most_openings: {who} has opened {had} of {most} numbers of the data set "
                    f"{data_set.partition('/')[2]!r}, and this opens {more} more; open fewer, or ask the operators "
                    "of the nodes to raise most_openings"
                )
        return before | {data_set: before.get(data_set, 0) + more for data_set, more in opened.items()}

    def charge(self, who: str, opened: Mapping[str, int], most: int | None) -> None:
        """Count what is about to be opened; raises as `check`, and then nothing is counted."""
        if not opened:
            return
        with locked(self._place):
            after = self.check(who, opened, most)
            write_atomic(self._place / f"{who}.json", msgspec.json.encode(after, order="sorted"), 0o600)
