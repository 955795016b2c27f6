"""Test servers speak TLS 1.3 to members alone, come back with the same ports, and leave nothing behind."""

import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from quorate.crypto.pki import create_authority, issue
from quorate.testing.servers.base import HOST, free_port, listens
from quorate.testing.servers.rabbitmq import RabbitServer
from quorate.testing.servers.redis import RedisServer

KINDS = [RedisServer, pytest.param(RabbitServer, marks=pytest.mark.slow)]
HELLO = {"rediss": b"PING\r\n", "amqps": b"AMQP\x00\x00\x09\x01"}
STARTER = """
import pathlib, sys, time
from quorate.testing.servers.redis import RedisServer
server = RedisServer(pathlib.Path(sys.argv[1]), ["alice"]).start()
print(server.port, flush=True)
time.sleep(60)
"""


def client(folder, name, newest=ssl.TLSVersion.TLSv1_3, authority=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = newest
    context.load_verify_locations(authority or folder / "ca.crt")
    if name is not None:
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return context


def answer(server, context) -> bytes:
    """What the server says to the first words of its protocol, nothing if it hangs up; no TLS without a context."""
    with socket.create_connection((HOST, server.port), 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=HOST) if context else plain as connection:
                connection.sendall(HELLO[server.scheme])
                return connection.recv(100)
        except OSError:
            return b""


@pytest.mark.parametrize("kind", KINDS)
def test_members_over_tls_1_3_and_nobody_else(kind, broker_of, tmp_path):
    server = broker_of(kind)
    assert answer(server, client(server.pki, "alice"))
    assert not answer(server, client(server.pki, None))
    assert not answer(server, client(server.pki, "alice", ssl.TLSVersion.TLSv1_2))
    create_authority(tmp_path, "foreign")
    issue(tmp_path, {"alice": None})
    assert not answer(server, client(tmp_path, "alice", authority=server.pki / "ca.crt"))
    plain = answer(server, None)
    assert b"PONG" not in plain
    assert b"AMQP" not in plain


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_killed_and_comes_back_on_its_port(kind, broker_of, tmp_path):
    if kind.missing():
        pytest.skip(kind.missing())
    server = kind(tmp_path, ["alice"])
    with server:
        assert answer(server, client(server.pki, "alice"))
        port = server.port
        server.kill()
        assert not listens(port)
        server.start()
        assert server.port == port
        assert answer(server, client(server.pki, "alice"))
        server.stop()
        assert not listens(port)
    server.kill()  # twice is fine


def test_traces_finds_what_was_written(redis_server):
    assert redis_server.traces(b"tls-auth-clients")
    assert not redis_server.traces(b"nobody wrote this")


def test_a_paused_server_is_silent_until_it_is_resumed(tmp_path, redis_server):
    with RedisServer(tmp_path, ["alice"]) as server:
        server.pause()
        with socket.create_connection((HOST, server.port), 0.2) as plain:
            plain.sendall(b"x" * 100)
            with pytest.raises(TimeoutError):
                plain.recv(1)
        server.resume()
        assert answer(server, client(server.pki, "alice"))


def test_it_dies_with_whoever_started_it(tmp_path, redis_server):
    with subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path / "x")], stdout=subprocess.PIPE) as starter:
        port = int(starter.stdout.readline())
        assert listens(port)
        starter.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while listens(port) and time.monotonic() < end:
        time.sleep(0.02)
    assert not listens(port)


def test_free_ports_are_free():
    assert not listens(free_port())
