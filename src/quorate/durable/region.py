"""Region locks: a session that is bound to a region does not leave it, neither in a node nor in a broker's queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from quorate.errors import UserError

__all__ = ["Place", "check_region", "lies_in"]


class Place(NamedTuple):
    """Where something of a session is kept or computed: `what` it is, for people, and its region if it states one."""

    what: str
    region: str | None


def lies_in(region: str | None, bound: str | None) -> bool:
    """Whether a place in `region` may serve a session bound to `bound` (None: to nothing).

    A region holds its parts: "eu-central-1" lies in "eu". A place that does not say where it is lies nowhere.
    """
    if bound is None:
        return True
    return region is not None and (region == bound or region.startswith(bound + "-"))


def check_region(bound: str | None, places: Iterable[Place]) -> None:
    """Refuse to run a session of that region over places outside.

    Raises:
        UserError: names all that lie elsewhere or do not say where they are.
    """
    outside = [place for place in places if not lies_in(place.region, bound)]
    if not outside:
        return
    listed = "; ".join(
        f"{what} states no region" if region is None else f"{what} lies in {region!r}" for what, region in outside
    )
    raise UserError(
        f"the session is bound to the region {bound!r}, but {listed}; choose another inbox or node there, state its "
        "region in the federation file if it is missing, or change `region` in the spec with everybody's consent"
    )
