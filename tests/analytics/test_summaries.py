"""Tables of coefficients are those of statsmodels and lifelines, opened at once or with the whole model."""

from __future__ import annotations

import numpy as np
import pytest

import quorate as q
from quorate.analytics import CoxRegression, LogisticRegression, PoissonRegression, Ridge
from quorate.analytics.dependent import DependentColumnsWarning
from quorate.errors import UserError

pd = pytest.importorskip("pandas")
sm = pytest.importorskip("statsmodels.api")

random = np.random.default_rng(1)
ROWS = 80
X = pd.DataFrame({"a": random.normal(size=ROWS), "b": random.uniform(0, 9, ROWS)})
LABEL = (random.random(ROWS) < 0.4).astype(int)
COUNT = random.poisson(2, ROWS)
KIND = random.integers(0, 3, ROWS)

MODELS = {
    "logistic": (LogisticRegression(penalty=None, max_iter=7), LABEL, sm.Logit),
    "poisson": (PoissonRegression(max_iter=7), COUNT, sm.Poisson),
}


@pytest.mark.parametrize("name", MODELS)
def test_generalised_linear_models(name):
    model, y, plain = MODELS[name]
    with q.simulate(protocol="clear") as net:
        fitted = model.fit(net.secret(X), net.secret(y))
        assert "feature_names_in_" not in fitted.summary().parts()
        table, whole = net.reveal(fitted.summary(), fitted)
    expected = plain(y, sm.add_constant(X)).fit(disp=0)
    assert list(table) == ["coef", "std err", "z", "P>|z|", "[0.025", "0.975]"]
    assert list(table.index) == ["(intercept)", "a", "b"]
    limits = expected.conf_int()
    columns = [expected.params, expected.bse, expected.tvalues, expected.pvalues, limits[0], limits[1]]
    np.testing.assert_allclose(table, np.stack(columns, axis=1), rtol=1e-3, atol=1e-4)
    pd.testing.assert_frame_equal(whole.summary(), table)
    assert table.attrs["converged"]
    assert table.attrs["quorate"]
    assert "intercept" not in table.attrs


def test_several_classes():
    with q.simulate(protocol="clear") as net:
        kind = net.secret(KIND, range=(0, 2))
        table = LogisticRegression(classes=3, penalty=None, max_iter=6).fit(net.secret(X), kind).summary().reveal()
    expected = sm.Logit(KIND == 1, sm.add_constant(X)).fit(disp=0)
    assert table.index.names == ["class", "coefficient"]
    np.testing.assert_allclose(table.loc[1]["coef"], expected.params, atol=1e-3)
    np.testing.assert_allclose(table.loc[1]["std err"], expected.bse, rtol=1e-3)


def test_other_confidence_and_a_constant_column_of_a_cox_model():
    with q.simulate(protocol="clear") as net:
        data = net.secret(X.assign(one=1.0))
        model = CoxRegression(alpha=0.1, grid=[3, 6, 9], iterations=4).fit(data, net.secret(COUNT), net.secret(LABEL))
        with pytest.warns(DependentColumnsWarning, match="one"):
            table = model.summary().reveal()
    assert list(table)[3:5] == ["coef lower 90%", "coef upper 90%"]
    wide = (table["coef upper 90%"] - table["coef lower 90%"]) / table["se(coef)"]
    np.testing.assert_allclose(wide[:2], 2 * 1.6448536, rtol=1e-6)
    assert table.loc["one"].isna().all()
    np.testing.assert_allclose(table["exp(coef)"][:2], np.exp(table["coef"][:2]))


def test_where_there_are_no_standard_errors():
    with q.simulate(protocol="clear") as net:
        data, y = net.secret(X), net.secret(LABEL)
        batches = LogisticRegression(solver="minibatch", epochs=1, batch_size=40).fit(data, y)
        with pytest.raises(UserError, match="no standard errors"):
            batches.summary()
        with pytest.raises(UserError, match="needs coef_ and standard_errors_"):
            batches.reveal().summary()
        with pytest.raises(UserError, match="not fitted"):
            Ridge().summary()
        none = Ridge(fit_intercept=False).fit(data, y).summary().reveal()
    assert list(none.index) == ["a", "b"]
