"""Durable queues at RabbitMQ (3.10 or newer): `amqps://host:port` or `amqps://host:port/virtual-host`.

The broker knows a member by the common name of its certificate (SASL EXTERNAL), or by user and password. Every parcel
is persistent and confirmed by a quorum queue. RabbitMQ does not notice copies; the receiver does.

Known limits, all covered by senders that keep a parcel until its receiver has it and by receivers that put them in
order: parcels in a queue that was declared within the last second before a broker without replicas is killed are lost,
and `provision` makes the queue anew; what was in hand when a broker was killed may come after what was not; `depth`
does not count what another connection has in hand; a delivery that is neither acknowledged nor rejected for 30 minutes
is taken back.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import ssl
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import SplitResult, unquote

from quorate.errors import BrokerFault, QueueFull, UserError
from quorate.transport.carrier import Credentials, DeadLetter, Delivery, Limits, Parcel, Queue, check_queue
from quorate.transport.loop import LoopThread, client_context
from quorate.transport.tls import describe_refusal

try:
    import aio_pika
    from aio_pika.exceptions import AMQPError
except ImportError:
    raise UserError("brokers at amqps: need the package aio-pika; run: pip install 'quorate[amqp]'") from None

from quorate.transport.amqp_client import Client

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection

__all__ = ["AmqpCarrier", "connect"]

# It writes tracebacks of every connection that breaks, to the terminal if nobody has set up logging.
for _library in ("aiormq", "aio_pika"):
    logging.getLogger(_library).addHandler(logging.NullHandler())

T = TypeVar("T")
_ANSWER = 60.0
_CONNECT = 20.0
_LEAVE = 5.0
_HEARTBEAT = 20
_PORTS = {True: 5671, False: 5672}
_TROUBLE = (AMQPError, OSError, EOFError, RuntimeError, TimeoutError, concurrent.futures.CancelledError)


def connect(parts: SplitResult, credentials: Credentials) -> AmqpCarrier:
    """A connection to the broker of an address; see `quorate.transport.carrier.open_carrier`."""
    host = parts.hostname
    if not host or parts.query or parts.fragment or parts.path.count("/") > 1:
        raise UserError(f"{parts.geturl()!r}: write amqps://host:port or amqps://host:port/virtual-host")
    context = client_context(credentials)
    port = parts.port or _PORTS[context is not None]
    loop = LoopThread(f"amqp {host}:{port}")
    vhost = unquote(parts.path[1:]) or "/"
    opening = partial(_opened, host, port, vhost, context, credentials)
    try:
        connection = loop.call(opening(), _CONNECT + _LEAVE)
    except _TROUBLE as problem:
        loop.stop()
        raise BrokerFault(f"no connection to the broker {host}:{port}: {_refusal(problem, host)}") from None
    return AmqpCarrier(loop, Client(connection, opening), f"{host}:{port}")


async def _opened(
    host: str, port: int, vhost: str, context: ssl.SSLContext | None, credentials: Credentials
) -> AbstractConnection:
    options: dict[str, Any] = {"heartbeat": _HEARTBEAT}
    if credentials.password is None:
        options["auth"] = "EXTERNAL"
    else:
        options |= {"login": credentials.user or "", "password": credentials.password}
    connection: AbstractConnection = await aio_pika.connect(
        host=host,
        port=port,
        virtualhost=vhost,
        ssl=context is not None,
        ssl_context=context,
        timeout=_CONNECT,
        **options,
    )
    return connection


class AmqpCarrier:
    """See `quorate.transport.carrier.Carrier`."""

    scheme: ClassVar[str] = "amqps"

    def __init__(self, loop: LoopThread, client: Client, where: str) -> None:
        self._loop, self._client, self._where = loop, client, where
        self._closed = False

    def provision(self, queue: Queue, limits: Limits) -> None:
        self._do(self._client.provision(check_queue(queue), limits))

    def publish(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        self._do(self._client.publish(queue, parcels), _ANSWER + len(parcels))

    def consume(self, queue: Queue, most: int, wait: float) -> list[Delivery]:
        return self._do(self._client.consume(queue, most, wait), _ANSWER + wait)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._do(self._client.acknowledge(deliveries))

    def reject(self, delivery: Delivery, reason: str) -> None:
        self._do(self._client.reject(delivery, reason))

    def depth(self, queue: Queue) -> int:
        return self._do(self._client.depth(queue))

    def dead(self, queue: Queue, most: int = 1000) -> list[DeadLetter]:
        return self._do(self._client.dead(queue, most), None)

    def retry(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        self._do(self._client.take_out(queue, letters, retry=True), None)

    def drop(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        self._do(self._client.take_out(queue, letters, retry=False), None)

    def remove(self, queue: Queue) -> None:
        self._do(self._client.remove(queue), None)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.quietly(self._client.close(), _LEAVE)
            self._loop.stop()

    def _do(self, work: Coroutine[Any, Any, T], seconds: float | None = _ANSWER) -> T:
        if self._closed:
            work.close()
            raise BrokerFault(f"the connection to the broker {self._where} is closed; open a new one")
        try:
            return self._loop.call(work, seconds)
        except QueueFull:
            raise
        except BrokerFault:
            self.close()
            raise
        except _TROUBLE as problem:
            self.close()
            raise BrokerFault(f"the broker {self._where} broke off: {_refusal(problem, self._where)}") from None


def _refusal(problem: BaseException, host: str) -> str:
    """Why, without what was carried: the library puts whole messages into its errors."""
    causes = [problem, problem.__cause__, problem.__context__]
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and (refused := describe_refusal(cause, host)):
            return str(refused)
    if isinstance(problem, TimeoutError | asyncio.TimeoutError):
        return "no answer in time; is it overloaded, or its disk or memory full?"
    text = getattr(problem, "strerror", None) or (problem.args[-1] if problem.args else "")
    kind = type(problem).__name__
    return f"{kind} ({text}); check address, certificate and permissions" if isinstance(text, str) and text else kind
