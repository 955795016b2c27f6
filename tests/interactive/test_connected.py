"""Interactive sessions with real node processes: owners place data sets, an analyst computes on them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import quorate as q
from quorate.cli.main import main
from quorate.errors import IdentityError, UserError
from quorate.interactive.backend import HeldColumn
from quorate.interactive.connected import connect_backend
from quorate.node.placing import place_data_set, remove_data_set

PARTIES = ("p1", "p2", "p3")


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`quorate ...` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from quorate.cli.main import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.fixture(scope="module")
def placed(running):
    """Both hospitals have placed their stays: one with the command, one from Python."""
    done = command(
        "place", running.schema_file, running.folder / "st_mary.csv", "--name", "stays-mary", "--as", "st-mary",
        "--for", "institute", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == len(running.mary)
    place_data_set(running.identity("st-luke"), running.schema, running.luke, "stays-luke", ["institute"], PARTIES)
    return running


@pytest.fixture
def net(placed):
    with q.connect(placed.file, as_="institute") as session:
        yield session


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises((UserError, IdentityError)) as caught:
        action()
    return str(caught.value)


def test_statistics_of_data_that_nobody_shows(net, placed):
    mary, luke = net.table("stays-mary"), net.table("stays-luke")
    cost = q.concatenate([mary.cost, luke.cost])
    both = pd.concat([placed.mary, placed.luke])
    assert float(cost.mean().reveal()) == pytest.approx(both.cost.mean(), abs=0.01)
    assert float(cost.mean(where=q.concatenate([mary.smoker, luke.smoker])).reveal()) == pytest.approx(
        both.cost[both.smoker].mean(), abs=0.01
    )
    wards = q.concatenate([mary.ward, luke.ward])
    assert wards.categories == ("surgery", "medicine", "maternity")
    counts = net.reveal(q.one_hot(wards, 3).astype(q.int64).sum(axis=0))
    assert counts.tolist() == [(both.ward == ward).sum() for ward in ("surgery", "medicine", "maternity")]
    run = net.last_run
    assert run.parties == PARTIES
    assert 0 < sum(run.bytes_by_party) <= run.bytes_sent
    assert run.rounds > 0


def test_a_regression_on_the_rows_of_two_owners(net, placed):
    tables = [net.table("stays-mary"), net.table("stays-luke")]
    both = pd.concat([placed.mary, placed.luke])
    features = q.concatenate([q.column_stack([t.days.astype(q.fixed(8)), t.age]) for t in tables])
    model = q.analytics.LinearRegression().fit(features, q.concatenate([t.cost for t in tables]))
    design = np.column_stack([both.days, both.age, np.ones(len(both))])
    expected = np.linalg.lstsq(design, both.cost.to_numpy(), rcond=None)[0]
    assert model.coef_.reveal() == pytest.approx(expected[:2], rel=1e-2)
    assert float(model.intercept_.reveal()) == pytest.approx(expected[2], rel=5e-2)
    residuals = tables[0].cost - tables[0].days * 400
    assert "may show a single row of the data set" in refusal(residuals.reveal)


def test_a_model_stays_secret_and_scores_later(placed, tmp_path):
    """Another connection loads it; what it says of the analyst's own rows may be opened."""
    file, rows = tmp_path / "model.json", np.array([[3.0, 40.0], [10.0, 70.0]])
    with q.connect(placed.file, as_="institute") as net:
        table = net.table("stays-mary")
        features = q.column_stack([table.days.astype(q.fixed(8)), table.age])
        model = q.analytics.LinearRegression().fit(features, table.cost)
        net.keep(model, file)
        opened = model.coef_.reveal(), float(model.intercept_.reveal())
    with q.connect(placed.file, as_="institute") as net:
        scored = net.load(file).predict(net.secret(rows)).reveal()
        assert scored == pytest.approx(rows @ opened[0] + opened[1], rel=1e-3)
    with q.connect(placed.file, as_="stranger") as net:
        placed.allow("interactive: 1\nanalysts: [institute, stranger]\n")
        try:
            assert "are kept for stranger" in refusal(net.load(file).coef_.reveal)
        finally:
            placed.allow()


def test_own_data_joins_in(net):
    mine = net.secret(np.array([1000.0, 2000.0, 3000.0]))
    assert mine.reveal().tolist() == [1000.0, 2000.0, 3000.0]
    mary = net.table("stays-mary")
    assert net.reveal(mary.cost.mean() - mine.mean()) == pytest.approx(mary.cost.mean().reveal() - 2000.0, abs=0.1)


