"""One participant of a durable session as a pure state machine: it does no I/O but for its log.

Whoever drives it (`quorate.durable.conduct`, or a simulation) repeats:

    core.take(data, token, now)          # for every parcel that has arrived
    core.run(now)                        # the party goes on as far as it can
    core.commit()                        # now everything that happened is durable
    core.outgoing()                      # parcels to carry
    core.settled(), core.refused()       # parcels that may be acknowledged to their carrier, and those of no use

Nothing that depends on an event leaves before that event is committed. After a crash the same log gives the same
state: the party runs again on the messages that were received and makes the same messages; each is compared with the
digest of what was made before (`InternalError` if it differs, and nothing leaves). What peers have not acknowledged is
sent again, byte for byte. What does not come from a peer - malformed, changed, for somebody else - is refused and
changes nothing; what a peer has authenticated and should not have said ends the session.

Sources: pessimistic message logging (Strom, Yemini, TOCS 1985; Elnozahy et al., ACM Computing Surveys 2002), here with
the sender's copies recomputed. Why replay tells nothing: docs/explanation/durability.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from quorate.durable import history, parcel, records
from quorate.durable.facts import Evidence, Limits, Membership, Signed, Spent
from quorate.durable.keys import Keys, derive, read_hello
from quorate.durable.parcel import DATA, FAIL, HEADER_SIZE, HELLO, STATUS, Header, Status
from quorate.durable.peer import Arriving, Peer, body_digest, split_sealed
from quorate.durable.records import Buffer, Entry, Log
from quorate.engine.exchange import Step
from quorate.engine.names import Name, Scope
from quorate.engine.party import Message, Party
from quorate.errors import (
    EnvironmentFault,
    IntegrityError,
    InternalError,
    PeerError,
    PeerTimeout,
    QuorateError,
)
from quorate.transport.carrier import Parcel
from quorate.transport.conduct import with_names
from quorate.transport.frames import decode_failure, encode_failure

__all__ = ["Core", "Program", "Schedule"]

Program = Callable[[bytes, bytes | None], Step[Any]]
"""Makes the party's program from its seed and from what it saved at the last checkpoint, if it did."""

Schedule = Callable[[Literal["in", "out"], int, Name, int, bool], None]
"""Hears of a message: direction, peer, name, size, and whether it is taken or made again after a restart."""

_AHEAD = 1 << 16
"""A message may be so many positions after the oldest that is missing."""
_PREMATURE = 1 << 20
"""Bytes of parcels that are kept of a peer that has not greeted us; nobody can vouch for them."""
_INCOMPLETE = 1 << 26
"""Bytes of messages of a peer of which pieces are missing, beyond the oldest."""
_MEETING = 10.0
"""Seconds that a process that goes on waits for peers to say how they stand, before it says anything new."""
_PARCEL = 512
_CONTROL = 4096
_VOLUME = 1 << 20
"""Bytes of messages after which we stop computing to send them."""


class _Unusable(Exception):
    """A parcel that no peer can be blamed for; it changes nothing."""


