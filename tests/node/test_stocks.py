"""Nodes make tuples while they are idle, sessions use them up, and no position is ever used twice."""

from __future__ import annotations

import os
import re
import shutil
import signal
from itertools import pairwise

import msgspec
import pytest

from quorate.coordination.quote import quote
from quorate.coordination.stocks import load_stocks
from quorate.errors import AgreementError, IdentityError, UserError
from quorate.node import producing
from quorate.node.approval import load
from quorate.node.client import begin, new_session
from quorate.node.coordinator import coordinate
from quorate.node.launch import up
from quorate.node.producing import batches, produce, shelf_of

SEMI2K = "protocol: {name: semi2k, adversary: semi-honest}\nparties: [p1, p2]\n"
STOCKS = """
stocks: 1
fence: fence
groups:
  - parties: [p1, p2]
    protocol: semi2k
    chunk: 2048
    kinds: {products: 0, AND words: 6000, bit conversions: 3000}
"""
WAIT = 30.0


@pytest.fixture
def stocks(site):
    path = site.folder / "stocks.yaml"
    path.write_text(STOCKS)
    return load_stocks(path, site.federation)


def shelf(site, stocks, member):
    return shelf_of(stocks.groups[0], site.home, member, stocks.fence)


def left(site, stocks, kind="AND words"):
    return [shelf(site, stocks, member).ledger().left(kind) for member in ("p1", "p2")]


def nodes(site, stocks, members=("p1", "p2")):
    return up(site.federation, site.folder, site.home, {"p1": site.data["o1"]}, members, stocks=stocks)


def comparing_spec(site, source):
    """p1 owns the only input; two comparisons in a row, whose carries are ands."""
    made = source()
    value = made.read("p1")
    plan = made.plan("chain", {"bits": made.chain(value, 3)})
    return site.write_spec("chain", plan, SEMI2K, "  - {name: bits, to: [boss]}\n", ["p1"])


def run(site, spec):
    return coordinate(site.identity(), load(spec, site.federation), {})


def spent(site, stocks, member):
    return [
        (event.kind, event.start, event.stop, event.session)
        for event in shelf(site, stocks, member).journal.events()
        if event.what == "spent" and event.stop > event.start
    ]


def assert_disjoint(ranges):
    for kind in {kind for kind, *_ in ranges}:
        ordered = sorted((start, stop) for k, start, stop, _ in ranges if k == kind)
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(ordered))


def test_idle_nodes_fill_stocks_and_sessions_use_them_once(site, stocks, source, until, tmp_path):
    spec = comparing_spec(site, source)
    full = [6000, 6000]
    with nodes(site, stocks):
        until(lambda: left(site, stocks) == full and left(site, stocks, "bit conversions") == [3000, 3000], WAIT)
        first = run(site, spec)
    assert first.values["bits"].tolist() == [False] * 5
    for member in ("p1", "p2"):
        shutil.copytree(site.home / "tuples", tmp_path / member)
    used = spent(site, stocks, "p1")
    assert used == spent(site, stocks, "p2")
    assert {session for *_, session in used} == {first.session}
    assert "takes" in (site.home / "p1.log").read_text()
    with nodes(site, stocks):  # a restart loses nothing
        second = run(site, spec)
        until(lambda: left(site, stocks) == full, WAIT)
    shutil.rmtree(site.home / "tuples" / "p2")  # p2 is put back to what it had before the second session
    shutil.copytree(tmp_path / "p2" / "p2", site.home / "tuples" / "p2")
    with nodes(site, stocks):
        third = run(site, spec)
    ranges = spent(site, stocks, "p1")
    assert {session for *_, session in ranges} == {first.session, second.session, third.session}
    assert_disjoint(ranges)
    assert_disjoint(spent(site, stocks, "p2") + [part for part in ranges if part[3] == second.session])


@pytest.mark.parametrize("filled", [False, True])
def test_a_session_costs_what_the_quote_says_with_and_without_a_stock(site, stocks, source, until, filled):
    spec = comparing_spec(site, source)
    approved = load(spec, site.federation)
    quoted = quote(approved.spec, approved.plan, {"p1": 5}, stocked=filled)
    assert set(quoted.tuples) <= set(stocks.groups[0].kinds)
    with nodes(site, stocks if filled else producing.Stocks()):
        if filled:
            until(lambda: left(site, stocks) == [6000, 6000], WAIT)
        measured = run(site, spec)
    assert measured.values["bits"].tolist() == [False] * 5
    for cost in quoted.participants:
        report = measured.reports[cost.name]
        assert (report.rounds, report.messages, report.bytes_sent) == (cost.rounds, cost.messages, cost.bytes_sent)
    for member in ("p1", "p2") if filled else ():
        assert {kind: stop - start for kind, start, stop, _ in spent(site, stocks, member)} == quoted.tuples


@pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])
def test_authenticated_tuples_are_used_under_the_keys_of_their_generation(site, source, until, protocol):
    """Would the session draw keys of its own, the checks before opening would fail."""
    made = source()
    body = f"protocol: {{name: {protocol}, adversary: malicious}}\nparties: [p1, p2]\n"
    plan = made.plan("cheap", {"bits": made.chain(made.read("p1"), 1)})
    spec = site.write_spec("cheap", plan, body, "  - {name: bits, to: [boss]}\n", ["p1"])
    approved = load(spec, site.federation)
    quoted = quote(approved.spec, approved.plan, {"p1": 5}, stocked=True)
    kinds = "".join(f"      {kind}: {2 * amount}\n" for kind, amount in quoted.tuples.items())
    text = f"fence: fence\ngroups:\n  - parties: [p1, p2]\n    protocol: {protocol}\n    kinds:\n{kinds}"
    (site.folder / "stocks.yaml").write_text(text)
    wanted = load_stocks(site.folder / "stocks.yaml", site.federation)
    with nodes(site, wanted):
        until(lambda: all(left(site, wanted, kind)[1] == 2 * n for kind, n in quoted.tuples.items()), WAIT)
        generation = shelf(site, wanted, "p1").ledger().generation
        for _ in range(2):
            measured = run(site, spec)
            assert measured.values["bits"].tolist() == [False] * 5
            for cost in quoted.participants:
                report = measured.reports[cost.name]
                assert (report.rounds, report.bytes_sent) == (cost.rounds, cost.bytes_sent)
    assert shelf(site, wanted, "p1").ledger().generation == generation
    assert len({session for *_, session in spent(site, wanted, "p1")}) == 2
    assert_disjoint(spent(site, wanted, "p1"))


def makers(site):
    """The processes at p2 that make or made tuples, in order."""
    return [int(worker) for worker in re.findall(r"worker (\d+) makes tuples", (site.home / "p2.log").read_text())]


@pytest.mark.parametrize(("protocol", "kept"), [("spdz", False), ("semi2k", True)])
def test_a_worker_that_is_killed_costs_both_parties_the_keys_of_the_generation(site, until, protocol, kept):
    text = f"fence: fence\ngroups:\n  - parties: [p1, p2]\n    protocol: {protocol}\n    chunk: 512\n"
    (site.folder / "stocks.yaml").write_text(text + "    kinds: {products: 50000000}\n")
    wanted = load_stocks(site.folder / "stocks.yaml", site.federation)
    with nodes(site, wanted):
        until(lambda: min(left(site, wanted, "products")) > 0, WAIT)
        generation = shelf(site, wanted, "p1").ledger().generation
        before = makers(site)
        os.kill(before[-1], signal.SIGKILL)
        until(lambda: makers(site) != before, WAIT)
        until(lambda: min(left(site, wanted, "products")) > 0, WAIT)  # the next session goes on, or begins anew
        assert [shelf(site, wanted, member).ledger().generation == generation for member in ("p1", "p2")] == [kept] * 2
    assert ("did not end in order" in (site.home / "p1.log").read_text()) == (not kept)


def test_a_stock_saves_bytes(site, source):
    approved = load(comparing_spec(site, source), site.federation)
    bare, stocked = (quote(approved.spec, approved.plan, {"p1": 5}, stocked=having) for having in (False, True))
    assert stocked.tuples == bare.tuples
    assert stocked.bytes_sent < bare.bytes_sent


def test_production_on_demand(site, stocks):
    wanted = stocks.groups[0]
    told = []
    with nodes(site, stocks), pytest.raises(UserError, match="p1, the first party"):
        produce(site.identity("p2"), wanted, batches({"AND words": 10}, 10))
    quiet = producing.Stocks(groups=tuple(_without_wish(group) for group in stocks.groups), fence=stocks.fence)
    with nodes(site, quiet):
        reports = produce(site.identity("p1"), wanted, (("AND words", 0x10),), lambda *said: told.append(said))
    assert set(reports) == {"p1", "p2"}
    assert left(site, stocks) == [16, 16]
    assert all(who in reports and done <= total == 16 for who, done, total in told)  # how often they tell is up to them


