"""quorate pki: certificates of members."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.common import Json, print_json

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from quorate.coordination.federation import Federation

__all__ = ["pki"]

pki = typer.Typer(help="Make certificates: of a test federation, or each by its owner.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where the files are written or found.")]


@pki.command()
def init(
    federation: Annotated[Path, typer.Argument(metavar="FEDERATION", help="The federation file.")],
    json: Json = False,
) -> None:
    """Make an authority and the keys of all members of a federation, in the places that its file names.

    For demonstrations and tests, or one operator: whoever runs this holds every key. Real organisations use 'request'
    and 'sign'. Nothing that exists is overwritten.
    """
    from quorate.coordination.federation import load_federation
    from quorate.crypto.pki import create_authority, issue

    loaded = load_federation(federation)
    folder = _common_folder(loaded)
    files = _targets(loaded, folder)
    _refuse_existing(files)
    create_authority(folder, _authority_name(loaded.name))
    issue(folder, {member.name: member.endpoint.host if member.address else None for member in loaded.members})
    _told([f"made an authority and {len(loaded.members)} certificates with their keys in {folder}"], files, json)


@pki.command()
def authority(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for the authority.")],
    folder: Folder = Path("pki"),
    json: Json = False,
) -> None:
    """Make the authority of a federation; its ca.crt goes to all members, its ca.key to nobody."""
    from quorate.crypto.pki import create_authority

    create_authority(folder, name)
    _told([f"give {folder / 'ca.crt'} to every member; keep ca.key"], [folder / "ca.crt", folder / "ca.key"], json)


@pki.command()
def request(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The member that you are.")],
    folder: Folder = Path("pki"),
    json: Json = False,
) -> None:
    """Make your key, which never leaves you, and a request for a certificate, which goes to the authority."""
    from quorate.crypto.pki import create_request

    create_request(folder, name)
    files = [folder / f"{name}.key", folder / f"{name}.csr"]
    _told([f"send {files[1]} to the federation's authority; keep {files[0]} to yourself"], files, json)


@pki.command()
def sign(
    csr: Annotated[Path, typer.Argument(metavar="CSR", help="The request that a member sent.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The member whose request it must be.")],
    folder: Folder = Path("pki"),
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Its host name or IP address.")] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Replace the member's certificate.")] = False,
    json: Json = False,
) -> None:
    """Sign a member's request, as the authority. Check by another channel that the member really sent it."""
    from quorate.crypto.pki import fingerprint, sign_request
    from quorate.errors import UserError

    if not renew and (held := folder / f"{name}.crt").exists():
        raise UserError(
            f"{held} exists, and members have pinned it; to replace it, sign with --renew and tell them all"
        )
    path = sign_request(folder, csr, name, host=host)
    lines = [f"send {path} to all members, with its fingerprint by another channel:", fingerprint(path)]
    _told(lines, [path], json, fingerprint=lines[1])


@pki.command()
def show(
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="A certificate file.")],
    json: Json = False,
) -> None:
    """Say whose certificate it is, how long it is valid, and its fingerprint."""
    from quorate.crypto.pki import fingerprint, load_certificate

    facts = {**_facts(load_certificate(certificate)), "fingerprint": fingerprint(certificate)}
    if json:
        print_json(facts)
    else:
        print("\n".join(f"{name.replace('_', ' '):<12} {value}" for name, value in facts.items()))


def _facts(certificate: Certificate) -> dict[str, str]:
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "valid_from": f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
        "valid_until": f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
    }


def _common_folder(federation: Federation) -> Path:
    """The folder in which the file places all certificates. Raises `UserError` if there is not exactly one."""
    from quorate.errors import UserError

    folder = Path(federation.ca).parent
    if Path(federation.ca).name != "ca.crt":
        raise UserError(f"'ca' names {federation.ca}; 'pki init' writes ca.crt: use that name, for example pki/ca.crt")
    for member in federation.members:
        path = Path(member.certificate)
        if path != folder / f"{member.name}.crt":
            raise UserError(
                f"member {member.name!r}: its certificate is {path}; 'pki init' writes {folder / member.name}.crt: "
                "use that path in the federation file, or make the certificates with 'request' and 'sign'"
            )
    return folder


def _targets(federation: Federation, folder: Path) -> list[Path]:
    return list(_pairs(folder, ["ca", *(member.name for member in federation.members)]))


def _pairs(folder: Path, names: list[str]) -> Iterator[Path]:
    for name in names:
        yield folder / f"{name}.crt"
        yield folder / f"{name}.key"


def _refuse_existing(files: list[Path]) -> None:
    """Before anything is written, so that no half of a set remains."""
    from quorate.errors import UserError

    for path in files:
        if path.exists():
            raise UserError(f"{path} already exists and is not overwritten; move it away or choose another folder")


def _authority_name(federation: str) -> str:
    """The federation's name as an authority's name may be written."""
    cleaned = "".join(c if c.isascii() and c.isalnum() else "-" for c in federation.lower()).strip("-")
    return cleaned[:63].strip("-") or "federation"


def _told(lines: list[str], files: list[Path], as_json: bool, **more: str) -> None:
    if as_json:
        print_json({"files": [str(path) for path in files], **more})
    else:
        print("\n".join(lines))
