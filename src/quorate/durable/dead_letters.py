"""Dead letters of a member: what they are, putting them back, deleting them, and doing both by rule.

Nothing here shows or copies the content of a parcel.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from quorate.durable.audit import Audit
from quorate.durable.consumer import Consumer
from quorate.durable.frames import Fault
from quorate.transport.carrier import Carrier, DeadLetter, Queue

__all__ = [
    "AT_ONCE",
    "BOXES",
    "Decision",
    "Found",
    "Ruling",
    "Standing",
    "apply",
    "found",
    "queues_of",
    "reconcile",
    "rule_for",
    "rule_for_rounds",
    "rule_for_statements",
    "select",
]

BOXES = ("shares", "sets", "rounds", "replies")
"""Kinds of queues that a member has in a session."""

REJECTED = "rejected"
AT_ONCE = 1000
"""Dead letters of one queue that are looked at together."""

MOST = 20_000
"""Dead letters of one queue that are dealt with by rule; kept ones among the oldest do not hide others before that."""
MOST_BYTES = 256 << 20
"""Of dead letters that are kept, beyond which no more are looked at; they are in memory together."""

Decision = Literal["retry", "drop", "keep"]
Standing = Literal["running", "ended", "unknown"]
"""How a session stands at a member."""


class Found(NamedTuple):
    """A dead letter, and in which queue it died."""

    queue: Queue
    letter: DeadLetter


class Ruling(NamedTuple):
    """What to do with a dead letter, and why."""

    decision: Decision
    why: str


Rule = Callable[[DeadLetter], Ruling]


def queues_of(member: str, sessions: Iterable[str]) -> list[Queue]:
    """The queues of `member` in these sessions, and that of its invitations."""
    sorts = [Queue(session, f"{box}.{member}") for session in sessions for box in BOXES]
    return [*sorts, Queue("invitations", member)]


def found(carrier: Carrier, queues: Iterable[Queue], most: int = AT_ONCE) -> list[Found]:
    """The dead letters of several queues, each oldest first; at most so many of one queue."""
    return [Found(queue, letter) for queue in queues for letter in carrier.dead(queue, most)]


def select(letters: Sequence[Found], idents: Sequence[str], reason: str | None = None) -> list[Found]:
    """Those with one of these idents (all, if there is none) whose reason begins with `reason`."""
    wanted = set(idents)
    return [
        each
        for each in letters
        if (not wanted or each.letter.parcel.ident in wanted) and each.letter.reason.startswith(reason or "")
    ]


def apply(carrier: Carrier, letters: Sequence[Found], decision: Decision, audit: Audit | None, why: str) -> None:
    """Retry or drop dead letters, with a line in the audit for each, written before it is done."""
    if audit is not None:
        for queue, letter in letters:
            audit.note(
                {"retry": "retried", "drop": "dropped", "keep": "kept"}[decision],
                queue.session,
                message=letter.parcel.ident,
                size=len(letter.parcel.body),
                carrier=carrier.scheme,
                note=f"dead letter in {queue.box}: {letter.reason}; {why}",
            )
        audit.flush(sync=True)
    act = {"retry": carrier.retry, "drop": carrier.drop}.get(decision)
    if act is None:
        return
    for queue in dict.fromkeys(each.queue for each in letters):
        act(queue, [each.letter for each in letters if each.queue == queue])


def reconcile(carrier: Carrier, queue: Queue, rule: Rule, audit: Audit | None) -> Counter[Decision]:
    """Deal with every dead letter of a queue by rule; how many were retried, dropped and kept.

    Raises:
        BrokerFault: the broker fails; what was decided so far is done, the rest is as it was.
    """
    counts: Counter[Decision] = Counter()
    while True:
        most = counts["keep"] + AT_ONCE  # those that are kept stay in front
        looked_at = found(carrier, [queue], most)
        for ruling, letters in _ruled(looked_at[counts["keep"] :], rule).items():
            apply(carrier, letters, ruling.decision, audit, ruling.why)
            counts[ruling.decision] += len(letters)
        held = sum(len(each.letter.parcel.body) for each in looked_at)
        if len(looked_at) < most or held > MOST_BYTES or counts.total() >= MOST:
            return counts


def _ruled(letters: Sequence[Found], rule: Rule) -> dict[Ruling, list[Found]]:
    groups: dict[Ruling, list[Found]] = {}
    for each in letters:
        groups.setdefault(rule(each.letter), []).append(each)
    return groups


def rule_for(consumer: Consumer | None) -> Rule:
    """The rule for the shares of a consumer; without one, everything is kept: nobody knows what is wanted.

    What the consumer took already is dropped. What is good and was not taken (it expired, or a crash came each time)
    is put back while the session is open, and dropped when it is closed. What was rejected stays, for people to see.
    """

    def rule(letter: DeadLetter) -> Ruling:
        if consumer is None:
            return Ruling("keep", "the session is not known here")
        if consumer.store.has(hashlib.sha256(letter.parcel.body).digest()):
            return Ruling("drop", "taken already")
        fault = consumer.judge(letter.parcel.body)
        if isinstance(fault, Fault):
            return Ruling("keep", f"unusable: {fault}")
        if letter.reason.startswith(REJECTED):
            return Ruling("keep", "was rejected")
        if consumer.store.fact("closed"):
            return Ruling("drop", "the session is closed")
        return Ruling("retry", "still wanted")

    return rule


def rule_for_rounds(standing: Standing) -> Rule:
    """The rule for messages of a computation: dropped once it is over, put back while it goes on unless rejected."""

    def rule(letter: DeadLetter) -> Ruling:
        if standing == "ended":
            return Ruling("drop", "the session has ended here")
        if standing == "unknown":
            return Ruling("keep", "the session is not known here")
        if letter.reason.startswith(REJECTED):
            return Ruling("keep", "was rejected")
        return Ruling("retry", "the session goes on")

    return rule


def rule_for_statements(_: DeadLetter) -> Ruling:
    """Letters that people sign to one another stay for people to see; who sent them sends them anew."""
    return Ruling("keep", "for people to see")
