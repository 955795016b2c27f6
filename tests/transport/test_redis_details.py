"""Redis: what the suites for all carriers do not ask."""

import logging
import sys
import time
from urllib.parse import urlsplit

import pytest

from quorate.errors import BrokerFault, QueueFull, UserError
from quorate.testing.servers.base import OPERATOR
from quorate.testing.servers.redis import RedisServer
from quorate.transport import redis as module
from quorate.transport.carrier import Credentials, Limits, Parcel, Queue, open_carrier


def parcels(count, start=0):
    return [Parcel(f"p-{k}", bytes([k])) for k in range(start, start + count)]


def idents(items):
    return [item.parcel.ident for item in items]


@pytest.fixture
def opened(redis_server):
    """Name -> a connection, closed in the end."""
    made = []

    def open_as(name="alice"):
        made.append(open_carrier(redis_server.address, redis_server.credentials(name)))
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


def counters(redis_server, queue):
    """(bytes that wait, bytes of dead letters), as the broker counts them."""
    with_all_rights = open_carrier(redis_server.address, redis_server.credentials(OPERATOR))
    facts = with_all_rights._client.hgetall(f"{queue.name}:state")
    with_all_rights.close()
    return int(facts.get(b"bytes", 0)), int(facts.get(b"dead", 0))


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    for name in ("redis", "redis.backoff", "redis.retry"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("quorate.transport.redis", "quorate.transport.redis_connect"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError, match=r"pip install 'quorate\[redis\]'"):
        open_carrier("rediss://localhost", Credentials())


@pytest.mark.parametrize("address", ["rediss:///1", "rediss://host/x", "rediss://host/0?a=b", "rediss://host#x"])
def test_addresses_that_are_refused(address):
    with pytest.raises(UserError, match="database-number"):
        module.connect(urlsplit(address), Credentials())


def test_what_a_sender_may_do(opened, queue):
    opened("visitor").publish(queue, parcels(2))
    held = opened().consume(queue, 1, 5)
    for act in (
        lambda carrier: carrier.consume(queue, 1, 1),
        lambda carrier: carrier.provision(queue, Limits()),
        lambda carrier: carrier.dead(queue),
        lambda carrier: carrier.acknowledge(held),
        lambda carrier: carrier.remove(queue),
    ):
        with pytest.raises(BrokerFault, match=r"permission|can't run"):
            act(opened("visitor"))
    assert opened().depth(queue) == 2


def test_databases_are_apart(opened, redis_server, queue):
    opened().publish(queue, parcels(2))
    other = open_carrier(redis_server.address + "/3", redis_server.credentials("alice"))
    assert (other.depth(queue), opened().depth(queue)) == (0, 2)
    other.close()


def test_a_wrong_password_is_refused_and_not_repeated(redis_server):
    mine = redis_server.credentials("alice")
    wrong = Credentials(mine.certificate, mine.key, mine.authority, "alice", "geheim")
    with pytest.raises(BrokerFault, match="password") as caught:
        open_carrier(redis_server.address, wrong)
    assert "geheim" not in str(caught.value)
    assert "geheim" not in repr(wrong)


def test_what_counts_is_what_is_there(opened, redis_server, queue):
    carrier = opened()
    carrier.publish(queue, [Parcel("one", b"x" * 97), Parcel("two", b"x" * 197), Parcel("one", b"x" * 97)])
    assert counters(redis_server, queue) == (300, 0)
    one, two = carrier.consume(queue, 5, 5)
    carrier.acknowledge([one, one])
    carrier.acknowledge([one])
    assert counters(redis_server, queue) == (200, 0)
    carrier.reject(two, "a test")
    carrier.reject(two, "a test")
    assert counters(redis_server, queue) == (0, 200)
    letters = carrier.dead(queue)
    assert idents(letters) == ["two"]
    carrier.retry(queue, letters)
    carrier.retry(queue, letters)
    assert counters(redis_server, queue) == (200, 0)
    carrier.reject(carrier.consume(queue, 5, 5)[0], "again")
    carrier.drop(queue, letters)  # not this one any more
    assert counters(redis_server, queue) == (0, 200)
    carrier.drop(queue, carrier.dead(queue))
    assert counters(redis_server, queue) == (0, 0)


def test_many_dead_letters_in_pages(opened, queue):
    carrier = opened()
    carrier.publish(queue, [Parcel(f"d-{k}", b"1") for k in range(250)])
    for delivery in carrier.consume(queue, 250, 5):
        carrier.reject(delivery, "a test")
    assert idents(carrier.dead(queue)) == [f"d-{k}" for k in range(250)]
    assert idents(carrier.dead(queue, 120)) == [f"d-{k}" for k in range(120)]
    carrier.drop(queue, carrier.dead(queue))
    assert carrier.dead(queue) == []


def test_many_expire_in_pages_but_not_what_was_handed_out(opened, queue):
    carrier = opened()
    carrier.provision(queue, Limits(ttl=0.3))
    carrier.publish(queue, [Parcel(f"e-{k}", b"1") for k in range(250)])
    held = carrier.consume(queue, 120, 5)
    assert len(held) == 120
    time.sleep(0.5)
    assert opened().depth(queue) == 120
    assert idents(carrier.dead(queue)) == [f"e-{k}" for k in range(120, 250)]
    carrier.acknowledge(held)
    assert carrier.depth(queue) == 0


def test_boxes_that_share_dead_letters_see_their_own(opened, redis_server, queue):
    other, carrier = queue._replace(box="shares.alice"), opened()
    carrier.provision(other, Limits())
    for name, parcel in zip((queue, other), parcels(2), strict=True):
        carrier.publish(name, [parcel])
        carrier.reject(carrier.consume(name, 1, 5)[0], "a test")
    assert (idents(carrier.dead(queue)), idents(carrier.dead(other))) == (["p-0"], ["p-1"])
    carrier.remove(other)
    assert idents(carrier.dead(queue)) == ["p-0"]
    assert queue.exchange in redis_server.names()
    carrier.remove(queue)
    assert not [name for name in redis_server.names() if queue.session in name]
    carrier.provision(queue, Limits())


def test_a_delivery_whose_answer_was_lost_comes_again(opened, queue, monkeypatch):
    monkeypatch.setattr(module, "_LOST", 0.2)
    monkeypatch.setattr(module, "_TIDY", 0.0)
    carrier = opened()
    carrier.publish(queue, parcels(4))
    first = carrier.consume(queue, 1, 5)
    assert idents(first) == ["p-0"]
    carrier._client.xreadgroup("mpc", "mpc", {queue.name: ">"}, count=2)  # p-1 and p-2 go to us, and we never learn
    second = carrier.consume(queue, 1, 5)
    assert idents(second) == ["p-3"]
    got, end = [], time.monotonic() + 20
    while len(got) < 2 and time.monotonic() < end:
        got += carrier.consume(queue, 1, 0.1)
    assert idents(got) == ["p-1", "p-2"]
    assert [delivery.attempt for delivery in got] == [2, 2]
    time.sleep(0.5)
    assert carrier.consume(queue, 10, 0.1) == []
    carrier.acknowledge([*first, *second, *got])
    assert carrier.depth(queue) == 0


def test_a_queue_that_is_gone_is_said_to_its_consumer(opened, queue):
    consumer = opened()
    assert consumer.consume(queue, 5, 0.1) == []
    opened().remove(queue)
    with pytest.raises(BrokerFault, match="no queue"):
        consumer.consume(queue, 5, 5)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"policy": "allkeys-lru"}, "noeviction"),
        ({"appendonly": "no"}, "appendonly"),
        ({"appendfsync": "everysec"}, None),
    ],
)
def test_a_broker_that_may_forget(tmp_path, redis_server, caplog, options, fault):
    with RedisServer(tmp_path / "broker", ["alice"], **options) as server:
        if fault:
            with pytest.raises(BrokerFault, match=fault):
                open_carrier(server.address, server.credentials("alice"))
            return
        with caplog.at_level(logging.WARNING):
            open_carrier(server.address, server.credentials("alice")).close()
        assert "appendfsync is everysec" in caplog.text


