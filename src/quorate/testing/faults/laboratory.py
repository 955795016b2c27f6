"""A durable session in virtual time, under a plan of faults: what happens is checked at every event.

lab = Laboratory(rig)                        # a rig says how a participant's process starts
lab.run(plan)                                # AssertionError with the plan, if a rule is broken
lab.run(Plan.read(text))                     # the same again, exactly

Rules: under one position (of a channel, of a cipher, of named randomness) there is only ever one content; nothing is
said before everything that it may depend on is durable; the results are those of the undisturbed run; what has failed
stays failed, also after a restart; who is put back to an old backup refuses to go on; no honest parcel is refused; and
some time after the last fault the session has ended.
"""

from __future__ import annotations

from quorate.testing.faults.ledger import Violation
from quorate.testing.faults.plan import Kill, Plan
from quorate.testing.faults.rig import Outcome, Rig
from quorate.testing.faults.run import Run

__all__ = ["PATIENCE", "Laboratory"]

PATIENCE = 600.0
"""Virtual seconds after the last fault within which a session has to end."""


class Laboratory:
    """Runs a rig under plans of faults.

    Args:
        rig: what is run.
        patience: virtual seconds after the last fault within which the session has to end.
    """

    def __init__(self, rig: Rig, patience: float = PATIENCE) -> None:
        self.rig = rig
        self.patience = patience
        self._undisturbed: Outcome | None = None

    def undisturbed(self) -> Outcome:
        """The run in which nothing goes wrong; made once."""
        if self._undisturbed is None:
            outcome = Run(self.rig, Plan(), self.patience).play()
            if "failed" in outcome.states:
                raise Violation("fails undisturbed", "; ".join(filter(None, outcome.failures)))
            self._undisturbed = outcome
        return self._undisturbed

    def run(self, plan: Plan) -> Outcome:
        """Run under a plan, and check.

        Raises:
            Violation: a rule was broken; the notes hold the plan and the last events.
        """
        wanted = self.undisturbed()
        run = Run(self.rig, plan, self.patience)
        try:
            outcome = run.play()
            self._check(plan, outcome, wanted)
        except Exception as problem:
            problem.add_note(f"plan: {plan.text()}")
            problem.add_note(run.story())
            raise
        return outcome

    def _check(self, plan: Plan, outcome: Outcome, wanted: Outcome) -> None:
        lossy = bool(self.rig.corrupt) or any(
            isinstance(f, Kill) and (f.backup is not None or f.rot is not None) for f in plan.faults
        )
        if outcome.refused and not (plan.network.forged or lossy):
            raise Violation("refused", outcome.refused[0])
        for participant, state in enumerate(outcome.states):
            if state == "failed":
                if not lossy:
                    raise Violation("failed", f"participant {participant}: {outcome.failures[participant]}")
            elif participant not in self.rig.corrupt and not self.rig.equal(
                outcome.results[participant], wanted.results[participant]
            ):
                raise Violation("another result", f"participant {participant} got something else than undisturbed")
            elif outcome.stale[participant]:
                raise Violation("rolled back", f"participant {participant} went on from an old backup, to the end")
