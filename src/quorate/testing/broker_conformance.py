"""What carriers have to stand when a real broker dies, hangs or is not the right one. Run it on your own:

    class TestMine(BrokerConformance):
        kind = MyServer         # a subclass of `quorate.testing.servers.base.Server`

Each test starts a broker of its own in `tmp_path`, so it may take a while.
"""

from __future__ import annotations

import contextlib
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.pki import create_authority, issue
from quorate.testing.carrier_lab import refused, require
from quorate.testing.servers.base import HOST, Server, free_port
from quorate.transport.carrier import Carrier, Credentials, Limits, Parcel, Queue, open_carrier

__all__ = ["BrokerConformance"]

T = TypeVar("T")
_MARK = b"what this broker may read, because nobody has sealed it"


class BrokerConformance:
    """Subclass it and set `kind`; see the module.

    Attributes:
        kind: the server.
        settle: seconds after which what is in a new queue survives the death of its broker.
        keeps_acknowledgements: what was acknowledged a moment before the broker died does not come again.
        keeps_order: what was in hand when the broker died comes before what was not.
        stores: the broker writes parcels to disk as they are.
        patience: seconds for what should happen soon.
        shared: a running server for the tests that do it no harm, so that they need not start their own.
    """

    kind: ClassVar[type[Server]]
    settle: ClassVar[float] = 0.0
    keeps_acknowledgements: ClassVar[bool] = True
    keeps_order: ClassVar[bool] = True
    stores: ClassVar[bool] = True
    patience: ClassVar[float] = 60.0
    shared: Server | None = None

    def setup_method(self) -> None:
        """pytest calls it before each test."""
        self._open_ones = contextlib.ExitStack()
        self.queue = Queue(SystemEntropy().bytes(16).hex(), "rounds.alice")

    def teardown_method(self) -> None:
        """pytest calls it after each test: all connections are closed."""
        self._open_ones.close()

    def standing(self, folder: Path) -> contextlib.AbstractContextManager[Server]:
        """A server that nobody will kill: a shared one, if there is one."""
        return contextlib.nullcontext(self.shared) if self.shared else self.server(folder)

    def server(self, folder: Path, host: str = HOST) -> Server:
        """A server that is not running yet; it knows alice and bob."""
        reason = self.kind.missing()
        if reason:
            raise unittest.SkipTest(reason)
        return self.kind(folder / "broker", ["alice", "bob"], host=host)

    def test_killed_in_the_middle_of_publishing(self, tmp_path: Path) -> None:
        """Whatever was confirmed is there after a restart, in order; the sender notices, and can go on."""
        with self.server(tmp_path) as server:
            self._provisioned(server)
            confirmed, sender = list[str](), self._open(server, "bob")
            killer = threading.Timer(0.5, server.kill)
            killer.start()
            refused(lambda: _publish_for_ever(sender, self.queue, confirmed))
            killer.join()
            refused(lambda: sender.publish(self.queue, [Parcel("later", b"1")]))
            server.start()
            again = self._open(server, "bob")
            again.publish(self.queue, [Parcel("again", b"1")])
            got = self._all(server, len(confirmed) + 1)
        require(len(confirmed) > 10, f"only {len(confirmed)} parcels were confirmed before the end")
        require(got[: len(confirmed)] == confirmed, _difference(confirmed, got))

    def test_killed_in_the_middle_of_consuming(self, tmp_path: Path) -> None:
        """What was not acknowledged comes again, in order; a waiting consumer notices."""
        with self.server(tmp_path) as server:
            self._provisioned(server)
            sent = [Parcel(f"p-{k}", b"x" * 2000) for k in range(20)]
            consumer = self._open(server, "alice")
            self._open(server, "bob").publish(self.queue, sent)
            held = list(consumer.consume(self.queue, 10, self.patience))
            while len(held) < 10:
                held += consumer.consume(self.queue, 10 - len(held), self.patience)
            consumer.acknowledge(held[:5])
            consumer.depth(self.queue)  # the acknowledgements have arrived
            killer = threading.Timer(0.5, server.kill)
            killer.start()
            refused(lambda: _consume_for_ever(consumer, self.queue))
            killer.join()
            server.start()
            got = self._all(server, 15)
        numbers = [int(ident[2:]) for ident in got]
        order = numbers if self.keeps_order else sorted(numbers)
        first = 5 if self.keeps_acknowledgements else order[0]
        require(order == list(range(first, 20)), f"after the restart came {got}")

    def test_dead_letters_survive_a_kill(self, tmp_path: Path) -> None:
        """With their reason."""
        with self.server(tmp_path) as server:
            self._provisioned(server)
            alice = self._open(server, "alice")
            self._open(server, "bob").publish(self.queue, [Parcel("bad", b"123")])
            alice.reject(alice.consume(self.queue, 1, self.patience)[0], "a test")
            server.kill()
            server.start()
            letters = self._eventually(lambda: self._open(server, "alice").dead(self.queue))
        facts = [(letter.parcel, letter.reason) for letter in letters]
        require(facts == [(Parcel("bad", b"123"), "rejected: a test")], f"dead letters: {facts}")

    def test_another_host(self, tmp_path: Path) -> None:
        """A broker whose certificate bears another name is not trusted, though the authority is the right one."""
        with self.server(tmp_path, "broker.example") as server:
            refused(lambda: open_carrier(server.address, server.credentials("alice")).close())

    def test_another_authority(self, tmp_path: Path) -> None:
        """A broker with a certificate of an authority that is not ours is not trusted."""
        create_authority(tmp_path / "other", "other")
        issue(tmp_path / "other", {"alice": None})
        with self.standing(tmp_path) as server:
            mine = server.credentials("alice")
            wrong = Credentials(mine.certificate, mine.key, tmp_path / "other" / "ca.crt", mine.user, mine.password)
            refused(lambda: open_carrier(server.address, wrong).close())

    def test_plaintext(self, tmp_path: Path) -> None:
        """Is refused by the broker, even if somebody asks for it."""
        with self.standing(tmp_path) as server:
            mine = server.credentials("alice")
            bare = Credentials(user=mine.user, password=mine.password, insecure_plaintext_for_tests=True)
            refused(lambda: open_carrier(server.address, bare).provision(self.queue, Limits()))

    def test_nobody_there(self, tmp_path: Path) -> None:
        """Is said at once."""
        create_authority(tmp_path, "other")
        issue(tmp_path, {"alice": None})
        credentials = Credentials(tmp_path / "alice.crt", tmp_path / "alice.key", tmp_path / "ca.crt", "alice", "word")
        refused(lambda: open_carrier(f"{self.kind.scheme}://{HOST}:{free_port()}", credentials).close())

    def test_the_search_for_traces_finds_what_is_there(self, tmp_path: Path) -> None:
        """Otherwise a search for plaintext that finds nothing would prove nothing."""
        if not self.stores:
            raise unittest.SkipTest("this broker keeps parcels in memory, or compressed")
        with self.standing(tmp_path) as server:
            self._provisioned(server)
            require(not server.traces(_MARK), "it was there before")
            self._open(server, "bob").publish(self.queue, [Parcel("open", _MARK)])
            require(bool(server.traces(_MARK)), "a parcel in plain text is not found on the broker's disk")

    def _provisioned(self, server: Server) -> None:
        self._open(server, "alice").provision(self.queue, Limits())
        time.sleep(self.settle)

    def _open(self, server: Server, name: str) -> Carrier:
        carrier = open_carrier(server.address, server.credentials(name))
        return self._open_ones.enter_context(contextlib.closing(carrier))

    def _all(self, server: Server, least: int) -> list[str]:
        """The idents of everything in the queue, which should be so many at least."""
        carrier = self._open(server, "alice")
        got, end = list[str](), time.monotonic() + self.patience
        while time.monotonic() < end:
            batch = carrier.consume(self.queue, 50, 1.0)
            if not batch and len(got) >= least:
                break
            carrier.acknowledge(batch)
            got += [delivery.parcel.ident for delivery in batch]
        return got

    def _eventually(self, look: Callable[[], T]) -> T:
        end = time.monotonic() + self.patience
        while not (seen := look()) and time.monotonic() < end:
            time.sleep(0.1)
        return seen


def _publish_for_ever(carrier: Carrier, queue: Queue, confirmed: list[str]) -> None:
    for k in range(1_000_000):
        carrier.publish(queue, [Parcel(f"p-{k}", b"x" * 2000)])
        confirmed.append(f"p-{k}")


def _consume_for_ever(carrier: Carrier, queue: Queue) -> None:
    for _ in range(1000):
        carrier.consume(queue, 10, 1.0)


def _difference(expected: list[str], got: list[str]) -> str:
    lost = [ident for ident in expected if ident not in got]
    return f"{len(lost)} of {len(expected)} confirmed parcels are lost ({lost[:5]} ...), or the order changed"
