"""Opening submitted values to an authorised recipient: parties pass on their shares, it waits until there are enough.

More than the threshold of the parties are needed, no matter which. If the budget of the round ends before they have
come, the session is torn down: queues are deleted, shares erased, and the error says whose shares were missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from quorate.durable.consumer import Consumer, Tally
from quorate.durable.producer import shares_queue
from quorate.durable.share_store import Entry
from quorate.durable.submission import KeyRing
from quorate.errors import PeerTimeout
from quorate.transport.carrier import Carrier, Queue

__all__ = ["Opening", "Relay", "tear_down"]

_LONGEST_LOOK = 1.0


class Relay:
    """A party that passes on what it takes; `ring` holds its key for the recipient.

    After a restart everything is passed on again, under the same ids and with the same bytes.
    """

    def __init__(self, consumer: Consumer, ring: KeyRing, recipient: str) -> None:
        self._consumer, self._ring, self._recipient = consumer, ring, recipient
        self._passed: set[Entry] = set()

    def take(self, carrier: Carrier, most: int = 100, wait: float = 1.0) -> Tally:
        """Take shares that producers sent, see `Consumer.take`."""
        return self._consumer.take(carrier, most, wait)

    def pass_on(self, carrier: Carrier) -> int:
        """Send the recipient what is complete and was not sent yet; how many submissions.

        Raises:
            BrokerFault: the broker fails, or the recipient has made no queue yet; pass on again later.
        """
        fresh = [entry for entry in self._consumer.entries() if entry not in self._passed]
        parcels = self._consumer.passed_on(fresh, self._ring, self._recipient)
        if parcels:
            carrier.publish(shares_queue(self._consumer.seat.session, self._recipient), parcels)
        self._passed.update(fresh)
        return len(fresh)


class Opening:
    """The recipient's side of a round: wait until `expected` submissions can be opened, at most `budget` seconds."""

    def __init__(
        self, recipient: Consumer, expected: int, budget: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._recipient, self._expected, self._budget, self._clock = recipient, expected, budget, clock
        self._deadline = clock() + budget
        self.tally = Tally()

    def run(self, carrier: Carrier) -> list[Entry]:
        """Take shares until enough are here; the submissions that can be opened.

        Raises:
            PeerTimeout: the budget is used up; the session is torn down, the message names who was missing.
            BrokerFault: the broker fails; run again when it is back, the budget goes on.
        """
        ready = self._recipient.ready()  # what came before we were started again
        while len(ready) < self._expected:
            left = self._deadline - self._clock()
            tally = self._recipient.take(carrier, 1000, max(0.0, min(_LONGEST_LOOK, left)))
            self._count(tally)
            if tally.taken:
                ready = self._recipient.ready()
            elif left <= 0 and not tally.total:
                self._give_up(carrier, [self._recipient.seat.queue])
        return ready

    def _count(self, tally: Tally) -> None:
        self.tally.taken += tally.taken
        self.tally.known += tally.known
        for reason, count in tally.rejected.items():
            self.tally.rejected[reason] = self.tally.rejected.get(reason, 0) + count

    def _give_up(self, carrier: Carrier, queues: Sequence[Queue]) -> None:
        seat, ready = self._recipient.seat, len(self._recipient.ready())
        missing = self._missing()
        tear_down(self._recipient, carrier, queues)
        raise PeerTimeout(
            f"only {ready} of {self._expected} submissions can be opened after {self._budget:g} s: {missing}; "
            f"{seat.layout.needed} of {len(seat.layout.parties)} parties are needed. Session {seat.session} is closed, "
            "its shares are erased here; start a new one when these parties are back"
        )

    def _missing(self) -> str:
        parties = self._recipient.seat.layout.parties
        counts = {party: len(self._recipient.entries(place)) for place, party in enumerate(parties, 1)}
        few = [f"{party} passed on {count or 'nothing'}" for party, count in counts.items() if count < self._expected]
        return ", ".join(few) or "the shares that came do not belong together"


def tear_down(consumer: Consumer, carrier: Carrier, queues: Sequence[Queue]) -> None:
    """End a session of submissions at a consumer: delete its queues with their dead letters, erase the shares.

    The shares go first: nothing readable is left when the broker fails.
    """
    consumer.store.erase()
    for queue in queues:
        carrier.remove(queue)
