"""The guide "Analyse data at nodes from a notebook" does what it prints."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "notebooks-on-nodes.md"
PROGRAM = [sys.executable, "-c", "from quorate.cli.main import main; main()"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=90, check=False, env=environment()
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_files(text: str, folder: Path) -> None:
    """Every block that begins with the name of its file, with ports that are free here."""
    sockets = [socket.socket() for _ in range(3)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    for name, body in re.findall(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for number, port in enumerate(ports, 7101):
            body = body.replace(str(number), str(port))
        (folder / name).write_text(body)


@pytest.mark.slow
def test_the_guide_runs(tmp_path):
    text = GUIDE.read_text()
    write_files(text, tmp_path)
    commands = [shlex.split(line)[1:] for line in re.findall(r"^\$ (quorate .*)$", text, re.MULTILINE)]
    init, nodes, *places = commands
    run(tmp_path, *PROGRAM, *init)
    run(tmp_path, sys.executable, "stays.py")
    with subprocess.Popen([*PROGRAM, *nodes], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment()) as up:
        try:
            assert up.stdout is not None
            while "stop with Ctrl-C" not in up.stdout.readline():
                assert up.poll() is None
            placed = [run(tmp_path, *PROGRAM, *command) for command in places[:3]]
            assert "alder, birch, cedar hold 300 rows of 'stays-mary' as shares, for institute" in placed[0]
            assert "stays-luke: 200 rows of st-luke, for institute" in placed[2]
            said = run(tmp_path, sys.executable, "analysis.py")
            assert re.search(r"cost per day and per year of age \[4(19|20|21)\. +1[0-2]\.\]", said)
            assert re.search(r"mean cost \d+\.\d+", said)
            (remove,) = re.findall(r"`quorate (place --remove [^`]*)`", text)
            assert "'stays-luke'" in run(tmp_path, *PROGRAM, *shlex.split(remove))
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(20)
