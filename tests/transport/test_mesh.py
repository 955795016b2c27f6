"""Who dials whom, what happens until everybody is there, and who is not let in."""

import itertools
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from quorate.crypto.pki import create_authority, issue
from quorate.engine.exchange import Exchange
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.errors import AgreementError, IdentityError, PeerError, PeerTimeout
from quorate.testing.loopback import Door
from quorate.testing.transport_conformance import NAMES, LinkEndpoint, content, take_part
from quorate.transport.conduct import conduct
from quorate.transport.frames import HELLO
from quorate.transport.link import Link
from quorate.transport.listener import Listener, hand_over, session_host, take_over
from quorate.transport.mesh import PeerAddress, connect_mesh, dials
from quorate.transport.tls import load_contexts
from quorate.transport.wire import TlsWire


@pytest.fixture
def everybody(federation, loopback):
    """Alice, bob and carol."""
    return [federation.member(name, address) for name, address in zip(NAMES, loopback.addresses, strict=False)]


@pytest.fixture
def mesh(federation, loopback, everybody):
    """Connects one participant of alice, bob and carol."""

    def connect(me, timeout=10.0, members=everybody, contexts=None):
        door = Door(loopback.sockets[me])
        return connect_mesh(me, members, "s1", contexts or federation.contexts(NAMES[me]), door, timeout)

    return connect


def closed(*results):
    for links in results:
        for link in links.values() if isinstance(links, dict) else ():
            link.close()


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return unused.getsockname()


def test_of_two_participants_one_dials():
    kinds = list(itertools.product([None, ("h", 1)], [True, False]))
    for first, second in itertools.product(kinds, kinds):
        members = [PeerAddress("a", "x", *first), PeerAddress("b", "y", *second)]
        answers = dials(members, 0, 1), dials(members, 1, 0)
        connected = (first[1] or second[1]) and (first[0] or second[0])
        assert answers in (((True, False), (False, True)) if connected else ((None, None),))
        for me, dialing in enumerate(answers):
            assert not dialing or members[1 - me].address
        if first[0] and second[0] and connected:
            assert answers == (True, False)
    assert dials([PeerAddress("a", "x", ("h", 1))], 0, 0) is None


def test_outsiders_dial_the_parties_only(federation, loopback, together):
    members = [federation.member(NAMES[k], loopback.addresses[k]) for k in range(2)]
    members += [federation.member(name, None, False) for name in NAMES[2:4]]

    def join(me):
        door = Door(loopback.sockets[me]) if me < 2 else None
        return lambda: connect_mesh(me, members, "s1", federation.contexts(NAMES[me]), door, 10)

    results = together(*[join(me) for me in range(4)])
    assert [sorted(links) for links in results] == [[1, 2, 3], [0, 2, 3], [0, 1], [0, 1]]
    assert results[3][1].name == "bob"
    closed(*results)


def test_the_missing_are_named(federation, mesh, everybody):
    host, port = closed_port()
    members = [federation.member("alice", ("127.0.0.1", 1)), everybody[1], federation.member("carol", (host, port))]
    with pytest.raises(PeerTimeout) as caught:
        mesh(1, 0.5, members)
    text = str(caught.value)
    assert "within 0.5 s" in text
    assert "alice has not connected to us" in text
    assert f"carol cannot be reached at {host}:{port} (connection refused)" in text


def test_unknown_host(federation, mesh, everybody):
    members = [everybody[0], federation.member("bob", ("nowhere.invalid", 7101))]
    with pytest.raises(PeerTimeout, match=r"bob cannot be reached at nowhere\.invalid:7101 \(.*(name|resolution)"):
        mesh(0, 0.5, members)


def test_a_party_that_comes_late(federation, loopback, together):
    host, port = closed_port()
    members = [federation.member("alice", ("127.0.0.1", 1)), federation.member("bob", (host, port))]

    def late():
        time.sleep(0.5)
        with socket.create_server((host, port)) as listening:
            return connect_mesh(1, members, "s1", federation.contexts("bob"), Door(listening), 10)

    results = together(
        lambda: connect_mesh(0, members, "s1", federation.contexts("alice"), None, 10),
        late,
    )
    assert [list(links) for links in results] == [[1], [0]]
    closed(*results)


def test_somebody_else_at_the_address(federation, mesh, together, everybody):
    """Another member of the same federation answers for bob."""
    members = everybody[:2]
    start = time.monotonic()
    dialer, _ = together(
        lambda: mesh(0, 10, members), lambda: mesh(1, 0.5, members, contexts=federation.contexts("carol"))
    )
    assert isinstance(dialer, IdentityError)
    for part in ("bob", members[1].fingerprint, federation.member("carol").fingerprint):
        assert part in str(dialer)
    assert time.monotonic() - start < 5


def test_strangers_are_refused_and_harm_nobody(federation, loopback, mesh, together, everybody):
    members = everybody[:2]
    stranger = [federation.member("dave"), *members[1:]]
    garbage = socket.create_connection(loopback.addresses[1])
    garbage.sendall(b"GET / HTTP/1.0\r\n\r\n")

    def late():
        time.sleep(0.5)
        return mesh(0, 10, members)

    alice, bob, dave = together(
        late,
        lambda: mesh(1, 10, members),
        lambda: connect_mesh(0, stranger, "s1", federation.contexts("dave"), None, 10),
    )
    garbage.close()
    assert (list(alice), list(bob)) == ([1], [0])
    assert isinstance(dave, PeerError)
    assert "bob failed" in str(dave)
    assert stranger[0].fingerprint in str(dave)
    closed(alice, bob)


