"""What a node accepts as an interactive session, with requests that were made by hand to get around its rules."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from quorate.coordination.agreement import software
from quorate.coordination.federation import Federation, load_federation
from quorate.coordination.lineage import Region, Strand
from quorate.coordination.spec import Input, Output, Spec, Timeouts, encode_spec
from quorate.data.schema import FixedColumn, IntColumn
from quorate.errors import AgreementError, EnvironmentFault, QuorateError, UserError
from quorate.lang.plan import Operation, Plan, Type
from quorate.node import asking, room, terms
from quorate.node.asking import spec_of
from quorate.node.collection import Collection
from quorate.node.desk import Assignment
from quorate.node.ledger import Ledger
from quorate.node.logbook import Record
from quorate.node.messages import Card, Catalogue, Interactive, Opened, Placing, Prepare
from quorate.node.room import Room
from quorate.node.vault import Note, Owner
from quorate.sharing.dtype import INT
from quorate.sharing.share import Arithmetic

PARTIES = ("p1", "p2", "p3")
SESSION = "0123456789abcdef" * 2
ROWS = 20
ROLES = {
    **dict.fromkeys(PARTIES, "compute"),
    "anna": "coordinator, owner, recipient",
    "bert": "coordinator, owner, recipient",
    "olga": "owner",
}


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    lines = ["federation: test", "ca: ca.crt", "members:"]
    for number, (name, roles) in enumerate(ROLES.items()):
        address = f"address: '127.0.0.1:{7000 + number}', " if roles == "compute" else ""
        lines.append(f"  - {{name: {name}, roles: [{roles}], {address}certificate: {name}.crt}}")
    (tmp_path / "federation.yaml").write_text("\n".join(lines))
    allow(tmp_path)
    return load_federation(tmp_path / "federation.yaml")


def allow(folder: Path, **more: Any) -> None:
    lines = {"interactive": 1, "analysts": ["anna"], **more}
    (folder / "interactive.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items()))


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """At p1: a data set of olga for anna, and a result of bert."""
    made = Collection(tmp_path / "state", "p1")
    whole = Strand("stays@s", "olga", 1, Region(0, 0, ROWS), ROWS)
    for name, maker, strands in (("olga-0", "olga", (whole,)), ("bert-0", "bert", ())):
        note = Note(maker=maker, made=1e12, bounds=(0, 100), strands=strands, chosen=())
        share = Arithmetic("rep3", (np.zeros(ROWS, np.uint64),) * 2)
        owner = Owner(parties=PARTIES, index=0, protocol="rep3", threshold=1)
        made.vault.save(name, share, "int", SESSION, owner, note)
    made.add(card())
    return made


def card(**changes: Any) -> Card:
    made = Card(
        name="stays",
        owner="olga",
        session="s",
        placed=1.0,
        rows=ROWS,
        columns=(IntColumn(name="days", range=(0, 100)),),
        shares=("olga-0",),
        users=("anna",),
        commitment="00" * 32,
        parties=PARTIES,
        protocol="rep3",
        threshold=1,
    )
    return msgspec.structs.replace(made, **changes)


def column(low: int = 0, high: int = 100) -> IntColumn:
    return IntColumn(name="value", range=(low, high))


def total(name: str = "x", rows: int = ROWS) -> Plan:
    """The sum of an input, and the input itself as "rows"."""
    attributes = {"input": name, "column": "value", "dtype": "int"}
    read = Operation("input", (), attributes, Type(INT, (rows,)))
    added = Operation("sum", (0,), {"axis": 0}, Type(INT, ()))
    return Plan("test", (read, added), {"total": 1})


def rows_of_x() -> Plan:
    return Plan("test", total().operations, {"total": 0})


def spec(caller: str = "anna", **changes: Any) -> Spec:
    item = Input(name="x", owner=caller, columns=(column(),), min_rows=ROWS, max_rows=ROWS)
    made = spec_of(PARTIES, "rep3", [item], [Output(name="total", to=(caller,))], threshold=1)
    return msgspec.structs.replace(made, **changes)


def stored(name: str = "olga-0", low: int = 0, high: int = 100, rows: int = ROWS) -> dict[str, Any]:
    item = Input(name="x", stored=name, columns=(column(low, high),), min_rows=rows, max_rows=rows)
    return {"inputs": (item,)}


@pytest.fixture
def admit(tmp_path: Path, federation: Federation, collection: Collection) -> Callable[..., Any]:
    def ask(
        asked: Spec,
        plan: Plan | bytes | None = None,
        caller: str = "anna",
        data_set: Placing | None = None,
        rehearsal: dict[str, int] | None = None,
        *,
        charge: bool = False,
    ) -> Any:
        content = plan if isinstance(plan, bytes) else (plan or total()).to_json()
        interactive = Interactive(plan=content, data_set=data_set)
        prepare = Prepare(
            session=SESSION,
            spec=encode_spec(asked).decode(),
            spec_digest="-",
            plan_digest="-",
            software=software(),
            rehearsal=rehearsal,
            interactive=interactive,
        )
        task = Assignment(
            federation=federation,
            member="p1",
            key="-",
            specs=str(tmp_path),
            home=str(tmp_path / "state"),
            data={},
            prepare=prepare,
            coordinator=caller,
        )
        made = Room(task, interactive)
        approved = made.admit()
        if charge:
            made.charge()
        return approved

    return ask


def test_uploads_and_data_sets_are_accepted(admit):
    assert admit(spec()).plan.digest == total().digest
    assert admit(spec(**stored())).spec.inputs[0].stored == "olga-0"
    admit(spec(), rows_of_x())  # one's own rows


def keeps(name: str) -> dict[str, Any]:
    return {"outputs": (Output(name="total", keep=name),)}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (stored("bert-0"), "no shares 'bert-0' are kept for anna"),
        (stored("olga-1"), "no shares 'olga-1'"),
        (stored(high=50), "declared to lie in 0 to 50"),
        (stored(low=1), "declared to lie in 1 to 100"),
        (stored() | {"parties": ("p1", "p3", "p2")}, "same parties, in the same order"),
        (keeps("olga-0"), f"begins with '{SESSION}-'"),
        (keeps("0123456789abcdef-0"), "begins with"),
        (keeps("0123456789abcdef" + "f" * 16 + "-0"), "begins with"),
        ({"outputs": (Output(name="total", to=("anna", "bert")),)}, "goes to anna alone"),
        ({"outputs": (Output(name="total", to=("bert",)),)}, "goes to anna alone"),
        ({"outputs": (Output(name="total", to="all"),)}, "goes to anna alone"),
        ({"inputs": (Input(name="x", owner="bert", columns=(column(),), min_rows=20, max_rows=20),)}, "use a data set"),
        ({"inputs": (Input(name="x", owner="anna", columns=(column(),), max_rows=20),)}, "how many rows"),
        ({"delivery": "durable"}, "delivery: direct"),
        ({"timeouts": Timeouts(session=10**6)}, "a day at most"),
        ({"parties": ("p1", "p2", "p4")}, "no member"),
        ({"parties": ("p1", "p2", "anna")}, "compute"),
    ],
)
def test_specs_that_reach_too_far_are_refused(admit, changes, why):
    with pytest.raises(QuorateError, match=why):
        admit(spec(**changes))


def test_rows_of_others_are_not_opened(admit, tmp_path):
    with pytest.raises(UserError, match=r"openings: .*a single row of the data set 'stays'"):
        admit(spec(**stored()), rows_of_x())
    allow(tmp_path, least_rows=ROWS + 1)
    with pytest.raises(UserError, match=f"may show {ROWS} rows"):
        admit(spec(**stored()))
    allow(tmp_path, openings="anything")
    admit(spec(**stored()), rows_of_x())


def test_only_users_of_a_data_set_and_its_owner_use_it(admit, tmp_path, collection):
    allow(tmp_path, analysts=["anna", "bert"])
    with pytest.raises(UserError, match="not placed the data set 'stays' for bert"):
        admit(spec("bert", **stored()), caller="bert")
    collection.add(card(users=("bert",), session="t", shares=("olga-1",), placed=2.0))
    with pytest.raises(UserError, match="not placed the data set 'stays' for anna"):  # any more, old versions included
        admit(spec(**stored()))
    assert collection.cards_for("anna") == ()


def test_plans_are_checked_as_from_anybody(admit, monkeypatch):
    with pytest.raises(UserError, match="not a plan"):
        admit(spec(), b"{}")
    with pytest.raises(UserError, match="opens to nobody"):
        admit(spec(), Plan("test", total().operations, {"total": 1, "rows": 0}))
    with pytest.raises(UserError, match="does not declare"):
        admit(spec(), total("y"))
    with pytest.raises(UserError, match="rows"):
        admit(spec(), total(rows=ROWS + 1))
    monkeypatch.setattr(room, "MOST_BYTES", 10)
    with pytest.raises(UserError, match="at most 10"):
        admit(spec())


def test_plans_that_need_more_memory_than_there_is_are_refused(admit, tmp_path, monkeypatch):
    read, wide = total().operations[0], Type(INT, (1 << 24, ROWS))
    spread = Operation("broadcast", (0,), {"shape": list(wide.shape)}, wide)
    added = [Operation("sum", (k,), {"axis": 0}, Type(INT, wide.shape[k:])) for k in (1, 2)]
    plan = Plan("test", (read, spread, *added), {"total": 3})
    allow(tmp_path, most_memory_mb=1000)
    with pytest.raises(UserError, match=r"most_memory_mb: the session would hold 5120 MiB .* at most 1000 here"):
        admit(spec(), plan)
    admit(spec())
    allow(tmp_path)
    monkeypatch.setattr(terms.os, "sysconf", lambda _: 1 << 14)  # 256 MiB
    with pytest.raises(UserError, match="at most 256 here"):
        admit(spec(), plan)


def test_rehearsals_have_no_place_here(admit):
    with pytest.raises(UserError, match="no rehearsals"):
        admit(spec(), rehearsal={"x": 20})


def test_sessions_are_counted_by_day_and_analyst(admit, tmp_path):
    allow(tmp_path, analysts=["anna", "bert"], most_sessions_per_day=2)
    for _ in range(2):
        admit(spec())
    with pytest.raises(UserError, match="anna has had 2 sessions today"):
        admit(spec())
    admit(spec("bert"), caller="bert")
    (log,) = (tmp_path / "state" / "interactive" / "sessions" / "p1").iterdir()
    assert [json.loads(line)["member"] for line in log.read_text().splitlines()] == ["anna", "anna", "bert"]
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"analysts": ["olga"]}, r"analysts\[0\]: 'olga' lacks the role coordinator"),
        ({"owners": ["nobody"]}, r"owners\[0\]: 'nobody' is no member"),
        ({"protocols": ["clear"]}, r"protocols\[0\]: 'clear' is no protocol"),
        ({"least_rows": 0}, "least_rows: 0 is too few"),
        ({"openings": "all"}, "openings"),
        ({"keep_days": 0}, "keep_days"),
        ({"most_sessions_per_day": -1}, "negative"),
        ({"most_openings": -1}, "most_openings: is negative"),
        ({"most_memory_mb": 0}, "most_memory_mb: 0 MiB hold nothing"),
        ({"analyst": ["anna"]}, "unknown key 'analyst'"),
        ({"interactive": 2}, "interactive"),
    ],
)
def test_a_malformed_approval_allows_nothing(admit, tmp_path, line, why):
    allow(tmp_path, **line)
    with pytest.raises(UserError, match=why):
        admit(spec())


# ---- placing


def identity(rows: int = ROWS) -> Plan:
    read = Operation("input", (), {"input": "data", "column": "value", "dtype": "int"}, Type(INT, (rows,)))
    return Plan("place", (read,), {"column 0": 0})


def placing_spec(**changes: Any) -> Spec:
    item = Input(name="data", owner="olga", columns=(column(),), min_rows=ROWS, max_rows=ROWS)
    made = spec_of(PARTIES, "rep3", [item], [Output(name="column 0", keep=f"{SESSION}-0")], threshold=1)
    return msgspec.structs.replace(made, **changes)


def place(admit: Callable[..., Any], asked: Spec | None = None, plan: Plan | None = None, **changes: Any) -> Any:
    data_set = Placing(name=changes.get("name", "other"), users=changes.get("users", ("anna",)))
    return admit(asked or placing_spec(), plan or identity(), caller="olga", data_set=data_set)


def test_owners_place_data_sets(admit, tmp_path):
    place(admit)
    place(admit, name="stays")  # a new version of her own
    allow(tmp_path, owners=["bert"])
    with pytest.raises(QuorateError, match="owners: olga is none of them"):
        place(admit)


def test_placing_does_nothing_else(admit, tmp_path, collection):
    opening = (Output(name="column 0", to=("olga",)),)
    with pytest.raises(UserError, match="opens nothing"):
        place(admit, placing_spec(outputs=opening))
    doubled = Operation("add", (0, 0), {}, Type(INT, (ROWS,)))
    with pytest.raises(UserError, match="as they are"):
        place(admit, plan=Plan("place", (*identity().operations, doubled), {"column 0": 1}))
    with pytest.raises(UserError, match="no member"):
        place(admit, users=("nobody",))
    with pytest.raises(UserError, match="cannot name a data set"):
        place(admit, name="../x")
    collection.add(card(name="taken", owner="bert"))
    with pytest.raises(UserError, match="belongs to bert"):
        place(admit, name="taken")
    allow(tmp_path, least_rows=ROWS + 1)
    with pytest.raises(UserError, match="least_rows"):
        place(admit)


# ---- what is held


def test_what_is_old_or_forgotten_goes_and_data_sets_stay(collection):
    collection.forget(["bert-0", "olga-0"], "anna")
    assert collection.vault.names() == ["bert-0", "olga-0"]  # neither is anna's
    collection.forget(["olga-0"], "olga")
    assert "olga-0" in collection.vault.names()  # a column of a data set is removed with it, or not at all
    collection.forget(["bert-0", "../../x"], "bert")
    assert collection.vault.names() == ["olga-0"]
    collection.expire(-1e9)
    assert collection.vault.names() == ["olga-0"]


def test_removing_a_data_set_removes_what_rests_on_it(collection):
    with pytest.raises(UserError, match="belongs to olga"):
        collection.remove("stays", "anna")
    with pytest.raises(UserError, match="no data set 'other'"):
        collection.remove("other", "olga")
    owner = Owner(parties=PARTIES, index=0, protocol="rep3", threshold=1)
    note = Note(maker="anna", made=1e12, bounds=(0, 1), strands=(Strand("stays@s", "olga", ROWS),), chosen=())
    collection.vault.save("anna-0", Arithmetic("rep3", (np.zeros(1, np.uint64),) * 2), "int", SESSION, owner, note)
    collection.remove("stays", "olga")
    assert collection.vault.names() == ["bert-0"]
    assert collection.cards() == []


def test_two_versions_are_held(collection):
    for number in range(3):
        collection.add(card(session=f"v{number}", placed=2.0 + number))
    assert [held.session for held in collection.cards()] == ["v1", "v2"]
    assert collection.cards_for("anna")[-1].session == "v2"
    assert collection.cards_for("bert") == ()


def test_damage_is_named(collection):
    (path,) = (collection.folder / "sets" / "p1" / "stays").iterdir()
    path.write_text("{")
    with pytest.raises(QuorateError, match="damaged"):
        collection.cards()


def test_columns_of_other_kinds_of_vaults_are_no_use(admit, collection):
    """A share without a note, as approved specs keep them, is none that an interactive session may use."""
    owner = Owner(parties=PARTIES, index=0, protocol="rep3", threshold=1)
    collection.vault.save("plain", Arithmetic("rep3", (np.zeros(ROWS, np.uint64),) * 2), "int", SESSION, owner)
    with pytest.raises(UserError, match="no shares 'plain'"):
        admit(spec(**stored("plain")))
    two = (Input(name="x", stored="olga-0", columns=(column(), FixedColumn(name="y")), min_rows=ROWS, max_rows=ROWS),)
    with pytest.raises(AgreementError, match="no column of an interactive session"):
        admit(spec(inputs=two))


# ---- what was tried to get around the rules


def keep(collection: Collection, name: str = "anna-0", **changes: Any) -> None:
    """A result of anna at p1."""
    note = {"maker": "anna", "made": 1e12, "bounds": (0, 100), "strands": (), "chosen": (), "sure": True} | changes
    owner = Owner(parties=PARTIES, index=0, protocol="rep3", threshold=1)
    share = Arithmetic("rep3", (np.zeros(ROWS, np.uint64),) * 2)
    collection.vault.save(name, share, "int", SESSION, owner, Note(**note))


def test_an_upload_that_was_kept_is_still_what_its_maker_chose(admit, collection):
    keep(collection, chosen=(Region(0, 0, ROWS),))
    keep(collection, "anna-1")
    items = [stored("olga-0")["inputs"][0], *(stored(f"anna-{k}")["inputs"][0] for k in (0, 1))]
    read = [
        Operation("input", (), {"input": name, "column": "value", "dtype": "int"}, Type(INT, (ROWS,)))
        for name in ("x", "y", "z")
    ]
    inputs = tuple(msgspec.structs.replace(item, name=name) for item, name in zip(items, "xyz", strict=True))
    for other in (1, 2):
        product = Operation("mul", (0, other), {}, Type(INT, (ROWS,)))
        added = Operation("sum", (3,), {"axis": 0}, Type(INT, ()))
        plan = Plan("test", (*read, product, added), {"total": 4})
        if other == 2:
            admit(spec(inputs=inputs), plan)
            continue
        with pytest.raises(UserError, match="chose for each row"):
            admit(spec(inputs=inputs), plan)


def test_results_go_with_the_data_sets_that_they_rest_on(admit, collection):
    keep(collection, strands=(Strand("stays@older", "olga", ROWS),))
    admit(spec(**stored("anna-0")))
    collection.add(card(users=("bert",), session="t", shares=("olga-1",), placed=2.0))
    with pytest.raises(UserError, match="olga has not placed the data set 'stays' for anna"):
        admit(spec(**stored("anna-0")))
    collection.remove("stays", "olga")
    with pytest.raises(UserError, match="olga has not placed the data set 'stays' for anna"):
        admit(spec(**stored("anna-0")))


def test_what_is_kept_is_never_replaced(admit, collection):
    name = f"{SESSION}-0"
    keep(collection, name)
    with pytest.raises(UserError, match="at this node already"):
        admit(spec(**keeps(name)))
    with pytest.raises(UserError, match="never replaced"):
        keep(collection, name)


def test_strangers_and_plans_beyond_the_limit_are_refused_unread_and_leave_nothing(admit, tmp_path):
    allow(tmp_path, most_sessions_per_day=0)
    with pytest.raises(QuorateError, match="bert is none of them"):
        admit(spec("bert"), b"no plan", caller="bert")
    with pytest.raises(UserError, match="has had 0 sessions today"):
        admit(spec(), b"no plan")
    assert not (tmp_path / "state" / "interactive" / "plans").exists()


def test_a_name_that_two_took_at_once_gives_neither_the_other_s_rows(collection, monkeypatch):
    monkeypatch.setattr(Collection, "check_free", lambda *_: None)
    collection.add(card(owner="bert", session="t", shares=("olga-1",), users=("bert",), placed=9.0))
    with pytest.raises(UserError, match="not placed the data set 'stays' for bert"):
        collection.check_usable(["olga-0"], "bert")
    assert [held.owner for held in collection.cards_for("anna")] == ["olga"]
    collection.remove("stays", "bert")
    assert [held.owner for held in collection.cards()] == ["olga"]


def test_one_placement_at_a_time(collection, monkeypatch):
    """The second of two waits, and then sees the first."""
    inside, errors = threading.Event(), []
    written = Collection.check_free

    def slow(self: Collection, name: str, owner: str) -> None:
        written(self, name, owner)
        inside.set()
        time.sleep(0.2)

    def second() -> None:
        inside.wait()
        try:
            collection.add(card(name="new", owner="bert", session="t"))
        except UserError as problem:
            errors.append(str(problem))

    monkeypatch.setattr(Collection, "check_free", slow)
    other = threading.Thread(target=second)
    other.start()
    collection.add(card(name="new", session="u"))
    other.join()
    assert errors == ["the data set 'new' belongs to olga; choose another name"]


def test_each_column_is_placed_once(admit):
    two = Input(name="data", owner="olga", columns=(column(), IntColumn(name="more")), min_rows=ROWS, max_rows=ROWS)
    outputs = tuple(Output(name=f"column {k}", keep=f"{SESSION}-{k}") for k in (0, 1))
    more = Operation("input", (), {"input": "data", "column": "more", "dtype": "int"}, Type(INT, (ROWS,)))
    for targets, operations in (((0, 0), (more,)), ((0, 1), identity().operations)):
        plan = Plan(
            "place", (*identity().operations, *operations), dict(zip(("column 0", "column 1"), targets, strict=True))
        )
        with pytest.raises(UserError, match="each of its columns once"):
            place(admit, placing_spec(inputs=(two,), outputs=outputs), plan)


def test_plans_on_record_expire(admit, tmp_path):
    admit(spec())
    folder = tmp_path / "state" / "interactive" / "plans" / "p1"
    assert len(list(folder.iterdir())) == 2
    record = Record(folder.parents[1], "p1")
    record.expire(1.0)
    assert len(list(folder.iterdir())) == 2
    record.expire(-1.0)
    assert not list(folder.iterdir())


# ---- how much is opened in all


def test_openings_are_counted_by_analyst_and_data_set_and_refused_beyond_the_limit(admit, tmp_path, collection):
    allow(tmp_path, analysts=["anna", "bert"], most_openings=3)
    collection.add(card(users=("anna", "bert")))
    for _ in range(3):
        admit(spec(**stored()), charge=True)
    with pytest.raises(UserError, match=r"most_openings: anna has opened 3 of 3 .*'stays'.*1 more.*ask the operators"):
        admit(spec(**stored()))
    admit(spec("bert", **stored()), caller="bert", charge=True)
    admit(spec(), charge=True)  # of her own
    admit(spec(**stored(), **keeps(f"{SESSION}-7")), charge=True)  # opens nothing
    collection.add(card(session="t", placed=2.0))
    with pytest.raises(UserError, match="opened 3 of 3"):  # the name counts, not the version
        admit(spec(**stored()))
    ledger = Ledger(collection.folder, "p1")
    assert (ledger.counts("anna"), ledger.counts("bert")) == ({"olga/stays": 3}, {"olga/stays": 1})
    allow(tmp_path, most_openings=4)
    admit(spec(**stored()), charge=True)


def test_every_number_of_what_is_opened_counts(admit, tmp_path, collection):
    allow(tmp_path, openings="anything", most_openings=ROWS + 1)
    admit(spec(**stored()), rows_of_x(), charge=True)
    assert Ledger(collection.folder, "p1").counts("anna") == {"olga/stays": ROWS}
    admit(spec(**stored()))
    with pytest.raises(UserError, match=f"opened {ROWS} of {ROWS + 1} .* opens {ROWS} more"):
        admit(spec(**stored()), rows_of_x())


def test_what_was_kept_counts_when_it_is_opened(admit, tmp_path, collection):
    allow(tmp_path, most_openings=1)
    keep(collection, strands=(Strand("stays@s", "olga", ROWS),))
    admit(spec(**stored("anna-0")), charge=True)
    assert Ledger(collection.folder, "p1").counts("anna") == {"olga/stays": 1}


def test_sessions_that_begin_at_once_do_not_pass_the_limit(tmp_path):
    """Each of them was within it when it was prepared."""
    ledger = Ledger(tmp_path, "p1")
    done: list[bool] = []

    def start() -> None:
        try:
            ledger.charge("anna", {"olga/stays": 1}, 5)
            done.append(True)
        except UserError:
            done.append(False)

    threads = [threading.Thread(target=start) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False] * 7 + [True] * 5
    assert ledger.counts("anna") == {"olga/stays": 5}


def test_a_damaged_count_is_no_empty_one(tmp_path):
    ledger = Ledger(tmp_path, "p1")
    ledger.charge("anna", {"olga/stays": 1}, None)
    (path,) = (tmp_path / "openings" / "p1").glob("*.json")
    assert path.stat().st_mode & 0o077 == 0
    for content in ("", '{"olga/stays": -5}', '{"olga/stays": 1.5}'):
        path.write_text(content)
        for action in (lambda: ledger.counts("anna"), lambda: ledger.charge("anna", {"olga/stays": 1}, 9)):
            with pytest.raises(EnvironmentFault, match="damaged"):
                action()


def test_owners_and_analysts_are_told_what_was_opened(tmp_path):
    ledger = Ledger(tmp_path, "p1")
    ledger.charge("anna", {"olga/stays": 2, "bert/own": 1}, None)
    ledger.charge("bert", {"olga/stays": 3}, None)
    (tmp_path / "openings" / "p1" / "carl.json").write_text("{")

    def told(caller: str) -> set[tuple[str, str, int]]:
        return {(one.analyst, one.data_set, one.numbers) for one in ledger.told(caller, 9)}

    assert told("olga") == {("anna", "stays", 2), ("bert", "stays", 3)}
    assert told("anna") == {("anna", "stays", 2), ("anna", "own", 1)}
    assert told("bert") == {("anna", "own", 1), ("bert", "stays", 3)}
    assert told("carl") == set()
    assert {one.most for one in ledger.told("olga", 9)} == {9}


def test_of_several_nodes_the_largest_count_and_the_least_limit_are_shown(monkeypatch):
    def catalogue_of(numbers: int, most: int | None) -> Catalogue:
        one = Opened(data_set="stays", owner="olga", analyst="anna", numbers=numbers, most=most)
        return Catalogue(cards=(), opened=(one,))

    answers = {"p1": catalogue_of(2, None), "p2": catalogue_of(7, 20), "p3": catalogue_of(5, 10)}
    monkeypatch.setattr(asking, "ask_all", lambda *_: answers)
    (found,) = asking.openings(None, PARTIES)  # type: ignore[arg-type]
    assert (found.numbers, found.most) == (7, 10)
