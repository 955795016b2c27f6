"""The agreed columns of one table, from a schema document or from an input of a spec."""

from __future__ import annotations

from pathlib import Path

from quorate.coordination.spec import load_spec
from quorate.data.agreed import load_schema
from quorate.data.document import load_yaml
from quorate.data.schema import InputSchema
from quorate.errors import UserError

__all__ = ["load_agreed"]


def load_agreed(path: Path, given: str | None = None) -> InputSchema:
    """Read a schema document, or the input `given` of a spec; it may be left out where a spec has only one.

    Raises:
        UserError: no such file or input, malformed YAML, or bad fields.
        EnvironmentFault: the file cannot be read.
    """
    document = load_yaml(path)
    if not isinstance(document, dict) or "spec" not in document:
        if given is not None:
            raise UserError(f"{path}: an input is chosen of specs; a schema document describes one table")
        return load_schema(path)
    inputs = {item.name: item for item in load_spec(path, settle=False).inputs}
    if given is None and len(inputs) == 1:
        return next(iter(inputs.values()))
    if given not in inputs:
        raise UserError(f"{path}: say which input the data is for: {', '.join(inputs)}")
    return inputs[given]
