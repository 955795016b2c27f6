"""quorate run --async, node --visit, join --visit and status: nobody is online together, and what is told of it."""

from __future__ import annotations

import json

import pytest
from tests.node.lasting_lab import NODES, VALUES, Lab

TIMES = "{round: 600, join: 60, session: 3600}"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = Lab(tmp_path)
    yield made
    made.close()


@pytest.fixture
def asked(lab, here):
    """A session that was asked for, its spec, and the options that follow 'status SESSION'."""
    approved = lab.spec("sum", "queued", chain=0, times=TIMES, owners=("p1", "o1"))
    session = here("run", approved.path, "--async", "--json").json()["session"]
    return session, approved.path, ("--federation", lab.site.federation_file, "--as", "boss")


def test_status_tells_who_is_missing_who_finished_and_who_failed(lab, here, asked):
    session, spec, options = asked
    waiting = here("status", session, *options)
    assert (waiting.code, waiting.out) == (6, "")
    assert "no reply yet from p1, p2, p3" in waiting.err
    assert here("status", session, *options, "--json", "--timeout", "0.1").json()["missing"] == list(NODES)

    spec.write_text(spec.read_text().replace("2147483647", "2147483646"))
    assert lab.visit("p3") == 0
    failed = here("status", session, *options)
    assert failed.code == 4
    assert "p3: the coordinator's spec" in failed.err
    told = here("status", session, *options, "--json")
    assert told.code == 4
    found = json.JSONDecoder().raw_decode(told.out)[0]
    assert found["ended"]["p3"]["code"] == "AgreementError"
    assert found["missing"] == ["p1", "p2"]


def test_what_cannot_be_asked(lab, here, asked):
    session, spec, options = asked
    assert "no session" in here("status", "0" * 32, *options).err
    assert here("status", "../" + session, *options).code == 2
    assert here("run", spec, "--async", "--simulate").code == 2
    assert here("run", spec, "--async", "--data", f"p1={lab.site.data['p1']}").code == 2
    live = lab.spec("live", "durable", chain=1)
    assert "delivery: queued" in here("run", live.path, "--async").err
    assert here("join", live.path, "--as", "o1", "--visit").code == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_commands_one_after_the_other(lab, process, asked):
    """As in docs/how-to/asynchronous.md; every command is a process of its own."""
    session, spec, options = asked
    codes = []
    data = {name: ("--data", f"{name}={lab.site.data[name]}") for name in ("p1", "o1")}
    for _ in range(20):
        joined = process("join", spec, "--as", "o1", *data["o1"], "--visit")
        assert joined.code in (0, 6, 8), joined.err
        for name in NODES:
            visit = process(
                "node", lab.site.federation_file, "--as", name, "--visit", "--idle", "0.3", *data.get(name, ())
            )
            assert visit.code == 0, visit.err
            said = visit.out.strip()
            assert said in (f"{name}: 1 session waits for others", f"{name}: nothing is left to do"), said
        codes.append(process("status", session, *options).code)
        if codes[-1] != 6:
            break
    assert codes[-1] == 0
    assert set(codes[:-1]) == {6}
    told = process("status", session, *options)
    assert [line.partition(":")[0] for line in told.out.splitlines()] == list(NODES)
    assert lab.result(session)["total"] == 2 * sum(VALUES)
