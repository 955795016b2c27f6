"""Opening numbers of which every party has a part that is not random by itself.

A value that one party chose, or a mask that one party knows, is shared by that party's part alone: the others hold
zero. What is computed from several of them has parts that speak of their owners' values one by one, and must not be
shown. So with three parties or more every part is refreshed with a pseudorandom sharing of zero before it is opened;
what any n - 1 parties see then is determined by the opened value and their own parts. With two parties the other
part follows from the value in any case.

Source: zero sharing from pairwise keys, Cramer, Damgard, Ishai, TCC 2005, section 3. Ours: applied to every opening.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name
from quorate.engine.session import Session
from quorate.kernels.ghost import contiguous
from quorate.sharing.domain import Domain, Element

__all__ = ["opened"]


def opened(session: Session, domain: Domain, mask: Name, name: Name, mine: Sequence[Element]) -> Step[list[Element]]:
    """What the parts of all parties add up to, of several arrays at once, to be checked by the caller.

    Args:
        mask: names the zero sharing, for which all pairs of parties have common keys.
        name: names the round.

    One round, 8 bytes per element and limb to each other party.
    """
    if session.me >= session.parties:
        yield Exchange(name)
        return [tuple(contiguous(limb) for limb in x) for x in mine]
    others = [party for party in range(session.parties) if party != session.me]
    fresh = _refreshed(session, domain, mask, mine) if len(others) > 1 else mine
    sent = [tuple(contiguous(limb) for limb in x) for x in fresh]
    flat = [limb for x in sent for limb in x]
    arriving = {other: [session.blank(limb.shape) for limb in flat] for other in others}
    yield Exchange(name, dict.fromkeys(others, flat), arriving)
    limbs, results = domain.limbs, []
    for k, x in enumerate(sent):
        theirs = [domain.received(tuple(got[k * limbs : (k + 1) * limbs])) for got in arriving.values()]
        results.append(domain.total([x, *theirs]))
    return results


def _refreshed(session: Session, domain: Domain, name: Name, mine: Sequence[Element]) -> list[Element]:
    """Our parts with pseudorandom sharings of zero added."""
    sizes = [limb.size for x in mine for limb in x]
    total = list(mine)
    for other in range(session.parties):
        if other == session.me:
            continue
        pair = (min(session.me, other), max(session.me, other))
        words, start = session.draw(pair, name, session.blank((sum(sizes),))), 0
        for k, x in enumerate(mine):
            limbs = []
            for limb in x:
                limbs.append(words[start : start + limb.size].reshape(limb.shape))
                start += limb.size
            drawn = domain.uniform(tuple(limbs))
            total[k] = (domain.add if session.me < other else domain.sub)(total[k], drawn)
    return total
