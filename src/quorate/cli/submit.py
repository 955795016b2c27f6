"""quorate submit: leave a table, split into shares, for parties that compute on it later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from quorate.cli.common import AsMember, FederationFile, Json, Meter, SpecFile, federation_beside, print_json
from quorate.errors import BrokerFault, UserError

if TYPE_CHECKING:
    from quorate.coordination.federation import Federation
    from quorate.durable.audit import Audit
    from quorate.durable.producer import Producer
    from quorate.durable.submission import KeyRing
    from quorate.transport.carrier import Carrier, Credentials

__all__ = ["submit"]

_PAUSE = 0.2
"""Seconds between looks at brokers that failed; the breaker of each says when it is tried."""


def submit(
    spec: SpecFile,
    data: Annotated[Path, typer.Option(metavar="FILE", help="The table to submit: CSV, Parquet or Arrow.")],
    keys: Annotated[list[Path], typer.Option(metavar="FILE", help="Key ring of a party; one option for each party.")],
    input_name: Annotated[
        str | None, typer.Option("--input", metavar="NAME", help="Which stored input; by default the only one.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="A name of your own; by default the same table is submitted only once."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Send its bytes once more, for a broker that lost them; never counts twice.")
    ] = False,
    federation: FederationFile = None,
    member: AsMember = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate for the brokers, if you are no member.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The private key of CERTIFICATE.")] = None,
    outbox: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Memory of what was sent; by default beside the first party's ring."),
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long to try a broker that fails.")] = 60.0,
    home: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the audit; by default 'state' beside FEDERATION, if it is there."),
    ] = None,
    json: Json = False,
) -> None:
    """Split a table into shares and leave them, sealed, in the inboxes of the parties, which may be away.

    No single party and no broker can read anything of it. Killed and started again, it goes on where it was.
    """
    from quorate.coordination.spec import load_spec
    from quorate.durable.outbox import Outbox
    from quorate.durable.producer import Producer
    from quorate.durable.submission import KeyRing
    from quorate.node.results import default_home
    from quorate.node.routes import inbox_of
    from quorate.node.submissions import check_inboxes, layout_of, raw_values, submitted_input

    loaded = federation_beside(spec, federation)
    asked = load_spec(spec)
    item = submitted_input(asked, input_name)
    check_inboxes(asked, loaded, asked.parties)
    rings = {path: KeyRing.load(path) for path in keys}
    ring = reduce(KeyRing.joined, rings.values())
    kept = Outbox(outbox or _memory(rings, asked.parties))
    credentials = _credentials(loaded, member, certificate, key)
    addresses = {party: inbox_of(loaded.member(party)) for party in asked.parties}
    folder = home or default_home(federation or spec)
    with _audit(folder, member or ring.producer, wanted=home is not None) as audit, Meter(quiet=json) as meter:
        note = None if audit is None else partial(_note, audit, ring.session, addresses)
        producer = Producer(ring, layout_of(asked, item), kept, note)
        receipt = producer.submit(raw_values(str(data), item), name)
        if audit is not None:
            known = "" if receipt.fresh else ", known already"
            audit.note("submitted", ring.session, message=receipt.submission, note=f"{receipt.rows} rows{known}")
            audit.flush()
        if again:
            kept.send_again(ring.session, receipt.name)
        sent = _sent(producer, addresses, credentials, timeout, meter)
    if json:
        print_json({"session": ring.session, "submission": receipt.submission, "rows": receipt.rows, "sent": sent})
    elif receipt.fresh or sent:
        print(f"submitted {receipt.rows} rows as {receipt.submission}: {sent} sealed frames left with {_names(ring)}")
    else:
        print(f"this was submitted already, as {receipt.submission}; nothing was sent")


def _names(ring: KeyRing) -> str:
    return ", ".join(sorted(ring.keys))


def _memory(rings: Mapping[Path, KeyRing], parties: Sequence[str]) -> Path:
    """The outbox beside the ring of the first party: the same, in whatever order rings are named."""
    of_first = [path for path, ring in rings.items() if parties[0] in ring.keys]
    return min(of_first or rings).with_suffix(".outbox")


@contextmanager
def _audit(home: Path, name: str, *, wanted: bool) -> Iterator[Audit | None]:
    """Where to write down what is submitted, if there is such a folder or it is `wanted`."""
    from quorate.durable.audit import Audit
    from quorate.node.observer import audit_folder

    if not (wanted or home.is_dir()):
        yield None
        return
    audit = Audit(audit_folder(home, name))
    try:
        yield audit
    finally:
        audit.close()


def _note(audit: Audit, session: str, addresses: Mapping[str, str], party: str, message: str, size: int) -> None:
    scheme = urlsplit(addresses[party]).scheme
    audit.note("share sent", session, direction="out", peer=party, message=message, size=size, carrier=scheme)
    audit.flush()


def _credentials(
    federation: Federation, member: str | None, certificate: Path | None, key: Path | None
) -> Callable[[str], Credentials]:
    """How we prove to the broker at an address who we are."""
    from quorate.node.identity import Identity
    from quorate.node.routes import credentials_of
    from quorate.transport.carrier import Credentials

    if member is not None:
        return partial(credentials_of, Identity(federation, member))
    if (certificate is None) != (key is None):
        raise UserError("give --certificate and --key together, or neither")
    own = Credentials(certificate, key, Path(federation.broker_ca or federation.ca))
    return lambda _: own


def _sent(
    producer: Producer,
    addresses: dict[str, str],
    credentials: Callable[[str], Credentials],
    timeout: float,
    meter: Meter,
) -> int:
    """Send all there is, with patience for brokers that fail; how many frames."""
    from quorate.durable.breaker import Breaker
    from quorate.transport.backoff import jittered

    deadline, count = time.monotonic() + timeout, 0
    waiting, breakers = dict(addresses), {address: Breaker() for address in addresses.values()}
    while waiting:
        for party, address in list(waiting.items()):
            if time.monotonic() <= deadline and not breakers[address].permit():
                continue
            try:
                count += _send_to(producer, party, address, credentials(address))
            except BrokerFault as problem:
                breakers[address].failure(str(problem))
                if time.monotonic() > deadline:
                    raise
                meter.say(f"{party}: {problem}; trying again")
            else:
                breakers[address].success()
                del waiting[party]
        time.sleep(jittered(_PAUSE) if waiting else 0.0)
    return count


def _send_to(producer: Producer, party: str, address: str, credentials: Credentials) -> int:
    from quorate.transport.carrier import open_carrier

    carrier: Carrier = open_carrier(address, credentials)
    try:
        return producer.send({party: carrier})
    finally:
        carrier.close()
