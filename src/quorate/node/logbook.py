"""The record of interactive sessions at a node: which specs and plans ran, when, and for whom."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from quorate.files import ensure_folder, file_error, write_atomic

__all__ = ["Record"]


@dataclass(frozen=True)
class Record:
    """What ran at a node: HOME/interactive/plans/MEMBER/DIGEST.*, and one line a session in sessions/MEMBER/DAY."""

    folder: Path
    member: str

    @property
    def _today(self) -> Path:
        return self.folder / "sessions" / self.member / f"{datetime.now(UTC).date().isoformat()}.jsonl"

    @property
    def fresh(self) -> bool:
        """Whether there was no session yet today."""
        return not self._today.exists()

    def file(self, digest: str, spec: bytes, plan: bytes) -> None:
        """Keep spec and plan under their digest."""
        folder = self.folder / "plans" / self.member
        ensure_folder(folder, 0o700)
        for kind, content in (("spec", spec), ("plan", plan)):
            path = folder / f"{digest}.{kind}.json"
            write_atomic(path, content, 0o600)  # anew each time, since what is old expires

    def expire(self, days: float) -> None:
        """Delete specs and plans that no session has had for so long; lines about sessions stay."""
        oldest = time.time() - days * 86400
        for path in (self.folder / "plans" / self.member).glob("*.json"):
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue  # another worker was faster
            except OSError as error:
                raise file_error(error, path, "delete") from error

    def count(self, who: str) -> int:
        """How many sessions of `who` count today."""
        try:
            with open(self._today, encoding="utf-8") as file:
                return sum(_counts(line, who) for line in file)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise file_error(error, self._today, "read") from error

    def enter(self, session: str, who: str, digest: str, most: int | None, opened: Mapping[str, int]) -> bool:
        """Note a session and how much it would open; False, and nothing is noted, after `most` of `who` today."""
        now, path = datetime.now(UTC), self._today
        ensure_folder(path.parent, 0o700)
        counts = most is not None
        entry = {"time": now.isoformat(), "session": session, "member": who, "digest": digest, "counts": counts}
        entry["opened"] = dict(opened)
        try:
            with open(path, "a+", encoding="utf-8") as file:
                path.chmod(0o600)
                fcntl.flock(file, fcntl.LOCK_EX)  # workers are processes of their own
                file.seek(0)
                if most is not None and sum(_counts(line, who) for line in file) >= most:
                    return False
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise file_error(error, path, "write") from error
        return True


def _counts(line: str, who: str) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:  # a line that was cut off by a full disk
        return False
    return bool(entry.get("member") == who and entry.get("counts"))
