"""Sessions between real processes, and what their conductor says when one of them dies."""

import os
import signal
import sys
import time

import pytest

from quorate.engine.exchange import Exchange
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.errors import EnvironmentFault, InternalError, PeerError
from quorate.testing.loopback import Loopback
from quorate.testing.transport_conformance import NAMES, LinkEndpoint, content, take_part
from quorate.transport.conduct import conduct

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def ring(me, rounds, on_start):
    def program(at):
        for k in range(rounds):
            got = content(0, 1000).copy()
            yield Exchange(at.child(f"op {k}").step(), {(me + 1) % 3: [content(k, 1000)]}, {(me - 1) % 3: [got]})
            if k == 10:
                on_start()

    return program


class Processes:
    """Three processes that exchange messages for ever over TLS; each writes how it ended to a pipe."""

    def __init__(self, folder):
        self.pids, self.pipes = [], []
        with Loopback(NAMES[:3]) as loopback:
            for me in range(3):
                out, into = os.pipe()
                pid = os.fork()
                if not pid:
                    self._run(me, loopback, folder, into)
                os.close(into)
                self.pids.append(pid)
                self.pipes.append(os.fdopen(out, "rb"))

    def _run(self, me, loopback, folder, into):
        text = "no error"
        try:
            links = loopback.tls_links(me, folder)
            root = Scope.root()
            party = Party(ring(me, 10**9, lambda: os.write(into, b"running\n"))(root))
            conduct(party, links, root_scope=root, names=NAMES, round_timeout=20, session_timeout=60)
        except BaseException as problem:
            text = f"{type(problem).__name__}: {problem}"
        os.write(into, text.encode() + b"\n")
        sys.stderr = None
        os._exit(0)

    def await_start(self):
        for pipe in self.pipes:
            assert pipe.readline() == b"running\n"

    def end(self, index):
        return self.pipes[index].readline().decode()

    def close(self):
        for pid, pipe in zip(self.pids, self.pipes, strict=True):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pipe.close()


@pytest.fixture
def processes(federation):
    made = Processes(federation.folder)
    made.await_start()
    yield made
    made.close()


def test_killed_process_is_named_by_all_others(processes):
    start = time.monotonic()
    os.kill(processes.pids[1], signal.SIGKILL)
    for survivor in (0, 2):
        text = processes.end(survivor)
        assert text.startswith("PeerError: ")
        assert "bob" in text
        assert "/op " in text or "before the end of the session" in text
    assert processes.end(1) == ""
    assert time.monotonic() - start < 5


def test_stopped_process_is_named_by_all_others(processes):
    """Ctrl-C at one participant."""
    os.kill(processes.pids[2], signal.SIGINT)
    assert processes.end(2).startswith("KeyboardInterrupt")
    for survivor in (0, 1):
        assert "carol failed: EnvironmentFault: it was stopped" in processes.end(survivor)


@pytest.fixture
def pair(together):
    def connect():
        with Loopback(NAMES[:2]) as loopback:
            return together(*[lambda me=me: LinkEndpoint(loopback.insecure_plaintext_links(me)) for me in range(2)])

    return connect


def test_links_are_closed_whatever_happens(pair):
    def fails(at):
        yield Exchange(at.step())
        raise EnvironmentFault("disk full")

    def waits(at):
        yield Exchange(at.step(), {}, {0: [content(0, 4).copy()]})

    endpoints = pair()
    outcomes = take_part(endpoints, [fails, waits])
    assert isinstance(outcomes[0].error, EnvironmentFault)
    assert isinstance(outcomes[1].error, PeerError)
    assert [link.wire.fileno() for endpoint in endpoints for link in endpoint.links.values()] == [-1, -1]


def test_message_to_somebody_who_is_not_connected(pair):
    def sends(at):
        yield Exchange(at.step(), {2: [content(0, 4)]})

    def waits(at):
        yield Exchange(at.step(), {}, {0: [content(0, 4).copy()]})

    outcomes = take_part(pair(), [sends, waits])
    assert isinstance(outcomes[0].error, InternalError)
    assert "carol, to whom there is no connection" in str(outcomes[0].error)


def test_peer_that_ends_early_is_named(pair):
    """Programs that differ: bob is done while we still wait for it."""

    def done(at):
        yield Exchange(at.step())

    def waits(at):
        yield Exchange(at.child("op 3 mul").step(), {}, {1: [content(0, 4).copy()]})

    outcomes = take_part(pair(), [waits, done])
    expected = "bob ended the session while we still wait for its message at session/work/op 3 mul"
    assert expected in str(outcomes[0].error)
    assert outcomes[0].seconds < 0.9
    assert "alice failed" in str(outcomes[1].error)


def test_progress_is_reported_and_may_end_the_session(pair):
    class Cancelled(Exception):
        pass

    def cancel(_party):
        raise Cancelled

    def busy(at):
        for _ in range(500):
            time.sleep(0.01)
            yield Exchange(at.step())

    endpoints = pair()
    root = Scope.root()
    with pytest.raises(Cancelled):
        conduct(
            Party(busy(root.child("w"))),
            endpoints[0].links,
            root_scope=root,
            names=NAMES,
            round_timeout=20,
            session_timeout=20,
            on_progress=cancel,
        )
    endpoints[1].vanish()
