"""Rules of the repository that no other tool checks: sizes, paths, locked versions, links of the documentation."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

MAX_FILE_LINES = 1200
MAX_BODY_LINES_P99 = 60

# Folders of somebody's own machine. Where a program runs in production (/etc, /var, /usr) may be named.
PRIVATE_PATH = re.compile(r"(?<![\w.~/-])/(?:home|Users|root|work|mnt|tmp)/[\w.-]+")
LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def repository_files() -> list[Path]:
    """Files that are or may become part of the repository, without those that git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for entry in listed.stdout.decode().split("\0") if entry and (path := ROOT / entry).is_file()]


@cache
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def body_lines(function: FunctionNode) -> int:
    """Lines of a function's body without its docstring."""
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or function.lineno) - statements[0].lineno + 1 if statements else 0


def functions(path: Path) -> Iterator[FunctionNode]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, FunctionNode))


def requirement_name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page get."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.*?)\s*$", text, re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower())).strip("-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        destination = (page.parent / file).resolve() if file else page
        if destination.parent.name == "notebooks" and destination.with_suffix(".ipynb").exists():
            continue  # the site makes a page of it
        if not destination.exists():
            yield f"{name(page)}: {target}: no such file"
        elif anchor and anchor not in anchors(destination):
            yield f"{name(page)}: {target}: no such heading"


def test_no_source_file_is_too_long() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {file: lines for file, lines in lengths.items() if lines >= MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    lengths = sorted((body_lines(node), f"{name(path)}:{node.name}") for path in SOURCES for node in functions(path))
    if lengths:
        p99 = lengths[-(-99 * len(lengths) // 100) - 1]
        assert p99[0] <= MAX_BODY_LINES_P99, f"99th percentile is {p99}; longest: {lengths[-5:]}"


def test_public_modules_say_what_they_are() -> None:
    public = [path for path in SOURCES if not path.stem.startswith("_") or path.name == "__init__.py"]
    texts = {name(path): path.read_text(encoding="utf-8") for path in public}
    assert [file for file, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))] == []


def test_no_file_names_a_private_path() -> None:
    found = []
    for path in repository_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        if "\0" not in text:
            found += [f"{name(path)}: {match.group()}" for match in PRIVATE_PATH.finditer(text)]
    assert found == []


def test_no_private_key_is_in_the_repository() -> None:
    marker = b"-----BEGIN " + b"(EC |RSA |ENCRYPTED )?PRIVATE KEY-----"
    assert [name(path) for path in repository_files() if re.search(marker, path.read_bytes())] == []


def test_changelog_has_an_unreleased_section() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[?Unreleased\]?", text, re.MULTILINE), "CHANGELOG.md needs an Unreleased section on top"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_of_a_page_resolve(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt", "docs.txt", "broker.txt"])
def test_lock_files_hold_every_dependency_and_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))
    missing = {requirement_name(entry) for entry in project()["dependencies"]} - locked  # type: ignore[attr-defined]
    assert missing == set(), "run `make lock`"
    assert re.findall(r"^.*(?:://|--find-links|--(?:extra-)?index-url).*$", text, re.MULTILINE) == []


def test_every_dependency_has_a_reason() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    extras = [entry for group in project()["optional-dependencies"].values() for entry in group]  # type: ignore[attr-defined]
    names = [requirement_name(entry) for entry in [*project()["dependencies"], *extras]]  # type: ignore[misc]
    assert [entry for entry in names if f"`{entry}`" not in page] == []


def test_error_reference_matches_the_code() -> None:
    from quorate import errors

    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE))
    assert rows == {entry: str(getattr(errors, entry).exit_code) for entry in errors.__all__}
