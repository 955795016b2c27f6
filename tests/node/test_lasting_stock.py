"""Durable sessions of real nodes with tuples from stock, and with checkpoints, that are killed."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from tests.node.conftest import Source
from tests.node.lasting_lab import Lab, expected, until

from quorate.coordination.quote import quote
from quorate.coordination.stocks import load_stocks
from quorate.node.messages import Finished
from quorate.node.producing import shelf_of

SESSION = "5e" * 16
PAIR = ("p1", "p2")
WAIT = 60.0


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = Lab(tmp_path)
    yield made
    made.close()


def spent(shelf):
    return [
        (event.kind, event.start, event.stop, event.session)
        for event in shelf.journal.events()
        if event.what == "spent" and event.stop > event.start
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "adversary"), [("semi2k", "semi-honest"), ("spdz", "malicious")])
def test_tuples_are_taken_once_however_often_parties_are_killed(lab, protocol, adversary):
    source = Source()
    plan = source.plan("bits", {"bits": source.chain(source.read("p1"), 3)})
    body = f"protocol: {{name: {protocol}, adversary: {adversary}}}\nparties: [p1, p2]\ndelivery: durable\n"
    approved = lab.approve("bits", plan, body, "  - {name: bits, to: [p1]}\n")
    needs = quote(approved.spec, approved.plan, {"p1": 5}, stocked=True).tuples
    kinds = "".join(f"      {kind}: {3 * amount}\n" for kind, amount in needs.items())
    path = lab.site.folder / "stocks.yaml"
    path.write_text(f"fence: fence\ngroups:\n  - parties: [p1, p2]\n    protocol: {protocol}\n    kinds:\n{kinds}")
    stocks = load_stocks(path, lab.site.federation)
    shelves = [shelf_of(stocks.groups[0], lab.home, name, stocks.fence) for name in PAIR]

    def full():
        return all(shelf.ledger().left(kind) >= 3 * amount for shelf in shelves for kind, amount in needs.items())

    lab.start(*PAIR, stocks=str(path))
    until(full, "the stock is full", WAIT, lab)
    generation = shelves[0].ledger().generation
    lab.stop()
    sessions = []
    for seed in range(2):
        for name in PAIR:
            (lab.home / f"{name}.deaths").unlink(missing_ok=True)
        lab.start(*PAIR, stocks=str(path), trick=f"doomed:{seed}:3:8")
        submission = lab.submit(approved)
        sessions.append(submission.session)
        reports = submission.wait()
        assert all(report.incarnation > 1 for report in reports.values())
        lab.all_ended(submission.session, PAIR)
        assert lab.result(submission.session) == {"bits": [False] * 5}
        assert "takes" in lab.log("p1")
        lab.stop()
    assert shelves[0].ledger().generation == generation
    for shelf in shelves:
        ranges = spent(shelf)
        for session in sessions:
            assert {kind: stop - start for kind, start, stop, whose in ranges if whose == session} == needs
        for kind in needs:
            ordered = sorted((start, stop) for k, start, stop, _ in ranges if k == kind)
            assert all(earlier[1] <= later[0] for earlier, later in pairwise(ordered))


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["durable", "queued"])
def test_checkpoints_change_nothing(lab, tmp_path, delivery):
    """Journals are written anew, with live shares in place of messages; transcripts stay the same."""
    approved = lab.spec("sum", delivery, chain=200)
    lab.fixed = True
    lab.start()
    lab.submit(approved, SESSION).wait()
    calm = lab.transcripts(SESSION)
    lab.nothing_left(SESSION)
    lab.stop()

    lab.home, lab.state = tmp_path / "again", tmp_path / "other-fences"
    lab.start(trick="small checkpoints")
    submission = lab.submit(approved, SESSION)
    rewritten = 0
    for name in ("p2", "p1", "p3", "p2"):
        journal = lab.place(name, SESSION).journal

        files = set()

        def replaced(name=name, journal=journal, files=files):
            with contextlib.suppress(FileNotFoundError):
                files.add(journal.stat().st_ino)
            return name in lab.ends(SESSION) or len(files) > 1

        until(replaced, "a checkpoint is taken", lab=lab)
        if name in lab.ends(SESSION):
            continue
        rewritten += 1
        lab.kill(name)
        lab.start(name, trick="small checkpoints")
    assert rewritten
    reports = submission.wait()
    assert all(isinstance(end, Finished) for end in lab.all_ended(SESSION).values())
    assert {name: report.transcript for name, report in reports.items()} == calm
    assert lab.result(SESSION) == expected()
    lab.nothing_left(SESSION)
