"""What of the array API standard 2023.12 works on secrets; the page of the documentation is made from this table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["STANDARD", "Support", "page"]


class Support(NamedTuple):
    """Status and note of a function: "yes" (as the standard says), "differs" or "no"."""

    status: str
    note: str = ""


_YES = Support("yes")
_SHAPE = Support("no", "the shape of the result would show a secret; `quorate.unique` and masks keep shapes")
_MISSING = Support("no", "no circuit for it yet")
_NO_COMPLEX = Support("no", "there are no complex numbers")
_NO_GAIN = "without the extra precision near zero that floating point gains"
_UNIT = "the error is absolute, stated with the operation (see [Precision](../explanation/precision.md))"
_RANGE = f"the argument must be in the range that the circuit states; {_UNIT}"


def _several(names: str, support: Support = _YES) -> dict[str, Support]:
    return dict.fromkeys(names.split(), support)


STANDARD: dict[str, dict[str, Support]] = {
    "Constants": _several("e newaxis pi") | _several("inf nan", Support("differs", "exist, but no array holds them")),
    "Creation": {
        **_several("arange asarray eye full full_like linspace meshgrid ones ones_like tril triu zeros zeros_like"),
        **_several("empty empty_like", Support("differs", "zeros, so that nothing is left to chance")),
        "from_dlpack": Support("no", "memory is not shared with other libraries: values would leave the parties"),
    },
    "Data types": {
        **_several("bool int8 int16 int32 isdtype result_type iinfo can_cast broadcast_arrays broadcast_to"),
        "int64": Support("differs", "values lie between −2^62 and 2^62"),
        **_several(
            "float32 float64", Support("differs", "fixed point with 12 and 16 binary places; no NaN, no infinity")
        ),
        **_several("uint8 uint16 uint32 uint64", Support("no", "declare a range that starts at 0 instead")),
        **_several("complex64 complex128", _NO_COMPLEX),
        "finfo": Support("differs", "`eps` and `smallest_normal` are the unit of the last place, everywhere"),
        "astype": Support("differs", "to a float type of fewer places, either neighbour may come out"),
    },
    "Element-wise": {
        **_several(
            "abs bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor ceil clip"
        ),
        **_several("copysign equal floor floor_divide greater greater_equal isfinite isinf isnan less less_equal"),
        **_several(
            "logical_and logical_not logical_or logical_xor maximum minimum negative not_equal positive remainder"
        ),
        **_several("round sign signbit trunc"),
        **_several(
            "add subtract square",
            Support("differs", "overflow of an integer type is refused before anything runs, never wraps around"),
        ),
        "multiply": Support("differs", f"overflow of an integer type is refused before anything runs; {_UNIT}"),
        "divide": Support("differs", f"x / 0 = 0; {_UNIT}"),
        "pow": Support(
            "differs", f"of integers by secret exponents: fixed point; bases must be positive then; {_UNIT}"
        ),
        **_several("atan atan2 cos sin sqrt tanh hypot logaddexp", Support("differs", _UNIT)),
        **_several("exp cosh sinh log log2 log10 tan", Support("differs", _RANGE)),
        **_several("expm1 log1p", Support("differs", _NO_GAIN)),
        **_several("acos acosh asin asinh atanh", _MISSING),
        **_several("conj imag real", _NO_COMPLEX),
    },
    "Indexing": {"take": _YES},
    "Inspection": {"__array_namespace_info__": _YES},
    "Linear algebra": _several("matmul matrix_transpose tensordot vecdot"),
    "Manipulation": {
        **_several("concat expand_dims flip moveaxis permute_dims reshape roll squeeze stack tile unstack"),
        "repeat": Support("differs", "one public number of repetitions for all elements"),
    },
    "Searching": {**_several("argmax argmin searchsorted where"), "nonzero": _SHAPE},
    "Set": _several("unique_all unique_counts unique_inverse unique_values", _SHAPE),
    "Sorting": _several("argsort sort"),
    "Statistics": {
        **_several("cumulative_sum max min"),
        **_several("sum prod", Support("differs", "overflow is refused before anything runs")),
        **_several("mean", Support("differs", _UNIT)),
        **_several("var std", Support("differs", f"whole corrections only; {_UNIT}")),
    },
    "Utility": _several("all any"),
    "Array object": {
        **_several("dtype device mT ndim shape size T __abs__ __add__ __and__ __array_namespace__ __eq__ __floordiv__"),
        **_several(
            "__ge__ __gt__ __invert__ __le__ __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__"
        ),
        **_several("__pos__ __pow__ __rshift__ __sub__ __truediv__ __xor__ to_device"),
        **_several(
            "__bool__ __complex__ __float__ __index__ __int__",
            Support("differs", "here only, to look at results; in a computation they are refused"),
        ),
        "__getitem__": Support("differs", "no Boolean masks: how many elements they choose is secret"),
        "__setitem__": Support("no", "secret arrays never change; `where`, `concat`, `quorate.put`"),
        **_several("__dlpack__ __dlpack_device__", Support("no", "values would leave the parties")),
    },
    "Extensions": {
        **_several(
            "fft linalg", Support("no", "optional; `matmul`, `tensordot`, `vecdot` and `matrix_transpose` are there")
        ),
    },
}
"""Every name of the standard, by chapter."""

_HEAD = """# Array API

The [array API standard](https://data-apis.org/array-api/2023.12/) says what arrays can do in any library. This page
lists what of its version 2023.12 works on secrets. The list is checked: every function that works is run against
`array-api-strict` with the protocols `clear` and `rep3` (`tests/lang/test_array_api.py`). This page is made from the
same table by `python -m quorate.testing.array_api.support docs/reference/array-api.md`.

`quorate.testing.array_api` is the namespace of the standard. It is for conformance tests only: one process holds all
values, and runs all parties of a protocol for each operation. In computations use the
[functions of quorate](python.md), which have the same names.

`scripts/array_api.sh [PROTOCOL]` fetches the public test suite of the standard and runs it against this namespace, on
values that secrets can have. Which of its cases are left out, and why, stands in `tests/array_api/`. This page
comes from our own tests; no run of the public suite has been recorded yet.

| | functions |
|---|---|
"""

_WORDS = {"yes": "as in the standard", "differs": "differs", "no": "not on secrets"}


def page() -> str:
    """The page of the documentation."""
    every = [(name, support) for chapter in STANDARD.values() for name, support in chapter.items()]
    lines = [_HEAD.rstrip("\n")]
    lines += [f"| {text} | {sum(found.status == status for _, found in every)} |" for status, text in _WORDS.items()]
    for chapter, functions in STANDARD.items():
        lines += ["", f"## {chapter}", "", "| function | works | note |", "|---|---|---|"]
        lines += [f"| `{name}` | {_WORDS[found.status]} | {found.note} |" for name, found in sorted(functions.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
