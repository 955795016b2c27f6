"""What was computed or shared once is not computed or shared again."""

from __future__ import annotations

import numpy as np

import quorate as q


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
