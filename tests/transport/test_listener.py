"""The listener: routing by name, connections handed over untouched, and no harm from whatever connects."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.crypto.pki import create_authority, issue
from quorate.errors import EnvironmentFault, InternalError, UserError
from quorate.transport.listener import Listener, hand_over, read_server_name, session_host, take_over
from quorate.transport.tls import Contexts, load_contexts


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    folder: Path = tmp_path_factory.mktemp("pki")
    create_authority(folder, "hospitals")
    issue(folder, {"alice": None})
    return load_contexts(folder / "alice.crt", folder / "alice.key", folder / "ca.crt")


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener("127.0.0.1", 0, patience=0.5, limit=8)
    listening.start()
    yield listening
    listening.close()


def greeting(contexts: Contexts, name: str | None) -> bytes:
    out = ssl.MemoryBIO()
    tls = contexts.client.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def connect(listener: Listener) -> socket.socket:
    return socket.create_connection(listener.address, timeout=5)


class Collector:
    """A handler that keeps what it gets."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self._more = threading.Semaphore(0)

    def __call__(self, connection: socket.socket) -> None:
        self.connections.append(connection)
        self._more.release()

    def next(self) -> socket.socket:
        assert self._more.acquire(timeout=5), "no connection arrived"
        return self.connections.pop(0)


def closed_by_peer(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_name_is_found_and_no_prefix_is_mistaken(contexts: Contexts) -> None:
    hello = greeting(contexts, "abc.session.quorate")
    assert read_server_name(hello) == "abc.session.quorate"
    assert all(read_server_name(hello[:size]) is None for size in range(len(hello)))


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n" * 3, b"\x00" * 600, b"\x16\x03\x01\xff\xff" + b"\xff" * 700]
)
def test_garbage_has_no_name(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a TLS 1\.3 greeting"):
        read_server_name(data)


def test_greeting_without_a_name(contexts: Contexts) -> None:
    with pytest.raises(ValueError, match="server name"):
        read_server_name(greeting(contexts, None))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_incomplete_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert read_server_name(data) is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_greeting_never_raises_anything_else(contexts: Contexts, data: st.DataObject) -> None:
    hello = bytearray(greeting(contexts, "abc.session.quorate"))
    for _ in range(data.draw(st.integers(1, 4))):
        # ASCII only: for other names Python itself writes a line to stderr and then refuses them.
        hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 127))
    try:
        found = read_server_name(bytes(hello))
    except ValueError:
        return
    assert found is None or isinstance(found, str)


def test_routes_by_name_and_leaves_the_greeting_unread(listener: Listener, contexts: Contexts) -> None:
    one, two = Collector(), Collector()
    listener.register("one.session.quorate", one)
    listener.register("two.session.quorate", two)
    hello = greeting(contexts, "two.session.quorate")
    with connect(listener) as sock:
        sock.sendall(hello)
        with two.next() as taken:
            assert taken.recv(len(hello) + 1) == hello
    assert not one.connections


def test_greeting_in_pieces_does_not_block_others(listener: Listener, contexts: Contexts) -> None:
    here = Collector()
    listener.register("here.session.quorate", here)
    hello = greeting(contexts, "here.session.quorate")
    with connect(listener) as slow, connect(listener) as quick:
        slow.sendall(hello[:50])
        quick.sendall(hello)
        here.next().close()
        before = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - before < 0.15, "the listener spins on a greeting that is not complete"
        slow.sendall(hello[50:])
        with here.next() as taken:
            assert taken.recv(len(hello) + 1) == hello
            # After the hand-over a single byte has to wake the reader again.
            assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1


def test_session_that_begins_a_little_later(listener: Listener, contexts: Contexts) -> None:
    late = Collector()
    with connect(listener) as sock:
        sock.sendall(greeting(contexts, "late.session.quorate"))
        time.sleep(0.1)
        listener.register("late.session.quorate", late)
        late.next().close()


