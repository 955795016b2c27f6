"""What all tests of methods share."""

from __future__ import annotations

import pytest

COVERED = ("shamir", "semi2k")
"""Protocols under which the conformance suite runs every method; comparisons with libraries under them are slow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what the conformance suite shows anyway to the run of all tests."""
    for item in items:
        if "tests/analytics/" not in item.path.as_posix() or item.path.name == "test_conformance.py":
            continue
        callspec = getattr(item, "callspec", None)
        if callspec is not None and any(
            value in COVERED for value in callspec.params.values() if isinstance(value, str)
        ):
            item.add_marker(pytest.mark.slow)
