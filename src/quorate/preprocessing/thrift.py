"""When to go over to silent correlations, which cost much to start and little after."""

from __future__ import annotations

__all__ = ["Thrift"]


class Thrift:
    """Rents until it has paid what buying costs: so never more than about twice what foresight would have paid.

    Times are the model's, in nanoseconds, so that all participants decide alike.
    """

    def __init__(self) -> None:
        self._spent = 0

    def buys(self, iterations: int, start: int, once: int, yielded: int, plain: int) -> bool:
        """Whether to take what is asked for from silent iterations.

        Args:
            iterations: how many that takes.
            start: what has to be paid before the first one.
            once: what an iteration takes.
            yielded: what it would take to make otherwise what an iteration makes.
            plain: what it would take to make otherwise what is asked for.
        """
        if not iterations:
            return True
        if once < yielded and start + iterations * once <= self._spent + plain:
            self._spent = 0
            return True
        self._spent += plain
        return False
