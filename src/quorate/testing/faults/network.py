"""Simulated ways between participants: a broker that delivers at least once, and connections that break.

Both delay, reorder where the real thing does, and are cut and healed by the plan. What a broker has confirmed it hands
out until it is acknowledged, again after a loss, and to every new consumer; a connection forgets what is under way
when one end goes away, and delivers in order otherwise.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from quorate.testing.faults.events import Choices, Timeline
from quorate.testing.faults.plan import Cut, Network
from quorate.transport.carrier import Parcel

__all__ = ["Arrival", "Broker", "Carriage", "Direct", "Link", "carriage"]

_RECONNECT = 0.5
"""Seconds until a broken way is tried again, or an unacknowledged parcel comes again."""


class Arrival(NamedTuple):
    """A parcel that has arrived; `ticket` is for its acknowledgement."""

    sender: int
    parcel: Parcel
    ticket: int


class Link(NamedTuple):
    """One direction between two participants."""

    sender: int
    receiver: int


Take = Callable[[Arrival], None]
Connected = Callable[[int], None]


class Carriage(Protocol):
    """What brings parcels from one simulated participant to another."""

    counts: Counter[str]

    def attach(self, participant: int, take: Take, connected: Connected) -> None:
        """A participant is there: `take` is called for whatever arrives, `connected` when a connection is made."""

    def detach(self, participant: int) -> None:
        """It was killed; what only it knew of is lost."""

    def leave(self, participant: int) -> None:
        """It leaves in order: what it sent still arrives."""

    def send(self, link: Link, parcel: Parcel, lag: float) -> None:
        """Bring a parcel on its way, `lag` seconds from now."""

    def unconfirmed(self, participant: int) -> int:
        """How many of its parcels nobody has taken yet."""

    def acknowledge(self, participant: int, tickets: list[int]) -> None:
        """These are safe with the participant."""

    def wipe(self) -> None:
        """Lose everything that is held or under way."""


class _Ways:
    """Delays and cuts, the same for both kinds."""

    def __init__(self, timeline: Timeline, network: Network, seed: int, cuts: list[Cut]) -> None:
        self.timeline = timeline
        self.network = network
        self.cuts = cuts
        self.counts: Counter[str] = Counter()
        self.takers: dict[int, Take] = {}
        self._choices = Choices(seed, "network")
        self.earlier: dict[Link, Parcel] = {}
        self._by_link: dict[Link, Choices] = {}

    def choices(self, link: Link) -> Choices:
        known = self._by_link.get(link)
        if known is None:
            known = self._by_link[link] = self._choices.child(f"{link.sender} {link.receiver}")
        return known

    def delay(self, link: Link) -> float:
        """Seconds that the next parcel of a link takes."""
        network = self.network
        jitter = self.choices(link).exponential(network.jitter) if network.jitter else 0.0
        return (network.delay + jitter) * max(network.slow.get(end, 1.0) for end in link)

    def forgery(self, link: Link, parcel: Parcel) -> Parcel | None:
        """What comes beside a parcel; None: nothing."""
        choices = self.choices(link)
        if not choices.chance(self.network.forged):
            return None
        self.counts["forged"] += 1
        body, how = bytearray(parcel.body), choices.below(4)
        if how == 0:
            body[choices.below(len(body))] ^= 1 << choices.below(8)
        elif how == 1:
            del body[choices.below(len(body)) :]
        elif how == 2:
            body[:] = choices.bytes(1 + choices.below(200))
        else:
            body[:] = self.earlier.setdefault(link, parcel).body  # replayed, or to whoever receives next
            self.earlier[Link(link.sender, choices.below(link.receiver + 2))] = parcel
        return Parcel(parcel.ident, bytes(body))

    def cut_until(self, link: Link) -> float | None:
        """When the cut that now is on this link heals; None if nothing hinders."""
        now, ends = self.timeline.now, set(link)
        return max((c.end for c in self.cuts if {c.one, c.other} == ends and c.start <= now < c.end), default=None)


class Broker(_Ways):
    """One durable queue per receiver; senders keep what is not confirmed yet in memory, and lose it when they die."""

    def __init__(self, timeline: Timeline, network: Network, seed: int, cuts: list[Cut]) -> None:
        super().__init__(timeline, network, seed, cuts)
        self._tickets = 0
        self._waiting: dict[int, dict[int, Arrival]] = {}
        self._publishing: Counter[int] = Counter()
        self._lives: Counter[int] = Counter()

    def attach(self, participant: int, take: Take, connected: Connected) -> None:
        """Everything that waits is handed out, again too."""
        self.takers[participant] = take
        for arrival in list(self._waiting.get(participant, {}).values()):
            self._hand_out(participant, arrival)

    def detach(self, participant: int) -> None:
        """What it had not got confirmed is lost, what it had not acknowledged waits."""
        self.takers.pop(participant, None)
        self._lives[participant] += 1
        self._publishing[participant] = 0

    def leave(self, participant: int) -> None:
        """It takes nothing more."""
        self.takers.pop(participant, None)

    def unconfirmed(self, participant: int) -> int:
        """Parcels under way to the broker."""
        return self._publishing[participant]

    def send(self, link: Link, parcel: Parcel, lag: float) -> None:
        """Publish; once confirmed, the broker keeps it."""
        self._publishing[link.sender] += 1
        self._publish(link, parcel, lag, self._lives[link.sender])

    def _publish(self, link: Link, parcel: Parcel, lag: float, life: int) -> None:
        def arrive() -> None:
            healed = self.cut_until(link)
            if healed is None:
                self._keep(link, parcel)
                self._publishing[link.sender] -= self._lives[link.sender] == life
            elif self._lives[link.sender] == life:
                self.counts["publishing repeated"] += 1
                self._publish(link, parcel, healed - self.timeline.now, life)
            else:
                self.counts["lost with its sender"] += 1

        self.timeline.after(lag + self.delay(link) / 2, f"parcel {parcel.ident} to the broker", arrive)

    def _keep(self, link: Link, parcel: Parcel) -> None:
        for _ in range(1 + self.choices(link).chance(self.network.duplicated)):
            self._put(link, parcel)
        forgery = self.forgery(link, parcel)
        if forgery is not None:
            self._put(link, forgery)

    def _put(self, link: Link, parcel: Parcel) -> None:
        self._tickets += 1
        arrival = Arrival(link.sender, parcel, self._tickets)
        self._waiting.setdefault(link.receiver, {})[arrival.ticket] = arrival
        self._hand_out(link.receiver, arrival)

    def _hand_out(self, receiver: int, arrival: Arrival) -> None:
        link, life = Link(arrival.sender, receiver), self._lives[receiver]
        if self.choices(link).chance(self.network.lost):
            self.counts["delivered again after a loss"] += 1
            again = _RECONNECT + self.delay(link)
            self.timeline.after(again, f"another try for {arrival.parcel.ident}", lambda: self._retry(link, arrival))
            return

        def hand_over() -> None:
            waits = arrival.ticket in self._waiting.get(receiver, {})
            if waits and life == self._lives[receiver] and receiver in self.takers:
                self.counts["delivered"] += 1
                self.takers[receiver](arrival)

        self.timeline.after(self.delay(link) / 2, f"parcel {arrival.parcel.ident} arrives", hand_over)

    def _retry(self, link: Link, arrival: Arrival) -> None:
        if link.receiver in self.takers and arrival.ticket in self._waiting.get(link.receiver, {}):
            self._hand_out(link.receiver, arrival)

    def acknowledge(self, participant: int, tickets: list[int]) -> None:
        """Forget them."""
        waiting = self._waiting.get(participant, {})
        for ticket in tickets:
            waiting.pop(ticket, None)

    def wipe(self) -> None:
        """The broker's disk is gone."""
        self.counts["lost with the broker"] += sum(map(len, self._waiting.values()))
        self._waiting.clear()


