"""Starting, stopping and misusing node processes."""

from __future__ import annotations

import errno
import os
import signal
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from quorate.coordination.agreement import software
from quorate.coordination.federation import load_federation
from quorate.coordination.program import Outcome
from quorate.crypto.pki import create_authority, issue
from quorate.errors import EnvironmentFault, IdentityError, UserError
from quorate.node import messages
from quorate.node.approval import load
from quorate.node.client import submit
from quorate.node.control import call, dial
from quorate.node.identity import Identity
from quorate.node.results import write_results


def test_mistyped_data_is_noticed_at_the_start(site, bodies):
    site.total_spec("sum", bodies["rep3"])
    site.data["o1"] = str(site.folder / "nothing.csv")
    with pytest.raises(UserError, match=r"--data o1=.*nothing.csv: the file does not exist"), site.up(["p1"]):
        pass
    site.data["o1"] = str(site.folder)
    with pytest.raises(UserError, match="is a folder"), site.up(["p1"]):
        pass
    del site.data["o1"]
    site.data["o4"] = site.data.pop("o2")
    with site.up(["p1"]):
        pass
    log = (site.home / "p1.log").read_text()
    assert "'o4'" in log
    assert "check the spelling" in log
    assert "'o3'" not in log


def hello(site, caller="boss", node="p1"):
    control = dial(site.identity(caller), site.federation.member(node))
    try:
        return call(control, messages.Hello(software=software()), 5)
    finally:
        control.close()


def test_a_node_says_who_it_is(running):
    answer = hello(running[0])
    assert (answer.member, answer.software) == ("p1", software())


def test_a_certificate_of_the_authority_that_is_not_pinned_is_refused(running, tmp_path):
    site, _ = running
    other = tmp_path / "pki"
    other.mkdir()
    for name in ("ca.crt", "ca.key"):
        (other / name).write_bytes((site.folder / "pki" / name).read_bytes())
    issue(other, {"boss": None})
    imposter = Identity(_with_certificate(site.federation, "boss", other / "boss.crt"), "boss")
    control = dial(imposter, site.federation.member("p1"))
    try:
        with pytest.raises(IdentityError, match="not the pinned one"):
            call(control, messages.Hello(software=software()), 5)
    finally:
        control.close()
    assert hello(site).member == "p1"


def test_a_certificate_of_another_authority_is_refused(running, tmp_path):
    site, _ = running
    create_authority(tmp_path / "pki", "other")
    issue(tmp_path / "pki", {"boss": None})
    federation = _with_certificate(site.federation, "boss", tmp_path / "pki" / "boss.crt")
    with pytest.raises(IdentityError, match="another authority"):
        Identity(federation, "boss")


def test_another_node_at_the_address_is_noticed(running):
    site, _ = running
    text = site.federation_file.read_text()
    one, other = (str(site.federation.member(name).endpoint) for name in ("p1", "p2"))
    swapped = site.folder / "swapped.yml"
    swapped.write_text(text.replace(one, "X").replace(other, one).replace("X", other))
    federation = load_federation(swapped)
    swapped.unlink()
    with pytest.raises(IdentityError, match="whoever answers for p1"):
        dial(Identity(federation, "boss"), federation.member("p1"))


def _with_certificate(federation, name, path: Path):
    members = tuple(
        msgspec.structs.replace(member, certificate=str(path)) if member.name == name else member
        for member in federation.members
    )
    return msgspec.structs.replace(federation, members=members)


def test_an_expired_certificate_is_noticed_before_anything_starts(site):
    for name in ("p1.crt", "p1.key"):
        (site.folder / "pki" / name).unlink()
    issue(site.folder / "pki", {"p1": None}, days=1, now=datetime.now(UTC) - timedelta(days=3))
    with pytest.raises(IdentityError, match=r"the node of p1: .*expired on"), site.up():
        pass


def test_a_port_in_use_is_named_and_all_nodes_are_stopped(site):
    address = site.federation.member("p3").endpoint
    match = f"the node of p3: .*port {address.port} is in use"
    with (
        socket.create_server((address.host, address.port)),
        pytest.raises(EnvironmentFault, match=match),
        site.up(),
    ):
        pass
    first = site.federation.member("p1").endpoint
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(first, 1).close()


def test_no_node_no_session(site, bodies):
    spec = site.total_spec("nobody", bodies["rep3"])
    with pytest.raises(EnvironmentFault, match=r"the node of p1 at .* cannot be reached .*; is it running\?"):
        submit(site.identity(), load(spec, site.federation))


def test_one_missing_node_stops_the_others_from_starting(site, bodies):
    spec = site.total_spec("partly", bodies["rep3"])
    with site.up(["p1", "p2"]), pytest.raises(EnvironmentFault, match="p3"):
        submit(site.identity(), load(spec, site.federation))


def test_garbage_does_not_disturb_a_node(running):
    site, _ = running
    address = site.federation.member("p1").endpoint
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(300), b"\x16\x03\x01\xff\xff" + bytes(50)):
        with socket.create_connection(address, 5) as sock:
            sock.sendall(garbage)
    identity = site.identity()
    control = dial(identity, site.federation.member("p1"))
    control._socket.sendall((1 << 30).to_bytes(4, "big"))
    assert control.receive(5) is None
    control.close()
    control = dial(identity, site.federation.member("p1"))
    control._socket.sendall((2).to_bytes(4, "big") + b"[]")
    assert control.receive(5).failure.code == "AgreementError"  # a member of another release may speak like that
    assert control.receive(5) is None
    control.close()
    assert hello(site).member == "p1"


def test_nodes_end_when_they_are_told(site, until):
    with site.up(["p1", "p2"]) as nodes:
        pids = list(nodes.pids.values())
        os.kill(pids[0], signal.SIGKILL)
        assert "the node of p1 was killed by SIGKILL" in until(nodes.ended)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_nodes_end_with_the_process_that_started_them(site, command, until):
    starter = command("up", site.federation_file, "--json")
    starter.process.stdout.readline()
    address = site.federation.member("p1").endpoint
    until(lambda: _listens(address))
    starter.process.kill()
    until(lambda: not _listens(address))


def _listens(address):
    try:
        socket.create_connection(address, 1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_ctrl_c_ends_up_cleanly(site, command):
    starter = command("up", site.federation_file)
    while "stop with Ctrl-C" not in starter.process.stdout.readline():
        pass
    starter.process.send_signal(signal.SIGINT)
    code, _, errors = starter.end(10)
    assert code == 130
    assert "Traceback" not in errors
    assert not _listens(site.federation.member("p2").endpoint)


def test_a_full_disk_leaves_no_partial_result(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    outcome = Outcome({"x": np.zeros(3)}, {}, {}, {})
    approved = SimpleNamespace(spec=SimpleNamespace(name="spec"), plan=SimpleNamespace(digest="1" * 64))
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        write_results(tmp_path / "results" / "a.json", approved, "0" * 32, outcome)
    assert list((tmp_path / "results").iterdir()) == []


def test_help_is_fast_and_lists_commands(command):
    code, out, _ = command("--help").end(10)
    assert code == 0
    assert all(name in out for name in ("run", "join", "node", "up"))


def test_mistakes_give_one_line_and_an_exit_code(site, command):
    one = command("run", site.folder / "missing.yaml", "--json")
    two = command("run", site.folder / "missing.yaml", "--surely-not-an-option")
    code, out, errors = one.end()
    assert code == UserError.exit_code
    assert '"UserError"' in out
    assert errors.startswith("quorate: ")
    assert errors.count("\n") == 1
    code, _, errors = two.end()
    assert code == 2
    assert "Traceback" not in errors
