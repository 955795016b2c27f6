"""Loading of federation files: paths, digests, and errors that carry the path to the bad field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.coordination.federation import Address, Federation, parse_address
from quorate.crypto import pki
from quorate.errors import UserError

FederationOf = Callable[..., Federation]


def with_keys(folder: Path) -> None:
    (folder / "pki").mkdir()
    pki.create_authority(folder / "pki", "hospitals")
    pki.issue(folder / "pki", dict.fromkeys(("st-mary", "st-luke", "st-anna", "notary", "ministry")))


def test_members_and_paths(federation_of: FederationOf, tmp_path: Path) -> None:
    federation = federation_of()
    assert federation.name == "hospitals"
    assert federation.ca == str(tmp_path / "pki" / "ca.crt")
    mary = federation.member("st-mary")
    assert mary.roles == ("compute", "owner")
    assert mary.certificate == str(tmp_path / "pki" / "st-mary.crt")
    assert mary.endpoint == Address("127.0.0.1", 7101)
    assert federation.member("st-luke").endpoint == Address("::1", 7102)
    assert mary.has("recipient", "owner")
    assert not mary.has("recipient", "dealer")


def test_absent_member_certificate_and_address(federation_of: FederationOf) -> None:
    federation = federation_of()
    with pytest.raises(UserError, match=r"'st-mray' is no member of federation 'hospitals'; .*did you mean 'st-mary'"):
        federation.member("st-mray")
    with pytest.raises(UserError, match=r"'st-luke': the certificate .*st-luke\.crt does not exist; get it from st-lu"):
        _ = federation.member("st-luke").fingerprint
    with pytest.raises(UserError, match="'st-mary': the certificate"):
        _ = federation.digest
    with pytest.raises(UserError, match="'ministry' has no address"):
        _ = federation.member("ministry").endpoint


def test_digest_is_over_content(federation_of: FederationOf, tmp_path: Path) -> None:
    with_keys(tmp_path)
    digest = federation_of().digest
    assert len(digest) == 64
    assert federation_of("# a comment", "", "[compute, owner]\n", "[owner, compute]\n").digest == digest
    for changes in (
        ("hospitals", "clinics"),
        ("7101", "7109"),
        ("[recipient]", "[recipient, owner]"),
        ("name: ministry", "name: office"),
        ("pki/notary.crt", "pki/ministry.crt"),
    ):
        assert federation_of(*changes).digest != digest


def test_order_of_members_does_not_matter(federation_of: FederationOf, tmp_path: Path) -> None:
    import msgspec

    with_keys(tmp_path)
    federation = federation_of()
    assert msgspec.structs.replace(federation, members=federation.members[::-1]).digest == federation.digest


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (("[compute, owner]\n", "[compte]\n"), "members[0].roles[0]: 'compte' is not a role; use one of comp"),
        (("[compute, owner]\n", "[compte]\n"), "did you mean 'compute'?"),
        (("[compute, owner]\n", "[]\n"), "members[0].roles: is empty"),
        (("[compute, owner]\n", "[owner, owner]\n"), "members[0].roles: names a role twice"),
        (("[compute, owner]\n", "[1]\n"), "members[0].roles[0]: expected text, got 1; put it in quotes"),
        (("[compute, owner]\n", "compute\n"), "members[0].roles: expected a list, got 'compute'"),
        (("  - name: st-mary\n    roles", "  - roles"), "members[0]: the key 'name' is missing"),
        (("certificate: pki/st-mary", "certifcate: pki/st-mary"), "did you mean 'certificate'?"),
        (("certificate: pki/st-mary", "certifcate: pki/st-mary"), "members[0]: unknown key 'certifcate'"),
        (("ca:", "color: red\nca:"), "federation.yaml: unknown key 'color'; use federation, ca, members"),
        (("ca: pki/ca.crt\n", ""), "federation.yaml: the key 'ca' is missing"),
        (("federation: hospitals", "federation: 3"), "federation: expected text, got 3"),
        (("name: st-luke", "name: st-mary"), "members[1].name: 'st-mary' is already members[0]"),
        (("name: st-luke", "name: St.Luke"), "members[1].name: 'St.Luke' cannot name a member"),
        (("node.example:7103", "127.0.0.1:7101"), "members[2].address: 127.0.0.1:7101 is already the address of memb"),
        (
            ("node.example:7103", '"[0::1]:7102"'),
            "members[2].address: [0::1]:7102 is already the address of members[1]",
        ),
        (("node.example:7103", "node.example"), "members[2].address: 'node.example' is not an address"),
        (("node.example:7103", "node.example:70000"), "members[2].address: 'node.example:70000': port 70000"),
        (("address: node.example:7103, ", ""), "members[2]: the key 'address' is missing"),
        (('"[::1]:7102"', "[::1]:7102"), "federation.yaml: line 8, column"),
        (("- name: st-mary", "- name: [st-mary"), "not valid YAML"),
    ],
)
def test_bad_files(federation_of: FederationOf, changes: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError) as caught:
        federation_of(*changes)
    assert says in str(caught.value)
    assert "federation.yaml: " in str(caught.value)


def test_all_problems_are_listed(federation_of: FederationOf) -> None:
    with pytest.raises(UserError) as caught:
        federation_of("7101", "0", "name: notary", "name: Notary")
    assert len(str(caught.value).splitlines()) == 2


def test_no_members(tmp_path: Path, federation_of: FederationOf) -> None:
    from quorate.coordination.federation import load_federation

    (tmp_path / "e.yaml").write_text("federation: x\nca: y\nmembers: []\n")
    with pytest.raises(UserError, match="members: is empty"):
        load_federation(tmp_path / "e.yaml")
    (tmp_path / "e.yaml").write_text("")
    with pytest.raises(UserError, match="expected a mapping"):
        load_federation(tmp_path / "e.yaml")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Node-1.Example:1", Address("node-1.example", 1)),
        ("10.0.0.1:65535", Address("10.0.0.1", 65535)),
        ("[2001:DB8::0:5]:80", Address("2001:db8::5", 80)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", ":1", "a:0", "a:b", "::1:80", "[::1]", "[x]:1", "1.2.3:4", "a b:1", "a:1\n", "a:-1"]
)
def test_bad_addresses(text: str) -> None:
    with pytest.raises(UserError, match=r"address|port|host"):
        parse_address(text)
