"""Threads that carry parcels: over queues in a folder, with faults on demand."""

import threading
import time
from urllib.parse import urlsplit

import pytest

from quorate.durable.breaker import Breaker
from quorate.durable.router import (
    Arrival,
    Arrivals,
    Broken,
    BrokerWay,
    Connected,
    Full,
    Inbox,
    Lost,
    Router,
)
from quorate.errors import BrokerFault, InternalError, QueueFull, UserError
from quorate.testing.carrier_lab import parcels
from quorate.transport.carrier import Credentials, Limits, Queue
from quorate.transport.embedded import connect

SESSION = "0123456789abcdef" * 2
SECONDS = 20.0


class Site:
    """A broker whose connections fail as long as `fault` is set, in the operations named by `where`."""

    def __init__(self, folder):
        self.folder = folder
        self.fault = None
        self.where = {"open", "publish", "consume", "acknowledge"}
        self.opened, self.published, self.consumed, self.closed = 0, 0, 0, 0

    def check(self, operation):
        if self.fault is not None and operation in self.where:
            raise self.fault

    def open(self):
        self.check("open")
        self.opened += 1
        return Faulty(self, connect(urlsplit(f"embedded:{self.folder}"), Credentials()))

    def carrier(self):
        return connect(urlsplit(f"embedded:{self.folder}"), Credentials())


