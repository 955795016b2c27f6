"""Whole sessions between real processes over mutual TLS, and what happens when one part of them fails."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time

import pytest

from quorate.errors import AgreementError, DataError, IdentityError, PeerError, UserError
from quorate.node import messages
from quorate.node.approval import load
from quorate.node.client import submit
from quorate.node.control import call, dial
from quorate.node.coordinator import coordinate
from quorate.node.participant import Participant

TOTAL = 330


def test_three_owners_learn_a_sum_and_nobody_else_does(running, bodies, join):
    site, _ = running
    spec = site.total_spec("sum-rep3", bodies["rep3"])
    owners = join(site, spec)
    finished = coordinate(site.identity(), load(spec, site.federation), {})
    assert finished.values["total"] == TOTAL
    results = [owner.json() for owner in owners]
    assert [result["results"] for result in results] == [{"total": TOTAL}, {}, {}]
    assert {result["session"] for result in results} == {finished.session}
    assert set(finished.reports) == {"p1", "p2", "p3", "boss"}
    p1, p2, p3 = (finished.reports[name] for name in ("p1", "p2", "p3"))
    assert p1.rounds == p2.rounds == p3.rounds > 0
    assert p1.rows == {"o1": 5, "o2": 5, "o3": 5}
    assert p1.bytes_sent == sum(peer.sent for peer in p1.peers.values())
    assert all(peer.wire_out > peer.sent for peer in p1.peers.values())


@pytest.mark.parametrize("protocol", ["shamir", "semi2k"])
def test_other_protocols(running, bodies, join, protocol):
    site, _ = running
    spec = site.total_spec(f"sum-{protocol}", bodies[protocol])
    owners = join(site, spec)
    finished = coordinate(site.identity(), load(spec, site.federation), {})
    assert finished.values["total"] == TOTAL
    assert owners[0].json()["results"] == {"total": TOTAL}
    openings = list((site.home / "commitments").glob(f"{finished.session}.*.json"))
    assert len(openings) == len(owners)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in openings)
    for path in openings:
        for name, item in json.loads(path.read_text())["inputs"].items():
            assert finished.reports["p1"].commitments[name] == item["commitment"]
    assert ("notary" in finished.reports) == (protocol == "semi2k")


def test_a_party_that_receives_results_finds_them_in_its_home(running, bodies, join):
    site, _ = running
    spec = site.total_spec("sum-to-parties", bodies["rep3"], "  - {name: total, to: [p2]}\n")
    join(site, spec)
    finished = coordinate(site.identity(), load(spec, site.federation), {})
    path = site.home / "results" / f"{finished.session}.p2.json"
    assert json.loads(path.read_text())["results"] == {"total": TOTAL}
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(path.parent.glob(f"{finished.session}*"))) == 1


def test_kept_shares_serve_a_later_spec(running, source, bodies, join):
    site, _ = running
    keeping = source()
    both = keeping.add(keeping.read("o1"), keeping.read("o1"))
    plan = keeping.plan("keeping", {"doubled": both})
    spec = site.write_spec("keeping", plan, bodies["rep3"], "  - {name: doubled, keep: doubled}\n", ["o1"])
    join(site, spec, ["o1"])
    assert coordinate(site.identity(), load(spec, site.federation), {}).values == {}

    using = source()
    plan = using.plan("using", {"sum": using.sum(using.read("before"))})
    later = site.write_spec("using", plan, bodies["rep3"], "  - {name: sum, to: [boss]}\n", ["before"])
    later.write_text(later.read_text().replace("owner: before", "stored: doubled"))
    assert coordinate(site.identity(), load(later, site.federation), {}).values["sum"] == 2 * (10 + 11 + 12 + 13 + 14)

    other = later.with_name("misusing.yaml")
    text = later.read_text().replace("name: using", "name: misusing").replace("rep3", "shamir")
    other.write_text(text)
    with pytest.raises(UserError, match="protocol rep3, this spec has shamir"):
        submit(site.identity(), load(other, site.federation))


def test_two_sessions_at_once_and_the_death_of_one_worker(running, source, bodies, join, worker_of):
    site, _ = running
    long = source()
    plan = long.plan("long", {"end": long.chain(long.read("o1"), 20000)})
    spec = site.write_spec("long", plan, bodies["rep3"], "  - {name: end, to: [o1]}\n", ["o1"])
    owner = join(site, spec, ["o1"])[0]
    long_run = submit(site.identity(), load(spec, site.federation))
    other = site.total_spec("meanwhile", bodies["rep3"])
    others = join(site, other)
    killed: list[float] = []

    def kill_once(*_):
        if not killed:
            os.kill(worker_of(site, long_run.session, "p2"), signal.SIGKILL)
            killed.append(time.monotonic())

    with contextlib.closing(long_run), pytest.raises(PeerError, match=r"p2: its worker.*was killed by SIGKILL"):
        long_run.wait(kill_once)
    assert time.monotonic() - killed[0] < 10
    code, _, errors = owner.end()
    assert code == PeerError.exit_code
    assert "p2" in errors
    assert coordinate(site.identity(), load(other, site.federation), {}).values["total"] == TOTAL
    assert others[0].json()["results"] == {"total": TOTAL}


def test_a_differing_spec_is_named_field_by_field(running, bodies, tmp_path):
    site, _ = running
    spec = site.total_spec("differing", bodies["rep3"])
    mine = tmp_path / "mine.yaml"
    text = spec.read_text().replace("plan: ", f"plan: {site.folder}/").replace("[0, 1000]", "[0, 2000]", 1)
    mine.write_text(text)
    approved = load(mine, site.federation)
    with pytest.raises(AgreementError, match=r"p1 refused.*inputs\[0\]\.columns\[0\]\.range: .*1000.* here, .*2000"):
        submit(site.identity(), approved)


def test_another_plan_is_named(running, source, bodies, tmp_path):
    site, _ = running
    spec = site.total_spec("other-plan", bodies["rep3"])
    other = source()
    total = other.total(["o1", "o2", "o3"])
    plan = other.plan("other-plan", {"total": other.add(total, total)})
    (tmp_path / "mine.plan.json").write_bytes(plan.to_json())
    mine = tmp_path / "mine.yaml"
    mine.write_text(spec.read_text().replace("plan: other-plan.plan.json", "plan: mine.plan.json"))
    with pytest.raises(AgreementError, match="another plan for 'other-plan'"):
        submit(site.identity(), load(mine, site.federation))


def test_an_unknown_spec_says_where_to_put_it(running, bodies, tmp_path):
    site, _ = running
    spec = site.total_spec("unknown", bodies["rep3"])
    moved = tmp_path / "unknown.yaml"
    moved.write_text(spec.read_text().replace("plan: ", f"plan: {site.folder}/"))
    spec.unlink()
    with pytest.raises(UserError, match=r"no approved spec is called 'unknown'.*--specs"):
        submit(site.identity(), load(moved, site.federation))


def test_an_owner_with_another_copy_learns_the_difference(running, bodies, command, join, tmp_path):
    site, _ = running
    spec = site.total_spec("owner-differs", bodies["rep3"])
    mine = tmp_path / "mine.yaml"
    text = spec.read_text().replace("plan: ", f"plan: {site.folder}/").replace("1000", "2000")
    mine.write_text(text)
    owner = command("join", mine, "--federation", site.federation_file, "--as", "o1", "--data", f"o1={site.data['o1']}")
    approved = load(spec, site.federation)
    submission = submit(site.identity(), approved)
    try:
        code, _, errors = owner.end()
        assert code == AgreementError.exit_code
        assert "inputs[0].columns[0].range" in errors
        owners = join(site, spec)  # with the right copy it is not too late
        Participant.ready(site.identity(), approved, {}).take_part(submission.session)
        assert owners[0].json()["results"] == {"total": TOTAL}
        submission.wait()
    finally:
        submission.close()


def test_bad_data_ends_the_owner_at_once(running, bodies, command):
    site, _ = running
    spec = site.total_spec("bad-data", bodies["rep3"])
    bad = site.folder / "bad.csv"
    bad.write_text("value\n1\n2\n1001\n")
    code, out, errors = command("join", spec, "--as", "o1", "--data", f"o1={bad}").end()
    assert (code, out) == (DataError.exit_code, "")
    assert "bad.csv" in errors
    assert "row 4" in errors
    assert "Traceback" not in errors


def test_a_party_may_own_an_input_and_its_bad_data_is_not_shown_to_others(site, bodies):
    site.write_data("p1", [1, 2, 3])
    spec = site.total_spec("own-data", bodies["rep3"], "  - {name: total, to: [boss]}\n", ["p1"])
    approved = load(spec, site.federation)
    with site.up(["p1", "p2", "p3"]):
        assert coordinate(site.identity(), approved, {}).values["total"] == 6
        site.write_data("p1", [1, 4242])
        with pytest.raises(PeerError, match="p1 refused: its input data did not pass the checks") as caught:
            submit(site.identity(), approved)
    assert "4242" not in str(caught.value)
    assert "row 3" in (site.home / "p1.log").read_text()


def test_only_coordinators_start_sessions(running, bodies):
    site, _ = running
    spec = site.total_spec("by-owner", bodies["rep3"])
    with pytest.raises(UserError, match="lacks the role coordinator"):
        submit(site.identity("o1"), load(spec, site.federation))
    control = dial(site.identity("o1"), site.federation.member("p1"))
    try:
        with pytest.raises(IdentityError, match="o1 may not start or stop sessions"):
            call(control, messages.Cancel(session="0" * 32), 5)
    finally:
        control.close()


def test_a_session_id_is_used_once(running, bodies):
    site, _ = running
    approved = load(site.total_spec("twice", bodies["rep3"]), site.federation)
    first = submit(site.identity(), approved)
    try:
        with pytest.raises(UserError, match="exists already"):
            submit(site.identity(), approved, first.session)
    finally:
        first.cancel(site.identity())
        with pytest.raises(PeerError, match="cancelled by the coordinator"):
            first.wait()
        first.close()


def test_ctrl_c_cancels_the_session_at_all_nodes(running, bodies, command, until):
    site, _ = running
    spec = site.total_spec("interrupted", bodies["rep3"])
    run = command("run", spec)
    session = re.findall("session ([0-9a-f]{32}) started", run.process.stderr.readline())[0]
    run.process.send_signal(signal.SIGINT)
    assert run.end(10)[0] == 130
    for name in ("p1", "p2", "p3"):
        until(lambda log=site.home / f"{name}.log": f"{session}: failed" in log.read_text())


def test_outsiders_do_not_watch(running, bodies):
    site, _ = running
    spec = site.total_spec("private", bodies["rep3"], "  - {name: total, to: [o1]}\n", ["o1", "o2"])
    submission = submit(site.identity(), load(spec, site.federation))
    control = dial(site.identity("o3"), site.federation.member("p1"))
    try:
        with pytest.raises(IdentityError):
            call(control, messages.Watch(session=submission.session), 5)
    finally:
        control.close()
        submission.cancel(site.identity())
        submission.close()


def test_simulation_needs_no_nodes(site, bodies, command):
    spec = site.total_spec("simulated", bodies["rep3"])
    data = [argument for owner, path in site.data.items() for argument in ("--data", f"{owner}={path}")]
    result = command("run", spec, "--simulate", "--json", *data).json()
    assert result["results"] == {"total": TOTAL}
    assert set(result["participants"]) == {"p1", "p2", "p3", "o1", "o2", "o3", "boss"}
