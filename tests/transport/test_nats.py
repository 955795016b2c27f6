"""NATS JetStream against a real server: what is particular to it; the rest is in the conformance of carriers."""

import re
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest

from quorate.crypto.pki import create_authority, issue
from quorate.errors import BrokerFault, QueueFull, UserError
from quorate.testing.broker_conformance import BrokerConformance
from quorate.testing.carrier_conformance import CarrierConformance, Site
from quorate.testing.servers.base import HOST
from quorate.testing.servers.nats import NatsServer
from quorate.transport import jetstream_taker
from quorate.transport.carrier import CHUNK, Credentials, Limits, Parcel, Queue, open_carrier
from quorate.transport.jetstream_taker import attempt_of, moment_of


class TestConformance(CarrierConformance):
    @pytest.fixture
    def site(self, broker_of, foreign):
        self.server = broker_of(NatsServer)
        return Site(self.server.address, self.server.credentials("alice"), foreign(self.server))

    def listed(self, site):
        carrier = open_carrier(site.address, site.credentials)
        try:
            names = carrier._link.ask("STREAM.NAMES", {"offset": 0})["streams"] or ()
        finally:
            carrier.close()
        return {name.replace("_", ".") for name in names}

    def expected(self, queue):
        return {queue.name, queue.dead_letters}


pytest.importorskip("nats", reason="nats-py is not installed (quorate[nats])")


class TestServer(BrokerConformance):
    kind = NatsServer

    @pytest.fixture(autouse=True)
    def _shared(self, server):
        self.shared = server


@pytest.fixture
def server(broker_of) -> NatsServer:
    return broker_of(NatsServer)


@pytest.fixture
def foreign(tmp_path):
    """Server -> credentials of an alice of another authority."""
    create_authority(tmp_path / "foreign", "foreign")
    issue(tmp_path / "foreign", {"alice": None})

    def of(server):
        ours = server.credentials("alice").authority
        return Credentials(tmp_path / "foreign" / "alice.crt", tmp_path / "foreign" / "alice.key", ours)

    return of


@pytest.fixture
def own_server(broker_of, tmp_path):
    broker_of(NatsServer)  # skips where there is none
    with NatsServer(tmp_path / "own", ["alice", "bob"]) as started:
        yield started


@pytest.fixture
def carriers(server):
    """Member -> a carrier that is closed at the end."""
    opened = []

    def of(member="alice", at=None):
        place = at or server
        opened.append(open_carrier(place.address, place.credentials(member)))
        return opened[-1]

    yield of
    for carrier in opened:
        carrier.close()


@pytest.fixture
def queue(request) -> Queue:
    return Queue(f"{abs(hash(request.node.nodeid)):032x}"[-32:], "rounds.alice")


def parcels(count, start=0, size=10):
    return [Parcel(f"p-{number}", b"%d:" % number + bytes(size)) for number in range(start, start + count)]


def drain(carrier, queue, most=1000):
    """All that comes, acknowledged."""
    found = []
    while got := carrier.consume(queue, most, 0.5):
        carrier.acknowledge(got)
        found.extend(got)
    return found


def test_a_killed_receiver_is_followed_at_once(carriers, queue):
    first, sender = carriers(), carriers("bob")
    first.provision(queue, Limits())
    sender.publish(queue, parcels(70))
    taken = first.consume(queue, 70, 5)
    first.acknowledge(taken[:20])
    # Not closed: the server still believes that the first has them.
    second = carriers()
    again = drain(second, queue)
    assert [each.parcel for each in again] == parcels(50, start=20)
    assert {each.attempt for each in again} == {2}
    assert second.depth(queue) == 0


def test_what_we_hold_is_not_handed_to_us_again(carriers, queue, monkeypatch):
    """Nor is it when the server has given up on us, as after minutes."""
    monkeypatch.setattr(jetstream_taker, "_LONG", int(0.3e9))
    carrier = carriers()
    carrier.provision(queue, Limits())
    carrier.publish(queue, parcels(2))
    held = carrier.consume(queue, 2, 5)
    assert carrier.consume(queue, 2, 1.0) == []
    carrier.acknowledge(held)
    assert carrier.depth(queue) == 0
    assert not carrier._consumers[queue].taker._held


