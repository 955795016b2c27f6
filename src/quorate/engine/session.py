"""One participant's place in a session: who takes part, which shared keys it holds, where its arrays come from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.hashing import digest_parts
from quorate.crypto.stream import KEY_BYTES, NullStream, Stream
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.network import LAN, Network
from quorate.engine.private import SEED_BYTES, Draws, Private
from quorate.errors import IntegrityError, InternalError
from quorate.kernels.ghost import ghost
from quorate.kernels.memory import Pool

__all__ = ["Effort", "Session"]

Group = tuple[int, ...]
_KEYS = "quorate/common key/1"


@dataclass(slots=True)
class Effort:
    """What a counting session would have computed: the basis of predicted times and of the amount of preprocessing.

    Attributes:
        calls: arrays asked for and draws of randomness; each stands for a handful of NumPy calls or kernels.
        made: bytes of arrays for results and intermediate values.
        drawn: bytes of randomness.
        touched: bytes of operands and results of local operations.
        multiplied: multiply-adds of inner and matrix products.
        dealt: correlated randomness that was used up, by kind.
    """

    calls: int = 0
    made: int = 0
    drawn: int = 0
    touched: int = 0
    multiplied: int = 0
    dealt: dict[str, int] = field(default_factory=dict)

    def array(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A ghost that counts as made."""
        result = ghost(shape, dtype)
        self.calls += 1
        self.made += result.nbytes
        return result


