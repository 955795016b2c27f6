"""The ledger against a plain model, its text, and what a sender counts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.transport.carrier import Limits, Parcel
from quorate.transport.kafka_ledger import Ledger
from quorate.transport.kafka_queue import Sending

numbers = st.integers(0, 30)
batches = st.lists(st.tuples(st.sampled_from(["settle", "skip", "reopen"]), st.lists(numbers, max_size=6)), max_size=8)


@given(batches)
@settings(max_examples=200, deadline=None)
def test_settled_is_settled_also_by_way_of_the_text(steps):
    ledger, model = Ledger(), set()
    for what, which in steps:
        if what == "settle":
            ledger.settle(which)
            model.update(which)
        elif what == "skip" and which:
            ledger.skip_to(which[0])
            model.update(range(which[0]))
        else:
            ledger = Ledger.read(ledger.start, ledger.text())
    for number in range(40):
        assert (number < ledger.start or number in ledger.done) == (number in model)
    assert ledger.start not in ledger.done
    assert ledger.waiting(40) == 40 - len(model)


def test_how_often_each_was_handed_out():
    ledger = Ledger()
    for owner, reach in (("a", 5), ("b", 2), ("c", 7)):
        ledger = Ledger.read(ledger.start, ledger.text())
        ledger.begin(owner)
        counts = [ledger.hand_out(number) for number in range(reach)]
    assert counts == [3, 3, 2, 2, 2, 1, 1]
    ledger.settle(range(6))
    ledger.begin("d")
    assert [ledger.hand_out(number) for number in (6, 7)] == [2, 1]


def test_who_came_last_owns_it():
    first = Ledger()
    first.begin("aa")
    assert first.learn(Ledger.read(0, first.text()))
    second = Ledger.read(first.start, first.text())
    second.limits = Limits(5.0, 6, 7)
    second.begin("bb")
    second.settle([0, 2])
    assert not first.learn(Ledger.read(second.start, second.text()))
    assert (first.start, first.done, first.limits) == (1, {2}, Limits(5.0, 6, 7))


def test_a_broker_without_texts_takes_nothing_from_us():
    ledger = Ledger(Limits(1.0, 2, 3))
    ledger.begin("aa")
    ledger.settle([0, 5])
    assert ledger.learn(Ledger.read(1, None))
    assert (ledger.limits, ledger.done, ledger.owner) == (Limits(1.0, 2, 3), {5}, "aa")
    assert Ledger.read(-1001, "written by others").start == 0


def test_the_text_is_never_longer_than_a_broker_takes():
    ledger = Ledger(Limits(86400.125, 1 << 40, 10))
    for _ in range(300):
        ledger.begin("0123456789abcdef")
        ledger.hand_out(10**7)
    ledger.settle(range(1, 20_000, 2))
    assert len(ledger.text()) <= 4096
    again = Ledger.read(ledger.start, ledger.text())
    assert again.limits == ledger.limits
    assert again.done
    assert again.done <= ledger.done
    assert again.hand_out(5) > 100


def sized(*sizes):
    return [Parcel(f"p-{k}", bytes(size)) for k, size in enumerate(sizes)]


def test_a_sender_counts_its_own_and_estimates_the_rest():
    sending, limits = Sending(), Limits(most_bytes=1000)
    assert sending.fitting(sized(300, 300), lambda: (0, 0, limits)) == 2
    sending.note([4, 7], [300, 300])
    assert sending.fitting(sized(300), lambda: (2, 4, limits)) == 1
    assert sending.fitting(sized(300), lambda: (3, 4, limits)) == 0  # one of somebody else
    assert sending.fitting(sized(300, 200), lambda: (1, 7, limits)) == 2  # the first was taken
    assert sending.fitting(sized(200, 200, 301, 1), lambda: (1, 7, limits)) == 2  # none overtakes one that has no room


def test_a_sender_with_much_room_does_not_ask_each_time():
    sending, asked = Sending(), []

    def backlog():
        asked.append(1)
        return 0, 0, Limits(most_bytes=1000)

    for _ in range(5):
        assert sending.fitting(sized(50), backlog) == 1
    assert len(asked) == 1
    for _ in range(3):
        assert sending.fitting(sized(50), backlog) == 1
    assert len(asked) == 2


def test_nothing_is_published_to_an_empty_batch():
    assert Sending().fitting([], lambda: (0, 0, Limits(most_bytes=0))) == 0
