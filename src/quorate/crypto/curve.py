"""The group of prime order L = 2^252 + ... of edwards25519, by libsodium.

Points and scalars are 32 bytes each. libsodium refuses to multiply a point that is not of order L (small order, an
added point of small order, the neutral point, a point not on the curve), so what a peer sends is checked when it is
multiplied; additions check nothing but that there is such a point.
"""

from __future__ import annotations

from collections.abc import Sequence

from nacl import bindings
from nacl.exceptions import CryptoError, RuntimeError, ValueError

from quorate.crypto.entropy import Entropy
from quorate.crypto.hashing import Buffer, digest_parts
from quorate.errors import IntegrityError

__all__ = ["POINT_BYTES", "add", "hash_to_point", "multiply", "multiply_base", "random_scalar", "subtract"]

POINT_BYTES = 32


def random_scalar(entropy: Entropy) -> bytes:
    """A uniform scalar: 64 random bytes modulo L, at a distance below 2^-250 from uniform."""
    return bindings.crypto_core_ed25519_scalar_reduce(entropy.bytes(64))


def multiply_base(scalar: bytes) -> bytes:
    """scalar * B, B the standard base point."""
    return bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)


def multiply(scalar: bytes, point: bytes) -> bytes:
    """scalar * point.

    Raises:
        IntegrityError: `point` is not a point of order L.
    """
    try:
        return bindings.crypto_scalarmult_ed25519_noclamp(scalar, point)
    except (CryptoError, RuntimeError, ValueError) as error:
        raise _no_point() from error


def add(x: bytes, y: bytes) -> bytes:
    """x + y.

    Raises:
        IntegrityError: one of them is not a point of the curve.
    """
    try:
        return bindings.crypto_core_ed25519_add(x, y)
    except (CryptoError, RuntimeError, ValueError) as error:
        raise _no_point() from error


def subtract(x: bytes, y: bytes) -> bytes:
    """x - y, of points that we computed ourselves."""
    return bindings.crypto_core_ed25519_sub(x, y)


def hash_to_point(parts: Sequence[Buffer], domain: str) -> bytes:
    """A point that depends on `parts` as a random oracle would, with unknown logarithm.

    The sum of two images of the Elligator map: one alone does not reach all points. Source: Brier, Coron, Icart,
    Madore, Randriam, Tibouchi, "Efficient Indifferentiable Hashing into Ordinary Elliptic Curves", CRYPTO 2010; for
    Elligator Tibouchi, Kim, "Improved Elliptic Curve Hashing and Point Representation", Designs, Codes and
    Cryptography 2017. libsodium's map clears the cofactor.
    """
    first, second = (digest_parts(parts, f"{domain}/{half}") for half in (0, 1))
    return bindings.crypto_core_ed25519_add(
        bindings.crypto_core_ed25519_from_uniform(first), bindings.crypto_core_ed25519_from_uniform(second)
    )


def _no_point() -> IntegrityError:
    return IntegrityError(
        "a peer sent something that is no point of prime order on the curve; it cheated, and nothing was opened"
    )
