"""What a lasting session refuses: changed data, specs and journals, second processes, and going on after its end."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from tests.node.conftest import free_ports
from tests.node.lasting_lab import NODES, VALUES, Lab, Task, expected, until

from quorate.durable import storage
from quorate.durable.fence import Fence
from quorate.engine.party import Party
from quorate.errors import EnvironmentFault, IntegrityError, PeerError, QuorateError, UserError
from quorate.node.messages import Failure, Finished

LONG = 300
"""Products in a chain that lasts for a while."""


def full_disk(task: Task) -> None:
    """Nothing can be written to journals as long as there is a file "full" in the home folder."""
    flag, plain = Path(task.home) / "full", storage._Descriptor.write

    def write(self, offset, data):
        if flag.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(self, offset, data)

    storage._Descriptor.write = write  # type: ignore[method-assign]


def failing(task: Task) -> None:
    """A check fails in the middle of the session."""
    plain, count = Party.advance, [0]

    def advance(self):
        count[0] += 1
        if count[0] == 200:
            raise IntegrityError("made up for a test")
        plain(self)

    Party.advance = advance  # type: ignore[method-assign]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = Lab(tmp_path, tricks={"full disk": full_disk, "failing": failing})
    yield made
    made.close()


def begun(lab, name, session, size=6000):
    """Wait until a node has written so much of a session that is far from over."""
    journal = lab.place(name, session).journal
    until(lambda: journal.exists() and journal.stat().st_size > size, "the session is under way", lab=lab)
    assert not lab.ends(session)


def failures(lab, session, names=NODES):
    ends = lab.all_ended(session, names)
    assert all(isinstance(end, Failure) for end in ends.values()), ends
    return ends


# -- while nobody was looking ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_data_that_changed_is_refused_until_it_is_put_back(lab):
    lab.start()
    session = lab.submit(lab.spec("sum", "durable", chain=LONG)).session
    begun(lab, "p1", session)
    lab.kill("p1")
    lab.site.write_data("p1", [*VALUES[:-1], 7])
    lab.start("p1")
    until(lambda: "is not what it was when the session began" in lab.log("p1"), "p1 refuses", lab=lab)
    assert "put the file back" in lab.log("p1")
    assert str(VALUES[0]) not in lab.log("p1")
    assert not lab.ends(session)
    assert lab.place("p1", session).journal.exists()
    lab.kill("p1")
    lab.site.write_data("p1", VALUES)
    lab.start("p1")
    assert all(isinstance(end, Finished) for end in lab.all_ended(session).values())
    assert lab.result(session) == expected()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["spec", "plan"])
def test_a_spec_or_plan_that_changed_is_refused_until_it_is_put_back(lab, what):
    lab.start()
    approved = lab.spec("sum", "durable", chain=LONG)
    session = lab.submit(approved).session
    begun(lab, "p1", session)
    lab.kill("p1")
    path = approved.path if what == "spec" else approved.path.with_name("sum.plan.json")
    before = path.read_text()
    if what == "spec":
        path.write_text(before.replace("2147483647", "2147483646"))
    else:
        lab.spec("other", "durable", chain=LONG - 1)
        shutil.copy(path.with_name("other.plan.json"), path)
        path.write_text(path.read_text().replace('"other"', '"sum"'))
    lab.start("p1")
    told = "inputs[0].columns[0].range" if what == "spec" else "another plan"
    until(lambda: told in lab.log("p1"), "p1 says what is wrong", lab=lab)
    assert not lab.ends(session)
    assert lab.place("p1", session).journal.exists()
    lab.kill("p1")
    path.write_text(before)
    lab.start("p1")
    assert all(isinstance(end, Finished) for end in lab.all_ended(session).values())
    assert lab.result(session) == expected()


@pytest.mark.slow
def test_an_old_journal_that_was_put_back_is_refused(lab, tmp_path):
    """It cannot be told from a second run of the same randomness; the others give up when they wait too long."""
    lab.start()
    session = lab.submit(lab.spec("sum", "durable", chain=LONG, times="{round: 4, join: 60, session: 300}")).session
    begun(lab, "p1", session, 3000)
    lab.kill("p1")
    folder = lab.place("p1", session).folder
    shutil.copytree(folder, tmp_path / "backup")
    lab.start("p1")
    begun(lab, "p1", session, lab.place("p1", session).journal.stat().st_size + 3000)
    lab.kill("p1")
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "backup", folder)
    lab.start("p1")
    until(lambda: "old" in lab.log("p1"), "p1 refuses", lab=lab)
    for end in failures(lab, session, ("p2", "p3")).values():
        assert end.code in ("PeerTimeout", "PeerError")  # of the second one to notice
        assert "no message from p1 for 4 s at session/plan" in end.message
    assert "p1" not in {name for name, end in lab.ends(session).items() if isinstance(end, Finished)}


# -- who may run a session ---------------------------------------------------------------------------------------------


def test_a_session_id_is_used_once(lab):
    """Whether the node still knows it, or learns of it from its folder."""
    lab.start()
    approved = lab.spec("sum", "durable", chain=2)
    session = lab.submit(approved).session
    lab.all_ended(session)
    with pytest.raises(UserError, match="every run needs an id of its own"):
        lab.submit(approved, session)
    lab.kill("p2")
    lab.start("p2")
    with pytest.raises(UserError, match="every run needs an id of its own"):
        lab.submit(approved, session)
    assert lab.result(session)["total"] == sum(VALUES)


@pytest.mark.slow
def test_a_second_process_of_a_session_is_refused_and_harms_nobody(lab):
    """Another node with the same data folder, at another port."""
    lab.start()
    session = lab.submit(lab.spec("sum", "durable", chain=LONG)).session
    begun(lab, "p1", session)
    fence = Fence(session, "p1", lab.state / "quorate" / "fence")
    with pytest.raises(EnvironmentFault, match="another process of this machine runs"):
        fence.hold()
    (port,) = free_ports(1)
    lab.visit("p1", port=port)
    assert f"another process of this machine runs session {session} of p1" in lab.log("p1")
    assert all(isinstance(end, Finished) for end in lab.all_ended(session).values())
    assert lab.result(session) == expected()


# -- ends that are final -----------------------------------------------------------------------------------------------


def test_what_the_coordinator_cancels_is_over_for_all_and_for_good(lab):
    lab.start()
    approved = lab.spec("sum", "durable", chain=LONG * 5)
    submission = lab.submit(approved)
    session = submission.session
    begun(lab, "p1", session)
    submission.cancel(lab.site.identity())
    with pytest.raises(QuorateError, match="cancelled"):
        submission.wait()
    ends = failures(lab, session)
    assert any("cancelled" in end.message for end in ends.values()), ends
    lab.nothing_left(session)
    lab.kill(*NODES)
    lab.start()
    with pytest.raises(UserError, match="id of its own"):
        lab.submit(approved, session)
    assert not (lab.home / "results" / f"{session}.p1.json").exists()


@pytest.mark.slow
def test_a_session_that_waits_for_somebody_can_be_cancelled(lab):
    """The one who is away hears of it when it is back."""
    lab.start()
    submission = lab.submit(lab.spec("sum", "durable", chain=LONG * 5))
    session = submission.session
    begun(lab, "p1", session)
    lab.kill("p3")
    submission.cancel(lab.site.identity())
    ends = failures(lab, session, ("p1", "p2"))
    assert any("cancelled" in end.message for end in ends.values()), ends
    lab.start("p3")
    submission.cancel(lab.site.identity())
    failures(lab, session, ("p3",))
    lab.nothing_left(session)


@pytest.mark.slow
def test_a_party_that_fails_tells_all_and_never_goes_on(lab):
    lab.start("p1", "p2")
    lab.start("p3", trick="failing")
    submission = lab.submit(lab.spec("sum", "durable", chain=LONG))
    session = submission.session
    with pytest.raises(QuorateError, match="p3"):
        submission.wait()
    ends = failures(lab, session)
    assert ends["p3"].code == "IntegrityError"
    assert all("p3" in ends[name].message and "IntegrityError" in ends[name].message for name in ("p1", "p2")), ends
    lab.nothing_left(session)
    lab.kill("p3")
    lab.start("p3")
    assert lab.ends(session)["p3"] == ends["p3"]
    assert "taken up again" not in lab.log("p3").rpartition("node p3 listens")[2]


def test_who_is_away_for_too_long_is_named_with_where(lab):
    lab.start()
    submission = lab.submit(lab.spec("sum", "durable", chain=LONG * 5, times="{round: 2, join: 60, session: 300}"))
    session = submission.session
    begun(lab, "p1", session)
    lab.kill("p3")
    with pytest.raises(PeerError, match="no message from p3 for 2 s at session/plan"):
        submission.wait()  # PeerTimeout, or that of the peer that noticed first
    ends = failures(lab, session, ("p1", "p2"))
    assert all("no message from p3 for 2 s at session/plan" in end.message for end in ends.values()), ends
    lab.start("p3")
    failures(lab, session, ("p3",))
    lab.nothing_left(session)


# -- this machine ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_full_disk_interrupts_and_does_not_end(lab):
    lab.start("p1", "p2")
    lab.start("p3", trick="full disk")
    session = lab.submit(lab.spec("sum", "durable", chain=LONG)).session
    begun(lab, "p3", session)
    (lab.home / "full").touch()
    until(lambda: "interrupted" in lab.log("p3"), "p3 notices", lab=lab)
    assert "No space left" in lab.log("p3") or "full" in lab.log("p3")
    assert not lab.ends(session)
    (lab.home / "full").unlink()
    if not until(lambda: lab.workers("p3") or lab.ends(session), "", 5):
        lab.kill("p3")
        lab.start("p3")
    assert all(isinstance(end, Finished) for end in lab.all_ended(session).values())
    assert lab.result(session) == expected()
