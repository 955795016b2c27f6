"""Taking messages out of a stream: a durable pull consumer that counts how often it handed out each of them.

There is one consumer per queue, and it belongs to whoever asked last: on its first request a connection takes over
what an earlier one, maybe killed, has taken and not acknowledged, with all counts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from quorate.transport.carrier import CHUNK
from quorate.transport.jetstream import JetStream, Message

__all__ = ["Taker", "attempt_of", "moment_of"]

NAME = "taker"
_LONG = int(300e9)
"""Nanoseconds after which the server gives up on whoever has a message, and hands it out again."""
_BEAT_SECONDS = 60.0
"""How often we tell it that we have not forgotten."""
_SHORT = int(0.05e9)
_REQUEST_SECONDS = 10.0
"""A request ends after so long, lest the server goes on serving one whose sender has vanished without a word."""
_MOST_BYTES = 64 << 20
"""Of messages in one answer, and on their way to us."""
_MOST_REQUESTED = _MOST_BYTES // CHUNK
_GAP = 0.02
"""Seconds after which messages that are handed out again are taken to be all of them; they are not counted."""
_SURE_GAP = 0.5
"""Seconds to wait for one of which the server has said that it is there."""


class Taker:
    """The consumer of one stream."""

    def __init__(self, link: JetStream, stream: str) -> None:
        self._link = link
        self._stream = stream
        self._coming = 0
        self._until = 0.0
        self._held: dict[int, str] = {}
        self._beat = time.monotonic()
        self._take_over()
        self._inbox, self._subscription = link.subscribe()

    def _take_over(self) -> None:
        pending = self._configure(_LONG)["num_ack_pending"]
        if not pending:
            return
        # A change of this limit makes the server look at once at what has exceeded it.
        self._configure(_SHORT)
        time.sleep(0.3)
        self._configure(_LONG)

    def _configure(self, patience: int) -> dict[str, Any]:
        config = {
            "durable_name": NAME,
            "ack_policy": "explicit",
            "deliver_policy": "all",
            "replay_policy": "instant",
            "ack_wait": patience,
            "max_deliver": -1,
            "max_ack_pending": 1_000_000,
        }
        body = {"stream_name": self._stream, "config": config}
        return self._link.ask(f"CONSUMER.DURABLE.CREATE.{self._stream}.{NAME}", body)

    def release(self, replies: Sequence[str]) -> None:
        """These are acknowledged."""
        for reply in replies:
            self._held.pop(_number(reply), None)

    def _keep_alive(self) -> None:
        """Tell the server that we still have what we have not acknowledged, so that it does not count another time."""
        if time.monotonic() - self._beat > _BEAT_SECONDS:
            self._beat = time.monotonic()
            self._link.tell(list(self._held.values()), b"+WPI")

    def take(self, most: int, wait: float) -> list[Message]:
        """Up to `most` messages: waits for the first, then takes what is there."""
        found: list[Message] = []
        size, end = 0, time.monotonic() + wait
        self._keep_alive()
        while len(found) < most and size < _MOST_BYTES:
            left = min(max(end - time.monotonic(), 0.0), _REQUEST_SECONDS)
            if self._request(most - len(found), max(left, 1.0)):
                left = max(left, _GAP)  # for the way there and back
            batch = self._next(most - len(found), _MOST_BYTES - size, _gap(found[-1]) if found else left)
            if not batch and (found or time.monotonic() >= end):
                break
            found += filter(self._is_new, batch)
            size = sum(len(message.body) for message in found)
        return found

    def _is_new(self, message: Message) -> bool:
        """Whether we have not got it already; the server may have given up on us."""
        number = _number(message.reply)
        known = number in self._held
        self._held.setdefault(number, message.reply)
        return not known

    def _request(self, most: int, wait: float) -> bool:
        """Have messages sent to us, unless the last request still stands; whether it had to be made."""
        if self._coming > 0 and time.monotonic() < self._until:
            return False
        self._coming = min(most, _MOST_REQUESTED)
        self._until = time.monotonic() + wait
        # The server ends it a little later than we stop counting on it, so that there never is none.
        body = {"batch": self._coming, "expires": int((wait + 0.5) * 1e9)}
        self._link.send(f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{NAME}", self._inbox, body)
        return True

    def _next(self, most: int, most_bytes: int, wait: float) -> list[Message]:
        end = time.monotonic() + wait
        while True:
            found = self._link.receive(self._subscription, most, most_bytes, max(end - time.monotonic(), 0.0))
            # Others say that a request has ended, or cannot be served (as when the stream was deleted): the next take
            # asks again.
            messages = [message for message in found if "status" not in message.headers]
            self._coming -= len(messages)
            if messages or not found:
                return messages


def _gap(last: Message) -> float:
    """How long the message after this one may take; 0 if there is none."""
    if _waiting(last.reply):
        return _SURE_GAP
    return _GAP if attempt_of(last.reply) > 1 else 0.0


def attempt_of(reply: str) -> int:
    """How often the message to be acknowledged there has been handed out, this time included."""
    return int(_fields(reply)[0])


def moment_of(reply: str) -> float:
    """When the message to be acknowledged there was stored, Unix time by the server's clock."""
    return int(_fields(reply)[3]) / 1e9


def _number(reply: str) -> int:
    return int(_fields(reply)[1])


def _waiting(reply: str) -> int:
    return int(_fields(reply)[4])


def _fields(reply: str) -> list[str]:
    """Deliveries, number in the stream, number at the consumer, nanoseconds, still waiting."""
    parts = reply.split(".")  # $JS.ACK.(domain.account.)stream.consumer.(these five)(.token)
    first = 4 if len(parts) == 9 else 6
    return parts[first : first + 5]
