"""Which protocol can run with which parties, threshold and dealer: the same rules refuse a spec and guide `auto`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quorate.data.document import one_of
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.protocols.registry import PLUG_INS, PROTOCOLS, default_threshold, make, protocol_class

__all__ = [
    "AUTO",
    "LEAST_SECURITY",
    "adversary_problems",
    "auto_problems",
    "dropout_problems",
    "plug_ins",
    "protocol_problems",
]

AUTO = "auto"
"""In place of a protocol's name: the cheapest that fits is chosen when the spec is compiled."""
_MAX_PARTIES = 64
LEAST_SECURITY = 40
"""Bits of statistical security: with fewer a cheater would get away too easily."""

Problem = tuple[str, str]
"""(path of the field, what is wrong with it and what to do)."""


def protocol_problems(
    name: str, parties: Sequence[str], threshold: int | None, dealer: str | None, known: Sequence[str]
) -> Iterator[Problem]:
    """Why protocol `name` cannot run with this; nothing if it can.

    Args:
        parties: names of the compute parties.
        threshold: how many of them may pool what they see and learn nothing; None for the protocol's usual value.
        dealer: the member that deals randomness, if the spec names one.
        known: names of protocols that may be used.
    """
    count = len(parties)
    if name not in known and name not in PROTOCOLS and name in plug_ins():
        yield from _plug_in_problems(name, parties, threshold, dealer)
        return
    if name not in known:
        why = " ('clear' computes without any protection and serves tests only)" if name == "clear" else ""
        yield "protocol.name", one_of(name, "protocol", known) + why
        return
    cls = protocol_class(name)
    least = 2 if cls.majority == "dishonest" else 3
    if count > _MAX_PARTIES:
        yield "parties", f"{count} parties are too many; use at most {_MAX_PARTIES}"
    elif cls.exact_parties is not None and count != cls.exact_parties:
        yield (
            "parties",
            f"{name} is for exactly {cls.exact_parties} parties, {count} are listed; for other numbers use semi2k or "
            "shamir (from 3 parties on), against parties that cheat spdz2k, spdz or shamir_malicious",
        )
    elif count < least == 2:
        yield "parties", f"{name} needs at least 2 parties, {count} listed; one party alone would see everything"
    elif count < least and cls.majority == "honest":
        yield "parties", f"{name} needs at least 3 parties, {count} listed; use semi2k, spdz or spdz2k for 2"
    else:
        given = default_threshold(name, count) if threshold is None else threshold
        yield from (("protocol.threshold", why) for why in _threshold_problem(name, given, count))
    yield from _dealer_problems(cls, parties, dealer)


def adversary_problems(name: str, adversary: str, security: int | None) -> Iterator[Problem]:
    """Why protocol `name` does not protect as stated; nothing if it does, or if there is no such protocol."""
    if name not in PROTOCOLS and name not in plug_ins():
        return
    cls = protocol_class(name)
    if cls.adversary == "semi-honest" and adversary == "malicious":
        kin = {
            "rep3": "rep3_malicious",
            "shamir": "shamir_malicious",
            "shamir_quorum": "shamir_malicious",
            "semi2k": "spdz2k or spdz",
        }.get(name)
        yield (
            "protocol.adversary",
            f"{name} protects against semi-honest parties only; use {kin or 'a malicious protocol'}, or state "
            "adversary: semi-honest",
        )
    elif cls.adversary == "malicious" and adversary == "semi-honest":
        yield "protocol.adversary", f"{name} withstands parties that cheat; state what you get: adversary: malicious"
    if security is None:
        return
    if cls.adversary != "malicious":
        yield "protocol.security", f"{name} makes no checks that could fail by chance; remove this key"
    elif not LEAST_SECURITY <= security <= cls.most_security:
        yield (
            "protocol.security",
            f"{security} bits are not possible with {name}; use {LEAST_SECURITY} to {cls.most_security} (a cheater "
            "gets away with probability 2**-bits)",
        )


def auto_problems(parties: Sequence[str], threshold: int | None) -> Iterator[Problem]:
    """What has to be stated for `auto` beside the adversary, and is not; nothing if all is there."""
    most = max(1, len(parties) - 1)
    if threshold is None:
        yield "protocol.threshold", "is missing; say how many parties may pool what they see and learn nothing"
    elif not 1 <= threshold <= most:
        yield "protocol.threshold", f"{threshold} is not possible for {len(parties)} parties; use {_choice(1, most)}"


def plug_ins() -> list[str]:
    """Names of the protocols that other installed packages offer."""
    from importlib.metadata import entry_points  # takes a while, and few need it

    return sorted(entry.name for entry in entry_points(group=PLUG_INS))


def _plug_in_problems(
    name: str, parties: Sequence[str], threshold: int | None, dealer: str | None
) -> Iterator[Problem]:
    """A protocol of another package knows its rules itself."""
    participants = (*parties, dealer) if dealer is not None else tuple(parties)
    session = Session(0, len(parties), participants, None if dealer is None else len(parties), counting=True)
    try:
        make(name, session, threshold)
    except UserError as problem:
        yield "protocol", str(problem)


def _threshold_problem(name: str, threshold: int, parties: int) -> Iterator[str]:
    """In words, why `threshold` does not fit; nothing if it does. `parties` fits the protocol."""
    cls = protocol_class(name)
    most = default_threshold(name, parties)
    least = 1 if cls.majority == "honest" and cls.exact_parties is None else most
    if threshold < 1:
        yield (
            f"{threshold} is too low: every single party would learn all inputs; "
            f"use {_choice(least, most)} ({most}: any {most} of {parties} parties together learn nothing)"
        )
    elif threshold < least:
        yield (
            f"{threshold} is too low: {name} always protects against any {most} of {parties} parties, less protection "
            f"would save no work; use {most} or leave it out"
        )
    elif threshold > most:
        why = _why_too_high(name, threshold)
        yield f"{threshold} is too high for {parties} parties: {why}; use {_choice(least, most)}"


def _why_too_high(name: str, threshold: int) -> str:
    cls = protocol_class(name)
    if cls.exact_parties == 3:
        return f"in {name} any two parties together hold all shares, so only single parties learn nothing"
    if cls.majority == "dishonest":
        return "all parties together hold all shares and can always reconstruct"
    need = 2 * threshold + 1
    return f"{name} multiplies with 2t + 1 shares, so t = {threshold} needs at least {need} parties"


def _choice(least: int, most: int) -> str:
    return str(most) if least == most else f"{least} to {most}"


def _dealer_problems(cls: type[Protocol], parties: Sequence[str], dealer: str | None) -> Iterator[Problem]:
    if dealer is None:
        return
    if not cls.dealer_allowed:
        yield "dealer", f"{cls.name} works without a dealer; remove this key"
    elif dealer in parties:
        yield "dealer", f"{dealer!r} is a compute party and would learn all inputs; name another member"


def dropout_problems(name: str, on_dropout: str, *, lasting: bool) -> Iterator[Problem]:
    """Why a session cannot go on without parties that are lost; nothing if it can, or need not."""
    if on_dropout != "continue" or name not in (*PROTOCOLS, *plug_ins()):
        return
    if not protocol_class(name).survives:
        able = " or ".join(other for other in PROTOCOLS if protocol_class(other).survives)
        yield "abort.on_dropout", f"{name} needs all parties to the end; use {able}, or 'abort'"
    if not lasting:
        yield "abort.on_dropout", "'continue' needs 'delivery: durable' or 'delivery: queued'"
