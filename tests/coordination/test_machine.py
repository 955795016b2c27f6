"""The figures for machines and networks that predictions start from: kept, read back, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quorate.coordination.footprint import peak_live
from quorate.coordination.machine import (
    TYPICAL,
    Calibration,
    calibration_path,
    load_machine,
    save_machine,
)
from quorate.coordination.measured import Measurement, Pair, load_measurement, save_measurement
from quorate.coordination.roster import Roster
from quorate.engine.network import Network
from quorate.engine.session import Effort, Session
from quorate.errors import UserError
from quorate.lang.plan import Operation, Plan, Type
from quorate.protocols.registry import make
from quorate.sharing.dtype import BOOL, INT

WHO = Roster(("a", "b", "c", "owner"), 3, None, {}, {})
PAIRS = (Pair(source="a", to="b", rtt_us=1000, bandwidth=10**8), Pair(source="b", to="c", rtt_us=9000, bandwidth=10**9))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_without_a_calibration_the_figures_are_the_built_in_ones(cache: Path) -> None:
    assert load_machine() == TYPICAL
    assert load_machine(2).cores == 2
    assert load_machine().measured is None


def test_a_calibration_is_kept_and_used(cache: Path) -> None:
    path = save_machine(Calibration(date="2026-11-21", small_percent=200, bulk_percent=50))
    assert path == calibration_path() == cache / "quorate" / "machine.json"
    assert path.stat().st_mode & 0o777 == 0o600
    machine = load_machine(4)
    assert machine.step_ns == 2 * TYPICAL.step_ns
    assert machine.sent_ps == TYPICAL.sent_ps // 2
    assert (machine.cores, machine.measured, machine.base_mb) == (4, "2026-11-21", TYPICAL.base_mb)


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"calibration":9,"date":"x","small_percent":100,"bulk_percent":100}',
     '{"calibration":1,"date":"x","small_percent":0,"bulk_percent":100}'],
)  # fmt: skip
def test_a_file_that_is_no_calibration(cache: Path, content: str) -> None:
    calibration_path().parent.mkdir()
    calibration_path().write_text(content)
    with pytest.raises(UserError, match="doctor --calibrate"):
        load_machine()


def test_work_is_added_up() -> None:
    effort = Effort(calls=3, made=10**6, drawn=10**6, touched=10**6, multiplied=10**6)
    per_byte = TYPICAL.made_ps + TYPICAL.drawn_ps + TYPICAL.touched_ps + TYPICAL.multiplied_ps
    assert TYPICAL.work(effort) == 3 * TYPICAL.call_ns + 1000 * per_byte


def test_a_counting_session_notes_its_effort_and_a_real_one_does_not() -> None:
    counting, real = (Session(0, 3, ("a", "b", "c"), counting=flag) for flag in (True, False))
    for session in (counting, real):
        session.blank((10,))
        session.multiplied(5)
        session.touched(80)
        session.dealt("products", 7)
    assert (counting.effort.made, counting.effort.multiplied, counting.effort.touched) == (80, 5, 80)
    assert counting.effort.dealt == {"products": 7}
    assert real.effort == Effort()


def test_measurements_are_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    made = Measurement(federation="f", date="2026-11-21", pairs=PAIRS)
    save_measurement(file, made)
    assert load_measurement(file) == made
    assert json.loads(file.read_text())["pairs"][0] == {"from": "a", "to": "b", "rtt_us": 1000, "bandwidth": 10**8}


def test_pairs_that_were_not_measured_are_taken_to_be_slow() -> None:
    links = Measurement(federation="f", date="d", pairs=PAIRS).links(WHO)
    assert links.between(0, 1) == links.between(1, 0) == Network(1000, 10**8)
    assert links.between(0, 3) == Network(9000, 10**8)
    assert links.rate(1, 4) == 10**9


def test_a_measurement_of_others_is_of_no_use() -> None:
    with pytest.raises(UserError, match="names no two of a, b, c, owner"):
        Measurement(federation="f", date="d", pairs=(Pair(source="x", to="a", rtt_us=1, bandwidth=10**6),)).links(WHO)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"measured":2,"federation":"f","date":"d","pairs":[]}'])
def test_a_file_that_is_no_measurement(tmp_path: Path, content: str) -> None:
    file = tmp_path / "network.json"
    file.write_text(content)
    with pytest.raises(UserError, match=r"network\.json"):
        load_measurement(file)


def test_memory_of_what_lives_at_the_same_time() -> None:
    """x (16 bytes per number in rep3), x * x, and then the sum of it: x is gone by then."""
    vector, scalar = Type(INT, (1000,)), Type(INT, ())
    operations = (
        Operation("input", (), {"input": "a", "column": "c", "dtype": "int"}, vector, ""),
        Operation("mul", (0, 0), {}, vector, ""),
        Operation("sum", (1,), {"axis": 0}, scalar, ""),
        Operation("lt", (2, 2), {}, Type(BOOL, ()), ""),
    )
    p = make("rep3", Session(0, 3, ("a", "b", "c"), counting=True), 1)
    assert peak_live(Plan("p", operations, {"y": 3}), p) == 2 * 16 * 1000
    assert peak_live(Plan("p", operations, {"y": 3, "x": 0, "z": 1}), p) == 2 * 16 * 1000 + 16 + 2
