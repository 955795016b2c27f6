"""YAML documents into typed Structs, with errors that carry the path to the bad field.

The YAML read here is the plain part of YAML 1.2: `yes`, `007` and dates stay texts, keys are texts and occur once,
and anchors are refused (a small file could expand to a huge one).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import inspect

from quorate.errors import UserError
from quorate.files import read_bytes

__all__ = ["convert", "load_yaml", "one_of", "parse_json", "parse_yaml", "raise_problems"]

T = TypeVar("T")
Segment = str | int

LIMIT = 1 << 20  # bytes; a spec of a thousand columns has a tenth of that

_NOUNS = {
    "roles": "role",
    "type": "column type",
    "missing": "rule for missing values",
    "on_dropout": "drop-out policy",
    "adversary": "known adversary model",
    "spec": "version of the spec format",
    "to": "list of members",
}
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_REFUSED = "not accepted"
_QUOTE_HINT = "; put values that contain any of : [ ] { } # & * in quotes"


def load_yaml(path: Path) -> object:
    """The builtins in the YAML file `path`.

    Raises:
        UserError: no such file, not YAML (with line and column), or more than 1 MiB.
        EnvironmentFault: the file cannot be read.
    """
    return parse_yaml(read_bytes(path, LIMIT), str(path))


def parse_yaml(data: bytes, where: str) -> object:
    """The builtins in a YAML text; `where` names it in errors. Raises `UserError` with line and column."""
    _check_size(data, where)
    try:
        return yaml.load(data, Loader=_LOADER)  # noqa: S506 - a SafeLoader with fewer types, not more
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        if error.context == _REFUSED:
            raise UserError(f"{where}: {place}{error.problem}") from error
        what = error.problem or error.context
        raise UserError(f"{where}: {place}not valid YAML: {what}{_QUOTE_HINT}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: not valid YAML: not UTF-8 text, or with control characters in it") from error
    except (RecursionError, ValueError) as error:
        raise UserError(f"{where}: not valid YAML: nested too deeply, or a number has too many digits") from error


def parse_json(data: bytes, where: str) -> object:
    """The builtins in a JSON text that another party sent; `UserError` says only that it is none."""
    _check_size(data, where)
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: not valid JSON; both sides must run compatible versions of quorate") from error


def convert(value: object, type_: type[T], where: str) -> T:
    """`value` (builtins) as the Struct `type_`; `UserError` names `where` and the path to the first bad field."""
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a mapping of keys to values; see the reference for its form")
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {_explain(str(error), value, type_)}") from error


def one_of(value: object, noun: str, choices: Iterable[str]) -> str:
    """The sentence that refuses `value`, lists the `choices` and suggests the nearest."""
    options = sorted(choices)
    near = difflib.get_close_matches(str(value), options, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{_shown(value)} is not a {noun}; use one of {', '.join(options)}{hint}"


def raise_problems(where: str, problems: Iterable[tuple[str, str]]) -> None:
    """Raise one `UserError` with a line "WHERE: PATH: WHAT" per problem, if there are any."""
    lines = [f"{where}: {path}: {what}" for path, what in problems]
    if lines:
        raise UserError("\n".join(lines))


def _check_size(data: bytes, where: str) -> None:
    if len(data) > LIMIT:
        raise UserError(f"{where}: larger than {LIMIT} bytes, which no spec or federation needs")


def _refused(what: str, node_or_event: Any) -> yaml.MarkedYAMLError:
    """The error for valid YAML that quorate does not accept."""
    return yaml.MarkedYAMLError(_REFUSED, None, what, node_or_event.start_mark)


def _compose_node(loader: Any, parent: object, index: object) -> object:
    event = loader.peek_event()
    if getattr(event, "anchor", None) is not None:
        raise _refused("anchors and aliases (& and *) are not accepted; write the value out", event)
    return yaml.SafeLoader.compose_node(loader, parent, index)  # type: ignore[arg-type, unused-ignore]


def _construct_mapping(loader: Any, node: yaml.MappingNode, deep: bool = False) -> object:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise _refused("a key must be text; put it in quotes", key)
        if key.value in seen:
            raise _refused(f"the key {key.value!r} occurs twice; remove one", key)
        seen.add(key.value)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


def _plain_loader() -> Any:
    """A SafeLoader with the few types of plain YAML 1.2 and without anchors."""
    members = {
        "yaml_implicit_resolvers": {},
        "compose_node": _compose_node,
        "construct_mapping": _construct_mapping,
    }
    loader: Any = type("PlainLoader", (yaml.SafeLoader,), members)
    for tag, pattern, first in _PLAIN_TYPES:
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
    return loader


_PLAIN_TYPES = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]+|[0-9]\.|(?<=[0-9]))([eE][-+]?[0-9]+)?", list("-+.0123456789")),
)
_LOADER = _plain_loader()


def _explain(message: str, value: object, type_: type) -> str:
    """msgspec's message in words: what is wrong, where, what to do."""
    what, _, trail = message.partition(" - at `")
    trail, inside, _ = trail.partition("[...]")  # msgspec does not say under which key of a mapping
    segments = _segments(trail)
    path = _path(segments)
    prefix = f"{path}: " if path else ""
    if inside:
        return f"{prefix}one of its entries is wrong: {what.replace('`', '')}; see the reference for its form"
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what)
    if unknown:
        return prefix + _unknown_key(unknown[1], _fields(type_, value, segments))
    lacking = re.fullmatch(r"Object missing required field `(.*)`", what)
    if lacking:
        return f"{prefix}the key '{lacking[1]}' is missing; add it"
    found = _lookup(value, segments)
    if what.startswith("Invalid"):
        noun = _NOUNS.get(_last_key(segments), _last_key(segments))
        return prefix + one_of(found, noun, _choices(type_, value, segments))
    return prefix + _wrong_type(what, found)


