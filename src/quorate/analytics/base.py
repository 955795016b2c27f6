"""What all methods share: parameters as in scikit-learn, secret results with names that end in an underscore."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, Self

from quorate.analytics.axes import Axes
from quorate.analytics.columns import category_names, columns, names_of
from quorate.analytics.opened import Fitted
from quorate.errors import UserError
from quorate.lang.array import SecretArray, listed
from quorate.lang.categories import DIFFER
from quorate.lang.result import Result

__all__ = ["Estimator", "Fitted"]


class Estimator(Result):
    """A method with `fit`. Parameters of the constructor are attributes of the same name.

    What `fit` finds are attributes that end in an underscore: secret arrays (the parts of the result), and public facts
    that are no arrays, such as the number of features. Tables of opened results label rows and columns as `AXES` says.
    """

    AXES: ClassVar[Axes] = {}
    """What the axes of results are, opened ones included."""

    CODES = False
    """Whether features may be columns of categories, whose codes say no more than which rows are alike."""

    def get_params(self) -> dict[str, Any]:
        """The parameters of the constructor, as in scikit-learn."""
        names = inspect.signature(type(self).__init__).parameters
        return {name: getattr(self, name) for name in names if name != "self"}

    def parts(self) -> Mapping[str, SecretArray]:
        """The secret results."""
        return {
            name: value
            for name, value in vars(self).items()
            if name.endswith("_") and not name.startswith("_") and isinstance(value, SecretArray)
        }

    def public(self) -> dict[str, Any]:
        """The public facts that `fit` found."""
        return {
            name: value
            for name, value in vars(self).items()
            if name.endswith("_") and not name.startswith("_") and not isinstance(value, SecretArray)
        }

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The opened results, with the public ones."""
        return Fitted({**self.public(), **values}, axes=self.AXES)

    @classmethod
    def restored(cls, params: Mapping[str, Any], public: Mapping[str, Any], parts: Mapping[str, SecretArray]) -> Self:
        """A fitted estimator from what `get_params`, `public` and `parts` gave."""
        made = cls(**params)
        for name, value in (*public.items(), *parts.items()):
            setattr(made, name, value)
        return made

    def _learn(self, **found: Any) -> Self:
        """Take over what was found; interactive sessions keep shares of it."""
        for name, value in found.items():
            setattr(self, name, value)
        arrays = [value for value in found.values() if isinstance(value, SecretArray)]
        if arrays:
            arrays[0].trace.remember(arrays)
        return self

    def _fitted_columns(self, X: Any) -> list[SecretArray]:
        """The columns of new data in the order of those that the model was fitted to: by name where both have names.

        Raises:
            UserError: not fitted yet, a column is missing, or there are more or fewer than the model was fitted to.
        """
        self._require_fit()
        wanted, given = getattr(self, "feature_names_in_", None), names_of(X)
        if wanted is not None and given is not None:
            if missing := [name for name in wanted if name not in given]:
                raise UserError(f"X has no column {missing[0]!r}; the model was fitted to {', '.join(wanted)}")
            X = [X[name] for name in wanted]
        found = columns(X, codes=self.CODES)
        if len(found) != (count := getattr(self, "n_features_in_", len(found))):
            raise UserError(f"X has {len(found)} columns, the model was fitted to {count}")
        for column, texts in zip(found, getattr(self, "feature_categories_", None) or [], strict=False):
            _require_same(texts, category_names(column), "a column of X")
        return found

    def _classes_of(self, y: Any) -> Any:
        """`y`, to be compared with predictions. Raises `UserError` if its codes stand for other classes."""
        names, own = getattr(self, "class_names_", None), category_names(y)
        if names is not None and own is not None:
            _require_same(names, category_names(y, getattr(self, "classes_", range(len(names)))) or own, "y")
        return y

    def _require_fit(self) -> None:
        if not self.parts():
            raise UserError(f"this {type(self).__name__} is not fitted yet; call fit first")

    def __getattr__(self, name: str) -> NoReturn:
        if not name.endswith("_") or name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        found = ", ".join((*self.parts(), *self.public()))
        what = f"this {type(self).__name__} has no result {name!r}"
        raise AttributeError(f"{what}; it has {found}" if found else f"{what}: it is not fitted yet; call fit first")

    def __repr__(self) -> str:
        """Parameters that are not the usual ones, as in scikit-learn."""
        usual = inspect.signature(type(self).__init__).parameters
        given = (
            f"{name}={value!r}" for name, value in self.get_params().items() if repr(value) != repr(usual[name].default)
        )
        return f"{type(self).__name__}({', '.join(given)})"

    def _title(self) -> str:
        return repr(self)


def _require_same(texts: list[str] | None, own: list[str] | None, what: str) -> None:
    if texts is not None and own is not None and own != texts:
        raise UserError(f"{what} has the categories {listed(own)}, the model was fitted to {listed(texts)}, {DIFFER}")
