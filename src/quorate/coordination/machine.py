"""What computing and messages cost a participant's machine, for predictions: built-in figures, or measured ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from quorate.engine.session import Effort
from quorate.errors import EnvironmentFault, UserError
from quorate.files import cache_folder, ensure_folder, read_bytes, write_atomic

__all__ = ["TYPICAL", "Machine", "calibration_path", "load_machine", "save_machine"]

_LIMIT = 1 << 16
_FORMAT = 1
_LEAST, _MOST = 5, 5_000


@dataclass(frozen=True, slots=True)
class Machine:
    """Nanoseconds (`_ns`) and picoseconds (`_ps`) that parts of the work take on one core.

    Attributes:
        step_ns: resuming a step of the program.
        call_ns: one array or draw of randomness with the NumPy calls or kernel that go with it.
        send_ns, receive_ns: one message: system calls, TLS record, waking up.
        sent_ps, received_ps: one byte of a message: encrypting or decrypting, copying.
        made_ps: one byte of an intermediate array, with the arithmetic that makes it.
        drawn_ps: one byte of randomness.
        touched_ps: one byte of the operands and results of local operations.
        multiplied_ps: one multiply-add of an inner or matrix product.
        base_mb: memory of a process before it works, MiB.
        cores: cores that all participants share, if they run on one machine; None: everybody has an own machine.
        measured: where the figures come from: the date of a calibration, or None for the built-in ones.
    """

    step_ns: int
    call_ns: int
    send_ns: int
    receive_ns: int
    sent_ps: int
    received_ps: int
    made_ps: int
    drawn_ps: int
    touched_ps: int
    multiplied_ps: int
    base_mb: int
    cores: int | None = None
    measured: str | None = None

    def work(self, effort: Effort) -> int:
        """Nanoseconds of computing that an effort takes."""
        bulk = (
            effort.made * self.made_ps
            + effort.drawn * self.drawn_ps
            + effort.touched * self.touched_ps
            + effort.multiplied * self.multiplied_ps
        )
        return effort.calls * self.call_ns + bulk // 1000

    def sending(self, size: int) -> int:
        """Nanoseconds to send a message of so many bytes."""
        return self.send_ns + size * self.sent_ps // 1000

    def receiving(self, size: int) -> int:
        """Nanoseconds to receive a message of so many bytes."""
        return self.receive_ns + size * self.received_ps // 1000

    def scaled(self, calibration: Calibration) -> Machine:
        """These figures for another machine."""
        small, bulk = calibration.small_percent, calibration.bulk_percent
        figures = {
            name: max(1, getattr(self, name) * (small if name.endswith("_ns") else bulk) // 100)
            for name in self.__dataclass_fields__
            if name.endswith(("_ns", "_ps"))
        }
        return replace(self, **figures, measured=calibration.date)


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this machine compares with the built-in figures.

    Attributes:
        date: when it was measured, YYYY-MM-DD.
        small_percent: time of small steps and messages, in percent of the built-in figures.
        bulk_percent: time per byte, likewise.
    """

    calibration: int = _FORMAT
    date: str
    small_percent: int
    bulk_percent: int


TYPICAL = Machine(
    step_ns=10_000,
    call_ns=3_000,
    send_ns=19_000,
    receive_ns=19_000,
    sent_ps=525,
    received_ps=525,
    made_ps=200,
    drawn_ps=75,
    touched_ps=150,
    multiplied_ps=50,
    base_mb=110,
)
"""A server core of 2025, with AES instructions; see `docs/explanation/performance.md` for where that was measured."""


def calibration_path() -> Path:
    """Where the calibration of this machine is kept: in the user's cache folder."""
    return cache_folder() / "machine.json"


def load_machine(cores: int | None = None) -> Machine:
    """The calibrated figures of this machine, or the built-in ones if it was never calibrated.

    Raises:
        UserError: the file is there, but is no calibration.
    """
    path = calibration_path()
    machine = replace(TYPICAL, cores=cores)
    try:
        data = read_bytes(path, _LIMIT)
    except (UserError, EnvironmentFault):
        return machine
    try:
        found = msgspec.json.decode(data, type=Calibration)
    except msgspec.MsgspecError:
        found = None
    if found is None or found.calibration != _FORMAT or not _plausible(found):
        raise UserError(f"{path} is not a calibration of this version; run 'quorate doctor --calibrate', or remove it")
    return machine.scaled(found)


def save_machine(calibration: Calibration) -> Path:
    """Keep a calibration for later predictions. Raises `EnvironmentFault` if the cache folder cannot be written."""
    path = calibration_path()
    ensure_folder(path.parent, 0o700)
    write_atomic(path, msgspec.json.encode(calibration) + b"\n", 0o600)
    return path


def _plausible(found: Calibration) -> bool:
    return all(_LEAST <= percent <= _MOST for percent in (found.small_percent, found.bulk_percent))
