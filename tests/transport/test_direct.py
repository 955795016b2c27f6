"""Parcels over TLS connections that come and go."""

import socket
import threading
import time

import pytest

from quorate.crypto.pki import create_authority, issue
from quorate.errors import BrokerFault, EnvironmentFault, PeerError, QueueFull
from quorate.testing.carrier_lab import parcels
from quorate.testing.loopback import Door
from quorate.testing.transport_conformance import NAMES, content
from quorate.transport import direct
from quorate.transport.arrivals import Arrival, Arrivals, Broken, Connected, Lost, Refused
from quorate.transport.carrier import CHUNK, Parcel
from quorate.transport.direct import Direct
from quorate.transport.listener import Listener, session_host
from quorate.transport.mesh import connect_mesh
from quorate.transport.tls import load_contexts

SECONDS = 20.0


class Member:
    """A participant, and what came to it."""

    def __init__(self, made, arrivals):
        self.direct, self.arrivals = made, arrivals
        made.start()

    def way(self, peer):
        return self.direct.way(peer)

    def item(self, kind, seconds=SECONDS):
        """The next item of that kind; what comes before it is dropped."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            item = self.arrivals.get(0.1)
            if isinstance(item, kind):
                return item
            assert not isinstance(item, Broken), item
        raise AssertionError(f"no {kind.__name__}")

    def bodies(self, count):
        return [self.item(Arrival).body for _ in range(count)]


@pytest.fixture
def members(federation, loopback):
    return [federation.member(name, address) for name, address in zip(NAMES, loopback.addresses, strict=False)]


@pytest.fixture
def join(federation, loopback, members):
    """Starts one participant of alice, bob and carol; all are closed in the end."""
    made = []

    def start(me, of=None, contexts=None, door=True, arrivals=None, **options):
        arrivals = arrivals or Arrivals()
        incoming = Door(loopback.sockets[me]) if door is True else door
        contexts = contexts or federation.contexts(NAMES[me])
        made.append(Member(Direct(me, of or members, "s1", contexts, incoming, arrivals, **options), arrivals))
        return made[-1]

    yield start
    for member in made:
        member.direct.close()


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def send(way, *sent):
    until(way.permit)
    for parcel in sent:
        way.publish([parcel])


def test_parcels_of_all_sizes_between_three(join):
    everybody = [join(me) for me in range(3)]
    sizes = [1, 27, 28, 16_000, 65_535, 65_536, 262_144, CHUNK - 1, CHUNK]
    for me, member in enumerate(everybody):
        for peer in {0, 1, 2} - {me}:
            send(member.way(peer), *[Parcel("x", content(10 * me + peer, size).tobytes()) for size in sizes])
    for me, member in enumerate(everybody):
        got = member.bodies(18)
        for peer in {0, 1, 2} - {me}:
            sent = [content(10 * peer + me, size).tobytes() for size in sizes]
            assert [body for body in got if body in sent] == sent
            assert member.way(peer).state() == "works"


def test_arrivals_name_their_way(join):
    alice, bob = join(0), join(1)
    assert bob.item(Connected) == Connected(0, "direct")
    send(alice.way(1), *parcels(2))
    assert bob.item(Arrival) == Arrival("direct", Parcel("", parcels(2)[0].body), None)


def test_a_peer_that_comes_late_and_leaves_and_comes_back(join, federation, members):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nowhere = federation.member("carol", unused.getsockname())
    alice = join(0, of=[*members[:2], nowhere])
    assert alice.item(Lost) == Lost(2, "direct", "connection refused")
    assert alice.way(2).state() == "connection refused"
    with pytest.raises(BrokerFault, match="no direct connection to bob"):
        alice.way(1).publish(parcels(1))
    for _ in range(3):
        bob = join(1)
        until(lambda: alice.item(Connected) == Connected(1, "direct"))
        send(alice.way(1), *parcels(3))
        assert bob.bodies(3) == [parcel.body for parcel in parcels(3)]
        send(bob.way(0), *parcels(3, sender="b"))
        assert alice.bodies(3) == [parcel.body for parcel in parcels(3, sender="b")]
        bob.direct.close()
        lost = alice.item(Lost)
        assert lost == Lost(1, "direct", "it closed the connection")
        assert not alice.way(1).permit()


def test_what_was_sent_last_arrives_though_the_sender_leaves(join, monkeypatch):
    monkeypatch.setattr(direct, "_PART_SECONDS", 15.0)
    bob = join(1, arrivals=Arrivals(1 << 20))
    alice = join(0)
    way = alice.way(1)
    until(way.permit)
    sent = parcels(100, CHUNK)
    taken = 0
    while taken < 100 and way.quick(sent[taken : taken + 1]):
        taken += 1
    assert way.pending()
    leaving = threading.Thread(target=alice.direct.close)
    leaving.start()
    assert bob.bodies(taken) == [parcel.body for parcel in sent[:taken]]
    leaving.join()


def cut(member, peer):
    """Break a connection, as if the network did."""
    link = member.direct._links[peer]
    with link.lock:
        link.wire._socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("who", [0, 1])
def test_a_broken_connection_is_made_again(join, who):
    pair = [join(0), join(1)]
    for round_ in range(5):
        send(pair[0].way(1), *parcels(2, sender=f"r{round_}"))
        assert pair[1].bodies(2) == [parcel.body for parcel in parcels(2, sender=f"r{round_}")]
        cut(pair[who], 1 - who)
        for me, member in enumerate(pair):
            assert member.item(Lost).peer in (1 - me, 2)
            until(lambda member=member, me=me: member.item(Connected).peer == 1 - me)


def test_a_newer_connection_takes_the_place_of_the_older(join, members, loopback, federation):
    """Bob restarts with its old connection still open on our side, as after a power failure."""
    bob = join(1)
    alice = join(0, door=None)
    send(alice.way(1), *parcels(1))
    bob.bodies(1)
    again = Member(
        Direct(0, members, "s1", federation.contexts("alice"), None, Arrivals()), alice.arrivals
    )  # alice dials bob once more
    try:
        until(lambda: bob.item(Lost).reason == "it has connected anew")
        assert bob.item(Connected).peer == 0
        until(again.way(1).permit)
    finally:
        alice.direct.close()
        again.direct.close()


def test_watchers_are_told(join, members, loopback, federation):
    told = threading.Event()
    alice = Direct(0, members, "s1", federation.contexts("alice"), None, Arrivals())
    alice.way(1).watch(told.set)
    alice.start()
    try:
        assert not told.wait(0.2)
        join(1)
        assert told.wait(SECONDS)
    finally:
        alice.close()


def test_whoever_is_slow_stops_the_sender(join):
    """Bounded memory on both sides: the receiver reads no more than it may hold, the sender buffers no more."""
    bob = join(1, arrivals=Arrivals(2 << 20))
    alice = join(0)
    way, sent = alice.way(1), 0
    until(way.permit)

    def fill():
        nonlocal sent
        while sent < 200:
            way.publish([Parcel("x", bytes(CHUNK))])
            sent += 1

    with pytest.raises(QueueFull, match="bob takes nothing more"):
        fill()
    assert sent < 100
    assert way.pending() > 8 << 20
    assert not way.quick(parcels(1))
    assert bob.arrivals.full
    assert bob.bodies(sent) == [bytes(CHUNK)] * sent
    until(lambda: way.pending() == 0)
    way.publish(parcels(1))
    assert bob.bodies(1) == [parcels(1)[0].body]


def test_silence_is_noticed_and_signs_of_life_are_sent(join, federation, members, loopback):
    alice, bob = join(0, silence=1.2), join(1, silence=1.2)
    send(alice.way(1), *parcels(1))
    bob.bodies(1)
    time.sleep(2.5)  # nothing to say, and yet not silent
    assert bob.arrivals.get(0) is None
    link = alice.direct._links[1]
    with link.lock:  # its thread cannot speak any more
        lost = bob.item(Lost)
    assert lost == Lost(0, "direct", "no sign of life for 1.2 s")


def test_somebody_else_at_the_address(join, federation):
    """Carol answers for bob: told once, tried again slowly, and all is well once bob is there."""
    impostor = join(1, contexts=federation.contexts("carol"))
    alice = join(0, door=None, slow=0.3)
    until(lambda: "pinned for bob" in alice.item(Lost).reason)
    for part in ("bob", "carol"):
        assert federation.member(part).fingerprint in alice.way(1).state()
    time.sleep(0.8)
    assert [item for item in iter(lambda: alice.arrivals.get(0), None) if item.peer == 1] == []
    impostor.direct.close()
    join(1)
    until(lambda: alice.item(Connected).peer == 1)


def test_strangers_are_refused_and_told_why(join, federation, members, loopback, tmp_path):
    bob = join(1)
    stranger = [federation.member("dave"), *members[1:]]
    dave = join(0, of=stranger, contexts=federation.contexts("dave"), door=None, slow=0.2)
    until(lambda: "is not pinned for anybody who dials us" in dave.item(Lost).reason)
    refused = bob.item(Refused)
    assert stranger[0].fingerprint in refused.reason
    create_authority(tmp_path, "others")
    issue(tmp_path, {"alice": None})
    foreign = load_contexts(tmp_path / "alice.crt", tmp_path / "alice.key", federation.folder / "ca.crt")
    mallory = join(0, contexts=foreign, door=None, slow=0.2)
    until(lambda: "refused our certificate" in mallory.item(Lost).reason)
    until(lambda: "another certificate authority" in bob.item(Refused).reason)
    garbage = socket.create_connection(loopback.addresses[1])
    garbage.sendall(b"GET / HTTP/1.0\r\n\r\n")
    alice = join(0, door=None)
    send(alice.way(1), *parcels(1))
    assert bob.bodies(1) == [parcels(1)[0].body]
    garbage.close()


def test_a_flood_of_strangers_does_not_fill_the_queue(join, federation, members, loopback):
    bob = join(1)
    stranger = [federation.member("dave"), members[1]]
    for _ in range(4):
        dave = join(0, of=stranger, contexts=federation.contexts("dave"), door=None, slow=0.0)
        until(lambda dave=dave: "not pinned" in dave.item(Lost).reason)
    time.sleep(0.5)
    items = list(iter(lambda: bob.arrivals.get(0), None))
    assert 1 <= sum(isinstance(item, Refused) for item in items) <= 5


def test_a_mesh_does_not_speak_parcels(join, federation, members):
    """One side runs the session live, the other durably: both say so."""
    bob = join(1)

    links = connect_mesh(0, members[:2], "s1", federation.contexts("alice"), None, 10)
    until(lambda: "`delivery`" in bob.item(Refused).reason)
    with pytest.raises(PeerError, match=r"bob failed: AgreementError: alice does not exchange parcels"):
        until(lambda: links[1].check_alive())
    links[1].close()


def test_a_frame_that_is_none(join, federation, members):
    alice, bob = join(0, slow=0.1), join(1)
    send(alice.way(1), *parcels(1))
    bob.bodies(1)
    link = alice.direct._links[1]
    with link.lock:
        link._sent += 1
        link.keep_alive()
    until(lambda: "replayed or reordered" in bob.item(Lost).reason)
    until(lambda: bob.item(Connected).peer == 0)


def test_a_parcel_that_is_too_long(join):
    alice, bob = join(0), join(1)
    send(alice.way(1), Parcel("x", bytes(CHUNK + 1)))
    until(lambda: "at most" in bob.item(Lost).reason)
    until(lambda: "bob refuses: PeerError: alice sent a parcel of" in alice.item(Lost).reason)


def test_through_a_listener(join, federation):
    """The node's port routes by session; a session that is not there yet is waited for."""
    listener = Listener("127.0.0.1", 0)
    listener.start()
    people = [federation.member("alice", ("127.0.0.1", 1)), federation.member("bob", listener.address)]
    alice = join(0, of=people, door=None)
    time.sleep(0.3)
    ours, theirs = socket.socketpair()
    waiting: list[socket.socket] = []

    class Doorway:
        def fileno(self):
            return theirs.fileno()

        def accept(self):
            return waiting.pop() if waiting else None

    listener.register(session_host("s1"), lambda sock: (waiting.append(sock), ours.send(b"x")))
    bob = join(1, of=people, door=Doorway())
    send(alice.way(1), *parcels(2))
    assert bob.bodies(2) == [parcel.body for parcel in parcels(2)]
    bob.direct.close()
    listener.close()
    ours.close()
    theirs.close()


def test_a_doorway_that_breaks_is_told(join, loopback):
    class Broke(Door):
        def accept(self):
            raise EnvironmentFault("the node ended")

    bob = join(1, door=Broke(loopback.sockets[1]))
    broken = bob.arrivals.get(SECONDS)
    while not isinstance(broken, Broken):
        broken = bob.arrivals.get(SECONDS)
    assert "the node ended" in str(broken.problem)


def test_closing_ends_the_thread_and_releases_everything(federation, members, loopback):
    before = set(threading.enumerate())
    pair = [
        Direct(me, members[:2], "s1", federation.contexts(NAMES[me]), Door(loopback.sockets[me]), Arrivals())
        for me in range(2)
    ]
    for member in pair:
        member.start()
    until(lambda: pair[0].connected(1) and pair[1].connected(0))
    for member in pair:
        member.close()
        member.close()
    assert set(threading.enumerate()) <= before
    assert not pair[0].connected(1)
    assert not pair[0].offer(1, parcels(1))
