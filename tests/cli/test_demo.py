"""The demonstration, in a process of its own, and the example that it copies out."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

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
    assert "random-looking" in parts["alder"]["saw"]


@pytest.mark.parametrize("protocol", ["shamir", "rep3_malicious"])
def test_it_runs_under_other_protocols(process, protocol):
    ended = process("demo", "--protocol", protocol, "--json")
    assert ended.code == 0, ended.err
    told = ended.json()
    assert told["ok"]
    assert told["protocol"]["name"] == protocol
    assert told["protocol"]["adversary"] == ("malicious" if "malicious" in protocol else "semi-honest")


def test_a_protocol_that_does_not_exist_is_refused(process):
    ended = process("demo", "--protocol", "rep4")
    assert ended.code == 2
    assert "there is no protocol 'rep4'; choose one of" in ended.err


def test_for_people_it_prints_tables_and_a_picture_and_leaves_nothing_behind(process, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")  # a terminal that can do little
    ended = process("demo")
    assert ended.code == 0, ended.err
    assert "every result is within the stated precision" in " ".join(ended.out.split())
    assert re.search(r"oncology +#{20,}", ended.out)
    assert "mean_cost_neurological" in ended.out
    assert not list(tmp_path.iterdir())


def test_it_costs_what_the_quote_says(process, here, example):
    rows = [part for name in INPUTS.values() for part in ("--rows", f"{name}=10000")]
    quoted = here("quote", example / "protocol_spec.yaml", *rows, "--json").json()
    told = process("demo", "--json").json()
    assert told["bytes_sent"] == quoted["bytes_sent"]
    assert told["rounds"] == quoted["rounds"]
    for cost in quoted["participants"]:
        assert told["participants"][cost["name"]]["bytes_sent"] == cost["bytes_sent"]


SPOILED_FILE = """
copy = example.copy_example
def spoiled(folder, *options):
    copy(folder, *options)
    path = folder / "st_luke.csv"
    path.write_text(path.read_text().replace("cost", "price", 1))
example.copy_example = spoiled
"""
OTHER_TRUTH = """
truth = example.truth
example.truth = lambda folder: (truth(folder)[0] | {"mean_cost": truth(folder)[0]["mean_cost"] + 0.001}, 0.1)
"""


@pytest.fixture
def changed_demo(process):
    """Runs `demo --json` after `change`, in a process of its own: forks must not happen in one with threads."""

    def run(change):
        head = "import quorate.cli.example as example\n"
        return process("demo", "--json", seconds=40, before=head + change)

    return run


def test_a_bad_file_ends_all_processes_with_its_owners_message(changed_demo):
    ended = changed_demo(SPOILED_FILE)
    assert ended.code == 3
    assert ended.json()["error"]["code"] == "DataError"
    assert "st-luke" in ended.err
    assert "'cost'" in ended.err
    assert "Traceback" not in ended.err


def test_a_result_out_of_bounds_is_an_error(changed_demo):
    ended = changed_demo(OTHER_TRUTH)
    assert ended.code == 1
    told = ended.json()
    assert not told["ok"]
    assert told["difference"]["mean_cost"] > told["precision"]["mean_cost"]


def test_the_copied_example_runs_as_its_words_say(here, tmp_path):
    copied = here("demo", "--copy", tmp_path / "mine", "--json")
    assert copied.code == 0
    folder = tmp_path / "mine"
    assert {path.suffix for path in folder.iterdir()} == {".yaml", ".json", ".py", ".csv"}
    data = [part for name in INPUTS.values() for part in ("--data", f"{name}={folder / name}.csv")]
    run = here("run", folder / "protocol_spec.yaml", "--simulate", *data, "--json").json()
    assert run["results"]["mean_cost"] == pytest.approx(truth(folder)[0]["mean_cost"], abs=0.001)
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
