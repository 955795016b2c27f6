"""A progress bar for plans and runs that take a while, in terminals and in notebooks."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from quorate.html import Markup, text

if TYPE_CHECKING:
    from quorate.interactive.backend import Progress

__all__ = ["Bar", "watched"]

PATIENCE = 0.5
"""Seconds that a run may take without a bar."""

MANY = 1000
"""A plan of so many operations takes longer than that to make: "planning" is shown at once."""

PAUSE = 0.2
"""Seconds between two pictures of a bar in a notebook."""


class _Display(Protocol):
    """Where a bar is drawn."""

    def show(self, doing: str, done: int, total: int | None) -> None:
        """Draw it; without `total` nobody knows how far it is."""

    def close(self) -> None:
        """Take it away."""


class Bar:
    """Shows operations done of all, once somebody has waited for half a second; nothing where nobody looks."""

    def __init__(self) -> None:
        self._began = float("inf")
        self._display: _Display | None = None

    def begin(self, operations: int) -> None:
        """A plan of so many operations is to be made, and then run."""
        self._began = time.monotonic()
        if operations >= MANY:
            self._show(f"planning {operations:,} operations", 0, None)

    def __call__(self, done: int, total: int) -> None:
        """So many operations are done."""
        if self._display is not None or time.monotonic() > self._began + PATIENCE:
            self._show("operations", done, total)

    def _show(self, doing: str, done: int, total: int | None) -> None:
        if self._display is None:
            self._display = _found()
        if self._display is not None:
            self._display.show(doing, done, total)

    def end(self) -> None:
        """Take the bar away, whether the run ended well or not."""
        self._began = float("inf")
        if self._display is not None:
            self._display.close()
            self._display = None


@contextmanager
def watched(progress: Progress | None, operations: int) -> Iterator[None]:
    """A bar from here to the end, if `progress` is one."""
    bar = progress if isinstance(progress, Bar) else None
    if bar is not None:
        bar.begin(operations)
    try:
        yield
    finally:
        if bar is not None:
            bar.end()


def _found() -> _Display | None:
    """The cell of a notebook or the terminal that we run in; None for neither."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is not None:
        return _Cell()
    from rich.console import Console

    console = Console(stderr=True)
    return _Terminal(console) if console.is_terminal and not console.is_jupyter else None


class _Terminal:
    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"), TimeElapsedColumn()
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("", total=None, at="")
        self._bar.start()

    def show(self, doing: str, done: int, total: int | None) -> None:
        at = "" if total is None else f"{done:,}/{total:,}"
        self._bar.update(self._task, description=doing, completed=done, total=total, at=at)

    def close(self) -> None:
        self._bar.stop()


class _Cell:
    """A display of a notebook that is drawn again and again, and in the end is empty."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last = float("-inf")
        self._handle: Any = None

    def show(self, doing: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now < self._last + PAUSE:
            return
        self._last = now
        at = "" if total is None else f'value="{done}" max="{total}"'
        said = doing if total is None else f"{done:,} of {total:,} {doing}"
        said += f", {now - self._began:.0f} s"
        self._draw(Markup(f"<div><progress {at}></progress> {text(said)}</div>"), said)

    def _draw(self, markup: str, plain: str) -> None:
        from IPython.display import display

        pictures = {"text/html": str(markup), "text/plain": plain}
        if self._handle is None:
            self._handle = display(pictures, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(pictures, raw=True)

    def close(self) -> None:
        if self._handle is not None:
            self._draw("", "")
