"""Whoever can reach the port, and peers that send what nobody asked for: bounded in memory, time and log lines."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import time
from types import SimpleNamespace

import pytest

from quorate.coordination.federation import Federation, Member
from quorate.coordination.roster import Roster
from quorate.crypto.pki import create_authority, issue
from quorate.engine import party as party_module
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.errors import EnvironmentFault, IdentityError, PeerError
from quorate.node import mesh
from quorate.node.channel import pair
from quorate.node.identity import Identity
from quorate.node.server import Node, Settings
from quorate.transport.frames import DATA, pack_header
from quorate.transport.link import Link
from quorate.transport.listener import Listener, hand_over


def greeting(name):
    out = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def closed_by_peer(sock, seconds=3.0):
    sock.settimeout(seconds)
    try:
        return sock.recv(1) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


@pytest.fixture
def listener():
    listening = Listener("127.0.0.1", 0, patience=0.3, limit=4)
    listening.start()
    yield listening
    listening.close()


def test_idle_connections_do_not_keep_others_out(listener):
    arrived = []
    listener.register("here.session.quorate", arrived.append)
    idle = [socket.create_connection(listener.address) for _ in range(12)]
    time.sleep(0.1)
    with socket.create_connection(listener.address) as sock:
        sock.sendall(greeting("here.session.quorate"))
        deadline = time.monotonic() + 3
        while not arrived and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(arrived) == 1
    for one in [*idle, *arrived]:
        one.close()


def test_a_greeting_that_comes_byte_by_byte_is_cut_off(listener):
    hello = greeting("here.session.quorate")
    with socket.create_connection(listener.address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 100:
                sock.sendall(hello[sent : sent + 1])
                sent += 1
                time.sleep(0.005)
    assert sent < 60


def test_a_name_in_a_greeting_forges_no_line_of_the_log(listener, caplog):
    caplog.set_level(logging.INFO)
    forged = greeting("aaaa.session.quorate").replace(b"aaaa.session", b"a\nnode.stops")
    with socket.create_connection(listener.address) as sock:
        sock.sendall(forged)
        assert closed_by_peer(sock)
    (line,) = [record.getMessage() for record in caplog.records if "node.stops" in record.getMessage()]
    assert "\n" not in line


def test_a_session_that_has_begun_takes_no_more_connections(monkeypatch):
    monkeypatch.setattr(mesh, "connect_mesh", lambda *_: {})
    node_end, worker_end = pair()
    mesh.connect(SimpleNamespace(contexts=None), Roster((), 0, None, {}, {}), 0, "s", mesh.Doorway(worker_end), 1)
    stranger, theirs = socket.socketpair()
    hand_over(node_end, theirs)
    assert closed_by_peer(stranger)
    node_end.close()
    stranger.close()


# ---- peers


def waiting_party():
    def program():
        scope = Scope.root()
        while True:
            yield party_module.Exchange(scope.step(), {}, {})

    return Party(program())


def test_tiny_early_messages_cost_what_they_cost(monkeypatch):
    monkeypatch.setattr(party_module, "EARLY_LIMIT", 1 << 16)
    party = waiting_party()
    for step in range(1, 256):
        party.deliver(1, (7, step), b"x")
    with pytest.raises(PeerError, match="nobody asked for"):
        party.deliver(1, (7, 256), b"x")


class Script:
    """A wire on which some bytes have arrived."""

    blocked, more = False, False

    def __init__(self, data):
        self.data = data

    def read_into(self, view):
        taken = min(len(self.data), len(view))
        view[:taken], self.data = self.data[:taken], self.data[taken:]
        return taken


def test_no_memory_for_one_more_early_message_beyond_the_limit(monkeypatch):
    monkeypatch.setattr(party_module, "EARLY_LIMIT", 1 << 20)
    party = waiting_party()
    party.deliver(0, (7, 1), bytes(1 << 19))
    party._ready.clear()
    link = Link(Script(pack_header(DATA, (7, 2), 1 << 19, 0) + bytes(9)), 0, "bob")
    with pytest.raises(PeerError, match="nobody asked for"):
        link.receive(party)


# ---- who is who


@pytest.fixture
def federation(tmp_path):
    create_authority(tmp_path / "pki", "test")
    issue(tmp_path / "pki", {"p1": None, "p2": None})

    def member(name, certificate):
        path = str(tmp_path / "pki" / certificate)
        return Member(name=name, roles=("compute",), certificate=path, address="127.0.0.1:1")

    members = (member("p1", "p1.crt"), member("p2", "p2.crt"), member("p3", "p2.crt"))
    return Federation(federation="f", ca=str(tmp_path / "pki" / "ca.crt"), members=members)


def test_one_key_is_not_two_parties(federation, monkeypatch):
    monkeypatch.setattr(mesh, "connect_mesh", lambda *_: {})
    who = Roster(("p1", "p2", "p3"), 3, None, {}, {})
    with pytest.raises(IdentityError, match="the same certificate is pinned for p2 and p3"):
        mesh.connect(Identity(federation, "p1"), who, 0, "s", None, 1)


def test_a_key_that_others_may_read_is_refused(federation):
    identity = Identity(federation, "p1")
    identity.key.chmod(0o640)
    with pytest.raises(EnvironmentFault, match="chmod 600"):
        Identity(federation, "p1")


def test_a_folder_of_specs_where_anybody_may_approve_is_refused(federation, tmp_path):
    specs = tmp_path / "specs"
    specs.mkdir()
    specs.chmod(0o777)
    with pytest.raises(EnvironmentFault, match="chmod o-w"):
        Node(federation, "p1", Settings(specs, tmp_path / "state"))
