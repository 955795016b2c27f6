"""Statistics and models on secret data, with the names and shapes of scikit-learn and SciPy."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorate.analytics.classification.discrete import BernoulliNB, CategoricalNB, MultinomialNB
    from quorate.analytics.classification.gaussian import GaussianNB
    from quorate.analytics.cluster.kmeans import KMeans
    from quorate.analytics.decomposition.pca import PCA
    from quorate.analytics.dependent import DependentColumnsWarning, NarrowColumnsWarning
    from quorate.analytics.finance.exposure import Concentration, Exposure
    from quorate.analytics.finance.risk import HistoricalRisk, NormalRisk
    from quorate.analytics.genetics.association import GWAS
    from quorate.analytics.genetics.components import GenotypeComponents
    from quorate.analytics.genetics.frequencies import allele_counts
    from quorate.analytics.linking import link
    from quorate.analytics.regression.linear import LinearRegression, Ridge
    from quorate.analytics.regression.logistic import LogisticRegression, SeparationWarning
    from quorate.analytics.regression.poisson import ConvergenceWarning, PoissonRegression
    from quorate.analytics.statistics.compare import f_oneway, ttest_1samp, ttest_ind, ttest_rel
    from quorate.analytics.statistics.fisher import fisher_exact
    from quorate.analytics.statistics.grouped import describe, grouped
    from quorate.analytics.statistics.intervals import confidence_interval, proportion_confint
    from quorate.analytics.statistics.keyed import grouped_by_key
    from quorate.analytics.statistics.matrices import corrcoef, cov
    from quorate.analytics.statistics.moments import mean, std, var
    from quorate.analytics.statistics.order import histogram, quantile
    from quorate.analytics.statistics.ranks import mannwhitneyu
    from quorate.analytics.statistics.tables import chi2_contingency, crosstab
    from quorate.analytics.survival.cox import CoxRegression
    from quorate.analytics.survival.kaplan_meier import KaplanMeier
    from quorate.analytics.survival.logrank import logrank_test
    from quorate.analytics.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
    from quorate.analytics.trees.forest import RandomForestClassifier, RandomForestRegressor
    from quorate.analytics.trees.tree import DecisionTreeClassifier, DecisionTreeRegressor
    from quorate.analytics.validation.folds import CrossValidation, KFold, cross_val_score, train_test_split
    from quorate.analytics.validation.roc import RocCurve, roc_auc_score, roc_curve
    from quorate.analytics.validation.scores import (
        accuracy_score,
        confusion_matrix,
        log_loss,
        mean_squared_error,
        r2_score,
    )

__all__ = [
    "GWAS",
    "PCA",
    "BernoulliNB",
    "CategoricalNB",
    "Concentration",
    "ConvergenceWarning",
    "CoxRegression",
    "CrossValidation",
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "DependentColumnsWarning",
    "Exposure",
    "GaussianNB",
    "GenotypeComponents",
    "GradientBoostingClassifier",
    "GradientBoostingRegressor",
    "HistoricalRisk",
    "KFold",
    "KMeans",
    "KaplanMeier",
    "LinearRegression",
    "LogisticRegression",
    "MultinomialNB",
    "NarrowColumnsWarning",
    "NormalRisk",
    "PoissonRegression",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "Ridge",
    "RocCurve",
    "SeparationWarning",
    "accuracy_score",
    "allele_counts",
    "chi2_contingency",
    "confidence_interval",
    "confusion_matrix",
    "corrcoef",
    "cov",
    "cross_val_score",
    "crosstab",
    "describe",
    "f_oneway",
    "fisher_exact",
    "grouped",
    "grouped_by_key",
    "histogram",
    "link",
    "log_loss",
    "logrank_test",
    "mannwhitneyu",
    "mean",
    "mean_squared_error",
    "proportion_confint",
    "quantile",
    "r2_score",
    "roc_auc_score",
    "roc_curve",
    "std",
    "train_test_split",
    "ttest_1samp",
    "ttest_ind",
    "ttest_rel",
    "var",
]

_HOMES = {
    "quorate.analytics.classification.discrete": ("BernoulliNB", "CategoricalNB", "MultinomialNB"),
    "quorate.analytics.classification.gaussian": ("GaussianNB",),
    "quorate.analytics.cluster.kmeans": ("KMeans",),
    "quorate.analytics.decomposition.pca": ("PCA",),
    "quorate.analytics.dependent": ("DependentColumnsWarning", "NarrowColumnsWarning"),
    "quorate.analytics.finance.exposure": ("Concentration", "Exposure"),
    "quorate.analytics.finance.risk": ("HistoricalRisk", "NormalRisk"),
    "quorate.analytics.genetics.association": ("GWAS",),
    "quorate.analytics.genetics.components": ("GenotypeComponents",),
    "quorate.analytics.genetics.frequencies": ("allele_counts",),
    "quorate.analytics.linking": ("link",),
    "quorate.analytics.regression.linear": ("LinearRegression", "Ridge"),
    "quorate.analytics.regression.logistic": ("LogisticRegression", "SeparationWarning"),
    "quorate.analytics.regression.poisson": ("ConvergenceWarning", "PoissonRegression"),
    "quorate.analytics.statistics.compare": ("f_oneway", "ttest_1samp", "ttest_ind", "ttest_rel"),
    "quorate.analytics.statistics.fisher": ("fisher_exact",),
    "quorate.analytics.statistics.grouped": ("describe", "grouped"),
    "quorate.analytics.statistics.intervals": ("confidence_interval", "proportion_confint"),
    "quorate.analytics.statistics.keyed": ("grouped_by_key",),
    "quorate.analytics.statistics.matrices": ("corrcoef", "cov"),
    "quorate.analytics.statistics.moments": ("mean", "std", "var"),
    "quorate.analytics.statistics.order": ("histogram", "quantile"),
    "quorate.analytics.statistics.ranks": ("mannwhitneyu",),
    "quorate.analytics.statistics.tables": ("chi2_contingency", "crosstab"),
    "quorate.analytics.survival.cox": ("CoxRegression",),
    "quorate.analytics.survival.kaplan_meier": ("KaplanMeier",),
    "quorate.analytics.survival.logrank": ("logrank_test",),
    "quorate.analytics.trees.boosting": ("GradientBoostingClassifier", "GradientBoostingRegressor"),
    "quorate.analytics.trees.forest": ("RandomForestClassifier", "RandomForestRegressor"),
    "quorate.analytics.trees.tree": ("DecisionTreeClassifier", "DecisionTreeRegressor"),
    "quorate.analytics.validation.folds": ("CrossValidation", "KFold", "cross_val_score", "train_test_split"),
    "quorate.analytics.validation.roc": ("RocCurve", "roc_auc_score", "roc_curve"),
    "quorate.analytics.validation.scores": (
        "accuracy_score",
        "confusion_matrix",
        "log_loss",
        "mean_squared_error",
        "r2_score",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load what is asked for, when it is asked for."""
    if name not in _HOME:
        near = difflib.get_close_matches(name, __all__, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"module 'quorate.analytics' has no attribute {name!r}{hint}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """The names that there are to load."""
    return sorted(__all__)
