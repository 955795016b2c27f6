"""Connecting to Redis: TLS, and whether it keeps what it confirms."""

from __future__ import annotations

import logging
import ssl
from typing import Any
from urllib.parse import SplitResult

from quorate.errors import BrokerFault, UserError
from quorate.transport.carrier import Credentials
from quorate.transport.loop import client_context
from quorate.transport.tls import describe_refusal

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise UserError("brokers at rediss: need the package redis; run: pip install 'quorate[redis]'") from None

__all__ = ["TROUBLE", "opened", "refusal", "text"]

_log = logging.getLogger(__name__)
_ANSWER, _CONNECT = 30.0, 20.0
TROUBLE = (redis.RedisError, OSError)
"""What the library raises when something is wrong with the broker or the way to it."""


def opened(parts: SplitResult, credentials: Credentials) -> tuple[Any, str]:
    """A client that is connected, and "host:port"; the broker keeps what it confirms, as far as it tells."""
    database = parts.path[1:] or "0"
    if not parts.hostname or parts.query or parts.fragment or not database.isdecimal():
        raise UserError(f"{parts.geturl()!r}: write rediss://host:port or rediss://host:port/database-number")
    where = f"{parts.hostname}:{parts.port or 6379}"
    client = redis.Redis(
        host=parts.hostname,
        port=parts.port or 6379,
        db=int(database),
        username=credentials.user,
        password=credentials.password,
        socket_timeout=_ANSWER,
        socket_connect_timeout=_CONNECT,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),  # a repeated reading would lose what the first one was given
        single_connection_client=False,
        protocol=2,
        **_tls(credentials),
    )
    try:
        client.ping()
        _check_durable(client, where)
    except BrokerFault:
        client.close()
        raise
    except TROUBLE as problem:
        client.close()
        raise BrokerFault(f"no connection to the broker {where}: {refusal(problem, where)}") from None
    return client, where


def _tls(credentials: Credentials) -> dict[str, Any]:
    if client_context(credentials) is None:  # checks the files, too
        return {"ssl": False}
    return {
        "ssl": True,
        "ssl_certfile": credentials.certificate and str(credentials.certificate),
        "ssl_keyfile": credentials.key and str(credentials.key),
        "ssl_ca_certs": str(credentials.authority),
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_3,
    }


def _check_durable(client: redis.Redis, where: str) -> None:
    """Refuse a broker that forgets by design; warn of one that may forget the last second."""
    try:
        facts: dict[str, str] = {}
        for name in ("appendonly", "appendfsync", "maxmemory-policy"):
            facts |= {text(key): text(value) for key, value in client.config_get(name).items()}
    except redis.ResponseError:
        _log.info("the broker %s does not tell its configuration; its operator has to see to appendonly etc.", where)
        return
    if facts.get("appendonly") != "yes":
        raise BrokerFault(f"the broker {where} keeps nothing on disk; its operator has to set `appendonly yes`")
    policy = facts.get("maxmemory-policy")
    if policy != "noeviction":
        raise BrokerFault(
            f"the broker {where} may delete parcels when memory is short (maxmemory-policy {policy}); "
            "its operator has to set `maxmemory-policy noeviction`"
        )
    if facts.get("appendfsync") != "always":
        _log.warning(
            "the broker %s may lose the last second of parcels when its machine fails: appendfsync is %s, not always",
            where,
            facts.get("appendfsync"),
        )


def refusal(problem: BaseException, host: str) -> str:
    """Why, in the broker's words, which never hold what was carried."""
    for cause in (problem, problem.__cause__, problem.__context__):
        if isinstance(cause, ssl.SSLError) and (refused := describe_refusal(cause, host)):
            return str(refused)
    if isinstance(problem, TimeoutError | redis.TimeoutError):
        return "no answer in time; is it overloaded, or its disk full?"
    if str(problem).startswith(("NOGROUP", "UNBLOCKED")):
        return f"there is no queue of that name; it was removed, or never made ({problem})"
    return f"{type(problem).__name__} ({problem}); check address, certificate, user and permissions"


def text(value: Any) -> str:
    """What the broker says, bytes mostly, as a string."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
