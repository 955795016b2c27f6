"""Kafka, in two halves, because no whole broker is at hand: Tansu behind TLS, and the cluster inside librdkafka.

Tansu knows topics come and go, but keeps no text beside positions, and tells the end of a topic wrongly when records
came in groups. The cluster of librdkafka keeps texts and ends, but topics only begin, and there is no TLS.
"""

import contextlib
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
from quorate.testing.servers.kafka import KafkaServer
from quorate.transport import kafka_link
from quorate.transport.carrier import Credentials, Limits, Parcel, Queue, open_carrier
from quorate.transport.kafka_access import hosts_of
from quorate.transport.kafka_link import KafkaLink

confluent_kafka = pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed (quorate[kafka])")

PLAIN = Credentials(insecure_plaintext_for_tests=True)


@pytest.fixture
def foreign(tmp_path):
    """Server -> credentials of an alice of another authority."""
    create_authority(tmp_path / "foreign", "foreign")
    issue(tmp_path / "foreign", {"alice": None})

    def of(server):
        ours = server.credentials("alice").authority
        return Credentials(tmp_path / "foreign" / "alice.crt", tmp_path / "foreign" / "alice.key", ours)

    return of


@pytest.fixture(scope="module")
def cluster():
    """The address of librdkafka's cluster."""
    keeper = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0})
    brokers = keeper.list_topics(timeout=10).brokers.values()
    yield "kafka://" + ",".join(f"{each.host}:{each.port}" for each in brokers)
    keeper.close()


@pytest.fixture
def topics_begin(monkeypatch):
    """librdkafka's cluster makes topics when they are first asked for, and has no requests to make or delete them."""
    gone, exists = set(), KafkaLink.exists

    def create(link, topic, replicas, settings):
        if exists(link, topic) and topic not in gone:
            return False
        gone.discard(topic)
        asking = confluent_kafka.Producer({"bootstrap.servers": link._common["bootstrap.servers"], "log_level": 0})
        asking.list_topics(topic, timeout=10)
        link._until(topic, there=True)
        return True

    monkeypatch.setattr(KafkaLink, "create", create)
    monkeypatch.setattr(KafkaLink, "delete", lambda link, topic: gone.add(topic))
    monkeypatch.setattr(KafkaLink, "exists", lambda link, topic: topic not in gone and exists(link, topic))


@pytest.mark.slow
class TestOverTls(CarrierConformance):
    counts_attempts = False
    acknowledges_singly = False
    refuses_when_full = False
    expires = False

    @pytest.fixture
    def site(self, broker_of, foreign, monkeypatch):
        monkeypatch.setitem(kafka_link.PUBLISHING, "batch.num.messages", 1)  # see the module
        server = broker_of(KafkaServer)
        return Site(server.address, server.credentials("alice"), foreign(server))

    def listed(self, site):
        with contextlib.closing(open_carrier(site.address, site.credentials)) as carrier:
            return set(carrier._link.admin.list_topics(timeout=10).topics)

    def expected(self, queue):
        return {queue.name, queue.dead_letters}


@pytest.mark.slow
class TestServer(BrokerConformance):
    kind = KafkaServer
    stores = False

    @pytest.fixture(autouse=True)
    def _shared(self, broker_of):
        self.shared = broker_of(KafkaServer)

    @pytest.mark.skip(reason="Tansu forgets everything when it dies")
    def test_killed_in_the_middle_of_publishing(self):
        """Not here."""

    @pytest.mark.skip(reason="Tansu forgets everything when it dies")
    def test_killed_in_the_middle_of_consuming(self):
        """Not here."""

    @pytest.mark.skip(reason="Tansu forgets everything when it dies")
    def test_dead_letters_survive_a_kill(self):
        """Not here."""


class TestCluster(CarrierConformance):
    @pytest.fixture
    def site(self, cluster, topics_begin):
        return Site(cluster, PLAIN)

    @pytest.mark.skip(reason="topics of this cluster cannot be deleted")
    def test_remove_deletes_everything(self):
        """See TestOverTls."""

    @pytest.mark.skip(reason="this cluster forgets all but the last 5 MiB of a topic")
    def test_many_in_hand(self):
        """See TestOverTls."""


@pytest.fixture
def queue(request) -> Queue:
    return Queue(f"{abs(hash(request.node.nodeid)):032x}"[-32:], "rounds.alice")


@pytest.fixture
def carriers(cluster, topics_begin):
    """Carriers at the cluster that are closed at the end."""
    opened = []

    def more():
        opened.append(open_carrier(cluster, PLAIN))
        return opened[-1]

    yield more
    for carrier in opened:
        carrier.close()


