"""Health tests of a source of random bytes: the two of NIST SP 800-90B (January 2018), section 4.4.

Repetition count test (4.4.1): a sample must not occur C times in a row, with C = 1 + ceil(-log2(alpha) / H).
Adaptive proportion test (4.4.2): the first sample of a window of W = 512 must not occur C times in that window, with
C = 1 + CRITBINOM(W, 2**-H, 1 - alpha), the smallest C - 1 that a binomial variable exceeds with probability at most
alpha. Here the tail is summed exactly, in integers.

Samples are bytes. H, the min-entropy per sample that is vouched for, is 7 bits: of a full-entropy byte one bit less.
alpha = 2**-40 per test for a source that has just H; for uniform bytes false alarms are rarer still: 2**-48 per byte
of the first test, less than 2**-60 per window of the second.

What the tests are for: a source that is stuck, or grossly biased (a broken driver, an emulated device, a shim in the
way of the system call). No test of its output can tell a good generator from a predictable one with good statistics.

The state kept between draws is two bytes of what was drawn, and counts.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["FALSE_ALARM_BITS", "MIN_ENTROPY", "START_SAMPLES", "WINDOW", "Health", "proportion_cutoff", "run_cutoff"]

MIN_ENTROPY = 7
"""H: bits of min-entropy per byte below which the source counts as broken."""
FALSE_ALARM_BITS = 40
"""-log2(alpha)."""
WINDOW = 512
"""W for samples with more than two values."""
START_SAMPLES = 4096
"""Samples tested before the first is used; SP 800-90B, section 4.3, asks for 1024."""
_PIECE = 1 << 16
Bytes = npt.NDArray[np.uint8]


def run_cutoff(entropy: int = MIN_ENTROPY, false_alarm_bits: int = FALSE_ALARM_BITS) -> int:
    """The number of equal samples in a row that is an alarm: 1 + ceil(-log2(alpha) / H)."""
    return 1 + -(-false_alarm_bits // entropy)


@cache
def proportion_cutoff(
    window: int = WINDOW, entropy: int = MIN_ENTROPY, false_alarm_bits: int = FALSE_ALARM_BITS
) -> int:
    """1 + CRITBINOM(window, 2**-entropy, 1 - 2**-false_alarm_bits), exactly.

    With q = 2**entropy, P(X = k) = C(window, k) (q - 1)**(window - k) / q**window, whose ratios are exact.
    """
    others = (1 << entropy) - 1
    tail, term = 0, 1  # P(X >= k) and P(X = k) in units of q**-window, from the far end
    for k in range(window, -1, -1):
        term = term * others * (k + 1) // (window - k) if k < window else 1
        tail += term
        if tail << false_alarm_bits > 1 << entropy * window:  # now P(X >= k) > alpha: k is the critical value
            return 1 + k
    return 1


class Health:
    """The state of both tests over one stream of samples. `feed` it everything that is drawn, in order."""

    def __init__(self) -> None:
        self.longest_run = 0
        self.most_in_window = 0
        self._last = -1
        self._run = 0
        self._first = -1
        self._seen = 0
        self._left = 0

    def feed(self, data: bytes) -> str | None:
        """Test the next samples; what is wrong with them, or None."""
        samples = np.frombuffer(data, np.uint8)
        for start in range(0, samples.size, _PIECE):
            piece = samples[start : start + _PIECE]
            self._repetitions(piece)
            self._proportions(piece)
        return self.alarm

    @property
    def alarm(self) -> str | None:
        """What was seen that a source with `MIN_ENTROPY` hardly ever shows; None: nothing."""
        if self.longest_run >= run_cutoff():
            return f"a byte came {self.longest_run} times in a row (limit {run_cutoff() - 1})"
        if self.most_in_window >= proportion_cutoff():
            return f"a byte came {self.most_in_window} times among {WINDOW} (limit {proportion_cutoff() - 1})"
        return None

    def _repetitions(self, piece: Bytes) -> None:
        """The longest run, those that began in earlier pieces included."""
        joined = piece if self._last < 0 else np.concatenate([np.array([self._last], np.uint8), piece])
        equal = np.flatnonzero(joined[1:] == joined[:-1])
        edges = np.flatnonzero(np.diff(equal) != 1) + 1
        runs = np.diff(np.concatenate([[0], edges, [equal.size]])) + 1
        if self._last >= 0 and equal.size and equal[0] == 0:
            runs[0] += self._run - 1
        self._run = int(runs[-1]) if equal.size and equal[-1] == joined.size - 2 else 1
        self._last = int(piece[-1])
        self.longest_run = max(self.longest_run, int(runs.max()))

    def _proportions(self, piece: Bytes) -> None:
        """Counts in windows that follow one another; the last one goes on with the next piece."""
        begun = piece[: self._left]
        if begun.size:
            self._note(self._seen + int(np.count_nonzero(begun == self._first)), self._left - begun.size)
        fresh = piece[begun.size :]
        whole = fresh[: fresh.size // WINDOW * WINDOW].reshape(-1, WINDOW)
        if whole.size:
            self._note(int(np.count_nonzero(whole == whole[:, :1], axis=1).max()), 0)
        rest = fresh[whole.size :]
        if rest.size:
            self._first = int(rest[0])
            self._note(int(np.count_nonzero(rest == self._first)), WINDOW - rest.size)

    def _note(self, seen: int, left: int) -> None:
        self._seen, self._left = seen, left
        self.most_in_window = max(self.most_in_window, seen)
