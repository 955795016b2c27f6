"""What a node finds in its inbox: invitations to sessions, and news for sessions that wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from quorate.errors import EnvironmentFault, QuorateError, UserError
from quorate.files import read_bytes
from quorate.node.identity import Identity
from quorate.node.invitation import (
    Cancellation,
    Invitation,
    Reply,
    check_invitation,
    invitations_queue,
    is_cancellation,
    opened,
    replies_queue,
    signed,
)
from quorate.node.messages import Failure
from quorate.node.place import Place
from quorate.node.routes import inbox_of, opener, rounds_queue
from quorate.node.sessions import Sessions
from quorate.transport.backoff import Backoff, jittered
from quorate.transport.carrier import Carrier, Delivery, Limits

__all__ = ["LETTERS", "Mail"]

log = logging.getLogger(__name__)

LETTERS = Limits(ttl=30 * 24 * 3600.0, most_bytes=64 << 20, most_deliveries=1000)
"""Of queues of invitations and replies."""
_PAUSE = 2.0
_ROUND = 300.0
_LONGEST_PAUSE = 60.0

Accept = Callable[[Invitation], None]
"""Prepare and start the session of an invitation; raises if it is refused."""


class Mail:
    """Empties the inbox of a member; `run` in a thread of its own, or `look` once.

    Args:
        home: the node's data folder.
        accept: takes an invitation.
        resume: takes a waiting session up.
    """

    def __init__(
        self, identity: Identity, home: Path, sessions: Sessions, accept: Accept, resume: Callable[[Place], None]
    ) -> None:
        self._identity, self._home, self._sessions = identity, home, sessions
        self._accept, self._resume = accept, resume
        self._closing = threading.Event()
        self._next_round = time.monotonic() + jittered(_ROUND)
        self._queue = invitations_queue(identity.name)

    def run(self) -> None:
        """Look again and again, with jitter, until `close`."""
        pauses = Backoff(_PAUSE, _LONGEST_PAUSE)
        while not self._closing.is_set():
            try:
                self.look()
                pauses.reset()
                self._closing.wait(jittered(_PAUSE))
            except Exception as problem:  # whatever it is, the next look may go well
                log.warning("the inbox cannot be looked at: %s", Failure.of(problem).message)
                log.debug("details", exc_info=problem)
                self._closing.wait(pauses.pause())

    def close(self) -> None:
        """Let `run` end."""
        self._closing.set()

    def look(self) -> bool:
        """Take invitations, take waiting sessions up for which something has come, send replies; whether there was any.

        Raises:
            BrokerFault: our inbox cannot be reached.
        """
        carrier = opener(self._identity, inbox_of(self._identity.member))()
        try:
            carrier.provision(self._queue, LETTERS)
            some = self._invitations(carrier)
            some |= self._waiting(carrier)
        finally:
            carrier.close()
        return self._replies() or some

    # ---- invitations

    def _invitations(self, carrier: Carrier) -> bool:
        letters = carrier.consume(self._queue, 16, 0.0)
        for delivery in letters:
            self._invited(carrier, delivery)
        return bool(letters)

    def _invited(self, carrier: Carrier, delivery: Delivery) -> None:
        """Take an invitation. A bad one says nothing about the session that it names."""
        letter = delivery.parcel.body
        if is_cancellation(letter):
            self._cancelled(carrier, delivery)
            return
        try:
            invitation = opened(letter, Invitation, self._identity.federation)
            check_invitation(invitation, self._identity.federation)
            place = Place(self._home, self._identity.name, invitation.session)
            self._check_sender(place, invitation)
        except QuorateError as problem:
            log.warning("an invitation was refused: %s", problem)
            carrier.reject(delivery, str(problem))
            return
        if not (place.started or place.end is not None):
            place.invited(letter)
            try:
                self._accept(invitation)
            except EnvironmentFault as problem:  # of this machine: the invitation comes again
                log.warning("session %s of %s has to wait: %s", invitation.session, invitation.sender, problem)
                return
            except QuorateError as problem:
                log.warning("session %s of %s was refused: %s", invitation.session, invitation.sender, problem)
                place.note_end(Failure.of(problem).told)
        carrier.acknowledge([delivery])

    def _cancelled(self, carrier: Carrier, delivery: Delivery) -> None:
        """The coordinator of a session gives it up: what runs is ended, and tells the others."""
        try:
            letter = opened(delivery.parcel.body, Cancellation, self._identity.federation)
            place = Place(self._home, self._identity.name, letter.session)
            if place.coordinator(self._identity.federation) != letter.sender:
                raise UserError(f"{letter.sender} did not start session {letter.session}, and cannot cancel it")
        except QuorateError as problem:
            log.warning("a cancellation was refused: %s", problem)
            carrier.reject(delivery, str(problem))
            return
        log.info("session %s: cancelled", letter.session)
        if place.prepared and place.end is None:
            place.cancel()
            self._resume(place)
        carrier.acknowledge([delivery])

    def _check_sender(self, place: Place, invitation: Invitation) -> None:
        """Whoever asked for a session first is its coordinator."""
        before = place.coordinator(self._identity.federation)
        if before not in ("", invitation.sender):
            raise UserError(f"session {invitation.session} is that of {before}, and {invitation.sender} invites to it")

    # ---- sessions that wait

    def _waiting(self, carrier: Carrier) -> bool:
        some = False
        due = time.monotonic() >= self._next_round
        if due:  # also without news: what was lost on the way has to be asked for, and what is over, ended
            self._next_round = time.monotonic() + jittered(_ROUND)
        for entry in self._sessions.suspended:
            if due or carrier.depth(rounds_queue(entry.session, self._identity.name)):
                self._resume(Place(self._home, self._identity.name, entry.session))
                some = True
        return some

    # ---- replies

    def _replies(self) -> bool:
        some = False
        for path in (self._home / "sessions" / self._identity.name).glob("*/invitation.json"):
            place = Place(self._home, self._identity.name, path.parent.name)
            if place.end is None:
                continue
            try:
                some |= self._reply(place, path)
            except QuorateError as problem:  # somebody else's broker, or certificate: others have nothing to do with it
                log.warning("session %s: no reply could be left for its coordinator: %s", place.session, problem)
        return some

    def _reply(self, place: Place, path: Path) -> bool:
        """Tell the coordinator how a session ended; done once."""
        invitation = opened(read_bytes(path), Invitation, self._identity.federation)
        end = place.end
        if end is None:
            return False
        letter = Reply(session=place.session, sender=self._identity.name, issued=time.time(), end=end)
        coordinator = self._identity.federation.member(invitation.sender)
        queue = replies_queue(place.session, coordinator.name)
        carrier = opener(self._identity, inbox_of(coordinator))()
        try:
            carrier.provision(queue, LETTERS)
            carrier.publish(queue, [signed(self._identity, letter)])
        finally:
            carrier.close()
        path.unlink()
        return True
