"""RabbitMQ: what the suites for all carriers do not ask."""

import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from quorate.errors import BrokerFault, UserError
from quorate.testing.servers import rabbitmq as rabbitmq_server
from quorate.testing.servers import redis as redis_server
from quorate.testing.servers.base import OPERATOR
from quorate.testing.servers.rabbitmq import RabbitServer
from quorate.transport import amqp
from quorate.transport.carrier import Credentials, Limits, Parcel, Queue, open_carrier


def parcels(count, start=0):
    return [Parcel(f"p-{k}", bytes([k])) for k in range(start, start + count)]


def idents(items):
    return [item.parcel.ident for item in items]


def take(carrier, queue, count):
    got = []
    while len(got) < count:
        batch = carrier.consume(queue, count - len(got), 30)
        assert batch
        got += batch
    return got


@pytest.fixture
def opened(rabbitmq):
    """Name -> a connection, closed in the end."""
    made = []

    def open_as(name=OPERATOR):
        made.append(open_carrier(rabbitmq.address, rabbitmq.credentials(name)))
        return made[-1]

    yield open_as
    for carrier in made:
        carrier.close()


@pytest.fixture
def queue(opened, request):
    name = Queue(f"{abs(hash(request.node.name)):032x}"[:32], "rounds.alice")
    opened().provision(name, Limits())
    yield name
    opened().remove(name)


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aio_pika", None)
    monkeypatch.delitem(sys.modules, "quorate.transport.amqp")
    with pytest.raises(UserError, match=r"pip install 'quorate\[amqp\]'"):
        open_carrier("amqps://localhost", Credentials())


@pytest.mark.parametrize("address", ["amqps:///x", "amqps://host/a/b", "amqps://host?auth=PLAIN", "amqps://host#x"])
def test_addresses_that_are_refused(address):
    with pytest.raises(UserError, match="virtual-host"):
        amqp.connect(urlsplit(address), Credentials())


@pytest.mark.slow
def test_what_a_member_may_do(opened, queue):
    alice = opened("alice")
    alice.provision(queue, Limits())
    opened("visitor").publish(queue, parcels(1))
    alice.reject(take(alice, queue, 1)[0], "a test")
    assert idents(alice.dead(queue)) == ["p-0"]
    for who in ("bob", "visitor"):  # bob has an inbox of his own here, the visitor only sends
        opened(who).publish(queue, parcels(1, start=1))
        for act in (
            lambda carrier: carrier.consume(queue, 1, 1),
            lambda carrier: carrier.provision(queue, Limits()),
            lambda carrier: carrier.dead(queue),
            lambda carrier: carrier.remove(queue),
        ):
            with pytest.raises(BrokerFault, match="ACCESS_REFUSED"):
                act(opened(who))
    for name in ("shares.alice", "sets.alice", "replies.alice"):
        alice.provision(queue._replace(box=name), Limits())
        alice.remove(queue._replace(box=name))
    alice.remove(queue)


def test_the_page_for_operators_states_these_rights():
    page = (Path(__file__).parents[2] / "docs/how-to/brokers.md").read_text()
    for line in (rabbitmq_server.OWNER, rabbitmq_server.SENDER, redis_server.OWNER, redis_server.SENDER):
        assert line in page
    assert f"\n{redis_server.DEFAULT}\n" in page


@pytest.mark.slow
def test_other_limits_are_said(opened, queue):
    with pytest.raises(BrokerFault, match="other limits"):
        opened().provision(queue, Limits(ttl=5))


@pytest.mark.slow
@pytest.mark.parametrize("order", [[4, 2, 3, 0, 1, 5], [0, 1, 5, 3, 2, 4], [5, 4, 3, 2, 1, 0], [1, 0, 2, 4]])
def test_acknowledging_in_any_order_and_in_parts(opened, queue, order):
    first = opened()
    first.publish(queue, parcels(6))
    got = take(first, queue, 6)
    for k in range(0, len(order), 2):
        first.acknowledge([got[at] for at in order[k : k + 2]])
    first.acknowledge([got[order[0]]])  # once more is nothing
    first.publish(queue, parcels(1, start=6))
    first.acknowledge(take(first, queue, 1))
    first.close()
    left = [f"p-{k}" for k in range(6) if k not in order]
    again = opened()
    assert idents(take(again, queue, len(left))) == left
    assert again.consume(queue, 5, 0.3) == []


