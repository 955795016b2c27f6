"""Channels between the processes of a node, and the nursery that forks workers."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import msgspec
import pytest

from quorate.errors import InternalError
from quorate.node.channel import Channel, pair
from quorate.node.nursery import Exited, Nursery, Spawned
from quorate.node.process import status_text


class Note(msgspec.Struct, tag=True):
    text: str


@pytest.fixture
def ends() -> Iterator[tuple[Channel[Note], Channel[Note]]]:
    ours, theirs = pair()
    channels: tuple[Channel[Note], Channel[Note]] = Channel(ours, Note), Channel(theirs, Note)
    yield channels
    for channel in channels:
        channel.close()


def test_messages_arrive_whole_and_in_order(ends):
    one, other = ends
    for text in ("a" * 3, "", "b" * 60000):
        one.send(Note(text))
        message, connection = other.receive(1)
        assert (message.text, connection) == (text, None)


def test_a_connection_travels_with_its_message(ends):
    one, other = ends
    left, right = socket.socketpair()
    one.send(Note("here"), right.fileno())
    right.close()
    _, connection = other.receive(1)
    left.sendall(b"hello")
    assert connection.recv(5) == b"hello"
    connection.close()
    left.close()


def test_the_end_is_noticed(ends):
    one, other = ends
    with pytest.raises(TimeoutError):
        other.receive(0.01)
    one.close()
    assert other.receive(1) is None
    assert other.send(Note("too late")) is False


def test_a_malformed_message_is_a_bug():
    ours, theirs = pair()
    with ours, theirs:
        ours.sendall((2).to_bytes(4, "big") + b"{}")
        with pytest.raises(InternalError, match="malformed"):
            Channel(theirs, Note).receive(1)


def worker(sock):
    """Does what it is told: says its process id, then ends as asked."""
    channel: Channel[Note] = Channel(sock, Note)
    channel.send(Note(str(os.getpid())))
    received = channel.receive()
    if received is None:
        return 9
    if received[0].text == "sleep":
        time.sleep(60)
    return int(received[0].text)


@pytest.fixture
def nursery():
    made = Nursery(worker)
    channels.clear()
    yield made
    made.close()
    for channel in channels:
        channel.close()


channels: list[Channel[Note]] = []


def spawn(nursery, session):
    ours, theirs = pair()
    assert nursery.spawn(session, theirs)
    event = nursery.next_event(30)
    channel: Channel[Note] = Channel(ours, Note)
    channels.append(channel)
    assert isinstance(event, Spawned)
    received = channel.receive(5)
    assert received is not None
    assert received[0].text == str(event.pid)
    return channel, event.pid


def test_workers_are_processes_of_their_own_and_their_ends_are_told(nursery):
    first, pid = spawn(nursery, "one")
    second, other = spawn(nursery, "two")
    assert len({pid, other, nursery.pid, os.getpid()}) == 4
    os.kill(pid, signal.SIGKILL)
    event = nursery.next_event(5)
    assert isinstance(event, Exited)
    assert (event.session, event.pid, status_text(event.status)) == ("one", pid, "was killed by SIGKILL")
    second.send(Note("3"))
    event = nursery.next_event(5)
    assert isinstance(event, Exited)
    assert (event.session, status_text(event.status)) == ("two", "ended with exit code 3")
    assert first.receive(1) is None


def test_a_session_is_started_within_milliseconds(nursery):
    spawn(nursery, "warm")[0].send(Note("0"))
    nursery.next_event(5)
    begun = time.monotonic()
    spawn(nursery, "timed")
    assert time.monotonic() - begun < 0.25


def test_kill_ends_one_worker_only(nursery):
    first, _ = spawn(nursery, "one")
    second, _ = spawn(nursery, "two")
    first.send(Note("sleep"))
    nursery.kill("one")
    assert nursery.next_event(5).session == "one"
    second.send(Note("0"))
    assert nursery.next_event(5).session == "two"


def test_closing_the_nursery_ends_its_workers(nursery):
    channel, pid = spawn(nursery, "one")
    channel.send(Note("sleep"))
    nursery.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
