"""An interactive session at a node: whether its plan may run under the standing approval, and what is kept of it.

Everything is checked here, against this node's own files, before the session is ready. What was accepted is written
down first. In the session all participants compare digests of spec and plan as in any other.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from quorate.coordination.aggregates import check_openings, lineage, proven
from quorate.coordination.lineage import Facts, Region, Strand, everywhere
from quorate.coordination.program import Outcome, Stored, check_plan, raw_bounds
from quorate.coordination.roster import roster
from quorate.coordination.spec import Spec, decode_spec
from quorate.coordination.standing import FILE, Standing, load_standing
from quorate.errors import IdentityError, UserError
from quorate.lang.operations.base import Bounds
from quorate.lang.plan import Operation, Plan
from quorate.lang.ranges import plan_ranges
from quorate.node.approval import Approved, kept_inputs, owner_of, stored_inputs
from quorate.node.collection import Collection, source_of
from quorate.node.desk import Assignment
from quorate.node.ledger import Ledger, numbers_opened
from quorate.node.logbook import Record
from quorate.node.messages import Card, Interactive, Placing
from quorate.node.terms import check_kept, check_memory, check_terms, counting
from quorate.node.vault import Kept, Note, Shaped

__all__ = ["MOST_BYTES", "Room", "ranges_of"]

MOST_BYTES = 5 << 20
"""Of a plan that comes with a request."""
_GUIDE = "docs/how-to/notebooks-on-nodes.md"


@dataclass
class Room:
    """One interactive session at the node of one member; `admit` comes first."""

    task: Assignment
    asked: Interactive
    _standing: Standing | None = field(default=None, repr=False)
    _found: dict[str, Kept] = field(default_factory=dict, repr=False)
    _known: Sequence[Facts] = field(default=(), repr=False)
    _sure: Sequence[bool] = field(default=(), repr=False)
    _ranges: Sequence[Bounds] = field(default=(), repr=False)
    _opened: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def collection(self) -> Collection:
        """What this node holds."""
        return Collection(Path(self.task.home), self.task.member)

    @property
    def caller(self) -> str:
        """The member that asked for the session."""
        return self.task.coordinator

    def admit(self) -> Approved:
        """The spec and plan that came with the request, if the standing approval allows them.

        Raises:
            UserError: it does not, or they are malformed; says which rule.
            IdentityError: the caller is not among those who may.
            AgreementError: the request contradicts itself.
        """
        task = self.task
        self._standing = standing = standing_of(task)
        self._check_caller(standing)
        self._check_day(standing)
        spec = decode_spec(task.prepare.spec.encode(), "the spec of an interactive session")
        spec = msgspec.structs.replace(spec, plan=FILE)
        spec.validate(task.federation, "the spec of an interactive session")
        if len(self.asked.plan) > MOST_BYTES:
            raise UserError(f"a plan of {len(self.asked.plan)} bytes; at most {MOST_BYTES} may come with a request")
        plan = Plan.from_json(self.asked.plan, "the plan of an interactive session")
        check_plan(spec, plan)
        check_terms(spec, task)
        if standing.protocols is not None and spec.protocol.name not in standing.protocols:
            raise self._refusal(f"protocols: {spec.protocol.name} is none of {', '.join(standing.protocols)}")
        self._check_kept_names(spec)
        self._look(spec, plan, standing)
        self._write_down(spec, plan, standing)
        return Approved(Path(FILE), spec, plan)

    def _check_caller(self, standing: Standing) -> None:
        """Before anything of the request is read."""
        placing = self.asked.data_set
        if placing is None and self.caller not in standing.analysts:
            raise IdentityError(str(self._refusal(f"analysts: {self.caller} is none of them")))
        if placing is not None and not standing.may_place(self.caller):
            raise IdentityError(str(self._refusal(f"owners: {self.caller} is none of them")))

    def _check_day(self, standing: Standing) -> None:
        """Before anything is written; counted again, under a lock, once all else is fine."""
        most = self._most(standing)
        if most is not None and self._record.count(self.caller) >= most:
            raise self._too_many(most)

    def _most(self, standing: Standing) -> int | None:
        return None if self.asked.data_set is not None else standing.most_sessions_per_day

    def _too_many(self, most: int | None) -> UserError:
        return self._refusal(f"most_sessions_per_day: {self.caller} has had {most} sessions today; go on tomorrow")

    def _check_kept_names(self, spec: Spec) -> None:
        vault = self.collection.vault
        for output in spec.outputs:
            if output.keep is not None and vault.path(output.keep).exists():
                raise UserError(f"something is kept as {output.keep!r} at this node already; start a new session")

    def _refusal(self, rule: str) -> UserError:
        return UserError(f"the standing approval ({FILE}) does not allow this: {rule}")

    def _look(self, spec: Spec, plan: Plan, standing: Standing) -> None:
        """Check what the plan reads and opens."""
        bound = plan.bind({item.name: item.min_rows for item in spec.inputs})
        if self.asked.data_set is not None:
            self._check_placing(self.asked.data_set, spec, bound, standing)
            return
        who = roster(spec)
        self.collection.check_usable([item.stored for item in spec.inputs if item.stored is not None], self.caller)
        self._found = kept_inputs(spec, who, who.index(self.task.member), self.collection.vault)
        for item in spec.inputs:
            check_kept(item, self._found.get(item.name))
        try:
            check_memory(spec, bound, standing.most_memory_mb)
        except UserError as problem:
            raise self._refusal(str(problem)) from None
        self._ranges = ranges_of(spec, bound)
        sources = {
            (item.name, column.name): kept.note.facts(self.caller)
            for item in spec.inputs
            if (kept := self._found.get(item.name)) is not None and kept.note is not None
            for column in item.columns
        }
        self._sure = proven(bound, sources)
        self._known = lineage(bound, sources, self._ranges, mixing=standing.mixing, reader=self.caller)
        opened = [output.name for output in spec.outputs if output.keep is None]
        self._opened = numbers_opened(bound, self._known, opened, self.caller)
        try:
            if standing.openings == "aggregates":
                check_openings(bound, self._known, opened, self.caller, standing.least_rows)
            self._ledger.check(self.caller, self._opened, standing.most_openings)
        except UserError as problem:
            raise self._refusal(str(problem)) from None

    def charge(self) -> None:
        """Count what the session opens, as it starts.

        Raises:
            UserError: other sessions have opened so much since `admit` that it is too much now.
            EnvironmentFault: it cannot be counted.
        """
        most = None if self._standing is None else self._standing.most_openings
        try:
            self._ledger.charge(self.caller, self._opened, most)
        except UserError as problem:
            raise self._refusal(str(problem)) from None

    def _check_placing(self, placing: Placing, spec: Spec, plan: Plan, standing: Standing) -> None:
        item = spec.inputs[0]
        if len(spec.inputs) != 1 or item.owner != self.caller or any(output.keep is None for output in spec.outputs):
            raise UserError("to place a data set takes one input of its owner, and opens nothing")
        if [operation.kind for operation in plan.operations] != ["input"] * len(item.columns):
            raise UserError("to place a data set takes a plan that keeps its columns as they are")
        read = sorted(operation.attributes["column"] for operation in plan.operations)
        targets = sorted(plan.outputs.values())
        if targets != list(range(len(item.columns))) or read != sorted(column.name for column in item.columns):
            raise UserError("to place a data set takes a plan that keeps each of its columns once")
        if item.min_rows < standing.least_rows:
            raise self._refusal(f"least_rows: the data set has {item.min_rows} rows, {standing.least_rows} are needed")
        for user in placing.users:
            self.task.federation.member(user)
        self.collection.check_free(placing.name, self.caller)

    # ---- records

    def _write_down(self, spec: Spec, plan: Plan, standing: Standing) -> None:
        """Note who runs what, with spec and plan; refuse more than a day's worth."""
        record, most, digest = self._record, self._most(standing), spec.digest(plan.digest)
        fresh = record.fresh
        if not record.enter(self.task.session, self.caller, digest, most, self._opened):
            raise self._too_many(most)
        record.file(digest, self.task.prepare.spec.encode(), self.asked.plan)
        if fresh:  # once a day is often enough
            self.collection.expire(standing.keep_days)
            record.expire(standing.keep_days)

    @property
    def _record(self) -> Record:
        return Record(self.collection.folder, self.task.member)

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.collection.folder, self.task.member)

    # ---- in the session and after it

    def stored(self, approved: Approved) -> Stored:
        """The shares that the session uses."""
        return stored_inputs(approved.spec, self._found)

    def leave(self, approved: Approved, me: int, outcome: Outcome) -> None:
        """Keep what is to be kept; raises as `Vault.save` and `Collection.add`."""
        spec, plan, vault = approved.spec, approved.plan, self.collection.vault
        now, owner = time.time(), owner_of(spec, me)
        card = self._card(spec, outcome, now)
        for output in spec.outputs:
            if output.keep is None:
                continue
            target = plan.outputs[output.name]
            operation = plan.operations[target]
            note = self._result(target, now) if card is None else self._column(card, raw_bounds(spec), operation)
            dtype = str(operation.type.dtype)
            vault.save(output.keep, outcome.kept[output.name], dtype, self.task.session, owner, note)
        if card is not None:
            self.collection.add(card)

    def _result(self, target: int, now: float) -> Note:
        known = self._known[target]
        return Note(
            maker=self.caller,
            made=now,
            bounds=self._ranges[target],  # type: ignore[arg-type]
            strands=tuple(known.strands),
            chosen=tuple(known.chosen),
            ramps=tuple(known.ramps),
            sure=self._sure[target],
            form=Shaped.of(known),
        )

    def _column(self, card: Card, bounds: Mapping[tuple[str, str], Bounds], operation: Operation) -> Note:
        """Of a data set; to its owner it is what he chose."""
        attributes, shape = operation.attributes, (card.rows,)
        strand = Strand(source_of(card), card.owner, 1, Region(0, 0, card.rows), card.rows)
        return Note(
            maker=self.caller,
            made=card.placed,
            bounds=bounds[attributes["input"], attributes["column"]],  # type: ignore[arg-type]
            strands=(strand,),
            chosen=tuple(everywhere(shape)),
        )

    def _card(self, spec: Spec, outcome: Outcome, now: float) -> Card | None:
        placing = self.asked.data_set
        if placing is None:
            return None
        item, plan = spec.inputs[0], Plan.from_json(self.asked.plan)
        columns = {name: plan.operations[target].attributes["column"] for name, target in plan.outputs.items()}
        shares = {columns[output.name]: output.keep for output in spec.outputs}
        return Card(
            name=placing.name,
            owner=self.caller,
            session=self.task.session,
            placed=now,
            rows=outcome.rows[item.name],
            columns=item.columns,
            shares=tuple(shares[column.name] or "" for column in item.columns),
            users=placing.users,
            commitment=outcome.commitments[item.name],
            parties=spec.parties,
            protocol=spec.protocol.name,
            threshold=spec.threshold,
        )


def standing_of(task: Assignment) -> Standing:
    """The node's standing approval. Raises `UserError` if there is none, and says how to give it."""
    found = load_standing(Path(task.specs), task.federation)
    if found is None:
        raise UserError(
            f"this node takes part in no interactive sessions; its operator allows them by placing {FILE} in the "
            f"node's --specs folder, see {_GUIDE}"
        )
    return found


def ranges_of(spec: Spec, plan: Plan) -> list[Bounds]:
    """The ranges of all operations of a bound plan, under the protocol of the spec. Raises as `plan_ranges`."""
    return plan_ranges(plan, counting(spec, plan), raw_bounds(spec))
