"""The plain YAML that is accepted, and what is refused with line and column."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.data.document import load_yaml, parse_json, parse_yaml
from quorate.errors import UserError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("007", "007"),
        ("2020-01-01", "2020-01-01"),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        (".inf", ".inf"),
        ("-5", -5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("~", None),
        ("", None),
        ("[a, 1]", ["a", 1]),
    ],
)
def test_plain_values(text: str, value: object) -> None:
    found = parse_yaml(f"key: {text}".encode(), "x")
    assert found == {"key": value}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: [1, 2", "x.yaml: line 2, column"),
        ("a: 1\n  b: 2", "x.yaml: line 2, column 4: not valid YAML"),
        ("a: 1\na: 2", "line 2, column 1: the key 'a' occurs twice"),
        ("a: &x [1]\nb: *x", "line 1, column 4: anchors and aliases"),
        ("1: 2", "line 1, column 1: a key must be text"),
        ("a: !!python/object/apply:os.system [ls]", "line 1, column 4: not valid YAML"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: 1" + "0" * 5000, "too many digits"),
        ("a: \x01", "not UTF-8 text, or with control characters"),
        ("#" * (1 << 20) + "\n", "larger than 1048576 bytes"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_yaml(text.encode(), "x.yaml")
    assert says in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"spec\.yaml: no such file"):
        load_yaml(tmp_path / "spec.yaml")


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_a_user_error(data: bytes) -> None:
    for parse in (parse_yaml, parse_json):
        with contextlib.suppress(UserError):
            parse(data, "x")
