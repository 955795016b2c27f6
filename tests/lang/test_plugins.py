"""Kinds of operations that other packages bring, found by their entry points when a plan names one."""

from __future__ import annotations

import importlib.metadata
import sys
import types

import pytest

from quorate.errors import UserError
from quorate.lang.operations import base
from quorate.lang.plan import Plan

PLAN = b'{"name":"p","operations":[["input",[],{"column":"value","dtype":"int","input":"a"},"int",["rows(a)"],true,""],["twice",[0],{},"int",["rows(a)"],true,""]],"outputs":{"z":1},"plan":1}'  # noqa: E501


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(base, "_KINDS", dict(base._KINDS))
    base._load_plug_ins.cache_clear()
    yield
    base._load_plug_ins.cache_clear()


def offer(monkeypatch, module, body=None):
    """Make a package with an entry point for `module` known; `body` is what its import does."""
    entry = importlib.metadata.EntryPoint("any", module, base.PLUG_INS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry] if group == base.PLUG_INS else [])
    if body is not None:
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
        monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: body())


def twice():
    base.register(
        base.Kind(
            "twice",
            lambda types, attributes, stated: types[0],
            lambda call: call.fits(2 * call.ranges[0][0], 2 * call.ranges[0][1]),
            lambda call: call.p.scale(call.numbers(0), 2),
            local=base.always,
            operands=1,
        )
    )


def test_a_kind_of_another_package_is_found_when_a_plan_names_it(monkeypatch):
    offer(monkeypatch, "package_with_twice", twice)
    assert "twice" not in base._KINDS
    plan = Plan.from_json(PLAN)
    assert plan.operations[1].kind == "twice"
    assert "twice" in base._KINDS


def test_an_unknown_kind_is_refused(monkeypatch):
    offer(monkeypatch, "package_with_nothing", lambda: None)
    with pytest.raises(UserError, match="there is no operation 'twice'"):
        Plan.from_json(PLAN)


def test_a_package_that_cannot_be_imported_is_named(monkeypatch):
    offer(monkeypatch, "package_that_does_not_exist_here")
    with pytest.raises(UserError, match=r"package_that_does_not_exist_here.*cannot be loaded.*uninstall"):
        base.kind_of("twice")


def test_a_package_cannot_take_a_name_of_ours(monkeypatch):
    offer(monkeypatch, "package_with_mul", lambda: base.register(base.kind_of("mul")))
    with pytest.raises(UserError, match="'mul' is registered already"):
        base.kind_of("twice")
