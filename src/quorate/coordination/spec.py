"""The specification of one computation: what organisations approve before any data is touched."""

from __future__ import annotations

import keyword
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from quorate.coordination.federation import Federation, Role
from quorate.coordination.rules import (
    AUTO,
    LEAST_SECURITY,
    adversary_problems,
    auto_problems,
    dropout_problems,
    plug_ins,
    protocol_problems,
)
from quorate.crypto.hashing import canonical_json, hex_digest
from quorate.crypto.pki import check_name
from quorate.data.column import content_of
from quorate.data.document import convert, load_yaml, parse_json, raise_problems
from quorate.data.schema import Column, column_problems, row_problems
from quorate.engine.network import LAN, Network, parse_bandwidth, parse_rtt
from quorate.errors import UserError
from quorate.protocols.registry import PROTOCOLS as BUILT_IN
from quorate.protocols.registry import default_threshold, protocol_class

__all__ = [
    "DELIVERIES",
    "PROTOCOLS",
    "Abort",
    "Delivery",
    "Distance",
    "Input",
    "Output",
    "Protocol",
    "Spec",
    "Timeouts",
    "decode_spec",
    "differences",
    "encode_spec",
    "load_spec",
]

PROTOCOLS = tuple(name for name in BUILT_IN if name != "clear")
"""The protocols that a spec may name, beside those of installed packages."""

_DOMAIN = "quorate/spec/1"
_LONGEST = 30 * 24 * 3600.0
_ABSENT = "nothing"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Protocol(_Part, frozen=True, kw_only=True):
    """How parties compute and whom it protects against: up to `threshold` parties that pool what they see.

    Semi-honest parties follow the protocol, malicious ones do what they like; then checks keep a wrong result from
    being opened, but for a probability of 2**-`security` (40 bits unless stated).

    In a file, `name` may be "auto" and `choice` what was chosen for it; a spec as `load_spec` gives it has the choice
    as its name, unless asked otherwise.
    """

    name: str
    adversary: Literal["semi-honest", "malicious"]
    threshold: int | None = None
    security: int | None = None
    choice: str | None = None


class Input(_Part, frozen=True, kw_only=True):
    """A table from an outside `owner`, or one `stored` as shares by the parties; exactly one of the two."""

    name: str
    columns: tuple[Column, ...]
    owner: str | None = None
    stored: str | None = None
    min_rows: int = 1
    max_rows: int = 10_000_000


class Output(_Part, frozen=True, kw_only=True):
    """A result that is opened `to` members (or all parties), or that parties `keep` as shares under a name.

    In a file, `name` may be that of a whole result, such as a model, and `parts` what 'quorate compile' found in it; a
    spec as `load_spec` gives it has an output NAME.PART for each, unless asked otherwise.
    """

    name: str
    to: tuple[str, ...] | Literal["all"] | None = None
    keep: str | None = None
    parts: tuple[str, ...] | None = None

    @property
    def each(self) -> tuple[Output, ...]:
        """The outputs that this entry stands for."""
        if self.parts is None:
            return (self,)
        return tuple(Output(name=f"{self.name}.{part}", to=self.to, keep=self.keep) for part in self.parts)


class Distance(_Part, frozen=True, kw_only=True):
    """How far apart the participants are, for choices between rounds and bytes: texts such as "40ms", "100Mbit"."""

    rtt: str = LAN.rtt
    bandwidth: str = LAN.rate

    @property
    def model(self) -> Network:
        """The same as numbers. Raises `UserError` for texts that are none."""
        return Network.parse(self.rtt, self.bandwidth)


class Timeouts(_Part, frozen=True, kw_only=True):
    """Seconds: for one round, for all parties to join, for the whole session."""

    round: float = 30
    join: float = 60
    session: float = 3600


class Abort(_Part, frozen=True, kw_only=True):
    """What happens when a party drops out: the session ends, or those that are left go on if these are enough."""

    on_dropout: Literal["abort", "continue"] = "abort"


Delivery = Literal["direct", "durable", "queued"]
"""How messages travel: over TLS between nodes that stay online; the same with journals, so that lost connections and
crashes are survived; or through message queues, so that nobody needs to be online together with anybody."""

DELIVERIES: tuple[Delivery, ...] = ("direct", "durable", "queued")


