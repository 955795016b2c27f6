"""Methods of `quorate.analytics` in a computation that organisations approve."""

from __future__ import annotations

import numpy as np
import pyarrow.csv
import pytest

from quorate.coordination.federation import load_federation
from quorate.node.approval import load
from quorate.node.simulation import simulated

SOURCE = """
import quorate


@quorate.computation
def study(st_mary, st_luke, st_anna):
    every = [st_mary, st_luke, st_anna]
    cost = quorate.concatenate([table.cost for table in every])
    diagnosis = quorate.concatenate([table.diagnosis for table in every])
    model = quorate.analytics.LinearRegression().fit([diagnosis == 1, diagnosis == 2], cost)
    return {"rise": model.coef_, "base": model.intercept_}
"""


@pytest.fixture
def study(example):
    """The hospital example with a regression of cost on two diagnoses."""
    (example / "study.py").write_text(SOURCE)
    spec = example / "protocol_spec.yaml"
    text = spec.read_text()
    head = text[: text.index("outputs:")].replace("treatment_costs.plan.json", "study.plan.json")
    head = head.replace("treatment_costs.py:treatment_costs", "study.py:study")
    outputs = "".join(f"  - {{name: {name}, to: [institute]}}\n" for name in ("rise", "base"))
    spec.write_text(f"{head}outputs:\n{outputs}timeouts: {{round: 30, join: 60, session: 600}}\n")
    return spec


def test_a_method_is_compiled_with_the_ranges_of_the_spec(here, study, example):
    compiled = here("compile", study, "--json")
    assert compiled.code == 0, compiled.err
    assert here("quote", study, "--rows", "st_mary=100", "--json").code == 0
    names = ("st_mary", "st_luke", "st_anna")
    files = {name: str(example / f"{name}.csv") for name in names}
    found = simulated(load(study, load_federation(example / "federation.yaml")), files)
    values = found.values
    tables = [pyarrow.csv.read_csv(path).to_pandas() for path in files.values()]
    cost = np.concatenate([table.cost for table in tables])
    diagnosis = np.concatenate([table.diagnosis for table in tables])
    base = cost[(diagnosis != "oncology") & (diagnosis != "trauma")].mean()
    wanted = [cost[diagnosis == name].mean() - base for name in ("oncology", "trauma")]
    np.testing.assert_allclose(values["rise"], wanted, rtol=1e-3)
    np.testing.assert_allclose(values["base"], base, rtol=1e-3)


def test_a_whole_result_needs_every_part_in_the_spec(here, study, example):
    source = example / "study.py"
    source.write_text(SOURCE.replace('{"rise": model.coef_, "base": model.intercept_}', '{"rise": model}'))
    told = here("compile", study)
    assert told.code == 2
    assert "rise" in told.err
