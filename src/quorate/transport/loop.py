"""What carriers share: the TLS side of a client, and a loop of their own for libraries that want asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import ssl
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from quorate.errors import EnvironmentFault, UserError
from quorate.transport.carrier import Credentials
from quorate.transport.tls import load_contexts

__all__ = ["LoopThread", "client_context"]

T = TypeVar("T")
_LEAVE = 5.0


class LoopThread:
    """An asyncio loop in a thread of its own, to be called from ordinary code."""

    def __init__(self, name: str) -> None:
        """`name` is that of the thread, for whoever looks at a process that hangs."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T], timeout: float | None) -> T:
        """What the coroutine returns or raises.

        Raises:
            TimeoutError: it took longer than `timeout` seconds; it has been cancelled.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise TimeoutError(f"no answer within {timeout} s") from None
        except BaseException:
            future.cancel()
            raise

    def quietly(self, coroutine: Coroutine[Any, Any, object], timeout: float | None) -> None:
        """Run it to the end or for `timeout` seconds, whatever it raises: for leaving."""
        with contextlib.suppress(Exception, concurrent.futures.CancelledError):
            self.call(coroutine, timeout)

    def stop(self) -> None:
        """Cancel what still runs and end the thread; never raises, twice is fine."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_LEAVE)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            _cancel_all(self._loop)
            _hang_up(self._loop)
            self._loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(Exception):
        loop.run_until_complete(asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), _LEAVE))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_default_executor(), _LEAVE))


def _hang_up(loop: asyncio.AbstractEventLoop) -> None:
    """Close the sockets of a library that had no time to do it: the other side did not answer its farewell."""
    for transport in list(getattr(loop, "_transports", {}).values()):
        transport.abort()
    with contextlib.suppress(Exception):
        loop.run_until_complete(asyncio.sleep(0))


def client_context(credentials: Credentials) -> ssl.SSLContext | None:
    """TLS 1.3 with our certificate, for a broker whose certificate must be of our authority and bear its host's name.

    None, which is no TLS at all, only under `insecure_plaintext_for_tests`. Without a certificate of our own the broker
    has to know us by password, or refuses.

    Raises:
        UserError: no authority, or one of certificate and key without the other.
        EnvironmentFault: a file is missing or unreadable.
    """
    if credentials.insecure_plaintext_for_tests:
        return None
    certificate, key, authority = credentials.certificate, credentials.key, credentials.authority
    if authority is None or (certificate is None) != (key is None):
        raise UserError("a broker is reached over TLS only; give certificate, key and authority (PEM files)")
    if certificate is not None and key is not None:
        context = load_contexts(certificate, key, authority).client
        context.check_hostname = True
        return context
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority)
    except (ssl.SSLError, OSError):
        raise EnvironmentFault(f"{authority} cannot be read as certificates in PEM form") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