def test_what_we_hold_is_not_counted_again(carriers, queue, monkeypatch):
    """We tell the server that we still have it."""
    monkeypatch.setattr(jetstream_taker, "_LONG", int(1.5e9))
    monkeypatch.setattr(jetstream_taker, "_BEAT_SECONDS", 0.1)
    carrier = carriers()
    carrier.provision(queue, Limits())
    carrier.publish(queue, parcels(1))
    assert len(carrier.consume(queue, 1, 5)) == 1
    for _ in range(6):
        assert carrier.consume(queue, 1, 0.4) == []
    carrier.close()
    assert [each.attempt for each in carriers().consume(queue, 1, 5)] == [2]


def test_another_parcel_of_the_same_name_does_not_replace_the_first(carriers, queue):
    carrier = carriers()
    carrier.provision(queue, Limits())
    both = [Parcel("same", b"forged"), Parcel("same", b"true")]
    carrier.publish(queue, both)
    assert [each.parcel for each in drain(carrier, queue)] == both


def test_a_request_that_ended_is_made_anew(carriers, queue, monkeypatch):
    monkeypatch.setattr(jetstream_taker, "_REQUEST_SECONDS", 0.2)
    receiver = carriers()
    receiver.provision(queue, Limits())
    sender = carriers("bob")
    timer = threading.Timer(2.5, lambda: sender.publish(queue, parcels(3)))
    timer.start()
    assert [each.parcel for each in receiver.consume(queue, 3, 20)][:1] == parcels(1)
    timer.join()


def test_one_answer_is_bounded_and_the_rest_follows(carriers, queue):
    carrier = carriers()
    carrier.provision(queue, Limits())
    sent = [Parcel(f"big-{number}", bytes([number]) * CHUNK) for number in range(90)]
    carrier.publish(queue, sent)
    first = carrier.consume(queue, 90, 5)
    assert 64 << 20 <= sum(len(each.parcel.body) for each in first) <= (64 << 20) + CHUNK
    carrier.acknowledge(first)
    assert [each.parcel for each in [*first, *drain(carrier, queue)]] == sent


def test_copies_are_dropped_but_dead_letters_come_back(carriers, queue):
    carrier = carriers()
    carrier.provision(queue, Limits())
    carrier.publish(queue, parcels(2))
    carrier.publish(queue, parcels(2))
    assert carrier.depth(queue) == 2
    for _ in range(2):
        one, *_ = carrier.consume(queue, 1, 5)
        carrier.reject(one, "no\r\nNats-Msg-Id: use ü")
        (letter,) = carrier.dead(queue)
        assert letter.reason.startswith("rejected: no Nats-Msg-Id: use ")
        assert letter.parcel == one.parcel
        carrier.acknowledge(carrier.consume(queue, 1, 0.2))
        carrier.retry(queue, [letter])
        assert carrier.dead(queue) == []
    assert [each.parcel for each in drain(carrier, queue)] == parcels(1)


def test_letters_of_two_boxes_lie_together_and_are_kept_apart(carriers, queue):
    carrier, other = carriers(), Queue(queue.session, "shares.alice")
    assert other.dead_letters == queue.dead_letters
    for each in (queue, other):
        carrier.provision(each, Limits())
        carrier.publish(each, [Parcel(each.box, b"")])
        carrier.reject(carrier.consume(each, 1, 5)[0], "x")
    assert [letter.parcel.ident for letter in carrier.dead(queue)] == [queue.box]
    carrier.remove(queue)
    assert carrier.dead(queue) == []
    assert [letter.parcel.ident for letter in carrier.dead(other)] == [other.box]
    carrier.remove(other)
    assert carrier.dead(other) == []


def test_what_is_too_old_is_found_without_a_consumer(carriers, queue):
    carrier = carriers()
    start = time.time()
    carrier.provision(queue, Limits(ttl=2.0))
    carrier.publish(queue, parcels(3))
    time.sleep(2.2)
    carrier.publish(queue, parcels(1, start=3))
    letters = carrier.dead(queue)
    assert [(letter.parcel, letter.reason) for letter in letters] == [(each, "expired") for each in parcels(3)]
    assert all(start + 2 <= letter.since <= time.time() for letter in letters)
    assert carrier.depth(queue) == 1


def test_limits_are_those_of_the_queue_not_of_the_connection(carriers, queue):
    carriers().provision(queue, Limits(most_deliveries=2))
    carriers().publish(queue, parcels(1))
    for attempt in (1, 2):
        carrier = carriers()
        assert [each.attempt for each in carrier.consume(queue, 5, 5)] == [attempt]
        carrier.close()
    last = carriers()
    assert last.consume(queue, 5, 0.5) == []
    assert [letter.reason for letter in last.dead(queue)] == ["undeliverable"]
    assert last.depth(queue) == 0


