"""What an operator approved: the spec and plan files in a folder of the node. Only these are ever run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quorate.coordination.agreement import software
from quorate.coordination.federation import Federation
from quorate.coordination.program import Stored, check_plan
from quorate.coordination.roster import Roster
from quorate.coordination.spec import Spec, decode_spec, differences, load_spec
from quorate.coordination.synthetic import synthetic
from quorate.data.document import load_yaml
from quorate.data.prepare import Prepared, prepare
from quorate.errors import AgreementError, DataError, EnvironmentFault, QuorateError, UserError
from quorate.files import read_bytes
from quorate.lang.plan import Plan
from quorate.node.messages import Prepare
from quorate.node.vault import Kept, Owner, Vault
from quorate.sharing.share import Share

__all__ = [
    "Approved",
    "compare",
    "find",
    "input_names",
    "kept_inputs",
    "load",
    "made_up_inputs",
    "owner_of",
    "parse_data",
    "prepare_inputs",
    "spec_delivery",
    "spec_name",
    "stored_inputs",
]

PLAN_LIMIT = 64 << 20


@dataclass(frozen=True)
class Approved:
    """A checked spec with its plan, as they lie in `path`."""

    path: Path
    spec: Spec
    plan: Plan

    @property
    def digest(self) -> str:
        """The digest of the spec with its plan, 64 hexadecimal characters."""
        return self.spec.digest(self.plan.digest)


def load(path: Path, federation: Federation) -> Approved:
    """Read a spec file and its plan, and check both against each other and the federation.

    Raises:
        UserError: a file is missing or malformed, or spec, plan and federation do not fit together.
        EnvironmentFault: a file cannot be read.
    """
    spec = load_spec(path)
    spec.validate(federation, str(path))
    if not Path(spec.plan).exists():
        raise UserError(f"{path}: the plan {spec.plan} does not exist; make it with 'quorate compile {path}'")
    plan = Plan.from_json(read_bytes(Path(spec.plan), PLAN_LIMIT))
    check_plan(spec, plan)
    return Approved(path, spec, plan)


def find(name: str, folder: Path, federation: Federation) -> Approved:
    """The approved spec called `name` in `folder`.

    Raises:
        UserError: there is none, or more than one; or as `load`.
    """
    found, unreadable = [], []
    for path in _spec_files(folder):
        try:
            document = load_yaml(path)
        except QuorateError:
            unreadable.append(path.name)
            continue
        if isinstance(document, dict) and "spec" in document and document.get("name") == name:
            found.append(path)
    if not found:
        note = f" ({', '.join(unreadable)} there could not be read)" if unreadable else ""
        raise UserError(
            f"no approved spec is called {name!r}; its operator approves it by placing the spec and its plan in "
            f"the node's --specs folder{note}"
        )
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise UserError(f"the specs {names} are both called {name!r}; its operator has to remove one")
    return load(found[0], federation)


def input_names(folder: Path) -> set[str]:
    """The names of all inputs in the specs that lie in `folder`, as far as these can be read."""
    names: set[str] = set()
    for path in _spec_files(folder):
        try:
            document = load_yaml(path)
        except QuorateError:
            continue
        inputs = document.get("inputs") if isinstance(document, dict) else None
        names |= {str(item.get("name")) for item in inputs or [] if isinstance(item, dict)}
    return names


def _spec_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])


def compare(own: Approved, asked: Prepare) -> None:
    """Raises `AgreementError` that names every difference between our copy and the coordinator's."""
    if asked.software != software():
        raise AgreementError(
            f"this node runs {software()}, the coordinator {asked.software[:40]!r}; install the same release on both"
        )
    theirs = decode_spec(asked.spec.encode(), "the coordinator's spec")
    if lines := differences(own.spec, theirs):
        raise AgreementError(
            f"the coordinator's spec {own.spec.name!r} differs from the approved copy (here) in: {'; '.join(lines)}"
        )
    if own.plan.digest != asked.plan_digest:
        raise AgreementError(
            f"the coordinator holds another plan for {own.spec.name!r} ({asked.plan_digest[:16]}) than the approved "
            f"one ({own.plan.digest[:16]}); compare the plan files, or compile the same source on both sides"
        )
    if own.digest != asked.spec_digest:
        raise AgreementError(f"the digest of {own.spec.name!r} differs, its content does not; compare the releases")


