"""quorate place: share a table with the nodes, which keep it for analysts to compute on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.common import AsMember, FederationFile, Home, Json, Meter, print_json
from quorate.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.node.identity import Identity
    from quorate.node.messages import Card, Opened

__all__ = ["place"]

PartyNames = Annotated[
    list[str] | None,
    typer.Option("--party", metavar="NAME", help="A compute party; repeatable. By default all members that compute."),
]


def place(
    schema: Annotated[
        Path | None, typer.Argument(metavar="SCHEMA", help="A schema document, or a spec with the columns.")
    ] = None,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="CSV, Parquet, Arrow, or a source document (.yaml).")
    ] = None,
    data_set: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the data set; by default that of the schema.")
    ] = None,
    member: AsMember = None,
    users: Annotated[
        list[str] | None,
        typer.Option("--for", metavar="NAME", help="A member that may compute on it; repeatable."),
    ] = None,
    federation: FederationFile = None,
    given: Annotated[
        str | None, typer.Option("--input", metavar="NAME", help="Of a spec with several inputs, the one to take.")
    ] = None,
    protocol: Annotated[str, typer.Option(metavar="NAME", help="How it is shared, and computed on.")] = "rep3",
    threshold: Annotated[
        int | None, typer.Option(metavar="T", help="How many parties may pool what they see; by default as usual.")
    ] = None,
    parties: PartyNames = None,
    show: Annotated[bool, typer.Option("--list", help="Show the data sets that you placed or may use.")] = False,
    remove: Annotated[
        str | None,
        typer.Option("--remove", metavar="NAME", help="Have the nodes delete a data set, and what was kept of it."),
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Share a table with the compute parties, which keep it for analysts to compute on; nobody sees a row.

    The file is checked first, as by 'quorate check-data'. A data set of yours with this name is replaced. The nodes'
    operators have to allow interactive sessions, and the analysts say which results they open.
    """
    from quorate.coordination.federation import load_federation
    from quorate.node.asking import catalogue, only_member, openings, parties_of
    from quorate.node.identity import Identity
    from quorate.node.placing import remove_data_set
    from quorate.node.results import default_home

    _check_options(show, remove, schema, file, users)
    path = federation or (schema.parent if schema is not None else Path()) / "federation.yaml"
    loaded = load_federation(path)
    identity = Identity(loaded, member or only_member(loaded, ("owner",)))
    names = parties_of(identity, protocol, parties)
    if show:
        _print_list(catalogue(identity, names), openings(identity, names), as_json=json)
    elif remove is not None:
        remove_data_set(identity, remove, names)
        if json:
            print_json({"removed": remove})
        else:
            print(f"{', '.join(names)} have deleted the data set {remove!r}")
    elif schema is not None and file is not None:
        _place(
            identity,
            schema,
            file,
            given,
            data_set,
            users or [],
            names,
            protocol,
            threshold,
            home or default_home(path),
            json,
        )


def _check_options(
    show: bool, remove: str | None, schema: Path | None, file: Path | None, users: Sequence[str] | None
) -> None:
    placing = schema is not None or file is not None
    if placing + show + (remove is not None) != 1:
        raise UserError("give SCHEMA and FILE to place a data set, or --list, or --remove NAME")
    if placing and (schema is None or file is None):
        raise UserError("name the schema and the file: quorate place SCHEMA FILE --for ANALYST")
    if placing and not users:
        raise UserError("say who may compute on the data set with --for NAME")


def _place(
    identity: Identity,
    schema: Path,
    file: Path,
    given: str | None,
    data_set: str | None,
    users: Sequence[str],
    parties: Sequence[str],
    protocol: str,
    threshold: int | None,
    home: Path,
    as_json: bool,
) -> None:
    from quorate.coordination.schemas import load_agreed
    from quorate.node.placing import place_data_set

    agreed = load_agreed(schema, given)
    name = data_set or agreed.name.replace("_", "-")
    with Meter(quiet=as_json) as meter:
        placed = place_data_set(
            identity,
            agreed,
            file,
            name,
            users,
            parties,
            protocol=protocol,
            threshold=threshold,
            home=home,
            on_progress=meter.progress,
        )
    if as_json:
        print_json({"name": name, "rows": placed.rows, "commitment": placed.commitment, "parties": list(parties)})
        return
    print(f"{', '.join(parties)} hold {placed.rows} rows of {name!r} as shares, for {', '.join(users)}")
    print(f"commitment {placed.commitment}")


def _print_list(cards: Sequence[Card], opened: Sequence[Opened], *, as_json: bool) -> None:
    from quorate.data.described import described

    if as_json:
        print_json({"data_sets": [_plain(card, _of(card, opened)) for card in cards]})
        return
    for card in cards:
        print(f"{card.name}: {card.rows} rows of {card.owner}, for {', '.join(card.users)}")
        for column in card.columns:
            kind, values = described(column)
            print(f"  {column.name} ({kind})" + (f": {values}" if values else ""))
        print(f"  {card.protocol} at {', '.join(card.parties)}, placed {_day(card.placed)}")
        for one in _of(card, opened):
            most = "" if one.most is None else f" of at most {one.most}"
            print(f"  {one.analyst} has opened {one.numbers}{most} numbers that rest on it")
    if not cards:
        print("there are no data sets that you placed or may use")


def _of(card: Card, opened: Sequence[Opened]) -> list[Opened]:
    return [one for one in opened if (one.owner, one.data_set) == (card.owner, card.name)]


def _plain(card: Card, opened: Sequence[Opened]) -> dict[str, object]:
    from quorate.data.described import kind_of

    return {
        "name": card.name,
        "owner": card.owner,
        "rows": card.rows,
        "columns": {column.name: kind_of(column) for column in card.columns},
        "users": list(card.users),
        "commitment": card.commitment,
        "parties": list(card.parties),
        "protocol": card.protocol,
        "placed": _day(card.placed),
        "opened": {one.analyst: {"numbers": one.numbers, "most": one.most} for one in opened},
    }


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