def test_rows_are_not_opened(net):
    mary = net.table("stays-mary")
    for bad in (mary.cost, mary.cost[3], q.sort(mary.cost), mary.cost.max(), mary.days[:5].sum()):
        why = refusal(bad.reveal)
        assert "openings" in why
        assert "'stays-mary'" in why
        assert "p1 refused, as p2 and p3 did" in why
    mask = net.secret(np.eye(60)[7])
    assert "mixing: true" in refusal((mary.cost * mask).sum().reveal)


def test_keeping_does_not_launder_rows(net):
    mary = net.table("stays-mary")
    held = net._live.keep({"doubled": mary.cost * 2}, {"doubled": "kept.doubled"})["doubled"]
    kept = net._live.hold("again", "value", held)
    assert "'stays-mary'" in refusal(kept.reveal)
    assert kept.mean().reveal() == pytest.approx(2 * mary.cost.mean().reveal(), abs=0.05)


def test_data_sets_are_told_in_the_words_of_their_schema(net, placed):
    told = repr(net.tables).splitlines()
    assert f"stays-mary: {len(placed.mary)} rows of st-mary" in told
    assert [" ".join(line.split()) for line in told[1:6]] == [
        "days int 0 to 365",
        "age fixed 0 to 120",
        "cost fixed 0 to 20,000",
        "ward category surgery, medicine, maternity",
        "smoker bool",
    ]
    assert "Held" not in repr(net.tables)


def test_only_analysts_and_users_get_in(placed):
    with q.connect(placed.file, as_="stranger") as net:
        assert net.tables == {}
        assert "analysts: stranger is none of them" in refusal(net.secret([1, 2]).sum().reveal)
        assert "there is no data set" in refusal(lambda: net.table("stays-mary"))
    with pytest.raises(UserError, match="role coordinator"):
        connect_backend(placed.file, "st-mary")
    with pytest.raises(UserError, match=r"institute, stranger"):
        connect_backend(placed.file)


def test_a_share_of_somebody_else_cannot_be_named(placed):
    """Even who knows the name of a share cannot compute on it: a placed one, or a result of another analyst."""
    with q.connect(placed.file, as_="institute") as net:
        column = net.tables["stays-mary"].columns["cost"]
        total = net.table("stays-luke").cost.sum()
        result = net._live.keep({"total": total}, {"total": "kept.total"})["total"]
        name = net.backend.lasting(["kept.total"])["kept.total"]
    placed.allow("interactive: 1\nanalysts: [institute, stranger]\nleast_rows: 1\nopenings: anything\n")
    try:
        with q.connect(placed.file, as_="stranger") as net:
            assert "not placed the data set 'stays-mary' for stranger" in refusal(
                net._live.hold("x", "value", column).sum().reveal
            )
            stolen = net._live.hold(
                "y", "value", q.interactive.backend.HeldColumn(name, 1, result.dtype, result.bounds)
            )
            assert "are kept for stranger" in refusal(stolen.reveal)
            net.backend._names["theirs"] = name
            net.backend.forget(["theirs"])  # passed over
        with q.connect(placed.file, as_="institute") as net:
            again = net._live.hold("z", "value", HeldColumn(name, 1, result.dtype, result.bounds))
            assert again.reveal() == pytest.approx(placed.luke.cost.sum(), rel=1e-4)
    finally:
        placed.allow()


def test_too_few_rows_are_no_data_set(placed):
    few = placed.mary.head(9)
    why = refusal(lambda: place_data_set(placed.identity("st-mary"), placed.schema, few, "few", ["institute"], PARTIES))
    assert "least_rows: the data set has 9 rows, 10 are needed" in why


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """What `quorate place ...` prints in this process."""
    with pytest.raises(SystemExit) as end:
        main(["place", *map(str, arguments)])
    assert end.value.code == code
    printed = capsys.readouterr()
    return printed.err if code else printed.out


