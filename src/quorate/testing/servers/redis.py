"""Redis for tests: TLS 1.3 only, certificate and password per member, every write on disk before it is confirmed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from quorate.crypto.entropy import SystemEntropy
from quorate.testing.servers.base import HOST, Server
from quorate.transport.carrier import Credentials

__all__ = ["RedisServer"]

_CONFIGURATION = """\
port 0
tls-port {port}
bind {host}
tls-cert-file {pki}/server.crt
tls-key-file {pki}/server.key
tls-ca-cert-file {pki}/ca.crt
tls-auth-clients yes
tls-protocols "TLSv1.3"
appendonly yes
appendfsync {appendfsync}
maxmemory-policy {policy}
save ""
aclfile {home}/users.acl
protected-mode no
dir {home}
"""
# What a member may do; the documentation for operators has the same line.
_USER = "user {name} on >{password} resetchannels ~mpc.* +@connection +@stream +@scripting +@transaction {more}\n"
_MORE = "+hget +hset +hdel +hincrby +hexists +sadd +srem +scard +del +unlink +exists +time +config|get -@dangerous"


class RedisServer(Server):
    """One instance; 7.0 cannot tell members by certificate, so each has a password on top."""

    scheme: ClassVar[str] = "rediss"

    def __init__(
        self,
        folder: Path,
        members: Sequence[str],
        *,
        host: str = HOST,
        appendfsync: str = "always",
        policy: str = "noeviction",
    ) -> None:
        super().__init__(folder, members, host=host)
        self._passwords = {name: SystemEntropy().bytes(16).hex() for name in members}
        users = [_USER.format(name=name, password=word, more=_MORE) for name, word in self._passwords.items()]
        (self.home / "users.acl").write_text("user default off\n" + "".join(users))
        text = _CONFIGURATION.format(
            host=HOST, port=self.port, pki=self.pki, home=self.home, appendfsync=appendfsync, policy=policy
        )
        (self.home / "redis.conf").write_text(text)

    @classmethod
    def missing(cls) -> str | None:
        if shutil.which("redis-server") is None:
            return "no redis-server on this machine (Debian: apt install redis-server)"
        return None

    def credentials(self, member: str) -> Credentials:
        proof = super().credentials(member)
        return dataclasses.replace(proof, user=member, password=self._passwords[member])

    def _launch(self) -> None:
        self._spawn(["redis-server", "redis.conf"], {})
