"""The asynchronous side of `quorate.transport.amqp`: what is said to RabbitMQ over one connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    PublishError,
)

from quorate.errors import BrokerFault, QueueFull
from quorate.transport.amqp_inbox import Inbox
from quorate.transport.amqp_topology import (
    attempt_of,
    dead_key,
    declare,
    letter_of,
    origin_of,
    parcel_of,
    reason_headers,
)
from quorate.transport.carrier import DeadLetter, Delivery, Limits, Parcel, Queue

__all__ = ["Client"]

Connect = Callable[[], Awaitable[AbstractConnection]]
_FLIGHT = 8 << 20
_SETTLE = 0.25
"""Seconds that a new consumer waits at least: the broker needs a moment to send what is there."""
_PREFETCH = 65_535
_ALIVE = 5.0


class Client:
    """Over one connection; used by one task at a time."""

    def __init__(self, connection: AbstractConnection, connect: Connect) -> None:
        """`connect` opens one more connection of the same kind."""
        self._connection, self._connect = connection, connect
        self._out: AbstractChannel | None = None
        self._inboxes: dict[Queue, Inbox] = {}

    async def provision(self, queue: Queue, limits: Limits) -> None:
        async with self._channel() as channel:
            try:
                await declare(channel, queue, limits)
                if not await self._alive(queue):
                    await channel.queue_delete(queue.name)  # refused if it is only out of reach
                    await declare(channel, queue, limits)
            except ChannelPreconditionFailed:
                raise BrokerFault(
                    f"{queue.name} exists at the broker with other limits; remove it there, or use the same limits"
                ) from None

    async def _alive(self, queue: Queue) -> bool:
        """Whether anybody answers for a queue that is there by name.

        One that was young when its broker was killed stays as a name, and whoever turns to it waits in vain. Getting a
        single message is what queues with one active consumer refuse, so it changes nothing and shows that they live.
        """
        probe = await self._connect()  # one more connection, because the answer may be that it is closed
        try:
            channel = await probe.channel()
            async with asyncio.timeout(_ALIVE):
                await (await channel.get_queue(queue.name, ensure=False)).get(fail=False)
        except (TimeoutError, AMQPConnectionError):
            return False
        except AMQPError:
            return True
        finally:
            await probe.close()
        return True

    async def publish(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        for group in _groups(parcels):
            await self._confirmed(queue, queue.box, [_message(parcel, {}) for parcel in group])

    async def _confirmed(self, queue: Queue, key: str, messages: Sequence[Message]) -> None:
        """Publish all at once, in order; each is confirmed by the broker."""
        channel = await self._outgoing()
        exchange = await channel.get_exchange(queue.exchange, ensure=False)
        sending = (exchange.publish(message, key, mandatory=True) for message in messages)
        for answer in await asyncio.gather(*sending, return_exceptions=True):
            if isinstance(answer, PublishError | ChannelNotFoundEntity):
                raise BrokerFault(f"there is no queue {queue.name} at the broker; its receiver has to make it first")
            if isinstance(answer, DeliveryError):
                raise QueueFull(f"{queue.name} is full; its receiver does not keep up, or is away: wait and try again")
            if isinstance(answer, BaseException):
                raise answer

    async def _outgoing(self) -> AbstractChannel:
        if self._out is None:
            self._out = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        return self._out

    async def consume(self, queue: Queue, most: int, wait: float) -> list[Delivery]:
        inbox, fresh = await self._inbox(queue, most)
        got = await inbox.take(most, max(wait, _SETTLE) if fresh else wait)
        if not got and not await self._is_served(queue):
            await self._forget(queue)
        return [Delivery(queue, parcel_of(message), attempt_of(message), (inbox, message)) for message in got]

    async def _inbox(self, queue: Queue, most: int) -> tuple[Inbox, bool]:
        """The consumer of a queue, with room for `most` more; whether it has just begun."""
        inbox = self._inboxes.get(queue)
        if inbox is None:
            inbox = self._inboxes[queue] = Inbox(queue.name, await self._connection.channel())
        if len(inbox.handed) + most <= inbox.window:
            return inbox, False
        try:
            await inbox.begin(min(_PREFETCH, len(inbox.handed) + most))
        except ChannelNotFoundEntity:
            raise _no_such(queue) from None
        return inbox, True

    async def _is_served(self, queue: Queue) -> bool:
        """Whether the broker still counts us, or anybody, as a consumer: it forgets us when a queue is made anew."""
        async with self._channel() as channel:
            try:
                return bool((await channel.declare_queue(queue.name, passive=True)).declaration_result.consumer_count)
            except ChannelNotFoundEntity:
                raise _no_such(queue) from None

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        groups: dict[Inbox, list[AbstractIncomingMessage]] = {}
        for inbox, message in map(_receipt, deliveries):
            groups.setdefault(inbox, []).append(message)
        for inbox, messages in groups.items():
            await inbox.acknowledge(messages)

    async def reject(self, delivery: Delivery, reason: str) -> None:
        message = _message(delivery.parcel, reason_headers(delivery, reason))
        await self._confirmed(delivery.queue, dead_key(delivery.queue), [message])
        await self.acknowledge([delivery])

    async def depth(self, queue: Queue) -> int:
        ready = await self._ready(queue.name)
        inbox = self._inboxes.get(queue)
        return ready + (len(inbox.handed) + len(inbox.waiting) if inbox else 0)

    async def _ready(self, name: str) -> int:
        async with self._channel() as channel:
            try:
                return (await channel.declare_queue(name, passive=True)).declaration_result.message_count or 0
            except ChannelNotFoundEntity:
                return 0

    async def dead(self, queue: Queue, most: int) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        if most > 0:
            async with contextlib.aclosing(self._letters(queue)) as messages:
                async for message in messages:
                    letters.append(letter_of(message))
                    if len(letters) == most:
                        break
        return letters

    async def _letters(self, queue: Queue) -> AsyncGenerator[AbstractIncomingMessage, None]:
        """The dead letters of this queue, oldest first; those that were not acknowledged are back afterwards."""
        name = queue.dead_letters
        ready, seen = await self._ready(name), list[AbstractIncomingMessage]()
        try:
            async with self._channel() as channel:
                dead = await channel.get_queue(name, ensure=False)
                while len(seen) < ready and (message := await dead.get(fail=False)) is not None:
                    seen.append(message)
                    if origin_of(message) == queue.name:
                        yield message
        finally:
            await self._back(name, ready - sum(message.processed for message in seen))

    async def _back(self, name: str, count: int) -> None:
        """Wait a while until the broker has put back what we have looked at: it does so when it has time."""
        for pause in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0):
            await asyncio.sleep(pause)
            if await self._ready(name) >= count:
                return

    async def take_out(self, queue: Queue, letters: Sequence[DeadLetter], *, retry: bool) -> None:
        """Remove these dead letters, after they are back in the queue if `retry`."""
        wanted = Counter(letter.parcel.ident for letter in letters)
        async with contextlib.aclosing(self._letters(queue)) as messages:
            async for message in messages:
                parcel = parcel_of(message)
                if wanted[parcel.ident] > 0:
                    wanted[parcel.ident] -= 1
                    if retry:
                        await self.publish(queue, [parcel])
                    await message.ack()
                if not wanted.total():
                    break

    async def remove(self, queue: Queue) -> None:
        await self._forget(queue)
        async with self._channel() as channel:
            await channel.queue_delete(queue.name)
        async with contextlib.aclosing(self._letters(queue)) as messages:
            async for message in messages:
                await message.ack()
        async with self._channel() as channel:
            if not await self._ready(queue.dead_letters):  # else they are those of another box
                await channel.queue_delete(queue.dead_letters)
            with contextlib.suppress(ChannelPreconditionFailed):  # it was not the last one
                await channel.exchange_delete(queue.exchange, if_unused=True)

    async def _forget(self, queue: Queue) -> None:
        inbox = self._inboxes.pop(queue, None)
        if inbox is not None:
            await inbox.leave()

    async def close(self) -> None:
        for inbox in self._inboxes.values():
            await inbox.leave()
        await self._connection.close()

    @contextlib.asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        """A channel for a few calls: the broker closes a channel over whatever it does not like."""
        channel = await self._connection.channel()
        try:
            yield channel
        finally:
            if not channel.is_closed:
                await channel.close()


def _receipt(delivery: Delivery) -> tuple[Inbox, AbstractIncomingMessage]:
    receipt = delivery.receipt
    if (
        isinstance(receipt, tuple)
        and isinstance(receipt[0], Inbox)
        and isinstance(receipt[1], AbstractIncomingMessage)
        and not receipt[0].channel.is_closed
    ):
        return receipt[0], receipt[1]
    raise BrokerFault(f"a delivery of {delivery.queue.name} is not in our hands any more; it will come again")


def _message(parcel: Parcel, headers: dict[str, Any]) -> Message:
    return Message(parcel.body, headers=headers, message_id=parcel.ident, delivery_mode=DeliveryMode.PERSISTENT)


def _groups(parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
    """Parcels that may be under way at the same time."""
    group, size = list[Parcel](), 0
    for parcel in parcels:
        if group and (len(group) == 256 or size + len(parcel.body) > _FLIGHT):
            yield group
            group, size = [], 0
        group.append(parcel)
        size += len(parcel.body)
    if group:
        yield group


def _no_such(queue: Queue) -> BrokerFault:
    return BrokerFault(f"there is no queue {queue.name} at the broker; it was removed, or never made")