def test_production_gives_way_to_sessions_and_to_what_is_asked_for_now(site, source, command, until):
    spec = comparing_spec(site, source)
    (site.folder / "stocks.yaml").write_text(STOCKS.replace("6000", "500000000").replace("3000", "0"))
    wanted = load_stocks(site.folder / "stocks.yaml", site.federation)
    with nodes(site, wanted):
        until(lambda: min(left(site, wanted)) > 0, WAIT)
        found = run(site, spec)
        options = ("--as", "p1", "--home", site.home, "--produce", 100, "--kind", "AND words", "--json")
        told = command("tuples", site.federation_file, *options).json()
    (group,) = told["groups"]
    assert group["kinds"]["AND words"]["per_second"] > 0
    events = [list(shelf(site, wanted, member).journal.events()) for member in ("p1", "p2")]
    assert [sum(event.stop - event.start == 100 for event in own) for own in events] == [1, 1]
    stored = [int(count) for count in re.findall(r"stored (\d+) AND words", (site.home / "p2.log").read_text())]
    assert 0 < stored[0] < 64 * 2048  # the first session was to make 64 batches
    assert found.values["bits"].tolist() == [False] * 5


def _without_wish(group):
    """So small a wish that one batch on demand satisfies it, which the keeper may also make."""
    return group.__class__(parties=group.parties, protocol=group.protocol, kinds={"AND words": 16}, chunk=16)


def ask(site, caller, **changes):
    """Prepare production at p2 as `caller`."""
    wanted = {
        "session": new_session(),
        "parties": ("p1", "p2"),
        "protocol": "semi2k",
        "threshold": 1,
        "security": 40,
        "batches": (("AND words", 100),),
        "software": producing.software(),
    }
    request = producing.Produce(**{**wanted, **changes})
    begin(site.identity(caller), [site.federation.member("p2")], request, producing._Limits())


def test_nodes_make_tuples_only_as_their_own_configuration_says(site, stocks):
    with nodes(site, stocks, ["p2"]):
        with pytest.raises(IdentityError, match="boss is not the first party"):
            ask(site, "boss")
        for change in (
            {"parties": ("p1", "p3")},
            {"parties": ("p1", "p2", "p3"), "threshold": 2},
            {"protocol": "rep3"},
            {"security": 64},
            {"batches": (("products", 10),)},
            {"batches": (("AND words", 1 << 20),)},
            {"software": "quorate 0"},
        ):
            with pytest.raises((AgreementError, UserError)):
                ask(site, "p1", **change)
        with pytest.raises(UserError, match="too many"):
            ask(site, "p1", batches=(("AND words", 2048),) * 7)
    assert not shelf(site, stocks, "p2").exists()


def test_a_fence_that_backups_would_cover_is_refused(site, stocks):
    wrong = msgspec.structs.replace(stocks, fence=str(site.home / "fence"))
    with pytest.raises(UserError, match="lies in the data folder"), nodes(site, wrong):
        pass


def test_batches_take_turns():
    assert batches({"a": 5, "b": 2, "c": 0}, 2) == (("a", 2), ("b", 2), ("a", 2), ("a", 1))
    assert batches({"a": 0}, 2) == ()
    assert len(batches({"a": 1 << 40}, 2)) == 64


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("p2]\n    protocol: semi2k", "p2, p3]\n    protocol: rep3", r"groups\[0\].protocol: rep3 uses no tuples"),
        ("semi2k", "rep3", r"groups\[0\].protocol: rep3 runs with exactly 3 parties"),
        ("AND words", "OR words", r"groups\[0\].kinds: semi2k makes no 'OR words'; it makes .*AND words"),
        ("[p1, p2]", "[p1, p1]", r"groups\[0\].parties: names a party twice"),
        ("[p1, p2]", "[p1, o1]", r"groups\[0\].parties: o1 lacks the role compute"),
        ("[p1, p2]", "[p1, p9]", r"groups\[0\].parties: 'p9' is no member"),
        ("chunk: 2048", "chunk: 0", r"groups\[0\].chunk: 0 is not"),
        ("chunk: 2048", "security: 20", r"groups\[0\].security: 20 is not"),
        ("products: 0", "products: -1", r"groups\[0\].kinds: -1 products"),
        ("stocks: 1", "stocks: 2", "stocks"),
        ("chunk", "chunks", "unknown key 'chunks'"),
    ],
)
def test_mistakes_in_stocks_are_named(site, before, after, message):
    path = site.folder / "stocks.yaml"
    path.write_text(STOCKS.replace(before, after))
    with pytest.raises(UserError, match=message):
        load_stocks(path, site.federation)
