"""Single keys of a YAML file set in place: comments, order and layout stay as their author wrote them."""

from __future__ import annotations

from pathlib import Path

import yaml

from quorate.errors import InternalError, UserError
from quorate.files import read_bytes, write_atomic

__all__ = ["Document", "member"]

_LIMIT = 1 << 20


class Document:
    """A YAML file whose text is changed entry by entry; `save` writes it."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError` if the file cannot be read, or has more than 1 MiB."""
        self.path = path
        self.text = read_bytes(path, _LIMIT).decode()

    @property
    def root(self) -> yaml.Node | None:
        """The document as it is now; positions in it are those of `text`."""
        return yaml.compose(self.text)

    def put(self, mapping: yaml.MappingNode, key: str, text: str, after: str) -> None:
        """Give `key` of a mapping the value `text`, in place of what it has, or right after the key `after`."""
        name, held = member(mapping, after), member(mapping, key)
        if held is not None:
            self.text = self.text[: held.start_mark.index] + text + self.text[_end(held) :]
        elif name is None:
            raise UserError(f"{self.path}: the key {after!r} is missing")
        elif mapping.flow_style:
            self.text = f"{self.text[: name.end_mark.index]}, {key}: {text}{self.text[name.end_mark.index :]}"
        else:
            self.text = self._line_after(mapping, name, f"{key}: {text}")

    def save(self) -> None:
        """Write the file, with the permissions that it has."""
        write_atomic(self.path, self.text.encode(), self.path.stat().st_mode & 0o777)

    def _line_after(self, mapping: yaml.MappingNode, value: yaml.Node, entry: str) -> str:
        key = next((key for key, held in mapping.value if held is value), None)
        if key is None:
            raise InternalError("the key of a value is not in its mapping; please report this")
        line_end = self.text.find("\n", value.end_mark.index)
        place = len(self.text) if line_end < 0 else line_end
        return f"{self.text[:place]}\n{' ' * key.start_mark.column}{entry}{self.text[place:]}"


def member(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The value of a key of a YAML mapping; None if there is none."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _end(value: yaml.Node) -> int:
    """Where a value ends. A list that is written line by line ends with its last entry, not with what follows."""
    if isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
        return _end(value.value[-1])
    return value.end_mark.index
