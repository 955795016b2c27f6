"""Members of different releases are told so by name, whoever of them is the newer one."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from quorate.coordination.agreement import software
from quorate.errors import AgreementError, PeerError
from quorate.node.control import Control, call, dial
from quorate.node.messages import Failure, Hello, Refused, Request, Response, Welcome


@pytest.fixture
def ends():
    """A control connection between an analyst and a node, without TLS."""
    ours, theirs = socket.socketpair()
    pair = Control(ours, "p1", Response), Control(theirs, "institute", Request)
    yield pair
    for control in pair:
        control.close()


def sent(control, message):
    body = json.dumps(message).encode()
    control._socket.sendall(len(body).to_bytes(4, "big") + body)


def test_of_a_node_that_says_more_than_we_know(ends):
    ours, node = ends
    sent(node, {"type": "welcome", "member": "p1", "software": "quorate 9.1", "time": 1.0, "weather": "fine"})
    with pytest.raises(AgreementError) as caught:
        call(ours, Hello(software=software()), 5)
    assert str(caught.value) == (
        f"this is {software()} and cannot read a message of p1, which runs 'quorate 9.1'; install the same release on "
        "both"
    )


def test_of_a_client_that_asks_for_what_a_node_does_not_know(ends):
    ours, node = ends
    sent(ours, {"type": "predict", "software": "quorate 9.1"})
    with pytest.raises(AgreementError, match=r"of institute, which runs 'quorate 9\.1'"):
        node.receive(5)
    sent(ours, {"type": "predict"})
    with pytest.raises(
        AgreementError, match=r"cannot read a message of institute \(.*predict.*if it runs another release"
    ):
        node.receive(5)


def test_a_refusal_of_an_older_node_names_both_releases(ends):
    ours, node = ends
    failure = Failure(code="AgreementError", message="this is quorate 0.0.9 and cannot read a message of institute (x)")
    answering = threading.Thread(target=lambda: (node.receive(5), node.send(Refused(failure=failure))))
    answering.start()
    with pytest.raises(AgreementError, match=rf"p1 refused: this is quorate 0\.0\.9.*here it is {software()}"):
        call(ours, Hello(software=software()), 5)
    answering.join()


def test_nonsense_of_our_own_release_is_a_fault_of_the_peer(ends):
    ours, node = ends
    sent(node, {"type": "welcome", "software": software()})
    with pytest.raises(PeerError, match="p1 sent a malformed control message"):
        ours.receive(5)


def test_a_node_answers_what_it_cannot_read(running):
    identity = running.identity("institute")
    control = dial(identity, identity.federation.member("p1"))
    sent(control, {"type": "predict", "software": "quorate 9.1"})
    answer = control.receive(10)
    control.close()
    assert isinstance(answer, Refused)
    assert answer.failure.code == "AgreementError"
    assert "which runs 'quorate 9.1'; install the same release on both" in answer.failure.message
    again = dial(identity, identity.federation.member("p1"))
    assert isinstance(call(again, Hello(software=software()), 10), Welcome)
    again.close()
