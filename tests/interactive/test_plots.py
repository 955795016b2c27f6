"""Pictures show the numbers that were opened, and nothing of what was not."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import quorate as q
from quorate import plots
from quorate.analytics.opened import Fitted
from quorate.errors import UserError

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed():
    from matplotlib import pyplot

    yield
    pyplot.close("all")


def drawn(ax):
    """The figure as pixels: everything on it can be drawn without a warning."""
    ax.figure.canvas.draw()
    return np.asarray(ax.figure.canvas.buffer_rgba())


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_a_histogram_hatches_what_is_not_shown():
    ax = plots.histogram(np.array([8.0, np.nan, 12.0]), [0, 1, 2, 4], label="pay")
    assert drawn(ax).std() > 0
    bars = [(bar.get_x(), bar.get_width(), bar.get_height(), bar.get_hatch()) for bar in ax.patches]
    assert [bar for bar in bars if bar[3] is None] == [(0, 1, 8, None), (2, 2, 12, None)]
    assert [bar[0] for bar in bars if bar[3]] == [1]
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"pay", "not shown"}


def test_a_histogram_as_it_was_opened():
    with q.simulate(protocol="clear") as net:
        counts, edges = q.histogram(net.secret([1.0, 2.5, 2.6], range=(0, 3)), [0, 1, 2, 3])
        ax = plots.histogram((counts.reveal(), edges))
        opened = q.analytics.histogram(net.secret([1.0, 2.5, 2.6], range=(0, 3)), [0, 1, 2, 3], least=0).reveal()
    assert [bar.get_height() for bar in ax.patches] == [0, 1, 2]
    assert [bar.get_height() for bar in plots.histogram(opened).patches] == [0, 1, 2]


def curves(groups):
    times = np.arange(1.0, 6.0)
    one = np.array([0.9, np.nan, 0.7, 0.6, 0.6])
    stack = (lambda values: np.stack([values] * groups)) if groups > 1 else (lambda values: values)
    return Fitted(
        times_=times,
        survival_=stack(one),
        lower_=stack(one - 0.1),
        upper_=stack(one + 0.05),
        at_risk_=stack(np.array([1000.0, np.nan, 60, 40, 20])),
    )


@pytest.mark.parametrize("groups", [1, 2])
def test_survival_curves_start_at_one_and_pass_over_hidden_steps(groups):
    labels = ["old", "new"] if groups == 2 else None
    ax = plots.survival(curves(groups), labels)
    drawn(ax)
    assert len(ax.lines) == groups
    assert ax.lines[0].get_xydata().tolist() == [[0, 1], [1, 0.9], [3, 0.7], [4, 0.6], [5, 0.6]]
    assert len(ax.collections) == groups
    assert {"at risk", "1,000", "20", "–"} <= set(texts(ax))


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_numbers_at_risk_lie_within_the_picture(groups):
    figure = plots.survival(curves(groups), [f"group {k}" for k in range(groups)]).figure
    figure.canvas.draw()
    page = figure.bbox
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert page.x0 <= box.x0
        assert page.y0 <= box.y0
        assert box.x1 <= page.x1


def test_survival_of_real_curves():
    with q.simulate(protocol="clear") as net:
        weeks, events = net.secret([5, 3, 8, 8, 6, 2, 9], range=(1, 9)), net.secret([1, 0, 1, 1, 0, 1, 0])
        opened = q.analytics.KaplanMeier(least=0).fit(weeks, events).reveal()
    ax = plots.survival(opened, at_risk=False)
    assert ax.lines[0].get_ydata()[-1] == pytest.approx(opened.survival_[-1])
    assert not texts(ax)


def test_coefficients_of_a_regression_lie_on_their_intervals():
    rng = np.random.default_rng(3)
    x = pd.DataFrame({"age": rng.normal(size=80), "dose": rng.normal(size=80)})
    with q.simulate(protocol="clear") as net:
        opened = q.analytics.LinearRegression().fit(net.secret(x), net.secret(x["age"] - 2 * x["dose"])).reveal()
    ax = plots.coefficients(opened)
    drawn(ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["age", "dose"]
    assert ax.lines[0].get_xdata() == pytest.approx([1, -2], abs=0.01)
    segments = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    error = 1.959964 * opened.standard_errors_
    assert segments[0] == pytest.approx([opened.coef_[0] - error[0], opened.coef_[0] + error[0]])


def test_ratios_of_a_table_with_limits_and_intercept():
    frame = pd.DataFrame(
        {"coef": [3.0, 0.5], "[0.025": [2.0, 0.1], "0.975]": [4.0, 0.9]}, index=["(intercept)", "smoker"]
    )
    ax = plots.coefficients(frame, ratios=True)
    assert ax.get_xscale() == "log"
    assert ax.lines[0].get_xdata() == pytest.approx([np.exp(0.5)])
    assert ax.collections[0].get_segments()[0][:, 0] == pytest.approx(np.exp([0.1, 0.9]))
    assert len(plots.coefficients(frame, intercept=True).get_yticklabels()) == 2


def test_limits_of_a_fitted_method_are_taken():
    values = {"coef_": np.array([1.0]), "conf_int_": np.array([[0.5, 1.75]]), "n_features_in_": 1}
    opened = Fitted(values, axes={"coef_": ("feature",), "conf_int_": ("feature", "limit")})
    ax = plots.coefficients(opened)
    assert ax.collections[0].get_segments()[0][:, 0].tolist() == [0.5, 1.75]


def test_a_roc_curve_runs_from_corner_to_corner():
    opened = Fitted(fpr_=np.array([0.5, 0.1]), tpr_=np.array([0.9, 0.6]), auc_=0.8125)
    ax = plots.roc(opened, label="logistic")
    drawn(ax)
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [0.1, 0.6], [0.5, 0.9], [1, 1]]
    assert ax.get_legend().get_texts()[0].get_text() == "logistic AUC 0.812"
    assert plots.roc([0.5], [0.7]).get_legend() is None


def test_components_show_loadings_and_means_of_groups():
    loadings = np.array([[0.8, 0.6, 0.0], [0.0, 0.6, -0.8]])
    ax = plots.components(loadings, ["a", "b", "c"], groups={"ill": (2, 1), "well": (-1, 0)})
    drawn(ax)
    assert {"a", "b", "c"} <= set(texts(ax))
    points = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert points == [[[2, 1]], [[-1, 0]]]
    opened = Fitted(components_=loadings, feature_names_in_=["u", "v", "w"])
    assert {"u", "v", "w"} <= set(texts(plots.components(opened)))


def test_a_manhattan_plot_puts_chromosomes_one_after_another():
    p = np.array([0.1, 1e-9, 0.5, np.nan, 0.0])
    ax = plots.manhattan(p, [1, 1, 2, 2, 2], [100, 300, 50, 60, 70])
    drawn(ax)
    first, second = (line.get_xydata() for line in ax.lines[:2])
    assert first[:, 1] == pytest.approx([1, 9])
    assert first[:, 0].max() < second[:, 0].min()
    assert second[-1, 1] > 300
    assert ax.lines[2].get_ydata()[0] == pytest.approx(-np.log10(5e-8))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2"]


def test_pictures_go_where_they_are_asked_to():
    from matplotlib import pyplot

    _, ax = pyplot.subplots()
    assert plots.histogram([1.0, 2.0], [0, 1, 2], ax=ax) is ax
    assert plots.roc([0.5], [0.7], ax=ax) is ax


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.histogram([1, 2], [0, 1]), "2 counts need 3 edges, not 2"),
        (lambda: plots.histogram([1, 2]), "needs counts and edges"),
        (lambda: plots.histogram([[1, 2]], [0, 1]), "of one dimension"),
        (lambda: plots.survival(curves(2), ["a"]), "1 labels for 2 groups"),
        (lambda: plots.coefficients(np.ones(3)), "no coefficients"),
        (lambda: plots.roc([0.1, 0.2], [0.3]), "2 false positive rates and 1"),
        (lambda: plots.roc(Fitted(tpr_=np.ones(2))), "no 'fpr'"),
        (lambda: plots.components(np.ones((1, 3))), "two components"),
        (lambda: plots.manhattan([0.1, 0.2], [1]), "2 p-values, 1 chromosomes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(UserError, match=message):
        draw()
