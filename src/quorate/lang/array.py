"""Secret arrays: NumPy's vocabulary on values that nobody sees. What is done with them is recorded, not computed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

from quorate.errors import UserError
from quorate.html import facts, panel, table
from quorate.lang.dims import Size, rows_of
from quorate.lang.ordering import Ordering
from quorate.lang.trace import Trace
from quorate.sharing.dtype import DEFAULT_SCALE

__all__ = ["DEFAULT_SCALE", "NoSuchName", "SecretArray", "Table", "Trace", "listed"]


OPENED = "to open it, call reveal() in a session, or return it from the computation"

MOST_LISTED = 12
"""Categories that a display names."""


INSTEAD = {
    "groupby": "use quorate.group_by(table, by='column'), or quorate.analytics.grouped(column, by)",
    "describe": "use quorate.analytics.describe(x)",
    "value_counts": "use quorate.analytics.histogram(column)",
    "corr": "use quorate.analytics.corrcoef(x)",
    "merge": "use quorate.analytics.link(table, other, on='key')",
    **dict.fromkeys(("head", "tail", "iloc", "loc", "values", "to_numpy"), f"its rows are secret; {OPENED}"),
    **dict.fromkeys(("mean", "std", "var", "sum", "min", "max"), "take a column first, such as table['age'].mean()"),
}
"""What users of pandas may look for, and what to write."""


FRAMED = "net.frame(table) opens all of it as a data frame, table['age'].reveal() one column"

_OF_TABLES = dict.fromkeys(
    ("head", "tail", "iloc", "loc", "values", "to_numpy", "reveal", "to_pandas"), f"its rows are secret; {FRAMED}"
)
"""The same where tables differ from arrays."""


def _unchangeable(column: str) -> NoReturn:
    raise UserError(f"a secret table stays as it is; write table = table.assign({column}=...)")


def _refusal(what: str, instead: str) -> NoReturn:
    raise UserError(f"{what} would show a secret; {instead}")


class NoSuchName(UserError, AttributeError):
    """Of a name that arrays do not have: an error of the user's, and one that `hasattr` understands."""