class Faulty:
    def __init__(self, site, carrier):
        self.site, self.carrier = site, carrier

    def __getattr__(self, operation):
        return getattr(self.carrier, operation)

    def publish(self, queue, parcels):
        if self.site.fault is not None and "half" in self.site.where:
            self.carrier.publish(queue, parcels[: len(parcels) // 2])
            raise self.site.fault
        self.site.check("publish")
        self.carrier.publish(queue, parcels)
        self.site.published += len(parcels)

    def consume(self, queue, most, wait):
        self.site.check("consume")
        got = self.carrier.consume(queue, most, wait)
        self.site.consumed += len(got)
        return got

    def acknowledge(self, deliveries):
        self.site.check("acknowledge")
        self.carrier.acknowledge(deliveries)

    def close(self):
        self.site.closed += 1
        self.carrier.close()


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "one")


@pytest.fixture
def other(tmp_path):
    return Site(tmp_path / "two")


@pytest.fixture
def routers():
    made = []

    def make(*arguments, **options):
        made.append(Router(*arguments, **options))
        return made[-1]

    yield make
    for router in made:
        router.close()


def quick_breaker():
    return Breaker(2, 60.0, (0.05, 0.1))


def way(site, member, name="embedded", limits=None):
    return BrokerWay(name, site.open, Queue(SESSION, f"rounds.{member}"), limits or Limits(), quick_breaker())


def inbox(site, member, name="embedded"):
    return Inbox(name, site.open, Queue(SESSION, f"rounds.{member}"), Limits(), quick_breaker())


def take(router, count, seconds=SECONDS):
    """So many arrivals, and the events between them."""
    arrivals, events = [], []
    deadline = time.monotonic() + seconds
    while len(arrivals) < count:
        item = router.arrivals.get(max(0.0, deadline - time.monotonic()))
        assert item is not None, f"only {len(arrivals)} of {count} arrivals; {events}"
        (arrivals if isinstance(item, Arrival) else events).append(item)
    return arrivals, events


def event(router, kind):
    """The next event of that kind."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        item = router.arrivals.get(0.1)
        if isinstance(item, kind):
            return item
        assert not isinstance(item, Broken), item
    raise AssertionError(f"no {kind.__name__}")


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def bodies(arrivals):
    return [arrival.parcel for arrival in arrivals]


def test_two_members_exchange_parcels(site, other, routers):
    alice = routers({1: [way(other, "bob")]}, [inbox(site, "alice")])
    bob = routers({0: [way(site, "alice")]}, [inbox(other, "bob")])
    sent = parcels(300, 2000)
    for k in range(0, 300, 50):
        alice.send(1, sent[k : k + 50])
    bob.send(0, parcels(3, 100, "b"))
    got, events = take(bob, 300)
    assert bodies(got) == sent
    assert {arrival.way for arrival in got} == {"embedded"}
    assert set(events) <= {Connected(None, "embedded"), Connected(0, "embedded")}
    bob.acknowledge([arrival.token for arrival in got])
    assert bodies(take(alice, 3)[0]) == parcels(3, 100, "b")
    assert alice.flush(SECONDS)
    assert bob.flush(SECONDS)
    assert alice.waiting(1) == 0
    assert other.carrier().depth(Queue(SESSION, "rounds.bob")) == 0
    assert site.carrier().depth(Queue(SESSION, "rounds.alice")) == 3
    assert alice.stable
    assert alice.report() == [(1, "embedded", "works"), (None, "embedded", "works")]


def test_nobody_need_be_online_together(site, routers):
    alice = routers({1: [way(site, "bob")]})
    alice.send(1, parcels(10))
    assert alice.flush(SECONDS)
    alice.close()
    bob = routers({}, [inbox(site, "bob")])
    assert bodies(take(bob, 10)[0]) == parcels(10)


def test_what_is_sent_waits_until_a_broker_works(site, routers):
    site.fault = BrokerFault("the broker is away")
    alice = routers({1: [way(site, "bob")]})
    sent = parcels(40, 1000)
    alice.send(1, sent[:20])
    assert event(alice, Lost) == Lost(1, "embedded", "the broker is away")
    alice.send(1, sent[20:])
    assert not alice.flush(0.2)
    assert alice.waiting(1) == 40_000
    until(lambda: "open after" in alice.report()[0][2])
    assert alice.arrivals.get(0.3) is None  # told once, however often it is tried
    site.fault = None
    assert event(alice, Connected) == Connected(1, "embedded")
    assert alice.flush(SECONDS)
    assert alice.waiting(1) == 0
    bob = routers({}, [inbox(site, "bob")])
    assert bodies(take(bob, 40)[0]) == sent


def test_a_batch_that_was_taken_by_half_is_sent_again(site, routers):
    alice = routers({1: [way(site, "bob")]})
    site.fault, site.where = BrokerFault("broke off"), {"half"}
    alice.send(1, parcels(10))
    event(alice, Lost)
    site.fault = None
    assert alice.flush(SECONDS)
    assert bodies(take(routers({}, [inbox(site, "bob")]), 10)[0]) == parcels(10)
    assert site.opened - site.closed <= 3  # a broken connection is closed


def test_another_way_is_taken_and_left_again(site, other, routers):
    alice = routers({1: [way(site, "bob", "first"), way(other, "bob", "second")]})
    bob = routers({}, [inbox(site, "bob", "first"), inbox(other, "bob", "second")])
    alice.send(1, parcels(2, 10, "a"))
    assert {arrival.way for arrival in take(bob, 2)[0]} == {"first"}
    site.fault, site.where = BrokerFault("unplugged"), {"open", "publish"}
    sent = [parcels(1, 10, f"b{k}")[0] for k in range(30)]
    for parcel in sent:
        alice.send(1, [parcel])
        assert alice.flush(SECONDS)
    got = take(bob, 30)[0]
    assert {arrival.way for arrival in got} == {"second"}
    assert bodies(got) == sent
    assert event(alice, Lost) == Lost(1, "first", "unplugged")
    assert event(alice, Connected) == Connected(1, "second")
    site.fault = None
    for k in range(1000):
        alice.send(1, parcels(1, 10, f"c{k}"))
        if take(bob, 1)[0][0].way == "first":
            break
        time.sleep(0.02)
    assert event(alice, Connected) == Connected(1, "first")


def test_an_inbox_that_is_lost_is_opened_again(site, routers):
    bob = routers({}, [inbox(site, "bob")])
    alice = routers({1: [way(site, "bob")]})
    alice.send(1, parcels(4))
    first, _ = take(bob, 4)
    site.fault, site.where = BrokerFault("gone"), {"open", "consume"}
    assert event(bob, Lost) == Lost(None, "embedded", "gone")
    site.fault = None
    again, _ = take(bob, 4)
    assert bodies(again) == parcels(4)  # nothing was acknowledged
    bob.acknowledge([arrival.token for arrival in first])  # of a connection that is gone
    assert bob.flush(SECONDS)
    assert site.carrier().depth(Queue(SESSION, "rounds.bob")) == 4
    bob.acknowledge([arrival.token for arrival in again[:3]])
    bob.reject(again[3].token, "not for me")
    assert bob.flush(SECONDS)
    assert site.carrier().depth(Queue(SESSION, "rounds.bob")) == 0
    letters = site.carrier().dead(Queue(SESSION, "rounds.bob"))
    assert [(letter.parcel, letter.reason) for letter in letters] == [(parcels(4)[3], "rejected: not for me")]


def test_an_acknowledgement_that_fails_makes_the_parcels_come_again(site, routers):
    bob = routers({}, [inbox(site, "bob")])
    routers({1: [way(site, "bob")]}).send(1, parcels(2))
    first, _ = take(bob, 2)
    site.fault, site.where = BrokerFault("gone"), {"acknowledge"}
    bob.acknowledge([arrival.token for arrival in first])
    event(bob, Lost)
    site.fault = None
    assert bodies(take(bob, 2)[0]) == parcels(2)


def test_a_full_queue_is_waited_for(site, other, routers):
    limits = Limits(most_bytes=100_000)
    alice = routers({1: [way(site, "bob", "first", limits), way(other, "bob", "second")]})
    sent = parcels(50, 10_000)
    alice.send(1, sent[:10])
    assert alice.flush(SECONDS)
    alice.send(1, sent[10:])
    full = event(alice, Full)
    assert (full.peer, full.way) == (1, "first")
    assert "limit" in full.reason
    assert alice.waiting(1) == 400_000
    assert other.published == 0  # whoever does not keep up is not given more on another way
    bob = routers({}, [Inbox("first", site.open, Queue(SESSION, "rounds.bob"), limits)])
    got = []
    while len(got) < 50:
        batch, _ = take(bob, 1)
        bob.acknowledge([arrival.token for arrival in batch])
        got += batch
    assert bodies(got) == sent
    assert alice.flush(SECONDS)


def test_a_slow_conductor_stops_the_inbox(site, routers):
    routers({1: [way(site, "bob")]}).send(1, parcels(200, 10_000))
    until(lambda: site.published == 200)
    bob = routers({}, [inbox(site, "bob")], Arrivals(200_000))
    until(lambda: bob.arrivals.full)
    time.sleep(0.5)
    assert site.consumed < 100
    got, _ = take(bob, 200)
    assert bodies(got) == parcels(200, 10_000)


def test_a_slow_conductor_does_not_stop_acknowledgements(site, routers):
    routers({1: [way(site, "bob")]}).send(1, parcels(200, 10_000))
    until(lambda: site.published == 200)
    bob = routers({}, [inbox(site, "bob")], Arrivals(200_000))
    got, _ = take(bob, 5)
    until(lambda: bob.arrivals.full)
    bob.acknowledge([arrival.token for arrival in got])
    assert bob.flush(SECONDS)
    assert site.carrier().depth(Queue(SESSION, "rounds.bob")) == 195


@pytest.mark.parametrize("problem", [UserError("no such scheme"), ZeroDivisionError("a bug")])
def test_an_error_that_stays_is_told(site, routers, problem):
    site.fault = problem
    alice = routers({1: [way(site, "bob")]}, [inbox(site, "alice")])
    alice.send(1, parcels(1))
    for _ in range(2):
        item = alice.arrivals.get(SECONDS)
        assert isinstance(item, Broken)
        assert item.problem is problem
    assert not alice.flush(0.05)


def test_closing_ends_all_threads(site, routers):
    before = set(threading.enumerate())
    alice = routers({1: [way(site, "bob")], 2: [way(site, "carol")]}, [inbox(site, "alice")])
    alice.send(1, parcels(2))
    assert alice.flush(SECONDS)
    site.fault = BrokerFault("away")
    alice.send(2, parcels(2))
    event(alice, Lost)
    assert len(set(threading.enumerate()) - before) == 3
    start = time.monotonic()
    alice.close()
    assert set(threading.enumerate()) <= before
    assert time.monotonic() - start < 4
    assert site.opened == site.closed
    alice.close()


def test_no_route(routers):
    with pytest.raises(InternalError, match="participant 3"):
        routers({}).send(3, [])


class Direct:
    """A way that takes parcels at once while it is up."""

    name, reports = "direct", True

    def __init__(self):
        self.up, self.taken, self.room = True, [], 1000

    def permit(self):
        return self.up

    def watch(self, call):
        self.tell = call

    def wait(self):
        return 60.0

    def quick(self, parcels):
        if not self.up or len(self.taken) + len(parcels) > self.room:
            return False
        self.taken += parcels
        return True

    def publish(self, parcels):
        if not self.quick(parcels):
            raise QueueFull("no room")

    def pending(self):
        return 0

    def state(self):
        return "up" if self.up else "down"

    def close(self):
        pass


def test_a_quick_way_is_taken_in_the_callers_thread(routers):
    direct = Direct()
    alice = routers({1: [direct]})
    alice.send(1, parcels(3))
    assert direct.taken == parcels(3)
    assert not alice.stable


def test_a_way_that_tells_to_try_again(site, routers):
    direct = Direct()
    direct.up = False
    alice = routers({1: [direct]})
    alice.send(1, parcels(3))
    assert alice.stable
    time.sleep(0.1)
    direct.up = True
    direct.tell()  # long before the 60 s of `wait`
    assert alice.flush(SECONDS)
    assert direct.taken == parcels(3)
    direct.room = 3
    alice.send(1, parcels(2, sender="b"))
    assert event(alice, Full).way == "direct"
    direct.room = 10
    alice.send(1, parcels(1, sender="c"))  # does not overtake those that wait
    direct.tell()
    assert alice.flush(SECONDS)
    assert direct.taken == [*parcels(3), *parcels(2, sender="b"), *parcels(1, sender="c")]


def test_a_lossy_way_falls_back_to_a_broker(site, routers):
    direct = Direct()
    alice = routers({1: [direct, way(site, "bob")]})
    alice.send(1, parcels(1))
    direct.up = False
    alice.send(1, parcels(2, sender="b"))
    assert event(alice, Connected) == Connected(1, "embedded")
    assert alice.flush(SECONDS)
    assert alice.stable
    direct.up = True
    alice.send(1, parcels(1, sender="c"))
    assert not alice.stable
    assert direct.taken == [*parcels(1), *parcels(1, sender="c")]
    assert bodies(take(routers({}, [inbox(site, "bob")]), 2)[0]) == parcels(2, sender="b")
