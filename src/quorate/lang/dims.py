"""Sizes that are known only when a session starts: linear expressions over the row counts of inputs."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from quorate.errors import UserError

__all__ = ["Dim", "Shape", "Size", "bind_size", "parse_size", "rows_of", "text_of"]


@dataclass(frozen=True, slots=True)
class Dim:
    """`constant` plus the sum of coefficient * rows(input); use `+`, `-` and `*` with integers and each other.

    Terms are sorted by input and have no zero coefficient, so equal expressions are equal.
    """

    terms: tuple[tuple[str, int], ...]
    constant: int = 0

    def __add__(self, other: Size) -> Size:
        if not isinstance(other, Dim):
            return Dim(self.terms, self.constant + self._whole(other, "+"))
        merged = dict(self.terms)
        for name, factor in other.terms:
            merged[name] = merged.get(name, 0) + factor
        return _simplest(merged, self.constant + other.constant)

    __radd__ = __add__

    def __mul__(self, factor: int) -> Size:
        factor = self._whole(factor, "*")
        return _simplest({name: value * factor for name, value in self.terms}, self.constant * factor)

    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + (-other if isinstance(other, Dim) else -self._whole(other, "-"))

    def __rsub__(self, other: int) -> Size:
        return -self + other

    def _whole(self, other: object, sign: str) -> int:
        if isinstance(other, Dim) or not hasattr(other, "__index__"):
            raise UserError(f"({self}) {sign} ({other}): a row count takes whole numbers: + - and * by a number")
        return operator.index(other)

    def __bool__(self) -> NoReturn:
        raise UserError(f"whether {self} is zero is not known before the session starts; the plan cannot depend on it")

    def __index__(self) -> NoReturn:
        raise UserError(f"the number {self} is not known before the session starts; the plan cannot depend on it")

    def __str__(self) -> str:
        parts = [f"{'' if factor == 1 else f'{factor}*'}rows({name})" for name, factor in self.terms]
        if self.constant:
            parts.append(str(self.constant))
        return "+".join(parts).replace("+-", "-")

    def bind(self, rows: Mapping[str, int]) -> int:
        """The number for given row counts. Raises `UserError` if an input is missing or the result is negative."""
        total = self.constant
        for name, factor in self.terms:
            if name not in rows:
                raise UserError(f"the number of rows of input {name!r} is not known")
            total += factor * rows[name]
        if total < 0:
            raise UserError(f"the size {self} is negative with {dict(rows)}: an input has too few rows")
        return total


Size = int | Dim
Shape = tuple[Size, ...]

_TERM = re.compile(r"([+-]?)(?:([0-9]{1,18})\*)?rows\(([A-Za-z_][A-Za-z0-9_]*)\)|([+-]?)([0-9]{1,18})")


def rows_of(name: str) -> Dim:
    """The number of rows of an input."""
    return Dim(((name, 1),))


def text_of(size: Size) -> int | str:
    """A size as it stands in a plan: an integer, or text that `parse_size` reads."""
    return size if isinstance(size, int) else str(size)


def parse_size(value: int | str) -> Size:
    """The inverse of `text_of`. Raises `UserError` for anything that `text_of` does not write."""
    if isinstance(value, int):
        if value < 0:
            raise UserError(f"{value} is not a size")
        return value
    terms: dict[str, int] = {}
    constant, position = 0, 0
    while position < len(value):
        found = _TERM.match(value, position)
        if found is None:
            break
        if found[3]:
            terms[found[3]] = terms.get(found[3], 0) + int(found[2] or 1) * (-1 if found[1] == "-" else 1)
        else:
            constant += int(found[5]) * (-1 if found[4] == "-" else 1)
        position = found.end()
    size = _simplest(terms, constant)
    if position != len(value) or text_of(size) != value:
        raise UserError(f"{value!r} is not a size in canonical form, such as rows(a)+2*rows(b)-1")
    return size


def bind_size(size: Size, rows: Mapping[str, int]) -> int:
    """A size with row counts filled in."""
    return size if isinstance(size, int) else size.bind(rows)


def _simplest(terms: Mapping[str, int], constant: int) -> Size:
    kept = tuple(sorted((name, factor) for name, factor in terms.items() if factor))
    return Dim(kept, constant) if kept else constant
