"""Control plane: nobody keeps others out, nobody hangs others, and only the preparing coordinator decides."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from quorate.coordination.federation import Federation, Member
from quorate.coordination.spec import decode_spec
from quorate.errors import IdentityError, PeerTimeout, UserError
from quorate.node import client, coordinator, messages
from quorate.node import sessions as sessions_module
from quorate.node.admission import Admission
from quorate.node.channel import Channel
from quorate.node.client import Submission
from quorate.node.control import Control
from quorate.node.messages import Prepare, Progress
from quorate.node.sessions import Sessions
from quorate.node.worker import Assignment, Ready, ToWorker

SESSION = "0" * 32


def spec(**changes):
    content = {
        "spec": 1,
        "name": "total",
        "protocol": {"name": "rep3", "adversary": "semi-honest"},
        "parties": ["p1", "p2", "p3"],
        "inputs": [],
        "outputs": [{"name": "total", "to": "all"}],
        "timeouts": {"round": 0.1, "join": 0.1, "session": 0.1},
    }
    return json.dumps(content | changes).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"parties": [f"p{k}" for k in range(40_000)]},
        {"outputs": [{"name": f"o{k}", "keep": f"k{k}"} for k in range(20_000)] + [{"name": "o0", "keep": "k0"}]},
    ],
)
def test_a_huge_spec_of_another_member_is_refused_in_no_time(changes):
    begun = time.process_time()
    with pytest.raises(UserError):
        decode_spec(spec(**changes), "the coordinator's spec")
    assert time.process_time() - begun < 2


def closed(sock):
    sock.settimeout(5)
    return sock.recv(1) == b""


def test_strangers_who_say_nothing_make_room_for_the_next():
    admission = Admission(strangers=2, per_member=1)
    pairs = [socket.socketpair() for _ in range(3)]
    tickets = [admission.arrived(ours) for ours, _ in pairs]
    assert closed(pairs[0][1])
    assert admission.recognised(tickets[2], "p1")
    for ticket in tickets:
        admission.recognised(ticket, None)
    for pair in pairs:
        for sock in pair:
            sock.close()


def test_one_member_takes_its_own_connections_only():
    admission = Admission(strangers=9, per_member=2)
    with socket.socket() as sock:

        def admitted(member):
            return admission.recognised(admission.arrived(sock), member)

        assert [admitted(name) for name in ("bad", "bad", "bad", "good")] == [True, True, False, True]
        admission.left("bad")
        assert admitted("bad")


def test_a_message_that_drips_in_is_not_waited_for_beyond_the_time_limit():
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def drip():
        theirs.sendall((1000).to_bytes(4, "big"))
        while not stop.wait(0.05):
            theirs.sendall(b" ")

    dripping = threading.Thread(target=drip)
    dripping.start()
    control = Control(ours, "p1", messages.Response)
    try:
        begun = time.monotonic()
        with pytest.raises(PeerTimeout, match="p1 did not answer within"):
            control.receive(0.3)
        assert time.monotonic() - begun < 2
    finally:
        stop.set()
        dripping.join()
        control.close()
        theirs.close()


class Node:
    """What a coordinator sees of a node that never reports an end."""

    def __init__(self):
        self.stop = threading.Event()

    def send(self, _):
        pass

    def receive(self):
        self.stop.wait(10)

    def close(self):
        self.stop.set()


@pytest.mark.parametrize("chatty", [True, False])
def test_a_node_that_never_reports_an_end_does_not_hold_the_coordinator(monkeypatch, chatty):
    monkeypatch.setattr(client, "_GRACE", 0.1)
    event = ("p1", Progress(done=1, total=2))
    submission = Submission(SESSION, decode_spec(spec(), "spec"), {"p1": Node()})
    submission._events.put(event)
    begun = time.monotonic()
    try:
        with pytest.raises(PeerTimeout, match="the node of p1 still reports no end"):
            submission.wait(lambda *_: submission._events.put(event) if chatty else None)
    finally:
        submission.close()
    assert time.monotonic() - begun < 3


class Nursery:
    """Starts no processes; answers as a worker that is ready at once."""

    def __init__(self):
        self.channels = []
        self.signals = []

    def spawn(self, session, sock):
        channel = Channel(sock, ToWorker)
        self.channels.append(channel)
        channel.send(Ready(spec_name="total", spec_digest="", spec="", participants=("p1",)))
        return True

    def kill(self, session, signum):
        self.signals.append(signum)


@pytest.fixture
def prepared():
    nursery = Nursery()
    sessions = Sessions(nursery, lambda entry: None, lambda entry: None)
    member = Member(name="p1", roles=("compute",), certificate="p1.crt", address="127.0.0.1:1")
    asked = Prepare(session=SESSION, spec="{}", spec_digest="", plan_digest="", software="")
    federation = Federation(federation="f", ca="ca.crt", members=(member,))
    task = Assignment(federation=federation, member="p1", key="", specs="", home="", data={}, prepare=asked)
    sessions.prepare(task, "boss")
    yield sessions, nursery
    for channel in nursery.channels:
        channel.close()


def test_another_coordinator_neither_starts_nor_cancels(prepared):
    sessions, nursery = prepared
    for action in (sessions.start, sessions.cancel):
        with pytest.raises(IdentityError, match="was prepared by boss"):
            action(SESSION, "rival")
    assert not sessions.get(SESSION).started
    assert not nursery.signals
    sessions.start(SESSION, "boss")
    assert sessions.get(SESSION).started


def test_a_worker_that_does_not_heed_is_killed(prepared, monkeypatch):
    monkeypatch.setattr(sessions_module, "_KILL_SECONDS", 0.05)
    sessions, nursery = prepared
    sessions.cancel(SESSION, "boss")
    deadline = time.monotonic() + 5
    while len(nursery.signals) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert nursery.signals == [signal.SIGTERM, signal.SIGKILL]


def test_an_interrupt_while_the_start_is_announced_cancels_the_session(monkeypatch):
    submission = Submission(SESSION, decode_spec(spec(), "spec"), {})
    cancelled = []
    monkeypatch.setattr(coordinator, "submit", lambda *_, **__: submission)
    monkeypatch.setattr(coordinator, "_outside_part", lambda *_: None)
    monkeypatch.setattr(Submission, "cancel", lambda self, identity: cancelled.append(self.session))

    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        coordinator.coordinate(None, SimpleNamespace(spec=submission.spec), {}, None, interrupted)
    assert cancelled == [SESSION]
