"""A connection to NATS as `transport.nats` needs it: JetStream requests, confirmed publishing, handing out.

nats-py is asynchronous; it runs in a thread of its own here. We use its connection only and speak the JetStream
protocol (JSON over subjects) ourselves: it is small, and the client's own objects leave out what we need, such as
the time of the oldest message.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import ssl
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import SplitResult

from cryptography.x509.oid import NameOID

from quorate.crypto.pki import load_certificate
from quorate.errors import BrokerFault, UserError
from quorate.transport.carrier import Credentials
from quorate.transport.loop import LoopThread, client_context

__all__ = ["ANSWER_SECONDS", "JetStream", "Message", "Refusal", "open_jetstream"]

ANSWER_SECONDS = 20.0
"""How long a broker may take for one answer; it writes to a disk that others use too."""
CONNECT_SECONDS = 10.0
PING_SECONDS = 15
"""After two of these without an answer the connection counts as lost."""
IN_FLIGHT = 32
"""Messages published and not confirmed yet: 24 MiB of the largest parcels."""

T = TypeVar("T")


class Message(NamedTuple):
    """One message handed out or answered: headers in lower case, and where to acknowledge it."""

    headers: dict[str, str]
    body: bytes
    reply: str


class Refusal(Exception):
    """The server has answered a request with an error; `code` is JetStream's own number."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def open_jetstream(parts: SplitResult, credentials: Credentials) -> JetStream:
    """Connect, with mutual TLS 1.3 unless the credentials say that this is a test.

    Raises:
        UserError: nats-py is not installed.
        BrokerFault: no connection, or we were refused.
    """
    try:
        import nats.aio.client as library
    except ImportError:
        raise UserError("NATS needs the package nats-py; install it with: pip install 'quorate[nats]'") from None
    return JetStream(_client_class(library.Client), parts, credentials)


def _client_class(base: type) -> Any:
    class Client(base):  # type: ignore[misc]
        """nats-py goes on without TLS if the server's greeting does not ask for it, and anybody can fake that."""

        wants_tls = True
        is_checked = False

        def _connect_command(self) -> bytes:
            writer = getattr(self._transport, "_io_writer", None)
            if self.wants_tls and (writer is None or writer.get_extra_info("ssl_object") is None):
                raise ssl.SSLError("the server does not ask for TLS")
            _calm(writer)
            self.is_checked = True
            command: bytes = super()._connect_command()
            return command

    return Client


def _calm(writer: asyncio.StreamWriter | None) -> None:
    """nats-py builds its TLS stream by hand and leaves out a flag, without which asyncio warns at every farewell."""
    protocol: Any = writer.transport.get_protocol() if writer is not None else None
    if hasattr(protocol, "_over_ssl"):
        protocol._over_ssl = True


