"""How a queue looks in RabbitMQ: exchange, quorum queues, bindings, and what its dead letters say.

Per session a durable direct exchange, `Queue.exchange`, and on it per box a quorum queue under the routing key of the
box, with one active consumer, and a quorum queue for its dead letters under the name of that queue after the session
("dlq.alice"). The broker moves there what was handed out too often or has expired; it keeps such a parcel in the
queue until the other queue has confirmed it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quorate.transport.carrier import DeadLetter, Delivery, Limits, Parcel, Queue

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

__all__ = ["attempt_of", "dead_key", "declare", "letter_of", "origin_of", "parcel_of", "reason_headers"]

_ORIGIN, _REASON, _SINCE = "quorate-queue", "quorate-reason", "quorate-since"
_NEVER = 1_000_000_000
"""Deliveries of a dead letter: whoever looks at it has it delivered, and RabbitMQ 4 ends that after 20 times."""
_REASONS = {"expired": "expired", "delivery_limit": "undeliverable"}


async def declare(channel: AbstractChannel, queue: Queue, limits: Limits) -> None:
    """Make exchange, queue and dead-letter queue unless they exist with exactly these limits."""
    exchange = await channel.declare_exchange(queue.exchange, "direct", durable=True)
    dead = await channel.declare_queue(queue.dead_letters, durable=True, arguments=_dead_arguments())
    await dead.bind(exchange, dead_key(queue))
    own = await channel.declare_queue(queue.name, durable=True, arguments=_arguments(queue, limits))
    await own.bind(exchange, queue.box)


def dead_key(queue: Queue) -> str:
    """The routing key of the dead letters: "dlq", "dlq.alice"."""
    return queue.dead_letters.removeprefix(f"mpc.{queue.session}.")


def _arguments(queue: Queue, limits: Limits) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-delivery-limit": max(0, limits.most_deliveries - 1),  # those after the first
        "x-dead-letter-exchange": queue.exchange,
        "x-dead-letter-routing-key": dead_key(queue),
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-message-ttl": max(1, round(limits.ttl * 1000)),
        "x-max-length-bytes": limits.most_bytes,
    }


def _dead_arguments() -> dict[str, Any]:
    """The same for every queue, because some share their dead letters."""
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": _NEVER,
        "x-overflow": "reject-publish",
        "x-max-length-bytes": Limits().most_bytes,
    }


def parcel_of(message: AbstractIncomingMessage) -> Parcel:
    """Ident and body."""
    ident: object = message.message_id  # bytes, if it is no text
    return Parcel(ident if isinstance(ident, str) else "", message.body)


def attempt_of(message: AbstractIncomingMessage) -> int:
    """How often the broker has handed it out, this time included."""
    count = message.headers.get("x-delivery-count")
    if isinstance(count, int):
        return count + 1
    return 2 if message.redelivered else 1


def reason_headers(delivery: Delivery, reason: str) -> dict[str, Any]:
    """What a parcel that we reject carries."""
    return {_ORIGIN: delivery.queue.name, _REASON: f"rejected: {reason}", _SINCE: datetime.now(UTC).timestamp()}


def origin_of(message: AbstractIncomingMessage) -> str:
    """The name of the queue in which a dead letter was."""
    return str(message.headers.get(_ORIGIN) or _death(message).get("queue", ""))


def letter_of(message: AbstractIncomingMessage) -> DeadLetter:
    """A dead letter, by us or by the broker."""
    death = _death(message)
    when = death.get("time")
    since = when.timestamp() if isinstance(when, datetime) else _number(message.headers.get(_SINCE))
    reason = str(message.headers.get(_REASON) or _REASONS.get(str(death.get("reason")), "undeliverable"))
    return DeadLetter(parcel_of(message), reason, since, None)


def _death(message: AbstractIncomingMessage) -> dict[str, Any]:
    """The latest entry of the broker's own account."""
    deaths = message.headers.get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else None
    return first if isinstance(first, dict) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
