"""Whole sessions whose messages travel through brokers: alike at all, mixed, killed, left out, and read along."""

from __future__ import annotations

import shutil

import pytest
from tests.node.lasting_lab import NODES, OUTSIDE, VALUES, Lab, expected, until

from quorate.crypto.pki import issue
from quorate.durable.audit_check import entries
from quorate.errors import UserError
from quorate.node import routes
from quorate.node.invite import invite
from quorate.node.messages import Finished
from quorate.node.observer import audit_folder
from quorate.node.routes import opener
from quorate.testing.servers.nats import NatsServer
from quorate.testing.servers.rabbitmq import RabbitServer
from quorate.testing.servers.redis import RedisServer
from quorate.transport.carrier import Limits, Parcel, Queue

MEMBERS = (*NODES, *OUTSIDE)
KINDS = [
    pytest.param(RedisServer, id="redis"),
    pytest.param(NatsServer, id="nats", marks=pytest.mark.slow),
    pytest.param(RabbitServer, id="rabbitmq", marks=pytest.mark.slow),
]


class Brokers:
    """Brokers of one authority, and labs whose members have inboxes there."""

    def __init__(self, folder):
        self.folder, self.running, self.labs, self.hosts = folder, {}, [], {}

    def get(self, kind):
        """A running broker; its certificates are those of the first one."""
        if kind not in self.running:
            if reason := kind.missing():
                pytest.skip(reason)
            server = kind(self.folder / kind.scheme, MEMBERS)
            if self.running:
                self._adopt(server, next(iter(self.running.values())).pki)
            self.running[kind] = server.start()
        return self.running[kind]

    def _adopt(self, server, pki):
        """Another broker under the same authority; with passwords it is at a host of its own, so others see none."""
        shutil.copytree(pki, server.pki, dirs_exist_ok=True)
        if server.credentials("p1").password is None:
            return
        issue(pki, {f"at-{server.scheme}": "localhost"})
        for suffix in ("crt", "key"):
            shutil.copy(pki / f"at-{server.scheme}.{suffix}", server.pki / f"server.{suffix}")
        self.hosts[server] = "localhost"

    def address(self, server):
        return server.address.replace("127.0.0.1", self.hosts.get(server, "127.0.0.1"))

    def lab(self, kinds, **options):
        """Members p1, p2, p3 have their inboxes at brokers of these kinds, the others where p1 has."""
        servers = [self.get(kind) for kind in kinds]
        pki = next(iter(self.running.values())).pki
        for server in servers:
            for name in MEMBERS:
                login = server.credentials(name)
                if login.password is not None:
                    path = pki / f"{name}.{self.hosts.get(server, '127.0.0.1')}.broker"
                    path.touch(0o600)
                    path.write_text(f"{login.user}\n{login.password}\n")
        inboxes = {name: self.address(servers[min(index, len(servers) - 1)]) for index, name in enumerate(NODES)}
        inboxes |= dict.fromkeys(OUTSIDE, self.address(servers[0]))
        tricks = {"no doorway": no_doorway}
        self.labs.append(Lab(self.folder, pki=pki, inboxes=inboxes, tricks=tricks, **options))
        return self.labs[-1]

    def close(self):
        for lab in self.labs:
            lab.close()
        for server in self.running.values():
            server.kill()


