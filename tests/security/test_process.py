"""What leaves a process: core files, randomness that forked workers share, and texts of others on a terminal."""

from __future__ import annotations

import io
import json
import os
import resource
import ssl

import pytest
from rich.console import Console

from quorate.cli import explain_view
from quorate.cli.main import main
from quorate.crypto.entropy import SystemEntropy
from quorate.crypto.hashing import new_salt
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.lang.plan import Plan
from quorate.node.process import fork, run_and_exit


def in_child(action):
    """The bytes that `action` gives in a forked process."""
    reading, writing = os.pipe()
    pid = fork()
    if not pid:
        os.close(reading)
        run_and_exit(lambda: 0 if os.write(writing, action()) else 1)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def test_commands_leave_no_core_files():
    def limit():
        most = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))
        with pytest.raises(SystemExit):
            main(["--version"])
        return str(resource.getrlimit(resource.RLIMIT_CORE)[0]).encode()

    assert in_child(limit).splitlines()[-1] == b"0"


def test_forked_workers_share_no_randomness():
    def draw():
        session = Session(0, 3, ("a", "b", "c"))
        own = session.private(Scope.root(), "test").bytes(16)
        return own + SystemEntropy().bytes(16) + new_salt() + ssl.RAND_bytes(16)

    draws = [draw(), in_child(draw), in_child(draw), draw()]
    pieces = [text[at : at + 16] for text in draws for at in range(0, len(text), 16)]
    assert len(set(pieces)) == len(pieces) == 20


def plan(name="p", where="line 1", output="x"):
    attributes = {"values": [1], "shape": [], "dtype": "int"}
    rows = [["constant", [], attributes, "int", [], False, where]]
    return json.dumps({"plan": 1, "name": name, "operations": rows, "outputs": {output: 0}}).encode()


@pytest.mark.parametrize("change", [{"name": "p\x1b[2K"}, {"where": "a\rb"}, {"output": "x\u202ey"}])
def test_a_plan_of_others_cannot_rewrite_what_the_terminal_shows(change):
    assert Plan.from_json(plan()).name == "p"
    with pytest.raises(UserError, match="control characters"):
        Plan.from_json(plan(**change))


def test_names_of_outputs_are_shown_as_they_are():
    part = {"role": "party", "knows": [], "results": {}, "keeps_shares_of": ["[black]x[/black]"], "public": "a; b"}
    console = Console(file=io.StringIO(), width=100)
    console.print(explain_view._learns({"learns": {"p1": part}, "opened_inside": []}))
    assert "[black]x[/black]" in console.file.getvalue()
