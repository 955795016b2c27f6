"""What trees say of rows: from the leaves up, every node hands on the value of the child to which a row goes."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.lang.array import SecretArray

__all__ = ["evaluated", "turned"]


def turned(left: SecretArray, places: SecretArray) -> list[SecretArray]:
    """Whether rows go left at the nodes of each level: (places, rows) and (trees, inner nodes) to (trees, nodes, rows).

    About 10 rounds; 8 bytes per row and node for a party of rep3.
    """
    trees, inner = (int(str(size)) for size in places.shape)
    bits = left.take(places.reshape(-1), axis=0).reshape(trees, inner, left.shape[1])
    depth = (inner + 1).bit_length() - 1
    return [bits[:, (1 << level) - 1 : (2 << level) - 1] for level in range(depth)]


def evaluated(turns: Sequence[SecretArray], values: SecretArray) -> SecretArray:
    """The value of the leaf that each row reaches: (trees, outputs, rows), from values of (trees, leaves, outputs).

    A round and one product per row and node of a level.
    """
    trees, outputs = int(str(values.shape[0])), int(str(values.shape[2]))
    rows = turns[0].shape[2]
    found = values.transpose(0, 2, 1)[..., None]
    for level, turn in reversed(list(enumerate(turns))):
        nodes = 1 << level
        shape = (trees, outputs, nodes, rows)
        pair = found.reshape(trees, outputs, nodes, 2, found.shape[3])
        left, right = pair[:, :, :, 0].broadcast_to(shape), pair[:, :, :, 1].broadcast_to(shape)
        found = turn[:, None].broadcast_to(shape).record("blend", left, right)
    return found[:, :, 0]
