"""Redis for tests: TLS 1.3 only, certificate and password per member, every write on disk before it is confirmed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from quorate.crypto.entropy import SystemEntropy
from quorate.testing.servers.base import HOST, OPERATOR, VISITOR, Server
from quorate.transport.carrier import Credentials

__all__ = ["DEFAULT", "OWNER", "SENDER", "RedisServer"]

_CONFIGURATION = """\
port 0
tls-port {port}
bind {host}
tls-cert-file {pki}/server.crt
tls-key-file {pki}/server.key
tls-ca-cert-file {pki}/ca.crt
tls-auth-clients yes
tls-protocols "TLSv1.3"
appendonly {appendonly}
appendfsync {appendfsync}
maxmemory-policy {policy}
save ""
aclfile {home}/users.acl
protected-mode no
dir {home}
"""
DEFAULT = "user default off resetpass ~* &* +@all"
"""Nobody can log in as this one; but Redis reads its own log at start with its rights, and skips what it may not do."""
OWNER = (
    "resetchannels ~mpc.* +@connection -@dangerous +config|get +evalsha +script|load +time +unlink "
    "+xadd +xrange +xdel +xack +xlen +xpending +xclaim +xreadgroup +xgroup|create "
    "+hget +hmget +hset +hdel +hincrby +hexists +exists +sadd +srem +smembers"
)
"""What the owner of an inbox may do; also in the documentation."""
SENDER = (
    "resetchannels ~mpc.* +@connection -@dangerous +config|get +evalsha +script|load "
    "+xadd +hmget +hset +hincrby +hexists"
)
"""What somebody may do who only sends to it."""


class RedisServer(Server):
    """One instance; 7.0 cannot tell members by certificate, so each has a password on top."""

    scheme: ClassVar[str] = "rediss"

    def __init__(
        self,
        folder: Path,
        members: Sequence[str],
        *,
        host: str = HOST,
        appendonly: str = "yes",
        appendfsync: str = "always",
        policy: str = "noeviction",
    ) -> None:
        super().__init__(folder, [*members, OPERATOR], host=host)
        self._passwords = {name: SystemEntropy().bytes(16).hex() for name in self.members}
        rules = {name: SENDER if name.startswith(VISITOR) else OWNER for name in members} | {OPERATOR: "~* +@all"}
        users = [f"user {name} on >{self._passwords[name]} {rule}" for name, rule in rules.items()]
        (self.home / "users.acl").write_text("\n".join([DEFAULT, *users, ""]))
        facts = {"appendonly": appendonly, "appendfsync": appendfsync, "policy": policy}
        text = _CONFIGURATION.format(host=HOST, port=self.port, pki=self.pki, home=self.home, **facts)
        (self.home / "redis.conf").write_text(text)

    @classmethod
    def missing(cls) -> str | None:
        if shutil.which("redis-server") is None:
            return "no redis-server on this machine (Debian: apt install redis-server)"
        return None

    def credentials(self, member: str) -> Credentials:
        proof = super().credentials(member)
        return dataclasses.replace(proof, user=member, password=self._passwords[member])

    def names(self) -> set[str]:
        tls = ["--tls", "--cert", "operator.crt", "--key", "operator.key", "--cacert", "ca.crt"]
        command = ["redis-cli", "-h", HOST, "-p", str(self.port), *tls, "--user", OPERATOR, "--scan"]
        return set(self._ask(command, {"REDISCLI_AUTH": self._passwords[OPERATOR]}, self.pki))

    def _launch(self) -> None:
        self._spawn(["redis-server", "redis.conf"], {})
