"""Delay that varies: of calls to a carrier, or of the bytes on a connection to a broker."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time


class Jittery:
    """A carrier whose calls take up to `most` seconds longer, and whose deliveries come twice or in another order."""

    def __init__(self, carrier, most: float, seed: int) -> None:
        self._carrier, self._most, self._draw = carrier, most, random.Random(seed)

    def _wait(self):
        time.sleep(self._draw.uniform(0, self._most))

    def publish(self, queue, parcels):
        self._wait()
        self._carrier.publish(queue, parcels)
        if self._draw.random() < 0.2:
            self._carrier.publish(queue, parcels)  # the confirmation came late, so it was tried again
        self._wait()

    def consume(self, queue, most, wait):
        self._wait()
        deliveries = self._carrier.consume(queue, most, wait)
        self._draw.shuffle(deliveries)
        return deliveries

    def acknowledge(self, deliveries):
        self._wait()
        self._carrier.acknowledge(deliveries)

    def __getattr__(self, name):
        return getattr(self._carrier, name)


class JitterRelay:
    """Between clients and a server at `port`: each chunk of bytes is delayed by up to `most` seconds, in order."""

    def __init__(self, port: int, most: float, seed: int) -> None:
        self._target, self._most, self._draw = port, most, random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        with contextlib.suppress(asyncio.CancelledError):  # at the end of the test
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader, writer):
        """Every chunk leaves at the latest `most` after it came, and not before the one that came earlier."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.create_task(self._deliver(queue, writer))
        due = 0.0
        try:
            while data := await reader.read(65536):
                due = max(due, time.monotonic() + self._draw.uniform(0, self._most))
                queue.put_nowait((due, data))
        except OSError:
            pass
        queue.put_nowait((due, b""))
        await sender

    async def _deliver(self, queue, writer):
        try:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
