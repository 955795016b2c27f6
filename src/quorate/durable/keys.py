"""The keys of a durable session: made from one seed, exchanged under the participants' certificates.

Every participant makes an X25519 key and an Ed25519 key for the session and signs both with the key of its certificate
(ECDSA P-256, SHA-256): its HELLO. Two participants derive from the Diffie-Hellman value of their X25519 keys (RFC 7748)
one AES-256-GCM key for each direction and purpose, by HKDF-SHA-256 (RFC 5869), bound to session, both HELLOs and the
direction: a signed Diffie-Hellman exchange as in SIGMA (Krawczyk, CRYPTO 2003), where both statements name session,
spec and speaker. Once the seed is erased, what was said cannot be read any more, even with the key of a certificate.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Protocol

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.hashing import digest_parts
from quorate.crypto.pki import signed_by
from quorate.errors import AgreementError, IdentityError, IntegrityError, PeerError

__all__ = ["NONCE", "SEED_BYTES", "Channel", "Hello", "Keys", "Signer", "derive", "read_hello"]

SEED_BYTES = 32
NONCE = 12
_HELLO = "quorate/hello/1"
_SIGNED = "quorate/message/1"


class Signer(Protocol):
    """The private key of a certificate, wherever it is kept."""

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256 over `data`, DER-encoded."""


class Hello(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A participant's keys for a session, and the signature of its certificate's key over them."""

    session: str
    spec: str
    sender: int
    exchange: bytes
    signing: bytes
    signature: bytes = b""

    def statement(self) -> bytes:
        """What is signed."""
        parts = [self.session.encode(), self.spec.encode(), self.sender.to_bytes(4, "big"), self.exchange, self.signing]
        return digest_parts(parts, _HELLO)


def read_hello(data: bytes, session: str, spec: str, sender: int, certificate: x509.Certificate, who: str) -> Hello:
    """The HELLO of participant `sender`, checked.

    Raises:
        PeerError: malformed, or for another session or sender.
        IdentityError: not signed by the key of `certificate`.
        AgreementError: the sender holds another spec.
    """
    try:
        hello = msgspec.msgpack.decode(data, type=Hello)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise PeerError(f"{who} greeted us with something malformed; compare releases") from None
    if (hello.session, hello.sender) != (session, sender) or len(hello.exchange) != 32 or len(hello.signing) != 32:
        raise PeerError(f"{who} greeted us for another session or under another name; compare its spec")
    if not signed_by(certificate, hello.signature, hello.statement()):
        raise IdentityError(
            f"the session keys of {who} are not signed by the key of its pinned certificate; somebody pretends to be "
            f"{who}, or its certificate was renewed (then update the federation file)"
        )
    if hello.spec != spec:
        raise AgreementError(f"{who} holds another version of the spec or plan than we do; compare both copies")
    return hello


def derive(secret: bytes, purpose: str, *context: bytes, length: int = 32) -> bytes:
    """HKDF-SHA-256 of `secret` for one purpose."""
    return HKDF(hashes.SHA256(), length, None, digest_parts(context, f"quorate/{purpose}/1")).derive(secret)


class Keys:
    """Our keys of one session, all derived from its seed."""

    __slots__ = ("_exchange", "_signing", "hello", "me", "session")

    def __init__(self, seed: bytes, session: str, me: int) -> None:
        self.session, self.me = session, me
        self._exchange = X25519PrivateKey.from_private_bytes(derive(seed, "exchange", session.encode()))
        self._signing = Ed25519PrivateKey.from_private_bytes(derive(seed, "signing", session.encode()))

    def __repr__(self) -> str:
        return f"<Keys of session {self.session}>"

    def stated(self, spec: str) -> Hello:
        """What our HELLO states, unsigned."""
        return Hello(
            session=self.session,
            spec=spec,
            sender=self.me,
            exchange=self._exchange.public_key().public_bytes_raw(),
            signing=self._signing.public_key().public_bytes_raw(),
        )

    def greet(self, spec: str, signer: Signer) -> bytes:
        """Our HELLO. ECDSA signatures differ each time: make one per session, and keep it."""
        plain = self.stated(spec)
        return msgspec.msgpack.encode(msgspec.structs.replace(plain, signature=signer.sign(plain.statement())))

    def sign(self, header: bytes, digest: bytes) -> bytes:
        """Ed25519 over the header of a message's first piece and the SHA-256 of its ciphertext; 64 bytes."""
        return self._signing.sign(digest_parts([header, digest], _SIGNED))

    def channel(self, ours: Hello, peer: Hello) -> Channel:
        """The keys for what we and `peer` send each other, bound to what both HELLOs state.

        Raises:
            IntegrityError: the peer chose a key of small order.
        """
        try:
            shared = self._exchange.exchange(X25519PublicKey.from_public_bytes(peer.exchange))
        except ValueError:
            raise IntegrityError(f"peer {peer.sender} chose an exchange key that makes no secret; it cheated") from None
        statements = {self.me: ours.statement(), peer.sender: peer.statement()}
        first, second = (statements[index] for index in sorted(statements))

        def key(purpose: str, sender: int) -> AESGCM:
            return AESGCM(derive(shared, purpose, self.session.encode(), first, second, sender.to_bytes(4, "big")))

        return Channel(
            key("data", self.me),
            key("data", peer.sender),
            key("control", self.me),
            key("control", peer.sender),
            derive(shared, "nonces", self.session.encode(), first, second, self.me.to_bytes(4, "big")),
            Ed25519PublicKey.from_public_bytes(peer.signing),
        )


@dataclass(frozen=True, slots=True, repr=False)
class Channel:
    """Both directions between two participants: what is sent is sealed, what arrives is opened and its origin checked.

    Every sealed text begins with its nonce. That of a message's piece is derived from its position and the digest of
    the message: the same whenever it is sealed, and another one for another message, even if that came to stand at the
    same position through a journal that was put back. Those of control messages, never sent twice, are random.
    """

    _send: AESGCM
    _receive: AESGCM
    _send_control: AESGCM
    _receive_control: AESGCM
    _nonces: bytes
    _signer: Ed25519PublicKey

    def seal(self, place: bytes, digest: bytes, header: bytes, body: bytes | memoryview) -> bytes:
        """One piece, at `place`, of the message with that SHA-256."""
        nonce = hmac.digest(self._nonces, place + digest, "sha256")[:NONCE]
        return nonce + self._send.encrypt(nonce, body, header)

    def open(self, header: bytes, sealed: bytes | memoryview) -> bytes | None:
        """The piece, or None if it is not what the peer sealed."""
        return _opened(self._receive, header, sealed)

    def seal_control(self, header: bytes, body: bytes) -> bytes:
        """A status or farewell."""
        nonce = SystemEntropy().bytes(NONCE)
        return nonce + self._send_control.encrypt(nonce, body, header)

    def open_control(self, header: bytes, sealed: bytes | memoryview) -> bytes | None:
        """The inverse; None if it is not what the peer sealed."""
        return _opened(self._receive_control, header, sealed)

    def signed(self, header: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether the peer has signed this message."""
        try:
            self._signer.verify(signature, digest_parts([header, digest], _SIGNED))
        except InvalidSignature:
            return False
        return True


def _opened(key: AESGCM, header: bytes, sealed: bytes | memoryview) -> bytes | None:
    try:
        return key.decrypt(bytes(sealed[:NONCE]), sealed[NONCE:], header)
    except (InvalidTag, ValueError):
        return None
