"""What a node holds for interactive sessions: data sets with their descriptions, and shares of results.

It lies in a vault of its own below HOME/interactive, so that approved specs and interactive sessions cannot name each
other's shares. Nothing is overwritten: the names of shares begin with the session that made them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quorate.crypto.pki import check_name
from quorate.errors import EnvironmentFault, UserError
from quorate.files import ensure_folder, file_error, read_bytes, write_atomic
from quorate.node.locked import locked
from quorate.node.messages import Card
from quorate.node.vault import Vault

__all__ = ["Collection", "source_of"]

_VERSIONS = 2
"""Of each data set: one that everybody has, and one that some may not have yet."""


def source_of(card: Card) -> str:
    """How strands name a version of a data set."""
    return f"{card.name}@{card.session}"


@dataclass(frozen=True)
class Collection:
    """All of it at one member, below the node's data folder `home`."""

    home: Path
    member: str

    @property
    def vault(self) -> Vault:
        """The shares."""
        return Vault(self.folder, self.member)

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return self.home / "interactive"

    @property
    def _sets(self) -> Path:
        return self.folder / "sets" / self.member

    def cards(self) -> list[Card]:
        """All data sets, of each the newest version last."""
        found = [_card(path) for path in sorted(self._sets.glob("*/*.json"))]
        return sorted(found, key=lambda card: (card.name, card.placed, card.session))

    def cards_for(self, member: str) -> tuple[Card, ...]:
        """The data sets that `member` has placed or may use, as the newest version of each says."""
        cards = self.cards()
        newest = _newest(cards)
        return tuple(card for card in cards if _serves(newest[card.name, card.owner], member))

    def check_free(self, name: str, owner: str) -> None:
        """Raises `UserError` if somebody else has placed a data set of that name, or it is no name."""
        try:
            check_name(name)
        except UserError:
            raise UserError(
                f"{name!r} cannot name a data set; use 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends"
            ) from None
        taken = [card.owner for card in self.cards() if card.name == name and card.owner != owner]
        if taken:
            raise UserError(f"the data set {name!r} belongs to {taken[0]}; choose another name")

    def add(self, card: Card) -> None:
        """Write the description of a data set whose shares are in the vault; older versions go, but for one.

        Raises:
            UserError: as `check_free`.
            EnvironmentFault: the disk is full, or this machine refuses the write.
        """
        with locked(self._sets):
            self.check_free(card.name, card.owner)
            folder = self._sets / card.name
            ensure_folder(folder, 0o700)
            write_atomic(folder / f"{card.session}.json", msgspec.json.encode(card), 0o600)
            versions = [other for other in self.cards() if (other.name, other.owner) == (card.name, card.owner)]
            for old in versions[:-_VERSIONS]:
                self._drop(old)

    def remove(self, name: str, caller: str) -> None:
        """Delete a data set of the caller, and every share that rests on it.

        Raises:
            UserError: there is none of that name, or it belongs to somebody else.
        """
        with locked(self._sets):
            versions = [card for card in self.cards() if card.name == name]
            if not versions:
                raise UserError(f"there is no data set {name!r} at this node")
            own = [card for card in versions if card.owner == caller]
            if not own:
                raise UserError(f"the data set {name!r} belongs to {versions[0].owner}, who alone may remove it")
            for card in own:
                self._drop(card)
            with contextlib.suppress(OSError):
                (self._sets / name).rmdir()

    def _drop(self, card: Card) -> None:
        """Delete one version and what was kept of it. First the description: without it nothing of it is used."""
        path = self._sets / card.name / f"{card.session}.json"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise file_error(error, path, "delete") from error
        source, vault = source_of(card), self.vault
        for name in vault.names():
            note = vault.glance(name)
            if name in card.shares or (note is not None and any(s.source == source for s in note.strands)):
                vault.remove(name)

    def forget(self, names: Sequence[str], caller: str) -> None:
        """Delete shares of results that were kept for the caller; names of others are passed over."""
        vault = self.vault
        for name in {*names} & {*self._kept()}:
            note = vault.glance(name)
            if note is not None and note.maker == caller:
                vault.remove(name)

    def expire(self, days: float) -> None:
        """Delete shares of results that are older."""
        vault, oldest = self.vault, time.time() - days * 86400
        for name in self._kept():
            note = vault.glance(name)
            if note is not None and note.made < oldest:
                vault.remove(name)

    def _kept(self) -> Iterator[str]:
        """Names of shares that belong to no data set."""
        placed = {share for card in self.cards() for share in card.shares}
        return (name for name in self.vault.names() if name not in placed)

    def check_usable(self, names: Sequence[str], caller: str) -> None:
        """Raises `UserError` unless the caller may compute on all these shares."""
        cards = self.cards()
        newest = _newest(cards)
        columns = {share: newest[card.name, card.owner] for card in cards for share in card.shares}
        for name in names:
            if name not in columns:
                self._check_own(name, caller, newest)
            elif not _serves(columns[name], caller):
                raise _withdrawn(columns[name].name, columns[name].owner, caller)

    def _check_own(self, name: str, caller: str, newest: Mapping[tuple[str, str], Card]) -> None:
        """A result may be used as long as its caller may use every data set that it rests on."""
        note = self.vault.glance(name) if _harmless(name) else None
        if note is None or note.maker != caller:
            raise UserError(
                f"no shares {name!r} are kept for {caller}: the data set was replaced or removed, or the "
                "results were kept too long ago; connect again"
            )

        for strand in note.strands:
            card = newest.get((strand.source.partition("@")[0], strand.owner))
            if strand.owner != caller and (card is None or not _serves(card, caller)):
                raise _withdrawn(strand.source.partition("@")[0], strand.owner, caller)


def _withdrawn(name: str, owner: str, caller: str) -> UserError:
    return UserError(f"{owner} has not placed the data set {name!r} for {caller}")


def _newest(cards: Sequence[Card]) -> dict[tuple[str, str], Card]:
    """Of each owner and name, from cards in the order of `Collection.cards`."""
    return {(card.name, card.owner): card for card in cards}


def _serves(card: Card, member: str) -> bool:
    return member == card.owner or member in card.users


def _harmless(name: str) -> bool:
    try:
        return bool(check_name(name))
    except UserError:
        return False


def _card(path: Path) -> Card:
    try:
        return msgspec.json.decode(read_bytes(path), type=Card)
    except msgspec.MsgspecError:
        raise EnvironmentFault(f"{path}: damaged; remove it, and have its owner place the data set again") from None
