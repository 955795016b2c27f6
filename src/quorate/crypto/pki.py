"""Certificates for mutual TLS 1.3: an authority, members' certificates, and their checks.

Two ways to a certificate. `create_authority` and `issue` make everything in one folder: for a demo or one operator.
Between real organisations no key leaves its owner: each runs `create_request`, sends only NAME.csr, and the
authority answers with `sign_request`. Keys are ECDSA P-256 (from the watched source of randomness, FIPS 186-5, A.2.1),
signatures SHA-256.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from quorate.crypto.entropy import SystemEntropy
from quorate.errors import IdentityError, UserError
from quorate.files import ensure_folder, read_bytes, write_atomic

__all__ = [
    "Authority",
    "MemberKey",
    "check_certificate",
    "check_name",
    "create_authority",
    "create_request",
    "dns_name",
    "fingerprint",
    "issue",
    "load_certificate",
    "sign_request",
    "signed_by",
]

AUTHORITY_DAYS = 3650
MEMBER_DAYS = 397
_SKEW = timedelta(minutes=5)  # clocks of other organisations may run a little behind
_LIMIT = 1 << 20
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256, FIPS 186-4 D.1.2.3
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority read from a folder with ca.crt and ca.key; its repr shows no key."""

    certificate: x509.Certificate
    key: _Key

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """Raises `UserError` when ca.crt or ca.key is missing, malformed or the two do not belong together."""
        certificate, key = load_certificate(folder / "ca.crt"), _load_key(folder / "ca.key")
        if certificate.public_key() != key.private.public_key():
            raise UserError(f"{folder}: ca.key is not the key of ca.crt; put both files of one authority there")
        return cls(certificate, key)


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    private: ec.EllipticCurvePrivateKey


class MemberKey:
    """The private key of a member's certificate, to sign with; its repr shows nothing."""

    __slots__ = ("_key",)

    def __init__(self, path: Path) -> None:
        """Read the PEM file `path`. Raises `UserError` if it holds no unencrypted elliptic-curve key."""
        self._key = _load_key(path)

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256 over `data`, DER-encoded; another signature each time."""
        return self._key.private.sign(data, ec.ECDSA(hashes.SHA256()))


def signed_by(certificate: x509.Certificate, signature: bytes, data: bytes) -> bool:
    """Whether `signature` over `data` was made with the key of `certificate`, see `MemberKey.sign`."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def check_name(name: str) -> str:
    """`name` itself, if it can name a member: 1-63 of a-z, 0-9 and inner hyphens; else `UserError`."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name a member; use 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends"
        )
    return name


def dns_name(name: str) -> str:
    """The DNS name in a member's certificate, which TLS peers verify: NAME.quorate.internal."""
    return f"{name}.quorate.internal"


