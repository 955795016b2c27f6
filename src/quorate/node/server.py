"""A node: one port, the sessions behind it, and the control requests of coordinators and participants."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from quorate.coordination.agreement import software
from quorate.coordination.federation import Address, Federation
from quorate.coordination.standing import load_standing
from quorate.coordination.stocks import Stocks
from quorate.errors import EnvironmentFault, IdentityError, PeerError, PeerTimeout, QuorateError, UserError
from quorate.files import ensure_folder
from quorate.node.admission import Admission
from quorate.node.approval import input_names, spec_delivery
from quorate.node.collection import Collection
from quorate.node.control import Control, Unreadable
from quorate.node.desk import Assignment, Making
from quorate.node.identity import Identity
from quorate.node.invitation import Invitation
from quorate.node.ledger import Ledger
from quorate.node.mail import Mail
from quorate.node.messages import (
    Accepted,
    Await,
    Ballast,
    Cancel,
    Catalogue,
    DataSets,
    Differs,
    Failure,
    Finished,
    Forget,
    Found,
    Hello,
    Opened,
    Prepare,
    Probe,
    Produce,
    Refused,
    Remove,
    Request,
    Response,
    Start,
    Watch,
    Welcome,
    check_session,
)
from quorate.node.nursery import Exited, Nursery
from quorate.node.place import Place, places
from quorate.node.probe import Prober
from quorate.node.producing import Keeper, check_asked
from quorate.node.sessions import Entry, Sessions
from quorate.node.tuples import default_fence
from quorate.node.worker import work
from quorate.transport.listener import CONTROL_HOST, Listener, session_host

__all__ = ["Node", "Settings"]

log = logging.getLogger(__name__)

MOST_STRANGERS = 128
"""Control connections at the same time that have not proved yet who they are, at most."""
MOST_PER_MEMBER = 96
"""Control connections of one member at the same time, at most; more than it can have sessions."""
_PRODUCTION_SECONDS = 3.0
"""How long we wait, before we leave, for a session that makes tuples to end in order."""
_HANDSHAKE_SECONDS = 10.0
_IDLE_SECONDS = 600.0
_LONGEST_WAIT = 30.0
_ROOM_SECONDS = 30.0
_VISIT_TICK = 0.05


@dataclass(frozen=True)
class Settings:
    """Where a node finds and leaves its files.

    Attributes:
        specs: folder with the specs and plans that its operator approved.
        home: folder for results, kept shares and the storage key.
        data: input -> path, for inputs that the node's own member provides.
        key: the member's private key; by default beside its certificate.
        listen: where to listen, if not at the address in the federation file (behind a router, for example).
        stocks: which tuples to make ahead of sessions, with whom, see `quorate.coordination.stocks`.
        idle: seconds without news after which the worker of a session that goes through queues ends; the node looks
            after its inbox, and starts another one when something has come.
        insecure_session_seed_for_tests: hexadecimal; lasting sessions use it in place of fresh randomness.
    """

    specs: Path
    home: Path
    data: Mapping[str, str] = field(default_factory=dict)
    key: Path | None = None
    listen: Address | None = None
    stocks: Stocks = field(default_factory=Stocks)
    idle: float = 30.0
    insecure_session_seed_for_tests: str = field(default="", repr=False)


def _check_specs(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"the folder of approved specs {folder} does not exist; give it with --specs")
    if folder.stat().st_mode & stat.S_IWOTH:
        raise EnvironmentFault(
            f"{folder}: every user of this machine may put specs there, and so approve them; run chmod o-w on it"
        )


def _check_data(data: Mapping[str, str], specs: Path) -> None:
    """Notice a mistyped `--data` now and not in the first session."""
    for name, path in data.items():
        if not Path(path).is_file():
            what = "is a folder" if Path(path).is_dir() else "does not exist"
            raise UserError(f"--data {name}={path}: the file {what}; correct the path")
    if data and (strange := set(data) - input_names(specs)):
        log.warning("--data names %s, an input of no spec in %s so far; check the spelling", sorted(strange), specs)


def _check_standing(folder: Path, federation: Federation) -> None:
    """Notice a malformed standing approval now and not in the first session."""
    standing = load_standing(folder, federation)
    if standing is not None:
        log.info("interactive sessions are allowed for %s", standing)


def _check_fence(settings: Settings) -> None:
    """A backup of the data folder must not cover the fence."""
    fence = Path(settings.stocks.fence) if settings.stocks.fence else default_fence()
    if fence.resolve().is_relative_to(settings.home.resolve()):
        raise UserError(
            f"the fence {fence} lies in the data folder {settings.home}; a backup would put back both, and randomness "
            "could be used twice: name another folder as fence in stocks.yaml, or set XDG_STATE_HOME to one"
        )


class Node:
    """The node process of one member. Make it before the process has threads; then `run` it in the main thread."""

    def __init__(self, federation: Federation, name: str, settings: Settings, *, listens: bool = True) -> None:
        """Check identity and folders, fork the nursery and open the port, unless it is to `visit` only.

        Raises:
            UserError: no such member, folder or file of data, or the member has no address or no key.
            IdentityError: its certificate is expired, or not from the federation's authority.
            EnvironmentFault: the port is in use, a folder cannot be made, or anybody may put specs into theirs.
        """
        self.identity = Identity(federation, name, settings.key)
        _ = self.identity.contexts  # a key that does not belong to the certificate is refused here
        self.settings = settings
        _check_specs(settings.specs)
        _check_data(settings.data, settings.specs)
        _check_standing(settings.specs, federation)
        _check_fence(settings)
        ensure_folder(settings.home)
        self._nursery = Nursery(work)
        try:
            where = (settings.listen or self.identity.member.endpoint) if listens else ("127.0.0.1", 0)
            self._port = Listener(*where)
        except BaseException:
            self._nursery.close(0.0)
            raise
        self._sessions = Sessions(self._nursery, self._open_door, self._shut_door, self._recall, self._give_up)
        self._prober = Prober(self.identity)
        self._keeper = Keeper(self.identity, settings.stocks, settings.home, lambda: self._sessions.idle)
        self._mail = Mail(self.identity, settings.home, self._sessions, self._invited, self._take_up)
        self._admission = Admission(MOST_STRANGERS, MOST_PER_MEMBER)
        self._stop_out, self._stop_in = os.pipe()

    def run(self, on_listening: Callable[[], None] | None = None, lifeline: int | None = None) -> None:
        """Serve until SIGTERM, SIGINT or the end of the pipe `lifeline`; then end all sessions and leave.

        Raises:
            EnvironmentFault: the nursery ended by itself.
        """
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: self.stop())
        self._port.register(CONTROL_HOST, self._accept_control)
        try:
            threading.Thread(target=self._watch_nursery, name="nursery", daemon=True).start()
            self._resume()
            self._port.start()
            log.info("node %s listens on %s:%d", self.identity.name, *self._port.address)
            if on_listening is not None:
                on_listening()
            self._keeper.start()
            threading.Thread(target=self._mail.run, name="mail", daemon=True).start()
            self._wait(lifeline)
        finally:
            self._keeper.stop()
            self._mail.close()
            self._sessions.end_production(_PRODUCTION_SECONDS)
            self._port.close()
            self._sessions.close()
            self._nursery.close()
        if self._nursery_ended:
            raise EnvironmentFault("the process that starts sessions ended; see the log above, and restart the node")
        log.info("node %s stopped", self.identity.name)

    _nursery_ended = False

    def stop(self) -> None:
        """Make `run` return; may be called from a signal handler or any thread."""
        os.write(self._stop_in, b"x")

    def _wait(self, lifeline: int | None) -> None:
        poller = select.poll()
        poller.register(self._stop_out, select.POLLIN)
        if lifeline is not None:
            poller.register(lifeline, select.POLLIN)
        poller.poll()

    def _left(self) -> tuple[list[str], list[str]]:
        waiting = [entry.session for entry in self._sessions.suspended]
        begun = [place for place in places(self.settings.home, self.identity.name) if place.started and not place.end]
        return waiting, [place.session for place in begun if place.session not in waiting]

    def _watch_nursery(self) -> None:
        while (event := self._nursery.next_event()) is not None:
            if isinstance(event, Exited):
                self._sessions.exited(event)
        if not self._sessions.closed:
            self._nursery_ended = True
            self.stop()

    def _resume(self) -> None:
        """Take up the lasting sessions that an earlier process of this node has left."""
        for place in places(self.settings.home, self.identity.name):
            if not place.started:  # whoever prepared it hears that it has to do so again
                place.abandon()
                continue
            try:
                self._take_up(place)
            except QuorateError as problem:
                log.error("session %s cannot be taken up again: %s", place.session, problem)

    def _take_up(self, place: Place) -> None:
        self._sessions.resume(msgspec.structs.replace(place.task(), visit=self.settings.idle))

    def _invited(self, invitation: Invitation) -> None:
        """Prepare and start a session whose coordinator is not here; or start one that we were killed over."""
        if spec_delivery(invitation.prepare) != "queued":
            raise UserError("its spec does not say 'delivery: queued', so nobody can take part by invitation")
        place = Place(self.settings.home, self.identity.name, invitation.session)
        if place.prepared:
            place.start()
            self._take_up(place)
            return
        self._prepare(invitation.prepare, invitation.sender)
        place.start()
        self._sessions.start(invitation.session, invitation.sender)

    def visit(self) -> tuple[list[str], list[str]]:
        """Do what can be done now, with what lies in the inbox, and leave.

        Returns the sessions that wait for others, and those that something at this machine keeps from going on.

        The port stays closed. Raises `BrokerFault` when the inbox cannot be reached.
        """
        threading.Thread(target=self._watch_nursery, name="nursery", daemon=True).start()
        try:
            self._resume()
            some = True
            while some:  # the last look also sends the replies of sessions that ended before it
                while self._sessions.working:
                    time.sleep(_VISIT_TICK)
                some = self._mail.look()
            return self._left()
        finally:
            self._sessions.close()
            self._port.close()
            self._nursery.close()

    def _recall(self, session: str) -> Finished | Failure | None:
        return Place(self.settings.home, self.identity.name, session).end

    def _give_up(self, session: str) -> None:
        Place(self.settings.home, self.identity.name, session).cancel()

    def _open_door(self, entry: Entry) -> None:
        self._port.register(session_host(entry.session), entry.welcome)

    def _shut_door(self, entry: Entry) -> None:
        self._port.unregister(session_host(entry.session))

    # ---- control connections

    def _accept_control(self, sock: socket.socket) -> None:
        """Called by the listener for every control connection; must not wait."""
        ticket = self._admission.arrived(sock)
        threading.Thread(target=self._serve_control, args=(sock, ticket), name="control", daemon=True).start()

    def _serve_control(self, sock: socket.socket, ticket: socket.socket) -> None:
        control: Control[Request] | None = None
        caller, admitted = None, False
        try:
            secured, caller = self.identity.accept(sock, _HANDSHAKE_SECONDS)
            control = Control(secured, caller or "an unknown caller", Request)
            admitted = self._admission.recognised(ticket, caller)
            if caller is None:
                control.send(Refused(failure=Failure.of(IdentityError("your certificate is not the pinned one"))))
            elif not admitted:
                log.warning("%s has %d control connections; one more was refused", caller, MOST_PER_MEMBER)
            else:
                self._converse(control, caller)
        except PeerTimeout:
            log.debug("an idle control connection was closed")
        except PeerError as problem:
            log.info("control connection: %s", problem)
        except Exception as problem:
            log.error("control connection: %s", Failure.of(problem).message)
        finally:
            sock.close()
            if control is not None:
                control.close()
            if caller is not None and admitted:
                self._admission.left(caller)
            else:
                self._admission.recognised(ticket, None)

    def _converse(self, control: Control[Request], caller: str) -> None:
        try:
            while (request := control.receive(_IDLE_SECONDS)) is not None:
                self._answer(control, caller, request)
        except Unreadable as problem:
            control.send(Refused(failure=Failure.of(problem)))
            raise PeerError(str(problem)) from None

    def _answer(self, control: Control[Request], caller: str, request: Request) -> None:
        try:
            if isinstance(request, Watch):
                events = self._events(caller, request)
            else:
                events = iter([self._respond(caller, request)])
        except QuorateError as problem:
            log.warning("refused %s of %s: %s", type(request).__name__.lower(), caller, problem)
            control.send(Refused(failure=Failure.of(problem).told))
            return
        for event in events:
            control.send(event)

    def _respond(self, caller: str, request: Request) -> Response:
        if isinstance(request, Hello):
            return Welcome(member=self.identity.name, software=software(), time=time.time())
        if isinstance(request, Await):
            return self._await(caller, request)
        if isinstance(request, Ballast):
            return Accepted()
        if isinstance(request, Produce):
            self._produce(request, caller)
            return Accepted()
        if isinstance(request, (DataSets, Forget, Remove)):
            return self._collection(caller, request)
        if not (isinstance(request, (Start, Cancel)) and self._sessions.prepared_by(request.session, caller)):
            self._check_may_ask(caller, request)
        if isinstance(request, Probe):
            return self._prober.probe(request.member)
        session = check_session(request.session)
        if isinstance(request, Prepare):
            self._prepare(request, caller)
        elif isinstance(request, Start):
            self._sessions.start(session, caller)
        elif isinstance(request, Cancel):
            self._sessions.cancel(session, caller)
        return Accepted()

    def _check_may_ask(self, caller: str, request: Request) -> None:
        """Owners place data sets without the role coordinator; all else that starts sessions takes it."""
        placing = isinstance(request, Prepare) and request.interactive is not None and request.interactive.data_set
        if not (placing and self.identity.federation.member(caller).has("owner")):
            self._check_coordinator(caller)

    def _collection(self, caller: str, request: DataSets | Forget | Remove) -> Response:
        held = Collection(self.settings.home, self.identity.name)
        if isinstance(request, DataSets):
            return Catalogue(cards=held.cards_for(caller), opened=self._opened(caller, held))
        if isinstance(request, Forget):
            held.forget(request.names, caller)
        else:
            held.remove(request.name, caller)
        return Accepted()

    def _opened(self, caller: str, held: Collection) -> tuple[Opened, ...]:
        try:
            standing = load_standing(self.settings.specs, self.identity.federation)
        except UserError:
            standing = None  # sessions are refused and say why; what was opened is known all the same
        return Ledger(held.folder, held.member).told(caller, None if standing is None else standing.most_openings)

    def _check_coordinator(self, caller: str) -> None:
        if not self.identity.federation.member(caller).has("coordinator"):
            raise IdentityError(
                f"{caller} may not start or stop sessions; it lacks the role coordinator in the federation file of "
                f"{self.identity.name}"
            )

    def _prepare(self, request: Prepare, caller: str) -> None:
        settings, identity = self.settings, self.identity
        self._sessions.prepare(
            Assignment(
                federation=identity.federation,
                member=identity.name,
                key=str(identity.key),
                specs=str(settings.specs),
                home=str(settings.home),
                data={} if request.rehearsal is not None else dict(settings.data),  # a rehearsal needs no path
                prepare=request,
                fence=settings.stocks.fence,
                coordinator=caller,
                visit=settings.idle,
                insecure_session_seed_for_tests=settings.insecure_session_seed_for_tests,
            ),
            caller,
        )

    def _produce(self, request: Produce, caller: str) -> None:
        settings, identity = self.settings, self.identity
        check_session(request.session)
        check_asked(request, caller, settings.stocks, settings.home, identity.name)
        if not (self._sessions.make_room(_ROOM_SECONDS) if request.now else self._sessions.idle):
            raise EnvironmentFault(f"{identity.name} runs a session now; tuples are made when it is idle")
        making = Making(
            federation=identity.federation,
            member=identity.name,
            key=str(identity.key),
            home=str(settings.home),
            produce=request,
            fence=settings.stocks.fence,
        )
        self._sessions.prepare(making, caller)

    def _await(self, caller: str, request: Await) -> Response:
        patience = min(max(0.0, request.seconds), _LONGEST_WAIT)
        entry = self._sessions.await_one(request, caller, patience)
        if entry is None or entry.ready is None:
            return Found(session=None)
        if entry.ready.spec_digest != request.spec_digest:
            return Differs(spec=entry.ready.spec)
        return Found(session=entry.session, rehearsal=entry.ready.rehearsal)

    def _events(self, caller: str, request: Watch) -> Iterator[Response]:
        if (ended := self._sessions.ended(check_session(request.session))) is not None:
            self._check_coordinator(caller)
            return iter([ended.told if isinstance(ended, Failure) else ended])
        entry = self._sessions.get(check_session(request.session))
        if not entry.concerns(caller):
            self._check_coordinator(caller)
        return (event.told if isinstance(event, Failure) else event for event in self._sessions.watch(entry))
