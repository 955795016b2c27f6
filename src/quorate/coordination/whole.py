"""Outputs that stand for whole results, such as a model: which parts they have, settled when the spec is compiled.

The parts are written into the spec, so that everybody approves a list of everything that is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

from quorate.coordination.federation import load_federation
from quorate.coordination.rewrite import Document, member
from quorate.coordination.spec import Output, Spec
from quorate.errors import UserError

__all__ = ["with_parts", "write_parts"]


def with_parts(spec: Spec, file: Path, names: Sequence[str]) -> Spec:
    """The spec with the parts of its whole results, where a plan has the outputs `names`.

    An entry stands for the output of its name or, if there is none, for all NAME.PART that have no longer entry.

    Raises:
        UserError: entries and outputs do not match. It says which entries would.
    """
    listed = {output.name for output in spec.outputs}
    found: dict[str, list[str]] = {}
    extra = []
    for name in names:
        if (entry := _entry(name, listed - set(names))) is not None and name not in listed:
            found.setdefault(entry, []).append(name[len(entry) + 1 :])
        elif name not in listed:
            extra.append(name)
    missing = [output.name for output in spec.outputs if output.name not in names and output.name not in found]
    if extra or missing:
        raise UserError(_advice(spec, file, names, extra, missing))
    if stale := [output.name for output in spec.outputs if output.parts is not None and output.name not in found]:
        raise UserError(f"{file}: outputs: {stale[0]!r} is one value and has no parts now; remove its key 'parts'")
    parts = {name: tuple(each) for name, each in found.items()}
    outputs = tuple(msgspec.structs.replace(output, parts=parts.get(output.name)) for output in spec.outputs)
    made = msgspec.structs.replace(spec, outputs=outputs)
    if kept := [output.name for output in outputs if output.parts is not None and output.keep is not None]:
        raise UserError(
            f"{file}: outputs: {kept[0]!r} is a result in parts, and each part is kept under a name of its own; list "
            f"{', '.join(f'{kept[0]}.{part}' for part in parts[kept[0]])}"
        )
    return made


def write_parts(path: Path, spec: Spec, *, write: bool = True) -> bool:
    """Put `parts: [...]` into the entries of the spec file that stand for whole results; all else stays as it is.

    Returns whether the file did not say so before. With `write` false nothing is written.

    Raises:
        UserError: the file cannot be read.
    """
    document = Document(path)
    changed = False
    for index, output in reversed(list(enumerate(spec.outputs))):
        entries = member(document.root, "outputs")
        entry = entries.value[index] if isinstance(entries, yaml.SequenceNode) else None
        if output.parts is None or not isinstance(entry, yaml.MappingNode) or _held(entry) == output.parts:
            continue
        document.put(entry, "parts", _flow(output.parts), after="name")
        changed = True
    if changed and write:
        document.save()
    return changed


def _entry(name: str, listed: set[str]) -> str | None:
    """The longest entry that `name` may be a part of."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in listed:
            return name
    return None


def _advice(spec: Spec, file: Path, names: Sequence[str], extra: Sequence[str], missing: Sequence[str]) -> str:
    """What is wrong with the list of outputs, and one that would be right."""
    wrong = [f"does not list {', '.join(extra)}"] if extra else []
    wrong += [f"lists {', '.join(missing)}, which the source does not return"] if missing else []
    held = {output.name: output for output in spec.outputs}
    entries = [_line(held.get(name), name, _recipients(spec, file)) for name in _short(names, held)]
    said = f"{file}: outputs: {' and '.join(wrong)}. List what the source returns, and who learns it:"
    return "\n".join([said, "outputs:", *entries])


def _short(names: Sequence[str], held: dict[str, Output]) -> list[str]:
    """Names to list: whole results in place of their parts, unless the spec lists parts by themselves."""
    wholes = [name if name in held else _entry(name, set(held)) or name.partition(".")[0] for name in names]
    return list(dict.fromkeys(wholes))


def _line(held: Output | None, name: str, recipients: str) -> str:
    if held is not None and held.keep is not None:
        return f"  - {{name: {_quoted(name)}, keep: {_quoted(held.keep)}}}"
    if held is not None and held.to is not None:
        recipients = held.to if isinstance(held.to, str) else _flow(held.to)
    return f"  - {{name: {_quoted(name)}, to: {recipients}}}"


def _recipients(spec: Spec, file: Path) -> str:
    """Who may learn new results: as before, or who is there to receive some."""
    given = next((output.to for output in spec.outputs if output.to is not None), None)
    if given is not None:
        return given if isinstance(given, str) else _flow(given)
    beside = file.parent / "federation.yaml"
    members = load_federation(beside).members if beside.exists() else ()
    return _flow([one.name for one in members if one.has("recipient")] or ["NAME"])


def _held(entry: yaml.MappingNode) -> tuple[str, ...] | None:
    held = member(entry, "parts")
    return tuple(str(one.value) for one in held.value) if isinstance(held, yaml.SequenceNode) else None


def _flow(texts: Sequence[str]) -> str:
    """A list on one line."""
    return f"[{', '.join(_quoted(text) for text in texts)}]"


def _quoted(text: str) -> str:
    """A text as YAML, in quotes where it needs some."""
    plain = yaml.safe_dump(text, width=10_000, default_flow_style=True)
    return plain.removesuffix("\n").removesuffix("\n...")
