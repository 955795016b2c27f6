"""Who the brokers of Kafka are, and how we prove to each other who we are."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from quorate.errors import BrokerFault, UserError
from quorate.transport.carrier import Credentials
from quorate.transport.tls import describe_refusal

__all__ = ["hosts_of", "security_of", "shake_hands"]

_SECONDS = 10.0
_PORT = 9092
_NO_TLS_1_2 = "PSK-AES256-GCM-SHA384"
"""Suites up to TLS 1.2: one that needs a secret which nobody has. Those of TLS 1.3 are another list, and stay."""


def hosts_of(parts: SplitResult) -> list[tuple[str, int]]:
    """The brokers in `kafka://host:port,host:port`. Raises `UserError` for what is malformed."""
    hosts = []
    for text in parts.netloc.split(","):
        try:
            one = urlsplit(f"//{text}")
            hosts.append((one.hostname or "", one.port or _PORT))
        except ValueError:
            hosts.append(("", 0))
    if not all(host for host, _ in hosts):
        raise UserError(f"kafka://{parts.netloc}: write kafka://host:port, or kafka://host:port,host:port")
    return hosts


def shake_hands(hosts: Sequence[tuple[str, int]], context: ssl.SSLContext) -> None:
    """One of the brokers has to speak TLS 1.3 and to have the right certificate; else `BrokerFault` says why not."""
    reasons = []
    for host, port in hosts:
        try:
            with (
                socket.create_connection((host, port), _SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=host),
            ):
                return
        except OSError as problem:
            refusal = describe_refusal(problem, f"{host}:{port}") if isinstance(problem, ssl.SSLError) else None
            reasons.append(str(refusal or f"{host}:{port}: {problem}"))
    raise BrokerFault("no connection to Kafka: " + "; ".join(reasons))


def security_of(credentials: Credentials) -> dict[str, Any]:
    """What librdkafka has to be told for TLS 1.3 with our certificate, and the broker's for the name that we call."""
    if credentials.insecure_plaintext_for_tests:
        return {"security.protocol": "plaintext"}
    files = {
        "ssl.ca.location": credentials.authority,
        "ssl.certificate.location": credentials.certificate,
        "ssl.key.location": credentials.key,
    }
    return {
        "security.protocol": "ssl",
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.cipher.suites": _NO_TLS_1_2,
        **{name: str(path) for name, path in files.items() if path is not None},
    }
