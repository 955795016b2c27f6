"""Streams of JetStream: made, looked at, looked into, deleted. What is not there is no error here."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any, NamedTuple

from quorate.transport.carrier import Limits
from quorate.transport.jetstream import JetStream, Refusal

__all__ = ["DUPLICATE_SECONDS", "Stored", "Streams", "stream_name"]

DUPLICATE_SECONDS = 600.0
_GONE = {10037, 10057, 10059}  # no message found, no such message, no such stream
_OTHER_SETTINGS = 10058
_NOTE = re.compile(r"quorate ttl=([0-9.e+]+) deliveries=([0-9]+)")


class Stored(NamedTuple):
    """A message that lies in a stream: its number, since when (Unix time), headers in lower case, and its body."""

    number: int
    since: float
    headers: dict[str, str]
    body: bytes


def stream_name(name: str) -> str:
    """Names of streams have no dots; '_' occurs in no name of ours."""
    return name.replace(".", "_")


class Streams:
    """The streams on one server; their messages have the name with dots as subject."""

    def __init__(self, link: JetStream, replicas: int) -> None:
        self._link = link
        self._replicas = replicas

    def make(self, name: str, limits: Limits | None) -> None:
        """A queue with these limits, or (None) a place that keeps everything."""
        config = {
            "name": stream_name(name),
            "description": f"quorate ttl={limits.ttl!r} deliveries={limits.most_deliveries}" if limits else "quorate",
            "subjects": [name],
            "retention": "workqueue" if limits else "limits",
            "storage": "file",
            "discard": "new",
            "max_bytes": limits.most_bytes if limits else -1,
            "max_msgs": -1,
            "max_consumers": -1,
            "max_age": 0,
            "num_replicas": self._replicas,
            "duplicate_window": int(DUPLICATE_SECONDS * 1e9),
        }
        try:
            self._link.ask(f"STREAM.CREATE.{stream_name(name)}", config)
        except Refusal as refusal:
            if refusal.code != _OTHER_SETTINGS:
                raise
            self._link.ask(f"STREAM.UPDATE.{stream_name(name)}", config)

    def count(self, name: str) -> int | None:
        """How many messages lie there; None if there is no such stream."""
        found = self._ask_if_there(f"STREAM.INFO.{stream_name(name)}")
        return None if found is None else int(found["state"]["messages"])

    def limits(self, name: str) -> Limits | None:
        """With what it was made, as far as whoever consumes has to keep to it; None if there is no such stream."""
        found = self._ask_if_there(f"STREAM.INFO.{stream_name(name)}")
        if found is None:
            return None
        note = _NOTE.fullmatch(found["config"].get("description", ""))
        return Limits(ttl=float(note[1]), most_deliveries=int(note[2])) if note else Limits()

    def first(self, name: str, number: int = 1) -> Stored | None:
        """The first message from this number on."""
        found = self._ask_if_there(f"STREAM.MSG.GET.{stream_name(name)}", {"seq": number, "next_by_subj": name})
        return None if found is None else _stored(found["message"])

    def erase(self, name: str, number: int) -> None:
        """Delete one message."""
        self._ask_if_there(f"STREAM.MSG.DELETE.{stream_name(name)}", {"seq": number, "no_erase": True})

    def delete(self, name: str) -> None:
        """Delete the stream with all that is in it."""
        self._ask_if_there(f"STREAM.DELETE.{stream_name(name)}")

    def _ask_if_there(self, api: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        try:
            return self._link.ask(api, body)
        except Refusal as refusal:
            if refusal.code in _GONE:
                return None
            raise


def _stored(found: dict[str, Any]) -> Stored:
    since = datetime.fromisoformat(found["time"][:19] + "+00:00").timestamp()
    fraction = re.match(r"\.\d+", found["time"][19:])
    headers = base64.b64decode(found.get("hdrs", "")).decode("ascii", "replace")
    pairs = (line.partition(":") for line in headers.splitlines()[1:])
    return Stored(
        int(found["seq"]),
        since + float(fraction[0] if fraction else 0),
        {key.lower(): value.strip() for key, colon, value in pairs if colon},
        base64.b64decode(found.get("data", "")),
    )
