"""From source to plan."""

from __future__ import annotations

import pytest

from quorate.lang.plan import Plan


def test_the_shipped_plan_is_what_its_source_gives(here, example):
    assert here("compile", example / "protocol_spec.yaml", "--check").code == 0


def test_a_changed_source_is_noticed_and_then_compiled(here, example, edit):
    spec, plan = example / "protocol_spec.yaml", example / "treatment_costs.plan.json"
    before = plan.read_bytes()
    edit(example / "treatment_costs.py", "cost.std()", "cost.var()")
    checked = here("compile", spec, "--check", "--json")
    assert checked.code == 4
    assert checked.json()["error"]["code"] == "AgreementError"
    assert plan.read_bytes() == before
    compiled = here("compile", spec, "--json").json()
    assert Plan.from_json(plan.read_bytes()).digest == compiled["plan_digest"]
    assert plan.read_bytes() != before
    assert here("compile", spec, "--check").code == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cost.mean()", "cost.meen()", "line 15"),
        ("cost.mean()", "1 if cost.sum() > 3 else 2", "truth value"),
        ("import quorate", "import quorate\nimport no_such_module", "no_such_module"),
        ("return results", "return 3", "dictionary"),
        ("def treatment_costs", "def other", "it has other"),
        ('"patients": cost.size, ', "", "patients"),
        ("return results", "results['more'] = cost.sum()\n    return results", "more"),
        ("return results", "return (", "treatment_costs.py, line"),
    ],
)
def test_mistakes_in_the_source_are_told_with_their_place(here, example, edit, old, new, said):
    edit(example / "treatment_costs.py", old, new)
    before = (example / "treatment_costs.plan.json").read_bytes()
    ended = here("compile", example / "protocol_spec.yaml")
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert (example / "treatment_costs.plan.json").read_bytes() == before


def test_a_spec_without_source_or_with_a_missing_one(here, example, edit):
    spec = example / "protocol_spec.yaml"
    edit(spec, "source: treatment_costs.py:treatment_costs", "source: nowhere.py:f")
    assert "nowhere.py does not exist" in here("compile", spec).err
    edit(spec, "source: nowhere.py:f", "source: nowhere.py")
    assert "FILE.py:FUNCTION" in here("compile", spec).err
    edit(spec, "source: nowhere.py\n", "")
    assert "'source' is missing" in here("compile", spec).err


def test_passes_are_shown_and_written(here, example, edit, tmp_path):
    spec = example / "protocol_spec.yaml"
    edit(example / "treatment_costs.py", "cost.std()", "(cost * 0.3 + cost[::-1] * 0.2).std()")
    shown = here("compile", spec, "--passes", "--dump-passes", tmp_path / "passes")
    assert shown.code == 0
    assert "truncation" in shown.out
    told = here("compile", spec, "--json").json()
    changed = [one for one in told["passes"] if one["operations"][0] != one["operations"][1]]
    assert changed
    written = {path.name.split("-", 1)[1] for path in (tmp_path / "passes").iterdir()}
    assert {f"{one['name']}.{side}.txt" for one in changed for side in ("before", "after")} <= written
    for one in told["passes"]:
        assert one["rounds"][1] <= one["rounds"][0], one
        assert one["bytes_sent"][1] <= one["bytes_sent"][0], one
        assert one["refused"] is None
    assert told["problem"] is None
    assert told["choice"] is None
    assert here("compile", spec, "--check", "--json").code == 0


def test_a_plan_that_cannot_run_with_all_rows_is_written_and_said_so(here, example, edit):
    spec = example / "protocol_spec.yaml"
    edit(example / "treatment_costs.py", "cost.std()", "(cost * cost * cost * cost).sum()")
    told = here("compile", spec, "--json").json()
    assert "declare narrower ranges" in told["problem"]
    assert all(one["rounds"] is None for one in told["passes"])
    assert "cannot run" in here("compile", spec).out


@pytest.mark.slow  # every protocol is priced three times; tests/coordination/test_choose.py has the choice itself
@pytest.mark.timeout(300)
def test_the_protocol_is_chosen_and_written(here, example, edit):
    spec = example / "protocol_spec.yaml"
    edit(spec, "name: rep3", "name: auto")
    told = here("compile", spec, "--json")
    assert told.code == 0, told.err
    assert told.json()["choice"]["protocol"] == "rep3"
    assert "choice: rep3" in spec.read_text()
    assert here("compile", spec, "--check").code == 0
    edit(spec, "choice: rep3", "choice: shamir")
    assert here("compile", spec, "--check").code == 4
