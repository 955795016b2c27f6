"""The demonstration, in a process of its own, and the example that it copies out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from quorate.cli import demo as command
from quorate.cli.example import INPUTS, truth


def test_three_hospitals_compute_an_average(process):
    ended = process("demo", "--json")
    assert ended.code == 0, ended.err
    told = ended.json()
    assert told["ok"]
    assert set(told["result"]) == set(told["expected"])
    assert told["result"]["patients"] == 30_000
    for name, value in told["result"].items():
        assert abs(value - told["expected"][name]) <= told["precision"][name] < 1, name
    parts = told["participants"]
    assert set(parts) == {"alder", "birch", "cedar", "institute", *INPUTS}
    assert told["bytes_sent"] == sum(part["bytes_sent"] for part in parts.values())
    assert told["bytes_sent"] == sum(part["bytes_received"] for part in parts.values())
    assert told["rounds"] == max(part["rounds"] for part in parts.values())
    assert 0 < told["seconds"] < told["total_seconds"]
    assert "means nothing" in parts["alder"]["saw"] or "mean nothing" in parts["alder"]["saw"]


def test_for_people_it_prints_tables_and_a_picture_and_leaves_nothing_behind(process, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ended = process("demo")
    assert ended.code == 0, ended.err
    assert "within the stated precision" in ended.out
    assert re.search(r"oncology +[█#]{20,}", ended.out)
    assert not list(tmp_path.iterdir())


def test_it_costs_what_the_quote_says(process, here, example):
    rows = [part for name in INPUTS.values() for part in ("--rows", f"{name}=10000")]
    quoted = here("quote", example / "protocol_spec.yaml", *rows, "--json").json()
    told = process("demo", "--json").json()
    assert told["bytes_sent"] == quoted["bytes_sent"]
    assert told["rounds"] == quoted["rounds"]
    for cost in quoted["participants"]:
        assert told["participants"][cost["name"]]["bytes_sent"] == cost["bytes_sent"]


def test_a_result_out_of_bounds_is_an_error(here, monkeypatch):
    monkeypatch.setattr(command, "_run", lambda folder, meter: {"ok": False})
    assert here("demo", "--json").code == 1


def test_a_bad_file_ends_all_processes_with_its_owners_message(example):
    """In a process of its own, as forks must not happen in one with threads."""
    script = (
        "import sys, quorate.cli.example as example, quorate.cli.demo as demo\n"
        "copy = example.copy_example\n"
        "def spoiled(folder, ports):\n"
        "    copy(folder, ports); path = folder / 'st_luke.csv'\n"
        "    path.write_text(path.read_text().replace('cost', 'price', 1))\n"
        "example.copy_example = spoiled\n"
        "from quorate.cli.main import main; main(['demo', '--json'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=40, env=environment)
    assert ended.returncode == 3
    assert json.loads(ended.stdout)["error"]["code"] == "DataError"
    assert "st-luke" in ended.stderr
    assert "'cost'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_copied_example_runs_as_its_words_say(here, tmp_path):
    copied = here("demo", "--copy", tmp_path / "mine", "--json")
    assert copied.code == 0
    folder = tmp_path / "mine"
    assert {path.suffix for path in folder.iterdir()} == {".yaml", ".json", ".py", ".csv"}
    data = [part for name in INPUTS.values() for part in ("--data", f"{name}={folder / name}.csv")]
    run = here("run", folder / "protocol_spec.yaml", "--simulate", *data, "--json").json()
    assert run["results"]["mean_cost"] == pytest.approx(truth(folder)["mean_cost"], abs=0.001)
    again = here("demo", "--copy", folder)
    assert again.code == 2
    assert "not overwritten" in again.err


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("cost\n", "price\n", 3, "'cost'"),
        ("trauma", "accident", 3, "accident"),
        ("\n", ",7\n", 3, "row"),
    ],
)
def test_bad_data_names_file_and_place(here, example, edit, old, new, code, said):
    text = (example / "st_mary.csv").read_text()
    (example / "st_mary.csv").write_text(text.replace(old, new, 1) if old != "\n" else text[:-1] + new)
    data = [part for name in INPUTS.values() for part in ("--data", f"{name}={example / name}.csv")]
    ended = here("run", example / "protocol_spec.yaml", "--simulate", *data, "--json")
    assert ended.code == code
    assert "st_mary.csv" in ended.err
    assert said in ended.err
    assert ended.json()["error"]["code"] == "DataError"


def test_the_help_page_is_there_fast_and_every_command_prints_json(process, here):
    listed = process("--help").out
    for name in ("demo", "pki", "compile", "quote", "explain", "doctor"):
        assert name in listed
        if name != "pki":
            assert "--json" in process(name, "--help").out


def test_the_help_page_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from quorate.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'numba', 'pyarrow', 'cryptography') if m in sys.modules], file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, env=environment)
    assert ended.stderr.strip() == "[]"
