"""A copy of the hospital example, and the command line both in this process and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from quorate.cli.example import copy_example, free_ports
from quorate.cli.main import main

MAIN = "from quorate.cli.main import main; main()"


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command in this process."""

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ended(int(stop.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def process() -> Callable[..., Ended]:
    """Runs a command in a process of its own."""

    def run(*arguments: object, seconds: float = 60, before: str = "") -> Ended:
        ended = subprocess.run(
            [sys.executable, "-c", before + MAIN, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The hospital example on free ports, without certificates."""
    folder = tmp_path / "hospital"
    copy_example(folder, free_ports(3))
    return folder


@pytest.fixture
def edit() -> Callable[[Path, str, str], None]:
    """Replaces a text that must occur in a file."""

    def replace(path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return replace


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands note for later goes into a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
