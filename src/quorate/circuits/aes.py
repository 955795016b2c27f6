"""AES-128 of many blocks under one key, all secret, in bit planes.

Source: FIPS 197. The inverse in GF(256) goes through GF(16) and GF(4) as in `quorate.kernels.aes`: four products, of
which a protocol with products of fields in one element (`Protocol.bilinear`) sends 4 + 2 + 4 + 8 = 18 bits, where the
smallest Boolean circuit has 32 ands (Boyar, Peralta, "A Small Depth-16 Circuit for the AES S-Box", SEC 2012). Protocols
with no such products take 36 ands, see `aes_products`.

Rounds, where an and takes one: 40 for the key and 40 for the blocks. Bytes that each party sends for a block: 360
with rep3; with others 360 times what an and of a byte costs. The key costs as much as two or three blocks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quorate.circuits.aes_products import PRODUCT4, PRODUCT16, SCALE4, SCALE16
from quorate.engine.exchange import Fork, Step
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.kernels import aes
from quorate.protocols.base import Protocol
from quorate.sharing.share import Array, Boolean, concatenate

__all__ = ["BLOCK", "encrypt"]

BLOCK = 16
"""Bytes of a block, and of a key."""

ROUNDS = 10
TILE = 1 << 15
"""Blocks that are worked on together: less, and the calls between rounds cost more than the work."""

LANES = 3


def encrypt(p: Protocol, at: Scope, key: Boolean, blocks: Boolean) -> Step[Boolean]:
    """The blocks encrypted with AES-128, each by itself (ECB); for other modes encrypt counters or chained blocks.

    Args:
        key: words of 8 bits, (16,).
        blocks: words of 8 bits, (n, 16).

    Raises:
        UserError: other shapes or widths.
    """
    if key.shape != (BLOCK,) or blocks.shape[1:] != (BLOCK,) or key.width != 8 or blocks.width != 8:
        raise UserError(f"AES-128 takes a key of 16 bytes and blocks (n, 16), not {key.shape} and {blocks.shape}")
    keys = yield from _round_keys(p, at.child("key"), key)
    count = blocks.shape[0]
    starts = range(0, count, TILE)
    result = blocks.map(lambda part: p.session.blank(part.shape, part.dtype))

    def tile(start: int) -> Step[None]:
        piece = slice(start, min(start + TILE, count))
        done = yield from _encrypt(p, at.child(f"tile {start // TILE}"), keys, blocks.map(lambda part: part[piece]))
        for whole, part in zip(result.parts, done.parts, strict=True):
            whole[piece] = part

    yield Fork([tile(start) for start in starts], LANES)
    return result


def _encrypt(p: Protocol, at: Scope, keys: list[Boolean], blocks: Boolean) -> Step[Boolean]:
    x = _with(blocks.map(aes.to_planes), keys[0], lambda part, key: part ^ key[:, :, None])
    for k in range(1, ROUNDS + 1):
        inverses = yield from _inverse(p, at.child(f"round {k}"), x)
        x = _with(inverses, keys[k], aes.mix_layer if k < ROUNDS else aes.last_layer)
    return x.map(lambda part: aes.from_planes(part, blocks.shape[0]))


def _with(x: Boolean, y: Boolean, local: Callable[[Array, Array], Array]) -> Boolean:
    """A map that is linear in both arguments together, part by part."""
    return x.with_parts(tuple(local(a, b) for a, b in zip(x.parts, y.parts, strict=True)))


def _planes(x: Boolean, start: int, stop: int) -> Boolean:
    return x.map(lambda part: part[start:stop])


def _inverse(p: Protocol, at: Scope, x: Boolean) -> Step[Boolean]:
    """The inverse (0 of 0) of every byte of a state (8, ...). Four rounds."""
    rest = x.shape[1:]
    first = yield from p.bilinear(at.child("GF(16)"), _planes(x, 4, 8), _planes(x, 0, 4), PRODUCT16, (4, *rest))
    n = _with(x, first, aes.norm16)
    second = yield from p.bilinear(at.child("GF(4)"), _planes(n, 2, 4), _planes(n, 0, 2), PRODUCT4, (2, *rest))
    m = _with(n, second, aes.norm4)
    conjugate = yield from p.bilinear(at.child("back to GF(16)"), n, m, SCALE4, (4, *rest))
    return (yield from p.bilinear(at.child("back to GF(256)"), x, conjugate, SCALE16, (8, *rest)))


# -- round keys --------------------------------------------------------------------------------------------------------


def _round_keys(p: Protocol, at: Scope, key: Boolean) -> Step[list[Boolean]]:
    """The keys of rounds 0 to 10, for `aes.mix_layer`: (8, 16), every bit a whole byte."""
    now = key.map(lambda part: aes.to_planes(part.reshape(1, BLOCK)))
    keys, factor = [now], 1
    for k in range(1, ROUNDS + 1):
        now = yield from _next_key(p, at.child(f"{k}"), now, factor)
        keys.append(now)
        factor = factor << 1 ^ (0x11B if factor & 0x80 else 0)
    whole = [each.map(_whole_bytes) for each in keys]
    constant = np.repeat(_bits(aes.AFFINE)[:, None] * np.uint8(0xFF), BLOCK, axis=1)
    return [whole[0], *(p.xor_public(each, constant) for each in whole[1:])]


def _next_key(p: Protocol, at: Scope, key: Boolean, factor: int) -> Step[Boolean]:
    """FIPS 197, 5.2: the first word takes the substituted last one, every other one the word before it."""
    turned = key.map(lambda part: part[:, [13, 14, 15, 12]])
    inverses = yield from _inverse(p, at, turned)
    constants = np.repeat(_bits(aes.AFFINE)[:, None, None], 4, axis=1)
    constants[:, 0, 0] ^= _bits(int(aes.TO_TOWER[factor]))
    words = [p.xor_public(inverses.map(aes.matrix), constants)]
    for column in range(4):
        words.append(p.xor(words[-1], key.map(lambda part, c=column: part[:, 4 * c : 4 * c + 4])))  # type: ignore[misc]
    return concatenate(words[1:], 1)


def _bits(byte: int) -> Array:
    """The bits of a public byte of the tower basis, as planes."""
    return np.array([byte >> bit & 1 for bit in range(8)], np.uint8)


def _whole_bytes(part: Array) -> Array:
    """From planes of one block to bytes of equal bits; linear over exclusive or."""
    return np.uint8(0) - (part[:, :, 0] & np.uint8(1))
