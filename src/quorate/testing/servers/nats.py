"""A NATS server with JetStream; it recognises members by the name in their certificate."""

from __future__ import annotations

import json
import os
import shutil
from typing import ClassVar

from quorate.testing.servers.base import HOST, VISITOR, Server

__all__ = ["NatsServer"]

_SUITES = '["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]'
"""All those of TLS 1.3 and no others: with them, older versions of the protocol find nothing in common."""

_OF_A_MEMBER = ("mpc.invitations.{}", "mpc.*.rounds.{}", "mpc.*.sets.{}", "mpc.*.replies.{}")


class NatsServer(Server):
    """`nats-server` of the package of the same name."""

    scheme: ClassVar[str] = "nats"

    @classmethod
    def missing(cls) -> str | None:
        """See `Server.missing`."""
        return None if _program() else "nats-server is not installed (package nats-server)"

    def _launch(self) -> None:
        path = self.home / "nats.conf"
        path.write_text(self.configuration())
        self._spawn([_program() or "nats-server", "-c", str(path)], {})

    def rights(self, member: str) -> str:
        """What a member may: to have an inbox of its own, or (a `VISITOR`) to send to those of the others."""
        if member.startswith(VISITOR):
            owners = [name for name in self.members if not name.startswith(VISITOR)]
            subjects = ["mpc.*.shares", *(subject.format(name) for name in owners for subject in _OF_A_MEMBER)]
        else:
            subjects = ["mpc.>", "$JS.API.>", "$JS.ACK.>"]
        return f'publish: {json.dumps(subjects)}, subscribe: ["_INBOX.{member}.>"]'

    def configuration(self) -> str:
        """The text of nats.conf."""
        users = ",\n".join(
            f'    {{ user: "CN={name}", permissions: {{ {self.rights(name)} }} }}' for name in self.members
        )
        return f"""listen: "{HOST}:{self.port}"
jetstream {{ store_dir: "{self.home / "store"}", max_mem: 64M, max_file: 20G }}
tls {{
    cert_file: "{self.pki / "server.crt"}"
    key_file: "{self.pki / "server.key"}"
    ca_file: "{self.pki / "ca.crt"}"
    verify_and_map: true
    cipher_suites: {_SUITES}
}}
authorization {{ users: [
{users}
] }}
"""


def _program() -> str | None:
    return shutil.which("nats-server", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
