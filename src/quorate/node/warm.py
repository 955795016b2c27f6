"""Doing once, before processes are forked, what every session would otherwise do anew: imports and loading kernels."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import numpy as np

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.lang.dims import parse_size
from quorate.protocols.registry import make
from quorate.sharing.dtype import INT

__all__ = ["warm"]

_MODULES = ("quorate.coordination.program", "quorate.node.worker", "quorate.transport.mesh")
_PROTOCOLS = (
    ("rep3", 3, None),
    ("rep3_malicious", 3, None),
    ("shamir", 3, None),
    ("shamir_malicious", 3, None),
    ("shamir_quorum", 3, None),
    ("semi2k", 2, None),
    ("spdz2k", 2, 2),
    ("spdz", 2, 2),
)
"""(protocol, parties, dealer)."""


@cache
def warm() -> None:
    """Import what workers need, and go once through the commonest primitives of all protocols on a few numbers.

    The first use of a kernel in a process takes about a second, most of it in the compiler's own set-up.
    """
    for module in _MODULES:
        import_module(module)
    _formats()
    for name, parties, dealer in _PROTOCOLS:
        everybody = tuple(f"participant {index}" for index in range(parties + (dealer is not None)))
        sessions = [Session(me, parties, everybody, dealer) for me in range(len(everybody))]
        simulate([_primitives(name, session, Scope.root()) for session in sessions])


def _formats() -> None:
    """Read one of each document that a worker reads: the readers of types are made at their first use."""
    from quorate.coordination.program import check_plan
    from quorate.coordination.spec import Input, Output, decode_spec, encode_spec
    from quorate.coordination.standing import Standing
    from quorate.data.document import convert, parse_yaml
    from quorate.data.schema import IntColumn
    from quorate.lang.plan import Operation, Plan, Type
    from quorate.node.asking import spec_of
    from quorate.node.channel import Channel, pair
    from quorate.node.desk import FromWorker, ToWorker

    item = Input(name="x", owner="d", columns=(IntColumn(name="x", range=(0, 1)),))
    spec = decode_spec(encode_spec(spec_of("abc", "rep3", [item], [Output(name="x", to=("d",))])), "-")
    read = Operation("input", (), {"input": "x", "column": "x", "dtype": "int"}, Type(INT, (parse_size("rows(x)"),)))
    check_plan(spec, Plan.from_json(Plan("x", (read,), {"x": 0}).to_json()))
    convert(parse_yaml(b"{interactive: 1, analysts: []}", "-"), Standing, "-")
    for sock, type_ in zip(pair(), (FromWorker, ToWorker), strict=True):
        Channel(sock, type_)
        sock.close()


def _primitives(name: str, session: Session, at: Scope) -> Step[None]:
    protocol = make(name, session)
    yield from protocol.setup(at.child("setup"))
    values = np.arange(3, dtype=np.int64) if session.me == 0 else None
    x = yield from protocol.input(at.child("input"), 0, (3,), values)
    y = yield from protocol.mul(at.child("mul"), x, x, 1)
    y = yield from protocol.truncate(at.child("truncate"), y, 1)
    total = protocol.sum(protocol.add(x, protocol.scale(y, 2)), 0)
    yield from protocol.reveal(at.child("reveal"), total, range(session.parties))
