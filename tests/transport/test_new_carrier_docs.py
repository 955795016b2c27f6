"""The carrier of the guide is complete, and passes the suite as printed."""

import re
import sys
from pathlib import Path

import pytest

from quorate.testing.carrier_conformance import CarrierConformance, Site
from quorate.transport import carrier
from quorate.transport.carrier import Credentials

GUIDE = Path(__file__).parents[2] / "docs/how-to/new-carrier.md"
REGISTER = 'import quorate.transport.carrier as carrier\ncarrier.SCHEMES["shelf"] = "shelf"\n'


@pytest.mark.slow
class TestShelf(CarrierConformance):
    drops_copies = False

    @pytest.fixture
    def site(self, tmp_path, monkeypatch):
        module = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)[0]
        (tmp_path / "shelf.py").write_text(module)
        (tmp_path / "sitecustomize.py").write_text(REGISTER)  # for the processes that the suite starts
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setitem(carrier.SCHEMES, "shelf", "shelf")
        yield Site(f"shelf:{tmp_path / 'queues'}", Credentials())
        sys.modules.pop("shelf", None)