def spec_name(asked: Prepare) -> str:
    """The name of the spec that a coordinator asks for. Raises `AgreementError` if what it sent is malformed."""
    return _stated(asked, "name")


def spec_delivery(asked: Prepare) -> str:
    """How the messages of the session travel that a coordinator asks for. Raises as `spec_name`."""
    return _stated(asked, "delivery")


def _stated(asked: Prepare, key: str) -> str:
    try:
        return str(msgspec.json.decode(asked.spec)[key])
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError) as problem:
        raise AgreementError("the coordinator's spec is malformed; compare the releases") from problem


def parse_data(entries: list[str]) -> dict[str, str]:
    """INPUT=PATH entries of the command line as a mapping. Raises `UserError`."""
    data: dict[str, str] = {}
    for entry in entries:
        name, separator, path = entry.partition("=")
        if not (name and separator and path):
            raise UserError(f"--data {entry}: write INPUT=PATH, for example --data st_mary=costs.csv")
        if name in data:
            raise UserError(f"--data names the input {name!r} twice; remove one")
        data[name] = path
    return data


def prepare_inputs(spec: Spec, member: str, data: Mapping[str, str]) -> dict[str, Prepared]:
    """Load and check the data of all inputs that `member` owns.

    Raises:
        UserError: no file was named for an input.
        DataError: the data does not fit, or its file cannot be used; what the message says stays with the owner.
    """
    prepared = {}
    for item in spec.inputs:
        if item.owner != member:
            continue
        if item.name not in data:
            raise UserError(f"{member} owns the input {item.name!r}; name its file with --data {item.name}=PATH")
        try:
            prepared[item.name] = prepare(data[item.name], item)
        except DataError:
            raise
        except (UserError, EnvironmentFault) as problem:  # names a path of this machine
            raise DataError(str(problem)) from problem
    return prepared


def made_up_inputs(spec: Spec, member: str, rows: Mapping[str, int]) -> dict[str, Prepared]:
    """Random data for all inputs that `member` owns, for a rehearsal; no file is opened."""
    return {item.name: synthetic(item, rows[item.name]) for item in spec.inputs if item.owner == member}


def kept_inputs(spec: Spec, roster: Roster, me: int, vault: Vault) -> dict[str, Kept]:
    """What is kept for each stored input of `spec`; nothing at who is no party.

    Raises:
        UserError: nothing is kept under that name, or for other parties.
        EnvironmentFault: see `Vault.load`.
    """
    if me >= roster.parties:
        return {}
    owner = owner_of(spec, me)
    return {item.name: vault.load(item.stored, owner) for item in spec.inputs if item.stored is not None}


def stored_inputs(spec: Spec, found: Mapping[str, Kept]) -> Stored:
    """The shares of the stored inputs of `spec`, from what was found by `kept_inputs`.

    A kept vector is an input with one column, a kept matrix of shape (rows, k) one with k columns.

    Raises:
        UserError: something was kept with other columns.
    """
    shares: dict[tuple[str, str], Share] = {}
    origins: dict[str, str] = {}
    for item in spec.inputs:
        if item.name not in found:
            continue
        kept = found[item.name]
        width = 1 if len(kept.share.shape) == 1 else kept.share.shape[-1] if len(kept.share.shape) == 2 else 0
        if width != len(item.columns):
            raise UserError(
                f"input {item.name!r}: {item.stored!r} is kept with shape {kept.share.shape}, the spec declares "
                f"{len(item.columns)} columns; a stored input needs shape (rows,) or (rows, columns)"
            )
        for position, column in enumerate(item.columns):
            if kept.dtype != str(column.dtype):
                raise UserError(
                    f"input {item.name!r}: {item.stored!r} is kept as {kept.dtype}, column {column.name!r} is declared "
                    f"{column.dtype}; declare the type that was kept"
                )
            shares[item.name, column.name] = _column(kept.share, position)
        origins[item.name] = kept.session
    return Stored(shares, origins)


def owner_of(spec: Spec, me: int) -> Owner:
    """Whose shares this spec makes and uses at party `me`."""
    return Owner(parties=spec.parties, index=me, protocol=spec.protocol.name, threshold=spec.threshold)


def _column(share: Share, position: int) -> Share:
    return share if len(share.shape) == 1 else share.map(lambda part: part[:, position].copy())
