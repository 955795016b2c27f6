"""One run after the other: a job on real processes, undisturbed first, then with kills until there were enough."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from quorate.crypto.hashing import hex_digest
from quorate.errors import EnvironmentFault, PeerTimeout, UserError
from quorate.testing.chaos.brokers import SERVERS, delivery_of, lay_out
from quorate.testing.chaos.crew import Crew, Hand, python, surroundings
from quorate.testing.chaos.havoc import Havoc
from quorate.testing.chaos.report import Remains, Round, Summary, collect, first_message, judge, summary
from quorate.testing.chaos.site import SPEC, Job, Site, make_keys
from quorate.testing.faults.events import Choices
from quorate.testing.servers.base import Server, free_port, listens

__all__ = ["Chaos"]

_START_SECONDS = 90.0
_END_SECONDS = 300.0
_TICK = 0.01
_LEAST_MEAN = 0.3
_IDLE = 5
"""Rounds without any kill after which a job is taken to be too short for more."""
_ROUND = (3, 4, 5, 6, 8)
"""Kills in one round, if it lasts long enough."""
MODULE = "quorate.cli.chaos_member"


@dataclass
class Chaos:
    """A job that is disturbed.

    Attributes:
        folder: an empty one, for everything.
        transport: see `brokers.TRANSPORTS`.
        seed: decides the participants' randomness, who is killed, and when.
        broker: address of a running one, in place of a test server; `keys` holds certificates that it knows.
        say: called with sentences for people; `progress` with (kills done, kills in all).
    """

    job: Job
    folder: Path
    transport: str
    seed: int
    broker: str | None = None
    keys: Path | None = None
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda *_: None

    def __post_init__(self) -> None:
        if self.broker is not None and (self.keys is None or self.transport not in SERVERS):
            raise UserError("--broker needs --transport of a broker, and --pki with certificates that the broker knows")
        self.lasting = delivery_of(self.transport) != "direct"
        self.session = hex_digest(f"{self.seed} {self.job.spec.name}".encode(), "quorate/chaos session/1")[:32]
        self._choices = Choices(self.seed, "chaos")
        self._runs = 0
        self._ports = {name: free_port() for name in self.job.members}
        self._server: Server | None = None

    def run(self, kills: int) -> Summary:
        """The undisturbed run, and disturbed ones with so many kills altogether.

        Raises:
            QuorateError: a process could not be started, or ended by itself.
        """
        self.say("the undisturbed run ...")
        calm, _ = self._play(None)
        problems = judge(calm, calm, lasting=self.lasting) or ([calm.failure] if calm.failure else [])
        rounds: list[Round] = []
        idle = 0
        while (done := sum(len(one.kills) for one in rounds)) < kills and not problems and idle < _IDLE:
            self.say(f"round {len(rounds) + 1}: {done} of {kills} kills done ...")
            rounds.append(self._disturbed(calm, min(kills - done, self._choices.pick(_ROUND))))
            idle = 0 if rounds[-1].kills else idle + 1
            self.progress(sum(len(one.kills) for one in rounds), kills)
        facts = (self.transport, self.seed, self.session)
        return summary(self.job, kills, facts, calm, rounds, problems)

    def _disturbed(self, calm: Remains, kills: int) -> Round:
        mean = max(_LEAST_MEAN, calm.seconds / 4)
        remains, havoc = self._play((mean, kills))
        blows = havoc.blows if havoc is not None else []
        return Round(kills=blows, remains=remains, problems=judge(calm, remains, lasting=self.lasting))

    # ---- one run

    def _play(self, blows: tuple[float, int] | None) -> tuple[Remains, Havoc | None]:
        """Start everybody, disturb them with `blows` (mean time between, and how many), and see what they leave."""
        self._runs += 1
        with self._broker() as (keys, inbox):
            folder = self.folder / f"run{self._runs}"
            site = Site.lay(folder, self.job, self.transport, keys, inbox, self._ports)
            hands = [self._hand(site, name) for name in self.job.members]
            with Crew(hands) as crew:
                begun, havoc = self._begin(site, crew, blows)
                self._until_over(site, crew, havoc)
                seconds = time.monotonic() - begun
            remains = collect(site, self.job, self.session, seconds)
            if havoc is not None:
                havoc.blows = havoc.recovered(lambda name, moment: first_message(site, self.session, name, moment))
        return remains, havoc

    @contextlib.contextmanager
    def _broker(self) -> Iterator[tuple[Path, str | None]]:
        """Where the keys lie, and the inbox of everybody; a broker of our own holds nothing when a run begins."""
        if self.broker is not None and self.keys is not None:
            yield self.keys.resolve(), self.broker
        elif self.transport in SERVERS:
            server, untouched = self._server, self.folder / "untouched"
            if server is None:
                server = self._server = lay_out(self.transport, self.folder / "broker", self.job.members)
                shutil.copytree(server.home, untouched)
            shutil.rmtree(server.home)
            shutil.copytree(untouched, server.home)
            with server:
                yield server.pki.resolve(), server.address
        else:
            keys = self.folder / "pki"
            if not keys.exists():
                make_keys(keys, self.job.members)
            yield keys.resolve(), None

    def _hand(self, site: Site, name: str) -> Hand:
        role = "node" if name in self.job.hosts else "coordinator" if name == self.job.coordinator else "owner"
        told = {
            "role": role,
            "member": name,
            "folder": str(site.folder),
            "spec": SPEC,
            "session": self.session,
            "seed": f"{self.seed:x}",
            "data": self.job.data_of(name),
            "tap": str(site.tap(name)),
        }
        path = site.folder / f"{name}.task.json"
        path.write_text(json.dumps(told))
        command = python(MODULE, str(path))
        return Hand(name, command, surroundings(site.fences), site.folder / f"{name}.log", serves=role == "node")

    def _begin(self, site: Site, crew: Crew, blows: tuple[float, int] | None) -> tuple[float, Havoc | None]:
        """Nodes first, then the owners, then the coordinator; returns when the session has started."""
        nodes = [hand for hand in crew.hands if hand.serves]
        others = [hand for hand in crew.hands if not hand.serves]
        for hand in nodes:
            hand.start()
        self._wait(crew, lambda: all(listens(port) for port in site.ports.values()), "a node does not listen")
        for hand in others:
            hand.start()
        started = site.folder / "started"
        ended = site.folder / "ended.json"
        self._wait(crew, lambda: started.exists() or ended.exists(), "the session does not start")
        victims = [hand for hand in crew.hands if hand.name != self.job.coordinator]
        if not self.lasting:
            victims = nodes
        havoc = None if blows is None else Havoc(victims, self._choices.child(f"run {self._runs}"), *blows)
        if havoc is not None and self.lasting:
            havoc.may = lambda: all(self._has_begun(site, name) for name in self.job.owners)
        return time.monotonic(), havoc

    def _has_begun(self, site: Site, name: str) -> bool:
        """Whether an outside member has a journal: before, it knows of no session that it could take up again."""
        place = site.home / "sessions" / name / self.session
        return (place / "journal").exists() or (place / "ended.json").exists()

    def _until_over(self, site: Site, crew: Crew, havoc: Havoc | None) -> None:
        last = (0, time.monotonic())
        while not self._over(site, crew, havoc):
            if havoc is not None:
                havoc.turn()
                if len(havoc.blows) != last[0]:
                    last = (len(havoc.blows), time.monotonic())
            for hand in crew.hands:
                if havoc is None or not havoc.down(hand):
                    self._check(hand)
            if time.monotonic() > last[1] + _END_SECONDS:
                raise PeerTimeout(self._stuck(site, crew))
            time.sleep(_TICK)
        if havoc is not None:
            havoc.restore()

    def _check(self, hand: Hand) -> None:
        if self.lasting:
            hand.check()
        else:
            with contextlib.suppress(EnvironmentFault):  # who takes part in a session that fails fails too
                hand.check()

    def _over(self, site: Site, crew: Crew, havoc: Havoc | None) -> bool:
        """Everybody has come to an end, as far as a session of this kind has one everywhere."""
        if not (site.folder / "ended.json").exists():
            return False
        if not self.lasting:
            return True
        away = havoc is not None and any(havoc.down(hand) for hand in crew.hands)
        outside = all(hand.over for hand in crew.hands if not hand.serves)
        return not away and outside and all(self._has_ended(site, name) for name in self.job.hosts)

    def _has_ended(self, site: Site, name: str) -> bool:
        return (site.home / "sessions" / name / self.session / "ended.json").exists()

    def _wait(self, crew: Crew, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not condition():
            for hand in crew.hands:
                hand.check()
            if time.monotonic() > deadline:
                words = "; ".join(f"{hand.name}: {hand.last_words()}" for hand in crew.hands if hand.log.exists())
                raise EnvironmentFault(f"{what} after {_START_SECONDS:g} s; {words}")
            time.sleep(0.05)

    def _stuck(self, site: Site, crew: Crew) -> str:
        waiting = [name for name in self.job.hosts if not self._has_ended(site, name)]
        waiting += [hand.name for hand in crew.hands if not hand.serves and not hand.over]
        words = "; ".join(f"{hand.name}: {hand.last_words()}" for hand in crew.hands if hand.name in waiting)
        return f"the session does not end {_END_SECONDS:g} s after the last kill at {', '.join(waiting)}; {words}"