def create_authority(folder: Path, name: str, *, now: datetime | None = None) -> None:
    """Write ca.crt and ca.key (mode 0600) into `folder`, valid for 10 years from `now`.

    Raises:
        UserError: ca.key or ca.crt exists already.
    """
    _refuse_existing(folder / "ca.key", folder / "ca.crt")
    key = _Key(_new_private_key())
    subject = _common_name(f"{check_name(name)} quorate authority")
    builder = _builder(subject, subject, key.private.public_key(), AUTHORITY_DAYS, now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    ensure_folder(folder, 0o700)
    _write_key(folder / "ca.key", key)
    write_atomic(folder / "ca.crt", _pem(builder.sign(key.private, hashes.SHA256())))


def issue(
    folder: Path, members: Mapping[str, str | None], *, days: int = MEMBER_DAYS, now: datetime | None = None
) -> None:
    """Write NAME.crt and NAME.key (mode 0600) for every member, signed by the authority in `folder`.

    Args:
        folder: holds ca.crt and ca.key.
        members: member name -> host name or IP address (no port) to put in the certificate, or None.

    Raises:
        UserError: a key exists already (then nothing is written), a bad name, or no authority in `folder`.
    """
    authority = Authority.load(folder)
    for name in members:
        _refuse_existing(folder / f"{check_name(name)}.key", folder / f"{name}.crt")
    for name, host in members.items():
        key = _Key(_new_private_key())
        certificate = _member_certificate(authority, name, host, key.private.public_key(), days, now)
        _write_key(folder / f"{name}.key", key)
        write_atomic(folder / f"{name}.crt", _pem(certificate))


def create_request(folder: Path, name: str) -> None:
    """Write NAME.key (mode 0600, stays here) and NAME.csr (goes to the authority) into `folder`.

    Raises:
        UserError: NAME.key or NAME.csr exists already, or the name is not valid.
    """
    key_path, request_path = folder / f"{check_name(name)}.key", folder / f"{name}.csr"
    _refuse_existing(key_path, request_path)
    key = _Key(_new_private_key())
    request = x509.CertificateSigningRequestBuilder().subject_name(_common_name(name))
    ensure_folder(folder, 0o700)
    _write_key(key_path, key)
    write_atomic(request_path, _pem(request.sign(key.private, hashes.SHA256())))


def sign_request(
    authority_folder: Path,
    request: Path,
    name: str,
    *,
    host: str | None = None,
    days: int = MEMBER_DAYS,
    now: datetime | None = None,
) -> Path:
    """Sign the request file for member `name`; writes NAME.crt (a renewal replaces it) beside ca.crt, returns its path.

    Only the public key is taken from the request; names and uses are decided here.

    Raises:
        UserError: the request is malformed, for another name, or not signed by its own key.
    """
    authority = Authority.load(authority_folder)
    public = _requested_key(request, check_name(name))
    target = authority_folder / f"{name}.crt"
    write_atomic(target, _pem(_member_certificate(authority, name, host, public, days, now)))
    return target


def load_certificate(source: Path | bytes) -> x509.Certificate:
    """The first certificate of a PEM file (or its content); `UserError` when there is none."""
    data = source if isinstance(source, bytes) else read_bytes(source, _LIMIT)
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise UserError(f"{_label(source)}: not a certificate in PEM format (-----BEGIN CERTIFICATE-----)") from error


def fingerprint(source: Path | bytes) -> str:
    """SHA-256 over the certificate's DER bytes: "sha256:" and 64 hexadecimal characters."""
    return "sha256:" + load_certificate(source).fingerprint(hashes.SHA256()).hex()


def check_certificate(
    certificate: Path | bytes, authority: Path | bytes, now: datetime | None = None, name: str | None = None
) -> None:
    """Check that `certificate` was issued by `authority`, is for member `name` (if given) and is valid at `now`.

    Raises:
        IdentityError: another authority, another name, expired, or not yet valid.
        UserError: one of the two is not a certificate.
    """
    cert, issuer = load_certificate(certificate), load_certificate(authority)
    label, moment = _label(certificate), now or datetime.now(UTC)
    _check_issuer(cert, issuer, label)
    if name is not None:
        _check_subject(cert, name, label)
    _check_time(cert, moment, label)
    _check_time(issuer, moment, f"the authority of {label}")


def _check_issuer(cert: x509.Certificate, issuer: x509.Certificate, label: str) -> None:
    try:
        cert.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise IdentityError(
            f"{label}: issued by another authority than the federation's ({issuer.subject.rfc4514_string()}); "
            "ask the federation's authority to sign a request of this member"
        ) from error
    if _is_authority(cert) or not _is_authority(issuer):
        raise IdentityError(f"{label}: an authority's certificate was given for a member's, or the reverse")


def _check_subject(cert: x509.Certificate, name: str, label: str) -> None:
    names = [str(attribute.value) for attribute in cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [name] or dns_name(name) not in _dns_names(cert):
        shown = ", ".join(names) or "nobody"
        raise IdentityError(f"{label}: is the certificate of {shown!r}, not of {name!r}; use the one issued to {name}")


def _check_time(cert: x509.Certificate, moment: datetime, label: str) -> None:
    if moment < cert.not_valid_before_utc:
        raise IdentityError(
            f"{label}: not valid before {cert.not_valid_before_utc:%Y-%m-%d %H:%M} UTC and this machine says "
            f"{moment:%Y-%m-%d %H:%M}; check the clock"
        )
    if moment > cert.not_valid_after_utc:
        raise IdentityError(
            f"{label}: expired on {cert.not_valid_after_utc:%Y-%m-%d %H:%M} UTC (now {moment:%Y-%m-%d %H:%M}); "
            "have a new certificate signed and pinned"
        )


def _is_authority(cert: x509.Certificate) -> bool:
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _dns_names(cert: x509.Certificate) -> list[str]:
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)


def _label(source: Path | bytes) -> str:
    return "the certificate" if isinstance(source, bytes) else str(source)


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise UserError(f"{path} already exists and is not overwritten; move it away or choose another folder")


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int, now: datetime | None
) -> x509.CertificateBuilder:
    start = now or datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, public, _serial_number())
    builder = builder.not_valid_before(start - _SKEW).not_valid_after(start + timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _member_certificate(
    authority: Authority,
    name: str,
    host: str | None,
    public: ec.EllipticCurvePublicKey,
    days: int,
    now: datetime | None,
) -> x509.Certificate:
    signer = authority.key.private
    builder = _builder(_common_name(name), authority.certificate.subject, public, days, now)
    both_ways = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(signs_certificates=False), True),
        (both_ways, False),
        (x509.SubjectAlternativeName(_alternative_names(name, host)), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, hashes.SHA256())