def _unknown_key(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown key {_shown(key)}; use {', '.join(known)}{hint}"


def _wrong_type(what: str, found: object) -> str:
    wanted = re.match(r"Expected `([^`]*)`(?: of length (\d+))?", what)
    if not wanted:
        return f"{what}; correct it"
    kinds = " or ".join(_KINDS.get(kind, kind) for kind in wanted[1].split(" | ") if kind != "null")
    length = f" of {wanted[2]} items" if wanted[2] else ""
    simple = isinstance(found, (bool, int, float))
    hint = "; put it in quotes" if simple and "str" in wanted[1].split(" | ") else ""
    return f"expected {kinds}{length}, got {_shown(found)}{hint}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)} items"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _segments(trail: str) -> list[Segment]:
    """Keys and positions of a msgspec path such as "$.members[1].roles[0]`"."""
    return [int(index) if index else key for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", trail)]


def _path(segments: Sequence[Segment]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in segments).lstrip(".")


def _last_key(segments: Sequence[Segment]) -> str:
    return next((part for part in reversed(segments) if isinstance(part, str)), "value")


def _lookup(value: Any, segments: Iterable[Segment]) -> object:
    for part in segments:
        value = value[part]
    return value


def _nodes(type_: type, value: object, segments: Sequence[Segment]) -> list[inspect.Type]:
    """The possible types at the path, following the tags found on the way in `value`."""
    nodes = list(_options(inspect.type_info(type_)))
    for depth, part in enumerate(segments):
        here = _lookup(value, segments[:depth])
        nodes = [option for node in nodes for child in _children(node, part, here) for option in _options(child)]
    return nodes


def _options(node: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.UnionType):
        for option in node.types:
            yield from _options(option)
    else:
        yield node


def _children(node: inspect.Type, part: Segment, here: object) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.StructType) and _tag_fits(node, here):
        yield from (item.type for item in node.fields if item.encode_name == part)
    elif isinstance(node, inspect.VarTupleType):
        yield node.item_type
    elif isinstance(node, inspect.TupleType) and isinstance(part, int):
        yield node.item_types[part]


def _tag_fits(node: inspect.Type, here: object) -> bool:
    if not isinstance(node, inspect.StructType) or node.tag is None or not isinstance(here, dict):
        return True
    return here.get(node.tag_field) == node.tag


def _fields(type_: type, value: object, segments: Sequence[Segment]) -> list[str]:
    """The keys that the mapping at the path may have."""
    here = _lookup(value, segments)
    names: list[str] = []
    for node in _nodes(type_, value, segments):
        if isinstance(node, inspect.StructType) and _tag_fits(node, here):
            names += [node.tag_field] if node.tag_field else []
            names += [item.encode_name for item in node.fields]
    return names


def _choices(type_: type, value: object, segments: Sequence[Segment]) -> list[str]:
    """The values that are allowed at the path: those of a Literal, or the tags of the mapping around it."""
    literals = [node for node in _nodes(type_, value, segments) if isinstance(node, inspect.LiteralType)]
    if literals:
        return [str(choice) for node in literals for choice in node.values]
    around = _nodes(type_, value, segments[:-1])
    return [str(node.tag) for node in around if isinstance(node, inspect.StructType) and node.tag is not None]
