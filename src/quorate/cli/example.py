"""The hospital example that is shipped with quorate: copied out to be run, and its result computed without secrecy."""

from __future__ import annotations

import csv
import re
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from quorate.coordination.spec import DELIVERIES, PROTOCOLS
from quorate.errors import UserError
from quorate.files import ensure_folder, read_bytes, write_atomic
from quorate.protocols.registry import protocol_class

__all__ = ["COORDINATOR", "DIAGNOSES", "INPUTS", "Truth", "copy_example", "free_ports", "truth"]

SOURCE = Path(__file__).parent.parent / "examples" / "hospital"
SUFFIXES = (".yaml", ".json", ".py", ".csv")
FEDERATION = "federation.yaml"
SPEC = "protocol_spec.yaml"
FIELD_SCALE = 10
"""Fraction bits of the costs for protocols over a field, whose numbers have less room than those of a ring."""
INPUTS = {"st-mary": "st_mary", "st-luke": "st_luke", "st-anna": "st_anna"}
"""Data owner -> the input that it brings; its file is INPUT.csv."""
COORDINATOR = "institute"
PARTIES = 3
DIAGNOSES = ("cardiac", "oncology", "trauma", "respiratory", "digestive", "neurological", "maternity", "other")

Truth = dict[str, float | int]


def copy_example(
    folder: Path, ports: Sequence[int] | None = None, protocol: str | None = None, delivery: str | None = None
) -> list[Path]:
    """Write the example into `folder`; with `ports`, the nodes of its federation listen there.

    With `protocol`, the spec asks for it instead of rep3; then the plan has to be compiled anew. With `delivery`,
    messages travel so.

    Returns:
        The files written.

    Raises:
        UserError: one of the files exists already, nothing is written then; or there is no such protocol.
        EnvironmentFault: the disk is full, or this machine refuses the write.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise UserError(f"there is no protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    if delivery is not None and delivery not in DELIVERIES:
        raise UserError(f"there is no delivery {delivery!r}; choose one of {', '.join(DELIVERIES)}")
    sources = sorted(path for path in SOURCE.iterdir() if path.suffix in SUFFIXES)
    for source in sources:
        if (folder / source.name).exists():
            raise UserError(f"{folder / source.name} already exists and is not overwritten; choose another folder")
    ensure_folder(folder)
    for source in sources:
        data = read_bytes(source)
        if ports is not None and source.name == FEDERATION:
            data = _with_ports(data.decode(), ports).encode()
        if protocol is not None and source.name == SPEC:
            data = _with_protocol(data.decode(), protocol).encode()
        if delivery is not None and source.name == SPEC:
            data += f"delivery: {delivery}\n".encode()
        write_atomic(folder / source.name, data)
    return [folder / source.name for source in sources]


def free_ports(count: int) -> list[int]:
    """Ports of this machine that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def truth(folder: Path) -> tuple[Truth, float]:
    """The results in float64 from all CSV files together, what nobody could compute without quorate; and the seconds
    that NumPy took for them, reading not counted."""
    import numpy as np

    costs: list[float] = []
    diagnoses: list[str] = []
    for name in INPUTS.values():
        with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                costs.append(float(row["cost"]))
                diagnoses.append(row["diagnosis"])
    cost, diagnosis = np.array(costs), np.array(diagnoses)
    begun = time.perf_counter()
    result: Truth = {"patients": len(costs), "mean_cost": float(cost.mean()), "std_cost": float(cost.std())}
    for name in DIAGNOSES:
        result[f"mean_cost_{name}"] = float(cost[diagnosis == name].mean())
    return result, time.perf_counter() - begun


def _with_ports(text: str, ports: Sequence[int]) -> str:
    """The federation file with the addresses of its nodes replaced, in order."""
    left = iter(ports)
    return re.sub(r"127\.0\.0\.1:\d+", lambda _: f"127.0.0.1:{next(left)}", text)


def _with_protocol(text: str, protocol: str) -> str:
    """The spec with another protocol, its usual threshold, and costs that fit it."""
    from quorate.engine.session import Session
    from quorate.protocols.registry import default_threshold, make

    cls = protocol_class(protocol)
    threshold = default_threshold(protocol, PARTIES)
    modulus = make(protocol, Session(0, PARTIES, ("", "", ""), counting=True)).modulus_bits
    chosen = f"protocol: {{name: {protocol}, adversary: {cls.adversary}, threshold: {threshold}}}"
    text = re.sub(r"(?m)^protocol: .*$", chosen, text)
    return text if modulus == 64 else re.sub(r"scale: \d+", f"scale: {FIELD_SCALE}", text)
