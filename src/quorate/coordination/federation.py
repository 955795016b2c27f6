"""The federation: which organisations take part, in which roles, where they listen and who they prove to be."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from quorate.crypto.hashing import canonical_json, hex_digest
from quorate.crypto.pki import check_name, fingerprint
from quorate.data.document import convert, load_yaml, raise_problems
from quorate.errors import UserError
from quorate.transport.carrier import check_address

__all__ = ["EMBEDDED", "Address", "Federation", "Member", "Role", "load_federation", "parse_address"]

Role = Literal["compute", "owner", "recipient", "dealer", "coordinator"]

EMBEDDED = "embedded:"
_LISTENING: tuple[Role, ...] = ("compute", "dealer")
_DOMAIN = "quorate/federation/1"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


class Address(NamedTuple):
    """Where a node listens: `host` is a lower-case name or a canonical IP address, `port` 1 ... 65535."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """HOST:PORT, an IPv6 address in brackets; `UserError` says what is wrong with anything else."""
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):([0-9]{1,5})", text)
    if not match:
        raise UserError(f"{text!r} is not an address; write HOST:PORT, for example 10.0.0.5:7101 or [2001:db8::5]:7101")
    port = int(match[3])
    if not 1 <= port <= 65535:
        raise UserError(f"{text!r}: port {port} does not exist; use one of 1 to 65535")
    return Address(_host(text, match[1], match[2]), port)


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One organisation; `certificate` is a path, absolute or relative to the working directory once loaded.

    `inbox` is the address of the broker where messages for the member are left in sessions with `delivery: queued`;
    by default a folder of this machine beside the federation file. `region` is where its node and broker stand.
    """

    name: str
    roles: tuple[Role, ...]
    certificate: str
    address: str | None = None
    inbox: str | None = None
    region: str | None = None

    @property
    def endpoint(self) -> Address:
        """The parsed address; `UserError` if the member has none or it is malformed."""
        if self.address is None:
            raise UserError(f"member {self.name!r} has no address; add 'address: HOST:PORT' to the federation file")
        return parse_address(self.address)

    @property
    def fingerprint(self) -> str:
        """Fingerprint "sha256:..." of the pinned certificate, read now; raises if it is not there or not readable."""
        path = Path(self.certificate)
        if not path.exists():
            raise UserError(
                f"member {self.name!r}: the certificate {path} does not exist; get it from {self.name}, "
                "or make all certificates of a test federation with 'quorate pki init'"
            )
        return fingerprint(path)

    def has(self, *roles: Role) -> bool:
        """Whether the member has one of `roles`."""
        return any(role in self.roles for role in roles)


class Federation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All members; `ca` is the path of the authority's certificate, `broker_ca` of that of message brokers."""

    federation: str
    ca: str
    members: tuple[Member, ...]
    broker_ca: str | None = None

    @property
    def name(self) -> str:
        """The federation's name."""
        return self.federation

    @property
    def digest(self) -> str:
        """SHA-256 (64 hexadecimal characters) over names, roles, addresses and certificate fingerprints.

        Paths, comments and the order of members and roles do not matter. Reads every certificate; raises as
        `Member.fingerprint`.
        """
        content = {"name": self.name, "members": {member.name: _content(member) for member in self.members}}
        return hex_digest(canonical_json(content), _DOMAIN)

    def member(self, name: str) -> Member:
        """The member called `name`; `UserError` lists the members and suggests the nearest."""
        for member in self.members:
            if member.name == name:
                return member
        raise UserError(self.unknown(name))

    def unknown(self, name: str) -> str:
        """The sentence that says `name` is no member, lists those there are and suggests the nearest."""
        names = [member.name for member in self.members]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{name!r} is no member of federation {self.name!r}; the members are {', '.join(names)}{hint}"