class SecretArray(Ordering):
    """A secret (or public) array of the computation that is being recorded."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 1000

    def reveal(self) -> Any:
        """Open the values: in an interactive session, plan and run what they depend on, and return them.

        Raises:
            UserError: this array belongs to a computation that is only being written down.
        """
        return self.trace.reveal_all({"value": self})["value"]

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest value that may be in it, as far as the declared ranges of the inputs tell.

        Raises:
            UserError: no ranges are known, or values may not fit the protocol.
        """
        return self.trace.limits(self)

    def _repr_html_(self) -> str:
        return panel("Secret array", facts(_public_facts(self)), note="its values stay secret until reveal()")

    # -- what Python and NumPy ask of an array that shows its values --------------------------------------------------

    def __bool__(self) -> NoReturn:
        _refusal(
            "a truth value",
            "use quorate.where(condition, a, b) instead of if, & | ~ instead of and, or, not, and quorate.maximum, "
            "quorate.minimum, quorate.sort instead of Python's max, min, sorted",
        )

    def __int__(self) -> NoReturn:
        _refusal("a plain number", f"{OPENED}; a loop needs a public number of steps")

    __float__ = __complex__ = __index__ = __int__

    def item(self, *_: Any) -> NoReturn:
        """Refused: it would show a value."""
        _refusal("the value of an element", OPENED)

    tolist = tobytes = item

    def __format__(self, spec: str) -> str:
        if spec:
            _refusal("formatting", OPENED)
        return str(self)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        _refusal("a NumPy array of it", f"use the functions of quorate, such as quorate.sum; {OPENED}")

    def __reduce__(self) -> NoReturn:
        _refusal("pickling", OPENED)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        functions = import_module("quorate.lang.functions")
        if name in functions.__all__ or name in INSTEAD:
            instead = INSTEAD.get(name, f"use quorate.{name}(x, ...)")
            raise NoSuchName(f"a secret array has no {name!r}: {instead}")
        raise NoSuchName(
            f"a secret array has no attribute {name!r}{_hint(name, dir(type(self)))}; if it should be a column, give a "
            f"dictionary or a data frame, such as {{{name!r}: [...]}}, which makes a table"
        )

    # -- NumPy's functions --------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's ufuncs, with NumPy's numbers and arrays on either side."""
        return import_module("quorate.lang.numpy_names").call_ufunc(ufunc.__name__, method, inputs, options)

    def __array_function__(self, function: Any, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """NumPy's functions, where quorate has one of the same name."""
        return import_module("quorate.lang.numpy_names").call_function(function.__name__, args, kwargs)


class Table:
    """Columns of equally many rows, by attribute or by name: those of one input, or the result of an operation."""

    def __init__(self, name: str, columns: Mapping[str, SecretArray], rows: Size | None = None) -> None:
        self._name = name
        self._columns = dict(columns)
        self._rows = rows_of(name) if rows is None else rows

    def __getitem__(self, column: Any) -> Any:
        """A column by its name; for a list of names a table of these columns."""
        if isinstance(column, list):
            return Table(self._name, {name: self[name] for name in column}, self._rows)
        if not isinstance(column, str):
            raise UserError(f"{self._name!r}[...] takes the name of a column or a list of names; rows stay together")
        if column not in self._columns:
            raise UserError(self._unknown(column))
        return self._columns[column]

    def __getattr__(self, column: str) -> SecretArray:
        if column.startswith("_"):
            raise AttributeError(column)
        if column in self._columns:
            found: SecretArray = self._columns[column]
            return found
        if instead := _OF_TABLES.get(column, INSTEAD.get(column)):
            raise NoSuchName(f"a secret table has no {column!r}: {instead}")
        raise NoSuchName(self._unknown(column))

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            _unchangeable(name)
        super().__setattr__(name, value)

    def __setitem__(self, column: str, value: Any) -> NoReturn:
        _unchangeable(column)

    def assign(self, **columns: Any) -> Table:
        """A table with these columns added, or in place of those of their names; this one stays as it is.

        Raises:
            UserError: something that is no secret column of as many rows.
        """
        for name, column in columns.items():
            if not isinstance(column, SecretArray) or column.shape[:1] != (self._rows,):
                raise UserError(f"{name!r} is no secret column of {self._rows} rows")
        return Table(self._name, {**self._columns, **columns}, self._rows)

    def _unknown(self, column: str) -> str:
        known = f"{', '.join(self._columns)}{_hint(column, self._columns)}"
        return f"{self._name!r} has no column {column!r}; it has {known}"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self._columns if name.isidentifier())]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: pandas and NumPy would take the names of the columns for the data."""
        _refusal("a data frame or NumPy array of it", FRAMED)

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, column: object) -> bool:
        return column in self._columns

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}: {_kind(array)}" for name, array in self._columns.items())
        return f"<{self._name}[{self._rows}] {columns}>"

    def _repr_html_(self) -> str:
        rows = [[name, *_public_facts(array).values()] for name, array in self._columns.items()]
        headings = ["column", "type", "shape", "range or categories"]
        return panel(f"{self._name}: {self._rows} rows", table(headings, rows))

    def keys(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    @property
    def rows(self) -> Size:
        """The number of rows; of an input, a symbol until the session starts."""
        return self._rows


def _public_facts(array: SecretArray) -> dict[str, str]:
    """Type, shape and declared range of an array; never anything of its values."""
    try:
        low, high = array.limits
        reach = f"{low:g} to {high:g}" if array.categories is None else listed(array.categories)
    except UserError as problem:
        reach = str(problem) if array.trace.known is not None else "as the inputs declare"
    return {"type": str(array.dtype), "shape": str(array.shape), "range or categories": reach}


def _kind(array: SecretArray) -> str:
    """The type of a column for people."""
    return str(array.dtype) if array.categories is None else f"{len(array.categories)} categories"


def listed(texts: Sequence[str]) -> str:
    """Categories for people, of many the first."""
    more = [f"... ({len(texts)} in all)"] if len(texts) > MOST_LISTED else []
    return ", ".join([*texts[:MOST_LISTED], *more])


def _hint(name: str, known: Iterable[str]) -> str:
    """What a misspelt name may have meant; case does not matter."""
    folded = {key.casefold(): key for key in known}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""
