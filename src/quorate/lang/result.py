"""Results of several secret parts: what a method gives back, in a computation or in an interactive session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from quorate.errors import UserError
from quorate.html import panel, table
from quorate.lang.array import SecretArray

__all__ = ["Result"]


class Result(ABC):
    """Named secret arrays that belong together.

    A computation that returns one under a name has an output NAME.PART for each part. In an interactive session
    `reveal` opens all parts in one run.
    """

    @abstractmethod
    def parts(self) -> Mapping[str, SecretArray]:
        """What there is to open, by name."""

    def finished(self, values: Mapping[str, Any]) -> Any:
        """What `reveal` gives, from the opened values of all parts; by default these."""
        return dict(values)

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}: {array.dtype}{list(array.shape)}" for name, array in self.parts().items())
        return f"<{type(self).__name__} {parts or 'without results'}; reveal() opens it>"

    def _repr_html_(self) -> str:
        rows = [[name, str(array.dtype), str(array.shape)] for name, array in self.parts().items()]
        note = "its values stay secret until reveal()" if rows else "no results yet"
        return panel(self._title(), *([table(["secret", "type", "shape"], rows)] if rows else []), note=note)

    def _title(self) -> str:
        return type(self).__name__

    def reveal(self) -> Any:
        """Open all parts: plan and run what they depend on. See `finished` for what comes back.

        Raises:
            UserError: outside an interactive session, or there is nothing to open.
        """
        parts = dict(self.parts())
        if not parts:
            raise UserError(f"{type(self).__name__} has no results yet; fit it first")
        trace = next(iter(parts.values())).trace
        return trace.stamped(self.finished(trace.reveal_all(parts)), parts.values())