def test_unknown_session_is_closed_after_a_while(listener: Listener, contexts: Contexts) -> None:
    with connect(listener) as sock:
        sock.sendall(greeting(contexts, "nobody.session.quorate"))
        begun = time.monotonic()
        assert closed_by_peer(sock)
        assert 0.4 < time.monotonic() - begun < 3


def test_unregistered_session_is_unknown(listener: Listener, contexts: Contexts) -> None:
    gone = Collector()
    listener.register("gone.session.quorate", gone)
    listener.unregister("gone.session.quorate")
    with connect(listener) as sock:
        sock.sendall(greeting(contexts, "gone.session.quorate"))
        assert closed_by_peer(sock)
    assert not gone.connections


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x40\x00\x01\x00" + b"\x00" * 20000])
def test_garbage_is_closed_and_the_listener_lives_on(listener: Listener, contexts: Contexts, data: bytes) -> None:
    here = Collector()
    listener.register("here.session.quorate", here)
    with connect(listener) as sock:
        sock.sendall(data)
        assert closed_by_peer(sock)
    with connect(listener) as sock:
        sock.sendall(greeting(contexts, "here.session.quorate"))
        here.next().close()


def test_closing_without_a_word_is_noticed(listener: Listener) -> None:
    sock = connect(listener)
    sock.sendall(b"\x16\x03\x01")
    time.sleep(0.1)
    sock.shutdown(socket.SHUT_WR)
    sock.settimeout(2)  # less than the listener waits for the rest of a greeting
    with sock:
        assert closed_by_peer(sock)


def test_no_more_than_the_limit_wait(listener: Listener) -> None:
    waiting = [connect(listener) for _ in range(8)]
    time.sleep(0.1)
    with connect(listener):
        waiting[0].settimeout(2)  # less than those who were admitted have for their greeting
        assert closed_by_peer(waiting[0])
    for sock in waiting:
        sock.close()


def test_handler_that_fails_harms_nobody_else(listener: Listener, contexts: Contexts) -> None:
    def broken(_: socket.socket) -> None:
        raise RuntimeError("broken handler")

    here = Collector()
    listener.register("broken.session.quorate", broken)
    listener.register("here.session.quorate", here)
    with connect(listener) as sock:
        sock.sendall(greeting(contexts, "broken.session.quorate"))
        assert closed_by_peer(sock)
    with connect(listener) as sock:
        sock.sendall(greeting(contexts, "here.session.quorate"))
        here.next().close()


def test_port_in_use_is_named(listener: Listener) -> None:
    host, port = listener.address
    with pytest.raises(EnvironmentFault, match=f"cannot listen on {host}:{port}: port {port} is in use"):
        Listener(host, port)


def test_address_of_another_machine() -> None:
    with pytest.raises(EnvironmentFault, match="does not have that address"):
        Listener("192.0.2.1", 0)


def test_name_is_registered_once(listener: Listener) -> None:
    listener.register("x.session.quorate", Collector())
    with pytest.raises(InternalError, match="two handlers"):
        listener.register("x.session.quorate", Collector())


def test_hand_over_through_a_channel(contexts: Contexts) -> None:
    node, worker = socket.socketpair()
    ours, theirs = socket.socketpair()
    worker.setblocking(False)
    with node, worker, theirs:
        assert take_over(worker) is None
        hand_over(node, ours)
        assert ours.fileno() == -1
        taken = take_over(worker)
        assert taken is not None
        with taken:
            theirs.sendall(b"untouched")
            assert taken.recv(20) == b"untouched"
        node.close()
        with pytest.raises(EOFError):
            take_over(worker)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a.b", "a" * 64, "ä"])
def test_session_names(name: str) -> None:
    assert session_host("a" * 63) == "a" * 63 + ".session.quorate"
    with pytest.raises(UserError, match="session name"):
        session_host(name)
