"""Costs and operations in words, for people: what tree, drawing and notebook say alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorate.coordination.outline import Box

__all__ = ["box_facts", "box_title", "cost_text", "counted", "dealer_warning", "duration"]


def duration(seconds: float) -> str:
    """A time for people: "1.95 s", "37 ms", "2 h 5 min"."""
    if seconds >= 3600:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    if seconds >= 120:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def dealer_warning(dealer: str) -> str:
    """What it means that a protocol has a trusted dealer."""
    return (
        f"{dealer} deals the correlated randomness and gets no shares, but knows all of it: together with the messages "
        "that any ONE party sees it could work out all inputs. Choose a dealer that colludes with no party, or a "
        "protocol that needs none (rep3, shamir)."
    )


def box_title(box: Box, row: Mapping[str, Any] | None = None) -> str:
    """Number, kind and constants of a box: "%13 sqrt", "8 × eq", "%4 input st_mary.cost"."""
    if row is not None and box.kind == "input":
        name = f"input {row['attributes']['input']}.{row['attributes']['column']}"
    else:
        name = box.kind
    constants = f" ({'; '.join(box.constants)})" if box.constants else ""
    first = f"%{box.members[0]} {name}{constants}"
    return first if len(box.members) == 1 else f"{first} and {len(box.members) - 1} alike"


def box_facts(row: Mapping[str, Any]) -> list[str]:
    """Type, range and worst error of an operation's result, as far as there are such."""
    facts = (row["bound_type"].replace("secret ", ""), _range(row["range"]), _error(row["error"]))
    return [fact for fact in facts if fact]


def cost_text(box: Box) -> str:
    """Rounds, bytes and time of a box; empty if it costs nothing."""
    if not box.rounds:
        return ""
    return f"{counted(box.rounds, 'round')}, {box.bytes_sent:,} B, {duration(box.seconds)}"


def counted(number: int, noun: str) -> str:
    """ "1 round", "2 rounds"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _range(range_: list[Any]) -> str:
    if not range_ or isinstance(range_[0], list):
        return ""
    low, high = (f"{end:.4g}" for end in range_)
    return low if low == high else f"{low} .. {high}"


def _error(error: float | None) -> str:
    return "± open" if error is None else f"± {error:.2g}" if error else ""
