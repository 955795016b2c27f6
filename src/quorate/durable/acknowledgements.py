"""Which parcels may be acknowledged to their carrier, and when: what came of them must be durable before."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Acknowledgements"]


class Acknowledgements:
    """The tokens of parcels that have arrived, on their way back to the carrier."""

    def __init__(self) -> None:
        self._taken: list[object] = []
        self._settled: list[object] = []
        self._refused: list[tuple[object, str]] = []

    def take(self, *tokens: object) -> None:
        """These parcels are safe with us after the next `commit`."""
        self._taken += tokens

    def give_up(self, token: object) -> None:
        """The session has failed over this parcel: nothing more comes of it; taken or not, it comes back once."""
        if all(held is not token for held in self._taken):
            self._taken.append(token)

    def refuse(self, tokens: Iterable[object], why: str) -> None:
        """These are of no use."""
        self._refused += [(token, why) for token in tokens]

    def commit(self) -> None:
        """Everything is durable now."""
        self._settled += self._taken
        self._taken = []

    def settled(self) -> list[object]:
        """Tokens of parcels that are safe with us, each once."""
        tokens, self._settled = self._settled, []
        return tokens

    def refused(self) -> list[tuple[object, str]]:
        """Tokens of parcels that are of no use, with the reason, each once."""
        refused, self._refused = self._refused, []
        return refused
