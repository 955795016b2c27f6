"""Who this process is in a federation: its certificate and key, and the pinned certificates of all others."""

from __future__ import annotations

import socket
import ssl
import stat
from functools import cached_property
from pathlib import Path

from quorate.coordination.federation import Federation, Member
from quorate.crypto.pki import MemberKey, check_certificate
from quorate.errors import EnvironmentFault, PeerError, PeerTimeout, QuorateError, UserError
from quorate.transport.tls import Contexts, describe_refusal, load_contexts, peer_fingerprint, verify_peer

__all__ = ["Identity", "tls_error"]


class Identity:
    """One member as the holder of its private key."""

    def __init__(self, federation: Federation, name: str, key: Path | None = None) -> None:
        """`key` is by default NAME.key beside the member's certificate.

        Raises:
            UserError: no such member, or a file is missing.
            IdentityError: the certificate is expired, not valid yet, for another name or from another authority.
            EnvironmentFault: other users of this machine may read the key.
        """
        self.federation = federation
        self.name = name
        self.member = federation.member(name)
        certificate = Path(self.member.certificate)
        self.key = key or certificate.with_name(f"{name}.key")
        for path, what in ((certificate, "certificate"), (Path(federation.ca), "certificate of the authority")):
            if not path.exists():
                raise UserError(f"the {what} {path} does not exist; make it with 'quorate pki', or correct the path")
        if not self.key.exists():
            raise UserError(f"the private key {self.key} of {name} does not exist; only {name} can run as {name}")
        if self.key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise EnvironmentFault(f"{self.key}: other users of this machine may read the key; run chmod 600 on it")
        check_certificate(certificate, Path(federation.ca), name=name)

    def __repr__(self) -> str:
        return f"<Identity of {self.name}>"

    @cached_property
    def contexts(self) -> Contexts:
        """TLS contexts for connections in both directions."""
        return load_contexts(Path(self.member.certificate), self.key, Path(self.federation.ca))

    @cached_property
    def signer(self) -> MemberKey:
        """Signs as this member."""
        return MemberKey(self.key)

    @cached_property
    def names(self) -> dict[str, str]:
        """Fingerprint -> member, for all members whose certificate is here."""
        return {m.fingerprint: m.name for m in self.federation.members if Path(m.certificate).exists()}

    def connect(self, raw: socket.socket, member: Member, host: str, timeout: float) -> ssl.SSLSocket:
        """The client side of a connection to `member`, for the route `host`; owns `raw` from here on.

        Raises:
            IdentityError: it is not that member.
            PeerError: no TLS connection came about.
        """
        raw.settimeout(timeout)
        try:
            sock = self.contexts.client.wrap_socket(raw, server_hostname=host)
        except OSError as problem:
            raw.close()
            raise tls_error(problem, member.name) from None
        try:
            verify_peer(sock, member.name, member.fingerprint)
        except QuorateError:
            sock.close()
            raise
        return sock

    def accept(self, raw: socket.socket, timeout: float) -> tuple[ssl.SSLSocket, str | None]:
        """The server side of a connection, and the member that called; None if its certificate is pinned for nobody.

        Raises:
            IdentityError: its certificate is not one of the federation's authority, or not valid.
            PeerError: no TLS connection came about.
        """
        raw.settimeout(timeout)
        try:
            sock = self.contexts.server.wrap_socket(raw, server_side=True)
        except OSError as problem:
            raw.close()
            raise tls_error(problem, "a caller") from None
        return sock, self.names.get(peer_fingerprint(sock))


def tls_error(problem: OSError, peer: str) -> PeerError:
    """The error for a TLS connection to `peer` that failed: an `IdentityError` if that was the reason."""
    if isinstance(problem, TimeoutError):
        return PeerTimeout(f"{peer} did not answer in time; is its machine overloaded?")
    if isinstance(problem, ssl.SSLError):
        return describe_refusal(problem, peer) or PeerError(
            f"no secure connection to {peer} ({problem.reason or 'broken'}); is it a quorate node that listens there?"
        )
    return PeerError(f"{peer} closed the connection ({problem.strerror or 'no reason given'}); see its log")
