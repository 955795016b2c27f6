"""What has become of the records of a topic: which are done with, which were handed out how often, and to whom last.

Kafka keeps one number per reader, the first record that it has not done with. The rest stands in the text that may be
kept beside this number (4096 bytes): what is done further on, how far each consumer came, and the limits of the queue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from quorate.transport.carrier import Limits

__all__ = ["Ledger"]

_TEXT = re.compile(r"quorate1;([0-9.e+]+);([0-9]+);([0-9]+);([0-9a-f]*);([0-9,]*);([0-9,-]*)")
_LONGEST = 4000
_MOST_MARKS = 200


@dataclass
class Ledger:
    """The state of one topic, as far as its reader is concerned.

    Attributes:
        start: number of the first record that is not done with.
        done: numbers after `start` that are done with.
        marks: for every consumer so far, the latest last, the first record that it was not handed.
        owner: the consumer that came last; the records belong to it, and only it writes.
        is_noted: whether the broker had such a text; some keep the number only.
    """

    limits: Limits = field(default_factory=Limits)
    start: int = 0
    done: set[int] = field(default_factory=set)
    marks: list[int] = field(default_factory=list)
    owner: str = ""
    is_noted: bool = False

    def settle(self, numbers: Iterable[int]) -> None:
        """These are done with."""
        self.done.update(number for number in numbers if number >= self.start)
        while self.start in self.done:
            self.done.remove(self.start)
            self.start += 1

    def skip_to(self, number: int) -> None:
        """Nothing before this number exists any more."""
        self.start = max(self.start, number)
        self.done = {each for each in self.done if each >= self.start}
        self.settle(())

    def begin(self, owner: str) -> None:
        """A new consumer takes over."""
        earlier = [mark for mark in self.marks if mark > self.start]
        self.marks = [*earlier[-_MOST_MARKS:], self.start]
        self.owner = owner

    def hand_out(self, number: int) -> int:
        """The consumer gets this record: how many have got it so far."""
        self.marks[-1] = max(self.marks[-1], number + 1)
        return sum(mark > number for mark in self.marks)

    def learn(self, stored: Ledger) -> bool:
        """Take over what others have noted since; whether we are still the owner."""
        self.skip_to(stored.start)
        self.settle(stored.done)
        if stored.is_noted:
            self.limits = stored.limits
        return stored.owner == self.owner or not stored.is_noted

    def waiting(self, end: int) -> int:
        """How many records before `end` are not done with."""
        return max(0, end - self.start - sum(number < end for number in self.done))

    def text(self) -> str:
        """What to keep beside `start`; of too many scattered numbers the last are forgotten, and come once more."""
        marks = ",".join(str(max(0, mark - self.start)) for mark in self.marks)
        head = (
            f"quorate1;{self.limits.ttl!r};{self.limits.most_bytes};{self.limits.most_deliveries};{self.owner};{marks};"
        )
        tail = ""
        for first, last in _ranges(sorted(self.done)):
            part = f"{first - self.start}-{last - self.start},"
            if len(head) + len(tail) + len(part) > _LONGEST:
                break
            tail += part
        return head + tail.rstrip(",")

    @classmethod
    def read(cls, start: int, text: str | None) -> Ledger:
        """From number and text; what somebody else wrote there is passed over."""
        found = _TEXT.fullmatch(text or "")
        if not found:
            return cls(start=max(start, 0))
        ttl, most_bytes, deliveries, owner, marks, done = found.groups()
        ledger = cls(Limits(float(ttl), int(most_bytes), int(deliveries)), start, owner=owner, is_noted=True)
        ledger.marks = [start + int(mark) for mark in marks.split(",") if mark]
        for part in filter(None, done.split(",")):
            first, _, last = part.partition("-")
            ledger.done.update(range(start + int(first), start + int(last or first) + 1))
        return ledger


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
