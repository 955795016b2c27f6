"""Parties of a quorum are lost on real nodes: the others finish, and who comes back finishes too."""

from __future__ import annotations

import threading

import pytest
from tests.node.lasting_lab import Lab, expected, until

from quorate.errors import PeerError
from quorate.node.messages import Failure, Finished

FIVE = ("p1", "p2", "p3", "p4", "p5")
BODY = "protocol: {{name: shamir_quorum, adversary: semi-honest, threshold: {}}}\nparties: [p1, p2, p3, p4, p5]\n"
CONTINUE = "abort: {on_dropout: continue}\n"
SESSION = "a5" * 16
CHAIN = 250


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = Lab(tmp_path, FIVE)
    yield made
    made.close()


class Watched:
    """A session that a thread watches: how far members are."""

    def __init__(self, lab, approved, session=None):
        self.submission = lab.submit(approved, session)
        self.session = self.submission.session
        self.done, self.reports, self.problem = dict.fromkeys(FIVE, 0), {}, None
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        try:
            self.reports = self.submission.wait(lambda name, done, total: self.done.update({name: done}))
        except Exception as problem:
            self.problem = problem

    def computing(self, lab):
        """Wait until everybody is past set-up, tuples and inputs, and far from the end."""
        until(lambda: all(done >= 8 for done in self.done.values()) or self.problem, "all compute", lab=lab)
        assert not lab.ends(self.session)

    def end(self):
        self.thread.join(100)
        assert not self.thread.is_alive()


def spec(lab, threshold, delivery="durable", times="{round: 60, join: 60, session: 300}"):
    body = BODY.format(threshold)
    return lab.spec("sum", delivery, protocol=body, chain=CHAIN, more=CONTINUE, times=times)


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [1, 2])
def test_two_of_five_are_lost_and_come_back(lab, tmp_path, threshold):
    approved = spec(lab, threshold)
    lab.fixed, lab.options["trick"] = True, "noting"
    lab.start()
    lab.submit(approved, SESSION).wait()
    lab.all_ended(SESSION)
    lab.nothing_left(SESSION)
    lab.stop()
    calm = {name: lab.made(SESSION, name) for name in FIVE}

    lab.home, lab.state = tmp_path / "again", tmp_path / "other-fences"
    lab.start()
    watched = Watched(lab, approved, SESSION)
    watched.computing(lab)
    lab.kill("p4", "p5")
    until(lambda: len(lab.ends(SESSION, FIVE[:3])) == 3, "three finish", lab=lab)
    watched.end()
    assert watched.problem is None
    assert set(watched.reports) == set(FIVE[:3])
    assert set(lab.ends(SESSION)) == set(FIVE[:3])
    assert lab.result(SESSION) == expected()
    assert all(lab.place(name, SESSION).journal.exists() for name in FIVE[:3])  # those who are away may need them

    lab.start("p4", "p5")
    ends = lab.all_ended(SESSION)
    assert all(isinstance(end, Finished) for end in ends.values()), ends
    for name in FIVE:
        assert lab.made(SESSION, name) == calm[name]
    assert all(len(digests) == 1 for digests in calm["p1"].values())
    assert ends["p4"].report.incarnation == 2
    lab.nothing_left(SESSION)


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [1, 2])
def test_one_more_and_all_wait_then_give_up_by_name(lab, threshold):
    lab.start()
    watched = Watched(lab, spec(lab, threshold, times="{round: 5, join: 60, session: 300}"))
    watched.computing(lab)
    lab.kill("p3", "p4", "p5")
    ends = lab.all_ended(watched.session, FIVE[:2])
    watched.end()
    assert isinstance(watched.problem, PeerError)
    assert "no message from p3 and p4 and p5 for 5 s at session/plan" in str(watched.problem)
    for end in ends.values():
        assert isinstance(end, Failure)
    missing = next(end.message for end in ends.values() if end.code == "PeerTimeout")
    assert all(name in missing for name in ("p3", "p4", "p5")), missing
    assert not (lab.home / "results" / f"{watched.session}.p1.json").exists()


@pytest.mark.slow
def test_one_more_comes_back_and_all_go_on(lab):
    lab.start()
    watched = Watched(lab, spec(lab, 2))
    watched.computing(lab)
    lab.kill("p3", "p4", "p5")
    lab.start("p4")
    until(lambda: len(lab.ends(watched.session, ("p1", "p2", "p4"))) == 3, "three finish", lab=lab)
    lab.start("p3", "p5")
    ends = lab.all_ended(watched.session)
    assert all(isinstance(end, Finished) for end in ends.values()), ends
    assert lab.result(watched.session) == expected()
