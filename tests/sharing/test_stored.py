"""Shares and arrays as bytes: back as they were, or refused."""

import numpy as np
import pytest

from quorate.errors import EnvironmentFault
from quorate.kernels.ghost import ghost, is_ghost
from quorate.sharing.share import Arithmetic, Boolean
from quorate.sharing.stored import Form, Part, Reader, content_of, form_of, public_form

WORDS = np.arange(6, dtype=np.uint64).reshape(2, 3)
SHARES = [
    Arithmetic("rep3", (WORDS, WORDS + np.uint64(9))),
    Arithmetic("clear", (np.zeros((), np.uint64),)),
    Arithmetic("clear", (np.zeros((0, 2), np.uint64),)),
    Boolean("rep3", (np.array([0, 1], np.uint8),) * 2),
    Boolean("semi2k", (np.arange(3, dtype=np.uint16),), 12),
]
ARRAYS = [
    np.array([-1, 1 << 61], np.int64),
    np.array([[0.5]]),
    np.array([True, False]),
    np.array(3, np.int64),
    np.arange(4, dtype=np.int8),
    np.arange(4, dtype=">i4"),
    np.arange(8, dtype=np.int64)[::2],
]


def test_everything_comes_back():
    body = b"".join(content_of(share.parts) for share in SHARES) + b"".join(content_of((array,)) for array in ARRAYS)
    reader = Reader(body, "test")
    for share in SHARES:
        again = reader.share(form_of(share))
        assert (type(again), again.scheme, again.shape) == (type(share), share.scheme, share.shape)
        assert getattr(again, "width", None) == getattr(share, "width", None)
        for one, other in zip(again.parts, share.parts, strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
            one.fill(0)  # it is ours to write to
    for array in ARRAYS:
        found = reader.public(public_form(array))
        assert found.dtype == array.dtype.newbyteorder("=")
        assert found.shape == array.shape
        assert np.array_equal(found, array)
    reader.end()


def test_ghosts_take_no_bytes_and_have_to_be_expected():
    share = Arithmetic("semi2k", (ghost((1 << 20,), np.uint64),))
    assert content_of(share.parts) == b""
    again = Reader(b"", "test", ghosts=True).share(form_of(share))
    assert is_ghost(again.parts[0])
    assert again.shape == (1 << 20,)
    with pytest.raises(EnvironmentFault, match=r"^test: damaged: it has an array without content"):
        Reader(b"", "test").share(form_of(share))


WORD = Part("<u8", (1,))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Form("Share", "rep3", 0, (WORD,)), "kind 'Share'"),
        (Form("Public", "", 0, (WORD,)), "kind 'Public'"),
        (Form("Arithmetic", "rep3", 0, ()), "0 bits"),
        (Form("Arithmetic", "rep3", 8, (WORD,)), "8 bits"),
        (Form("Boolean", "rep3", 0, (WORD,)), "0 bits"),
        (Form("Boolean", "rep3", 65, (WORD,)), "65 bits"),
        (Form("Boolean", "rep3", 1, (WORD,)), "type '<u8' in a share of uint8"),
        (Form("Arithmetic", "rep3", 0, (Part("|O", (1,)),)), "type '|O'"),
        (Form("Arithmetic", "rep3", 0, (Part("<u8", (2,)),)), "too few bytes"),
        (Form("Arithmetic", "rep3", 0, (Part("<u8", (1 << 40, 1 << 40)),)), "too few bytes"),
        (Form("Arithmetic", "rep3", 0, (Part("<u8", (-1, -1)),)), "impossible shape"),
        (Form("Arithmetic", "rep3", 0, (Part("<u8", (1,) * 33),)), "impossible shape"),
    ],
)
def test_forms_that_make_no_sense_are_refused(form, message):
    with pytest.raises(EnvironmentFault) as caught:
        Reader(bytes(8), "here").share(form)
    assert str(caught.value).startswith("here: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Form("Arithmetic", "rep3", 0, (WORD,)), "where a public array is stored"),
        (Form("Public", "", 0, (WORD, WORD)), "where a public array is stored"),
        (Form("Public", "", 0, (Part("|b1", (8,)),)), "neither true nor false"),
        (Form("Public", "", 0, (Part("|S8", (1,)),)), "unknown type"),
    ],
)
def test_arrays_that_make_no_sense_are_refused(form, message):
    with pytest.raises(EnvironmentFault, match=message):
        Reader(bytes([2] * 8), "here").public(form)


def test_what_is_left_over_is_noticed():
    with pytest.raises(EnvironmentFault, match="3 bytes too many"):
        Reader(bytes(3), "here").end()