def test_a_full_queue_refuses_and_stays_usable(carriers, queue):
    carrier = carriers()
    carrier.provision(queue, Limits(most_bytes=100_000))
    with pytest.raises(QueueFull, match="is full"):
        carrier.publish(queue, parcels(20, size=10_000))
    kept = drain(carrier, queue)
    assert 5 <= len(kept) < 12
    carrier.publish(queue, parcels(1, start=50, size=10_000))
    assert len(drain(carrier, queue)) == 1


def test_limits_can_be_changed(carriers, queue):
    carrier = carriers()
    carrier.provision(queue, Limits(most_bytes=10_000))
    carrier.provision(queue, Limits(most_bytes=100_000))
    carrier.publish(queue, parcels(5, size=10_000))
    assert carrier.depth(queue) == 5


def test_no_queue_and_a_closed_carrier_are_faults(carriers, queue):
    for use in (lambda c: c.publish(queue, parcels(1)), lambda c: c.consume(queue, 1, 0.1)):
        carrier = carriers()
        with pytest.raises(BrokerFault, match="no such queue"):
            use(carrier)
        with pytest.raises(BrokerFault, match="closed"):
            carrier.depth(queue)


def test_the_kill_of_the_server_while_publishing(own_server, carriers, queue):
    receiver, sender = carriers("alice", own_server), carriers("bob", own_server)
    receiver.provision(queue, Limits())
    confirmed = []
    stop = threading.Event()

    def publish():
        for number in range(100_000):
            try:
                sender.publish(queue, parcels(1, start=number, size=2000))
            except BrokerFault:
                return
            confirmed.append(number)
            if number == 100:
                stop.set()

    thread = threading.Thread(target=publish)
    thread.start()
    assert stop.wait(20)
    own_server.kill()
    thread.join(30)
    assert not thread.is_alive()
    own_server.start()
    sender, receiver = carriers("bob", own_server), carriers("alice", own_server)
    everything = len(confirmed) + 5
    sender.publish(queue, parcels(everything, size=2000))  # the sender cannot know how far it came
    assert [each.parcel for each in drain(receiver, queue)] == parcels(everything, size=2000)


def test_a_server_that_hangs_or_leaves_ends_the_wait(own_server, carriers, queue):
    carrier = carriers("alice", own_server)
    carrier.provision(queue, Limits())
    threading.Timer(0.5, own_server.kill).start()
    with pytest.raises(BrokerFault, match=re.escape(HOST)):
        carrier.consume(queue, 1, 60)


def test_strangers_on_either_side_are_refused(server, foreign):
    with pytest.raises(BrokerFault, match=re.escape(HOST)):
        open_carrier(server.address, foreign(server))
    ours = server.credentials("alice")
    suspicious = Credentials(ours.certificate, ours.key, foreign(server).certificate.with_name("ca.crt"))
    with pytest.raises(BrokerFault, match="certificate"):
        open_carrier(server.address, suspicious)


def test_a_server_under_another_name_is_refused(broker_of, tmp_path):
    broker_of(NatsServer)
    with (
        NatsServer(tmp_path, ["alice"], host="elsewhere.example") as other,
        pytest.raises(BrokerFault, match="certificate"),
    ):
        open_carrier(other.address, other.credentials("alice"))


def test_a_stranger_to_the_server_is_refused(server, tmp_path):
    """Of our authority, but no user: `server` itself has a certificate and no rights."""
    with pytest.raises(BrokerFault, match=re.escape(HOST)):
        open_carrier(server.address, server.credentials("server"))


def test_what_is_forbidden_fails_at_once(own_server, carriers):
    carrier = carriers("alice", own_server)
    stranger = Queue("0" * 32, "shares")
    carrier._link._loop.call(carrier._link._client.publish("elsewhere", b""), 5)
    with pytest.raises(BrokerFault, match=r"(?i)permissions violation"):
        carrier.consume(stranger, 1, 30)


def listen_to(carrier, subject):
    subscription = carrier._link._run(carrier._link._client.subscribe(subject), 5)
    carrier._link.receive(subscription, 1, 1, 5)


