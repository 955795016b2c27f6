"""What a node writes down of a lasting session beside its journal: audit, schedule, traffic, evidence."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from quorate.coordination.agreement import software
from quorate.durable import parcel as form
from quorate.durable.audit import Audit
from quorate.durable.facts import Evidence
from quorate.durable.fence import Fence
from quorate.durable.journal import Journal
from quorate.durable.router import Arrival, Connected, Full, Lost
from quorate.durable.trace import Header, Trace
from quorate.errors import PeerError, QuorateError
from quorate.files import write_atomic
from quorate.node.messages import Traffic
from quorate.node.place import Place
from quorate.node.seat import Seat
from quorate.transport.arrivals import Refused
from quorate.transport.carrier import Parcel

__all__ = ["Watcher", "audit_folder"]

log = logging.getLogger(__name__)


def audit_folder(home: Path, member: str) -> Path:
    """Where a node keeps its audit."""
    return home / "audit" / member


@dataclass
class _Count:
    sent: int = 0
    out: int = 0
    came: int = 0
    places: set[tuple[int, int]] = field(default_factory=set)


class Watcher:
    """An observer for the conductor of a seat; `home` is the node's data folder."""

    def __init__(self, seat: Seat, place: Place, home: Path, journal: Journal, fence: Fence) -> None:
        self._names, self._place, self._journal, self._fence = seat.who.participants, place, journal, fence
        header = Header(
            session=place.session,
            name=seat.approved.spec.name,
            spec=seat.approved.digest,
            software=software(),
            participants=self._names,
            me=seat.me,
            started=time.time(),
        )
        self._trace = Trace(place.trace, header)
        self.schedule, self.agreed, self.took = self._trace.message, self._trace.rows, self._trace.stock
        self._audit = Audit(audit_folder(home, place.member))
        self._counts: dict[int, _Count] = {}
        again = "resumed" if journal.commits else "began"
        self._audit.note(again, place.session, note=f"{journal.commits} commits")
        if journal.commits:
            self._trace.note("restart")

    def sent(self, peer: int, parcel: Parcel) -> None:
        """See `quorate.durable.conduct.Observer`."""
        count = self._counts.setdefault(peer, _Count())
        header = form.unpack(parcel.body)
        count.out += len(parcel.body)
        if header.kind == form.DATA and (header.seq, header.piece) not in count.places:
            count.places.add((header.seq, header.piece))
            count.sent += min(form.PIECE, header.size - header.piece * form.PIECE)
        self._note("message", peer, direction="out", message=parcel.ident, size=len(parcel.body))

    def arrived(self, arrival: Arrival) -> None:
        """See `Observer`."""
        body = arrival.parcel.body
        ident = arrival.parcel.ident
        try:
            header = form.unpack(body)
            peer, ident = header.sender, header.ident()
        except PeerError:
            peer = -1
        if 0 <= peer < len(self._names):
            self._counts.setdefault(peer, _Count()).came += len(body)
        self._note("message", peer, direction="in", message=ident, size=len(body), carrier=arrival.way)

    def refused(self, reason: str) -> None:
        """See `Observer`."""
        log.warning("session %s: a message was refused: %s", self._place.session, reason)
        self._note("rejected", -1, note=reason)

    def route(self, event: Connected | Lost | Full | Refused) -> None:
        """See `Observer`."""
        what = type(event).__name__.lower()
        reason = "" if isinstance(event, Connected) else event.reason
        peer = None if isinstance(event, Refused) else event.peer
        who = "our inbox" if peer is None else self._names[peer]
        log.info("session %s: %s: %s %s %s", self._place.session, who, event.way, what, reason)
        self._note(what, -1 if peer is None else peer, note=reason, carrier=event.way)

    def committed(self) -> None:
        """See `Observer`."""
        self._fence.advance(self._journal.commits)
        self._audit.flush()
        self._trace.flush()

    def ended(self, how: str) -> None:
        """The session is over here, or left for a while."""
        self._note(how, -1)
        self._trace.note(how)

    def failed(self, problem: QuorateError) -> None:
        """The session has ended with an error."""
        self._note("failed", -1, note=type(problem).__name__)
        self._trace.failed(problem)

    def keep(self, evidence: list[Evidence]) -> None:
        """Keep what peers have signed against themselves."""
        if evidence:
            path = self._place.folder / "evidence.json"
            write_atomic(path, msgspec.json.encode(evidence), 0o600)
            log.error("session %s: evidence against a peer is kept in %s", self._place.session, path)

    def traffic(self) -> dict[str, Traffic]:
        """What went to and came from each peer in this process, by name."""
        return {
            self._names[peer]: Traffic(sent=count.sent, wire_out=count.out, wire_in=count.came)
            for peer, count in sorted(self._counts.items())
        }

    def close(self) -> None:
        """Write what waits."""
        self._audit.close()
        self._trace.close()

    def _note(self, what: str, peer: int, **facts: str | int) -> None:
        name = self._names[peer] if 0 <= peer < len(self._names) else ""
        self._audit.note(what, self._place.session, peer=name, **facts)  # type: ignore[arg-type]
