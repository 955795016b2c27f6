"""A first draft of a schema, guessed from the values of a table, for owners to agree on.

Types are the narrowest that all values fit; ranges are rounded outwards. The draft tells something about the data, such
as the order of its smallest and largest values, so its owner should read it before passing it on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quorate.data.csv_table import CsvTable
from quorate.data.looks import header_doubt, is_prose, other_separator, written_otherwise
from quorate.data.scan import Progress
from quorate.data.source import open_source
from quorate.data.table import Arrow, Table
from quorate.data.times import seconds
from quorate.data.values import coded, decimals, normalised, whole
from quorate.errors import DataError

__all__ = ["suggest"]

_MOST_CATEGORIES = 50
_MOST_KEPT = 100_000
_FEW_ROWS = 20
_MOST_LINES = 10
_BOOLS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
_BITS = ({"0", "1"}, {"0.0", "1.0"})
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = ("true", "false", "null", "none", "yes", "no")
_RAW_BITS = 45
_WIDEST = 2**58


@dataclass
class _Guess:
    """What the values of one column still may be."""

    name: str
    rows: int = 0
    missing: int = 0
    kinds: set[str] = field(default_factory=lambda: {"int", "timestamp", "fixed", "bool"})
    low: float = math.inf
    high: float = -math.inf
    texts: dict[str, str] = field(default_factory=dict)
    repeated: bool = False
    zones: set[bool] = field(default_factory=set)

    def take(self, array: Arrow) -> None:
        """Note a batch."""
        array, is_text = normalised(array)
        self.rows += len(array)
        self.missing += array.null_count
        present = array.drop_null()
        for kind in sorted(self.kinds):
            if len(present) and not self._fits(kind, present, is_text):
                self.kinds.discard(kind)
        if len(self.texts) <= _MOST_KEPT:
            self._remember(present)

    def _fits(self, kind: str, present: Arrow, is_text: bool) -> bool:
        import pyarrow as pa

        if kind == "bool":
            return bool(pa.types.is_boolean(present.type)) or is_text
        if kind == "timestamp":
            return self._are_times(present, is_text)
        if pa.types.is_boolean(present.type) or pa.types.is_temporal(present.type):
            return False
        numbers = whole(present, is_text) if kind == "int" else decimals(present, is_text)
        if numbers.null_count:
            return False
        values = numbers.to_numpy(zero_copy_only=False)
        if not np.isfinite(values).all():
            return False
        self.low, self.high = min(self.low, values.min().item()), max(self.high, values.max().item())
        return True

    def _are_times(self, present: Arrow, is_text: bool) -> bool:
        import pyarrow as pa

        if not is_text and not pa.types.is_temporal(present.type):
            return False
        times = seconds(present, is_text, None, None, None)
        stated = [bool(flags.true_count) for flags in (times.zoned, times.naive)]
        self.zones |= {zoned for zoned, found in zip((True, False), stated, strict=True) if found}
        if times.seconds.null_count or not any(stated):
            return False
        values = times.seconds.to_numpy(zero_copy_only=False)
        self.low, self.high = min(self.low, values.min().item()), max(self.high, values.max().item())
        return True

    def _remember(self, present: Arrow) -> None:
        before = len(self.texts)
        texts = [text for text in coded(present).to_pylist() if text is not None]
        self.texts.update((text.casefold(), text) for text in texts if text.casefold() not in self.texts)
        self.repeated = self.repeated or len(self.texts) - before < len(texts)

    # -- the guess ----------------------------------------------------------------------------------------------------

    def fields(self) -> dict[str, Any] | None:
        """The fields of the column; None if it should be left out."""
        kind = self._kind()
        if kind is None:
            return None
        found: dict[str, Any] = {"name": self.name, "type": kind}
        if kind == "category":
            found["categories"] = sorted(self.texts.values())
        elif kind == "key":
            found |= {"domain": "write a text here that all owners use", "unique": True}
        elif kind == "int":
            found["range"] = [_outwards(self.low, down=True), _outwards(self.high, down=False)]
        elif kind == "fixed":
            found |= self._scaled()
        elif kind == "timestamp" and self.zones == {True, False}:
            found["zone"] = "UTC"
        return found | ({"missing": "drop"} if self.missing else {})

    def _kind(self) -> str | None:
        if self.missing == self.rows:
            return None
        if "bool" in self.kinds and any(set(self.texts) <= words for words in _BOOLS):
            return "bool"
        if "int" in self.kinds and set(self.texts) in _BITS:
            return "bool"
        if "timestamp" in self.kinds:
            return "timestamp"
        if "int" in self.kinds and max(abs(self.low), abs(self.high)) < _WIDEST:
            return "int"
        if "fixed" in self.kinds:
            return "fixed"
        if len(self.texts) <= _MOST_CATEGORIES and (self.repeated or self.rows <= _FEW_ROWS):
            return "category"
        return None if self.repeated or is_prose(self.texts.values()) else "key"

    def _scaled(self) -> dict[str, Any]:
        low, high = (_outwards(end, down=down) for end, down in ((self.low, True), (self.high, False)))
        bits = math.frexp(max(abs(low), abs(high)))[1]
        return {"scale": max(-32, min(_RAW_BITS - bits, 16 if bits > -4 else 30)), "range": [low, high]}

    def comments(self) -> list[str]:
        """What owners should look at."""
        if self.missing == self.rows:
            return ["all values are missing"]
        kind = self._kind()
        if kind is None:
            mixed = "some of them repeated: not a category, nor a unique key"
            return ["left out: " + ("texts of many kinds, " + mixed if self.repeated else "free text, or names")]
        said = [f"missing in {self.missing} of {self.rows} rows: drop, fill or reject?"] if self.missing else []
        if kind in ("category", "key") and (hint := written_otherwise(self.texts.values())):
            said.append(hint)
        if kind == "bool" and set(self.texts) in _BITS:
            said.append("only 0 and 1 occur; if it counts something, make it an int with a range")
        if kind == "timestamp" and self.zones == {True, False}:
            said.append("some times state a zone, some do not: which zone are these in?")
        return said


def suggest(source: object, name: str = "table", *, progress: Progress | None = None) -> str:
    """The text of a schema document for `source` (see `open_source`), which is read once, in batches.

    Raises:
        DataError: the source is empty or malformed.
        UserError, EnvironmentFault: see `open_source`.
    """
    table = open_source(source).table
    names = list(dict.fromkeys(column for column in table.names if column.strip()))
    if not names:
        raise DataError(f"{table.label}: no column has a name; give the file a header")
    guesses = [_Guess(column) for column in names]
    if isinstance(table, CsvTable) and (wrong := other_separator(table.names)):
        raise DataError(f"{table.label}: {wrong}")
    rows = 0
    for batch in table.batches(names):
        rows += batch.num_rows
        for guess, column in zip(guesses, batch.columns, strict=True):
            guess.take(column)
        if progress is not None:
            progress(*table.done())
    if not rows:
        raise DataError(f"{table.label}: {_nothing(table)}; there is nothing to guess from")
    notes = [_left_out(table), header_doubt({guess.name: guess.texts for guess in guesses})]
    head = [f"# {note}" for note in (_origin(rows), *notes) if note]
    lines = [line for guess in guesses for line in _lines(guess)]
    empty = "" if any(guess.fields() for guess in guesses) else " []"
    return "\n".join([*head, "schema: 1", f"name: {_yaml(name)}", f"columns:{empty}", *lines, *_tail(rows)])


def _origin(rows: int) -> str:
    counted = "1 row" if rows == 1 else f"{rows} rows"
    return f"Guessed from {counted}. Categories and ranges tell something about them: read before you pass this on."


def _nothing(table: Table) -> str:
    if table.ragged:
        return f"no row has as many fields as the header, which has {len(table.names)}"
    return "has no rows"


def _left_out(table: Table) -> str | None:
    """Which rows nothing was guessed from."""
    if not table.ragged:
        return None
    lines = [str(line) for line, _ in table.ragged]
    rows = "row" if len(lines) == 1 else "rows"
    listed = ", ".join(lines[:_MOST_LINES]) + (", ..." if len(lines) > _MOST_LINES else "")
    return f"Left out for more or fewer fields than the header has: {rows} {listed}. Check for missing or extra commas."


def _lines(guess: _Guess) -> Iterator[str]:
    yield from (f"  # {_yaml(guess.name)}: {comment}" for comment in guess.comments())
    fields = guess.fields()
    if fields is not None:
        yield f"  - {{{', '.join(f'{key}: {_yaml(value)}' for key, value in fields.items())}}}"


def _tail(rows: int) -> Iterator[str]:
    yield "min_rows: 1"
    yield f"max_rows: {max(1000, _outwards(2 * rows, down=False))}"


def _yaml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.casefold() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _outwards(value: float, *, down: bool) -> float:
    """The next number of two digits away from the values; 0 is as good a lower end for small positive ones."""
    if value == 0 or (down and value > 0):
        return 0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    rounded = (math.floor if down else math.ceil)(value / step) * step
    return round(rounded) if step >= 1 or float(rounded).is_integer() else float(f"{rounded:.12g}")
