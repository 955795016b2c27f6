"""Operations and messages name the author's line, not one of the library."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import quorate as q
from quorate.errors import UserError


@pytest.fixture
def net():
    with q.simulate(protocol="clear") as session:
        yield session


def test_of_methods_and_of_data(net):
    x = net.secret({"age": np.arange(20), "dose": np.arange(20.0) % 3})
    q.analytics.LinearRegression().fit(x, net.secret(np.arange(20) % 7))
    places = {operation.where for operation in net._live.operations if operation.where}
    assert places
    assert {place.partition(":")[0] for place in places} == {"test_places.py"}


def test_of_what_does_not_fit(net):
    x = net.secret(np.arange(20), range=(0, 2**40))
    with pytest.raises(UserError, match=r"\(test_places\.py:\d+\)"):
        (x * x).reveal()


def test_of_cells(net, monkeypatch):
    cells = {"/cells/1234.py": 3}
    compiler = SimpleNamespace(format_code_name=lambda name: ("Cell", f"In[{cells[name]}]") if name in cells else None)
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(compile=compiler))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    x = net.secret(np.arange(3))
    exec(compile("\ny = x + 1", "/cells/1234.py", "exec"), space := {"x": x})
    places = [net._live.operations[array.position].where for array in (space["y"], x + 2)]
    assert places[0] == "In[3]:2"
    assert places[1].startswith("test_places.py:")
