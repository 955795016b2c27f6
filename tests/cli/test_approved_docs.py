"""The guide to methods in approved computations runs as printed, and its results are those of the data in the clear."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from scipy import stats

import quorate

GUIDE = Path(__file__).parents[2] / "docs/how-to/approved-methods.md"
NUMBER = re.compile(r"-?\d[\d,.]*(e[+-]?\d+)?")


def blocks(text, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def words(text):
    """Without layout, and with all numbers alike: the last digits of results vary."""
    return " ".join(NUMBER.sub("0", text.replace("─", "")).split())


def commands(text):
    """Commands of the console blocks with what is printed after each."""
    for block in blocks(text, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, printed = part.partition("\n")
            yield line, printed


@pytest.mark.timeout(240)
def test_the_guide_runs_as_printed(here, example, monkeypatch):
    text = GUIDE.read_text(encoding="utf-8")
    monkeypatch.chdir(example)
    (source, *programs), (spec, outputs) = blocks(text, "python"), blocks(text, "yaml")
    Path("study.py").write_text(source)
    Path("study.yaml").write_text(spec)
    for line, printed in commands(text):
        name, *arguments = shlex.split(line)
        target = arguments[arguments.index(">") + 1] if ">" in arguments else None
        ended = here(*(arguments if target is None else arguments[: arguments.index(">")]))
        assert name == "quorate"
        for piece in printed.split("…"):
            assert words(piece) in words(ended.out + ended.err)
        if target is not None:
            Path(target).write_text(ended.out)
        if "outputs:" in printed:
            Path("study.yaml").write_text(spec + outputs)
    for shown in blocks(text, "text"):
        assert shown in Path("study.yaml").read_text()
    assert "oncology" in Path("results.html").read_text()
    for program in programs:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(program, "guide", "exec"), {})
        assert out.getvalue().splitlines() == re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)
    check(quorate.results("study.yaml", "run.json")["model"])


def check(found):
    """What the regression found, against the means of groups."""
    tables = [pyarrow.csv.read_csv(f"{name}.csv").to_pandas() for name in ("st_mary", "st_luke", "st_anna")]
    cost, diagnosis = (np.concatenate([table[name] for table in tables]) for name in ("cost", "diagnosis"))
    base = cost[(diagnosis != "oncology") & (diagnosis != "trauma")].mean()
    means = [cost[diagnosis == name].mean() - base for name in ("oncology", "trauma")]
    assert found.index.tolist() == ["(intercept)", "oncology", "trauma"]
    np.testing.assert_allclose(found["coef"], [base, *means], rtol=1e-3)
    t = found["coef"] / found["std err"]
    np.testing.assert_allclose(found["P>|t|"], 2 * stats.t.sf(t.abs(), len(cost) - 3))
