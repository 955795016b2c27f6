"""Groups of which nobody knows beforehand which, or how many, there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import columns, names_of
from quorate.analytics.opened import needed
from quorate.analytics.small_groups import checked_least, shown_cells
from quorate.analytics.statistics.answer import Answer
from quorate.analytics.statistics.samples import divided, mask
from quorate.analytics.statistics.spread import summable
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT

__all__ = ["grouped_by_key"]

STATISTICS = ("count", "sum", "mean")


def grouped_by_key(
    x: Any,
    key: Any,
    statistics: Sequence[str] = ("count", "mean"),
    *,
    size: int,
    where: Any = None,
    least: int | None = None,
) -> Answer:
    """Statistics of columns for every value of a key that occurs often enough; the keys need not be known.

    Rows are sorted by key, in secret. For up to 64 known categories `grouped` is cheaper, and has more statistics.

    Args:
        x: a secret column, matrix, table or list of columns.
        key: a secret column of any type, such as a postcode; of a table also the name of one.
        statistics: of count, sum, mean.
        size: most keys that can occur, public.
        where: which rows count, a secret column of bools.
        least: keys of fewer rows are hidden with all that belongs to them; if the hidden ones together hold fewer, the
            smallest of the others too.

    Revealed: keys and statistics of the groups that are shown, and how many groups found no room; not how many are
    hidden.

    `reveal` gives a data frame with a row per key that is shown, in ascending order, and a column per statistic, of
    several columns with two levels of names. Exact.

    Raises:
        UserError: no such statistic; and on `reveal`, if there are more keys than `size`.
    """
    if unknown := [one for one in statistics if one not in STATISTICS]:
        raise UserError(f"the statistic {unknown[0]!r}; use {', '.join(STATISTICS)}")
    x, key = divided(x, key)
    found, single = columns(x), isinstance(x, SecretArray) and x.ndim == 1
    names: list[Any] = list(names_of(x) or range(len(found)))
    if not isinstance(key, SecretArray) or key.shape != found[0].shape:
        raise UserError(f"key is a secret column with a value for each of the {found[0].shape[0]} rows, not {key!r}")
    table = _table(key, found, mask(where, found[0]))
    groups = q.group_by(table, by=["key"], size=size).agg(
        n=("counts", "sum"), **{f"sum{j}": (f"x{j}", "sum") for j in range(len(found))}
    )
    shown = shown_cells(groups["n"], max(checked_least(least), 1), where=groups["valid"] & (groups["n"] > 0))
    # In front, lest the places of hidden groups between others tell something of their keys.
    front = q.compact(shown, {name: groups[name] for name in ("key", "n", *(f"sum{j}" for j in range(len(found))))})
    parts = {name: front.rows[name] for name in front.rows}

    def finish(values: Mapping[str, Any]) -> Any:
        if values["missed"]:
            raise UserError(f"{values['missed']} keys found no room among {size}; give a larger size")
        many = int(values["groups"])
        n = np.asarray(values["n"])[:many]
        sums = [np.asarray(values[f"sum{j}"], np.float64)[:many] for j in range(len(found))]
        made = [{"count": n, "sum": total, "mean": total / n} for total in sums]
        return _frame(made, np.asarray(values["key"])[:many], names, statistics, single)

    return Answer(finish, groups=front.chosen, missed=groups["missed"][0], **parts)


def _table(key: SecretArray, found: Sequence[SecretArray], counted: SecretArray | None) -> dict[str, SecretArray]:
    """Key, who counts, and the values of those."""
    flags = q.ones_like(key, dtype=INT) if counted is None else counted.astype(INT)
    values = [summable(column) for column in found]
    masked = values if counted is None else [one * flags for one in values]
    return {"key": key, "counts": flags, **{f"x{j}": one for j, one in enumerate(masked)}}


def _frame(made: list[dict[str, Any]], keys: Any, names: list[Any], statistics: Sequence[str], single: bool) -> Any:
    pd = needed("pandas")
    tables = [pd.DataFrame({one: found[one] for one in statistics}, index=keys) for found in made]
    return tables[0] if single else pd.concat(tables, axis=1, keys=names)