class Core:
    """See the module.

    Attributes:
        state: "running", "done" (we have our result; peers may still need us), "closed" (nobody does), "failed".
        party: the state machine of the program, after `begin`.
        problem: why the session failed.
        evidence: of peers that said two things.
        notes: what the program learned outside, by label; see `note`.
        replayed: messages that were taken from the log at the beginning.
        done_at: when the party had ended, in this or an earlier process (Unix time).
    """

    def __init__(
        self,
        seat: Membership,
        program: Program,
        log: Log,
        limits: Limits,
        *,
        scope: Scope,
        seed: bytes,
        schedule: Schedule | None = None,
        waiting: Callable[[int], int] = lambda _: 0,
    ) -> None:
        """
        Args:
            scope: the root of the program's names, for messages to people.
            seed: 32 fresh random bytes, used if the log is empty.
            schedule: told of every message that the party takes or makes.
            waiting: bytes that wait to be carried to a peer.
        """
        self._waiting = waiting
        self._schedule = schedule
        self._again = False
        self.seat, self.limits, self.scope = seat, limits, scope
        self._program, self._log, self._fresh_seed = program, log, seed
        self._session = bytes.fromhex(seat.session)
        self.state: Literal["running", "done", "closed", "failed"] = "running"
        self.problem: QuorateError | None = None
        self.evidence: list[Evidence] = []
        self.notes: dict[str, bytes] = {}
        self.replayed = 0
        self.done_at = 0.0
        self.party: Party
        self._keys: Keys
        self._hello = b""
        self._peers: dict[int, Peer] = {}
        self._tokens: list[object] = []
        self._settled: list[object] = []
        self._refused: list[tuple[object, str]] = []
        self._counter = 0
        self._farewell = b""
        self._began = self._now = self._next_tick = self._next_alive = 0.0
        self._delivered: dict[tuple[int, Name], None] = {}
        self._setup: frozenset[tuple[int, Name]] = frozenset()
        self._saved: tuple[list[Buffer], frozenset[tuple[int, Name]], dict[int, int]] | None = None

    # ---- the beginning

    def begin(self, now: float) -> None:
        """Start, or go on where the log ends.

        If it has failed before, or now something else is computed than before, that is in `problem`.

        Raises:
            EnvironmentFault: the log cannot be read or written.
            QuorateError: the program cannot be made, and may be made later: the data of an input is not as it was.
        """
        self._began = self._now = self._next_tick = self._next_alive = now
        self._peers = {index: Peer(index, self.seat.names[index], now) for index in self.seat.peers}
        past = history.read(self._log, self._peers)
        if past.ended:
            self.state = "failed"
            self._peers = {}
            self.problem = EnvironmentFault(
                f"the session has failed before ({past.ended[:400]}), which is final: its keys must not be used again; "
                "start a new session"
            )
            return
        self.notes, self.done_at = past.notes, past.done
        seed = past.seed or self._fresh_seed
        self._keys = Keys(seed, self.seat.session, self.seat.me)
        self._hello = past.hello or self._keys.greet(self.seat.spec, self.seat.signer)
        if not past.seed:
            self._log.append(records.SEED, seed, self._hello)
        for peer in self._peers.values():
            self._open_channel(peer)
            peer.say = True
        self.party = Party(self._program(derive(seed, "party", self.seat.session.encode()), past.restored))
        try:
            self._replay(past)
        except QuorateError as problem:
            self._ended_by(problem)
        if now > self.limits.deadline and self.state == "running":
            self._check_time(now)

    def _ended_by(self, problem: QuorateError) -> None:
        """An error ends the session, unless it is one of this machine that can be mended: then raise it."""
        if isinstance(problem, EnvironmentFault) and not isinstance(problem, Spent):
            raise problem
        self.fail(problem)

    def _replay(self, past: history.History) -> None:
        self._again = True
        for entry, body in past.pending:
            self._peers[entry.peer].post(entry, [np.frombuffer(body, np.uint8)], again=True)
        for entry, body in past.arrived:
            self._advance(again=True)
            self._deliver(entry, body)
            self.replayed += 1
        self._advance(again=True)
        self._again = False

    def _open_channel(self, peer: Peer) -> None:
        if peer.hello is not None:
            seat = self.seat
            certificate = seat.certificates[peer.index]
            hello = read_hello(peer.hello, seat.session, seat.spec, peer.index, certificate, peer.name)
            peer.channel = self._keys.channel(self._keys.stated(seat.spec), hello)

    # ---- the party goes on

    def run(self, now: float) -> None:
        """Let the party go on for a while, and look at the clock. What ends the session is in `problem` then.

        Raises:
            EnvironmentFault: this machine fails; a later process can go on.
        """
        self._now = now
        try:
            if self.state == "running":
                if not self._congested():
                    self._advance(again=False)
                self._check_time(now)
            self._tick(now)
        except QuorateError as problem:
            self._ended_by(problem)

    @property
    def busy(self) -> bool:
        """Whether `run` has more to do at once."""
        return self.state == "running" and self.party.ready and not self._congested()

    def _congested(self) -> bool:
        return any(peer.unacked_bytes > self.limits.unacked for peer in self._peers.values())

    def _advance(self, *, again: bool) -> None:
        party, volume = self.party, 0
        while party.ready and (again or volume < _VOLUME):
            party.advance()
            while party.outbox:
                message = party.outbox.popleft()
                volume += message.size
                self._made(message)
        if party.done and self.state == "running":
            self.state = "done"
            if not self.done_at:
                self.done_at = self._now
                self._log.append(records.DONE, struct.pack("<d", self._now))
            for peer in self._peers.values():
                peer.say = True

    def _made(self, message: Message) -> None:
        peer = self._peers.get(message.peer)
        if peer is None:
            raise InternalError(f"the program sends to participant {message.peer}, to whom there is no channel")
        if self._schedule is not None:
            self._schedule("out", message.peer, message.name, message.size, self._again)
        digest = body_digest(message.buffers)
        before = peer.made.get(message.name)
        if before is None:
            peer.sent += 1
            entry = peer.made[message.name] = Entry(peer.index, peer.sent, message.name, message.size, digest)
            self._log.append(records.SENT, entry.pack())
            peer.post(entry, message.buffers, again=False)
        elif (before.digest, before.size) != (digest, message.size):
            raise InternalError(
                f"what we computed at {self.scope.describe(message.name)} is not what we had computed before we were "
                "interrupted; nothing was sent: were software or data exchanged meanwhile?"
            )
        elif before.seq not in peer.unacked:
            peer.post(before, message.buffers, again=True)

    def _deliver(self, entry: Entry, body: bytes) -> None:
        if self._schedule is not None:
            self._schedule("in", entry.peer, entry.name, entry.size, self._again)
        self._delivered[entry.peer, entry.name] = None
        self.party.deliver(entry.peer, entry.name, body)

    # ---- what the program leaves with us

    def note(self, label: str, make: Callable[[], bytes]) -> bytes:
        """What `make` gave the first time it was asked for under `label`: for what comes from outside, such as tuples
        that are spent. Durable before it is used."""
        if label not in self.notes:
            content = make()
            self._log.append(records.NOTE, label.encode(), b"\0", content)
            self._log.commit()
            self.notes[label] = content
        return self.notes[label]

    def setup_over(self) -> None:
        """The program has agreed on its keys: what it received so far it needs again after every restart."""
        self._setup = frozenset(self._consumed())

    def checkpoint(self, saved: Sequence[Buffer]) -> None:
        """A stage of the plan is over and everything rests: `saved` is all that the program needs to go on from here.

        It is written at the next `commit`, and what led to it is forgotten.
        """
        tails = {peer.index: peer.sent for peer in self._peers.values()}
        self._saved = (list(saved), frozenset(self._consumed()) - self._setup, tails)

    def _consumed(self) -> set[tuple[int, Name]]:
        return set(self._delivered) - set(self.party.leftovers())

    def _write_checkpoint(self) -> None:
        if self._saved is None:
            return
        saved, superfluous, tails = self._saved
        self._saved = None
        pending: list[tuple[Entry, list[Buffer]]] = [
            (out.entry, [out.content()])
            for peer in self._peers.values()
            for seq, out in sorted(peer.unacked.items())
            if seq <= tails[peer.index]
        ]
        self._log.rewrite(history.thinned(self._log, superfluous, saved, pending))

    # ---- parcels arrive

    def take(self, data: bytes, token: object, now: float) -> None:
        """A parcel has arrived; `token` comes back through `settled` or `refused`. Raises as `run`."""
        try:
            self._take(data, token, now)
        except _Unusable as problem:
            self._refused.append((token, str(problem)))
        except QuorateError as problem:
            self._tokens.append(token)
            self._ended_by(problem)

    def _take(self, data: bytes, token: object, now: float) -> None:
        try:
            header = parcel.unpack(data)
        except PeerError as problem:
            raise _Unusable(str(problem)) from None
        peer = self._peers.get(header.sender)
        if header.session != self._session or header.receiver != self.seat.me or peer is None:
            raise _Unusable("it is for another session or participant, or from one that has nothing to say to us")
        if self.state in ("closed", "failed"):
            self._tokens.append(token)
        elif header.kind == HELLO:
            self._greeted(peer, data[HEADER_SIZE:], token, now)
        elif peer.channel is None:
            self._hold(peer, data, token)
        elif header.kind == DATA:
            self._piece(peer, header, data, token, now)
        else:
            self._control(peer, header, data, token, now)

    def _hold(self, peer: Peer, data: bytes, token: object) -> None:
        """A parcel that overtook the sender's HELLO. Of too many some are dropped: what is missing is asked for."""
        peer.premature_bytes += len(data) + _PARCEL
        if peer.premature_bytes > _PREMATURE:
            self._tokens.append(token)
        else:
            peer.premature.append((data, token))

    def _greeted(self, peer: Peer, hello: bytes, token: object, now: float) -> None:
        seat = self.seat
        certificate = seat.certificates[peer.index]
        try:
            said = read_hello(hello, seat.session, seat.spec, peer.index, certificate, peer.name)
        except PeerError as problem:
            raise _Unusable(str(problem)) from None
        if peer.hello is not None:
            before = read_hello(peer.hello, seat.session, seat.spec, peer.index, certificate, peer.name)
            if said.statement() != before.statement():  # signatures of the same may differ
                raise IntegrityError(
                    f"{peer.name} began this session a second time, with other keys: it lost its journal, or cheats; "
                    "start a new session"
                )
            self._tokens.append(token)
            peer.greet |= peer.last_control == (0, 0) and not peer.received  # it may not have ours
            return
        peer.hello = hello
        self._open_channel(peer)
        self._log.append(records.GREETED, peer.index.to_bytes(2, "little"), hello)
        self._tokens.append(token)
        peer.heard = now
        peer.say = True
        early, peer.premature = peer.premature, []
        for data, held in early:
            self.take(data, held, now)

    def _piece(self, peer: Peer, header: Header, data: bytes, token: object, now: float) -> None:
        split = split_sealed(header, data)
        if split is None or peer.channel is None:
            raise _Unusable(f"a message of {peer.name} is shorter or longer than it says")
        sealed, signature = split
        body = peer.channel.open(data[:HEADER_SIZE], sealed)
        if body is None:
            raise _Unusable(f"a message of {peer.name} was changed on its way, or is not from it")
        peer.heard = peer.fed = now
        if header.seq > peer.received + _AHEAD:
            raise PeerError(f"{peer.name} sent message {header.seq} before {peer.received + 1}; compare releases")
        again = peer.has(header.seq)
        oldest = min(peer.arriving, default=header.seq)
        if peer.incomplete > _INCOMPLETE and header.pieces > 1 and (again or header.seq > oldest):
            self._tokens.append(token)  # asked for again once there is room
            return
        assembly = peer.repeated if again else peer.arriving
        arriving = assembly.setdefault(header.seq, Arriving(header._replace(piece=0)))
        if arriving.header != header._replace(piece=0):
            raise IntegrityError(f"{peer.name} sent pieces of two messages at one place; start a new session")
        arriving.add(header.piece, b"" if again else body, sealed, signature, token)
        peer.incomplete += len(data)
        if not arriving.complete:
            return
        if not peer.channel.signed(parcel.pack(arriving.header), arriving.digest, arriving.signature):
            # The signature is outside of what is sealed, so anybody on the way can have spoilt it.
            why = f"the signature of a message of {peer.name} was changed on its way"
            self._refused += [(held, why) for held in arriving.drop_last()]
            return
        del assembly[header.seq]
        peer.incomplete = sum(one.size for one in (*peer.arriving.values(), *peer.repeated.values()))
        self._tokens += [held for tokens in arriving.tokens.values() for held in tokens]
        if again:
            self._compare(peer, arriving)
        else:
            self._arrived(peer, arriving, now)

    def _arrived(self, peer: Peer, arriving: Arriving, now: float) -> None:
        """A message is complete: write it down, give it to the party."""
        header, sealed, body = arriving.header, arriving.digest, arriving.body
        digest = hashlib.sha256(body).digest()
        entry = Entry(peer.index, header.seq, header.name, header.size, digest, now, sealed, arriving.signature)
        if self.state == "running":
            self._log.append(records.RECEIVED, entry.pack(), body)
        peer.note(entry)
        peer.unsaid += header.size
        if self.state == "running":
            self._deliver(entry, body)

    def _compare(self, peer: Peer, arriving: Arriving) -> None:
        """A message came again: it must be the same."""
        header, known = arriving.header, peer.entries.get(arriving.header.seq)
        if known is None:
            return
        first = header._replace(name=known.name, size=known.size, pieces=parcel.piece_count(known.size))
        if (first, known.sealed) == (header, arriving.digest):
            return
        second = Signed(parcel.pack(header), arriving.digest, arriving.signature)
        one = Signed(parcel.pack(first), known.sealed, known.signature)
        self.evidence.append(Evidence(peer.index, peer.hello or b"", one, second))
        raise IntegrityError(
            f"{peer.name} sent two different messages at one place ({self.scope.describe(header.name)}); "
            "what it signed is kept as evidence"
        )

    def _control(self, peer: Peer, header: Header, data: bytes, token: object, now: float) -> None:
        counter, incarnation = header.seq, header.name[1]
        if peer.channel is None or len(data) > HEADER_SIZE + _CONTROL:
            raise _Unusable("a control message that is too long")
        body = peer.channel.open_control(data[:HEADER_SIZE], data[HEADER_SIZE:])
        if body is None:
            raise _Unusable(f"a message of {peer.name} was changed on its way, or is not from it")
        self._tokens.append(token)
        if (incarnation, counter) <= peer.last_control:
            return
        peer.last_control = (incarnation, counter)
        peer.heard = now
        if header.kind == STATUS:
            self._status(peer, body)
        elif self.state == "done":
            peer.done = True
        else:
            raise PeerError(f"{peer.name} failed: {decode_failure(body, peer.name)}")

    def _status(self, peer: Peer, body: bytes) -> None:
        try:
            status = Status.unpack(body)
        except ValueError:
            raise PeerError(f"{peer.name} sent a malformed status; compare releases") from None
        if status.received > peer.sent:
            self.fail(
                EnvironmentFault(
                    f"{peer.name} has {status.received} messages of ours, our journal knows of {peer.sent}: our data "
                    "folder was put back to an old state; going on could tell secrets, so this session is given up: "
                    "start a new one"
                )
            )
            return
        peer.met = True
        peer.acknowledged(status.received)
        peer.tail = max(peer.tail, status.sent)
        peer.done |= status.done
        if status.want:
            peer.greet = peer.say = True
            self._resend(peer)

    def say_all(self) -> None:
        """We are about to leave for a while: every peer is to hear what we have of it."""
        for peer in self._peers.values():
            peer.say |= peer.unsaid > 0 or (self.state == "done" and not peer.done)

    def lost(self, index: int) -> None:
        """A connection to a peer was lost, and what was under way with it: everything goes again."""
        peer = self._peers[index]
        peer.greet = peer.say = True
        self._resend(peer)

    def _resend(self, peer: Peer) -> None:
        if not self._waiting(peer.index):  # else what is on its way first; a peer that still lacks something asks again
            peer.resend()

    # ---- time

    @property
    def wakeup(self) -> float:
        """When `run` is to be called next, if nothing arrives before."""
        return self._next_tick

    def _tick(self, now: float) -> None:
        eager = any(peer.unsaid >= self.limits.acknowledge for peer in self._peers.values())
        if now >= self._next_tick or eager:
            waited = {index for index, _ in self.party.waiting()} if self.state == "running" else set()
            alive = self.limits.alive is not None and now >= self._next_alive
            if alive:
                self._next_alive = now + (self.limits.alive or 0.0)
            for peer in self._peers.values():
                due = now - max(peer.fed, peer.asked) >= self.limits.nudge
                lacking = due and (peer.index in waited or peer.tail > peer.settled or peer.channel is None)
                if lacking:
                    peer.asked = now
                peer.want |= lacking
                peer.greet |= lacking and peer.channel is None
                peer.say |= lacking or peer.unsaid > 0 or (alive and not peer.done)
            self._next_tick = now + self.limits.mindful
        if self.state == "done" and (now > self.limits.deadline or all(map(self._over, self._peers.values()))):
            self.state = "closed"

    def _over(self, peer: Peer) -> bool:
        """Neither of us needs anything more of the other, and both know."""
        return peer.done or (peer.acked == peer.sent and peer.channel is not None and peer.settled >= peer.tail > 0)

    def _check_time(self, now: float) -> None:
        awaited: dict[int, Name] = {}
        for index, name in self.party.waiting():
            awaited.setdefault(index, name)
        if now > self.limits.deadline:
            raise PeerTimeout(
                "the session did not end in its time (timeouts.session in the spec): waiting for "
                f"{self._people(awaited)}{self._steps(awaited.values())}"
            )
        silent = {
            index: name
            for index, name in awaited.items()
            if now - max(self._peers[index].heard, self._began) >= self.limits.silence
        }
        if silent and self.party.lacking(set(silent)):
            raise PeerTimeout(
                f"no message from {self._people(silent)} for {self.limits.silence:g} s{self._steps(silent.values())}; "
                "check that its node runs and that the network or broker between you works, then start a new session"
            )

    def _people(self, indices: Mapping[int, Name]) -> str:
        return " and ".join(sorted(self.seat.names[index] for index in indices)) or "our own work"

    def _steps(self, names: Any) -> str:
        steps = sorted({self.scope.describe(name) for name in names})
        return f" at {' and '.join(steps)}" if steps else ""

    # ---- the end

    def fail(self, problem: QuorateError) -> None:
        """The session ends, for good; all peers are told at the next `outgoing`. Nothing happens after its result."""
        if self.state != "running":
            return
        named = with_names(str(problem), self.seat.names)
        self.problem = problem if named == str(problem) else type(problem)(named)
        self.state = "failed"
        with contextlib.suppress(EnvironmentFault):  # a full disk; the fence says it too
            self._log.append(records.ENDED, named[:1000].encode())
        self._farewell = encode_failure(self.problem)
        for peer in self._peers.values():
            peer.say = True

    def transcript(self) -> str:
        """64 hexadecimal digits over all messages of ours and to us, see `history.transcript`."""
        return history.transcript(self.seat.me, self._peers.values()).hex()

    # ---- what leaves

    def commit(self) -> None:
        """Make everything durable that has happened. Raises `EnvironmentFault`: then nothing may leave."""
        self._log.commit()
        self._write_checkpoint()
        self._settled += self._tokens
        self._tokens = []
        for peer in self._peers.values():
            peer.settled = peer.received
            peer.ready += peer.to_send
            peer.to_send = []

    def _hesitates(self) -> bool:
        """Whether peers might still tell us that our journal is an old one."""
        if self.seat.incarnation == 1 or self.limits.alive is None or self._now > self._began + _MEETING:
            return False
        return not all(peer.met for peer in self._peers.values() if peer.channel is not None)

    def outgoing(self) -> Iterator[tuple[int, Parcel]]:
        """The parcels to carry now, by receiver, oldest first; call after `commit`, and carry all."""
        incarnation = self.seat.incarnation
        for peer in self._peers.values():
            if peer.greet:
                peer.greet = False
                yield peer.index, parcel.parcel(self._header(peer, HELLO), self._hello)
            channel = peer.channel
            if channel is None:
                continue
            if self.state != "failed" and not self._hesitates():
                ready, peer.ready = peer.ready, []
                for seq in ready:
                    if seq in peer.unacked:
                        for made in peer.sealed(seq, self._keys, channel, self._session, incarnation):
                            yield peer.index, made
            if peer.say:
                yield peer.index, self._said(peer)

    def _said(self, peer: Peer) -> Parcel:
        want, peer.want, peer.say, peer.unsaid = peer.want, False, False, 0
        if self.state == "failed":
            return self._sealed_control(peer, FAIL, self._farewell)
        status = Status(peer.settled, peer.sent, want, self.state in ("done", "closed"))
        return self._sealed_control(peer, STATUS, status.pack())

    def _sealed_control(self, peer: Peer, kind: int, body: bytes) -> Parcel:
        if peer.channel is None:
            raise InternalError("a control message before the keys were exchanged")
        self._counter += 1
        header = self._header(peer, kind)._replace(seq=self._counter, name=(0, self.seat.incarnation), size=len(body))
        packed = parcel.pack(header)
        sealed = peer.channel.seal_control(packed, body)
        return parcel.parcel(header, sealed)

    def _header(self, peer: Peer, kind: int) -> Header:
        return Header(kind, self.seat.me, peer.index, self._session)

    def settled(self) -> list[object]:
        """Tokens of parcels that are safe with us, each once."""
        tokens, self._settled = self._settled, []
        return tokens

    def refused(self) -> list[tuple[object, str]]:
        """Tokens of parcels that are of no use, with the reason, each once."""
        refused, self._refused = self._refused, []
        return refused

    def handed_over(self) -> None:
        """Brokers keep all that has left so far: after a restart it need not be sent again without being asked for."""
        for peer in self._peers.values():
            upto = min(peer.to_send + peer.ready, default=peer.sent + 1) - 1
            if upto > peer.confirmed and peer.channel is not None:
                peer.confirmed = upto
                self._log.append(records.CONFIRMED, peer.index.to_bytes(2, "little"), upto.to_bytes(8, "little"))
