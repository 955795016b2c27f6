"""The tests that every carrier has to pass. Run them on your own, after adding its scheme to `carrier.SCHEMES`:

    from quorate.testing.carrier_conformance import CarrierConformance, Site

    class TestMine(CarrierConformance):
        @pytest.fixture
        def site(self):
            return Site("mine://127.0.0.1:4711", Credentials(...))     # a running broker, see `Site`

What a broker cannot do is said by the class attributes (`counts_attempts` and so on); the less, the better. Each test
uses queues of its own and removes them. No test depends on speed: `patience` is how long something may take.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import threading
import time
import unittest
from functools import partial
from typing import ClassVar

from quorate.errors import QueueFull, UserError
from quorate.testing.carrier_lab import (
    CONSUME,
    PUBLISH,
    Lab,
    Site,
    brief,
    content,
    idents,
    parcels,
    refused,
    require,
    same,
    together,
)
from quorate.transport.carrier import (
    CHUNK,
    Carrier,
    Credentials,
    DeadLetter,
    Delivery,
    Limits,
    Parcel,
    Queue,
    open_carrier,
)

__all__ = ["CarrierConformance", "Lab", "Site", "parcels"]


class CarrierConformance:
    """Subclass it and give a fixture `site`; see the module.

    Attributes:
        patience: seconds for what should happen soon; also until parcels of a dead consumer are handed out again.
        counts_attempts: a second delivery has an `attempt` above 1, and `most_deliveries` is observed.
        drops_copies: a parcel that was published twice is delivered once.
        acknowledges_singly: what is acknowledged out of order is not handed out again either.
        refuses_when_full: `QueueFull` is raised near `Limits.most_bytes`.
        expires: parcels that nobody took within `Limits.ttl` become dead letters.
        checks_existence: publishing to a queue that was never provisioned, or is removed, raises `BrokerFault`; so does
            consuming from it.
    """

    patience: ClassVar[float] = 30.0
    counts_attempts: ClassVar[bool] = True
    drops_copies: ClassVar[bool] = True
    acknowledges_singly: ClassVar[bool] = True
    refuses_when_full: ClassVar[bool] = True
    expires: ClassVar[bool] = True
    checks_existence: ClassVar[bool] = True

    def lab(self, site: Site) -> Lab:
        """What the tests work with."""
        return Lab(site, self.patience)

    def listed(self, site: Site) -> set[str] | None:
        """The names of all objects that the broker holds now; None if there is no way to ask."""
        del site
        return None

    def expected(self, queue: Queue) -> set[str]:
        """The names that `listed` must show once the queue is provisioned."""
        return {queue.name, queue.exchange, queue.dead_letters}

    # -- queues come and go -------------------------------------------------------------------------------------------

    def test_provisioning_is_idempotent(self, site: Site) -> None:
        """To provision again changes nothing, with parcels in the queue and from another connection too."""
        with self.lab(site) as lab:
            queue, carrier = lab.queue(), lab.open()
            carrier.provision(queue, Limits())
            carrier.publish(queue, parcels(3))
            carrier.provision(queue, Limits())
            lab.queue()
            same(lab.take(carrier, queue, 3), parcels(3), "after provisioning again")

    def test_names(self, site: Site) -> None:
        """The broker's objects are called as their users expect, for boxes with and without an owner."""
        with self.lab(site) as lab:
            plain, owned = Queue(lab.session, "shares"), Queue(lab.session, "rounds.alice")
            prefix = f"mpc.{lab.session}."
            expected = (prefix + "shares", prefix + "exchange", prefix + "dlq")
            require((plain.name, plain.exchange, plain.dead_letters) == expected, "the names have changed")
            require(owned.dead_letters == prefix + "dlq.alice", "the names have changed")
            for queue in (plain, owned):
                lab.queue(queue.box)
                listed = self.listed(site)
                missing = set() if listed is None else self.expected(queue) - listed
                require(not missing, f"the broker has no {' and no '.join(sorted(missing))}")

    def test_remove_deletes_everything(self, site: Site) -> None:
        """After `remove` nothing of the session is listed; once more is no error; a new queue begins empty."""
        with self.lab(site) as lab:
            queues, carrier = [lab.queue("shares"), lab.queue("rounds.bob")], lab.open()
            for queue in queues:
                carrier.publish(queue, parcels(5))
                carrier.reject(lab.take(carrier, queue, 1)[0], "a test")
            for queue in [*queues, queues[0]]:
                carrier.remove(queue)
                require((carrier.depth(queue), carrier.dead(queue)) == (0, []), "a removed queue is not empty")
            left = [name for name in self.listed(site) or () if lab.session in name]
            require(not left, f"left behind: {left}")
            again = lab.queue("shares")
            fresh = lab.open()
            require((fresh.depth(again), fresh.dead(again)) == (0, []), "a new queue has content of its predecessor")
            fresh.publish(again, parcels(2))
            same(lab.take(fresh, again, 2), parcels(2), "the new queue")

    def test_no_such_queue(self, site: Site) -> None:
        """Nothing is published into the void, not even over a connection that knew the queue."""
        with self.lab(site) as lab:
            nowhere = Queue(lab.session, "nowhere")
            require(lab.open().depth(nowhere) == 0, "a queue that was never made has a depth")
            if not self.checks_existence:
                raise unittest.SkipTest("this broker makes queues on demand")
            refused(lambda: lab.open().publish(nowhere, parcels(1)))
            refused(lambda: lab.open().consume(nowhere, 1, 0.1))
            queue, carrier = lab.queue(), lab.open()
            carrier.publish(queue, parcels(1))
            lab.open().remove(queue)
            refused(lambda: carrier.publish(queue, parcels(1, sender="b")))

    def test_sessions_do_not_see_each_other(self, site: Site) -> None:
        """Nor do two boxes of one session."""
        with self.lab(site) as one, self.lab(site) as two:
            queues = [one.queue("rounds.alice"), one.queue("rounds.bob"), two.queue("rounds.alice")]
            carrier = one.open()
            for k, queue in enumerate(queues):
                carrier.publish(queue, parcels(3, sender=f"s{k}"))
            for k, queue in enumerate(queues):
                same(one.take(carrier, queue, 3), parcels(3, sender=f"s{k}"), f"queue {k}")
            carrier.remove(queues[0])
            carrier.close()
            same(two.take(two.open(), queues[2], 3), parcels(3, sender="s2"), "after a queue of another was removed")

    # -- what is published arrives ------------------------------------------------------------------------------------

    def test_sizes(self, site: Site) -> None:
        """From one byte to `CHUNK`, with names as long as they may be."""
        with self.lab(site) as lab:
            queue, carrier = lab.queue(), lab.open()
            sent = [Parcel(f"size-{size}", content(f"size-{size}", size)) for size in (1, 2, 255, 4097, 65_537, CHUNK)]
            sent += [Parcel("x" * 100 + ".0123456789-abcdef.z", b"\0\r\n\xff" * 100)]
            carrier.publish(queue, sent)
            carrier.publish(queue, [])
            got = lab.take(carrier, queue, len(sent))
            same(got, sent, "parcels of all sizes")
            carrier.acknowledge(got)
            carrier.acknowledge([])
            require(all(delivery.queue == queue and delivery.attempt == 1 for delivery in got), "queue or attempt")

    def test_thousand_small_parcels(self, site: Site) -> None:
        """In order, published and taken in batches of another size."""
        with self.lab(site) as lab:
            queue, carrier, sent = lab.queue(), lab.open(), parcels(1000, 40)
            for k in range(0, 1000, 250):
                carrier.publish(queue, sent[k : k + 250])
            got: list[Delivery] = []
            while len(got) < 1000:
                batch = lab.take(carrier, queue, min(70, 1000 - len(got)))
                carrier.acknowledge(batch)
                got += batch
            same(got, sent, "many small parcels")
            lab.empty(lab.open(), queue, 0.2)

    def test_order_of_each_sender(self, site: Site) -> None:
        """Many senders at once, each over a connection of its own: each one's parcels arrive in its order."""
        with self.lab(site) as lab:
            queue = lab.queue()

            def send(sender: str) -> None:
                carrier = lab.open()
                for parcel in parcels(20, 2000, sender):
                    carrier.publish(queue, [parcel])
                carrier.publish(queue, [Parcel(f"{sender}-{k}", b"batch") for k in range(20, 40)])

            together([partial(send, sender) for sender in "abcd"])
            got = lab.take(lab.open(), queue, 160)
            for sender in "abcd":
                mine = [int(ident[2:]) for ident in idents(got) if ident.startswith(sender)]
                require(mine == list(range(40)), f"parcels of sender {sender} arrived as {mine}")

    def test_the_same_parcel_twice(self, site: Site) -> None:
        """A copy is dropped, or delivered with the same content; the queue gets empty in any case."""
        with self.lab(site) as lab:
            queue, carrier, sent = lab.queue(), lab.open(), parcels(3)
            for _ in range(2):
                carrier.publish(queue, sent)
            lab.open().publish(queue, [*sent, Parcel("last", b"1")])
            got: list[Delivery] = []
            while not got or got[-1].parcel.ident != "last":
                got += lab.take(carrier, queue, 1)
            known = {parcel.ident: parcel.body for parcel in [*sent, Parcel("last", b"1")]}
            require(all(known.get(item.parcel.ident) == item.parcel.body for item in got), "a copy differs")
            require({*known} == {*idents(got)}, "a parcel is missing")
            require(not self.drops_copies or len(got) == 4, f"copies were delivered: {idents(got)}")
            carrier.acknowledge(got)
            lab.empty(carrier, queue, 0.2)

    def test_what_was_confirmed_survives_reopening(self, site: Site) -> None:
        """Sender and receiver are never connected at the same time."""
        with self.lab(site) as lab:
            queue = lab.queue()
            for k in range(3):
                carrier = lab.open()
                carrier.publish(queue, parcels(10, sender=f"s{k}"))
                carrier.close()
            expected = [parcel for k in range(3) for parcel in parcels(10, sender=f"s{k}")]
            same(lab.take(lab.open(), queue, 30), expected, "after reopening")

    def test_a_killed_sender(self, site: Site) -> None:
        """Whatever the broker confirmed before the sender was killed is there, in order."""
        with self.lab(site) as lab:
            queue = lab.queue()
            with lab.process(PUBLISH, queue, 3000) as process:
                require(process.stdout is not None, "no output")
                lines = iter(process.stdout or ())
                for line in lines:
                    if line.strip() == "20":
                        break
                process.send_signal(signal.SIGKILL)
                confirmed = max([20, *(int(line) for line in lines if line.endswith("\n"))])
            got = idents(lab.take(lab.open(), queue, confirmed + 1))
            require(got == [f"p-{k}" for k in range(confirmed + 1)], f"not as confirmed: {brief(got)}")

    # -- until it is acknowledged -------------------------------------------------------------------------------------

    def test_what_was_not_acknowledged_comes_again(self, site: Site) -> None:
        """To the next consumer, in order, before what is newer; not to the same one."""
        with self.lab(site) as lab:
            queue, carrier, sent = lab.queue(), lab.open(), parcels(8)
            carrier.publish(queue, sent[:5])
            first = lab.take(carrier, queue, 5)
            same(first, sent[:5], "the first time")
            lab.empty(carrier, queue, 0.3)
            carrier.acknowledge(first[:2])
            carrier.close()
            again = lab.open()
            again.publish(queue, sent[5:])
            got = lab.take(again, queue, 6)
            same(got, sent[2:], "the second time")
            attempts = [delivery.attempt for delivery in got]
            require(attempts[3:] == [1, 1, 1], f"attempts of new parcels: {attempts[3:]}")
            if self.counts_attempts:
                require(all(attempt > 1 for attempt in attempts[:3]), f"attempts of old parcels: {attempts[:3]}")

    def test_many_in_hand(self, site: Site) -> None:
        """A message of many parcels can only be acknowledged once all are here: there is no limit on the way to it."""
        with self.lab(site) as lab:
            queue, carrier = lab.queue(), lab.open()
            small, large = parcels(2500, 10), parcels(48, CHUNK, "large")
            for k in range(0, len(small), 500):
                carrier.publish(queue, small[k : k + 500])
            for k in range(0, len(large), 8):
                carrier.publish(queue, large[k : k + 8])
            consumer = lab.open()
            got = lab.take(consumer, queue, len(small) + len(large))
            same(got, [*small, *large], "all that was published")
            consumer.acknowledge(got)
            consumer.close()
            lab.empty(lab.open(), queue)

    def test_acknowledged_parcels_never_come_again(self, site: Site) -> None:
        """Also when those before them are not acknowledged."""
        with self.lab(site) as lab:
            queue, carrier, sent = lab.queue(), lab.open(), parcels(10)
            carrier.publish(queue, sent)
            got = lab.take(carrier, queue, 10)
            carrier.acknowledge(got[1::2] if self.acknowledges_singly else got[:5])
            carrier.close()
            left = sent[::2] if self.acknowledges_singly else sent[5:]
            again = lab.open()
            rest = lab.take(again, queue, 5)
            same(rest, left, "what was left")
            again.acknowledge(rest)
            again.close()
            lab.empty(lab.open(), queue, 1.0)

    def test_a_killed_consumer(self, site: Site) -> None:
        """The next one gets everything that it held."""
        with self.lab(site) as lab:
            queue, sent = lab.queue(), parcels(20)
            lab.open().publish(queue, sent)
            with lab.process(CONSUME, queue, 7) as process:
                held = json.loads((process.stdout and process.stdout.readline()) or "[]")
                require(held == idents(sent[:7]), f"the consumer got {held}")
            same(lab.take(lab.open(), queue, 20), sent, "after the death of a consumer")

    def test_two_consumers_and_many_producers(self, site: Site) -> None:
        """Whoever gets a parcel, each is handled by somebody, and in the end nothing is left."""
        with self.lab(site) as lab:
            queue, handled = lab.queue(), [set[str](), set[str]()]
            total, stop = 5 * 40, threading.Event()

            def produce(sender: str) -> None:
                carrier = lab.open()
                for k in range(0, 40, 8):
                    carrier.publish(queue, parcels(40, 500, sender)[k : k + 8])

            def consume(mine: set[str]) -> None:
                carrier = lab.open()
                while not stop.is_set():
                    batch = carrier.consume(queue, 16, 0.2)
                    carrier.acknowledge(batch)
                    mine.update(idents(batch))
                    if len(set().union(*handled)) == total:
                        stop.set()
                carrier.close()

            timer = threading.Timer(2 * self.patience, stop.set)
            timer.start()
            work = [*(partial(produce, sender) for sender in "abcde"), *(partial(consume, mine) for mine in handled)]
            together(work, 3 * self.patience)
            timer.cancel()
            require(len(set().union(*handled)) == total, f"{total - len(set().union(*handled))} parcels are lost")
            lab.empty(lab.open(), queue, 0.5)

    def test_waiting(self, site: Site) -> None:
        """`consume` waits for the first parcel, returns at once with it, and without one when its time is over."""
        with self.lab(site) as lab:
            queue, carrier, sender = lab.queue(), lab.open(), lab.open()
            start = time.monotonic()
            require(carrier.consume(queue, 5, 0.5) == [], "a delivery out of nothing")
            require(0.3 < time.monotonic() - start < self.patience, "it did not wait as long as it should")
            timer = threading.Timer(0.3, lambda: sender.publish(queue, parcels(1)))
            timer.start()
            start = time.monotonic()
            got = carrier.consume(queue, 5, 4 * self.patience)
            timer.join()
            same(got, parcels(1), "the parcel that was waited for")
            require(time.monotonic() - start < 3 * self.patience, "it waited on though a parcel was there")
            require(carrier.consume(queue, 5, 0.0) == [], "the same delivery again")

    def test_depth(self, site: Site) -> None:
        """Waiting parcels count, those handed out and not acknowledged too."""
        with self.lab(site) as lab:
            queue, carrier = lab.queue(), lab.open()
            require(carrier.depth(queue) == 0, "a new queue is not empty")
            carrier.publish(queue, parcels(9))
            lab.until(lambda: carrier.depth(queue) == 9, "a depth of 9 after publishing")
            got = lab.take(carrier, queue, 4)
            lab.until(lambda: carrier.depth(queue) == 9, "a depth of 9 before acknowledging")
            carrier.acknowledge(got)
            lab.until(lambda: carrier.depth(queue) == 5, "a depth of 5 after acknowledging")

    def test_leaving_in_the_middle(self, site: Site) -> None:
        """`close` never raises, also twice and with deliveries in hand; afterwards nothing works."""
        with self.lab(site) as lab:
            queue, carrier = lab.queue(), lab.open()
            carrier.publish(queue, parcels(3, CHUNK))
            got = lab.take(carrier, queue, 2)
            carrier.close()
            carrier.close()
            refused(lambda: carrier.publish(queue, parcels(1, sender="b")))
            refused(lambda: carrier.acknowledge(got))
            refused(lambda: carrier.consume(queue, 1, 0.1))
            same(lab.take(lab.open(), queue, 3), parcels(3, CHUNK), "after a consumer left")

    # -- dead letters -------------------------------------------------------------------------------------------------

    def test_reject(self, site: Site) -> None:
        """A rejected parcel is a dead letter with the reason, and not handed out again."""
        with self.lab(site) as lab:
            queue, carrier, sent = lab.queue(), lab.open(), parcels(4)
            carrier.publish(queue, sent)
            got = lab.take(carrier, queue, 4)
            carrier.reject(got[1], "the tag does not fit")
            carrier.acknowledge([got[0], *got[2:]])
            letter = self._dead(lab, carrier, queue, 1)[0]
            require(letter.parcel == sent[1], "the dead letter is another parcel")
            require(letter.reason == "rejected: the tag does not fit", f"the reason is {letter.reason!r}")
            require(abs(letter.since - time.time()) < 600, f"dead since {letter.since}")
            carrier.close()
            again = lab.open()
            lab.empty(again, queue)
            require(len(again.dead(queue)) == 1, "the dead letter did not stay")

    def test_a_parcel_that_nobody_can_handle(self, site: Site) -> None:
        """What is handed out again and again without being acknowledged ends as a dead letter; the next ones pass."""
        if not self.counts_attempts:
            raise unittest.SkipTest("this broker does not count deliveries")
        with self.lab(site) as lab:
            queue = lab.queue(limits=Limits(most_deliveries=3))
            lab.open().publish(queue, parcels(1))
            times = 0
            while times < 10:
                carrier = lab.open()
                if carrier.dead(queue):
                    break
                times += len(carrier.consume(queue, 1, 2.0))
                carrier.close()
            require(3 <= times <= 4, f"handed out {times} times, though 3 are allowed")
            carrier = lab.open()
            letter = self._dead(lab, carrier, queue, 1)[0]
            require((letter.reason, letter.parcel) == ("undeliverable", parcels(1)[0]), f"reason {letter.reason!r}")
            carrier.publish(queue, parcels(1, sender="next"))
            same(lab.take(carrier, queue, 1), parcels(1, sender="next"), "the next parcel")

    def test_expiry(self, site: Site) -> None:
        """What nobody took in time is a dead letter; what is younger than that stays."""
        if not self.expires:
            raise unittest.SkipTest("parcels of this broker do not expire")
        with self.lab(site) as lab:
            queue, kept = lab.queue(limits=Limits(ttl=1.0)), lab.queue("rounds.kept")
            carrier = lab.open()
            carrier.publish(queue, parcels(2))
            carrier.publish(kept, parcels(2))
            letters = self._dead(lab, carrier, queue, 2)
            require([letter.reason for letter in letters] == ["expired"] * 2, f"reasons {letters[0].reason!r}")
            require(idents(letters) == idents(parcels(2)), f"dead letters {idents(letters)}")
            lab.empty(carrier, queue)
            same(lab.take(carrier, kept, 2), parcels(2), "a queue with more time")

    def test_retry_and_drop(self, site: Site) -> None:
        """A dead letter goes back to the end of the queue, or away for ever."""
        with self.lab(site) as lab:
            queue, carrier, sent = lab.queue(), lab.open(), parcels(6)
            carrier.publish(queue, sent[:4])
            for delivery in lab.take(carrier, queue, 4):
                carrier.reject(delivery, f"because of {delivery.parcel.ident}")
            letters = self._dead(lab, carrier, queue, 4)
            require([letter.parcel for letter in letters] == sent[:4], "dead letters are not in order")
            require(idents(carrier.dead(queue, 2)) == idents(sent[:2]), "the oldest two dead letters")
            carrier.publish(queue, sent[4:])
            carrier.retry(queue, letters[:2])
            carrier.drop(queue, letters[2:3])
            got = lab.take(carrier, queue, 4)
            same(got, [*sent[4:], *sent[:2]], "after retrying")
            carrier.acknowledge(got)
            left = self._dead(lab, carrier, queue, 1)
            require(idents(left) == ["a-3"], f"dead letters left: {idents(left)}")
            require(left[0].reason == "rejected: because of a-3", f"the reason is {left[0].reason!r}")

    def _dead(self, lab: Lab, carrier: Carrier, queue: Queue, count: int) -> list[DeadLetter]:
        lab.until(lambda: len(carrier.dead(queue)) >= count, f"{count} dead letters")
        letters = carrier.dead(queue)
        require(len(letters) == count, f"{len(letters)} dead letters, not {count}")
        return letters

    # -- limits and doors ---------------------------------------------------------------------------------------------

    def test_a_full_queue(self, site: Site) -> None:
        """Publishing is refused near the limit; nothing confirmed is lost; with room it goes on as before."""
        if not self.refuses_when_full:
            raise unittest.SkipTest("this broker has no limit for a queue")
        with self.lab(site) as lab:
            queue, size = lab.queue(limits=Limits(most_bytes=1 << 20)), 64 << 10
            carrier, confirmed = lab.open(), 0
            try:
                while confirmed < 100:
                    carrier.publish(queue, [Parcel(f"full-{confirmed}", content("full", size))])
                    confirmed += 1
            except QueueFull:
                pass
            require(8 <= confirmed < 100, f"{confirmed} parcels of 64 KiB found room in 1 MiB")
            consumer = lab.open()
            got = lab.take(consumer, queue, confirmed)
            require(idents(got) == [f"full-{k}" for k in range(confirmed)], f"confirmed, but lost: {idents(got)}")
            consumer.acknowledge(got)
            fresh = Parcel("after", b"room")

            def fits() -> bool:
                try:
                    carrier.publish(queue, [fresh])
                except QueueFull:
                    return False
                return True

            lab.until(fits, "room after the queue was emptied")
            while lab.take(consumer, queue, 1)[0].parcel != fresh:
                pass  # of those that were refused, some may have been taken

    def test_passwords_in_addresses(self, site: Site) -> None:
        """Are refused, and not repeated in the message."""
        scheme, _, rest = site.address.partition(":")
        host = re.sub(r"^//([^/@]*@)?", "", rest)
        for user in ("someone:geheim", "geheim"):
            try:
                open_carrier(f"{scheme}://{user}@{host}", site.credentials).close()
            except UserError as problem:
                require("geheim" not in str(problem), "the message repeats the password")
            else:
                raise AssertionError("an address with a user or password was accepted")

    def test_strangers(self, site: Site) -> None:
        """A certificate of another authority opens nothing, and none at all neither."""
        if site.strangers is None:
            raise unittest.SkipTest("this broker keeps nobody out")
        with self.lab(site) as lab:
            queue = lab.queue()
            nobody = Credentials(authority=site.credentials.authority)
            for credentials in (site.strangers, nobody):
                refused(partial(_intrude, site.address, credentials, queue))
            lab.empty(lab.open(), queue, 0.2)


def _intrude(address: str, credentials: Credentials, queue: Queue) -> None:
    with contextlib.closing(open_carrier(address, credentials)) as carrier:
        carrier.publish(queue, parcels(1))
