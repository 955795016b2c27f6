"""`quorate check-data`: what an owner reads, and what a program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

OWN_DATA = Path(__file__).parents[2] / "docs" / "how-to" / "own-data.md"
SCHEMA = """schema: 1
name: visits
columns:
  - {name: patient, type: key, domain: registry, unique: true}
  - {name: cost, type: fixed, range: [0, 500], missing: drop, aliases: [Kosten]}
  - {name: diagnosis, type: category, categories: [cardiac, trauma]}
"""
GOOD = "patient,KOSTEN,diagnosis\np1,1.5,cardiac\np2,,trauma\np3,99,Cardiac\n"
BAD = 'patient,cost,diagnosis\np1,"1,5",cardiac\np2,999,hart\n\np1,2,stroke\np4,inf\n'


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("schema.yaml", SCHEMA), ("good.csv", GOOD), ("bad.csv", BAD)):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.usefixtures("place")
def test_data_that_fits(here):
    ended = here("check-data", "schema.yaml", "good.csv")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "good.csv fits 'visits': 2 rows, 1 dropped for missing values\n"
        "  patient    key\n"
        "  cost       fixed, 1.5 to 99, 1 missing\n"
        "  diagnosis  category, 1 category occurs\n"
    )
    found = here("check-data", "schema.yaml", "good.csv", "--json").json()
    assert (found["schema"], found["fine"], found["rows"], found["kept"]) == ("visits", True, 3, 2)
    assert found["columns"][1] == {"column": "cost", "type": "fixed", "missing": 1, "low": 1.5, "high": 99.0}


@pytest.mark.usefixtures("place")
def test_everything_that_is_wrong(here):
    ended = here("check-data", "schema.yaml", "bad.csv")
    assert ended.code == 3
    assert ended.out.splitlines() == [
        "bad.csv does not fit 'visits': 6 problems in 3 rows",
        "table: fields: does not fit the header, which has 3 columns; check for missing or extra commas "
        "(put a value with a comma in quotes)",
        "  row 6: (2 fields)",
        "column 'cost': type: is not a number",
        "  row 2: '1,5'; write numbers without thousands separators and with a decimal point, such as 1234.5",
        "column 'cost': range: is outside the agreed range [0, 500]",
        "  row 3: '999'; correct the value or agree on another range",
        "column 'diagnosis': category, 2 times: is none of the agreed categories: cardiac, trauma; "
        "correct the value or agree on another list",
        "  row 3: 'hart'",
        "  row 5: 'stroke'",
        "column 'patient': duplicate: the same value stands in an earlier row; remove one of the rows",
        "  row 5 (first in row 2)",
    ]
    short = here("check-data", "schema.yaml", "bad.csv", "--most", 1)
    assert "  and 1 more" in short.out
    assert "stroke" not in short.out
    found = here("check-data", "schema.yaml", "bad.csv", "--json")
    assert found.code == 3
    assert [problem["count"] for problem in found.json()["problems"]] == [1, 1, 1, 2, 1]
    problems = found.json()["problems"]
    assert problems[3]["examples"][1] == {"row": 5, "value": "'stroke'"}
    assert problems[1]["examples"][0]["todo"].startswith("write numbers without thousands separators")


@pytest.mark.usefixtures("place")
def test_other_separators_are_named_once(here, place):
    (place / "semicolon.csv").write_text("patient;cost;diagnosis\np1;2;trauma\n")
    ended = here("check-data", "schema.yaml", "semicolon.csv")
    assert ended.out.splitlines()[:2] == [
        "semicolon.csv does not fit 'visits': 1 problem in 1 row",
        "table: column: the header is 'patient;cost;diagnosis': columns must be separated by commas, not by ';'; "
        "save the file with commas, or read it with the query FROM read_csv('FILE', delim=';')",
    ]


@pytest.mark.usefixtures("place")
def test_queries_and_source_documents(here, place):
    query = "SELECT patient, KOSTEN, diagnosis FROM 'good.csv'"
    assert "the query fits 'visits': 2 rows" in here("check-data", "schema.yaml", "--sql", query).out
    (place / "source.yaml").write_text("file: good.csv\ncolumns: {cost: {column: KOSTEN}}")
    assert "source.yaml" not in here("check-data", "schema.yaml", "source.yaml").err
    assert here("check-data", "schema.yaml", "source.yaml").code == 0
    ended = here("check-data", "schema.yaml", "--sql", "SELECT 1", "--database", "postgresql://u:sesame@127.0.0.1:1/x")
    assert ended.code == 8
    assert "sesame" not in ended.out + ended.err


@pytest.mark.usefixtures("place")
def test_the_documented_way_to_read_european_csv(here, place):
    section = OWN_DATA.read_text().partition("### CSV with semicolons")[2].partition("\n### ")[0]
    table, source, schema, shown = re.findall(r"^```[a-z]+\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    for name, text in (("visits.csv", table), ("source.yaml", source), ("schema.yaml", schema)):
        (place / name).write_text(text)
    ended = here("check-data", "schema.yaml", "source.yaml")
    assert shown == f"$ quorate check-data schema.yaml source.yaml\n{ended.out}"
    (place / "visits.csv").write_text(table.replace("99,90", "free"))
    assert "row 2: 'free'" in here("check-data", "schema.yaml", "source.yaml").out


def test_an_input_of_a_spec(here, example):
    spec = example / "protocol_spec.yaml"
    several = here("check-data", spec, example / "st_mary.csv")
    assert (several.code, "say which input the data is for: st_mary" in several.err) == (2, True)
    ended = here("check-data", spec, example / "st_mary.csv", "--input", "st_mary")
    assert ended.code == 0
    assert "fits 'st_mary'" in ended.out


@pytest.mark.usefixtures("place")
def test_a_suggested_schema_fits(here, place):
    ended = here("check-data", "--suggest", "good.csv")
    assert ended.code == 0
    (place / "guess.yaml").write_text(ended.out)
    assert here("check-data", "guess.yaml", "good.csv").code == 0
    assert (
        "type: category, categories: [cardiac, trauma]"
        in here("check-data", "--suggest", "--sql", "FROM 'good.csv'").out
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name the schema and the file"),
        (["schema.yaml"], "name a file, or give a query"),
        (["schema.yaml", "good.csv", "--sql", "SELECT 1"], "not both"),
        (["schema.yaml", "good.csv", "--database", "postgresql://x"], "--database needs --sql"),
        (["schema.yaml", "good.csv", "--input", "x"], "an input is chosen of specs"),
        (["--suggest", "schema.yaml", "good.csv"], "--suggest takes FILE alone"),
        (["none.yaml", "good.csv"], "no such file"),
        (["schema.yaml", "none.csv"], "no such file"),
        (["good.csv"], "good.csv is a table, and no schema"),
        (["good.csv", "schema.yaml"], "quorate check-data SCHEMA FILE, or for a first draft"),
        (["schema.yaml", "Good.XLSX"], "save the sheet as 'CSV UTF-8"),
    ],
)
@pytest.mark.usefixtures("place")
def test_mistakes(here, arguments, says):
    ended = here("check-data", *arguments)
    assert ended.code == 2
    assert says in ended.err


@pytest.mark.usefixtures("place")
def test_an_empty_file(here, place):
    (place / "empty.csv").write_text("")
    ended = here("check-data", "schema.yaml", "empty.csv", "--json")
    assert ended.code == 3
    assert ended.json()["error"]["code"] == "DataError"