def test_a_broker_that_does_not_tell_its_configuration(tmp_path, redis_server, caplog):
    server = RedisServer(tmp_path / "broker", ["alice"])
    users = server.home / "users.acl"
    users.write_text(users.read_text().replace(" +config|get", ""))
    with server, caplog.at_level(logging.INFO):
        open_carrier(server.address, server.credentials("alice")).close()
    assert "does not tell its configuration" in caplog.text


def test_a_broker_that_hangs_is_given_up(tmp_path, redis_server, monkeypatch):
    connecting = sys.modules["quorate.transport.redis_connect"]
    monkeypatch.setattr(connecting, "_ANSWER", 0.3)
    monkeypatch.setattr(connecting, "_CONNECT", 0.3)
    queue = Queue("aa", "rounds.alice")
    with RedisServer(tmp_path / "broker", ["alice"]) as server:
        carrier = open_carrier(server.address, server.credentials("alice"))
        carrier.provision(queue, Limits())
        server.pause()
        with pytest.raises(BrokerFault, match="no answer in time"):
            carrier.publish(queue, parcels(1))
        with pytest.raises(BrokerFault, match="closed"):
            carrier.depth(queue)
        with pytest.raises(BrokerFault, match="no answer in time"):
            open_carrier(server.address, server.credentials("alice"))


