"""Shuffling rows among n parties without a dealer: each permutes in turn, by switches over oblivious transfer.

Sources: one permutation per party as in `quorate.protocols.semi2k_shuffle`; switches by oblivious transfer from
Mohassel and Sadeghian, "How to Hide Circuits in MPC", EUROCRYPT 2013, section 3, on the network of
`quorate.kernels.switching`. Deviations: transfers are correlated ones, one message per switch; rows need no masks
before the first switch.

In party i's turn a switch with bit c, which i knows, adds d = c (y - x) to x and takes it from y. On party i's own
parts that is local. For the parts of another party j the two make shares of d by one transfer: j keeps minus its first
pad, and i gets the rest. Party j can do so for all switches by itself, since what it holds after each does not depend
on c. So a turn takes one round for the bits (masked by the choices of the transfers) and one for the messages.

What is seen: party j sees masked bits; party i messages, each hidden by the pad that it did not choose. After all turns
any n - 1 parties miss one of the permutations.

Bytes for n parties and r rows, with s = `switching.switches(r)` switches, about r (log2(r) - 1): in every turn 8 s per
number of a row (words of a row are packed into numbers by bytes) from each party but one, and s / 8 to it; and s
transfers.
Rounds: per turn and `CHUNK` of switches those of the transfers and 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import switching
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.semi_honest import Link, Pads, SemiHonestTuples
from quorate.protocols.columns import common_rows, draw_order, full_words, group_of
from quorate.protocols.groups import SUM, XOR, Group
from quorate.sharing.share import Arithmetic, Share

if TYPE_CHECKING:
    from quorate.protocols.semi2k import Semi2k

__all__ = ["CHUNK", "shuffle"]

Array = npt.NDArray[Any]
CHUNK = 1 << 19
"""Switches at a time, times numbers in a row: bounds memory."""


def shuffle(p: Semi2k, at: Scope, columns: Sequence[Share], tuples: SemiHonestTuples) -> Step[list[Share]]:
    """See `Protocol.shuffle`."""
    if not columns:
        return []
    rows = common_rows(columns)
    numbers = [column for column in columns if isinstance(column, Arithmetic)]
    words = [column for column in columns if not isinstance(column, Arithmetic)]
    stacks = [(_stacked(p, chosen, rows), group) for chosen, group in ((numbers, SUM), (words, XOR)) if chosen]
    for leader in range(p.parties if rows > 1 else 0):
        yield from _turn(p, at.child(f"party {leader}"), stacks, tuples, leader)
    found = {
        group_of(chosen[0]): stack
        for chosen, (stack, _) in zip((c for c in (numbers, words) if c), stacks, strict=True)
    }
    return _unstacked(columns, found)


def _turn(p: Semi2k, at: Scope, stacks: list[tuple[Array, Group]], tuples: SemiHonestTuples, leader: int) -> Step[None]:
    """The permutation of one party, on all stacks in place."""
    rows = stacks[0][0].shape[0]
    name = at.step()
    flags = p.session.blank((switching.switches(rows),), np.uint8)
    if p.me == leader:
        flags = switching.control_bits(draw_order(p.session, (p.me,), name, rows))
    width = sum(stack.shape[1] for stack, _ in stacks)
    p.session.dealt("switches", flags.shape[0])
    for number, layers in enumerate(_chunks(rows, max(1, CHUNK // width))):
        here = at.child(f"chunk {number}")
        start, end = layers[0].place.start, layers[-1].place.stop
        bits = contiguous(flags[start:end])
        links = tuples.links_to(leader)
        given = yield from tuples.transfers(here, leader, bits.shape[0])
        choices = here.child("choices")
        steps = [link.choose(choices.child(link.label), one, bits) for link, one in zip(links, given, strict=True)]
        pads = [one.pads(words=width) for one in (yield from parallel(steps))]
        yield from _switch(p, here.child("switch"), stacks, layers, list(zip(links, pads, strict=True)), bits)


def _chunks(rows: int, most: int) -> Iterator[list[switching.Layer]]:
    """The layers, cut and gathered to about `most` switches at a time."""
    chunk: list[switching.Layer] = []
    size = 0
    for layer in switching.layers(rows):
        for start in range(0, len(layer.first), most):
            piece = slice(start, min(start + most, len(layer.first)))
            count = piece.stop - piece.start
            if size and size + count > most:
                yield chunk
                chunk, size = [], 0
            place = slice(layer.place.start + piece.start, layer.place.start + piece.stop)
            chunk.append(switching.Layer(layer.first[piece], layer.second[piece], place))
            size += count
    if chunk:
        yield chunk


def _switch(
    p: Semi2k,
    at: Scope,
    stacks: list[tuple[Array, Group]],
    layers: Sequence[switching.Layer],
    given: Sequence[tuple[Link, Pads]],
    bits: Array,
) -> Step[None]:
    """Some layers on our parts of all stacks, in place. One round."""
    steps, offset = [], 0
    for number, (stack, group) in enumerate(stacks):
        columns = slice(offset, offset + stack.shape[1])
        offset = columns.stop
        steps.append(_switch_stack(p, at.child(str(number)), stack, group, layers, given, columns, bits))
    yield from parallel(steps)


def _switch_stack(
    p: Semi2k,
    at: Scope,
    stack: Array,
    group: Group,
    layers: Sequence[switching.Layer],
    given: Sequence[tuple[Link, Pads]],
    columns: slice,
    bits: Array,
) -> Step[None]:
    shape = (bits.shape[0], stack.shape[1])
    received = np.zeros(shape, np.uint64) if any(link.receives for link, _ in given) else None
    steps, messages = [], []
    for link, pads in given:
        message = p.session.blank(shape)
        if link.sends:
            _send(stack, group, layers, pads.first[:, columns], pads.second[:, columns], message)
        steps.append(link.carry(at.child(link.label), [message]))
        messages.append(message)
    yield from parallel(steps)
    for (link, pads), message in zip(given, messages, strict=True):
        if link.receives and received is not None:
            received = group.add(received, group.add(pads.chosen[:, columns], message * _column(bits)))
    if received is not None:
        _lead(stack, group, layers, received, bits)


def _send(
    stack: Array, group: Group, layers: Sequence[switching.Layer], first: Array, second: Array, message: Array
) -> None:
    """What the holder of `stack` says and keeps, switch by switch."""
    start = layers[0].place.start
    for upper, lower, place in layers:
        here = slice(place.start - start, place.stop - start)
        x, y = stack[upper], stack[lower]
        message[here] = group.add(group.sub(first[here], second[here]), group.sub(y, x))
        stack[upper] = group.sub(x, first[here])
        stack[lower] = group.add(y, first[here])


def _column(bits: Array) -> Array:
    return np.asanyarray(bits.astype(np.uint64)[:, None])


def _lead(stack: Array, group: Group, layers: Sequence[switching.Layer], received: Array, bits: Array) -> None:
    """The leader's own rows, and what it received of others."""
    start = layers[0].place.start
    for upper, lower, place in layers:
        here = slice(place.start - start, place.stop - start)
        x, y = stack[upper], stack[lower]
        change = group.add(group.sub(y, x) * _column(bits[here]), received[here])
        stack[upper] = group.add(x, change)
        stack[lower] = group.sub(y, change)


