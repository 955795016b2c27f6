"""Growing columns of 64-bit numbers: in memory, and in files without a name once they are large.

The files hold an owner's values. They lie in the folder for temporary files (TMPDIR), only their owner may read them,
and they are gone when the columns are no longer used, also after a crash.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO

import numpy as np
import numpy.typing as npt

from quorate.errors import EnvironmentFault

__all__ = ["IN_MEMORY", "Spool"]

IN_MEMORY = 256 << 20
"""Bytes of all columns of an input together that are held in memory."""


class Spool:
    """Columns that grow by batches of equally many values."""

    def __init__(self, names: Sequence[str], in_memory: int = IN_MEMORY) -> None:
        self._parts: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in names}
        self._files: dict[str, IO[bytes]] = {}
        self._room = in_memory

    def add(self, columns: Mapping[str, npt.NDArray[np.int64]]) -> None:
        """Append a batch. Raises `EnvironmentFault` if the disk is full."""
        for name, values in columns.items():
            self._parts[name].append(np.ascontiguousarray(values, np.int64))
            self._room -= values.nbytes
        if self._room < 0:
            self._write_out()

    def finish(self) -> dict[str, npt.NDArray[np.int64]]:
        """The columns, each int64 of shape (rows,); those in files are mapped to memory."""
        if self._files:
            self._write_out()
        return {name: self._column(name) for name in list(self._parts)}

    def _write_out(self) -> None:
        try:
            for name, parts in self._parts.items():
                file = self._files.get(name) or tempfile.TemporaryFile(prefix="quorate-")  # noqa: SIM115
                self._files[name] = file
                for part in parts:
                    file.write(part.data)
                parts.clear()
                file.flush()
        except OSError as error:
            where = tempfile.gettempdir()
            raise EnvironmentFault(f"{where}: the disk is full; set TMPDIR to a folder with more room") from error

    def _column(self, name: str) -> npt.NDArray[np.int64]:
        file = self._files.pop(name, None)
        if file is None:
            parts = self._parts.pop(name)
            return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, np.int64), *parts])
        with file:
            if not file.tell():
                return np.zeros(0, np.int64)
            # copy on write: arrays that may be written to are what compiled loops are made for
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), np.int64)