def test_the_rights_that_a_sender_needs(carriers, queue):
    alice = carriers("alice")
    alice.provision(queue, Limits())
    visitor = carriers("visitor")
    visitor.publish(queue, parcels(3))
    held = alice.consume(queue, 5, 5)
    assert [each.parcel for each in held] == parcels(3)
    forbidden = [
        lambda c: c.consume(queue, 1, 5),
        lambda c: c.remove(queue),
        lambda c: c.provision(queue, Limits()),
        lambda c: c.acknowledge(held),
        lambda c: c.publish(Queue(queue.session, "dlq.alice"), parcels(1)),
        lambda c: listen_to(c, "_INBOX.alice.>"),
    ]
    for use in forbidden:
        with pytest.raises(BrokerFault, match=r"(?i)permissions violation"):
            use(carriers("visitor"))
    assert alice.depth(queue) == 3


def test_a_server_that_does_not_ask_for_tls_learns_nothing(server):
    """nats-py would go on in plaintext and send the password."""
    heard = []
    with socket.create_server((HOST, 0)) as fake:

        def greet():
            connection, _ = fake.accept()
            with connection:
                connection.sendall(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576}\r\n')
                connection.settimeout(10)
                while got := connection.recv(1000):
                    heard.append(got)

        thread = threading.Thread(target=greet)
        thread.start()
        files = server.credentials("alice")
        ours = Credentials(files.certificate, files.key, files.authority, user="alice", password="secret")
        with pytest.raises(BrokerFault, match="TLS"):
            open_carrier(f"nats://{HOST}:{fake.getsockname()[1]}", ours)
        thread.join(10)
    assert heard == []


def test_the_disk_of_the_server_shows_idents_and_bodies_only_while_they_wait(own_server, carriers, queue):
    """That bodies are sealed is not the carrier's business; that they go away is. The password never gets there."""
    carrier = carriers("alice", own_server)
    carrier.provision(queue, Limits())
    carrier.publish(queue, [Parcel("visible-name", b"PLAIN-BODY" * 10)])
    assert own_server.traces(b"PLAIN-BODY")
    drain(carrier, queue)
    carrier.remove(queue)
    assert not [path for path in own_server.traces(b"PLAIN-BODY") if path.exists()]


def test_removal_is_complete_and_repeatable(carriers, queue):
    carrier = carriers()
    carrier.remove(queue)
    carrier.provision(queue, Limits())
    carrier.publish(queue, parcels(3))
    carrier.reject(carrier.consume(queue, 1, 5)[0], "x")
    carrier.remove(queue)
    carrier.remove(queue)
    assert (carrier.depth(queue), carrier.dead(queue)) == (0, [])
    carrier.provision(queue, Limits())
    carrier.publish(queue, parcels(3))  # the numbers of copies are forgotten as well
    assert carrier.depth(queue) == 3


@pytest.mark.parametrize("tail", ["?replicas=2", "?other=1", "/path", "?replicas="])
def test_addresses_with_parts_that_mean_nothing(tail):
    with pytest.raises(UserError, match="write nats://host:port"):
        open_carrier(f"nats://{HOST}:4222{tail}", Credentials(insecure_plaintext_for_tests=True))


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nats.aio.client", None)
    with pytest.raises(UserError, match=r"pip install 'quorate\[nats\]'"):
        open_carrier(f"nats://{HOST}:4222", Credentials(insecure_plaintext_for_tests=True))


def test_no_certificate_no_connection():
    with pytest.raises(UserError, match="certificate, key and authority"):
        open_carrier(f"nats://{HOST}:4222", Credentials())


def test_nobody_listens(server):
    with socket.create_server((HOST, 0)) as busy:
        port = busy.getsockname()[1]
    with pytest.raises(BrokerFault, match=str(port)):
        open_carrier(f"nats://{HOST}:{port}", server.credentials("alice"))


@pytest.mark.parametrize("prefix", ["$JS.ACK.stream.taker", "$JS.ACK.hub.AbC.stream.taker"])
def test_both_forms_of_receipts_are_read(prefix):
    reply = f"{prefix}.3.17.21.1700000000500000000.4"
    longer = f"{reply}.token" if "hub" in prefix else reply
    assert (attempt_of(longer), moment_of(longer)) == (3, 1700000000.5)


def test_the_address_is_split_without_surprise():
    assert urlsplit("nats://[::1]:4222").hostname == "::1"