def parcels(count, start=0):
    return [Parcel(f"p-{number}", b"%d" % number) for number in range(start, start + count)]


def again_and_again(carrier, queue):
    """Wait, for a minute at most."""
    for _ in range(60):
        carrier.consume(queue, 1, 1)


def drain(carrier, queue, most=1000):
    """All that comes, acknowledged."""
    found = []
    while got := carrier.consume(queue, most, 0.5):
        carrier.acknowledge(got)
        found.extend(got)
    return found


def test_who_comes_later_takes_over(carriers, queue):
    first, second = carriers(), carriers()
    first.provision(queue, Limits())
    first.publish(queue, parcels(4))
    held = first.consume(queue, 2, 5)
    assert len(held) == 2
    assert [each.parcel for each in second.consume(queue, 2, 5)] == parcels(2)
    assert first.consume(queue, 5, 0.5) == []
    first.acknowledge(held)
    rest = second.consume(queue, 5, 5)
    assert [each.parcel for each in rest] == parcels(2, start=2)
    assert second.depth(queue) == 4


def test_letters_of_two_boxes_lie_together_and_are_kept_apart(carriers, queue):
    carrier, other = carriers(), Queue(queue.session, "shares.alice")
    for each in (queue, other):
        carrier.provision(each, Limits())
        carrier.publish(each, [Parcel(each.box, b"x")])
        carrier.reject(carrier.consume(each, 1, 5)[0], "not\r\nso ü")
    (letter,) = carrier.dead(queue)
    assert (letter.parcel.ident, letter.reason) == (queue.box, "rejected: not so ?")
    carrier.remove(queue)
    assert [letter.parcel.ident for letter in carrier.dead(other)] == [other.box]


def test_what_comes_back_from_the_dead_is_no_copy(carriers, queue):
    carrier = carriers()
    carrier.provision(queue, Limits())
    carrier.publish(queue, parcels(1))
    carrier.publish(queue, [*parcels(1), Parcel("p-0", b"another")])
    for _ in range(2):
        got = carrier.consume(queue, 5, 5)
        carrier.reject(got[0], "x")
        carrier.acknowledge(got[1:])
        carrier.retry(queue, carrier.dead(queue))
    assert [each.parcel for each in drain(carrier, queue)] == parcels(1)
    assert carrier.depth(queue) == 0


def test_another_parcel_of_the_same_name_is_no_copy(carriers, queue):
    carrier = carriers()
    carrier.provision(queue, Limits())
    both = [Parcel("same", b"forged"), Parcel("same", b"true")]
    carrier.publish(queue, [*both, *both])
    assert [each.parcel for each in drain(carrier, queue)] == both


def test_a_sender_counts_the_bytes_of_its_own(carriers, queue):
    carrier = carriers()
    carrier.provision(queue, Limits(most_bytes=10_000))
    for number, size in enumerate((3000, 3000, 3000, 500)):
        carrier.publish(queue, [Parcel(f"p-{number}", bytes(size))])
    with pytest.raises(QueueFull, match="is full"):
        carrier.publish(queue, [Parcel("p-4", bytes(600))])
    carrier.acknowledge(carrier.consume(queue, 1, 5))
    carrier.publish(queue, [Parcel("p-4", bytes(600))])
    assert carrier.depth(queue) == 4


def test_what_is_done_with_does_not_expire(carriers, queue):
    carrier = carriers()
    carrier.provision(queue, Limits())
    carrier.publish(queue, parcels(3))
    held = carrier.consume(queue, 3, 5)
    carrier.acknowledge(held[1:2])
    carrier.provision(queue, Limits(ttl=0.1))
    time.sleep(0.2)
    assert [letter.parcel for letter in carriers().dead(queue)] == [held[0].parcel, held[2].parcel]
    assert carrier.depth(queue) == 0


def test_no_topic_is_made_by_asking(carriers, queue):
    for use in (lambda c: c.publish(queue, parcels(1)), lambda c: c.consume(queue, 1, 0.1)):
        carrier = carriers()
        with pytest.raises(BrokerFault, match=f"no topic {re.escape(queue.name)}"):
            use(carrier)
        with pytest.raises(BrokerFault, match="closed"):
            carrier.depth(queue)
    assert carriers().depth(queue) == 0
    assert queue.name not in carriers()._link.admin.list_topics(timeout=10).topics


def test_topics_get_the_settings_that_the_limits_need(carriers, queue, monkeypatch):
    made = {}

    create = KafkaLink.create

    def watched(link, topic, replicas, settings):
        made[topic] = (replicas, settings)
        return create(link, topic, replicas, settings)

    monkeypatch.setattr(KafkaLink, "create", watched)
    carrier = carriers()
    carrier._replicas = 3
    carrier.provision(queue, Limits(ttl=7200.0))
    replicas, settings = made[queue.name]
    assert (replicas, settings["retention.ms"], settings["min.insync.replicas"]) == (3, "14400000", "2")
    assert made[queue.dead_letters][1]["retention.ms"] == "-1"