def test_the_command_lists_and_explains(placed, capsys):
    listed = said(capsys, 0, "--list", "--as", "st-luke", "--federation", placed.file, "--json")
    (found,) = json.loads(listed)["data_sets"]
    assert (found["name"], found["rows"], found["users"]) == ("stays-luke", len(placed.luke), ["institute"])
    assert (found["columns"]["ward"], found["columns"]["cost"]) == ("category", "fixed")
    told = said(capsys, 0, "--list", "--as", "st-luke", "--federation", placed.file)
    assert "  ward (category): surgery, medicine, maternity\n" in told
    assert "  cost (fixed): 0 to 20,000\n" in told
    both = (placed.schema_file, placed.folder / "st_mary.csv")
    for arguments, why in (
        (("--list", "--remove", "x"), "or --list, or --remove"),
        (both, "--for NAME"),
        ((placed.schema_file, "--for", "institute"), "name the schema and the file"),
        (("--list",), "say which member"),
        (("--remove", "nothing", "--as", "st-mary"), "there is no data set 'nothing'"),
        (
            (placed.schema_file, placed.folder / "st_mary.csv", "--for", "institute", "--as", "p1"),
            "compute party itself",
        ),
    ):
        assert why in said(capsys, 2, *arguments, "--federation", placed.file)


@pytest.mark.slow  # needs a session that is still under way when it is interrupted
def test_an_interrupt_ends_the_session_everywhere(placed):
    with q.connect(placed.file, as_="institute") as net:
        ordered = q.sort(net.secret(np.arange(300_000)[::-1]))
        log = placed.home / "p1.log"
        before = log.read_text().count(": started")

        def interrupt() -> None:
            while log.read_text().count(": started") == before:
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            ordered.reveal()
        assert net.secret([1, 2]).sum().reveal() == 3
        assert "cancelled by the coordinator" in log.read_text()


def test_a_name_belongs_to_its_owner(placed):
    luke = placed.identity("st-luke")
    why = refusal(lambda: place_data_set(luke, placed.schema, placed.luke, "stays-mary", ["institute"], PARTIES))
    assert "belongs to st-mary" in why
    assert "belongs to st-mary" in refusal(lambda: remove_data_set(luke, "stays-mary", PARTIES))


def test_what_ran_is_on_record(net, placed):
    net.table("stays-mary").age.mean().reveal()
    folder = placed.home / "interactive"
    for party in PARTIES:
        lines = [
            json.loads(line)
            for path in (folder / "sessions" / party).iterdir()
            for line in path.read_text().splitlines()
        ]
        entry = next(line for line in lines if line["session"] == net.last_run.session)
        assert entry["member"] == "institute"
        plan = q.Plan.from_json((folder / "plans" / party / f"{entry['digest']}.plan.json").read_bytes())
        assert plan.digest == net.last_run.plan


def test_a_session_leaves_no_shares_behind(placed):
    folder = placed.home / "interactive" / "kept" / "p2"
    before = sorted(path.name for path in folder.iterdir())
    with q.connect(placed.file, as_="institute") as net:
        x = net.secret(np.arange(20))
        assert x.sum().reveal() == 190
        assert x.max().reveal() == 19
        assert len(list(folder.iterdir())) == len(before) + 1
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.slow
def test_without_kept_shares_everything_is_sent_again(placed):
    with q.connect(placed.file, as_="institute", protocol="spdz2k", parties=["p1", "p2"]) as net:
        x = net.secret(np.arange(8))
        assert [x.sum().reveal(), (x * x).sum().reveal()] == [28, 140]


def test_protocols_that_keep_nothing_have_no_data_sets(placed):
    with q.connect(placed.file, as_="institute", protocol="spdz2k", parties=["p1", "p2"]) as net:
        assert "under it; connect with another protocol" in refusal(lambda: net.table("stays-mary"))


def test_protocols_need_their_number_of_parties(placed):
    with pytest.raises(UserError, match="exactly 3"):
        connect_backend(placed.file, "institute", parties=["p1", "p2"])
    with pytest.raises(UserError, match="compute"):
        connect_backend(placed.file, "institute", parties=["p1", "p2", "st-mary"])


def test_operators_can_say_no(placed):
    place = placed.folder / "interactive.yaml"
    with q.connect(placed.file, as_="institute") as net:
        try:
            placed.allow("interactive: 1\nanalysts: [institute]\nmost_sessions_per_day: 0\n")
            assert "most_sessions_per_day" in refusal(net.secret([1, 2]).sum().reveal)
            placed.allow("interactive: 1\nanalysts: [institute]\nprotocols: [shamir]\n")
            assert "protocols: rep3" in refusal(net.secret([1, 2]).sum().reveal)
            placed.allow("interactive: 1\nanalysts: [nobody]\n")
            assert "analysts[0]: 'nobody' is no member" in refusal(net.secret([1, 2]).sum().reveal)
            place.unlink()
            why = refusal(net.secret([1, 2]).sum().reveal)
            assert "takes part in no interactive sessions" in why
            assert "interactive.yaml" in why
        finally:
            placed.allow()
