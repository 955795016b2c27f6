"""`protocol: auto`: which protocol is chosen, why others are not, and how the choice gets into the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorate.cli.example import copy_example
from quorate.coordination.choose import choose, write_choice
from quorate.coordination.quote import quote
from quorate.coordination.spec import Spec, decode_spec, encode_spec, load_spec
from quorate.errors import UserError
from quorate.lang.plan import Plan

REP3 = "protocol: {name: rep3, adversary: semi-honest, threshold: 1}"
PARTIES = "parties: [alder, birch, cedar]"
ROWS = {"st_mary": 100, "st_luke": 100, "st_anna": 100}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy_example(tmp_path / "hospital", [7101, 7102, 7103])
    return tmp_path / "hospital"


def stated(folder: Path, protocol: str, parties: str = PARTIES, **changes: str) -> Path:
    path = folder / "protocol_spec.yaml"
    text = path.read_text().replace(REP3, protocol).replace(PARTIES, parties)
    for old, new in changes.items():
        text = text.replace(f"{old}: ", new)
    path.write_text(text.replace("range: [0, 250000]", "range: [0, 120000]"))
    return path


def opened(path: Path) -> tuple[Spec, Plan]:
    """The spec, and of its plan what leads to the mean of all costs."""
    whole = Plan.from_json((path.parent / "treatment_costs.plan.json").read_bytes())
    target = whole.outputs["mean_cost"]
    return load_spec(path, settle=False), Plan("mean", whole.operations[: target + 1], {"mean_cost": target})


AUTO = "protocol: {name: auto, adversary: semi-honest, threshold: 1}"


def test_the_fastest_is_chosen_and_every_candidate_has_its_quote(folder: Path) -> None:
    spec, plan = opened(stated(folder, AUTO))
    made = choose(spec, plan, ROWS)
    by_name = {candidate.protocol: candidate for candidate in made.candidates}
    assert (
        by_name["rep3_malicious"].refused
        == "rep3_malicious withstands parties that cheat; state what you get: adversary: malicious"
    )
    for name in ("rep3", "shamir"):
        own = quote(spec.settled(name), plan, ROWS)
        assert (by_name[name].seconds, by_name[name].rounds) == (own.seconds, own.rounds)
    possible = {"rep3", "shamir", "shamir_quorum", "semi2k"}
    assert {candidate.protocol for candidate in made.candidates if candidate.refused is None} == possible
    assert made.protocol == min(possible, key=lambda name: by_name[name].seconds)
    assert made.lines[0].startswith(f"protocol auto: {made.protocol}, the fastest")


def test_a_dealer_makes_semi2k_possible_and_is_left_out_otherwise(folder: Path) -> None:
    spec, plan = opened(stated(folder, AUTO, f"{PARTIES}\ndealer: st-mary"))
    made = choose(spec, plan, ROWS)
    assert {candidate.protocol for candidate in made.candidates if candidate.refused is None} == {
        "rep3",
        "shamir",
        "shamir_quorum",
        "semi2k",
    }
    assert spec.settled("rep3").dealer is None
    assert spec.settled("semi2k").dealer == "st-mary"
    assert spec.settled("semi2k").threshold == 2


def test_two_parties_leave_only_semi2k(folder: Path) -> None:
    spec, plan = opened(stated(folder, AUTO, "parties: [alder, birch]\ndealer: cedar"))
    made = choose(spec, plan, ROWS)
    assert made.protocol == "semi2k"
    reasons = {candidate.protocol: candidate.refused for candidate in made.candidates}
    assert "exactly 3 parties" in (reasons["rep3"] or "")
    assert "at least 3 parties" in (reasons["shamir"] or "")


def test_a_higher_threshold_is_never_given_up(folder: Path) -> None:
    spec, plan = opened(
        stated(folder, AUTO.replace("threshold: 1", "threshold: 2"), "parties: [alder, birch, cedar, st-mary, st-luke]")
    )
    made = choose(spec, plan, ROWS)
    assert made.protocol == "shamir"
    assert spec.settled("shamir").threshold == 2


def test_nothing_fits(folder: Path) -> None:
    asked = "protocol: {name: auto, adversary: semi-honest, threshold: 1, security: 64}"
    spec, plan = opened(stated(folder, asked, "parties: [alder, birch]"))
    with pytest.raises(UserError, match=r"no protocol can run .*rep3: no, .*shamir: no, .*semi2k: no, semi2k makes no"):
        choose(spec, plan, ROWS)


def test_values_that_one_protocol_cannot_hold(folder: Path) -> None:
    path = stated(folder, AUTO)
    path.write_text(path.read_text().replace("range: [0, 120000]", "range: [0, 1000000000000]"))
    spec, plan = opened(path)
    made = choose(spec, plan, ROWS)
    refused = {candidate.protocol: candidate.refused for candidate in made.candidates}
    assert made.protocol == "rep3"
    assert "treatment_costs.py" in (refused["shamir"] or "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (AUTO, "protocol: {name: auto, choice: rep3, adversary: semi-honest, threshold: 1}"),
        (
            "protocol:  # how\n    name: auto   # the cheapest\n    adversary: semi-honest\n    threshold: 1",
            "protocol:  # how\n    name: auto   # the cheapest\n    choice: rep3\n"
            "    adversary: semi-honest\n    threshold: 1",
        ),
        (
            "protocol: {adversary: semi-honest, choice: shamir, threshold: 1, name: 'auto'}",
            "protocol: {adversary: semi-honest, choice: rep3, threshold: 1, name: 'auto'}",
        ),
        (
            "protocol:\n  threshold: 1\n  adversary: semi-honest\n  name: auto",
            "protocol:\n  threshold: 1\n  adversary: semi-honest\n  name: auto\n  choice: rep3",
        ),
    ],
)
def test_the_choice_is_written_beside_the_name_and_nothing_else_changes(folder: Path, before: str, after: str) -> None:
    path = stated(folder, before)
    text = path.read_text()
    assert write_choice(path, "rep3", write=False)
    assert path.read_text() == text
    assert write_choice(path, "rep3")
    assert path.read_text() == text.replace(before, after)
    assert not write_choice(path, "rep3")
    settled = load_spec(path)
    assert (settled.protocol.name, settled.protocol.choice, settled.threshold) == ("rep3", None, 1)


def test_all_agree_on_the_protocol_that_was_chosen(folder: Path) -> None:
    named = load_spec(stated(folder, REP3)).digest("p")
    path = stated(folder, REP3)
    path.write_text(path.read_text().replace(REP3, AUTO))
    write_choice(path, "rep3")
    spec = load_spec(path)
    assert spec.digest("p") == named
    assert decode_spec(encode_spec(spec), "peer").digest("p") == named
    assert b"auto" not in encode_spec(spec)


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("{name: auto, adversary: semi-honest, threshold: 1}", "protocol.choice: is missing.*quorate compile"),
        ("{name: auto, adversary: semi-honest}", "protocol.threshold: is missing"),
        ("{name: auto, adversary: semi-honest, threshold: 3}", "use 1 to 2"),
        ("{name: rep3, adversary: semi-honest, choice: rep3}", "belongs to 'name: auto'"),
        ("{name: auto, adversary: semi-honest, threshold: 1, choice: rep4}", "'rep4' is not a protocol"),
        ("{name: auto, adversary: semi-honest, threshold: 1, choice: clear}", "'clear' is not a protocol"),
        ("{name: auto, adversary: semi-honest, threshold: 1, choice: auto}", "must name a protocol"),
    ],
)
def test_specs_that_are_not_settled_or_not_possible(folder: Path, protocol: str, said: str) -> None:
    path = stated(folder, f"protocol: {protocol}")
    with pytest.raises(UserError, match=said):
        load_spec(path, settle="choice: " in protocol or "threshold: 1}" in protocol)


def test_a_peer_cannot_send_auto(folder: Path) -> None:
    spec = load_spec(stated(folder, REP3))
    sent = encode_spec(spec).replace(b'"name":"rep3"', b'"name":"auto"')
    with pytest.raises(UserError, match="names the protocol that was chosen"):
        decode_spec(sent, "peer")
