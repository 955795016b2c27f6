"""The guide for outside producers runs as printed: its files, its commands in their order, what they print."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.cli.example import free_ports

GUIDE = Path(__file__).parents[2] / "docs/how-to/submit-shares.md"
WAIT = "until grep -q Ctrl-C up.log; do sleep 0.1; done"
VARIES = re.compile(r"\b[0-9a-f]{16,32}\b")


def write_files(text, folder):
    """The blocks that begin with a comment that names a file."""
    for kind, name, body in re.findall(r"^```(\w+)\n# (\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        assert kind in ("yaml", "python", "csv")
        (folder / name).write_text(body)


def script(text):
    """Commands and, marked, what the guide prints after them; a node of ours is given the time to start."""
    lines = ["set -e", 'quorate() { "$PYTHON" -m quorate "$@"; }']
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines += [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    started = "quorate up federation.yaml &"
    assert started in lines
    lines[lines.index(started)] = "quorate up federation.yaml > up.log 2>&1 &"
    lines.insert(lines.index("quorate up federation.yaml > up.log 2>&1 &") + 1, WAIT)
    return "\n".join([*lines, "kill $(jobs -p)", "wait || true"])


@pytest.mark.slow
@pytest.mark.timeout(400)  # some twenty commands, each a process
def test_the_guide_runs_as_printed(tmp_path):
    text = GUIDE.read_text(encoding="utf-8")
    write_files(text, tmp_path)
    federation = (tmp_path / "federation.yaml").read_text()
    for old, new in zip(("7101", "7102", "7103"), free_ports(3), strict=True):
        federation = federation.replace(f":{old}", f":{new}")
    (tmp_path / "federation.yaml").write_text(federation)
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        ["bash", "-c", script(text)], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        out, _ = process.communicate(timeout=390)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, out
    printed = VARIES.sub("…", out)
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in "".join(blocks).splitlines():
        if not line.startswith("$ "):
            assert VARIES.sub("…", line) in printed
