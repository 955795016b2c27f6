"""Forking processes that end when their parent does."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import NoReturn

__all__ = ["await_exit", "die_with_parent", "forbid_core_dumps", "fork", "run_and_exit", "status_text"]

_PR_SET_PDEATHSIG = 1
log = logging.getLogger(__name__)


def fork() -> int:
    """`os.fork`; used only before this process has started threads of its own.

    Python warns when the process has any thread at all, also the idle ones of a linear algebra library, which
    nothing here calls into after a fork.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def die_with_parent(parent: int, signum: int = signal.SIGTERM) -> None:
    """Get `signum` when process `parent` ends. On Linux only; elsewhere the closed channel says it, a little later."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signum))
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(0)


def forbid_core_dumps() -> None:
    """Keep the memory of this process and of all that it starts, with raw data and shares in it, out of core files."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def run_and_exit(main: Callable[[], int | None]) -> NoReturn:
    """Run `main` in a freshly forked process and leave without the clean-up that belongs to the parent."""
    code = 70
    try:
        code = main() or 0
    except KeyboardInterrupt:
        code = 130
    except BaseException as problem:
        log.error("a process of this node failed: %s", type(problem).__name__)
        log.debug("details", exc_info=problem)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def status_text(status: int) -> str:
    """What a wait status says, for people: "was killed by SIGKILL", "ended with exit code 3"."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


def await_exit(pid: int, patience: float) -> bool:
    """Whether our child `pid` ends within `patience` seconds; it is reaped then."""
    deadline = time.monotonic() + patience
    while True:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return True
        except ChildProcessError:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