@pytest.mark.slow
def test_a_queue_that_was_made_anew_is_served_again(opened, queue):
    consumer, other = opened(), opened()
    assert consumer.consume(queue, 5, 0.1) == []
    other.remove(queue)
    other.provision(queue, Limits())
    other.publish(queue, parcels(2))
    got = consumer.consume(queue, 5, 0.1) or take(consumer, queue, 2)
    assert idents(got)[0] == "p-0"


@pytest.mark.slow
def test_a_queue_that_is_gone_is_said_to_its_consumer(opened, queue):
    consumer = opened()
    assert consumer.consume(queue, 5, 0.1) == []
    opened().remove(queue)
    with pytest.raises(BrokerFault, match="no queue"):
        consumer.consume(queue, 5, 0.2)


@pytest.mark.slow
def test_boxes_that_share_dead_letters_see_their_own(opened, queue):
    other = queue._replace(box="shares.alice")
    carrier = opened()
    carrier.provision(other, Limits(ttl=1000))
    for name, parcel in zip((queue, other), parcels(2), strict=True):
        carrier.publish(name, [parcel])
        carrier.reject(take(carrier, name, 1)[0], "a test")
    assert (idents(carrier.dead(queue)), idents(carrier.dead(other))) == (["p-0"], ["p-1"])
    carrier.remove(other)
    assert idents(carrier.dead(queue)) == ["p-0"]
    assert carrier.dead(other) == []


@pytest.mark.slow
def test_dead_letters_can_be_looked_at_often(opened, queue):
    carrier = opened()
    carrier.publish(queue, parcels(3))
    for delivery in take(carrier, queue, 3):
        carrier.reject(delivery, "a test")
    for _ in range(25):  # RabbitMQ 4 gives up after 20 deliveries unless told otherwise
        assert idents(opened().dead(queue)) == ["p-0", "p-1", "p-2"]


@pytest.mark.slow
def test_no_thread_is_left(opened, rabbitmq, queue):
    before = set(threading.enumerate())
    carrier = open_carrier(rabbitmq.address, rabbitmq.credentials("alice"))
    carrier.consume(queue, 1, 0.1)
    carrier.close()
    with pytest.raises(BrokerFault):
        open_carrier(rabbitmq.address.replace("127.0.0.1", "localhost"), rabbitmq.credentials("alice"))
    assert set(threading.enumerate()) <= before


@pytest.mark.slow
def test_a_broker_that_hangs_is_given_up(tmp_path, rabbitmq, monkeypatch):
    monkeypatch.setattr(amqp, "_ANSWER", 1.0)
    monkeypatch.setattr(amqp, "_CONNECT", 1.0)
    monkeypatch.setattr(amqp, "_LEAVE", 0.5)
    queue = Queue("aa", "rounds.alice")
    with RabbitServer(tmp_path / "broker", ["alice"]) as server:
        carrier = open_carrier(server.address, server.credentials("alice"))
        carrier.provision(queue, Limits())
        server.pause()
        with pytest.raises(BrokerFault, match="no answer in time"):
            carrier.publish(queue, parcels(1))
        with pytest.raises(BrokerFault, match="closed"):
            carrier.depth(queue)
        with pytest.raises(BrokerFault, match="no answer in time"):
            open_carrier(server.address, server.credentials("alice"))


@pytest.mark.slow
def test_a_queue_that_was_too_young_to_survive_its_broker_is_made_anew(tmp_path, rabbitmq):
    queue = Queue("aa", "rounds.alice")
    with RabbitServer(tmp_path / "broker", ["alice"]) as server:
        for _ in range(3):  # a moment between declaring and killing is enough to survive
            carrier = open_carrier(server.address, server.credentials("alice"))
            carrier.provision(queue, Limits())
            carrier.publish(queue, parcels(3))
            server.kill()
            carrier.close()
            server.start()
            again = open_carrier(server.address, server.credentials("alice"))
            again.provision(queue, Limits())
            again.publish(queue, parcels(3, start=3))
            got = []
            while "p-5" not in idents(got):
                batch = again.consume(queue, 6, 30)
                assert batch
                got += batch
            assert idents(got) in (["p-3", "p-4", "p-5"], [f"p-{k}" for k in range(6)])
            again.remove(queue)
            again.close()


@pytest.mark.slow
def test_a_parcel_for_a_box_that_nobody_made_is_not_swallowed_by_the_exchange(opened, queue):
    with pytest.raises(BrokerFault, match=r"no queue .*rounds\.bob"):
        opened().publish(queue._replace(box="rounds.bob"), parcels(1))
