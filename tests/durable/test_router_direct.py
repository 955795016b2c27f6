"""A router over direct connections, with a queue in a folder for the time when there are none."""

import socket
import time
from urllib.parse import urlsplit

import pytest

from quorate.crypto.pki import create_authority, fingerprint, issue
from quorate.durable.breaker import Breaker
from quorate.durable.router import Arrival, Arrivals, BrokerWay, Connected, Inbox, Lost, Router
from quorate.testing.carrier_lab import parcels
from quorate.testing.loopback import Door
from quorate.transport.carrier import Credentials, Limits, Queue
from quorate.transport.dialing import PeerAddress
from quorate.transport.direct import Direct
from quorate.transport.embedded import connect
from quorate.transport.tls import load_contexts

QUEUES = [Queue("0123456789abcdef" * 2, f"rounds.{name}") for name in ("alice", "bob")]
SECONDS = 20.0


class Member:
    """One of two members, with a direct way and a queue each."""

    def __init__(self, me, pki, socket_, members, folder):
        self.seen = []
        contexts = load_contexts(*[pki / f"{name}" for name in (f"m{me}.crt", f"m{me}.key", "ca.crt")])

        def open_folder():
            return connect(urlsplit(f"embedded:{folder}"), Credentials())

        arrivals = Arrivals()
        self.direct = Direct(me, members, "s1", contexts, Door(socket_), arrivals)
        fallback = BrokerWay("embedded", open_folder, QUEUES[1 - me], Limits(), Breaker())
        inbox = Inbox("embedded", open_folder, QUEUES[me], Limits())
        self.router = Router({1 - me: [self.direct.way(1 - me), fallback]}, [inbox], arrivals)
        self.direct.start()

    def close(self):
        self.router.close()
        self.direct.close()

    def take(self, count):
        """So many arrivals; everything else goes to `seen`."""
        arrivals = []
        deadline = time.monotonic() + SECONDS
        while len(arrivals) < count:
            item = self.router.arrivals.get(max(0.0, deadline - time.monotonic()))
            assert item is not None, f"{len(arrivals)} of {count}; {self.seen}"
            (arrivals if isinstance(item, Arrival) else self.seen).append(item)
        self.router.acknowledge([arrival.token for arrival in arrivals])
        return arrivals

    def until(self, event):
        deadline = time.monotonic() + SECONDS
        while event not in self.seen:
            assert time.monotonic() < deadline, self.seen
            item = self.router.arrivals.get(0.1)
            if item is not None:
                self.seen.append(item)


@pytest.fixture
def join(tmp_path):
    create_authority(tmp_path, "tests")
    issue(tmp_path, {"m0": None, "m1": None})
    made, sockets = [], [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    members = [
        PeerAddress(f"m{k}", fingerprint(tmp_path / f"m{k}.crt"), sock.getsockname()) for k, sock in enumerate(sockets)
    ]

    def start(me):
        made.append(Member(me, tmp_path, sockets[me], members, tmp_path / "queues"))
        return made[-1]

    yield start
    for member in made:
        member.close()
    for sock in sockets:
        sock.close()


def sent(member, peer, sender, count=5):
    member.router.send(peer, parcels(count, 1000, sender))
    return [parcel.body for parcel in parcels(count, 1000, sender)]


def test_direct_while_it_works_and_a_queue_meanwhile(join):
    alice, bob = join(0), join(1)
    for k in range(3):
        alice.until(Connected(1, "direct"))
        direct = sent(alice, 1, f"direct{k}")
        got = bob.take(5)
        assert [arrival.body for arrival in got] == direct
        assert {arrival.way for arrival in got} == {"direct"}
        assert not alice.router.stable
        bob.close()
        alice.until(Lost(1, "direct", "it closed the connection"))
        queued = sent(alice, 1, f"queued{k}")
        assert alice.router.flush(SECONDS)
        assert alice.router.stable
        alice.seen.clear()
        bob = join(1)
        got = bob.take(5)
        assert [arrival.body for arrival in got] == queued
        assert {arrival.way for arrival in got} == {"embedded"}
        assert bob.router.flush(SECONDS)
    assert alice.router.report()[0] == (1, "direct", "works")


def test_nothing_is_lost_but_what_was_under_way(join):
    """Every parcel that was sent while the other side was away, or long enough before it left, arrives."""
    alice, bob = join(0), join(1)
    alice.until(Connected(1, "direct"))
    for k in range(200):
        alice.router.send(1, parcels(1, 5000, f"n{k}"))
    assert alice.router.flush(SECONDS)
    assert [arrival.body for arrival in bob.take(200)] == [parcels(1, 5000, f"n{k}")[0].body for k in range(200)]
