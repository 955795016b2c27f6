"""Reading and writing whole files, with errors that say what to do.

Writes are atomic: a reader sees the old content or the new, never half of it, also after a crash.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from quorate.errors import EnvironmentFault, QuorateError, UserError

__all__ = ["cache_folder", "ensure_folder", "file_error", "read_bytes", "write_atomic"]

_HINTS = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the disk quota is used up; free some space and try again",
    errno.EACCES: "permission denied; check the owner and the permissions of the file and its folder",
    errno.EPERM: "permission denied; check the owner and the permissions of the file and its folder",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
}
_MISTAKES = {
    errno.ENOENT: "no such file or folder; check the path",
    errno.ENOTDIR: "a part of the path is not a folder; check the path",
    errno.EISDIR: "this is a folder, not a file; check the path",
    errno.EEXIST: "already exists and is not overwritten; remove it first or choose another place",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter one",
}


def file_error(error: OSError, path: Path, action: str) -> QuorateError:
    """The error to raise for `error` while trying to `action` ("read", "write") `path`.

    A wrong path is a `UserError`; a machine that refuses (full disk, permissions) an `EnvironmentFault`.
    """
    code = error.errno or 0
    if code in _MISTAKES:
        return UserError(f"cannot {action} {path}: {_MISTAKES[code]}")
    return EnvironmentFault(f"cannot {action} {path}: {_HINTS.get(code, error.strerror or 'input/output error')}")


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """The content of the file `path`.

    Raises:
        UserError: there is no such file, or it has more than `limit` bytes.
        EnvironmentFault: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            data = file.read() if limit is None else file.read(limit + 1)
    except OSError as error:
        raise file_error(error, path, "read") from error
    if limit is not None and len(data) > limit:
        raise UserError(f"{path}: larger than {limit} bytes, which no file of this kind needs; check the path")
    return data


def cache_folder() -> Path:
    """The user's folder for what can be made again: below `XDG_CACHE_HOME`, or ~/.cache. It may not exist yet."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "quorate"


def ensure_folder(path: Path, mode: int = 0o755) -> None:
    """Create the folder `path` (and its parents) unless it exists; raises as `file_error`."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(error, path, "create") from error


def write_atomic(path: Path, data: bytes, mode: int = 0o644, *, overwrite: bool = True) -> None:
    """Write `data` to `path` with permissions `mode`, durably and in one step.

    Raises:
        UserError: the folder does not exist, or `path` exists and `overwrite` is false.
        EnvironmentFault: the disk is full, or this machine refuses the write.
    """
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:64]}.", dir=path.parent)
        _fill(descriptor, temporary, data, mode)
        _publish(temporary, path, overwrite)
        _sync_folder(path.parent)
    except OSError as error:
        raise file_error(error, path, "write") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _fill(descriptor: int, path: str, data: bytes, mode: int) -> None:
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.chmod(path, mode)
        os.fsync(file.fileno())


def _publish(temporary: str, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, path)
    else:  # a hard link fails when the name is taken, so two writers cannot both win
        os.link(temporary, path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
