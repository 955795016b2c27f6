"""The watched source of randomness: cutoffs, alarms on broken sources, none on good ones, and no way around."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest

from quorate.crypto import entropy
from quorate.crypto.entropy import SystemEntropy, Watched
from quorate.crypto.hashing import new_salt
from quorate.crypto.health import WINDOW, Health, proportion_cutoff, run_cutoff
from quorate.crypto.pki import create_authority
from quorate.errors import EnvironmentFault

SOURCE = Path(entropy.__file__).parents[1]


class Broken:
    """Good bytes from a seeded generator, changed by `spoil` after the first `good` bytes."""

    def __init__(self, spoil, good=0):
        self.random, self.spoil, self.left = np.random.default_rng(7), spoil, good

    def read(self, count):
        data = self.random.integers(0, 256, count, np.uint8)
        keep, self.left = min(self.left, count), max(0, self.left - count)
        data[keep:] = self.spoil(data[keep:])
        return data.tobytes()


def stuck(data):
    return np.full_like(data, 0xA5)


def biased(data):
    """One byte in eight is zero: 3 bits of min-entropy."""
    return np.where(data % 8 == 0, 0, data).astype(np.uint8)


def text(data):
    return (data % 10 + 48).astype(np.uint8)


def tail(least, window, entropy_bits):
    p = Fraction(1, 1 << entropy_bits)
    return sum(comb(window, k) * p**k * (1 - p) ** (window - k) for k in range(least, window + 1))


def test_the_cutoffs_are_the_smallest_with_the_stated_rate_of_false_alarms():
    alpha = Fraction(1, 1 << 40)
    assert Fraction(1, 1 << 7) ** (run_cutoff() - 1) <= alpha < Fraction(1, 1 << 7) ** (run_cutoff() - 2)
    assert tail(proportion_cutoff(), 512, 7) <= alpha < tail(proportion_cutoff() - 1, 512, 7)


@pytest.mark.parametrize(("window", "entropy_bits", "alarm_bits"), [(512, 8, 20), (512, 2, 30), (1024, 1, 40)])
def test_other_windows_and_entropies(window, entropy_bits, alarm_bits):
    cutoff = proportion_cutoff(window, entropy_bits, alarm_bits)
    assert tail(cutoff, window, entropy_bits) <= Fraction(1, 1 << alarm_bits) < tail(cutoff - 1, window, entropy_bits)


@pytest.mark.parametrize("spoil", [stuck, biased, text])
def test_a_broken_source_gives_nothing_from_the_start(spoil):
    source = Watched(Broken(spoil).read)
    for _ in range(2):
        with pytest.raises(EnvironmentFault, match=r"a byte came \d+ times.*quorate doctor"):
            source.bytes(16)


@pytest.mark.parametrize("spoil", [stuck, biased, text])
@pytest.mark.parametrize("size", [16, 5000])
def test_a_source_that_breaks_later_is_noticed_within_a_few_windows(spoil, size):
    broken = Broken(spoil, good=10_000)
    source = Watched(broken.read)
    drawn = 0

    def draw_on():
        nonlocal drawn
        while drawn < 50_000:
            drawn += len(source.bytes(size))

    with pytest.raises(EnvironmentFault, match="broken"):
        draw_on()
    assert drawn <= 10_000 + 4 * WINDOW
    broken.left = 1 << 30
    with pytest.raises(EnvironmentFault, match="draws nothing any more"):
        source.bytes(size)


def test_a_source_that_runs_dry_is_refused():
    source = Watched(lambda count: os.urandom(min(count, 5000)))
    source.bytes(32)
    with pytest.raises(EnvironmentFault, match="5000 bytes where 6000"):
        source.bytes(6000)


@pytest.mark.parametrize("length", [6, 7])
@pytest.mark.parametrize("split", range(8))
def test_runs_are_counted_across_draws(length, split):
    data = bytes(range(100)) + b"\xff" * length + bytes(range(100))
    health = Health()
    health.feed(data[: 100 + split])
    alarm = health.feed(data[100 + split :])
    assert health.longest_run == length
    assert (alarm is not None) == (length >= run_cutoff())


def naive(data):
    """The adaptive proportion test one sample at a time, as the standard writes it down."""
    most = 0
    for start in range(0, len(data), WINDOW):
        window = data[start : start + WINDOW]
        most = max(most, window.count(window[0]))
    return most


def test_windows_do_not_depend_on_how_draws_are_cut():
    random = np.random.default_rng(1)
    data = (random.integers(0, 256, 200_000, np.uint8) >> 1).tobytes()
    cuts = np.sort(random.integers(0, len(data), 300))
    health = Health()
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        health.feed(data[start:stop])
    whole = Health()
    whole.feed(data)
    assert health.most_in_window == whole.most_in_window == naive(data)
    assert health.longest_run == whole.longest_run == max(len(m[0]) for m in re.finditer(rb"(?s)(.)\1*", data))


def test_good_bytes_pass_and_nothing_is_needed_for_none():
    source = Watched(os.urandom)
    assert source.bytes(0) == b""
    assert len(source.bytes(1 << 20)) == 1 << 20
    assert len({source.bytes(16) for _ in range(100)}) == 100


def test_a_forked_process_tests_anew_and_a_failure_stays():
    calls = []
    good = Watched(lambda count: calls.append(count) or os.urandom(count))
    good.bytes(16)
    good.forked()
    good.bytes(16)
    assert calls == [4096, 16, 4096, 16]
    bad = Watched(lambda count: bytes(count))
    with pytest.raises(EnvironmentFault):
        bad.bytes(1)
    bad.forked()
    with pytest.raises(EnvironmentFault):
        bad.bytes(1)


def test_salts_and_private_keys_come_from_the_watched_source(monkeypatch, tmp_path):
    monkeypatch.setattr(entropy, "_SYSTEM", Watched(lambda count: bytes(count)))
    for draw in (new_salt, lambda: SystemEntropy().bytes(4), lambda: create_authority(tmp_path, "test")):
        with pytest.raises(EnvironmentFault, match="random number source"):
            draw()
    assert list(tmp_path.iterdir()) == []


def test_nobody_asks_for_randomness_elsewhere():
    pattern = re.compile(
        r"urandom|secrets\.token|^import secrets|random_serial_number|generate_private_key|getrandom", re.MULTILINE
    )
    found = {str(p.relative_to(SOURCE)) for p in SOURCE.rglob("*.py") if pattern.search(p.read_text())}
    assert found == {"crypto/entropy.py"}
