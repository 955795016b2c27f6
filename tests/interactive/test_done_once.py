"""What was computed or shared once is not computed or shared again; what was kept is a model."""

from __future__ import annotations

import json

import numpy as np
import pytest

import quorate as q
from quorate.errors import UserError


def test_a_second_run_starts_from_what_the_parties_hold() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, (40, 2))
    with q.simulate(protocol="rep3", seed=1) as net:
        model = q.analytics.LinearRegression().fit(net.secret(x), net.secret(x @ [1.0, 2.0]))
        model.coef_.reveal()
        request = net._live.request([model.coef_ * 2 + model.intercept_])
        kinds = {operation.kind for operation in request.plan.operations}
        assert request.uploads == {}
        assert len(request.held) == 2
        assert kinds <= {"input", "reshape", "mul", "add", "broadcast", "constant", "aligned", "rescale", "view"}


def test_what_is_opened_can_be_changed_without_changing_what_is_remembered() -> None:
    with q.simulate(protocol="rep3", seed=1) as net:
        x = net.secret(np.arange(4))
        x.reveal()[:] = 9
        assert x.reveal().tolist() == [0, 1, 2, 3]
        assert len(net.runs) == 1


def test_a_file_that_names_no_model_is_refused(tmp_path) -> None:
    with q.simulate(protocol="rep3", seed=1) as net:
        x = np.arange(10.0)
        net.keep(q.analytics.LinearRegression().fit(net.secret(x), net.secret(2 * x)), tmp_path / "model.json")
        content = json.loads((tmp_path / "model.json").read_text())
        for method, why in (("mean", "is no model"), ("Unheard", "knows no method")):
            (tmp_path / "other.json").write_text(json.dumps(content | {"method": method}))
            with pytest.raises(UserError, match=why):
                net.load(tmp_path / "other.json")