@pytest.fixture
def brokers(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = Brokers(tmp_path)
    yield made
    made.close()


def carriers(lab, session, name="p1"):
    """What brought messages to a node, in order."""
    lines = entries(audit_folder(lab.home, name), session)
    return [line.carrier for line in lines if line.what == "message" and line.direction == "in"]


def finished(lab, session):
    ends = lab.all_ended(session)
    assert all(isinstance(end, Finished) for end in ends.values()), ends
    assert lab.result(session)["total"] == sum(VALUES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_through_a_broker_that_learns_nothing(brokers, kind):
    """Neither the broker's data and logs, nor those of nodes, hold inputs or results; the queues go."""
    lab = brokers.lab([kind])
    server = brokers.get(kind)
    lab.start(trick="no doorway")
    session = lab.submit(lab.spec("sum", "queued", chain=3)).session
    finished(lab, session)
    assert lab.result(session) == expected()
    assert set(carriers(lab, session)) == {kind.scheme}
    if kind is not NatsServer:
        until(lambda: not [name for name in server.names() if session in name and "dlq" not in name], "queues go")
    lab.stop()

    secrets = [form for value in (*VALUES, sum(VALUES)) for form in (str(value).encode(), value.to_bytes(8, "little"))]
    canary = Queue(session, "rounds.p1")
    carrier = opener(lab.site.identity("p1"), server.address)()
    carrier.provision(canary, Limits())
    carrier.publish(canary, [Parcel("canary", secrets[1] + b" " + secrets[0])])
    carrier.close()
    found = [secret for secret in secrets if server.traces(secret)]
    assert found == secrets[:2]  # what we left there ourselves: the search finds what is there
    for path in lab.home.rglob("*"):
        if path.is_file() and path.parent.name != "results":
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path


@pytest.mark.slow
def test_members_with_inboxes_at_different_brokers(brokers):
    """Each sends to where the receiver reads; nobody passes anything on."""
    lab = brokers.lab([NatsServer, RedisServer, RabbitServer])
    lab.start(trick="no doorway")
    session = lab.submit(lab.spec("sum", "queued", chain=3)).session
    finished(lab, session)
    for name, scheme in zip(NODES, ("nats", "rediss", "amqps"), strict=True):
        assert set(carriers(lab, session, name)) == {scheme}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", [RedisServer, NatsServer, RabbitServer])
def test_a_broker_killed_and_started_again_in_the_middle(brokers, kind):
    """Without another way: everybody waits until it is back."""
    lab = brokers.lab([kind])
    lab.start(trick="no doorway")
    session = lab.submit(lab.spec("sum", "queued", chain=40)).session
    server = brokers.get(kind)
    until(lambda: len(carriers(lab, session)) > 5, "messages come", lab=lab)
    server.kill()
    server.start()
    lab.all_ended(session, seconds=150)
    finished(lab, session)
    assert set(carriers(lab, session)) == {kind.scheme}
    assert any(line.what == "lost" for line in entries(audit_folder(lab.home, "p1"), session))


def no_doorway(task):
    """Nodes do not talk to each other directly."""
    plain = routes.Roads.__init__

    def made(self, identity, spec, who, session, doorway):
        plain(self, identity, spec, who, session, None)

    routes.Roads.__init__ = made  # type: ignore[method-assign]


@pytest.mark.slow
def test_from_the_broker_to_direct_connections_and_back(brokers):
    """While the broker is away the nodes talk to each other; when it is back it is used again."""
    lab = brokers.lab([RedisServer])
    server = brokers.get(RedisServer)
    lab.start()
    session = lab.submit(lab.spec("sum", "queued", chain=1500)).session
    until(lambda: len(carriers(lab, session)) > 20, "messages come", lab=lab)
    server.kill()
    until(lambda: carriers(lab, session)[-20:].count("direct") == 20, "they come directly", lab=lab)
    server.start()
    until(lambda: carriers(lab, session)[-20:].count("rediss") == 20 or lab.ends(session), "and back", lab=lab)
    assert not lab.ends(session), "the session was too short to see it"
    lab.kill("p2")
    lab.start("p2")
    ends = lab.all_ended(session, seconds=100)
    assert all(isinstance(end, Finished) for end in ends.values()), ends


def test_a_session_that_would_leave_its_region_is_refused(tmp_path, monkeypatch):
    """By whoever invites, and by every node."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    lab = Lab(
        tmp_path, regions={"p1": "eu-west-1", "p2": "eu", "p3": "us-east-1", "boss": "eu", "o1": "eu", "o2": "eu"}
    )
    try:
        approved = lab.spec("sum", "queued", chain=1, more="region: eu\n")
        with pytest.raises(UserError, match="inbox of p3 lies in 'us-east-1'"):
            invite(lab.site.identity(), approved, lab.home)
        lab.start()
        with pytest.raises(UserError, match="node of p3 lies in 'us-east-1'"):
            lab.submit(approved)
        assert not list(lab.home.glob("sessions/*/*/journal"))
    finally:
        lab.close()
