"""Atomic writes and the errors of reading and writing files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from quorate.errors import EnvironmentFault, UserError
from quorate.files import ensure_folder, file_error, read_bytes, write_atomic


def test_write_replaces_and_sets_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomic(path, b"one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    write_atomic(path, b"two", 0o600)
    assert read_bytes(path) == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["x"]


def test_without_overwrite_the_first_writer_wins(tmp_path: Path) -> None:
    write_atomic(tmp_path / "x", b"one", overwrite=False)
    with pytest.raises(UserError, match="x: already exists and is not overwritten"):
        write_atomic(tmp_path / "x", b"two", overwrite=False)
    assert read_bytes(tmp_path / "x") == b"one"
    assert os.listdir(tmp_path) == ["x"]


def test_failed_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "x", b"one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("quorate.files.os.fsync", full)
    with pytest.raises(EnvironmentFault, match=r"cannot write .*x: the disk is full"):
        write_atomic(tmp_path / "x", b"two")
    assert read_bytes(tmp_path / "x") == b"one"
    assert os.listdir(tmp_path) == ["x"]


def test_wrong_paths_are_the_users(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*nothing: no such file"):
        read_bytes(tmp_path / "nothing")
    with pytest.raises(UserError, match="a folder, not a file"):
        read_bytes(tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        write_atomic(tmp_path / "no" / "x", b"")
    (tmp_path / "f").write_bytes(b"12345")
    with pytest.raises(UserError, match="not a folder"):
        ensure_folder(tmp_path / "f" / "g")
    with pytest.raises(UserError, match="larger than 4 bytes"):
        read_bytes(tmp_path / "f", 4)


def test_permission_denied_is_the_machines() -> None:
    error = file_error(PermissionError(13, "Permission denied"), Path("/x"), "write")
    assert isinstance(error, EnvironmentFault)
    assert "cannot write /x: permission denied" in str(error)