class Spec(_Part, frozen=True, kw_only=True):
    """One computation. `plan` and `source` are where files lie on this machine and not part of what is agreed.

    `region` binds the session to nodes and brokers of one region.
    """

    spec: Literal[1]
    name: str
    protocol: Protocol
    parties: tuple[str, ...]
    inputs: tuple[Input, ...]
    plan: str
    outputs: tuple[Output, ...] = ()
    source: str | None = None
    dealer: str | None = None
    network: Distance = msgspec.field(default_factory=Distance)
    timeouts: Timeouts = msgspec.field(default_factory=Timeouts)
    abort: Abort = msgspec.field(default_factory=Abort)
    delivery: Delivery = "direct"
    region: str | None = None

    @property
    def lasting(self) -> bool:
        """Whether participants keep journals, so that the session survives their crashes."""
        return self.delivery != "direct"

    @property
    def threshold(self) -> int:
        """How many parties may pool what they see and learn nothing: as given, or the protocol's usual value."""
        given = self.protocol.threshold
        return default_threshold(self.protocol.name, len(self.parties)) if given is None else given

    @property
    def security(self) -> int:
        """Bits of statistical security of the checks of malicious protocols."""
        return LEAST_SECURITY if self.protocol.security is None else self.protocol.security

    @property
    def content(self) -> dict[str, object]:
        """What is agreed, as builtins: every default filled in, without `plan` and `source`."""
        security = self.security if self.protocol.adversary == "malicious" else None
        protocol = msgspec.structs.replace(self.protocol, threshold=self.threshold, security=security)
        outputs = tuple(_sorted_recipients(output) for output in self.outputs)
        apart = self.network.model
        network = Distance(rtt=apart.rtt, bandwidth=apart.rate)
        filled = msgspec.structs.replace(self, protocol=protocol, outputs=outputs, network=network)
        content: dict[str, Any] = msgspec.to_builtins(filled)
        for item, agreed in zip(content["inputs"], self.inputs, strict=True):
            item["columns"] = [content_of(column) for column in agreed.columns]
        for output in content["outputs"]:
            output.pop("parts")
        content["protocol"].pop("choice")
        if security is None:
            content["protocol"].pop("security")
        return {key: _canonical(value) for key, value in content.items() if key not in ("plan", "source")}

    def digest(self, plan_digest: str) -> str:
        """SHA-256 (64 hexadecimal characters) over `content` and the plan's digest."""
        return hex_digest(canonical_json({"spec": self.content, "plan": plan_digest}), _DOMAIN)

    def recipients(self, output: Output) -> tuple[str, ...]:
        """The members to whom `output` is opened; none if it is kept."""
        if output.to == "all":
            return self.parties
        return output.to or ()

    def settled(self, choice: str) -> Spec:
        """This spec with protocol `choice`, at least as protective as stated, in place of "auto"."""
        asked = self.protocol
        protocol = Protocol(name=choice, adversary=asked.adversary, threshold=asked.threshold, security=asked.security)
        if choice not in (*BUILT_IN, *plug_ins()):  # `check` says so
            return msgspec.structs.replace(self, protocol=protocol)
        cls = protocol_class(choice)
        if cls.majority == "dishonest":
            protocol = msgspec.structs.replace(protocol, threshold=None)
        return msgspec.structs.replace(self, protocol=protocol, dealer=self.dealer if cls.dealer_allowed else None)

    @property
    def spread(self) -> Spec:
        """This spec with an output for each part of whole results."""
        return msgspec.structs.replace(self, outputs=tuple(one for output in self.outputs for one in output.each))

    def check(self, where: str = "spec", protocols: Sequence[str] = PROTOCOLS) -> None:
        """Check everything that needs no federation; `UserError` lists all bad fields with their paths."""
        raise_problems(where, _problems(self, protocols))

    def validate(self, federation: Federation, where: str = "spec") -> None:
        """`check`, and that all members exist in `federation` and have the roles that they need here."""
        raise_problems(where, [*_problems(self, PROTOCOLS), *_member_problems(self, federation)])


def load_spec(
    path: str | Path, protocols: Sequence[str] = PROTOCOLS, *, settle: bool = True, spread: bool = True
) -> Spec:
    """Read and check `protocol_spec.yaml`; `plan` and `source` become paths relative to the working directory.

    With `settle`, a spec with protocol "auto" comes with the choice that 'quorate compile' made for it; with `spread`,
    whole results with the parts that it found. Without `spread` there may be no outputs yet.

    Raises:
        UserError: no such file, malformed YAML (line and column), or bad fields, each with its path.
        EnvironmentFault: the file cannot be read.
    """
    file = Path(path)
    spec = convert(load_yaml(file), Spec, str(file))
    raise_problems(str(file), _auto_problems(spec, settle=settle))
    if settle and spec.protocol.choice is not None:
        spec = spec.settled(spec.protocol.choice)
    raise_problems(str(file), _problems(spec, protocols, complete=spread))
    if spread:
        spec = spec.spread
    source = None if spec.source is None else str(file.parent / spec.source)
    return msgspec.structs.replace(spec, plan=str(file.parent / spec.plan), source=source)


def encode_spec(spec: Spec) -> bytes:
    """The agreed content as canonical JSON, to send to another party."""
    return canonical_json(spec.content)