class Direct(_Ways):
    """A connection per pair, while both are there and nothing is cut; in order, and forgetful."""

    def __init__(self, timeline: Timeline, network: Network, seed: int, cuts: list[Cut]) -> None:
        super().__init__(timeline, network, seed, cuts)
        self._lives: Counter[int] = Counter()
        self._free: dict[Link, float] = {}
        self._told: dict[int, Connected] = {}
        self._wiped = 0
        for cut in cuts:
            timeline.at(
                cut.end, f"{cut.one} and {cut.other} reach each other again", partial(self._connect, cut.one, cut.other)
            )

    def attach(self, participant: int, take: Take, connected: Connected) -> None:
        """It is connected at once with those who are there."""
        others = sorted(self.takers)
        self.takers[participant], self._told[participant] = take, connected
        for other in others:
            self._connect(participant, other)

    def _connect(self, one: int, other: int) -> None:
        """Both are told of their new connection, if there is one."""
        if self._connected(Link(one, other)):
            self._told[one](other)
            self._told[other](one)

    def unconfirmed(self, participant: int) -> int:
        """A connection confirms nothing."""
        return 1

    def detach(self, participant: int) -> None:
        """All its connections break."""
        self.takers.pop(participant, None)
        self._lives[participant] += 1

    def leave(self, participant: int) -> None:
        """Its connections are closed once everything has arrived."""
        self.takers.pop(participant, None)

    def send(self, link: Link, parcel: Parcel, lag: float) -> None:
        """Write it to the connection, if there is one."""
        if not self._connected(link):
            self.counts["no connection"] += 1
            return
        ends = self._ends(link)
        due = max(self.timeline.now + lag + self.delay(link), self._free.get(link, 0.0))
        self._free[link] = due

        def arrive() -> None:
            there = link.receiver in self.takers and self.cut_until(link) is None
            if there and self._ends(link) == ends:
                self.counts["delivered"] += 1
                self.takers[link.receiver](Arrival(link.sender, parcel, 0))
            else:
                self.counts["lost under way"] += 1

        self.timeline.at(due, f"parcel {parcel.ident} arrives", arrive)

    def _connected(self, link: Link) -> bool:
        return all(end in self.takers for end in link) and self.cut_until(link) is None

    def _ends(self, link: Link) -> tuple[int, int, int]:
        """What changes when the connection is another one."""
        return self._lives[link.sender], self._lives[link.receiver], self._wiped

    def acknowledge(self, participant: int, tickets: list[int]) -> None:
        """There is nobody to tell."""

    def wipe(self) -> None:
        """Every connection breaks, and is made again."""
        self._wiped += 1
        for one, other in itertools.combinations(sorted(self.takers), 2):
            self._connect(one, other)


def carriage(timeline: Timeline, network: Network, seed: int, cuts: list[Cut]) -> Carriage:
    """What the plan's network asks for."""
    kind = Broker if network.carriage == "broker" else Direct
    return kind(timeline, network, seed, cuts)
