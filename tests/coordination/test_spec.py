"""Specs: defaults, digests, differences, and errors that carry the path to the bad field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.coordination.federation import Federation
from quorate.coordination.spec import Spec, decode_spec, differences, encode_spec
from quorate.errors import UserError

FederationOf = Callable[..., Federation]
SpecOf = Callable[..., Spec]

REP3 = "{name: rep3, adversary: semi-honest, threshold: 1}"
PARTIES = "[st-mary, st-luke, st-anna]"


def protocol(name: str, threshold: int | None = None) -> tuple[str, str]:
    """The change from rep3 to another protocol."""
    given = "" if threshold is None else f", threshold: {threshold}"
    return REP3, f"{{name: {name}, adversary: semi-honest{given}}}"


def test_example_is_valid(spec_of: SpecOf, federation_of: FederationOf, tmp_path: Path) -> None:
    spec = spec_of()
    spec.validate(federation_of())
    assert spec.plan == str(tmp_path / "average.plan.json")
    assert spec.source == str(tmp_path / "average.py:treatment_costs")
    assert (spec.timeouts.round, spec.timeouts.join, spec.timeouts.session) == (30, 60, 3600)
    assert [spec.recipients(output) for output in spec.outputs] == [("st-mary", "ministry"), spec.parties, ()]


@pytest.mark.parametrize(
    ("changes", "threshold"),
    [
        (protocol("rep3"), 1),
        (protocol("shamir"), 1),
        (protocol("shamir", 1), 1),
        ((*protocol("shamir"), PARTIES, "[st-mary, st-luke, st-anna, d, e]"), 2),
        ((*protocol("shamir", 1), PARTIES, "[st-mary, st-luke, st-anna, d, e]"), 1),
        ((*protocol("semi2k"), "abort:", "dealer: notary\nabort:"), 2),
    ],
)
def test_thresholds(spec_of: SpecOf, changes: tuple[str, ...], threshold: int) -> None:
    assert spec_of(*changes).threshold == threshold


@pytest.mark.parametrize(
    "changes",
    [
        ("spec: 1\n", "# a comment\nspec: 1\n"),
        ("name: average-treatment-cost\n", "", "abort: {on", "name: average-treatment-cost\nabort: {on"),
        ("abort: {on_dropout: abort}", "abort: {}"),
        ("abort: {on_dropout: abort}\n", ""),
        ("timeouts: {round: 30, join: 60}", "timeouts: {session: 3600.0}"),
        (", threshold: 1", ""),
        ("[0, 500000]", "[0.0, 5e5]"),
        (", missing: reject", ""),
        ("average.plan.json", "other/place.json", "source: average.py:treatment_costs\n", ""),
        ("[st-mary, ministry]", "[ministry, st-mary]"),
        ("abort: {on", "network: {rtt: 0.2ms, bandwidth: 10000Mbit/s}\nabort: {on"),
    ],
)
def test_same_content_same_digest(spec_of: SpecOf, changes: tuple[str, ...]) -> None:
    here, there = spec_of(), spec_of(*changes)
    assert here.digest("p") == there.digest("p")
    assert differences(here, there) == []


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (("[0, 365]", "[0, 366]"), ["inputs[0].columns[2].range: [0, 365] here, [0, 366] there"]),
        (("[0, 500000]", "[0, 0.5]"), ["inputs[0].columns[1].range: [0, 500000] here, [0, 0.5] there"]),
        (("round: 30", "round: 31.5"), ["timeouts.round: 30 here, 31.5 there"]),
        ((PARTIES, "[st-luke, st-mary, st-anna]"), None),
        (protocol("shamir"), ["protocol.name: rep3 here, shamir there"]),
        (("  - {name: kept, keep: next-average}\n", ""), ["outputs[2]: 'kept' here, nothing there"]),
        (("to: all", "keep: z"), ["outputs[1].to: all here, nothing there", "outputs[1].keep: nothing here, z there"]),
        (
            (", other]", "]"),
            ["inputs[0].columns[0].categories: [cardiac, trauma, other] here, [cardiac, trauma] there"],
        ),
        (("fill: 1", "fill: 2"), ["inputs[0].columns[2].fill: 1 here, 2 there"]),
        (("min_rows: 100\n", "min_rows: 99\n"), ["inputs[0].min_rows: 100 here, 99 there"]),
        (("abort: {on", "network: {rtt: 40ms}\nabort: {on"), ["network.rtt: 200us here, 40ms there"]),
        (
            ("abort: {on", "network: {bandwidth: 0.1Gbit}\nabort: {on"),
            ["network.bandwidth: 10Gbit here, 100Mbit there"],
        ),
        (("previous-average", "other-average"), ["inputs[1].stored: previous-average here, other-average there"]),
    ],
)
def test_differences_are_named(spec_of: SpecOf, changes: tuple[str, ...], lines: list[str] | None) -> None:
    here, there = spec_of(), spec_of(*changes)
    assert here.digest("p") != there.digest("p")
    found = differences(here, there)
    assert found == lines if lines is not None else found[0].startswith("parties: [st-mary, st-luke")


def test_digest_covers_the_plan(spec_of: SpecOf) -> None:
    assert spec_of().digest("p") != spec_of().digest("q")
    assert len(spec_of().digest("p")) == 64


def test_wire_form_round_trips(spec_of: SpecOf) -> None:
    spec = spec_of()
    received = decode_spec(encode_spec(spec), "st-luke's spec")
    assert received.digest("p") == spec.digest("p")
    assert (received.plan, received.source) == ("", None)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"[]", b"{}", b"\xff", b'{"spec": 1}', b"{" * (1 << 21)])
def test_bad_wire_form(data: bytes) -> None:
    with pytest.raises(UserError, match=r"^st-luke's spec: "):
        decode_spec(data, "st-luke's spec")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (protocol("clear"), "protocol.name: 'clear' is not a protocol; use one of rep3, rep3_malicious, semi2k"),
        (protocol("rep4"), "did you mean 'rep3'?"),
        (("abort: {on", "network: {rtt: 40}\nabort: {on"), "network.rtt: expected text, got 40; put it in quotes"),
        (("abort: {on", "network: {rtt: '40'}\nabort: {on"), "network.rtt: '40' is not a round-trip time"),
        (("abort: {on", "network: {bandwidth: 12MB}\nabort: {on"), "network.bandwidth: '12MB' is not a bandwidth"),
        (("abort: {on", "network: {latency: 1ms}\nabort: {on"), "unknown key 'latency'"),
        (("semi-honest", "covert"), "protocol.adversary: 'covert' is not a known adversary model"),
        (("semi-honest", "malicious"), "protocol.adversary: rep3 protects against semi-honest parties only"),
        (("adversary: semi-honest", "adversary: semi-honest, security: 64"), "rep3 makes no checks"),
        ((PARTIES, "[st-mary, st-luke]"), "parties: rep3 is for exactly 3 parties, 2 are listed"),
        ((PARTIES, "[st-mary, st-luke, st-luke]"), "parties[2]: 'st-luke' occurs twice"),
        ((*protocol("shamir"), PARTIES, "[a, b]"), "parties: shamir needs at least 3 parties, 2 listed; use semi2k"),
        ((*protocol("semi2k"), PARTIES, "[a]"), "parties: semi2k needs at least 2 parties"),
        ((*protocol("shamir"), PARTIES, f"[{', '.join(f'p{i}' for i in range(65))}]"), "65 parties are too many"),
        (protocol("rep3", 2), "protocol.threshold: 2 is too high for 3 parties: in rep3 any two parties"),
        (protocol("shamir", 0), "protocol.threshold: 0 is too low: every single party would learn all inputs; use 1"),
        (
            protocol("shamir", 2),
            "2 is too high for 3 parties: shamir multiplies with 2t + 1 shares, so t = 2 needs at least 5",
        ),
        (protocol("semi2k", 1), "1 is too low: semi2k always protects against any 2 of 3 parties"),
        (protocol("semi2k", 3), "3 is too high for 3 parties: all parties together hold all shares"),
        (
            (*protocol("semi2k"), "abort:", "dealer: st-mary\nabort:"),
            "dealer: 'st-mary' is a compute party and would le",
        ),
        (("abort:", "dealer: notary\nabort:"), "dealer: rep3 works without a dealer; remove"),
        (("[0, 365]", "[365, 0]"), "inputs[0].columns[2].range: the lower limit 365 is above the upper limit 0"),
        (("[0, 365]", "[0, x]"), "inputs[0].columns[2].range[1]: expected a whole number, got 'x'"),
        (("[0, 365]", "[0]"), "inputs[0].columns[2].range: expected a list of 2 items, got a list of 1 items"),
        (("[0, 500000]", "[0, 1e14]"), "inputs[0].columns[1].range: [0.0, 100000000000000.0] needs more than 62 bits"),
        (("scale: 16", "scale: 60"), "inputs[0].columns[1].scale: fixed(60)"),
        ((", other]", ", Trauma]"), "inputs[0].columns[0].categories[2]: 'Trauma' equals 'trauma'"),
        (
            ("type: int", "type: integer"),
            "inputs[0].columns[2].type: 'integer' is not a column type; use one of bool, ca",
        ),
        (("type: bool", "type: bool, range: [0, 1]"), "inputs[0].columns[4]: unknown key 'range'; use type, name, mis"),
        (
            ("missing: drop", "missing: dorp"),
            "columns[4].missing: 'dorp' is not a rule for missing values; use one of drop",
        ),
        (("fill: 1}", "fill: 999}"), "inputs[0].columns[2].fill: lies outside the range [0, 365]"),
        (("name: stay_days", "name: cost"), "inputs[0].columns[2].name: 'cost' occurs twice"),
        (("min_rows: 100\n", "min_rows: -1\n"), "inputs[0].min_rows: -1 is too few"),
        (("max_rows: 1000000", "max_rows: 99"), "inputs[0].max_rows: 99 is below min_rows (100)"),
        (("max_rows: 1000000", f"max_rows: 1{'0' * 30}"), "inputs[0].max_rows: is more than quorate can count"),
        (("name: previous", "name: st_mary"), "inputs[1].name: 'st_mary' occurs twice"),
        (("name: previous", "name: st-x"), "inputs[1].name: 'st-x' is not a Python identifier"),
        (("owner: st-mary", "owner: st-mary\n    stored: x"), "inputs[0]: give either 'owner'"),
        (("    stored: previous-average\n", ""), "inputs[1]: give either 'owner'"),
        (("[{name: cost, type: fixed}]", "[]"), "inputs[1].columns: is empty"),
        (("to: all", "to: al"), "outputs[1].to: 'al' is not a list of members; use one of all"),
        (("to: all", "to: []"), "outputs[1].to: is empty"),
        (("to: all", "to: all, keep: x"), "outputs[1]: give either 'to'"),
        (("to: all", "keep: next-average"), "outputs[2].keep: 'next-average' is already kept"),
        (("name: count", "name: mean"), "outputs[1].name: 'mean' occurs twice"),
        (("[st-mary, ministry]", "[st-mary, st-mary]"), "outputs[0].to[1]: 'st-mary' occurs twice"),
        (("round: 30", "round: 0"), "timeouts.round: must be more than 0"),
        (
            ("on_dropout: abort", "on_dropout: wait"),
            "abort.on_dropout: 'wait' is not a drop-out policy; use one of abo",
        ),
        (("spec: 1", "spec: 2"), "spec: 2 is not a version of the spec format; use one of 1"),
        (("plan: average", "paln: average"), "protocol_spec.yaml: unknown key 'paln'"),
        (("plan: average.plan.json\n", ""), "the key 'plan' is missing"),
        (("name: average-treatment-cost", "name: Average cost"), "name: 'Average cost' is not a valid name"),
    ],
)
def test_bad_specs(spec_of: SpecOf, changes: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError) as caught:
        spec_of(*changes)
    assert says in str(caught.value)
    assert "protocol_spec.yaml: " in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ((PARTIES, "[st-mary, st-luke, st-ana]"), "f: parties[2]: 'st-ana' is no member of federation 'hospitals'"),
        ((PARTIES, "[st-mary, st-luke, notary]"), "f: parties[2]: 'notary' lacks the role compute"),
        (("owner: st-mary", "owner: ministry"), "f: inputs[0].owner: 'ministry' lacks the role owner"),
        (("[st-mary, ministry]", "[st-mary, notary]"), "outputs[0].to[1]: 'notary' lacks the role recipient or owner"),
        ((*protocol("semi2k"), "abort:", "dealer: ministry\nabort:"), "f: dealer: 'ministry' lacks the role dealer"),
    ],
)
def test_members_and_roles(spec_of: SpecOf, federation_of: FederationOf, changes: tuple[str, ...], says: str) -> None:
    spec = spec_of(*changes)
    with pytest.raises(UserError) as caught:
        spec.validate(federation_of(), "f")
    assert says in str(caught.value)


def test_validate_repeats_the_other_checks(spec_of: SpecOf, federation_of: FederationOf) -> None:
    import msgspec

    spec = msgspec.structs.replace(spec_of(), parties=("st-mary", "st-luke"))
    with pytest.raises(UserError, match="exactly 3 parties"):
        spec.validate(federation_of())
