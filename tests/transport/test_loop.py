"""A loop in a thread: results, errors, time limits, an end without leftovers."""

import asyncio
import gc
import socket
import ssl
import threading

import pytest

from quorate.errors import EnvironmentFault, UserError
from quorate.transport.carrier import Credentials
from quorate.transport.loop import LoopThread, client_context


@pytest.fixture
def loop():
    thread = LoopThread("test loop")
    yield thread
    thread.stop()


async def double(value):
    await asyncio.sleep(0)
    return 2 * value


async def fail():
    raise ValueError("mine")


def test_it_returns_what_the_coroutine_returns(loop):
    assert loop.call(double(21), 5) == 42
    assert loop.call(double(1), None) == 2


def test_it_raises_what_the_coroutine_raises(loop):
    with pytest.raises(ValueError, match="mine"):
        loop.call(fail(), 5)


def test_a_coroutine_that_takes_too_long_is_cancelled(loop):
    ended = threading.Event()

    async def hang():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(TimeoutError, match=r"0\.05"):
        loop.call(hang(), 0.05)
    assert ended.wait(5)
    assert loop.call(double(4), 5) == 8


def test_a_timeout_of_the_coroutine_itself_is_not_mistaken(loop):
    async def own():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError):
        loop.call(own(), 5)


def test_stop_ends_thread_and_tasks():
    loop, ended = LoopThread("to be stopped"), threading.Event()

    async def background():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def start():
        return asyncio.ensure_future(background())

    task = loop.call(start(), 5)
    loop.call(double(1), 5)
    loop.stop()
    loop.stop()
    assert ended.is_set()
    assert task.cancelled()
    assert not any(thread.name == "to be stopped" for thread in threading.enumerate())


def test_stop_closes_connections_that_nobody_closed():
    loop, (ours, theirs) = LoopThread("forgotten"), socket.socketpair()
    reader, writer = loop.call(asyncio.open_connection(sock=ours), 5)
    loop.stop()
    theirs.settimeout(5)
    assert theirs.recv(1) == b""
    theirs.close()
    del reader, writer
    gc.collect()


def test_quietly_swallows_errors_and_hangs(loop):
    loop.quietly(fail(), 5)
    loop.quietly(asyncio.sleep(60), 0.05)
    assert loop.call(double(4), 5) == 8
    loop.stop()


def test_no_tls_only_when_asked_for(federation):
    folder = federation.folder
    assert client_context(Credentials(insecure_plaintext_for_tests=True)) is None
    with pytest.raises(UserError, match="certificate"):
        client_context(Credentials())
    with pytest.raises(UserError, match="certificate"):
        client_context(Credentials(folder / "alice.crt", folder / "alice.key"))
    with pytest.raises(UserError, match="certificate"):
        client_context(Credentials(folder / "alice.crt", authority=folder / "ca.crt"))


@pytest.mark.parametrize("own", [True, False])
def test_the_context_wants_tls_1_3_and_the_right_host(federation, own):
    folder = federation.folder
    mine = (folder / "alice.crt", folder / "alice.key") if own else (None, None)
    context = client_context(Credentials(*mine, folder / "ca.crt"))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert [dict(x[0] for x in ca["subject"])["commonName"] for ca in context.get_ca_certs()] == [
        "tests quorate authority"
    ]


def test_files_that_are_missing(federation):
    folder = federation.folder
    with pytest.raises(EnvironmentFault, match="no such file"):
        client_context(Credentials(folder / "nobody.crt", folder / "alice.key", folder / "ca.crt"))
    with pytest.raises(EnvironmentFault, match="PEM"):
        client_context(Credentials(authority=folder / "nobody.crt"))