def load_federation(path: str | Path) -> Federation:
    """Read and check `federation.yaml`; certificates are read later, when they are needed.

    Raises:
        UserError: no such file, malformed YAML (line and column), or bad fields, each with its path.
        EnvironmentFault: the file cannot be read.
    """
    file = Path(path)
    federation = convert(load_yaml(file), Federation, str(file))
    raise_problems(str(file), _problems(federation))
    members = tuple(
        msgspec.structs.replace(
            member, certificate=str(file.parent / member.certificate), inbox=_inbox(member.inbox, file.parent)
        )
        for member in federation.members
    )
    broker_ca = None if federation.broker_ca is None else str(file.parent / federation.broker_ca)
    return msgspec.structs.replace(
        federation, ca=str(file.parent / federation.ca), members=members, broker_ca=broker_ca
    )


def _content(member: Member) -> dict[str, object]:
    address = None if member.address is None else str(member.endpoint)
    content: dict[str, object] = {"roles": sorted(member.roles), "address": address, "fingerprint": member.fingerprint}
    if member.inbox is not None and not member.inbox.startswith(EMBEDDED):
        content["inbox"] = member.inbox
    if member.region is not None:
        content["region"] = member.region
    return content


def _inbox(address: str | None, folder: Path) -> str:
    """The address with the path of an embedded queue relative to the working directory."""
    path = "queues" if address is None else address.removeprefix(EMBEDDED)
    return EMBEDDED + str(folder / path) if address is None or address.startswith(EMBEDDED) else address


def _host(text: str, bracketed: str | None, plain: str | None) -> str:
    try:
        if bracketed is not None:
            return str(ipaddress.IPv6Address(bracketed))
        if plain and re.fullmatch(r"[0-9.]+", plain):
            return str(ipaddress.IPv4Address(plain))
    except ValueError as error:
        raise UserError(f"{text!r}: the host is not a valid IP address; correct it") from error
    if not plain or not _HOST.fullmatch(plain):
        raise UserError(f"{text!r}: the host is not a host name; use letters, digits, '.' and '-'")
    return plain.lower()


def _problems(federation: Federation) -> Iterator[tuple[str, str]]:
    if not federation.members:
        yield "members", "is empty; list at least one member"
    if not federation.name.strip() or not federation.name.isprintable():
        yield "federation", "give the federation a printable name"
    names: dict[str, int] = {}
    addresses: dict[Address, int] = {}
    for index, member in enumerate(federation.members):
        yield from _member_problems(f"members[{index}]", member)
        first = names.setdefault(member.name, index)
        if first != index:
            yield f"members[{index}].name", f"{member.name!r} is already members[{first}]; names must be unique"
        yield from _taken(addresses, member, index)


def _member_problems(path: str, member: Member) -> Iterator[tuple[str, str]]:
    try:
        check_name(member.name)
    except UserError as error:
        yield f"{path}.name", str(error)
    if not member.roles:
        yield f"{path}.roles", "is empty; give the member at least one role"
    if len(set(member.roles)) < len(member.roles):
        yield f"{path}.roles", "names a role twice; remove one"
    if not member.certificate:
        yield f"{path}.certificate", "is empty; give the path of the member's certificate"
    if member.inbox is not None:
        try:
            check_address(member.inbox)
        except UserError as error:
            yield f"{path}.inbox", str(error)
    if member.region is not None:
        yield from ((f"{path}.region", str(error)) for error in _name_errors(member.region))
    if member.address is None and member.has(*_LISTENING):
        yield path, f"the key 'address' is missing; members with role {' or '.join(_LISTENING)} need HOST:PORT"


def _name_errors(name: str) -> Iterator[UserError]:
    try:
        check_name(name)
    except UserError as error:
        yield error


def _taken(addresses: dict[Address, int], member: Member, index: int) -> Iterator[tuple[str, str]]:
    """Problems of the address: malformed, or already in `addresses` (which it enters)."""
    if member.address is None:
        return
    try:
        first = addresses.setdefault(member.endpoint, index)
    except UserError as error:
        yield f"members[{index}].address", str(error)
        return
    if first != index:
        yield f"members[{index}].address", f"{member.address} is already the address of members[{first}]; change one"