def decode_spec(data: bytes, where: str) -> Spec:
    """The inverse of `encode_spec`, checked as a file is; `plan` and `source` are empty.

    Raises:
        UserError: it is malformed; `where` names the sender.
    """
    value = parse_json(data, where)
    if isinstance(value, dict):
        value = {**value, "plan": "-"}
    spec = convert(value, Spec, where)
    if spec.protocol.name == AUTO or spec.protocol.choice is not None:
        raise UserError(f"{where}: protocol: what is agreed names the protocol that was chosen, not {AUTO!r}")
    if any(output.parts is not None for output in spec.outputs):
        raise UserError(f"{where}: outputs: what is agreed names every part by itself; remove 'parts'")
    spec.check(where)
    return msgspec.structs.replace(spec, plan="", source=None)


def differences(here: Spec, there: Spec) -> list[str]:
    """One line per agreed field that differs: "inputs[0].columns[1].range: [0, 500] here, [0, 600] there"."""
    return list(_differences("", here.content, there.content))


def _canonical(value: object) -> object:
    """The same builtins with whole floats as integers: 30 and 30.0 are the same limit and must hash alike."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _sorted_recipients(output: Output) -> Output:
    if not isinstance(output.to, tuple):
        return output
    return msgspec.structs.replace(output, to=tuple(sorted(output.to)))


def _differences(path: str, here: object, there: object) -> Iterator[str]:
    if isinstance(here, dict) and isinstance(there, dict):
        for key in [*here, *(key for key in there if key not in here)]:
            yield from _differences(f"{path}.{key}".lstrip("."), here.get(key), there.get(key))
    elif _is_records(here) and _is_records(there):
        left, right = list(here), list(there)  # type: ignore[call-overload]
        for index in range(max(len(left), len(right))):
            yield from _differences(f"{path}[{index}]", _item(left, index), _item(right, index))
    elif here != there:
        yield f"{path}: {_shown(here)} here, {_shown(there)} there"


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _item(items: list[object], index: int) -> object:
    return items[index] if index < len(items) else None


def _shown(value: object) -> str:
    if value is None:
        return _ABSENT
    if isinstance(value, dict):
        return f"{value.get('name', 'an entry')!r}"
    if isinstance(value, list):
        return f"[{', '.join(_shown(item) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else ascii(value).strip("'")


def _problems(spec: Spec, protocols: Sequence[str], *, complete: bool = True) -> Iterator[tuple[str, str]]:
    yield from _name_problem("name", spec.name)
    if not spec.plan.strip():
        yield "plan", "is empty; give the path of the plan file"
    yield from _protocol_problems(spec, protocols)
    yield from _network_problems(spec.network)
    yield from _duplicates("parties", "", spec.parties)
    yield from _duplicates("inputs", ".name", [item.name for item in spec.inputs])
    for index, item in enumerate(spec.inputs):
        yield from _input_problems(f"inputs[{index}]", item)
    if complete and not spec.outputs:
        yield "outputs", "is empty; list at least one output ('quorate compile' says which names there are)"
    yield from _output_problems(spec)
    if spec.protocol.name != AUTO:
        yield from dropout_problems(spec.protocol.name, spec.abort.on_dropout, lasting=spec.lasting)
    if spec.region is not None:
        yield from _name_problem("region", spec.region)
    for key in ("round", "join", "session"):
        if not 0 < getattr(spec.timeouts, key) <= _LONGEST:
            yield f"timeouts.{key}", f"must be more than 0 and at most {int(_LONGEST)} seconds (30 days)"


def _name_problem(path: str, name: str) -> Iterator[tuple[str, str]]:
    try:
        check_name(name)
    except UserError as error:
        yield path, str(error).replace("cannot name a member", "is not a valid name")


def _duplicates(path: str, suffix: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()  # specs come from other members too: no work that grows with the square of their size
    for index, name in enumerate(names):
        if name in seen:
            yield f"{path}[{index}]{suffix}", f"{name!r} occurs twice; names must be unique"
        seen.add(name)


def _auto_problems(spec: Spec, *, settle: bool) -> Iterator[tuple[str, str]]:
    asked = spec.protocol
    if asked.name != AUTO:
        if asked.choice is not None:
            yield "protocol.choice", "belongs to 'name: auto'; remove it"
    elif asked.choice == AUTO:
        yield "protocol.choice", "must name a protocol; remove it and run 'quorate compile'"
    elif settle and asked.choice is None:
        yield (
            "protocol.choice",
            "is missing: what to run instead of auto is not chosen yet; run 'quorate compile' on it",
        )
    else:
        yield from auto_problems(spec.parties, asked.threshold)


def _protocol_problems(spec: Spec, protocols: Sequence[str]) -> Iterator[tuple[str, str]]:
    asked = spec.protocol
    if asked.name == AUTO:
        yield from auto_problems(spec.parties, asked.threshold)
        return
    yield from protocol_problems(asked.name, spec.parties, asked.threshold, spec.dealer, protocols)
    yield from adversary_problems(asked.name, asked.adversary, asked.security)
    yield from _keep_problems(spec)


def _keep_problems(spec: Spec) -> Iterator[tuple[str, str]]:
    if spec.protocol.name not in BUILT_IN or protocol_class(spec.protocol.name).keeps:
        return
    why = f"{spec.protocol.name} binds shares to keys that end with the session; use another protocol, or open it"
    for index, output in enumerate(spec.outputs):
        if output.keep is not None:
            yield f"outputs[{index}].keep", why
    for index, item in enumerate(spec.inputs):
        if item.stored is not None:
            yield f"inputs[{index}].stored", why


def _network_problems(network: Distance) -> Iterator[tuple[str, str]]:
    for key, parse in (("rtt", parse_rtt), ("bandwidth", parse_bandwidth)):
        try:
            parse(getattr(network, key))
        except UserError as error:
            yield f"network.{key}", str(error)


def _input_problems(path: str, item: Input) -> Iterator[tuple[str, str]]:
    if not item.name.isascii() or not item.name.isidentifier() or keyword.iskeyword(item.name):
        yield f"{path}.name", f"{item.name!r} is not a Python identifier; use letters, digits and _, such as st_mary"
    if (item.owner is None) == (item.stored is None):
        yield path, "give either 'owner' (a member brings the data) or 'stored' (shares kept earlier), not both or none"
    if item.stored is not None:
        yield from _name_problem(f"{path}.stored", item.stored)
    problems = [*column_problems(item.columns), *row_problems(item.min_rows, item.max_rows)]
    yield from ((f"{path}.{key}", what) for key, what in problems)


def _output_problems(spec: Spec) -> Iterator[tuple[str, str]]:
    yield from _duplicates("outputs", ".name", [output.name for output in spec.outputs])
    kept: set[str] = set()
    for index, output in enumerate(spec.outputs):
        path = f"outputs[{index}]"
        if not output.name.strip() or not output.name.isprintable():
            yield f"{path}.name", f"{output.name!r} cannot name an output; use printable characters"
        if (output.to is None) == (output.keep is None):
            yield path, "give either 'to' (who learns it) or 'keep' (a name for its shares), not both or none"
        if output.parts is not None:
            yield from _part_problems(path, output, {other.name for other in spec.outputs})
        if output.to == ():
            yield f"{path}.to", "is empty; name at least one recipient, or use keep"
        if isinstance(output.to, tuple):
            yield from _duplicates(f"{path}.to", "", output.to)
        if output.keep is not None:
            yield from _name_problem(f"{path}.keep", output.keep)
            if output.keep in kept:
                yield f"{path}.keep", f"{output.keep!r} is already kept by another output; choose another name"
            kept.add(output.keep)


def _part_problems(path: str, output: Output, listed: Collection[str]) -> Iterator[tuple[str, str]]:
    if output.keep is not None:
        yield path, "keeps parts of a result under one name; list each part that is to be kept as NAME.PART"
    if not output.parts or not all(part.strip() and part.isprintable() for part in output.parts):
        yield f"{path}.parts", "is written by 'quorate compile'; remove it and run that again"
        return
    yield from _duplicates(f"{path}.parts", "", output.parts)
    for position, one in enumerate(output.each):
        if one.name in listed:
            yield f"{path}.parts[{position}]", f"{one.name!r} is listed by itself too; run 'quorate compile' again"


def _member_problems(spec: Spec, federation: Federation) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(spec.parties):
        yield from _needs(federation, f"parties[{index}]", name, ("compute",))
    if spec.dealer is not None:
        yield from _needs(federation, "dealer", spec.dealer, ("dealer",))
    for index, item in enumerate(spec.inputs):
        if item.owner is not None:
            yield from _needs(federation, f"inputs[{index}].owner", item.owner, ("owner",))
    told: set[tuple[str, object]] = set()
    for index, output in enumerate(spec.outputs):
        entry = output.name.rpartition(".")[0] or output.name, output.to
        if isinstance(output.to, tuple) and entry not in told:  # parts of one result have the same recipients
            told.add(entry)
            for position, name in enumerate(output.to):
                yield from _needs(
                    federation, f"outputs[{index}].to[{position}]", name, ("recipient", "owner", "compute")
                )


def _needs(federation: Federation, path: str, name: str, roles: Sequence[Role]) -> Iterator[tuple[str, str]]:
    try:
        member = federation.member(name)
    except UserError as error:
        yield path, str(error)
        return
    if not member.has(*roles):
        have, need = ", ".join(member.roles), " or ".join(roles)
        yield path, f"{name!r} lacks the role {need} in federation {federation.name!r} (it has {have}); add it there"