def test_mutual_tls_and_nobody_else(broker_of, foreign, queue):
    server = broker_of(KafkaServer)
    alice, bob = (open_carrier(server.address, server.credentials(name)) for name in ("alice", "bob"))
    with contextlib.closing(alice), contextlib.closing(bob):
        alice.provision(queue, Limits())
        bob.publish(queue, parcels(3))
        assert [each.parcel for each in drain(alice, queue)] == parcels(3)
        alice.remove(queue)
    ours = server.credentials("alice")
    for intruder in (foreign(server), Credentials(authority=ours.authority)):
        with pytest.raises(BrokerFault, match=r"(?i)certificate|unknown ca"):
            open_carrier(server.address, intruder)
    suspicious = Credentials(ours.certificate, ours.key, foreign(server).certificate.with_name("ca.crt"))
    with pytest.raises(BrokerFault, match="another certificate authority"):
        open_carrier(server.address, suspicious)


@pytest.mark.parametrize("own_check", [True, False])
def test_a_broker_that_knows_only_tls_1_2_is_refused(own_check, broker_of, tmp_path, monkeypatch):
    """By our own handshake, and by librdkafka, which could not be told but for its suites."""
    broker_of(KafkaServer)

    class Old(KafkaServer):
        def configuration(self):
            return super().configuration().replace("sslVersionMin = TLSv1.3", "sslVersion = TLSv1.2")

    if not own_check:
        monkeypatch.setattr(kafka_link, "shake_hands", lambda hosts, context: None)
    with Old(tmp_path, ["alice"]) as server, pytest.raises(BrokerFault, match=r"(?i)protocol version|ssl"):
        open_carrier(server.address, server.credentials("alice"))


@pytest.mark.parametrize("own_check", [True, False])
def test_a_broker_under_another_name_is_refused(own_check, broker_of, tmp_path, monkeypatch):
    broker_of(KafkaServer)
    if not own_check:
        monkeypatch.setattr(kafka_link, "shake_hands", lambda hosts, context: None)
    with (
        KafkaServer(tmp_path, ["alice"], host="elsewhere.example") as server,
        pytest.raises(BrokerFault, match=r"(?i)certificate"),
    ):
        open_carrier(server.address, server.credentials("alice"))


def test_a_broker_that_dies_ends_the_wait(broker_of, tmp_path, queue):
    broker_of(KafkaServer)
    with KafkaServer(tmp_path, ["alice"]) as server:
        carrier = open_carrier(server.address, server.credentials("alice"))
        with contextlib.closing(carrier):
            carrier.provision(queue, Limits())
            timer = threading.Timer(0.5, server.kill)
            timer.start()
            with pytest.raises(BrokerFault, match=re.escape(HOST)):
                again_and_again(carrier, queue)
            timer.join()


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("kafka://one:1,two,[::1]:3", [("one", 1), ("two", 9092), ("::1", 3)]),
        ("kafka://one:1?replicas=3", [("one", 1)]),
    ],
)
def test_several_hosts(address, hosts):
    assert hosts_of(urlsplit(address)) == hosts


@pytest.mark.parametrize(
    "address",
    ["kafka://one:1,", "kafka://", "kafka://a:b,c", "kafka://a:1/x", "kafka://a:1?replicas=x", "kafka://a?b=c"],
)
def test_addresses_that_mean_nothing(address):
    with pytest.raises(UserError, match=r"kafka://host:port|malformed"):
        open_carrier(address, PLAIN)


def test_one_of_several_hosts_suffices(cluster, topics_begin, queue):
    with socket.create_server((HOST, 0)) as busy:
        port = busy.getsockname()[1]
    with contextlib.closing(open_carrier(cluster.replace("kafka://", f"kafka://{HOST}:{port},"), PLAIN)) as carrier:
        carrier.provision(queue, Limits())
        carrier.publish(queue, parcels(1))
        assert carrier.depth(queue) == 1


def test_nobody_listens(broker_of):
    server = broker_of(KafkaServer)
    with socket.create_server((HOST, 0)) as busy:
        port = busy.getsockname()[1]
    with pytest.raises(BrokerFault, match=str(port)):
        open_carrier(f"kafka://{HOST}:{port}", server.credentials("alice"))


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(UserError, match=r"pip install 'quorate\[kafka\]'"):
        open_carrier(f"kafka://{HOST}:9092", PLAIN)
