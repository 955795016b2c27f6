"""The queue of what comes in."""

import threading

from quorate.transport.arrivals import Arrival, Arrivals, Connected
from quorate.transport.carrier import Parcel


def arrival(size):
    return Arrival("test", Parcel("a", bytes(size)), None)


def test_it_is_full_until_half_of_it_is_taken():
    arrivals, calls = Arrivals(1000), []
    arrivals.on_room.append(lambda: calls.append(arrivals.full))
    for _ in range(3):
        arrivals.put(arrival(300))
    arrivals.put(Connected(1, "test"))
    assert not arrivals.full
    arrivals.put(arrival(300))
    assert arrivals.full
    assert [len(arrivals.get().body) for _ in range(2)] == [300, 300]
    assert arrivals.full
    assert arrivals.get(0) is not None
    assert calls == [False]
    assert arrivals.get(1) == Connected(1, "test")
    assert arrivals.get(0).parcel.ident == "a"
    assert calls == [False]
    assert arrivals.get(0) is None
    assert arrivals.get(0.01) is None


def test_a_single_large_parcel_passes():
    arrivals = Arrivals(10)
    arrivals.put(arrival(1000))
    assert arrivals.full
    assert len(arrivals.get().body) == 1000
    assert not arrivals.full


def test_who_waits_is_woken():
    arrivals = Arrivals()
    timer = threading.Timer(0.05, lambda: arrivals.put(Connected(None, "x")))
    timer.start()
    assert arrivals.get() == Connected(None, "x")
    timer.join()