class JetStream:
    """One connection; every method blocks, and turns a lost connection into `BrokerFault`."""

    def __init__(self, client_class: Any, parts: SplitResult, credentials: Credentials) -> None:
        self.place = f"the NATS server at {parts.netloc}"
        self._loop = LoopThread("nats")
        self._broken: asyncio.Future[None] | None = None
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._numbers = itertools.count()
        self._inbox = ""
        self._client: Any = None
        self._closed = False
        try:
            context = client_context(credentials)
            self._run(self._connect(client_class(), parts, credentials, context), CONNECT_SECONDS + 5)
        except BaseException:
            self.close()
            raise

    async def _connect(
        self, client: Any, parts: SplitResult, credentials: Credentials, context: ssl.SSLContext | None
    ) -> None:
        self._broken = asyncio.get_running_loop().create_future()
        self._client, client.wants_tls = client, context is not None
        await client.connect(
            servers=[f"nats://{parts.hostname}:{parts.port or 4222}"],
            tls=context,
            user=credentials.user,
            password=credentials.password,
            allow_reconnect=False,
            ping_interval=PING_SECONDS,
            connect_timeout=CONNECT_SECONDS,
            pending_size=64 << 20,
            inbox_prefix=_inbox_prefix(credentials),
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            closed_cb=self._on_lost,
        )
        if not client.is_checked:
            raise ssl.SSLError("this release of nats-py does not let us check for TLS")
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._on_answer, pending_bytes_limit=1 << 30)

    async def _on_error(self, problem: Exception) -> None:
        self._break(problem)

    async def _on_lost(self) -> None:
        self._break(ConnectionResetError("the connection was lost"))

    def _break(self, problem: Exception) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(problem)
            self._broken.exception()  # somebody has looked: no complaint if nobody waits

    async def _on_answer(self, message: Any) -> None:
        waiter = self._waiting.pop(message.subject, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(_message(message))

    # --- from the carrier's thread ---

    def ask(self, api: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request of the JetStream API, such as "STREAM.INFO.x". Raises `Refusal` if the answer is an error."""
        data = json.dumps(body).encode() if body else b""
        return self._run(self._ask(f"$JS.API.{api}", data), ANSWER_SECONDS)

    def publish(self, subject: str, messages: Sequence[tuple[bytes, dict[str, str]]]) -> None:
        """Send in this order; returns when all of them are confirmed. Raises `Refusal` for the first that is not."""
        self._run(self._publish(subject, messages), None)

    def confirm(self, replies: Sequence[str]) -> None:
        """Acknowledge messages of one consumer; returns when the server has noted it."""
        self._run(self._confirm(replies), ANSWER_SECONDS)

    def tell(self, subjects: Sequence[str], word: bytes) -> None:
        """Send a word to each of these, without an answer."""
        self._run(self._tell(subjects, word), ANSWER_SECONDS)

    def subscribe(self) -> tuple[str, Any]:
        """A fresh inbox: its subject, and the subscription to `receive` from."""
        return self._run(self._subscribe(), ANSWER_SECONDS)

    def send(self, subject: str, reply: str, body: Mapping[str, Any]) -> None:
        """A request whose answers arrive in the inbox `reply`."""
        self._run(self._client.publish(subject, json.dumps(body).encode(), reply=reply), ANSWER_SECONDS)

    def receive(self, subscription: Any, most: int, most_bytes: int, wait: float) -> list[Message]:
        """What an inbox holds, up to so many messages, or one more than so many bytes; waits for the first."""
        return self._run(_next(subscription, most, most_bytes, wait), wait + ANSWER_SECONDS)

    def close(self) -> None:
        """Leave; never raises."""
        if self._client is not None and not self._closed:
            with contextlib.suppress(Exception):
                self._loop.call(_farewell(self._client), 5.0)
        self._closed = True
        self._loop.stop()

    # --- in the loop ---

    async def _ask(self, subject: str, data: bytes) -> dict[str, Any]:
        return _decoded(await (await self._send(subject, data, None)))

    async def _send(self, subject: str, data: bytes, headers: dict[str, str] | None) -> asyncio.Future[Message]:
        reply = f"{self._inbox}.{next(self._numbers)}"
        waiter = self._waiting[reply] = asyncio.get_running_loop().create_future()
        await self._client.publish(subject, data, reply=reply, headers=headers)
        return waiter

    async def _publish(self, subject: str, messages: Sequence[tuple[bytes, dict[str, str]]]) -> None:
        flying: deque[asyncio.Future[Message]] = deque()
        for body, headers in messages:
            if len(flying) == IN_FLIGHT:
                _decoded(await asyncio.wait_for(flying.popleft(), ANSWER_SECONDS))
            flying.append(await self._send(subject, body, headers))
        while flying:
            _decoded(await asyncio.wait_for(flying.popleft(), ANSWER_SECONDS))

    async def _confirm(self, replies: Sequence[str]) -> None:
        await self._tell(replies[:-1], b"+ACK")
        await (await self._send(replies[-1], b"+ACK", None))

    async def _tell(self, subjects: Sequence[str], word: bytes) -> None:
        for subject in subjects:
            await self._client.publish(subject, word)

    async def _subscribe(self) -> tuple[str, Any]:
        inbox = self._client.new_inbox()
        return inbox, await self._client.subscribe(inbox, pending_bytes_limit=1 << 30)

    def _run(self, work: Coroutine[Any, Any, T], seconds: float | None) -> T:
        if self._closed:
            work.close()
            raise BrokerFault(f"the connection to {self.place} is closed; open a new one")
        try:
            return self._loop.call(self._unless_broken(work), seconds)
        except (BrokerFault, Refusal, UserError):
            raise
        except Exception as problem:
            raise BrokerFault(self._explain(problem)) from None

    async def _unless_broken(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0)
        if self._broken is None:
            return await task
        try:
            both: set[asyncio.Future[Any]] = {task, self._broken}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self._broken.result()
            return task.result()
        finally:
            task.cancel()

    def _explain(self, problem: Exception) -> str:
        if isinstance(problem, ssl.SSLError | ConnectionError) or "certificate" in str(problem):
            return (
                f"{self.place} ended the connection or refused it ({problem}); compare certificates and authorities "
                "of both sides, and see the server's log"
            )
        if isinstance(problem, TimeoutError):
            return f"{self.place} did not answer in time; check that it runs, with JetStream, and that we may use it"
        return f"{self.place} failed: {problem}"


async def _farewell(client: Any) -> None:
    """Close; nats-py leaves the connection open if it failed while it was being set up."""
    if client.is_connected:
        await client.close()
        return
    for name in ("_io_writer", "_bare_io_writer"):
        if writer := getattr(getattr(client, "_transport", None), name, None):
            writer.transport.abort()


def _inbox_prefix(credentials: Credentials) -> str:
    """Where our answers go: `_INBOX.<our name>`, so that a server can forbid others to listen there."""
    if credentials.certificate is None:
        return "_INBOX"
    names = load_certificate(credentials.certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = re.sub(r"[^a-zA-Z0-9-]", "-", str(names[0].value)) if names else "nobody"
    return f"_INBOX.{name}"


async def _next(subscription: Any, most: int, most_bytes: int, wait: float) -> list[Message]:
    found: list[Message] = []
    try:
        found.append(_message(await subscription.next_msg(timeout=max(wait, 0.001))))
        size = len(found[0].body)
        while len(found) < most and size < most_bytes and subscription.pending_msgs:
            found.append(_message(await subscription.next_msg(timeout=ANSWER_SECONDS)))
            size += len(found[-1].body)
    except TimeoutError:
        pass
    return found


def _message(message: Any) -> Message:
    headers = {str(key).lower(): str(value) for key, value in (message.headers or {}).items()}
    return Message(headers, bytes(message.data), message.reply)


def _decoded(message: Message) -> dict[str, Any]:
    if message.headers.get("status") == "503":
        raise Refusal(503, "nobody answers there")
    answer = json.loads(message.body)
    if not isinstance(answer, dict):
        raise Refusal(0, "the answer is malformed")
    if error := answer.get("error"):
        raise Refusal(int(error.get("err_code", 0)), str(error.get("description", "no reason given")))
    return answer
