"""The author's Python file that a spec names: executed on the author's own machine, and traced."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar

from quorate.coordination.program import raw_bounds
from quorate.coordination.rules import AUTO
from quorate.coordination.spec import Spec
from quorate.crypto.hashing import hex_digest
from quorate.data.schema import CategoryColumn
from quorate.errors import QuorateError, UserError
from quorate.files import read_bytes
from quorate.lang.computation import Computation, Traced
from quorate.lang.known import Known, reference
from quorate.sharing.dtype import DType

__all__ = ["Source"]

T = TypeVar("T")
_LARGEST = 16 << 20


class _Exactly(SourceFileLoader):
    """Executes these bytes, and not what a cache of compiled modules beside the file holds."""

    def __init__(self, name: str, path: str, content: bytes) -> None:
        super().__init__(name, path)
        self._content = content

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._content, self.path)


class Source:
    """The file and the function that a spec names under `source`. Nothing is executed before it is asked for."""

    def __init__(self, spec: Spec, file: Path) -> None:
        """`file` is that of the spec. Raises `UserError` if it names no source, or not as FILE.py:FUNCTION."""
        if spec.source is None:
            raise UserError(f"{file}: the key 'source' is missing; add 'source: FILE.py:FUNCTION' to compile")
        path, _, self.name = spec.source.rpartition(":")
        if not path or not self.name:
            raise UserError(f"{file}: source: {spec.source!r} is not FILE.py:FUNCTION")
        self.path = Path(path)
        self._spec = spec

    @property
    def digest(self) -> str:
        """A hash of what is executed. Raises `UserError` if there is no such file."""
        return hex_digest(self._content, "quorate/source/1")

    @cached_property
    def traced(self) -> Traced:
        """The plan before all passes, and the results that the function returned; executes the file.

        Raises:
            UserError: the file cannot be loaded, or computes something that cannot be; names the line.
        """
        computation = self._computation()
        return self._placed(lambda: computation.traced(self._columns, known=self._known()))

    def _computation(self) -> Computation:
        """The function."""
        module = self._load()
        found = getattr(module, self.name, None)
        if isinstance(found, Computation):
            return found
        there = [key for key, value in vars(module).items() if isinstance(value, Computation)]
        hint = f"it has {', '.join(there)}" if there else "put @quorate.computation above a function"
        raise UserError(f"{self.path}: has no computation called {self.name!r}; {hint}")

    @property
    def _columns(self) -> dict[str, dict[str, DType]]:
        return {item.name: {column.name: column.dtype for column in item.columns} for item in self._spec.inputs}

    def _known(self) -> Known:
        """Declared ranges and row limits, for one trace; for protocol "auto", what fits all of ours."""
        spec = self._spec
        name = "shamir" if spec.protocol.name == AUTO else spec.protocol.name
        rows = {item.name: item.max_rows for item in spec.inputs}
        texts = {
            (item.name, column.name): column.categories
            for item in spec.inputs
            for column in item.columns
            if isinstance(column, CategoryColumn)
        }
        protocol = reference(name, len(spec.parties), spec.protocol.threshold)
        return Known(raw_bounds(spec), rows, protocol, categories=texts)

    def _load(self) -> Any:
        """The module in the file, executed."""
        if self.path.suffix != ".py":
            raise UserError(f"the source {self.path} is not a Python file; its name has to end in .py")
        loader = _Exactly(f"quorate_source_{self.path.stem}", str(self.path), self._content)
        spec = spec_from_file_location(loader.name, self.path, loader=loader)
        if spec is None:
            raise UserError(f"the source {self.path} cannot be loaded as a module")
        module = module_from_spec(spec)
        self._placed(lambda: loader.exec_module(module))
        return module

    @cached_property
    def _content(self) -> bytes:
        if not self.path.is_file():
            raise UserError(
                f"the source {self.path} does not exist on this machine; compile where the author's file is, or "
                "correct the key 'source' of the spec ('quorate explain' shows a plan without its source)"
            )
        return read_bytes(self.path, _LARGEST)

    def _placed(self, call: Callable[[], T]) -> T:
        """What `call` gives; errors of it name the line of the file."""
        try:
            return call()
        except UserError as problem:
            raise type(problem)(f"{self._place(problem)}: {problem}") from problem
        except QuorateError:
            raise
        except Exception as problem:
            raise UserError(f"{self._place(problem)}: {type(problem).__name__}: {problem}") from problem

    def _place(self, problem: Exception) -> str:
        """File and line of the author's source where it failed."""
        import traceback

        if isinstance(problem, SyntaxError):
            return f"{self.path}, line {problem.lineno}"
        frames = traceback.extract_tb(problem.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename) == self.path]
        return f"{self.path}, line {lines[-1]}" if lines else str(self.path)
