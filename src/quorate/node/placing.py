"""What an owner does to place a data set at the nodes: check it here, share its columns, have the nodes keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.coordination.spec import Input, Output
from quorate.data.prepare import Prepared, prepare
from quorate.data.schema import InputSchema
from quorate.errors import UserError
from quorate.lang.plan import Operation, Plan, Type
from quorate.node.asking import ask_all, kept_name, run_interactive, spec_of
from quorate.node.client import OnProgress, new_session
from quorate.node.coordinator import Finished
from quorate.node.identity import Identity
from quorate.node.messages import Placing, Remove
from quorate.node.results import write_openings
from quorate.protocols.registry import protocol_class

__all__ = ["Placed", "place_data_set", "remove_data_set"]

_INPUT = "data"


@dataclass(frozen=True)
class Placed:
    """A data set that all nodes hold: its name, rows, the owner's commitment and how the session went."""

    name: str
    rows: int
    commitment: str
    finished: Finished


def place_data_set(
    identity: Identity,
    schema: InputSchema,
    source: object,
    name: str,
    users: Sequence[str],
    parties: Sequence[str],
    *,
    protocol: str = "rep3",
    threshold: int | None = None,
    home: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Placed:
    """Share a table with the nodes of `parties`, which keep it under `name` for `users` to compute on.

    A data set of ours with this name is replaced. Nobody sees a row; the nodes learn name, columns and number of rows.

    Args:
        schema: columns and rows, see `quorate.data.schema`.
        source: what `quorate.data.prepare` reads.
        home: where what opens our commitment is written.

    Raises:
        DataError: the table does not fit the schema.
        UserError: a node does not allow it, the name is taken, or the protocol cannot keep shares.
        QuorateError: as `run_interactive`.
    """
    if not protocol_class(protocol).keeps:
        raise UserError(f"{protocol} binds shares to keys that end with the session; place data under another protocol")
    for user in users:
        identity.federation.member(user)
    prepared = prepare(source, schema)
    session = new_session()
    item = Input(
        name=_INPUT,
        owner=identity.name,
        columns=tuple(schema.columns),
        min_rows=prepared.rows,
        max_rows=prepared.rows,
    )
    labels = [f"column {k}" for k in range(len(item.columns))]
    outputs = [Output(name=label, keep=kept_name(session, k)) for k, label in enumerate(labels)]
    spec = spec_of(parties, protocol, [item], outputs, threshold=threshold)
    placing = Placing(name=name, users=tuple(users))
    finished = run_interactive(
        identity, spec, _as_it_is(item, prepared), {_INPUT: prepared}, session, placing, on_progress
    )
    if home is not None:
        write_openings(home, identity.name, session, {_INPUT: prepared})
    return Placed(name, prepared.rows, prepared.commitment.digest, finished)


def _as_it_is(item: Input, prepared: Prepared) -> Plan:
    """The plan that keeps every column."""
    operations = [
        Operation(
            "input",
            (),
            {"input": item.name, "column": column.name, "dtype": str(column.dtype)},
            Type(column.dtype, (prepared.rows,)),
        )
        for column in item.columns
    ]
    return Plan("place", tuple(operations), {f"column {k}": k for k in range(len(operations))})


def remove_data_set(identity: Identity, name: str, parties: Sequence[str]) -> None:
    """Have nodes delete a data set of ours, and all that was kept of what was computed on it.

    Raises:
        UserError: a node holds none of this name, or it belongs to somebody else.
        EnvironmentFault: a node cannot be reached.
    """
    ask_all(identity, parties, Remove(name=name))
