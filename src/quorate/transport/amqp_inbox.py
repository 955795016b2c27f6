"""The consumer of one queue at RabbitMQ."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

from quorate.errors import BrokerFault

__all__ = ["Inbox"]


class Inbox:
    """The consumer of one queue: what has arrived, and the tags of what was handed on and not acknowledged."""

    def __init__(self, name: str, channel: AbstractChannel) -> None:
        self.channel = channel
        self.window = 0
        self.handed: set[int] = set()
        self.waiting: deque[AbstractIncomingMessage] = deque()
        self._name = name
        self._tag: str | None = None
        self._arrived = asyncio.Event()
        self._floor, self._above = 0, set[int]()  # acknowledged: all tags up to here, and these
        channel.close_callbacks.add(self._stirred)

    async def begin(self, window: int) -> None:
        """Consume, with at most `window` parcels out of the broker's hands."""
        source = await self.channel.get_queue(self._name, ensure=False)
        if self._tag is not None:
            await source.cancel(self._tag)
        await self.channel.set_qos(prefetch_count=window)
        self._tag = await source.consume(self._arrive)
        self.window = window

    async def take(self, most: int, wait: float) -> list[AbstractIncomingMessage]:
        """Up to `most` messages, waiting for the first."""
        if not self.waiting:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._arrived.wait()
        if self.channel.is_closed:
            raise BrokerFault("the broker closed a channel: a queue is gone, or a parcel was in hand for too long")
        got = [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]
        self.handed.update(_tag_of(message) for message in got)
        return got

    async def acknowledge(self, messages: Sequence[AbstractIncomingMessage]) -> None:
        """With one word for all that follow on what was acknowledged before: the broker does not like many."""
        tags = {_tag_of(message): message for message in messages}
        tags = {tag: tags[tag] for tag in sorted(tags) if tag in self.handed}
        last = self._floor
        while last + 1 in tags:
            last += 1
        if last > self._floor:
            await tags[last].ack(multiple=True)
        for tag, message in tags.items():
            if tag > last:
                await message.ack()
        self._floor = last
        self._above.update(tag for tag in tags if tag > last)
        while self._floor + 1 in self._above:
            self._floor += 1
            self._above.discard(self._floor)
        self.handed.difference_update(tags)

    async def leave(self) -> None:
        """Close the channel, after the broker has read our acknowledgements."""
        with contextlib.suppress(AMQPError, ChannelInvalidStateError):
            await self.channel.declare_queue(self._name, passive=True)
        if not self.channel.is_closed:
            await self.channel.close()

    async def _arrive(self, message: AbstractIncomingMessage) -> None:
        self.waiting.append(message)
        self._arrived.set()

    def _stirred(self, *_: object) -> None:
        self._arrived.set()


def _tag_of(message: AbstractIncomingMessage) -> int:
    return message.delivery_tag or 0
