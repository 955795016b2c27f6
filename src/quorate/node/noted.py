"""A stock of tuples as a lasting session sees it: what it took is noted in its journal, and taken from there again.

A stock hands everything out once. A session whose process was interrupted runs its beginning again, and must be told
the same: whether there was a stock, what it held, which tuples it gave, under which secrets. What the stock does is
done first, then noted, then used; so a crash between loses tuples, with the session, and never uses one twice.

Secrets of a stock stay in use while the session is interrupted: nobody else gets them, and no peer can make us use them
for something else, since what we said we say again. Only the end of the session puts them back, or destroys them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy.typing as npt

from quorate.coordination.stock import orderly
from quorate.durable.facts import Spent
from quorate.errors import InternalError, QuorateError
from quorate.node.tuples import Shelf
from quorate.preprocessing.ledger import Holding, Ledger
from quorate.sharing.stored import Form, Reader, content_of, public_form

__all__ = ["Note", "NotedStore"]

Array = npt.NDArray[Any]
Note = Callable[[str, Callable[[], bytes]], bytes]
"""(label, make) -> what `make` gave the first time, durable before it is returned; see `Core.note`."""

_PREFIX = 4


class _Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    leased: bool
    generation: str


class NotedStore:
    """A `quorate.coordination.stock.Store` in front of a shelf.

    Args:
        shelf: our stock, leased if it was free; it need not exist.
        note: of the session's journal.
        session: its id.
    """

    def __init__(self, shelf: Shelf, note: Note, session: str) -> None:
        self._shelf, self._note, self._session = shelf, note, session

    # ---- reading

    @property
    def leased(self) -> bool:
        """Whether the stock was ours when the session began."""
        return self._offer.leased

    @property
    def in_use(self) -> bool:
        """Whether secrets are in our hands."""
        return self._shelf.in_use

    def ledger(self) -> Ledger:
        """The generation that there was when the session began; nothing else is known of it."""
        return Ledger(generation=self._offer.generation)

    def holdings(self, generation: str, kinds: Sequence[str]) -> dict[str, Holding]:
        """What could be handed out when it was asked for first."""
        noted = self._note("stock holdings", lambda: msgspec.json.encode(self._shelf.holdings(generation, kinds)))
        return msgspec.json.decode(noted, type=dict[str, Holding])

    @property
    def _offer(self) -> _Offer:
        return msgspec.json.decode(self._note("stock offer", self._offered), type=_Offer)

    def _offered(self) -> bytes:
        shelf = self._shelf
        exists = shelf.exists()
        leased = not exists or shelf.leased
        return msgspec.json.encode(_Offer(leased, shelf.ledger().generation if exists and leased else ""))

    # ---- taking

    def claim(self, generation: str, session: str, ranges: Mapping[str, tuple[int, int]]) -> dict[str, list[Array]]:
        """The tuples of these ranges: out of the stock, or those that were taken before.

        Raises:
            Spent: the process ended while they were taken, and they are gone.
            EnvironmentFault: as `Shelf.claim`.
        """
        fresh = False

        def intend() -> bytes:
            nonlocal fresh
            fresh = True
            return msgspec.json.encode(ranges)

        def take() -> bytes:
            if not fresh:
                raise Spent(
                    "this session was interrupted in the moment it took tuples from the stock; they are gone, and "
                    "without them it cannot go on: start a new session"
                )
            return _packed(self._shelf.claim(generation, session, ranges))

        if msgspec.json.decode(self._note("stock claiming", intend), type=dict[str, tuple[int, int]]) != dict(ranges):
            raise InternalError("a session was to take other tuples than before it was interrupted; please report this")
        return _unpacked(self._note("stock claim", take))

    def secrets(self, generation: str, session: str) -> tuple[Array, ...]:
        """The keys of a generation; in use until `over`, whatever happens to this process."""
        noted = self._note("stock secrets", lambda: _packed({"": list(self._shelf.secrets(generation, session))}))
        return tuple(_unpacked(noted)[""])

    # ---- changing

    def put_back(self) -> None:
        """See `Shelf.put_back`."""
        self._shelf.put_back()

    def destroy(self, why: str, generation: str | None = None) -> None:
        """See `Shelf.destroy`; nothing to do where there was no stock."""
        if generation != "":
            self._shelf.destroy(why, generation)

    def release(self) -> None:
        """See `Shelf.release`."""
        self._shelf.release()

    def begin(self, generation: str, secrets: Sequence[Array], session: str) -> None:
        """Raises `InternalError`: tuples are not made in lasting sessions."""
        raise InternalError("tuples for the stock are not made in a lasting session")

    def add(self, generation: str, session: str, kind: str, start: int, parts: Sequence[Array], seconds: float) -> None:
        """Raises `InternalError`: tuples are not made in lasting sessions."""
        raise InternalError("tuples for the stock are not made in a lasting session")

    def over(self, problem: QuorateError | None) -> None:
        """The session has ended for good, because of `problem` or well: see `quorate.coordination.stock.orderly`."""
        with contextlib.suppress(QuorateError), orderly(self._shelf):
            if problem is not None:
                raise problem
        self._shelf.release()


def _packed(arrays: Mapping[str, Sequence[Array]]) -> bytes:
    header = msgspec.json.encode({kind: [public_form(part) for part in parts] for kind, parts in arrays.items()})
    content = [content_of(tuple(parts)) for parts in arrays.values()]
    return b"".join([len(header).to_bytes(_PREFIX, "big"), header, *content])


def _unpacked(noted: bytes) -> dict[str, list[Array]]:
    stop = _PREFIX + int.from_bytes(noted[:_PREFIX], "big")
    forms = msgspec.json.decode(noted[_PREFIX:stop], type=dict[str, list[Form]])
    reader = Reader(memoryview(noted)[stop:], "the journal of this session")
    return {kind: [reader.public(form) for form in parts] for kind, parts in forms.items()}
