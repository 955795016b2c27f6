"""Sharing what one participant knows, so that nothing it does makes the sharing inconsistent.

The value is a sum of parts, one for each group of n - t parties (`shamir_parts`). All but one are pseudorandom, or come
from seeds; the one that is left is sent to the members of its group, who compare digests of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from quorate.crypto.stream import KEY_BYTES, Stream
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.kernels import field
from quorate.protocols.shamir_parts import Array, Group
from quorate.sharing.share import Arithmetic

if TYPE_CHECKING:
    from quorate.protocols.shamir import Shamir

__all__ = ["deal"]


def deal(p: Shamir, at: Scope, owner: int, shape: tuple[int, ...], elements: Array | None) -> Step[Arithmetic]:
    """Share field elements, `elements` at participant `owner`. One round.

    8 (n - t - 1) bytes per element from a party; 8 (n - t) from an outsider, and 16 (n - t) (c - 1) for c groups.
    """
    if owner < p.parties:
        parts = yield from _from_party(p, at, owner, shape, elements)
    else:
        parts = yield from _from_outside(p, at, owner, shape, elements)
    if p.me >= p.parties:
        return Arithmetic(p.name, (p.session.blank(shape),))
    weights = [p.weights[p.mine.index(group)] for group in parts]
    if not parts:
        return Arithmetic(p.name, (np.zeros_like(p.session.blank(shape)),))
    return Arithmetic(p.name, (field.linear_combination(np.array(weights, np.uint64), list(parts.values())),))


def _from_party(
    p: Shamir, at: Scope, owner: int, shape: tuple[int, ...], elements: Array | None
) -> Step[dict[Group, Array]]:
    """The parts of our groups that are not zero: those of the owner's groups."""
    draw, name = at.step(), at.step()
    target = next(group for group in p.groups if owner in group)
    ours = [group for group in p.mine if owner in group and group != target]
    parts = {group: p.elements(group, draw, p.session.blank(shape)) for group in ours}
    if p.me == owner:
        secret = p.session.blank(shape) if elements is None else elements
        weights = np.array([1, *[field.P - 1] * len(parts)], np.uint64)
        parts[target] = field.linear_combination(weights, [secret, *parts.values()])
        yield Exchange(name, {party: [parts[target]] for party in target if party != owner})
    elif p.me in target:
        parts[target] = p.session.blank(shape)
        yield Exchange(name, None, {owner: [parts[target]]})
        parts[target] = field.reduce(parts[target])
    else:
        yield Exchange(name)
    if len(target) > 2 and parts_matter(shape):
        p.heard(name, {target: parts.get(target)})
    return parts


def parts_matter(shape: tuple[int, ...]) -> bool:
    """Whether there is anything to compare."""
    return 0 not in shape


def _from_outside(
    p: Shamir, at: Scope, owner: int, shape: tuple[int, ...], elements: Array | None
) -> Step[dict[Group, Array]]:
    """All parts: of all groups but the first from seeds that the owner draws."""
    draw, name = at.step(), at.step()
    seeded = p.groups[1:]
    alike: dict[Group, Array | None] = dict.fromkeys(p.groups)
    if p.me == owner:
        yield Exchange(name, _outside(p, draw, shape, elements))
        if parts_matter(shape):
            p.heard(name, alike)
        return {}
    mine = [group for group in seeded if p.me in group]
    seeds = {group: p.session.tuple_blank((KEY_BYTES,), np.uint8) for group in mine}
    rest = p.session.blank(shape)
    arriving = [*seeds.values(), *([rest] if p.me in p.collector else [])]
    yield Exchange(name, None, {owner: arriving} if p.me < p.parties and parts_matter(shape) else None)
    parts = {group: _expanded(p, seed, p.session.blank(shape)) for group, seed in seeds.items()}
    alike.update(seeds)
    if p.me in p.collector:
        parts[p.collector] = field.reduce(rest)
        alike[p.collector] = parts[p.collector]
    if parts_matter(shape):
        p.heard(name, alike)
    return parts


def _outside(
    p: Shamir, draw: tuple[int, int], shape: tuple[int, ...], elements: Array | None
) -> dict[int, list[Array]]:
    """What an outside owner sends."""
    if not parts_matter(shape):
        return {}
    seeds = p.session.tuple_blank((len(p.groups) - 1, KEY_BYTES), np.uint8)
    p.session.draw((p.me,), draw, seeds)
    seed_of = {group: seeds[k] for k, group in enumerate(p.groups[1:])}
    rest = p.session.tuple_blank(shape) if elements is None else elements
    for seed in seed_of.values():
        rest = field.sub(rest, _expanded(p, seed, p.session.tuple_blank(shape)))
    sends: dict[int, list[Array]] = {}
    for party in range(p.parties):
        sends[party] = [seed for group, seed in seed_of.items() if party in group]
        if party in p.collector:
            sends[party].append(rest)
    return sends


def _expanded(p: Shamir, seed: Array, out: Array) -> Array:
    if not p.session.counting:
        Stream(seed.tobytes()).fill((0, 1), out)
    return field.from_random_words(out)
