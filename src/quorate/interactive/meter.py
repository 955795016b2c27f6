"""A progress bar for runs that take a while, in terminals."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["Bar"]

PATIENCE = 1.0
"""Seconds that a run may take without a bar."""


class Bar:
    """Shows operations done of all, once a run takes longer than a second; nothing where nobody looks."""

    def __init__(self) -> None:
        self._began = 0.0
        self._shown: Any = None

    def __call__(self, done: int, total: int) -> None:
        """So many operations are done."""
        if done <= 1:
            self._began = time.monotonic()
        if done >= total:
            self._stop()
        elif self._shown is not None:
            self._shown.update(0, completed=done, total=total)
        elif time.monotonic() > self._began + PATIENCE:
            self._start(done, total)

    def _start(self, done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        console = Console(stderr=True)
        if not console.is_terminal or console.is_jupyter:  # rich needs another package for a bar in a notebook
            self._began = float("inf")
            return
        bar = Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console, transient=True)
        bar.add_task("operations", completed=done, total=total)
        bar.start()
        self._shown = bar

    def _stop(self) -> None:
        if self._shown is not None:
            self._shown.stop()
            self._shown = None

    def end(self) -> None:
        """Take the bar away, whether the run ended well or not."""
        self._stop()