def _stacked(p: Semi2k, columns: Sequence[Share], rows: int) -> Array:
    """Our parts side by side, (rows, numbers) uint64; words by their bytes."""
    parts = [_octets(column.parts[0], rows) for column in columns]
    width = sum(part.shape[1] for part in parts)
    stack = p.session.blank((rows, -(-width // 8)))
    octets = stack.view(np.uint8)
    octets[:, width:] = 0
    offset = 0
    for part in parts:
        octets[:, offset : offset + part.shape[1]] = part
        offset += part.shape[1]
    return stack


def _octets(part: Array, rows: int) -> Array:
    size = part[:1].size if rows else 0
    return np.asanyarray(contiguous(part.reshape(rows, size)).view(np.uint8))


def _unstacked(columns: Sequence[Share], found: dict[Group, Array]) -> list[Share]:
    """The columns in their order, cut out of the stacks of numbers and words."""
    offsets = dict.fromkeys(found, 0)
    result = []
    for column in columns:
        group, like = group_of(column), column.parts[0]
        size = like[:1].size * like.dtype.itemsize
        piece = found[group].view(np.uint8)[:, offsets[group] : offsets[group] + size]
        offsets[group] += size
        part = contiguous(piece).view(like.dtype).reshape(like.shape)
        result.append(column.with_parts((full_words(column, part),)))
    return result