def test_certificate_of_another_authority(federation, mesh, together, tmp_path, everybody):
    create_authority(tmp_path, "others")
    issue(tmp_path, {"alice": None})
    foreign = load_contexts(tmp_path / "alice.crt", tmp_path / "alice.key", federation.folder / "ca.crt")
    members = everybody[:2]
    alice, bob = together(lambda: mesh(0, 10, members, contexts=foreign), lambda: mesh(1, 1.0, members))
    assert isinstance(alice, IdentityError)
    assert "bob refused our certificate" in str(alice)
    assert isinstance(bob, PeerTimeout)
    assert "issued by another certificate authority" in str(bob)


def test_expired_certificate_of_the_dialed(federation, mesh, together, tmp_path, everybody):
    for name in ("ca.crt", "ca.key"):
        (tmp_path / name).write_bytes((federation.folder / name).read_bytes())
    issue(tmp_path, {"bob": None}, days=1, now=datetime.now(UTC) - timedelta(days=9))
    expired = load_contexts(tmp_path / "bob.crt", tmp_path / "bob.key", tmp_path / "ca.crt")
    members = everybody[:2]
    alice, bob = together(lambda: mesh(0, 10, members), lambda: mesh(1, 1.0, members, contexts=expired))
    assert isinstance(alice, IdentityError)
    assert "bob has expired" in str(alice)
    assert isinstance(bob, PeerTimeout)
    assert "our certificate has expired" in str(bob)


def test_whoever_fails_while_joining_tells_the_others(mesh, together):
    """Carol never comes; alice gives up first, and bob hears of it long before its own time is over."""
    start = time.monotonic()
    alice, bob = together(lambda: mesh(0, 1.0), lambda: mesh(1, 20))
    assert isinstance(alice, PeerTimeout)
    assert isinstance(bob, PeerError)
    assert "alice failed: PeerTimeout" in str(bob)
    assert "carol" in str(bob)
    assert time.monotonic() - start < 5


def test_whoever_leaves_while_joining_is_named(mesh, together, everybody):
    def leaves():
        closed(mesh(0, 10, everybody[:2]))

    _, bob = together(leaves, lambda: mesh(1, 20))
    assert isinstance(bob, PeerError)
    assert "alice left before everybody was there" in str(bob)


def test_waiting_for_others_is_not_silence(federation, loopback, together):
    """Bob waits for carol for longer than dave's time-out for a round; dave needs bob alone."""
    bob = federation.member("bob", loopback.addresses[1])
    members = [bob, federation.member("dave", None, False), federation.member("carol", None, False)]
    names = [member.name for member in members]

    def take_part(me, program, delay=0.0):
        time.sleep(delay)
        door = Door(loopback.sockets[1]) if me == 0 else None
        links = connect_mesh(me, members, "s1", federation.contexts(names[me]), door, 10)
        root = Scope.root()
        party = Party(program(root.child("work")))
        return conduct(party, links, root_scope=root, names=names, round_timeout=1.5, session_timeout=30)

    def sends(at):
        yield Exchange(at.step(), {1: [content(0, 8)]})
        return "sent"

    def waits(at):
        yield Exchange(at.step(), {}, {0: [content(0, 8).copy()]})
        return "received"

    def nothing(at):
        yield Exchange(at.step())

    results = together(lambda: take_part(0, sends), lambda: take_part(1, waits), lambda: take_part(2, nothing, 2.5))
    assert results == ["sent", "received", None]


def test_another_wire_version(federation, loopback, mesh, together, everybody):
    def newer():
        sock = socket.create_connection(loopback.addresses[1])
        wire = TlsWire(sock, federation.contexts("alice").client, session_host("s1"))
        while wire.handshake():
            time.sleep(0.01)
        link = Link(wire, 1, "bob")
        link.send_control(HELLO, b'{"wire": 2}')
        while not link.greeted:
            link.receive_greeting()
        try:
            time.sleep(0.3)
            link.check_alive()
        finally:
            link.close()

    dialer, bob = together(newer, lambda: mesh(1, 10, everybody[:2]))
    assert isinstance(bob, AgreementError)
    assert "alice speaks wire version '2'" in str(bob)
    assert isinstance(dialer, PeerError)
    assert "AgreementError" in str(dialer)


class Channel:
    """The worker's end of a channel from the process that owns the port."""

    def __init__(self, end):
        end.setblocking(False)
        self.end = end

    def fileno(self):
        return self.end.fileno()

    def accept(self):
        return take_over(self.end)


def test_two_sessions_through_one_port_each(federation, together):
    """Two sessions at once between the same two nodes, whose listeners route by session."""
    listeners = [Listener("127.0.0.1", 0) for _ in range(2)]
    members = [federation.member(NAMES[k], listener.address) for k, listener in enumerate(listeners)]
    ends: list[socket.socket] = []

    def join(me, session):
        ours, worker = socket.socketpair()
        ends.extend((ours, worker))
        ours.setblocking(False)
        listeners[me].register(session_host(session), lambda sock: hand_over(ours, sock))
        return lambda: LinkEndpoint(
            connect_mesh(me, members, session, federation.contexts(NAMES[me]), Channel(worker), 10)
        )

    for listener in listeners:
        listener.start()
    endpoints = together(join(0, "s1"), join(1, "s1"), join(0, "s2"), join(1, "s2"))

    def program(me, label):
        def run(at):
            got = content(0, 100_000).copy()
            yield Exchange(at.step(), {1 - me: [content(label, 100_000)]}, {1 - me: [got]})
            return (got == content(label, 100_000)).all()

        return run

    for label in range(2):
        outcomes = take_part(endpoints[2 * label : 2 * label + 2], [program(0, label), program(1, label)])
        assert [outcome.result for outcome in outcomes] == [True, True]
    for listener in listeners:
        listener.close()
    for end in ends:
        end.close()