def _alternative_names(name: str, host: str | None) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(dns_name(name))]
    if host:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(_host_name(host))
    return names


def _host_name(host: str) -> x509.DNSName:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", host):
        raise UserError(f"{host!r} is neither an IP address nor a host name; give it without a port")
    return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _requested_key(path: Path, name: str) -> ec.EllipticCurvePublicKey:
    try:
        request = x509.load_pem_x509_csr(read_bytes(path, _LIMIT))
    except ValueError as error:
        raise UserError(f"{path}: not a certificate request in PEM format; make one with create_request") from error
    names = [str(attribute.value) for attribute in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [name]:
        raise UserError(f"{path}: is a request of {', '.join(names)!r}, not of {name!r}; check who sent it")
    public = request.public_key()
    if not request.is_signature_valid or not isinstance(public, ec.EllipticCurvePublicKey):
        raise UserError(f"{path}: the request is damaged or its key is not an elliptic-curve key; have it made again")
    if not isinstance(public.curve, ec.SECP256R1):
        raise UserError(f"{path}: the key lies on {public.curve.name}; quorate uses P-256, have the request made again")
    return public


def _new_private_key() -> ec.EllipticCurvePrivateKey:
    """64 bits more than the order has, reduced: FIPS 186-5, appendix A.2.1."""
    drawn = int.from_bytes(SystemEntropy().bytes(40), "big")
    return ec.derive_private_key(drawn % (_ORDER - 1) + 1, ec.SECP256R1())


def _serial_number() -> int:
    """159 random bits, which is positive and fits into 20 octets (RFC 5280, 4.1.2.2)."""
    return (int.from_bytes(SystemEntropy().bytes(20), "big") >> 1) | 1


def _write_key(path: Path, key: _Key) -> None:
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomic(path, pem, 0o600, overwrite=False)


def _load_key(path: Path) -> _Key:
    try:
        key = serialization.load_pem_private_key(read_bytes(path, _LIMIT), password=None)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: not an unencrypted private key in PEM format") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UserError(f"{path}: not an elliptic-curve key; make the authority with create_authority")
    return _Key(key)


def _pem(item: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return item.public_bytes(serialization.Encoding.PEM)