@dataclass(slots=True)
class Session:
    """The fixed facts of a session as one participant sees them, and its keys.

    Attributes:
        me: index of this participant.
        parties: number of compute parties; they have the indices 0 ... parties - 1.
        participants: names of all participants, in order of index.
        dealer: index of the trusted dealer, if the protocol has one.
        counting: all arrays are ghosts and no randomness is drawn; used to predict cost.
        seed: of all private randomness of this participant, `SEED_BYTES` bytes for this session alone;
            drawn afresh if empty, and empty while counting.
        network: how far apart participants are, the same at all of them; circuits weigh rounds against bytes by it.
        effort: what was asked of this session so far; filled while counting only.
        ident: what tells this session from all others, the same at all participants; commitments are bound to it.
        security: bits of statistical security asked of checks: a cheater passes with probability 2**-security at most.
        findings: what was found out about peers although the computation could go on: for the log and the receipt.
        stock_keys: the secrets under which correlated randomness was made before the session, in the order of
            `Protocol.stock_keys`; empty: draw fresh ones.
    """

    me: int
    parties: int
    participants: tuple[str, ...]
    dealer: int | None = None
    counting: bool = False
    seed: bytes = field(default=b"", repr=False)
    network: Network = LAN
    ident: bytes = b""
    security: int = 40
    findings: list[str] = field(default_factory=list)
    stock_keys: tuple[npt.NDArray[Any], ...] = field(default=(), repr=False)
    effort: Effort = field(default_factory=Effort)
    _streams: dict[Group, Stream | NullStream] = field(default_factory=dict, repr=False)
    _private: Private = field(init=False, repr=False)
    _pool: Pool = field(default_factory=Pool, repr=False)
    _scratch: dict[tuple[int, str], npt.NDArray[Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.counting:
            self.seed = b""
        elif not self.seed:
            self.seed = SystemEntropy().bytes(SEED_BYTES)
        self._private = Private(self.seed or None, self.ident)

    def private(self, at: Scope, label: str) -> Draws:
        """What this participant draws for itself at `at` for the purpose `label`: the same whenever that is.

        Participants need not draw alike: names of messages are not shifted. While counting all draws are zeros.
        """
        return self._private.at(at, label)

    @property
    def holds_shares(self) -> bool:
        """Whether this participant computes on real shares (a compute party that is not merely counting)."""
        return self.me < self.parties and not self.counting

    def blank(self, shape: tuple[int, ...], dtype: npt.DTypeLike = np.uint64) -> npt.NDArray[Any]:
        """An uninitialised array for shares; a ghost at whoever holds none."""
        return self._pool.empty(shape, dtype) if self.holds_shares else self.effort.array(shape, dtype)

    def tuple_blank(self, shape: tuple[int, ...], dtype: npt.DTypeLike = np.uint64) -> npt.NDArray[Any]:
        """An uninitialised array for what any participant, the dealer included, computes on; a ghost when counting."""
        return self.effort.array(shape, dtype) if self.counting else np.empty(shape, dtype)

    def scratch(self, index: int, shape: tuple[int, ...], dtype: npt.DTypeLike = np.uint64) -> npt.NDArray[Any]:
        """A reusable array number `index`; its content is lost at the next yield or the next call with that index."""
        if self.counting:
            return self.effort.array(shape, dtype)
        kind = np.dtype(dtype)
        count = math.prod(shape)
        key = (index, kind.char)
        kept = self._scratch.get(key)
        if kept is None or kept.size < count:
            kept = self._scratch[key] = np.empty(max(count, 1024), kind)
        return kept[:count].reshape(shape)

    def draw(self, group: Group, name: Name, out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Fill `out` with the randomness that the members of `group` share under `name`."""
        if self.counting:
            self._count_draw(out)
        self._streams[group].fill(name, out)
        return out

    def mask(self, group: Group, name: Name, data: npt.NDArray[Any]) -> None:
        """Exclusive-or `data`, in place, with the randomness that the members of `group` share under `name`."""
        if self.counting:
            self._count_draw(data)
        self._streams[group].mask(name, data)

    def _count_draw(self, out: npt.NDArray[Any]) -> None:
        self.effort.calls += 1
        self.effort.drawn += out.nbytes

    def multiplied(self, count: int) -> None:
        """Note `count` multiply-adds of an inner or matrix product that this participant does; for predictions."""
        if self.counting:
            self.effort.multiplied += count

    def touched(self, size: int) -> None:
        """Note a local operation on operands and results of `size` bytes in all; for predictions."""
        if self.counting:
            self.effort.calls += 1
            self.effort.touched += size

    def dealt(self, kind: str, count: int) -> None:
        """Note that `count` pieces of correlated randomness of this kind are used up; for quotes."""
        if self.counting:
            self.effort.dealt[kind] = self.effort.dealt.get(kind, 0) + count

    def agree_keys(self, at: Scope, groups: Iterable[Group], *, compare: bool = False) -> Step[None]:
        """Give every group of participants a common key, and this participant one of its own. One round.

        The member with the lowest index chooses the key and sends it to the others over the authenticated channel
        (16 bytes each). A corrupt member knows the key anyway, but might choose different ones for different members:
        with `compare`, a second round in which the members of groups of three or more compare digests (32 bytes).

        Raises:
            IntegrityError: members of a group were given different keys.
        """
        own = self.private(at, "keys")
        self._install((self.me,), own.array(KEY_BYTES))
        sends: dict[int, list[npt.NDArray[Any]]] = {}
        receives: dict[int, list[npt.NDArray[Any]]] = {}
        keys: dict[Group, npt.NDArray[Any]] = {}
        for group in groups:
            if self.me not in group or group in keys or len(group) == 1:
                continue
            key = keys[group] = np.empty(KEY_BYTES, np.uint8)
            if group[0] == self.me:
                own.fill(key)
                for member in group[1:]:
                    sends.setdefault(member, []).append(key)
            else:
                receives.setdefault(group[0], []).append(key)
        yield Exchange(at.step(), sends, receives)
        if compare:
            yield from self._compare_keys(at, keys)
        for group, key in keys.items():
            self._install(group, key)

    def _compare_keys(self, at: Scope, keys: dict[Group, npt.NDArray[Any]]) -> Step[None]:
        sends: dict[int, list[npt.NDArray[Any]]] = {}
        receives: dict[int, list[npt.NDArray[Any]]] = {}
        shared = {group: key for group, key in keys.items() if len(group) > 2}
        mine: dict[Group, npt.NDArray[Any]] = {}
        for group, key in shared.items():
            content = [self.ident, repr(group).encode(), key.tobytes()]
            mine[group] = np.frombuffer(bytes(32) if self.counting else digest_parts(content, _KEYS), np.uint8)
            for member in group:
                if member != self.me:
                    sends.setdefault(member, []).append(mine[group])
                    receives.setdefault(member, []).append(np.empty(32, np.uint8))
        yield Exchange(at.step(), sends, receives)
        if self.counting:
            return
        for member, digests in receives.items():
            common = [group for group in shared if member in group]
            for group, theirs in zip(common, digests, strict=True):
                if not np.array_equal(mine[group], theirs):
                    raise IntegrityError(
                        f"the members of {group} do not have the same key: peer {group[0]}, who chose it, or peer "
                        f"{member}, who compared it with us, cheated; nothing was computed"
                    )

    def _install(self, group: Group, key: npt.NDArray[Any]) -> None:
        if group in self._streams:
            raise InternalError(f"the group {group} has a key already")
        self._streams[group] = NullStream() if self.counting else Stream(key.tobytes())

    def erase(self) -> None:
        """Forget all keys and the seed; the session cannot go on."""
        self.seed = b""
        self._private.erase()
        self._streams.clear()
        self._scratch.clear()
        self._pool.clear()
