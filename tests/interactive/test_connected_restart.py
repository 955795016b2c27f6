"""Data sets at nodes that go away and come back, are replaced, and are removed."""

from __future__ import annotations

import pytest

import quorate as q
from quorate.errors import EnvironmentFault, UserError
from quorate.node.placing import place_data_set, remove_data_set

PARTIES = ("p1", "p2", "p3")


def shares(site, party: str) -> list[str]:
    return sorted(path.name for path in (site.home / "interactive" / "kept" / party).glob("*.share"))


def test_data_sets_survive_their_nodes(site):
    mary = site.identity("st-mary")
    with site.up():
        place_data_set(mary, site.schema, site.mary, "stays", ["institute"], PARTIES)
        with q.connect(site.file, as_="institute") as net:
            table = net.table("stays")
            expected = table.cost.mean().reveal()
    with pytest.raises(EnvironmentFault, match=r"p\d at .* cannot be reached"):
        q.connect(site.file, as_="institute")
    with site.up(("p1", "p3")), pytest.raises(EnvironmentFault, match="the node of p2 at"):
        q.connect(site.file, as_="institute")
    with site.up():
        with q.connect(site.file, as_="institute") as net:
            assert net.table("stays").cost.mean().reveal() == pytest.approx(expected, abs=0.01)
            old = net.table("stays").age
            for rows in (40, 30):
                place_data_set(mary, site.schema, site.mary.head(rows), "stays", ["institute"], PARTIES)
            assert net.tables["stays"].columns["age"].rows == 30
            with pytest.raises(UserError, match="replaced or removed"):
                old.sum().reveal()
            new = net.table("stays")
            assert new.age.mean().reveal() == pytest.approx(site.mary.head(30).age.mean(), abs=0.01)
            net._live.keep({"doubled": new.age * 2}, {"doubled": "kept.doubled"})
            assert len(shares(site, "p2")) == 2 * 5 + 1  # two versions, and what was kept
            remove_data_set(mary, "stays", PARTIES)
            assert shares(site, "p2") == []  # also what was computed on it
            with pytest.raises(UserError, match="there is no data set 'stays'"):
                net.table("stays")
        with pytest.raises(UserError, match="there is no data set 'stays'"):
            remove_data_set(mary, "stays", PARTIES)
