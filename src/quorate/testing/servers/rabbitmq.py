"""RabbitMQ for tests: TLS 1.3 only, members by the common name of their certificates, one small Erlang machine.

A member may do what the documentation for operators advises: everything with boxes of its own, publish to those of
others. A `VISITOR` may only send, `OPERATOR` do everything with all queues of quorate.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from quorate.testing.servers.base import HOST, OPERATOR, VISITOR, Server, free_port, listens

__all__ = ["OWNER", "SENDER", "RabbitServer"]

_NODE = "quorate@localhost"
_SCRIPTS = ("/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/homebrew/sbin")
_CONFIGURATION = """\
listeners.tcp = none
listeners.ssl.1 = {host}:{port}
ssl_options.cacertfile = {pki}/ca.crt
ssl_options.certfile = {pki}/server.crt
ssl_options.keyfile = {pki}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_options.versions.1 = tlsv1.3
ssl_options.ciphers.1 = TLS_AES_256_GCM_SHA384
ssl_options.ciphers.2 = TLS_AES_128_GCM_SHA256
ssl_options.ciphers.3 = TLS_CHACHA20_POLY1305_SHA256
auth_mechanisms.1 = EXTERNAL
ssl_cert_login_from = common_name
max_message_size = 16777216
distribution.listener.interface = {host}
load_definitions = {home}/definitions.json
log.file.level = warning
"""
OWNER = r"^mpc\.(invitations\.NAME|[0-9a-z]+\.(exchange|shares|dlq|(rounds|shares|sets|replies|dlq)\.NAME))$"
"""What the owner of an inbox may configure, write and read, with its name for NAME; also in the documentation."""
SENDER = r"^mpc\.[0-9a-z]+\.exchange$"
"""What somebody who only sends to it may write; to configure and read it needs nothing."""


class RabbitServer(Server):
    """One node; users are the members, without passwords."""

    scheme: ClassVar[str] = "amqps"

    def __init__(self, folder: Path, members: Sequence[str], *, host: str = HOST) -> None:
        super().__init__(folder, [*members, OPERATOR], host=host)
        self._epmd, self._distribution = free_port(), free_port()
        text = _CONFIGURATION.format(host=HOST, port=self.port, pki=self.pki, home=self.home)
        (self.home / "rabbitmq.conf").write_text(text)
        (self.home / "enabled_plugins").write_text("[rabbitmq_auth_mechanism_ssl].\n")
        (self.home / "definitions.json").write_text(json.dumps(_definitions(self.members)))

    @classmethod
    def missing(cls) -> str | None:
        if _script() is None or shutil.which("epmd") is None:
            return "no RabbitMQ on this machine (Debian: apt install rabbitmq-server)"
        return None

    def names(self) -> set[str]:
        found = set[str]()
        for kind in ("list_queues", "list_exchanges"):
            command = [str(_script("rabbitmqctl")), "-n", _NODE, "--silent", kind, "name"]
            found.update(self._ask(command, self._environment()))
        return found

    def _launch(self) -> None:
        # Erlang would start this one in the background, where it outlives everything.
        self._spawn(["epmd", "-port", str(self._epmd), "-address", HOST], {})
        self._spawn([str(_script())], self._environment())

    def _ready(self) -> bool:
        return listens(self._epmd) and listens(self.port)

    def _environment(self) -> dict[str, str]:
        home = self.home
        return {
            "HOME": str(home),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._epmd),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_PID_FILE": str(home / "pid"),
            # One scheduler thread: tests share a small machine.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +A 4 +SDio 2",
        }


def _definitions(members: Sequence[str]) -> dict[str, object]:
    return {
        "vhosts": [{"name": "/"}],
        "users": [{"name": name, "password_hash": "", "tags": [], "limits": {}} for name in members],
        "permissions": [_permission(name) for name in members],
    }


def _permission(name: str) -> dict[str, str]:
    if name == OPERATOR:
        return {"user": name, "vhost": "/"} | dict.fromkeys(("configure", "write", "read"), r"^mpc\.")
    if name.startswith(VISITOR):
        return {"user": name, "vhost": "/", "configure": "^$", "write": SENDER, "read": "^$"}
    return {"user": name, "vhost": "/"} | dict.fromkeys(("configure", "write", "read"), OWNER.replace("NAME", name))


def _script(name: str = "rabbitmq-server") -> Path | None:
    """A script of the server's own: those in the path of Debian change the user and forget the environment."""
    for folder in _SCRIPTS:
        path = Path(folder, name)
        if path.is_file():
            return path
    found = shutil.which(name)
    return Path(found) if found else None
