"""Pictures of opened results, with matplotlib: `quorate.plots`.

Every function takes what `reveal` gave, draws into `ax` (by default a new figure) and returns the axes. Nothing here
opens anything, and nothing here draws single rows of anybody's data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.analytics.opened import needed
from quorate.errors import UserError

__all__ = ["coefficients", "components", "histogram", "manhattan", "roc", "survival"]

Floats = npt.NDArray[np.float64]

GREY = "0.5"
_MOST_LABELS = 40


def histogram(counts: Any, edges: Any = None, *, ax: Any = None, label: str | None = None) -> Any:
    """Bars of an opened histogram.

    Args:
        counts: opened counts or densities, shape (bins,), or an opened histogram with its edges or categories. NaN
            stands for bins that are not shown; they are hatched.
        edges: the public edges, shape (bins + 1,).

    Raises:
        UserError: numbers that do not fit each other, or matplotlib is not installed.
    """
    names = counts.get("categories") if isinstance(counts, Mapping) else None
    if names is not None:
        counts, edges = counts["counts"], np.arange(len(names) + 1) - 0.5
    elif edges is None:
        counts, edges = _pair(counts)
    heights, ends = _vector(counts, "counts"), _vector(edges, "edges")
    if len(ends) != len(heights) + 1:
        raise UserError(f"{len(heights)} counts need {len(heights) + 1} edges, not {len(ends)}")
    ax = _axes(ax)
    shown = np.isfinite(heights)
    widths = np.diff(ends)
    ax.bar(ends[:-1][shown], heights[shown], widths[shown], align="edge", edgecolor="white", linewidth=0.6, label=label)
    if not shown.all():
        top = heights[shown].max(initial=1.0) * 0.04
        hidden = ends[:-1][~shown]
        ax.bar(
            hidden, top, widths[~shown], align="edge", facecolor="none", edgecolor=GREY, hatch="////", label="not shown"
        )
    ax.set_ylabel("count")
    if names is not None:
        ax.set_xticks(range(len(names)), names)
    if label or not shown.all():
        ax.legend(frameon=False)
    return _plain(ax)


def survival(curves: Any, labels: Sequence[str] | None = None, *, ax: Any = None, at_risk: bool = True) -> Any:
    """Kaplan-Meier curves as steps with their confidence band, and how many people are at risk below the axis.

    Args:
        curves: opened `KaplanMeier`, of one group or several.
        labels: names of the groups; by default their categories.
        at_risk: whether to write the numbers at risk.

    Raises:
        UserError: as many labels as groups are needed, or matplotlib is not installed.
    """
    times = _vector(curves["times_"], "times_")
    each = [
        np.atleast_2d(np.asarray(curves[name], np.float64)) for name in ("survival_", "lower_", "upper_", "at_risk_")
    ]
    groups = len(each[0])
    labels = curves.get("groups_") if labels is None and isinstance(curves, Mapping) else labels
    if labels is not None and len(labels) != groups:
        raise UserError(f"{len(labels)} labels for {groups} groups")
    ax = _axes(ax, height=4.0 + 0.18 * groups * at_risk)
    for k in range(groups):
        _steps(ax, times, [one[k] for one in each[:3]], None if labels is None else labels[k])
    ax.set_ylim(0, 1.02)
    ax.set_xlim(0, times[-1])
    ax.set_xlabel("time")
    ax.set_ylabel("share without event")
    if labels is not None:
        ax.legend(frameon=False, loc="best")
    if at_risk:
        _numbers_at_risk(ax, times, each[3], labels)
    return _plain(ax)


def _steps(ax: Any, times: Floats, band: Sequence[Floats], label: str | None) -> None:
    """A curve with its lower and upper end; steps that are not shown are passed over."""
    curve, *limits = band
    shown = np.isfinite(curve)
    x = np.concatenate([[0.0], times[shown]])
    (line,) = ax.step(x, np.concatenate([[1.0], curve[shown]]), where="post", label=label)
    ends = [np.concatenate([[1.0], end[shown]]) for end in limits]
    ax.fill_between(x, *ends, step="post", alpha=0.18, color=line.get_color(), linewidth=0)


def _numbers_at_risk(ax: Any, times: Floats, numbers: Floats, labels: Sequence[str] | None) -> None:
    """A small table under the axis, in the colours of the curves."""
    ticks = [tick for tick in ax.get_xticks() if 0 <= tick <= times[-1]]
    ax.set_xticks(ticks)
    # Distances in points, for which the layout of the figure can reserve room; shares of the axes change with it.
    below = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "annotation_clip": False, "va": "top"}
    ax.annotate("at risk", (0, 0), (0, -36), ha="left", fontsize="small", color=GREY, **below)
    for k, row in enumerate(numbers):
        colour, away = ax.lines[k].get_color(), (0, -50 - 13 * k)
        for tick in ticks:
            place = min(int(np.searchsorted(times, tick)), len(times) - 1)
            told = f"{row[place]:,.0f}" if np.isfinite(row[place]) else "–"
            ax.annotate(told, (tick, 0), away, ha="center", fontsize="small", color=colour, **below)


def coefficients(opened: Any, *, ax: Any = None, ratios: bool = False, intercept: bool = False) -> Any:
    """Coefficients with confidence intervals, one line each (a forest plot).

    Args:
        opened: an opened regression, or its table as a data frame. With standard errors only, intervals are those of
            the normal distribution at 95 %.
        ratios: draw exp(coefficient): odds ratios or hazard ratios, on a logarithmic axis.
        intercept: whether to draw the intercept, where a table has it.

    Raises:
        UserError: no coefficients in it, or matplotlib is not installed.
    """
    names, estimate, low, high = _estimates(opened, intercept)
    if ratios:
        estimate, low, high = np.exp(estimate), np.exp(low), np.exp(high)
    ax = _axes(ax, height=max(2.0, 0.6 + 0.3 * len(names)))
    places = np.arange(len(names))[::-1]
    ax.hlines(places, low, high, linewidth=2, alpha=0.6)
    ax.plot(estimate, places, "o", markersize=5)
    ax.axvline(1.0 if ratios else 0.0, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    if ratios:
        ax.set_xscale("log")
        plain = needed("matplotlib.ticker").StrMethodFormatter("{x:g}")
        ax.xaxis.set_major_formatter(plain)
        ax.xaxis.set_minor_formatter(plain)
    ax.set_yticks(places, names)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel("ratio" if ratios else "coefficient")
    return _plain(ax)


def _estimates(opened: Any, intercept: bool) -> tuple[list[str], Floats, Floats, Floats]:
    frame = opened if hasattr(opened, "columns") else opened.to_pandas() if hasattr(opened, "to_pandas") else None
    if frame is None or "coef" not in frame.columns:
        raise UserError("these are no coefficients; give an opened regression, or its table")
    estimate = frame["coef"].to_numpy(np.float64)
    error = _column(frame, "std err", "standard_errors", "std_error", "se(coef)")
    low = _column(frame, "[0.025", "lower", "coef lower 95%")
    high = _column(frame, "0.975]", "upper", "coef upper 95%")
    if low is None or high is None:
        reach = 1.959964 * (np.zeros(len(estimate)) if error is None else error)
        low, high = estimate - reach, estimate + reach
    names = [str(name) for name in frame.index]
    kept = [k for k, name in enumerate(names) if intercept or name != "(intercept)"]
    return [names[k] for k in kept], estimate[kept], low[kept], high[kept]


def _column(frame: Any, *names: str) -> Floats | None:
    for name in names:
        if name in frame.columns:
            found: Floats = frame[name].to_numpy(np.float64)
            return found
    return None


def roc(
    false_positive: Any, true_positive: Any = None, *, auc: float | None = None, ax: Any = None, label: str = ""
) -> Any:
    """The receiver operating characteristic: true positives found against false alarms.

    Args:
        false_positive, true_positive: opened rates, shape (thresholds,); or one result that has both, `fpr` and `tpr`.
        auc: area under the curve, for the legend.

    Raises:
        UserError: rates of different length, or matplotlib is not installed.
    """
    if true_positive is None:
        auc = _named(false_positive, "auc") if auc is None else auc
        false_positive, true_positive = (_named(false_positive, name) for name in ("fpr", "tpr"))
    x, y = _vector(false_positive, "false_positive"), _vector(true_positive, "true_positive")
    if len(x) != len(y):
        raise UserError(f"{len(x)} false positive rates and {len(y)} true positive rates")
    order = np.lexsort((y, x))
    ax = _axes(ax, width=4.6, height=4.6)
    told = " ".join(part for part in (label, "" if auc is None else f"AUC {float(auc):.3f}") if part)
    ax.plot(np.r_[0, x[order], 1], np.r_[0, y[order], 1], label=told or None)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    ax.set_aspect("equal")
    ax.set_xlabel("false positive rate")
    ax.set_ylabel("true positive rate")
    if told:
        ax.legend(frameon=False, loc="lower right")
    return _plain(ax)


def components(loadings: Any, names: Sequence[str] | None = None, *, groups: Any = None, ax: Any = None) -> Any:
    """Opened principal components: the loadings of the first two as arrows, and means of groups as points.

    Args:
        loadings: opened components, shape (components, features), or an opened PCA.
        names: of the features.
        groups: opened means of scores, the first two for each group, shape (groups, 2) or a mapping from names.
            Scores of single rows are not for opening, so there is nothing to draw them with.

    Raises:
        UserError: fewer than two components, or matplotlib is not installed.
    """
    if isinstance(loadings, Mapping):
        names = loadings.get("feature_names_in_") if names is None else names
        loadings = loadings["components_"]
    arrows = np.asarray(loadings, np.float64)
    if arrows.ndim != 2 or len(arrows) < 2:
        raise UserError(f"loadings of shape {arrows.shape}; two components at least are needed")
    ax = _axes(ax, width=5.2, height=5.2)
    longest = float(np.hypot(arrows[0], arrows[1]).max()) or 1.0
    scale = _group_points(ax, groups) / longest if groups is not None else 1.0
    for k, (x, y) in enumerate(arrows[:2].T * scale):
        ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": GREY, "linewidth": 0.9})
        if arrows.shape[1] <= _MOST_LABELS:
            name = str(names[k]) if names is not None else f"x{k}"
            beside = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": "small", "color": GREY}
            ax.annotate(name, (x, y), **beside)
    reach = 1.15 * scale * longest
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.axhline(0, color=GREY, linewidth=0.5)
    ax.axvline(0, color=GREY, linewidth=0.5)
    ax.set_xlabel("component 1")
    ax.set_ylabel("component 2")
    return _plain(ax)


def _group_points(ax: Any, groups: Any) -> float:
    """Means of groups as labelled points; how far the farthest lies from the middle."""
    named = groups if isinstance(groups, Mapping) else dict(enumerate(np.asarray(groups, np.float64)))
    points = np.array([np.asarray(point, np.float64)[:2] for point in named.values()])
    for name, (x, y) in zip(named, points, strict=True):
        ax.plot(x, y, "o", markersize=8, label=str(name))
    ax.legend(frameon=False)
    return float(np.hypot(*points.T).max()) or 1.0


def manhattan(
    p_values: Any, chromosomes: Any = None, positions: Any = None, *, threshold: float = 5e-8, ax: Any = None
) -> Any:
    """-log10 of the p-values of a genome-wide association along the genome, chromosomes in turns of colour.

    Args:
        p_values: opened, shape (variants,); NaN is left out.
        chromosomes: of each variant, in ascending order; by default one.
        positions: on the chromosome; by default the number of the variant.
        threshold: where the line of genome-wide significance is drawn.

    Raises:
        UserError: shapes that differ, or matplotlib is not installed.
    """
    p = _vector(p_values, "p_values")
    where = np.arange(len(p)) if positions is None else np.asarray(positions)
    owner = np.zeros(len(p), np.int64) if chromosomes is None else np.asarray(chromosomes)
    if not len(p) == len(where) == len(owner):
        raise UserError(f"{len(p)} p-values, {len(owner)} chromosomes, {len(where)} positions")
    ax = _axes(ax, width=9.0, height=3.4)
    height = -np.log10(np.clip(p, np.finfo(np.float64).tiny, 1.0))
    start, middles = 0.0, []
    names = list(dict.fromkeys(owner.tolist()))
    for k, name in enumerate(names):
        own = owner == name
        place = start + where[own] - where[own].min()
        ax.plot(place, height[own], ".", markersize=4, color=("C0", "C1")[k % 2], rasterized=len(p) > 10_000)
        middles.append(start + (place.max() - start) / 2)
        start = float(place.max()) + max(1.0, 0.01 * float(np.ptp(where)))
    ax.axhline(-np.log10(threshold), color=GREY, linewidth=0.8, linestyle="--")
    if chromosomes is not None:
        ax.set_xticks(middles, [str(name) for name in names])
        ax.set_xlabel("chromosome")
    else:
        ax.set_xlabel("variant" if positions is None else "position")
    ax.set_ylabel("$-\\log_{10}\\,p$")
    ax.set_ylim(bottom=0)
    ax.set_xlim(-0.01 * start, start)
    return _plain(ax)


def _axes(ax: Any, width: float = 6.4, height: float = 4.0) -> Any:
    """The axes given, or those of a new figure."""
    if ax is not None:
        return ax
    return needed("matplotlib.pyplot").subplots(figsize=(width, height), layout="constrained")[1]


def _plain(ax: Any) -> Any:
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _vector(values: Any, what: str) -> Floats:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array):
        raise UserError(f"{what} of shape {array.shape}; give opened numbers of one dimension")
    return array


def _pair(opened: Any) -> tuple[Any, Any]:
    """Counts and edges of an opened histogram."""
    if isinstance(opened, Mapping) and {"counts", "bin_edges"} <= opened.keys():
        return opened["counts"], opened["bin_edges"]
    if not isinstance(opened, tuple | list) or len(opened) != 2 or not np.ndim(opened[0]):
        raise UserError("a histogram needs counts and edges")
    return opened[0], opened[1]


def _named(opened: Any, name: str) -> Any:
    """A result by its name, with or without underscore."""
    for key in (name, f"{name}_"):
        if isinstance(opened, Mapping) and key in opened:
            return opened[key]
        if not isinstance(opened, Mapping) and hasattr(opened, key):
            return getattr(opened, key)
    if name == "auc":
        return None
    raise UserError(f"there is no {name!r} in this result; give the rates themselves")
