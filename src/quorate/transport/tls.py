"""TLS 1.3 with mutual certificates: contexts, the pinned identity of a peer, and errors that say what to do."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import EnvironmentFault, IdentityError

__all__ = ["Contexts", "describe_refusal", "fingerprint_of", "load_contexts", "peer_fingerprint", "verify_peer"]

_EXPIRED, _NOT_YET = 10, 9
_OTHER_AUTHORITY = {2, 7, 18, 19, 20, 21}
_ALERTS = {
    "EXPIRED": "it says that our certificate has expired: renew it, and compare the clocks of both machines",
    "UNKNOWN_CA": "it says that our certificate comes from another certificate authority: use one of the federation's",
    "BAD_CERTIFICATE": "it says that our certificate is not valid: check its dates and who issued it",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate: check its dates and who issued it",
    "UNSUPPORTED_CERTIFICATE": "it says that our certificate may not be used for this; issue it for client and server",
    "CERTIFICATE_REQUIRED": "it received no certificate from us: check our certificate and key files",
    "DECRYPT_ERROR": "it says that our certificate was not signed by its certificate authority",
}


@dataclass(frozen=True, repr=False)
class Contexts:
    """What one member needs to open and to accept connections; made by `load_contexts`."""

    client: ssl.SSLContext
    server: ssl.SSLContext


def load_contexts(certificate: Path, key: Path, authority: Path) -> Contexts:
    """TLS contexts from PEM files: our certificate, its private key, and the authority of the federation.

    Only TLS 1.3, and only with certificates on both sides. Host names are not checked, because a peer is recognised
    by the exact certificate that was pinned for it (`verify_peer`).

    Raises:
        EnvironmentFault: a file is missing, unreadable or not what it should be; names the files.
    """
    for path in (certificate, key, authority):
        if not path.is_file():
            raise EnvironmentFault(f"{path}: no such file; make it with `quorate pki`, or correct the path")
    return Contexts(
        _context(ssl.PROTOCOL_TLS_CLIENT, certificate, key, authority),
        _context(ssl.PROTOCOL_TLS_SERVER, certificate, key, authority),
    )


def _context(protocol: int, certificate: Path, key: Path, authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    try:
        context.load_verify_locations(authority)
    except (ssl.SSLError, OSError):
        raise EnvironmentFault(f"{authority} cannot be read as certificates in PEM form") from None
    try:
        # An empty password makes OpenSSL fail on an encrypted key instead of asking the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError):
        raise EnvironmentFault(
            f"{certificate} and {key} cannot be used together: both must be readable, in PEM form, without a password, "
            "and the key must be that of the certificate"
        ) from None
    return context


def fingerprint_of(der: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits for a certificate in DER form."""
    return "sha256:" + hashlib.sha256(der).hexdigest()


def peer_fingerprint(tls: ssl.SSLObject | ssl.SSLSocket) -> str:
    """The fingerprint of the certificate that the peer has proved to own. Raises `IdentityError` if it has none."""
    der = tls.getpeercert(binary_form=True)
    if der is None:
        raise IdentityError("the peer showed no certificate; every party of a federation needs one")
    return fingerprint_of(der)


def verify_peer(tls: ssl.SSLObject | ssl.SSLSocket, name: str, fingerprint: str) -> None:
    """Check after the handshake that the peer is the member `name`, whose certificate has that fingerprint.

    Raises:
        IdentityError: another certificate, even if of the same authority; names both fingerprints.
    """
    actual = peer_fingerprint(tls)
    if actual != fingerprint:
        raise IdentityError(
            f"whoever answers for {name} showed the certificate {actual}, but {fingerprint} is pinned for {name}; "
            f"ask {name} whether its certificate was renewed (then update the federation file), or check its address"
        )


def describe_refusal(problem: ssl.SSLError, peer: str) -> IdentityError | None:
    """The error for a failed handshake if identity was the reason, on either side; None for other reasons."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return IdentityError(f"the certificate of {peer} {_verification(problem)}")
    reason = problem.reason or ""
    for alert, text in _ALERTS.items():
        if "ALERT" in reason and alert in reason:
            return IdentityError(f"{peer} refused our certificate: {text}")
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return IdentityError(f"{peer} showed no certificate; every party of a federation needs one")
    return None


def _verification(problem: ssl.SSLCertVerificationError) -> str:
    code = problem.verify_code
    if code == _EXPIRED:
        return "has expired: it has to be renewed; if it should be valid, compare the clocks of both machines"
    if code == _NOT_YET:
        return "is not valid yet: compare the clocks of both machines"
    if code in _OTHER_AUTHORITY:
        return (
            "was issued by another certificate authority than the one of this federation: compare the `ca` files of "
            "both sides"
        )
    return f"is not acceptable: {problem.verify_message}"
