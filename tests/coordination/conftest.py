"""The federation and specs that the tests of this folder start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.coordination.federation import Federation, load_federation
from quorate.coordination.spec import Spec, load_spec

FEDERATION = """\
federation: hospitals            # a comment
ca: pki/ca.crt
members:
  - name: st-mary
    roles: [compute, owner]
    address: 127.0.0.1:7101
    certificate: pki/st-mary.crt
  - {name: st-luke, roles: [compute, owner], address: "[::1]:7102", certificate: pki/st-luke.crt}
  - {name: st-anna, roles: [compute], address: node.example:7103, certificate: pki/st-anna.crt}
  - {name: notary, roles: [dealer, coordinator], address: 127.0.0.1:7104, certificate: pki/notary.crt}
  - {name: ministry, roles: [recipient], certificate: pki/ministry.crt}
"""

SPEC = """\
spec: 1
name: average-treatment-cost
plan: average.plan.json
source: average.py:treatment_costs
protocol: {name: rep3, adversary: semi-honest, threshold: 1}
parties: [st-mary, st-luke, st-anna]
inputs:
  - name: st_mary
    owner: st-mary
    columns:
      - {name: diagnosis, type: category, categories: [cardiac, trauma, other]}
      - {name: cost, type: fixed, scale: 16, range: [0, 500000], missing: reject}
      - {name: stay_days, type: int, range: [0, 365], missing: fill, fill: 1}
      - {name: admitted, type: timestamp}
      - {name: smoker, type: bool, missing: drop}
    min_rows: 100
    max_rows: 1000000
  - name: previous
    stored: previous-average
    columns: [{name: cost, type: fixed}]
outputs:
  - {name: mean, to: [st-mary, ministry]}
  - {name: count, to: all}
  - {name: kept, keep: next-average}
timeouts: {round: 30, join: 60}
abort: {on_dropout: abort}
"""

Load = Callable[..., object]


def changed(text: str, changes: tuple[str, ...]) -> str:
    """`text` with changes[0] replaced by changes[1], and so on; each must occur."""
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def federation_of(tmp_path: Path) -> Callable[..., Federation]:
    """Loads FEDERATION with changes: old, new, old, new ..."""

    def load(*changes: str) -> Federation:
        path = tmp_path / "federation.yaml"
        path.write_text(changed(FEDERATION, changes))
        return load_federation(path)

    return load


@pytest.fixture
def spec_of(tmp_path: Path) -> Callable[..., Spec]:
    """Loads SPEC with changes: old, new, old, new ..."""

    def load(*changes: str) -> Spec:
        path = tmp_path / "protocol_spec.yaml"
        path.write_text(changed(SPEC, changes))
        return load_spec(path)

    return load