def test_the_answer_of_a_waiting_broker_may_take_longer_than_any_other(opened, queue, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 0.1)  # the wait is cut into pieces
    start = time.monotonic()
    assert opened().consume(queue, 1, 0.55) == []
    assert time.monotonic() - start >= 0.5


def test_too_many_dead_letters_stop_the_senders(opened, queue):
    carrier = opened()
    carrier.provision(queue, Limits(most_bytes=1000))
    for k in range(3):
        carrier.publish(queue, [Parcel(f"d-{k}", b"x" * 400)])
        carrier.reject(carrier.consume(queue, 1, 5)[0], "a test")
    with pytest.raises(QueueFull):
        carrier.publish(queue, parcels(1))
    carrier.drop(queue, carrier.dead(queue)[:1])
    carrier.publish(queue, parcels(1))


def test_what_an_earlier_consumer_held_comes_in_pages_before_what_is_newer(opened, queue):
    first = opened()
    first.publish(queue, parcels(5))
    assert len(first.consume(queue, 5, 5)) == 5
    first.publish(queue, parcels(2, start=5))
    first.close()
    again, got = opened(), []
    for _ in range(4):
        batch = again.consume(queue, 2, 5)
        assert 0 < len(batch) <= 2
        got += batch
    assert idents(got) == [f"p-{k}" for k in range(7)]
    assert [delivery.attempt for delivery in got] == [2] * 5 + [1] * 2


@pytest.mark.parametrize("held", [False, True])
def test_foreign_entries_become_dead_letters(opened, redis_server, queue, held):
    foreign = [{"x": "y"}, {"i": b"\xff\xfe", "b": "1"}, {"i": "lonely"}]
    carrier = opened()
    for fields in foreign:
        carrier._client.xadd(queue.name, fields)
    carrier._client.xadd(queue.dead_letters, {"t": "no number", "r": b"\xff"})
    carrier._client.xadd(queue.dead_letters, {"t": "no number", "r": b"\xff", "q": queue.box})
    carrier.publish(queue, parcels(1))
    if held:
        carrier._client.xreadgroup("mpc", "mpc", {queue.name: ">"}, count=9)
    assert idents(carrier.consume(queue, 9, 5) or carrier.consume(queue, 9, 5)) == ["p-0"]
    letters = carrier.dead(queue)
    assert [letter.reason for letter in letters[1:]] == ["rejected: malformed"] * 3
    assert carrier.depth(queue) == 1
    carrier.drop(queue, letters[1:])
    carrier.remove(queue)
    assert not [name for name in redis_server.names() if queue.session in name]
    carrier.provision(queue, Limits())
