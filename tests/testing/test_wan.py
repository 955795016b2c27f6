"""The simulated network keeps the stated round trip and bandwidth, on plain and on TLS links."""

import socket
import statistics
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from quorate.crypto.pki import create_authority, issue
from quorate.engine.exchange import Exchange
from quorate.engine.names import Scope
from quorate.engine.network import Network
from quorate.engine.party import Party
from quorate.testing.loopback import Loopback
from quorate.testing.wan import Wan
from quorate.transport.conduct import conduct

NAMES = ("alice", "bob", "carol")


@contextmanager
def connection(network):
    """Two ends of one connection from participant 0 to participant 1."""
    with socket.create_server(("127.0.0.1", 0)) as zero, socket.create_server(("127.0.0.1", 0)) as one:
        wan = Wan(network, [zero.getsockname(), one.getsockname()])
        try:
            with socket.create_connection(wan.addresses(0)[1]) as near, one.accept()[0] as far:
                yield near, far
        finally:
            wan.close()


def received(sock, size):
    """When the last of so many bytes arrived."""
    while size:
        size -= len(sock.recv(min(size, 1 << 20)))
    return time.monotonic()


def together(jobs):
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def check(wanted, trial, slack):
    """Nothing is ever early; of five trials one is within the slack (a busy machine may delay the others)."""
    taken = []
    while len(taken) < 5 and (not taken or min(taken) > wanted + slack):
        taken.append(trial())
    assert wanted * 0.99 <= min(taken) <= wanted + slack


@pytest.mark.parametrize("rtt", ["0us", "5ms", "40ms"])
def test_round_trip(rtt):
    network = Network.parse(rtt, "1Gbit")
    with connection(network) as (near, far):

        def there_and_back():
            start = time.monotonic()
            near.sendall(b"ping")
            received(far, 4)
            far.sendall(b"pong")
            return received(near, 4) - start

        there_and_back()
        check(network.rtt_us / 1e6, there_and_back, 0.001)


@pytest.mark.parametrize(("bandwidth", "size"), [("40Mbit", 1 << 20), ("300Mbit", 5 << 20)])
def test_bandwidth_in_both_directions_at_once(bandwidth, size):
    network = Network.parse("10ms", bandwidth)
    with connection(network) as (near, far):

        def exchange():
            start, ends, payload = time.monotonic(), [], bytes(size)
            jobs = [lambda sock=sock: sock.sendall(payload) for sock in (near, far)]
            jobs += [lambda sock=sock: ends.append(received(sock, size)) for sock in (near, far)]
            together(jobs)
            return max(ends) - start

        wanted = size * 8 / network.bandwidth + network.rtt_us / 2e6
        check(wanted, exchange, wanted / 10)


def test_connections_share_uplink_and_downlink():
    """Two senders to one receiver take as long as one sender of both; so do two receivers of one sender."""
    network, size = Network.parse("0us", "80Mbit"), 500_000
    with Loopback(NAMES, network) as loopback:
        links = [socket.create_connection(loopback.addresses_for(me)[2]) for me in (0, 1)]
        ends = [loopback.sockets[2].accept()[0] for _ in links]

        def transfer(sources, targets):
            start = time.monotonic()
            for source in sources:
                source.sendall(bytes(size))
            return max(received(target, size) for target in targets) - start

        try:
            check(0.1, lambda: transfer(links, ends), 0.01)
            check(0.1, lambda: transfer(ends, links), 0.01)
        finally:
            for sock in (*links, *ends):
                sock.close()


def test_a_full_connection_makes_its_sender_wait_and_loses_nothing():
    """More than the relay keeps, to a receiver that does not read yet, while the other direction goes on."""
    network, size = Network.parse("0us", "10Gbit"), 40 << 20
    payload = np.arange(size // 4, dtype=np.uint32).tobytes()
    with connection(network) as (near, far):
        sender = threading.Thread(target=near.sendall, args=(payload,))
        sender.start()
        time.sleep(0.3)
        assert sender.is_alive()
        far.sendall(b"still there")
        assert near.recv(100) == b"still there"
        arrived = bytearray()
        while len(arrived) < size:
            arrived += far.recv(1 << 20)
        sender.join()
    assert arrived == payload


def test_an_end_arrives_after_what_was_sent():
    with connection(Network.parse("20ms", "100Mbit")) as (near, far):
        near.sendall(b"last words")
        near.shutdown(socket.SHUT_WR)
        assert far.recv(100) == b"last words"
        assert far.recv(100) == b""
        far.sendall(b"answer")
        far.close()
        assert received(near, 6)
        assert near.recv(1) == b""


@pytest.mark.parametrize("tls", [False, True])
def test_rounds_between_three_parties(tmp_path, tls):
    """A round of the engine takes half a round trip and its bytes, over both kinds of links."""
    network, rounds, size = Network.parse("20ms", "100Mbit"), 9, 25_000
    if tls:
        create_authority(tmp_path, "test")
        issue(tmp_path, dict.fromkeys(NAMES, "127.0.0.1"))

    def program(me, at, seconds):
        yield Exchange(at.step(), {1: [np.zeros(1)]} if me == 0 else {}, {0: [np.empty(1)]} if me == 1 else {})
        others = [other for other in range(3) if other != me]
        for _ in range(rounds + 1):
            sends = {other: [np.zeros(size, np.uint8)] for other in others}
            yield Exchange(at.step(), sends, {other: [np.empty(size, np.uint8)] for other in others})
            seconds.append(time.monotonic())

    with Loopback(NAMES, network) as loopback:
        clocks = [[], [], []]

        def work(me):
            links = loopback.tls_links(me, tmp_path) if tls else loopback.insecure_plaintext_links(me)
            at = Scope.root()
            party = Party(program(me, at, clocks[me]))
            conduct(party, links, root_scope=at, names=NAMES, round_timeout=10, session_timeout=20)

        together([lambda me=me: work(me) for me in range(3)])
    wanted = network.rtt_us / 2e6 + 2 * size * 8 / network.bandwidth
    assert wanted * 0.98 <= statistics.median(np.diff(clocks[0]))
    assert min(np.diff(clocks[0])) < wanted * 1.1
