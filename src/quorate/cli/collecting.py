"""What the commands of `quorate collect` share: options, and what a member has at hand in a session of submissions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.common import federation_beside
from quorate.errors import UserError

if TYPE_CHECKING:
    from quorate.coordination.spec import Input, Spec
    from quorate.durable.audit import Audit
    from quorate.durable.consumer import Consumer
    from quorate.node.identity import Identity
    from quorate.transport.carrier import Carrier

__all__ = ["Desk", "InputName", "Name", "Session", "at_desk"]

Name = Annotated[str, typer.Option("--as", metavar="NAME", help="The party, or recipient, that you are.")]
Session = Annotated[
    str, typer.Option("--session", metavar="ID", help="Letters a-z and digits, at most 64; all parties use the same.")
]
InputName = Annotated[
    str | None, typer.Option("--input", metavar="NAME", help="Which stored input; by default the only one.")
]


@dataclass(frozen=True)
class Desk:
    """What a party has at hand in a session."""

    identity: Identity
    spec: Spec
    item: Input
    home: Path
    carrier: Carrier
    consumer: Consumer
    audit: Audit


@contextmanager
def at_desk(
    file: Path, federation: Path | None, name: str, session: str, home: Path | None, input_name: str | None
) -> Iterator[Desk]:
    """Everything at hand for a command, with the queues of the member made; let go of at the end.

    Raises:
        UserError: no such member, no stored input, the session is closed here, or it would leave its region.
        BrokerFault: the broker of the inbox cannot be reached.
    """
    from quorate.coordination.spec import load_spec
    from quorate.durable.audit import Audit
    from quorate.durable.consumer import Consumer, Seat
    from quorate.durable.cut import sets_queue
    from quorate.durable.share_store import ShareStore
    from quorate.node.identity import Identity
    from quorate.node.observer import audit_folder
    from quorate.node.results import default_home
    from quorate.node.routes import inbox_of, opener
    from quorate.node.submissions import (
        audited,
        check_inboxes,
        layout_of,
        limits_of,
        master_key,
        store_path,
        submitted_input,
    )
    from quorate.transport.carrier import check_queue

    loaded = federation_beside(file, federation)
    identity, spec, where = Identity(loaded, name), load_spec(file), home or default_home(federation or file)
    item = submitted_input(spec, input_name)
    layout = layout_of(spec, item)
    seat = Seat.party(session, layout, name) if name in spec.parties else Seat.recipient(session, layout, name)
    check_queue(seat.queue)
    check_inboxes(spec, loaded, [*spec.parties, name])
    audit, store = Audit(audit_folder(where, name)), ShareStore(store_path(where, name, session))
    carrier = opener(identity, inbox_of(identity.member))()
    note = audited(audit, session, carrier.scheme)
    try:
        if store.fact("closed"):
            raise UserError(f"the session {session} was closed at {name}; begin another one, with another --session ID")
        consumer = Consumer(seat, master_key(where, name, create=True), store, note)
        for queue in (seat.queue, sets_queue(session, name)):
            carrier.provision(queue, limits_of(spec))
        yield Desk(identity, spec, item, where, carrier, consumer, audit)
    finally:
        carrier.close()
        store.close()
        audit.close()
